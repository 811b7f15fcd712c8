"""Nodes imagined by the conditional energy model: the sampler of the main job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..energy.between import BetweenModel
from ..energy.config import EnergyArchitecture, EnergyConfig, SamplingConfig
from ..energy.model import EnergyModel
from ..energy.train import CENTRES, PLACE_FEATURES
from ..experience import Experience
from ..fitting import OnStep, ignore
from ..networks.stored import State, reading

Array = NDArray[np.floating]


_THINNED = 8  # of so many points of a path one stands for where it goes


@dataclass(frozen=True, eq=False)
class EnergySampler:
    """States that lie between this start and this goal, spread over the way by fractions of its length.

    The model generates goals; each becomes a full state by the remaining entries of the nearest visited state. Where maps are
    many there is `LayoutEnergySampler`.
    """

    model: BetweenModel
    experience: Experience
    config: SamplingConfig = field(default_factory=SamplingConfig)

    @classmethod
    def fit(cls, experience: Experience, config: EnergyConfig | None = None, on_step: OnStep = ignore) -> EnergySampler:
        """ValueError where no two visited states can be joined; DivergedError if the loss diverges."""
        config = config if config is not None else EnergyConfig()
        paths, weights = experience.paths()
        visited, space = unwrapped_goals(experience, paths), experience.space
        model = BetweenModel.fit(paths, weights, visited, config, experience.seed, on_step, space)
        return cls(model, experience)

    @classmethod
    def steps_to_fit(cls, experience: Experience, config: EnergyConfig | None = None) -> int:
        """Gradient steps of `fit`: how often it calls `on_step`."""
        return (config if config is not None else EnergyConfig()).train_steps

    def state(self) -> State:
        """Weights, and the settings with the architecture; what `from_state` reads."""
        return self.model.model.state()

    @classmethod
    def from_state(cls, tensors: Mapping[str, Tensor], settings: Mapping[str, Any], experience: Experience) -> EnergySampler:
        """OtherVersionError where they do not fit."""
        if "architecture" not in settings:
            with reading("energy model"):
                settings = {**settings, "architecture": _first_architecture(settings, experience)}
        return cls(BetweenModel(EnergyModel.from_state(tensors, settings)), experience)

    def sample(self, state: Array, goal: Array, num_samples: int, rng: np.random.Generator) -> Array:
        start = self.experience.space.wrapped(self.experience.goal_of(state))
        goal = self.experience.space.beside(start, goal)
        goals = self.model.sample(start, goal, num_samples, self.config, rng, self.experience.picture(state))
        return self.experience.lift(goals)


def unwrapped_goals(experience: Experience, paths: Array) -> Array:
    """(M, G): all visited goals, or, where an entry wraps, points of the paths, which go on beyond its ends."""
    return paths[:, ::_THINNED].reshape(-1, paths.shape[2]) if experience.space.wraps else experience.goals


def _first_architecture(settings: Mapping[str, Any], experience: Experience) -> dict[str, Any]:
    """Of a run of the first edition, which did not store it: there was one for one map."""
    size = experience.goals.shape[1]
    centres = min(CENTRES, len(experience.goals)) if settings["proposal"]["kernels"] else 0
    return asdict(
        EnergyArchitecture(size=size, context_size=2 * size + 1, between=True, centres=centres, features=PLACE_FEATURES)
    )
