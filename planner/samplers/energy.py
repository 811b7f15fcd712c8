"""Nodes imagined by the conditional energy model: the sampler of the main job."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..data.trajectories import typical_step
from ..energy.between import BetweenModel
from ..energy.config import ENERGY_IN_MAPS, EnergyConfig, SamplingConfig
from ..experience import Experience

Array = NDArray[np.floating]

# In many maps candidates come from all over one, and few lie where a fraction of a way does.
_IN_MAPS = SamplingConfig(proposals=600, least_effective=0.0)


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
        if config is None:
            config = EnergyConfig() if experience.layout is None else ENERGY_IN_MAPS
        if experience.layout is None:
            step = typical_step(experience.trajectories)
            model = BetweenModel.fit(*experience.paths(), experience.goals, config, experience.seed, on_step, step_length=step)
        else:
            paths, pictures = experience.paths_in_maps()
            weights = np.ones(len(paths), np.float32)
            model = BetweenModel.fit_in_maps(paths, weights, pictures, experience.layout, config, experience.seed, on_step)
        return cls.of(model, experience)

    @classmethod
    def of(cls, model: BetweenModel, experience: Experience) -> EnergySampler:
        """With the settings for drawing in one map or in many."""
        return cls(model, experience, SamplingConfig() if experience.layout is None else _IN_MAPS)

    def sample(self, state: Array, goal: Array, num_samples: int, rng: np.random.Generator) -> Array:
        start, picture = self.experience.goal_of(state), self.experience.picture(state)
        goals = self.model.sample(start, goal, num_samples, self.config, rng, picture)
        return self.experience.lift(goals)
