"""The env's own truth, where it has one: a ceiling for planners, not a distance that anybody may learn from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .batching import all_pairs

Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class OracleDistance:
    true_steps: Callable[[Array, Array], Array]  # (N, S), (N, G) -> (N,) env steps, inf where there is no way

    def pairwise(self, states: Array, goals: Array) -> Array:
        """(N, S), (M, G) -> (N, M) env steps."""
        return all_pairs(self.paired, states, goals)

    def paired(self, states: Array, goals: Array) -> Array:
        """(B, S), (B, G) -> (B,)"""
        return self.true_steps(states, goals).astype(np.float32)
