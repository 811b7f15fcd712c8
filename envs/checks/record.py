"""Episodes played and kept: what the env returned, beside a copy taken at once, so that a later change shows."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from .problem import call

Array = NDArray[Any]
Policy = Callable[[Any, int], Array]  # (last observation, step from 1) -> action


@dataclass(frozen=True, eq=False, kw_only=True)
class Step:
    action: Array  # as handed in
    action_after: Array  # the array handed in, after the step
    observation: Any  # a copy; so is info
    info: Any
    returned: tuple[Any, Any]  # the very objects: observation, info
    reward: Any
    terminated: bool
    truncated: bool


@dataclass(frozen=True, eq=False, kw_only=True)
class Episode:
    observation: Any  # of the reset, a copy
    returned: tuple[Any, Any]  # of the reset: the very objects
    steps: list[Step] = field(default_factory=list)

    @property
    def observations(self) -> list[Any]:
        return [self.observation, *(step.observation for step in self.steps)]

    @property
    def ended(self) -> bool:
        return bool(self.steps) and (self.steps[-1].terminated or self.steps[-1].truncated)


def start_episode(env: gym.Env, seed: int | None = None) -> Episode:
    where = "reset()" if seed is None else f"reset(seed={seed})"
    observation, info = call(where, env.reset, **({} if seed is None else {"seed": seed}))
    return Episode(observation=copy_of(observation), returned=(observation, info))


def play_on(env: gym.Env, episode: Episode, policy: Policy, max_steps: int) -> Episode:
    """Append steps to the episode until it ends or has max_steps; what was played stays when the env raises."""
    while not episode.ended and len(episode.steps) < max_steps:
        number = len(episode.steps) + 1
        action = policy(episode.observations[-1] if number == 1 else episode.steps[-1].observation, number)
        handed_in = action.copy()
        observation, reward, terminated, truncated, info = call(f"step {number} of an episode", env.step, handed_in)
        episode.steps.append(
            Step(
                action=action,
                action_after=handed_in,
                observation=copy_of(observation),
                info=copy_of(info),
                returned=(observation, info),
                reward=copy_of(reward),
                terminated=bool(terminated),
                truncated=bool(truncated),
            )
        )
    return episode


def copy_of(value: Any) -> Any:
    if type(value) is dict:
        return {key: copy_of(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray):
        return value.copy()
    return value if isinstance(value, (bool, int, float, str, np.generic)) else deepcopy(value)


def same(one: Any, two: Any) -> bool:
    """Equal up to rounding, as gymnasium's own checker compares; NaN equals NaN."""
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(same(one[key], two[key]) for key in one)
    if isinstance(one, np.ndarray) and isinstance(two, np.ndarray) and one.shape == two.shape and (one == two).all():
        return True  # by far the most frequent case, and allclose is slow
    try:
        return bool(np.allclose(one, two, rtol=1e-5, atol=1e-5, equal_nan=True))
    except (TypeError, ValueError):
        return bool(np.array_equal(np.asarray(one, dtype=object), np.asarray(two, dtype=object)))


def identical(one: Any, two: Any) -> bool:
    """Equal to the last bit: what is claimed to be the same must not be so for rounding alone, as in numbers of millions."""
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(identical(one[key], two[key]) for key in one)
    return bool(np.array_equal(np.asarray(one), np.asarray(two)))


def same_episode(one: Episode, two: Episode) -> bool:
    return (
        len(one.steps) == len(two.steps)
        and all(same(a, b) for a, b in zip(one.observations, two.observations, strict=True))
        and all(same(a.reward, b.reward) for a, b in zip(one.steps, two.steps, strict=True))
        and all((a.terminated, a.truncated) == (b.terminated, b.truncated) for a, b in zip(one.steps, two.steps, strict=True))
    )


def walker(space: spaces.Space[Any], rng: np.random.Generator) -> Policy:
    """A random walk that gets somewhere: each push is held for 1 to 8 steps, and half the pushes are corners."""
    if not isinstance(space, spaces.Box):  # reported elsewhere; the other checks go on
        return lambda observation, number: np.asarray(space.sample())
    low, high = finite_bounds(space)
    push, left = low, 0

    def policy(observation: Any, number: int) -> Array:
        nonlocal push, left
        if left == 0 or number == 1:
            left = int(rng.integers(1, 9))
            share = rng.random(space.shape) if rng.random() < 0.5 else rng.integers(0, 2, space.shape)
            push = (low + share * (high - low)).astype(space.dtype)
        left -= 1
        return push

    return policy


def holder(space: spaces.Space[Any]) -> Policy:
    """The middle of the action space, always: in most envs, standing still."""
    if not isinstance(space, spaces.Box):
        action = np.asarray(space.sample())
    else:
        action = np.mean(finite_bounds(space), axis=0).astype(space.dtype)
    return lambda observation, number: action


def replayer(actions: list[Array]) -> Policy:
    return lambda observation, number: actions[number - 1]


def finite_bounds(space: spaces.Box) -> tuple[Array, Array]:
    """The bounds as float64, with -1 and 1 for those that are infinite."""
    low = np.where(np.isfinite(space.low), space.low, -1.0).astype(np.float64)
    high = np.where(np.isfinite(space.high), space.high, 1.0).astype(np.float64)
    return low, np.maximum(low, high)


@contextmanager
def global_generators(seed: int) -> Iterator[None]:
    """numpy's and Python's global generators seeded, and put back afterwards."""
    kept = np.random.get_state(), random.getstate()
    np.random.seed(seed)
    random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(kept[0])
        random.setstate(kept[1])
