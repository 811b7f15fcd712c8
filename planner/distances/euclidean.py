"""Straight-line distance, the short way round, at the agent's usual speed: the baseline that every learned distance must beat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..experience import Experience
from ..fitting import OnStep, ignore
from ..goal_space import GoalSpace

Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class EuclideanDistance:
    """Env steps as if nothing stood in the way."""

    goal_of: Callable[[Array], Array]  # (..., S) -> (..., G)
    space: GoalSpace  # a move per env step

    @classmethod
    def fit(cls, experience: Experience, config: None = None, on_step: OnStep = ignore) -> EuclideanDistance:
        """The speed is a move of the goals' space. ValueError if nothing moves."""
        if not experience.space.moves:
            raise ValueError("no trajectory moves; a speed cannot be told")
        return cls(experience.goal_of, experience.space)

    def pairwise(self, states: Array, goals: Array) -> Array:
        """(N, S), (M, G) -> (N, M) env steps, at least 1."""
        return self._steps(self.goal_of(states)[:, None], goals)

    def paired(self, states: Array, goals: Array) -> Array:
        """(B, S), (B, G) -> (B,)"""
        return self._steps(self.goal_of(states), goals)

    def _steps(self, starts: Array, ends: Array) -> Array:
        """(..., G), (..., G) -> (...)"""
        return np.maximum(self.space.gap(starts, ends), 1.0).astype(np.float32)
