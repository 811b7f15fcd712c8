"""Observations and rewards: of the form that the spaces promise, finite, and not changed behind the caller's back."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from .problem import Problem, kind_of, short
from .record import global_generators, holder, play_on, same, start_episode
from .subject import Subject


def check_observations(subject: Subject) -> Iterator[Problem]:
    """Every part of every observation is an array of its space's shape and dtype, finite, and inside its bounds."""
    space: Any = getattr(subject.first, "observation_space", None)
    parts = getattr(space, "spaces", None)
    seen = [observation for episode in subject.record.episodes for observation in episode.observations]
    seen += subject.record.by_seed
    if not isinstance(parts, dict):
        return
    odd = next((observation for observation in seen if not isinstance(observation, dict)), None)
    if odd is not None:
        fix = 'return {"observation": state, "achieved_goal": place, "desired_goal": self.goal.copy()}, info'
        yield Problem(check="observations", what=f"an observation is {kind_of(odd)}, no dict", fix=fix)
        return
    extra = sorted({str(key) for observation in seen for key in observation} - {str(key) for key in parts})
    if extra:
        fix = "drop it from the observation or declare it in observation_space"
        yield Problem(
            check="observations",
            what=f"the observation holds {', '.join(extra)}, which its space does not",
            fix=fix,
            severity="adapted",
        )
    for name, part in parts.items():
        if isinstance(part, spaces.Box):
            yield from _part_problems(name, part, [observation.get(name) for observation in seen])


def _part_problems(name: str, space: spaces.Box, values: list[Any]) -> Iterator[Problem]:
    """At most one problem of each kind: form, numbers that are not finite, bounds."""
    good = [value for value in values if isinstance(value, np.ndarray) and value.shape == space.shape]
    bad = next((value for value in values if not isinstance(value, np.ndarray) or value.shape != space.shape), None)
    if len(good) < len(values):
        what = f"{name} is {kind_of(bad)}; its space says an array of shape {space.shape}"
        yield Problem(check="observations", what=what, fix=f"return {name} as np.asarray(..., np.{space.dtype}), one entry each")
    dtypes = {value.dtype for value in good} - {space.dtype}
    if dtypes:
        found = ", ".join(sorted(str(dtype) for dtype in dtypes))
        what = f"{name} has dtype {found}; its space says {space.dtype}"
        yield Problem(check="observations", what=what, fix=f"{name} = {name}.astype(np.{space.dtype})")
    table = np.array([value for value in good if np.issubdtype(value.dtype, np.number)]).reshape(-1, *space.shape)
    finite = np.isfinite(table).reshape(len(table), -1).all(axis=1)
    if not finite.all():
        what = f"{name} is not finite in {np.sum(~finite)} of {len(table)} observations, such as {short(table[~finite][0])}"
        yield Problem(check="finite", what=what, fix="find the division by zero or the array that is read before it is filled")
    outside = ((table < space.low) | (table > space.high)) & finite.reshape(-1, *([1] * len(space.shape)))
    rows = np.argwhere(outside)
    if len(rows):
        entry = tuple(rows[0][1:])
        what = (
            f"{name}[{', '.join(map(str, entry))}] = {table[tuple(rows[0])]:g} lies outside its space "
            f"({space.low[entry]:g} to {space.high[entry]:g}), as in {len(set(rows[:, 0]))} of {len(table)} observations"
        )
        sampled = "draw goals inside desired_goal's Box" if name == "desired_goal" else "keep it there with np.clip"
        yield Problem(
            check="observations", what=what, fix=f"{sampled}, or widen the Box to what is really returned", severity="adapted"
        )


def check_rewards_finite(subject: Subject) -> Iterator[Problem]:
    """The reward of every step is a finite number."""
    steps = [step for episode in subject.record.episodes for step in episode.steps]
    rewards = [float(step.reward) for step in steps if isinstance(step.reward, (int, float, np.integer, np.floating))]
    bad = [reward for reward in rewards if not np.isfinite(reward)]
    if bad:
        what = f"the reward is {bad[0]} in {len(bad)} of {len(rewards)} steps"
        fix = "return -1.0, or 0.0 on the step that reaches the goal; look for log(0), 0/0 and NaN positions"
        yield Problem(check="finite", what=what, fix=fix, severity="adapted")


def check_aliasing(subject: Subject) -> Iterator[Problem]:
    """What reset and step return is the caller's to keep and to write on."""
    yield from _returned_arrays_that_changed(subject)
    yield from _arrays_lent_out(subject)


def _returned_arrays_that_changed(subject: Subject) -> Iterator[Problem]:
    for episode in subject.record.episodes:
        kept = [(episode.returned[0], episode.observation), *((step.returned[0], step.observation) for step in episode.steps)]
        pairs = [pair for pair in kept if isinstance(pair[0], dict) and isinstance(pair[1], dict)]
        changed = [key for now, then in pairs for key in then if not same(now.get(key), then[key])]
        if changed:
            name = changed[0]
            what = f"{name} of an earlier observation changes when the env steps on: a replay buffer would fill with one state"
            yield Problem(check="aliasing", what=what, fix=f'return a copy: "{name}": {name}.copy()', severity="adapted")
            break
    for episode in subject.record.episodes:
        infos = [step.returned[1] for step in episode.steps]
        if len(infos) > 1 and any(one is two for one, two in pairwise(infos)):
            what = "step returns the same info dict each time, so that earlier infos change"
            yield Problem(
                check="aliasing",
                what=what,
                fix='build a new one in each step: info = {"is_success": terminated}',
                severity="adapted",
            )
            return


def _arrays_lent_out(subject: Subject) -> Iterator[Problem]:
    """Two equal episodes, in one of which the caller writes on what it got: the env must not notice."""
    env = subject.env()  # of its own, since what is written may outlive a reset
    expected, again, after = (_after_one_step(env, subject.seed, write) for write in (False, False, True))
    if not isinstance(expected, dict) or not same(expected, again):
        return  # reported by the checks of observations and seeds
    moved = [name for name in expected if not same(after.get(name), expected[name])]
    if moved:
        what = f"writing on the observation that reset returned changes the env's own {moved[0]}"
        yield Problem(check="aliasing", what=what, fix=f'return a copy: "{moved[0]}": {moved[0]}.copy()', severity="adapted")


def _after_one_step(env: gym.Env, seed: int, write: bool) -> Any:
    """The observation of the first step, after the caller has written on the reset's, if so told."""
    with global_generators(seed):
        episode = start_episode(env, seed)
        lent = episode.returned[0]
        for value in lent.values() if write and isinstance(lent, dict) else ():
            if isinstance(value, np.ndarray) and value.flags.writeable and np.issubdtype(value.dtype, np.floating):
                value += 1
        return play_on(env, episode, holder(env.action_space), 1).steps[0].observation
