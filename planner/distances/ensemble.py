"""Several distance models, the most pessimistic of which is believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..experience import Experience
from ..fitting import OnStep, ignore
from ..protocols import DistanceModel
from .q_value import QValueDistance
from .quasimetric import QuasimetricDistance

Array = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class EnsembleDistanceConfig:
    within: float = 60.0  # env steps by the first model: half as far again as the longest link of a plan

    def __post_init__(self) -> None:
        if not self.within > 0:
            raise ValueError(f"within must be positive, got {self.within}")


@dataclass(frozen=True, eq=False)
class EnsembleDistance:
    """A false short edge spoils a plan, a false long one costs a detour: so a pair is as far apart as any model says.

    Models of different kinds err in different places, which one kind trained twice does not (SoRB, arXiv:1906.05253,
    takes the maximum over critics of one kind). The models are asked in turn, each of the pairs that all before it call no
    farther than `within`: a plan's links are short, so the others need not be known any better, and a model that embeds
    each state once, asked first, spares one that looks at each pair most of its work.
    """

    models: Sequence[DistanceModel]
    within: float = np.inf  # env steps
    parts: ClassVar = ("quasimetric", "q_value")  # names of the models, in the order of `of`; each is sure where the other is not

    def __post_init__(self) -> None:
        if not self.models:
            raise ValueError("an ensemble needs at least one model")
        if not self.within > 0:
            raise ValueError(f"within must be positive, got {self.within}")

    @classmethod
    def fit(
        cls, experience: Experience, config: EnsembleDistanceConfig | None = None, on_step: OnStep = ignore
    ) -> EnsembleDistance:
        """Fits its `parts` anew; who keeps them hands them to `of`. ValueError and DivergedError as of these."""
        return cls.of([QuasimetricDistance.fit(experience, on_step=on_step), QValueDistance.fit(experience)], config)

    @classmethod
    def of(cls, models: Sequence[DistanceModel], config: EnsembleDistanceConfig | None = None) -> EnsembleDistance:
        """Of fitted models, one for each name in `parts`."""
        return cls(models, (config if config is not None else EnsembleDistanceConfig()).within)

    def pairwise(self, states: Array, goals: Array) -> Array:
        """(N, S), (M, G) -> (N, M) env steps."""
        steps = self.models[0].pairwise(states, goals)
        rows, columns = np.nonzero(steps <= self.within)
        steps[rows, columns] = self._rest(steps[rows, columns], states[rows], goals[columns])
        return steps

    def paired(self, states: Array, goals: Array) -> Array:
        """(B, S), (B, G) -> (B,)"""
        return self._rest(self.models[0].paired(states, goals), states, goals)

    def _rest(self, steps: Array, states: Array, goals: Array) -> Array:
        """(B,) by the first model -> (B,) by all."""
        steps = steps.copy()
        for model in self.models[1:]:
            near = np.flatnonzero(steps <= self.within)
            steps[near] = np.maximum(steps[near], model.paired(states[near], goals[near]))
        return steps
