"""What must be known of a goal env before it is adapted: a short random drive tells, or says why it cannot be learned from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from .adapter import Traits, rewards_in_batch
from .guard import EnvError

Array = NDArray[np.floating]

_PARTS = ("observation", "achieved_goal", "desired_goal")
_PROBE_EPISODES, _PROBE_STEPS = 5, 100
_PROBE_PLACES = 120  # at most, whose pairs are asked for their rewards
_SMALL_BATCHES = (2, 3, 5)  # rows, which are asked beside all pairs at once
MOST_GOAL_ENTRIES = 128  # a step keeps some kB for every entry of a goal, and distances in more entries say little
_FLOAT_STEPS = 16  # of float32: a tolerance or a move of fewer cannot be learnt from


def probe(env: gym.Env, name: str) -> Traits:
    """Drive a fresh goal env about at random. EnvError, with the fix, for one that cannot be learned from."""
    check_spaces(env, name)
    if not env.has_wrapper_attr("compute_reward"):
        raise EnvError(f"{name} has no compute_reward; give it one: (B, G), (B, G), info -> (B,), 0 at the goal and -1 elsewhere")
    env.action_space.seed(0)
    seen: list[dict[str, Array]] = []
    infos: list[dict[str, Any]] = []
    exact: list[tuple[Array, Array]] = []  # goals as the env gave them, before and after a step
    for episode in range(_PROBE_EPISODES):
        observation, _ = env.reset(seed=episode)
        for step in range(_PROBE_STEPS):
            seen.append({key: np.array(observation[key], dtype=np.float32) for key in _PARTS})
            for key, values in seen[-1].items():
                if not np.isfinite(values).all():
                    raise EnvError(f"{name} (seed {episode}): {key} is not finite after {step} random steps; mend the env")
            before = np.array(observation["achieved_goal"], dtype=np.float64)
            observation, _, terminated, truncated, info = env.step(env.action_space.sample())
            exact.append((before, np.array(observation["achieved_goal"], dtype=np.float64)))
            infos.append(info)
            if terminated or truncated:
                break
    states, achieved, desired = (np.array([observation[key] for observation in seen]) for key in _PARTS)
    in_state = all((states == column[:, None]).all(axis=0).any() for column in achieved.T)
    best = _best_reward(env, name, achieved, desired, infos)
    coarse = coarse_entries(env.get_wrapper_attr("compute_reward"), *(np.array(side) for side in zip(*exact, strict=True)))
    if coarse:
        raise EnvError(f"{name}: {told_coarse(coarse[0])}")
    return Traits(in_state, best)


@dataclass(frozen=True, kw_only=True)
class CoarseEntry:
    """An entry of the goal whose moves, and whose tolerance, are a few steps of float32."""

    index: int
    value: float
    float_step: float  # from a float32 to the next one, there
    fastest: float  # the longest move in a step


def coarse_entries(reward: Callable[..., Any], before: Array, after: Array) -> list[CoarseEntry]:
    """(N, G), (N, G) float64 goals before and after steps: the entries in which float32 cannot tell those steps apart.

    Only where the env itself gives more digits than float32 has, moves by a few float32 steps at most, and has a tolerance of
    a few: then neither the motion nor the goal test survives the rounding.
    """
    fastest = np.abs(after - before).max(axis=0)
    float_steps = np.spacing(np.abs(after).max(axis=0).astype(np.float32)).astype(np.float64)
    finer = np.any(after != after.astype(np.float32), axis=0)
    found = []
    for entry in np.flatnonzero(finer & (fastest > 0) & (fastest < _FLOAT_STEPS * float_steps)):
        near = np.repeat(after[-1:], 2, axis=0)
        near[:, entry] += np.array([-1, 1]) * _FLOAT_STEPS * float_steps[entry]
        goals = np.repeat(after[-1:], 2, axis=0)
        at, off = (rewards_in_batch(reward, places, goals, [{}, {}]) for places in (goals, near))
        if not np.array_equal(at, off):
            found.append(
                CoarseEntry(
                    index=int(entry),
                    value=float(after[-1, entry]),
                    float_step=float(float_steps[entry]),
                    fastest=float(fastest[entry]),
                )
            )
    return found


def told_coarse(entry: CoarseEntry) -> str:
    """What is wrong, and what to do about it."""
    return (
        f"goal entry {entry.index} is about {entry.value:.10g} and moves by at most {entry.fastest:.2g} a step, but float32, in "
        f"which an agent sees it, has steps of {entry.float_step:.2g} there and cannot tell those apart; subtract a fixed "
        "origin from it in the env, in observation, achieved_goal and desired_goal alike"
    )


def check_spaces(env: gym.Env, name: str) -> None:
    """EnvError unless the parts of the observation and the action are flat Boxes, and goals are of no more than some entries."""
    space = env.observation_space
    for one in (space, env.action_space):
        if type(one).__module__.split(".")[0] == "gym":
            raise EnvError(f"{name} has spaces of the old gym; write: from gymnasium import spaces")
    if not isinstance(space, spaces.Dict) or set(_PARTS) - set(space.spaces):
        raise EnvError(
            f"{name} is no goal env: its observations must be a dict with {', '.join(_PARTS)}; a plain Box env "
            "becomes one by thalweg.GoalWrapper(env, goal_of=..., tolerance=..., sample_goal=...)"
        )
    for key in _PARTS:
        part = space[key]
        if isinstance(part, spaces.Dict):
            raise EnvError(
                f"{key} of {name} is a dict of {', '.join(map(str, part.spaces))}; make it one flat Box in a gym.Wrapper: "
                f"np.concatenate(list({key}.values())), and compute_reward of such rows"
            )
        if not isinstance(part, spaces.Box) or len(part.shape) != 1:
            raise EnvError(f"{key} of {name} must be a flat Box, got {part}; flatten it")
    goal = space["desired_goal"]
    if space["achieved_goal"].shape != goal.shape:
        raise EnvError(
            f"{name}: achieved_goal has shape {space['achieved_goal'].shape}, desired_goal {goal.shape}; give both the same: one "
            "is to become the other"
        )
    entries = spaces.flatdim(goal)
    if entries > MOST_GOAL_ENTRIES:
        raise EnvError(
            f"goals of {name} have {entries:,} entries, as a picture has; goals of at most {MOST_GOAL_ENTRIES} are supported: "
            "give what the picture shows (positions, angles), or the few numbers that an encoder of yours makes of it"
        )
    if not isinstance(env.action_space, spaces.Box) or not env.action_space.is_bounded():
        raise EnvError(f"the actions of {name} must be a bounded Box, as SAC needs, got {env.action_space}")


def _best_reward(env: gym.Env, name: str, achieved: Array, desired: Array, infos: list[dict[str, Any]]) -> float:
    """The reward at the goal, from all pairs of places; EnvError unless it is the better one of two."""
    reward = env.get_wrapper_attr("compute_reward")
    places = np.concatenate([achieved, desired])
    places = places[:: -(-len(places) // _PROBE_PLACES)]
    a, b = (places[index.ravel()] for index in np.indices((len(places), len(places))))
    rewards = _asked(reward, name, a, b)
    _check_rows(reward, name, a, b, rewards)
    env.reset(seed=_PROBE_EPISODES)
    if not np.array_equal(_asked(reward, name, a, b), rewards, equal_nan=True):
        raise EnvError(
            f"compute_reward of {name} gives the same goals another reward in another episode: it reads the env's own state; use "
            "achieved_goal and desired_goal alone"
        )
    at_goal, levels = np.unique(rewards[(a == b).all(axis=1)]), np.unique(rewards)
    if len(levels) == 1:
        raise EnvError(f"{name}: {_one_value_for_all(reward, float(levels[0]), a[:2], b[:2], infos)}")
    if len(at_goal) != 1 or len(levels) > 2 or levels[-1] > at_goal[0]:
        raise EnvError(
            f"the reward of {name} is not sparse: compute_reward must give one value at the goal and a lower one everywhere "
            "else, such as 0 and -1; choose the env's sparse variant, or override compute_reward in a gym.Wrapper: return "
            "-(np.linalg.norm(achieved_goal - desired_goal, axis=-1) > tolerance).astype(np.float32)"
        )
    return float(at_goal[0])


def _asked(reward: Callable[..., Any], name: str, achieved: Array, desired: Array) -> Array:
    """EnvError unless there is one reward a row."""
    try:
        rewards = rewards_in_batch(reward, achieved, desired, [{} for _ in achieved])
    except Exception as error:
        own = f"{type(error).__name__}: {error}"
        if isinstance(error, KeyError) or _is_about_dicts(error):
            raise EnvError(
                f"compute_reward of {name} needs info ({own}), which goals chosen in hindsight do not have; use achieved_goal "
                "and desired_goal alone"
            ) from error
        raise EnvError(f"compute_reward of {name} fails on a batch ({own}); write it for (B, G) arrays, with axis=-1") from error
    if rewards.shape != (len(achieved),):
        raise EnvError(f"compute_reward of {name} gives {rewards.shape} for a batch of {len(achieved)}; use axis=-1")
    return rewards


def _is_about_dicts(error: Exception) -> bool:
    """Whether a list of infos was read as if it were the info of one step."""
    return isinstance(error, TypeError | AttributeError) and "list" in str(error)


def _check_rows(reward: Callable[..., Any], name: str, achieved: Array, desired: Array, rewards: Array) -> None:
    """EnvError unless each row gets its reward whatever other rows are beside it."""
    rng = np.random.default_rng(0)
    for size in (len(achieved), *_SMALL_BATCHES):
        rows = rng.permutation(len(achieved))[:size]
        again = _asked(reward, name, achieved[rows], desired[rows])
        wrong = again != rewards[rows]
        if wrong.any() and np.isfinite(again[wrong]).all():
            row = int(np.argmax(wrong))
            raise EnvError(
                f"compute_reward of {name} gives the same two goals {rewards[rows[row]]:g} in one batch and {again[row]:g} in "
                "another: it mixes the rows of a batch; treat each row alone, with axis=-1"
            )


def _one_value_for_all(
    reward: Callable[..., Any], value: float, achieved: Array, desired: Array, infos: list[dict[str, Any]]
) -> str:
    """Why the reward is the same for all goals, one of which is reached: (2, G), (2, G) to ask with."""
    successes = [{**info, "is_success": True, "success": True} for info in (infos or [{}])[-2:]]
    told = successes if len(successes) == 2 else successes * 2
    try:
        reads_info = not np.array_equal(np.asarray(reward(achieved.copy(), desired.copy(), told)), [value, value])
    except Exception:
        reads_info = False
    if reads_info:
        return (
            f"compute_reward gives {value:g} for every two goals, even for a goal with itself, unless info says otherwise; goals "
            "chosen in hindsight have no info: use achieved_goal and desired_goal alone"
        )
    return (
        f"compute_reward gives {value:g} for every two goals, equal or far apart: nothing says when a goal is reached; pay 0 "
        "within a tolerance well below the size of the world, and -1 elsewhere"
    )
