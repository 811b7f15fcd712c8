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

_NEIGHBOURS = 8  # visited states that lie, in the median, within the distance at which a place counts as visited


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
        tree = cKDTree(self.goal_of(self.states))
        some = tree.data[:: max(1, len(self.states) // 2_000)]
        gaps = tree.query(some, k=_NEIGHBOURS)[0][:, -1]  # inf where there are fewer states
        object.__setattr__(self, "_tree", tree)
        object.__setattr__(self, "_gate", float(np.median(gaps[np.isfinite(gaps)])) if np.isfinite(gaps).any() else 0.0)

    @classmethod
    def fit(cls, data: Sequence[Trajectory], model: EnergyModel, config: SamplingConfig | None = None) -> EnergySampler:
        states = np.concatenate([trajectory.states for trajectory in data])
        return cls(model, states, GoalEntries.infer(data), config if config is not None else SamplingConfig())

    def sample(self, state: Array, goal: Array, num_samples: int, rng: np.random.Generator) -> Array:
        goals = self.model.sample(self.goal_of(state), goal, num_samples, self.config, rng)
        gaps, nearest = self._tree.query(goals)  # type: ignore[attr-defined]
        states = self.states[nearest]
        # A place where nobody has been may be inside a wall: there the nearest visited state stands in as it is.
        been = gaps <= self._gate  # type: ignore[attr-defined]
        states[been] = self.goal_of.lift(goals[been], states[been])
        return states
