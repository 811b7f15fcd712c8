"""Envs by name: a registered id, `module:Id`, or `path/to/file.py:Class`, alone or as a batch."""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Callable
from contextlib import redirect_stderr
from io import StringIO
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.wrappers import TimeLimit

from .adapter import GoalEnvAdapter, Traits, probe
from .guard import EnvError, GuardedEnv
from .ogbench_maze import OGBenchMaze, is_ogbench_maze
from .user_files import is_file, load_from_file

_REGISTRIES = ("gymnasium_robotics", "ogbench")  # packages that register their ids when imported
_EPISODE_STEPS = 200  # of an env in a file that sets no limit


class GoalEnvs:
    """Makes goal envs as agents here expect them (see `GoalEnvAdapter`), one by one or as a batch; see `as_goal_env`.

    A throwaway env is driven about once per setting, to see how it differs from ours. EnvError, with the fix, if it cannot be
    made or learned from.
    """

    def __init__(self, source: EnvSource, name: str, kwargs: dict[str, Any]) -> None:
        self.source, self.name, self.kwargs = source, name, kwargs
        self._traits: dict[str, Traits] = {}
        self._lent = False

    def __repr__(self) -> str:
        return f"GoalEnvs({self.name})"

    def __call__(self) -> gym.Env:
        """One env, so that this is a factory as well."""
        return self.make()

    @property
    def by_name(self) -> bool:
        """Can the envs be made again from `name` and `kwargs` alone?"""
        return isinstance(self.source, str)

    @property
    def only_one(self) -> bool:
        """Is there but one env, which was handed in itself?"""
        return isinstance(self.source, gym.Env)

    def make(self, index: int = 0, **options: Any) -> gym.Env:
        """One env. `options` go to it over `kwargs`, but for `max_episode_steps`, the length of an episode.

        The index is told when an env fails.
        """
        options = {**self.kwargs, **options}
        traits = self._traits_in(options)
        return GoalEnvAdapter(GuardedEnv(self._raw(options), self.name, index), traits)

    def maker(self, **options: Any) -> Callable[[int], gym.Env]:
        """What makes the env, index by index; what is wrong with its options shows at once."""
        self._traits_in({**self.kwargs, **options})
        return lambda index: self.make(index, **options)

    def batch(self, num_envs: int, **options: Any) -> VectorEnv:
        """Envs side by side, each reset in the step that ends it: our own worlds as one batch, others in a loop.

        Other people's batches are not used: they cannot be adapted and guarded as their single envs are.
        """
        merged = {**self.kwargs, **options}
        if isinstance(self.source, str) and _is_one_batch(self.source):
            try:
                return gym.make_vec(self.source, num_envs=num_envs, autoreset_mode=AutoresetMode.SAME_STEP, **merged)
            except Exception as error:
                raise _cannot_be_made(self.name, error) from error
        if self.only_one and num_envs > 1:
            raise EnvError(f"{self.name}: {num_envs} envs are asked for, but one was given; give what makes envs")
        envs: list[gym.Env] = []
        try:
            for index in range(num_envs):
                envs.append(self.make(index, **options))
        except BaseException:
            for env in envs:
                env.close()
            raise
        return SyncVectorEnv([lambda env=env: env for env in envs], autoreset_mode=AutoresetMode.SAME_STEP)  # type: ignore[misc]

    def _traits_in(self, options: dict[str, Any]) -> Traits:
        key = repr(sorted(options.items(), key=lambda item: item[0]))
        if key not in self._traits:
            env = GuardedEnv(self._raw(options), self.name)
            try:
                self._traits[key] = probe(env, self.name)
            finally:
                env.close()
        return self._traits[key]

    def _raw(self, options: dict[str, Any]) -> gym.Env:
        """With its time limit, as it was written."""
        if isinstance(self.source, str):
            return raw_env(self.source, **options)
        own = dict(options)
        limit = own.pop("max_episode_steps", None)
        if isinstance(self.source, gym.Env):
            if own:
                raise EnvError(f"{self.name} is an env that has been made already; it takes no {', '.join(sorted(own))}")
            return _limited(_Lent(self), limit)
        return _limited(_made_by(self.source, self.name, own), limit)


EnvSource = str | Callable[..., gym.Env] | gym.Env | GoalEnvs


class _Lent(gym.Wrapper):
    """The one env that there is: closing it gives it back, and its owner closes it."""

    def __init__(self, envs: GoalEnvs) -> None:
        if envs._lent:
            raise EnvError(f"{envs.name}: a second env is asked for while the one that was given is in use; give what makes envs")
        assert isinstance(envs.source, gym.Env)
        super().__init__(envs.source)
        self._envs = envs
        envs._lent = True

    def close(self) -> None:
        self._envs._lent = False


def as_goal_env(env: EnvSource, **kwargs: Any) -> GoalEnvs:
    """What makes goal envs, of whatever says which.

    `env`: a registered id (`PointMassU-v0`), `module:Id`, `path/to/file.py:Class`, anything that makes an env when it is called
    (a class, a function), or an env object. `kwargs` go to the env when it is made. EnvError for anything else; whether it is a
    goal env shows when one is made.
    """
    if isinstance(env, GoalEnvs):
        return env if not kwargs else GoalEnvs(env.source, env.name, {**env.kwargs, **kwargs})
    if isinstance(env, str):
        return GoalEnvs(env, env, kwargs)
    if isinstance(env, gym.Env):
        return GoalEnvs(env, env.spec.id if env.spec is not None else type(env.unwrapped).__name__, kwargs)
    if callable(env):
        name = getattr(env, "__qualname__", type(env).__name__)
        return GoalEnvs(env, name.rpartition(".<locals>.")[2], kwargs)
    raise EnvError(f"{type(env).__name__} is no env: give an id, path/to/file.py:Class, a function that makes an env, or an env")


