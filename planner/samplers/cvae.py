"""Nodes imagined by a conditional variational autoencoder (HTM, arXiv:2002.12336)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..data.trajectories import typical_step
from ..energy.between import POINTS_PER_PATH, point_at
from ..energy.model import generator_from
from ..experience import Experience
from ..fitting import OnStep, adam, descend, ignore, seeded
from ..networks.stored import State, reading, with_sizes
from .cvae_networks import CVAE_IN_MAPS, Cvae, CvaeConfig, LayoutCvae

Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class CvaeSampler:
    """States that the decoder imagines between this start and this goal, all along the way.

    It generates goals; each becomes a full state by the remaining entries of the nearest visited state. In one map the context
    is start and goal, and the map is what was learnt; in many it is a picture of the map, too, as in HTM.
    """

    model: Cvae | LayoutCvae
    experience: Experience
    config: CvaeConfig

    @classmethod
    def fit(cls, experience: Experience, config: CvaeConfig | None = None, on_step: OnStep = ignore) -> CvaeSampler:
        """Learn the points of `experience.paths` at uniform fractions of their lengths, paths drawn by their weights.

        ValueError where no two visited states can be joined; DivergedError if the loss diverges.
        """
        layout = experience.layout
        config = config if config is not None else cls.usual_config(experience)
        with seeded(experience.seed):
            model = Cvae(experience.goals.shape[1], config) if layout is None else LayoutCvae(layout, config)
        if isinstance(model, LayoutCvae):
            paths, pictures = experience.paths_in_maps()
            weights, per_path = np.ones(len(paths), np.float32), POINTS_PER_PATH
        else:
            (paths, weights), per_path = experience.paths(), 1
            pictures = np.zeros((len(paths), 0), np.float32)
            model.fit(experience.goals, typical_step(experience.trajectories))
        _train(model, paths, weights, pictures, per_path, config, experience.seed, on_step)
        return cls(model.eval().requires_grad_(False), experience, config)

    def sample(self, state: Array, goal: Array, num_samples: int, rng: np.random.Generator) -> Array:
        parts = self.experience.goal_of(state), goal, self.experience.picture(state)
        starts, goals, pictures = (torch.as_tensor(np.float32(part)).expand(num_samples, -1) for part in parts)
        return self.experience.lift(self.model.imagine(starts, goals, pictures, generator_from(rng)).numpy())

    @staticmethod
    def usual_config(experience: Experience) -> CvaeConfig:
        return CvaeConfig() if experience.layout is None else CVAE_IN_MAPS

    @classmethod
    def steps_to_fit(cls, experience: Experience, config: CvaeConfig | None = None) -> int:
        """Gradient steps of `fit`: how often it calls `on_step`."""
        return (config if config is not None else cls.usual_config(experience)).train_steps

    def state(self) -> State:
        """Weights, and the settings with the size of a goal; what `from_state` reads."""
        return self.model.state_dict(), {**asdict(self.config), "goal_size": self.experience.goals.shape[1]}

    @classmethod
    def from_state(cls, tensors: Mapping[str, Tensor], settings: Mapping[str, Any], experience: Experience) -> CvaeSampler:
        """OtherVersionError where they do not fit."""
        with reading("cvae sampler"):
            own, sizes = with_sizes(settings, goal_size=experience.goals.shape[1])
            if missing := set(asdict(CvaeConfig())) - set(own):  # in many maps weights would fit all the same
                raise KeyError(f"no {', '.join(sorted(missing))}")
            config, layout = CvaeConfig(**own), experience.layout
            model = Cvae(sizes["goal_size"], config) if layout is None else LayoutCvae(layout, config)
            model.load_state_dict(dict(tensors))
        return cls(model.eval().requires_grad_(False), experience, config)


def _train(
    model: Cvae | LayoutCvae,
    paths: Array,
    weights: Array,
    pictures: Array,
    per_path: int,
    config: CvaeConfig,
    seed: int,
    on_step: OnStep,
) -> None:
    points, chances, seen = torch.as_tensor(paths, dtype=torch.float32), torch.as_tensor(weights), torch.as_tensor(pictures)
    generator = torch.Generator().manual_seed(seed)

    def loss(step: int) -> Tensor:
        row = torch.multinomial(chances, max(1, config.batch_size // per_path), replacement=True, generator=generator)
        row = row.repeat_interleave(per_path)
        ways = points[row]
        targets = point_at(ways, torch.rand(len(ways), generator=generator))
        return model.loss(targets, ways[:, 0], ways[:, -1], seen[row], config.beta, generator)

    descend(adam(model.parameters(), config.learning_rate), loss, config.train_steps, what="the cvae sampler", on_step=on_step)
