"""Nodes imagined by the conditional energy model: the sampler of the main job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..data.trajectories import typical_step
from ..energy.between import BetweenModel
from ..energy.config import ENERGY_IN_MAPS, EnergyArchitecture, EnergyConfig, SamplingConfig
from ..energy.model import EnergyModel
from ..energy.train import CENTRES, PLACE_FEATURES
from ..experience import Experience
from ..fitting import OnStep, ignore
from ..networks.stored import State, reading

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
    def fit(cls, experience: Experience, config: EnergyConfig | None = None, on_step: OnStep = ignore) -> EnergySampler:
        """ValueError where no two visited states can be joined; DivergedError if the loss diverges."""
        config = config if config is not None else cls.usual_config(experience)
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

    @staticmethod
    def usual_config(experience: Experience) -> EnergyConfig:
        return EnergyConfig() if experience.layout is None else ENERGY_IN_MAPS

    @classmethod
    def steps_to_fit(cls, experience: Experience, config: EnergyConfig | None = None) -> int:
        """Gradient steps of `fit`: how often it calls `on_step`."""
        return (config if config is not None else cls.usual_config(experience)).train_steps

    def state(self) -> State:
        """Weights, and the settings with the architecture; what `from_state` reads."""
        return self.model.model.state()

    @classmethod
    def from_state(cls, tensors: Mapping[str, Tensor], settings: Mapping[str, Any], experience: Experience) -> EnergySampler:
        """OtherVersionError where they do not fit."""
        if "architecture" not in settings:
            with reading("energy model"):
                settings = {**settings, "architecture": _first_architecture(settings, experience)}
        return cls.of(BetweenModel(EnergyModel.from_state(tensors, settings)), experience)

    def sample(self, state: Array, goal: Array, num_samples: int, rng: np.random.Generator) -> Array:
        start, picture = self.experience.goal_of(state), self.experience.picture(state)
        goals = self.model.sample(start, goal, num_samples, self.config, rng, picture)
        return self.experience.lift(goals)


def _first_architecture(settings: Mapping[str, Any], experience: Experience) -> dict[str, Any]:
    """Of a run of the first edition, which did not store it: there was one for one map, and one for many."""
    size, layout = experience.goals.shape[1], experience.layout
    if layout is not None:
        return asdict(EnergyArchitecture(size=2, context_size=5 + layout.size, between=True, picture=layout.shape))
    centres = min(CENTRES, len(experience.goals)) if settings["proposal"]["kernels"] else 0
    return asdict(
        EnergyArchitecture(size=size, context_size=2 * size + 1, between=True, centres=centres, features=PLACE_FEATURES)
    )
