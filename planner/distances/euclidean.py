"""Straight-line distance at the agent's usual speed: the baseline that every learned distance must beat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..data.trajectories import typical_step
from ..experience import Experience
from ..fitting import OnStep, ignore

Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class EuclideanDistance:
    """Env steps as if nothing stood in the way."""

    goal_of: Callable[[Array], Array]  # (..., S) -> (..., G)
    step_length: float  # goal units per env step

    @classmethod
    def fit(cls, experience: Experience, config: None = None, on_step: OnStep = ignore) -> EuclideanDistance:
        """The speed is a `typical_step`. ValueError if nothing moves."""
        step_length = typical_step(experience.trajectories)
        if step_length == 0:
            raise ValueError("no trajectory moves; a speed cannot be told")
        return cls(experience.goal_of, step_length)

    def pairwise(self, states: Array, goals: Array) -> Array:
        """(N, S), (M, G) -> (N, M) env steps, at least 1."""
        return self._steps(self.goal_of(states)[:, None] - goals)

    def paired(self, states: Array, goals: Array) -> Array:
        """(B, S), (B, G) -> (B,)"""
        return self._steps(self.goal_of(states) - goals)

    def _steps(self, offsets: Array) -> Array:
        """(..., G) -> (...)"""
        return np.maximum(np.linalg.norm(offsets, axis=-1) / self.step_length, 1.0).astype(np.float32)
