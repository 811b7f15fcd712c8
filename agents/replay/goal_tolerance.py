"""What counts as reached in hindsight."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from thalweg.planner.goal_space import GoalSpace

Array = NDArray[np.floating]

_SCALES = np.geomspace(1.0, 64.0, 73)  # at which the env's own test is tried; 6 % apart


class GoalTest:
    """An env's own, but no wider than a few steps of the agent.

    A plan is a chain of places, so "reached" must mean that the agent is there. Where the env is lenient, a place behind a
    wall counts as reached from this side, and chains of such places lead through walls. `fit` therefore shrinks the test of
    hindsight's samples; the env's own ends its episodes as ever.
    """

    def __init__(self, env: VecEnv) -> None:
        self._env = env
        self.scale = 1.0
        self.space: GoalSpace | None = None  # of the goals; None where no entry is known to wrap

    def ask(self, env: VecEnv) -> None:
        """Another env of the same kind."""
        self._env = env

    def rewards(self, achieved: Array, goals: Array) -> Array:
        """(B, G), (B, G) -> (B,): 0 where the goal is reached even at `scale` times the offset from it, else -1."""
        return self._rewards(achieved, goals, self.scale)

    def fit(self, goals: Array, moves: Array, within: float) -> None:
        """Shrink the test to `within` typical steps, where it is wider; 0 keeps it.

        Goals (N, G) were achieved, and how far a step then moved them is (N, G). Typical is the 95th percentile of the steps that
        moved them at all.
        """
        if within == 0:
            return
        moved = (moves != 0).any(axis=1)
        if moved.mean() < 0.05:  # an object that is seldom pushed says too little of its steps
            return
        goals, offsets = goals[moved], within * moves[moved]
        passing = [scale for scale in _SCALES if (self._rewards(goals + offsets, goals, scale) == 0.0).mean() >= 0.95]
        self.scale = float(max(passing, default=1.0))

    def _rewards(self, achieved: Array, goals: Array, scale: float) -> Array:
        places = achieved if scale == 1.0 else self._farther(achieved, goals, scale).astype(goals.dtype)
        (rewards,) = self._env.env_method("compute_reward", places, goals, [{}] * len(goals), indices=[0])
        return np.array(rewards, dtype=np.float32)  # a copy: an env may write its next ones where these lie

    def _farther(self, achieved: Array, goals: Array, scale: float) -> Array:
        """(B, G), (B, G) -> (B, G): so many times as far from the goals, and where an entry wraps no farther than half a turn:
        beyond that it would come near again."""
        if self.space is None:
            return goals + scale * (achieved - goals)
        offsets = scale * self.space.offsets(goals, achieved)
        halves = np.where(self.space.boxes > 0, np.array(self.space.periods) / 2, np.inf)
        return self.space.wrapped(goals + offsets.clip(-halves, halves))