def env_maker(name: EnvSource, **options: Any) -> Callable[[int], gym.Env]:
    """What makes the env, index by index: `GoalEnvs.maker`."""
    return as_goal_env(name).maker(**options)


def load_env(name: EnvSource, **options: Any) -> gym.Env:
    """One env: `GoalEnvs.make`."""
    return as_goal_env(name).make(**options)


def load_batch(name: EnvSource, num_envs: int, **options: Any) -> VectorEnv:
    """Envs side by side: `GoalEnvs.batch`."""
    return as_goal_env(name).batch(num_envs, **options)


def _is_one_batch(name: str) -> bool:
    """Is it a world of ours that steps many envs as one?"""
    return not is_file(name) and str(_spec(name).vector_entry_point).startswith("thalweg.envs.")


def raw_env(name: str, **options: Any) -> gym.Env:
    """The env as it was written, with its time limit; EnvError if there is none, or it cannot be made.

    OGBench's mazes, which are no goal envs as they come, are given their goal here; `task_id` chooses it.
    """
    own = {key: value for key, value in options.items() if key != "task_id"}
    limit = own.get("max_episode_steps", 1)
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise EnvError(f"{name}: max_episode_steps must be a whole number of at least 1, got {limit!r}")
    env = _env_of_file(name, own) if is_file(name) else _registered_env(name, own)
    if is_ogbench_maze(env):
        try:
            return OGBenchMaze(env, options.get("task_id"))
        except ValueError as error:
            raise EnvError(f"{name}: {error}") from None
    if "task_id" in options:
        raise EnvError(f"{name} knows no task_id; only OGBench's mazes do")
    return env


def _registered_env(name: str, options: dict[str, Any]) -> gym.Env:
    _spec(name)
    try:
        return gym.make(name, disable_env_checker=True, **options)  # the guard checks, and says what to mend
    except Exception as error:
        raise _cannot_be_made(name, error) from error


def _spec(name: str) -> EnvSpec:
    """The registered spec; packages known to register envs are imported if that is where it may be."""
    module, _, plain = name.rpartition(":")
    try:
        if module:
            importlib.import_module(module)
        elif plain not in gym.registry:
            for package in _REGISTRIES:
                if importlib.util.find_spec(package) is not None:
                    with redirect_stderr(StringIO()):  # a notice about envs that nobody asked for
                        gym.register_envs(importlib.import_module(package))
        return gym.spec(plain)
    except Exception as error:
        raise _cannot_be_made(name, error) from error


def _env_of_file(name: str, options: dict[str, Any]) -> gym.Env:
    """Run the file and call its class."""
    limit = options.pop("max_episode_steps", None)
    try:
        made_by = load_from_file(name)
    except EnvError:
        raise
    except Exception as error:
        raise _cannot_be_made(name, error) from error
    return _limited(_made_by(made_by, name, options), limit)


def _made_by(make: Callable[..., gym.Env], name: str, options: dict[str, Any]) -> gym.Env:
    try:
        made = make(**options)
    except EnvError:
        raise
    except TypeError as error:
        unknown = [option for option in options if f"argument '{option}'" in str(error)]
        if unknown and "unexpected keyword" in str(error):
            raise EnvError(f"{name} does not know {unknown[0]}; leave it out, or take it as a keyword argument") from error
        raise _cannot_be_made(name, error) from error
    except Exception as error:
        raise _cannot_be_made(name, error) from error
    if not isinstance(made, gym.Env):
        raise EnvError(f"{name} gives {type(made).__name__}, no gymnasium.Env; name an env's class, or a function that makes one")
    return made


def _limited(made: gym.Env, limit: int | None) -> gym.Env:
    """With a time limit: what is asked for, or its own, or the usual."""
    inner = made
    while isinstance(inner, gym.Wrapper):
        if isinstance(inner, TimeLimit):
            inner._max_episode_steps = limit if limit is not None else inner._max_episode_steps
            return made
        inner = inner.env
    if limit is None:
        limit = getattr(inner, "max_episode_steps", None)
    return TimeLimit(made, _EPISODE_STEPS if limit is None else int(limit))


def _cannot_be_made(name: str, error: Exception) -> EnvError:
    if isinstance(error, ImportError) and "relative import" in str(error):
        return EnvError(f"{name} cannot be made: {error}; a file is loaded by itself: import its neighbours by their plain names")
    absent = [package for package in _REGISTRIES if importlib.util.find_spec(package) is None]
    hint = ""
    if isinstance(error, gym.error.UnregisteredEnv) and absent:
        hint = f"; if it is one of {' or '.join(absent)}, install that (pip install {' '.join(absent)})"
    unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
    if isinstance(error, TypeError) and unknown:
        return EnvError(f"{name} does not know {unknown[1]}: {error}; leave it out, or let the env take it")
    return EnvError(f"{name} cannot be made: {type(error).__name__}: {error}{hint}")
