"""The batched env gives the numbers of single envs with the same seeds and actions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode

from .problem import Problem, call
from .record import Array, copy_of, same, walker
from .subject import Subject

_NUM_ENVS = 3
_MAX_STEPS = 400


def check_batch(subject: Subject) -> Iterator[Problem]:
    """make_vec against single envs: observations, rewards and endings, past a reset where episodes are short."""
    assert subject.make_batch is not None
    batch = call("making the batch", subject.make_batch, _NUM_ENVS)
    try:
        mode = batch.metadata.get("autoreset_mode")
        if mode != AutoresetMode.NEXT_STEP:
            what = f"the batch's metadata gives autoreset_mode {mode}; single envs are reset on the step after an episode's end"
            fix = 'metadata = {"autoreset_mode": gym.vector.AutoresetMode.NEXT_STEP}, and reset on the next step'
            yield Problem(check="batch", what=what, fix=fix, severity="adapted")
            return
        yield from _differences(subject, batch)
    finally:
        batch.close()


def _differences(subject: Subject, batch: gym.vector.VectorEnv) -> Iterator[Problem]:
    """The first difference, if any."""
    singles = [subject.env() for _ in range(_NUM_ENVS)]
    walks = [walker(single.action_space, np.random.default_rng(index)) for index, single in enumerate(singles)]
    observations: Any = call("reset of the batch", batch.reset, seed=subject.seed)[0]
    answers: list[Any] = []
    for index, single in enumerate(singles):
        observation = call("reset of a single env", single.reset, seed=subject.seed + index)[0]
        answers.append((copy_of(observation), 0.0, False, False))
    longest = max((len(episode.steps) for episode in subject.record.still), default=0)
    rewards = ends = cuts = np.zeros(_NUM_ENVS)
    for number in range(min(longest + 10, _MAX_STEPS) + 1):
        for index, answer in enumerate(answers):
            name = _first_difference(answer, index, observations, rewards, ends, cuts)
            if name is not None:
                what = f"env {index} of the batch and a single env of its seed differ in {name} at step {number}"
                fix = "give env i of the batch seed + i, and move, reward, end and reset it as step and reset do"
                yield Problem(check="batch", what=what, fix=fix, severity="adapted")
                return
        actions = np.stack([walk(None, number + 1) for walk in walks])
        kept: Array = actions.copy()
        observations, rewards, ends, cuts, _ = call(f"step {number + 1} of the batch", batch.step, actions)
        answers = [_step_or_reset(single, answer, action) for single, answer, action in zip(singles, answers, kept, strict=True)]


def _step_or_reset(env: gym.Env, last: Any, action: Array) -> Any:
    if last[2] or last[3]:
        return copy_of(call("reset()", env.reset)[0]), 0.0, False, False
    observation, reward, terminated, truncated, _ = call("a step of a single env", env.step, action)
    return copy_of(observation), reward, terminated, truncated


def _first_difference(single: Any, index: int, observations: Any, rewards: Array, ends: Array, cuts: Array) -> str | None:
    observation, reward, terminated, truncated = single
    if not isinstance(observations, dict) or not isinstance(observation, dict):
        return None if same(observation, observations[index]) else "the observation"
    for name, part in observation.items():
        if name not in observations or not same(part, observations[name][index]):
            return name
    flags = (("reward", reward, rewards), ("terminated", terminated, ends), ("truncated", truncated, cuts))
    return next((name for name, one, many in flags if not same(one, many[index])), None)
