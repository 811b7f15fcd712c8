"""Envs as they were written, with their time limit: by id, by file, from a factory, or the one object that there is."""

from __future__ import annotations

import importlib
import importlib.util
import re
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

import gymnasium as gym
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from gymnasium.wrappers import TimeLimit

from .guard import PATIENCE, EnvError, GuardedEnv, time_limit
from .ogbench_maze import OGBenchMaze, is_ogbench_maze
from .screens import without_screen_notices
from .user_files import is_file, load_from_file

_REGISTRIES = ("gymnasium_robotics", "ogbench")  # packages that register their ids when imported
_EPISODE_STEPS = 200  # of an env that sets no limit
_AT_REST = 1_000  # env steps within which an env that is registered without a limit may end its episode by itself
_ends_by_itself: dict[str, bool] = {}  # what was found out about such envs, by id and arguments


class DefaultLimit(TimeLimit):
    """The limit of an env that sets none."""


def raw_env(name: str, /, **options: Any) -> gym.Env:
    """The env as it was written, with its time limit; EnvError if there is none, or it cannot be made.

    `options` go to the env, whatever they are called, but for `max_episode_steps`. OGBench's mazes, which are no goal envs as
    they come, are given their goal here; `task_id` chooses it.
    """
    own, limit = split_limit(name, options)
    if not is_file(name):
        return _registered_env(name, own, limit)
    try:
        make = load_from_file(name)
    except EnvError:
        raise
    except Exception as error:
        raise cannot_be_made(name, error) from error
    return limited(made_by(make, name, own), name, limit)


def split_limit(name: str, options: dict[str, Any]) -> tuple[dict[str, Any], int | None]:
    """What the env is made with, and the length of its episodes, None for its own. EnvError for a length that is none."""
    own = dict(options)
    if "max_episode_steps" not in own:
        return own, None
    limit = own.pop("max_episode_steps")
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise EnvError(f"{name}: max_episode_steps must be a whole number of at least 1, got {limit!r}")
    return own, limit


def made_by(make: Callable[..., gym.Env], name: str, options: dict[str, Any]) -> gym.Env:
    """What a class or a function makes; EnvError if that is no env."""
    try:
        with without_screen_notices(), time_limit(PATIENCE):
            made = make(**options)
    except EnvError:
        raise
    except (Exception, SystemExit) as error:
        raise cannot_be_made(name, error, options) from error
    if not isinstance(made, gym.Env):
        if any(kind.__module__.split(".")[0] == "gym" for kind in type(made).__mro__):
            raise EnvError(f"{name} is an env of the old gym; let it be one of gymnasium's: import gymnasium as gym")
        raise EnvError(f"{name} gives {type(made).__name__}, no gymnasium.Env; name an env's class, or a function that makes one")
    return _with_goal(made, name)


def limited(made: gym.Env, name: str, limit: int | None) -> gym.Env:
    """With a time limit: what is asked for, or the env's own, or 200 steps."""
    inner, own = made, False
    while isinstance(inner, gym.Wrapper):
        if isinstance(inner, TimeLimit):  # each of several: the shortest of them would cut what is asked for
            inner._max_episode_steps = limit if limit is not None else inner._max_episode_steps
            own = True
        inner = inner.env
    if own:
        return made
    if limit is None:
        limit = getattr(inner, "max_episode_steps", None)
    if limit is None and inner.spec is not None and _ends_at_rest(made, name):
        return made
    return DefaultLimit(made, _EPISODE_STEPS) if limit is None else TimeLimit(made, int(limit))


def spec_of(name: str) -> EnvSpec:
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
        raise cannot_be_made(name, error) from error


def cannot_be_made(name: str, error: BaseException, options: dict[str, Any] | None = None) -> EnvError:
    """`options`: what the env was asked to take."""
    if isinstance(error, SystemExit):
        return EnvError(f"{name} cannot be made: it ends the program (sys.exit({error.code!r})); raise an error there instead")
    if isinstance(error, ImportError) and "relative import" in str(error):
        return EnvError(f"{name} cannot be made: {error}; a file is loaded by itself: import its neighbours by their plain names")
    unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
    if isinstance(error, TypeError) and unknown and unknown[1] in (options or {}):
        return EnvError(f"{name} does not know {unknown[1]}; leave it out, or let the env take it as an argument")
    absent = [package for package in _REGISTRIES if importlib.util.find_spec(package) is None]
    hint = ""
    if isinstance(error, gym.error.UnregisteredEnv) and absent:
        hint = f"; if it is one of {' or '.join(absent)}, install that (pip install {' '.join(absent)})"
    if not str(error) and (frames := traceback.extract_tb(error.__traceback__)):  # an assertion that says nothing
        hint = f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}: {frames[-1].line}"
    return EnvError(f"{name} cannot be made: {type(error).__name__}: {error}{hint}")


def _registered_env(name: str, options: dict[str, Any], limit: int | None) -> gym.Env:
    spec = spec_of(name)
    task = {key: options.pop(key) for key in ("task_id",) if key in options and _is_ogbench(spec)}
    clash = {"id", "disable_env_checker"} & set(options)
    if clash:
        raise EnvError(f"{name}: gymnasium.make takes {clash.pop()} for itself; name the env by its file, path/to/file.py:Class")
    try:
        # the guard checks, and says what to mend
        with without_screen_notices(), time_limit(PATIENCE):
            made = gym.make(name, max_episode_steps=limit, disable_env_checker=True, **options)
    except (Exception, SystemExit) as error:
        raise cannot_be_made(name, error, options) from error
    return limited(_with_goal(made, name, **task), name, limit)


def _is_ogbench(spec: EnvSpec) -> bool:
    return str(spec.entry_point).startswith("ogbench.locomaze")


def _with_goal(made: gym.Env, name: str, task_id: int | None = None) -> gym.Env:
    """OGBench's mazes with the goal that they lack; any other env as it is."""
    if not is_ogbench_maze(made) or isinstance(made.observation_space, spaces.Dict):
        return made
    try:
        return OGBenchMaze(made, task_id)
    except ValueError as error:
        raise EnvError(f"{name}: {error}") from None


def _ends_at_rest(env: gym.Env, name: str) -> bool:
    """Whether an env that was registered without a limit truncates by itself: one episode of doing nothing tells, once."""
    if not isinstance(env.action_space, spaces.Box) or not env.action_space.is_bounded():
        return False
    spec = env.unwrapped.spec
    key = f"{spec.id} {spec.kwargs!r}" if spec is not None else name
    if key not in _ends_by_itself:
        watched = GuardedEnv(env, name)
        watched.reset(seed=0)
        at_rest = ((env.action_space.low + env.action_space.high) / 2).astype(env.action_space.dtype)
        _ends_by_itself[key] = False
        for _ in range(_AT_REST):
            _, _, terminated, truncated, _ = watched.step(at_rest)
            if terminated or truncated:
                _ends_by_itself[key] = truncated
                break
    return _ends_by_itself[key]
