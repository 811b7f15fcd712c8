"""Several distance models, the most pessimistic of which is believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..protocols import DistanceModel

Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class EnsembleDistance:
    """A false short edge spoils a plan, a false long one costs a detour: so a pair is as far apart as any model says.

    Models of different kinds err in different places, which one kind trained twice does not (SoRB, arXiv:1906.05253,
    takes the maximum over critics of one kind).
    """

    models: Sequence[DistanceModel]

    def __post_init__(self) -> None:
        if not self.models:
            raise ValueError("an ensemble needs at least one model")

    def pairwise(self, states: Array, goals: Array) -> Array:
        """(N, S), (M, G) -> (N, M) env steps."""
        steps = self.models[0].pairwise(states, goals)
        for model in self.models[1:]:
            steps = np.maximum(steps, model.pairwise(states, goals))
        return steps
