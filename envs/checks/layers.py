"""The wrappers of an env: those that hide defects taken off, old answers made playable, methods found."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import gymnasium as gym
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, TimeLimit

from .transitions import number_or_none


def layers(env: gym.Env) -> Iterator[gym.Env]:
    """The env and what it wraps, from the outside in."""
    while True:
        yield env
        if not isinstance(env, gym.Wrapper):
            return
        env = env.env


def without_guards(env: gym.Env, mend: bool = False) -> gym.Env:
    guards = (OrderEnforcing, PassiveEnvChecker)
    kept = [layer for layer in layers(env) if not isinstance(layer, guards)]
    if mend:
        inner = next(layer for layer in kept if not isinstance(layer, TimeLimit))
        kept.insert(kept.index(inner), Mended(inner))
    for outer, inner in pairwise(kept):
        assert isinstance(outer, gym.Wrapper)
        outer.env = inner
    return kept[0]


def without_time_limit(env: gym.Env) -> gym.Env:
    """What the author wrote: `env` as `Subject.env` makes it, less gymnasium's time limit."""
    return next(layer for layer in layers(env) if not isinstance(layer, TimeLimit))


class Mended(gym.Wrapper):
    """Odd answers turned into what gymnasium wants, so that this broken promise does not hide the others."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        answer: Any = self.env.reset(seed=seed) if takes(self.env.reset, "seed") else self.env.reset()
        is_pair = isinstance(answer, tuple) and len(answer) == 2
        return (answer[0], answer[1] if isinstance(answer[1], dict) else {}) if is_pair else (answer, {})

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        answer: Any = self.env.step(action)
        if len(answer) == 4:
            answer = (*answer[:3], False, answer[3])
        observation, reward, terminated, truncated, info = answer
        number = number_or_none(reward)
        return observation, reward if number is None else number, bool(terminated), bool(truncated), info or {}


def takes(function: Callable[..., Any], name: str) -> bool:
    """Whether a function has a parameter of this name, or takes any."""
    parameters = inspect.signature(function).parameters
    return name in parameters or any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())


def method_of(env: gym.Env, name: str) -> Callable[..., Any] | None:
    """The method of the outermost layer that has one: a wrapper may bring compute_reward or goal_of."""
    found = (getattr(layer, name, None) for layer in layers(env))
    return next((method for method in found if callable(method)), None)
