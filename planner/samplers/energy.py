"""Nodes imagined by the conditional energy model: the sampler of the main job."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..energy.between import BetweenModel
from ..energy.config import EnergyConfig, SamplingConfig
from ..experience import Experience

Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class EnergySampler:
    """States that lie between this start and this goal, spread over the way by fractions of its length.

    The model generates goals; each becomes a full state by the remaining entries of the nearest visited state.
    """

    model: BetweenModel
    experience: Experience
    config: SamplingConfig = field(default_factory=SamplingConfig)

    @classmethod
    def fit(
        cls,
        experience: Experience,
        config: EnergyConfig | None = None,
        on_step: Callable[[int, float], None] = lambda step, loss: None,
    ) -> EnergySampler:
        """ValueError where no two visited states can be joined; DivergedError if the loss diverges."""
        config = config if config is not None else EnergyConfig()
        return cls(BetweenModel.fit(*experience.paths, experience.goals, config, experience.seed, on_step), experience)

    def sample(self, state: Array, goal: Array, num_samples: int, rng: np.random.Generator) -> Array:
        goals = self.model.sample(self.experience.goal_of(state), goal, num_samples, self.config, rng)
        return self.experience.lift(goals)
