"""What goes wrong inside somebody's env is told in one line: which env, which step, and the env's own error."""

from __future__ import annotations

import signal
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from .screens import without_screen_notices


class EnvError(Exception):
    """An env cannot be made or does not do what an env does; the message says which, where and what to mend."""

    exit_code = 2  # of a command that ends with it: bad input (as in planner/errors.py, which this package may not import)


PATIENCE = 60.0  # s; a call that takes longer hangs


class GuardedEnv(gym.Wrapper):
    """Turns every failure of an env into an EnvError that names it: exceptions, hangs, wrong shapes and dtypes.

    A call that gives no answer within `patience` [s] is cut off, where the platform has SIGALRM and in the main thread; a
    hang inside compiled code ends only when that code returns. An error while closing is a warning, since nothing that
    was computed may be lost for it.
    """

    def __init__(self, env: gym.Env, name: str, index: int = 0, patience: float = PATIENCE) -> None:
        super().__init__(env)
        self._name, self._index, self._patience = name, index, patience
        self._seed: int | None = None
        self._step = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self._seed, self._step = seed if seed is not None else self._seed, 0
        with self._watched("reset"):
            observation, info = self.env.reset(seed=seed, options=options)
        self._check(observation, "reset")
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        self._step += 1
        with self._watched("step"):
            observation, reward, terminated, truncated, info = self.env.step(action)
        self._check(observation, "step")
        if isinstance(reward, np.ndarray) and reward.ndim:
            raise self._error("step", f"the reward is an array of shape {reward.shape}; return one number")
        for flag, value in (("terminated", terminated), ("truncated", truncated)):
            if not isinstance(value, bool | np.bool_ | int):
                raise self._error("step", f"{flag} is {value!r}; return True or False")
        if not isinstance(info, dict):
            raise self._error("step", f"info is {type(info).__name__}; return a dict, {{}} if there is nothing to say")
        return observation, reward, bool(terminated), bool(truncated), info

    def render(self) -> Any:
        with self._watched("render"), without_screen_notices():
            return self.env.render()

    def close(self) -> None:
        try:
            with self._watched("close"):
                self.env.close()
        except EnvError as error:
            warnings.warn(str(error), stacklevel=2)

    def _check(self, observation: Any, where: str) -> None:
        """EnvError unless the observation has the shapes and dtypes that the observation space promises."""
        space = self.env.observation_space
        parts = space.spaces if isinstance(space, spaces.Dict) else {"observation": space}
        values = observation if isinstance(space, spaces.Dict) else {"observation": observation}
        if not isinstance(values, dict) or set(parts) - set(values):
            raise self._error(where, f"the observation lacks parts of its space; it should hold {sorted(parts)}")
        for key, part in parts.items():
            if not isinstance(part, spaces.Box):
                continue
            value = values[key]
            got = (value.shape, value.dtype) if isinstance(value, np.ndarray) else (type(value).__name__, "no array")
            if got != (part.shape, part.dtype):
                promised = f"shape {part.shape} and dtype {part.dtype}"
                raise self._error(where, f"{key} has {got[0]}, {got[1]}, but its space promises {promised}; make them agree")

    @contextmanager
    def _watched(self, where: str) -> Iterator[None]:
        try:
            with time_limit(self._patience):
                yield
        except EnvError:
            raise
        except SystemExit as stop:  # it would take along what has been computed so far
            raise self._error(where, f"it ends the program (sys.exit({stop.code!r})); raise an error there instead") from stop
        except Exception as error:
            own = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            raise self._error(where, own + _hint(where, error)) from error

    def _error(self, where: str, what: str) -> EnvError:
        seed = "" if self._seed is None else f", seed {self._seed}"
        step = f" {self._step}" if where == "step" else ""
        return EnvError(f"{self._name} (env {self._index}{seed}) failed in {where}{step}: {what}")


def _hint(where: str, error: Exception) -> str:
    """How envs of the old gym are brought up to date, where that is what fails."""
    if where == "step" and isinstance(error, ValueError) and "values to unpack" in str(error):
        return "; return observation, reward, terminated, truncated, info (the old gym had four values)"
    if where == "reset" and isinstance(error, ValueError) and "values to unpack" in str(error):
        return "; return observation, info (the old gym had the observation alone)"
    if where == "reset" and isinstance(error, TypeError) and "unexpected keyword argument" in str(error):
        return "; write: def reset(self, *, seed=None, options=None)"
    return ""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """TimeoutError if the body takes longer, where that can be told."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"no answer within {seconds:g} s")

    before, began = signal.signal(signal.SIGALRM, ring), time.monotonic()
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds)  # of a timer that the caller has set
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
        if left > 0:  # one that was due meanwhile rings at once
            signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - began), 1e-6), interval)
