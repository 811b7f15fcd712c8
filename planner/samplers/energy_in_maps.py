"""Nodes imagined by an energy model that sees a picture of the map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..energy.between import BetweenModel
from ..energy.config import ENERGY_IN_MAPS, EnergyArchitecture, EnergyConfig, SamplingConfig
from ..energy.model import EnergyModel
from ..experience import Experience
from ..fitting import OnStep, ignore
from ..networks.stored import State

Array = NDArray[np.floating]

# Candidates come from all over a map, and few lie where a fraction of a way does.
_SAMPLING = SamplingConfig(proposals=600, least_effective=0.0)


@dataclass(frozen=True, eq=False)
class LayoutEnergySampler:
    """As `EnergySampler`, but a picture of the map is part of the context: what is learnt in some maps serves in others."""

    model: BetweenModel
    experience: Experience
    config: SamplingConfig = _SAMPLING

    @classmethod
    def fit(cls, experience: Experience, config: EnergyConfig | None = None, on_step: OnStep = ignore) -> LayoutEnergySampler:
        """ValueError where no two places of any map can be joined, or there is one map; DivergedError if the loss diverges."""
        config = config if config is not None else ENERGY_IN_MAPS
        layout = experience.maps.pictured()
        paths, pictures = experience.paths_in_maps()
        weights = np.ones(len(paths), np.float32)
        return cls(BetweenModel.fit_in_maps(paths, weights, pictures, layout, config, experience.seed, on_step), experience)

    @classmethod
    def steps_to_fit(cls, experience: Experience, config: EnergyConfig | None = None) -> int:
        """Gradient steps of `fit`: how often it calls `on_step`."""
        return (config if config is not None else ENERGY_IN_MAPS).train_steps

    def state(self) -> State:
        """Weights, and the settings with the architecture; what `from_state` reads."""
        return self.model.model.state()

    @classmethod
    def from_state(
        cls, tensors: Mapping[str, Tensor], settings: Mapping[str, Any], experience: Experience
    ) -> LayoutEnergySampler:
        """OtherVersionError where they do not fit."""
        layout = experience.maps.pictured()
        # what a run of the first edition did not store
        first = asdict(EnergyArchitecture(size=2, context_size=5 + layout.size, between=True, picture=layout.shape))
        model = EnergyModel.from_state(tensors, {"architecture": first, **settings})
        return cls(BetweenModel(model), experience)

    def sample(self, state: Array, goal: Array, num_samples: int, rng: np.random.Generator) -> Array:
        goals = self.model.sample(
            self.experience.goal_of(state), goal, num_samples, self.config, rng, self.experience.picture(state)
        )
        return self.experience.lift(goals)
