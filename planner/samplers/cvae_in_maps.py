"""Nodes imagined by a conditional variational autoencoder that sees a picture of the map, as in HTM (arXiv:2002.12336)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..energy.between import POINTS_PER_PATH
from ..experience import Experience
from ..fitting import OnStep, ignore, seeded
from ..networks.stored import State, reading
from .cvae import imagined, stored_config, train
from .cvae_networks import CVAE_IN_MAPS, CvaeConfig, LayoutCvae

Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class LayoutCvaeSampler:
    """As `CvaeSampler`, but a picture of the map is part of the context: what is learnt in some maps serves in others."""

    model: LayoutCvae
    experience: Experience
    config: CvaeConfig

    @classmethod
    def fit(cls, experience: Experience, config: CvaeConfig | None = None, on_step: OnStep = ignore) -> LayoutCvaeSampler:
        """Learn the points of `experience.paths_in_maps`, several of each path: a map is dear to look at.

        ValueError where no two places of any map can be joined, or there is one map; DivergedError if the loss diverges.
        """
        config = config if config is not None else CVAE_IN_MAPS
        with seeded(experience.seed):
            model = LayoutCvae(experience.maps.pictured(), config)
        paths, pictures = experience.paths_in_maps()
        weights = np.ones(len(paths), np.float32)
        train(model, paths, paths[:, -1], weights, pictures, POINTS_PER_PATH, config, experience.seed, on_step)
        return cls(model.eval().requires_grad_(False), experience, config)

    def sample(self, state: Array, goal: Array, num_samples: int, rng: np.random.Generator) -> Array:
        return imagined(self.model, self.experience, state, goal, num_samples, rng)

    @classmethod
    def steps_to_fit(cls, experience: Experience, config: CvaeConfig | None = None) -> int:
        """Gradient steps of `fit`: how often it calls `on_step`."""
        return (config if config is not None else CVAE_IN_MAPS).train_steps

    def state(self) -> State:
        """Weights, and the settings with the size of a goal; what `from_state` reads."""
        return self.model.state_dict(), {**asdict(self.config), "goal_size": self.experience.goals.shape[1]}

    @classmethod
    def from_state(cls, tensors: Mapping[str, Tensor], settings: Mapping[str, Any], experience: Experience) -> LayoutCvaeSampler:
        """OtherVersionError where they do not fit."""
        with reading("cvae sampler"):
            config, _ = stored_config(settings, experience)
            model = LayoutCvae(experience.maps.pictured(), config)
            model.load_state_dict(dict(tensors))
        return cls(model.eval().requires_grad_(False), experience, config)
