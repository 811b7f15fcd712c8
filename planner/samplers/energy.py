"""Nodes imagined by the conditional energy model: the sampler of the main job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ..data import GoalEntries, Trajectory
from ..energy.config import SamplingConfig
from ..energy.model import EnergyModel

Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class EnergySampler:
    """States that lie between this start and this goal, spread over the way by fractions of its length.

    The model generates goals; each becomes a full state by the remaining entries of the nearest visited state.
    """

    model: EnergyModel
    states: Array  # (M, S) visited
    goal_of: GoalEntries
    config: SamplingConfig = field(default_factory=SamplingConfig)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_tree", cKDTree(self.goal_of(self.states)))

    @classmethod
    def fit(cls, data: Sequence[Trajectory], model: EnergyModel, config: SamplingConfig | None = None) -> EnergySampler:
        states = np.concatenate([trajectory.states for trajectory in data])
        return cls(model, states, GoalEntries.infer(data), config if config is not None else SamplingConfig())

    def sample(self, state: Array, goal: Array, num_samples: int, rng: np.random.Generator) -> Array:
        goals = self.model.sample(self.goal_of(state), goal, num_samples, self.config, rng)
        _, nearest = self._tree.query(goals)  # type: ignore[attr-defined]
        return self.goal_of.lift(goals, self.states[nearest])
