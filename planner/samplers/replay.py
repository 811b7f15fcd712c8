"""Nodes from the replay buffer (SoRB, arXiv:1906.05253)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..experience import Experience
from ..fitting import OnStep, ignore

Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class ReplaySampler:
    """Visited states, uniformly; the same for every start and goal."""

    states: Array  # (M, S)

    @classmethod
    def fit(cls, experience: Experience, config: None = None, on_step: OnStep = ignore) -> ReplaySampler:
        return cls(experience.clear_states)

    def sample(self, state: Array, goal: Array, num_samples: int, rng: np.random.Generator) -> Array:
        return self.states[rng.integers(len(self.states), size=num_samples)]
