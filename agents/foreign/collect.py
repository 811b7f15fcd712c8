"""Fresh drives, where there is nothing yet to learn distances and energies from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.planner.data.trajectories import Trajectory
from thalweg.planner.evaluation.episodes import Episode, spoken_name
from thalweg.planner.protocols import GoalPolicy

Array = NDArray[np.floating]

_PURSUED = 50  # env steps after which another goal is headed for: at a wall an agent would stand for the rest of the episode
_OWN = 0.5  # share of pursuits that head for the env's own goal; the others for a place visited before


def collect(
    policy: GoalPolicy,
    make_env: Callable[[], Any],
    steps: int,
    seed: int,
    noise: float = 0.3,
    on_step: Callable[[int], None] = lambda step: None,
) -> list[Trajectory]:
    """Drive at least `steps` env steps, whole episodes, with Gaussian noise on the actions [half their range].

    An agent that only heads for the env's goals sees what lies on its way there. So every other pursuit is of a place that was
    visited before, in any episode. `on_step` is told how many steps are done. NotFiniteError if the env or the policy gives what
    is not finite; ValueError if there is nothing to drive.
    """
    if steps < 1 or noise < 0:
        raise ValueError(f"steps must be at least 1 and noise not negative, got {steps} and {noise}")
    env, rng = make_env(), np.random.default_rng(seed)
    found: list[Trajectory] = []
    done = 0
    try:
        while done < steps:
            trajectory = _drive(policy, env, int(rng.integers(2**31)), found, noise, rng)
            found.append(trajectory)
            done += len(trajectory) - 1
            on_step(done)
    finally:
        env.close()
    return found


def _drive(
    policy: GoalPolicy, env: Any, seed: int, before: list[Trajectory], noise: float, rng: np.random.Generator
) -> Trajectory:
    """One episode, to its end."""
    low, high = env.action_space.low, env.action_space.high
    episode = Episode.begin(env, spoken_name(env), seed)
    states, actions = [episode.observation["observation"]], []
    goal, carried = episode.observation["desired_goal"], None
    while not episode.over:
        fresh = episode.steps % _PURSUED == 0
        if fresh:
            goal, carried = _goal(before, episode.observation["desired_goal"], rng), None
        batch = {key: values[None] for key, values in {**episode.observation, "desired_goal": goal}.items()}
        answer, carried = policy.predict(batch, carried, np.array([fresh]), deterministic=False)
        action = answer[0] + noise * (high - low) / 2 * rng.standard_normal(low.shape)
        actions.append(np.clip(action, low, high).astype(low.dtype))
        episode.step(actions[-1])
        states.append(episode.observation["observation"])
    return Trajectory(*(np.array(values, dtype=np.float32) for values in (states, episode.trail, actions)))


def _goal(before: list[Trajectory], own: Array, rng: np.random.Generator) -> Array:
    if not before or rng.random() < _OWN:
        return own
    goals = before[rng.integers(len(before))].goals
    return goals[rng.integers(len(goals))]
