"""The env's own truth, where it has one: a ceiling for planners, not a distance that anybody may learn from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..experience import Experience
from ..fitting import OnStep, ignore
from .batching import all_pairs

Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class OracleDistance:
    true_steps: Callable[[Array, Array], Array]  # (N, S), (N, G) -> (N,) env steps, inf where there is no way

    @classmethod
    def fit(cls, experience: Experience, config: None = None, on_step: OnStep = ignore) -> OracleDistance:
        """ValueError if the env does not know its true distances."""
        true_steps = experience.world.shortest_steps if experience.world is not None else None
        if true_steps is None:
            raise ValueError("the env does not know its true distances: there is no oracle for it; take another distance")
        return cls(true_steps)

    def pairwise(self, states: Array, goals: Array) -> Array:
        """(N, S), (M, G) -> (N, M) env steps."""
        return all_pairs(self.paired, states, goals)

    def paired(self, states: Array, goals: Array) -> Array:
        """(B, S), (B, G) -> (B,)"""
        return self.true_steps(states, goals).astype(np.float32)
