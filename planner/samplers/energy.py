"""Nodes imagined by the conditional energy model: the sampler of the main job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..data import GoalEntries, Trajectory, VisitedPlaces
from ..energy.between import BetweenModel
from ..energy.config import SamplingConfig

Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class EnergySampler:
    """States that lie between this start and this goal, spread over the way by fractions of its length.

    The model generates goals; each becomes a full state by the remaining entries of the nearest visited state.
    """

    model: BetweenModel
    states: Array  # (M, S) visited
    goal_of: GoalEntries
    config: SamplingConfig = field(default_factory=SamplingConfig)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_visited", VisitedPlaces(self.goal_of(self.states)))

    @classmethod
    def fit(cls, data: Sequence[Trajectory], model: BetweenModel, config: SamplingConfig | None = None) -> EnergySampler:
        states = np.concatenate([trajectory.states for trajectory in data])
        return cls(model, states, GoalEntries.infer(data), config if config is not None else SamplingConfig())

    def sample(self, state: Array, goal: Array, num_samples: int, rng: np.random.Generator) -> Array:
        goals = self.model.sample(self.goal_of(state), goal, num_samples, self.config, rng)
        visited: VisitedPlaces = self._visited  # type: ignore[attr-defined]
        states = self.states[visited.nearest(goals)]
        # A place where nobody has been may be inside a wall: there the nearest visited state stands in as it is.
        been = visited.hold(goals)
        states[been] = self.goal_of.lift(goals[been], states[been])
        return states
