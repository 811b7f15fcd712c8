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

from .adapter import GoalEnvAdapter, probe
from .guard import EnvError, GuardedEnv
from .ogbench_maze import OGBenchMaze, is_ogbench_maze
from .user_files import is_file, load_from_file

_REGISTRIES = ("gymnasium_robotics", "ogbench")  # packages that register their ids when imported
_EPISODE_STEPS = 200  # of an env in a file that sets no limit


def env_maker(name: str, **options: Any) -> Callable[[int], gym.Env]:
    """What makes the env, index by index, as agents here expect it (see `GoalEnvAdapter`).

    `options` go to the env, but for `max_episode_steps`, the length of an episode. The index is told when an env fails.
    A throwaway env is driven about first. EnvError, with the fix, if it cannot be made or learned from.
    """
    env = GuardedEnv(raw_env(name, **options), name)
    try:
        traits = probe(env, name)
    finally:
        env.close()
    return lambda index: GoalEnvAdapter(GuardedEnv(raw_env(name, **options), name, index), traits)


def load_env(name: str, **options: Any) -> gym.Env:
    """One env, as `env_maker` makes it."""
    return env_maker(name, **options)(0)


def load_batch(name: str, num_envs: int, **options: Any) -> VectorEnv:
    """Envs side by side, each reset in the step that ends it: our own worlds as one batch, others in a loop.

    Other people's batches are not used: they cannot be adapted and guarded as their single envs are.
    """
    if not is_file(name) and str(_spec(name).vector_entry_point).startswith("thalweg.envs."):
        try:
            return gym.make_vec(name, num_envs=num_envs, autoreset_mode=AutoresetMode.SAME_STEP, **options)
        except Exception as error:
            raise _cannot_be_made(name, error) from error
    make = env_maker(name, **options)
    envs: list[gym.Env] = []
    try:
        for index in range(num_envs):
            envs.append(make(index))
    except BaseException:
        for env in envs:
            env.close()
        raise
    return SyncVectorEnv([lambda env=env: env for env in envs], autoreset_mode=AutoresetMode.SAME_STEP)  # type: ignore[misc]


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
        made = load_from_file(name)(**options)
    except EnvError:
        raise
    except Exception as error:
        raise _cannot_be_made(name, error) from error
    if not isinstance(made, gym.Env):
        raise EnvError(f"{name} gives {type(made).__name__}, no gymnasium.Env; name an env's class, or a function that makes one")
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
