"""Envs by name: a registered id, `module:Id`, or `path/to/file.py:Class`, alone or as a batch."""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable
from typing import Any

import gymnasium as gym
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.wrappers import TimeLimit

from .adapter import GoalEnvAdapter, Traits
from .guard import EnvError, GuardedEnv
from .probe import probe
from .sources import cannot_be_made, limited, made_by, raw_env, spec_of, split_limit
from .user_files import is_file

__all__ = ["EnvSource", "GoalEnvs", "as_goal_env", "env_maker", "load_batch", "load_env", "raw_env"]

_NO_TRAIT = ("max_episode_steps", "render_mode")  # options that change nothing about what `probe` looks at


class GoalEnvs:
    """Makes goal envs as agents here expect them (see `GoalEnvAdapter`), one by one or as a batch; see `as_goal_env`.

    A throwaway env is driven about once per setting, to see how it differs from ours. EnvError, with the fix, if it cannot be
    made or learned from.
    """

    def __init__(self, source: EnvSource, name: str, kwargs: dict[str, Any]) -> None:
        self.source, self.name, self.kwargs = source, name, kwargs
        self._traits: dict[str, Traits] = {}  # by the options of the env
        self._lent: weakref.ref[_Lent] | None = None  # the one env, while it is in use
        self._last: weakref.ref[gym.Env] | None = None  # what a factory made last

    def __repr__(self) -> str:
        return f"GoalEnvs({self.name})"

    def __call__(self) -> gym.Env:
        """One env, so that this is a factory as well."""
        return self.make()

    @property
    def by_name(self) -> bool:
        """Can the envs be made again from `name` and `kwargs` alone?"""
        return isinstance(self.source, str)

    def kwargs_json(self) -> str:
        """`kwargs`, to be written down. EnvError for what JSON cannot hold."""
        try:
            return json.dumps(self.kwargs)
        except (TypeError, ValueError) as error:
            raise EnvError(
                f"{self.name}: env_kwargs must be what JSON can hold ({error}); hand in a function that makes the env with them"
            ) from None

    @property
    def only_one(self) -> bool:
        """Is there but one env, which was handed in itself?"""
        return isinstance(self.source, gym.Env)

    def make(self, index: int = 0, /, **options: Any) -> gym.Env:
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

    def batch(self, num_envs: int, /, **options: Any) -> VectorEnv:
        """Envs side by side, each reset in the step that ends it: our own worlds as one batch, others in a loop.

        Other people's batches are not used: they cannot be adapted and guarded as their single envs are.
        """
        merged = {**self.kwargs, **options}
        if isinstance(self.source, str) and _is_one_batch(self.source):
            try:
                return gym.make_vec(self.source, num_envs=num_envs, autoreset_mode=AutoresetMode.SAME_STEP, **merged)
            except Exception as error:
                raise cannot_be_made(self.name, error, merged) from error
        if self.only_one and num_envs > 1:
            self._traits_in(merged)  # what else is wrong with it comes first
            raise EnvError(
                f"{self.name}: {num_envs} envs are asked for, but one was given; give what makes envs, or ask for one "
                "(agent=AgentConfig(num_envs=1))"
            )
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
        key = repr(sorted((name, value) for name, value in options.items() if name not in _NO_TRAIT))
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
        own, limit = split_limit(self.name, options)
        if not isinstance(self.source, gym.Env):
            made = made_by(self.source, self.name, own)
            if self.name == "<lambda>":  # which says nothing to anybody
                self.name = type(made.unwrapped).__name__
            if self._last is not None and self._last() is made.unwrapped:
                raise EnvError(f"{self.name} gives the same env twice; make a new one in each call, or give the env itself")
            self._last = weakref.ref(made.unwrapped)
            return limited(made, self.name, limit)
        if own.get("render_mode") == self.source.render_mode:
            own.pop("render_mode", None)
        if own:
            raise EnvError(
                f"{self.name} is an env that has been made already; it takes no {', '.join(sorted(own))}: give what makes it"
            )
        return limited(made_by(lambda: _Lent(self), self.name, {}), self.name, limit)


EnvSource = str | Callable[..., gym.Env] | gym.Env | GoalEnvs


class _Lent(gym.Wrapper):
    """The one env that there is: closing it gives it back as it was, and its owner closes it."""

    in_use: bool

    def __init__(self, envs: GoalEnvs) -> None:
        """EnvError while it is lent already."""
        before = None if envs._lent is None else envs._lent()
        if before is not None and before.in_use:
            raise EnvError(f"{envs.name}: a second env is asked for while the one that was given is in use; give what makes envs")
        assert isinstance(envs.source, gym.Env)
        super().__init__(envs.source)
        self.in_use = True
        self._limits = [(layer, layer._max_episode_steps) for layer in _layers(envs.source) if isinstance(layer, TimeLimit)]
        envs._lent = weakref.ref(self)

    def close(self) -> None:
        self.in_use = False
        for layer, steps in self._limits:
            layer._max_episode_steps = steps


def _layers(env: gym.Env) -> list[gym.Env]:
    """The env's wrappers, outermost first, and what they wrap."""
    layers = [env]
    while isinstance(layers[-1], gym.Wrapper):
        layers.append(layers[-1].env)
    return layers


def as_goal_env(env: EnvSource, /, **kwargs: Any) -> GoalEnvs:
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


def env_maker(name: EnvSource, /, **options: Any) -> Callable[[int], gym.Env]:
    """What makes the env, index by index: `GoalEnvs.maker`."""
    return as_goal_env(name).maker(**options)


def load_env(name: EnvSource, /, **options: Any) -> gym.Env:
    """One env: `GoalEnvs.make`."""
    return as_goal_env(name).make(**options)


def load_batch(name: EnvSource, num_envs: int, /, **options: Any) -> VectorEnv:
    """Envs side by side: `GoalEnvs.batch`."""
    return as_goal_env(name).batch(num_envs, **options)


def _is_one_batch(name: str) -> bool:
    """Is it a world of ours that steps many envs as one?"""
    return not is_file(name) and str(spec_of(name).vector_entry_point).startswith("thalweg.envs.")
