"""Nodes imagined by a conditional variational autoencoder (HTM, arXiv:2002.12336)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..data.trajectories import typical_step
from ..energy.between import POINTS_PER_WAY, point_at
from ..energy.model import generator_from
from ..experience import Experience
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
    Config: ClassVar = CvaeConfig

    @classmethod
    def fit(
        cls,
        experience: Experience,
        config: CvaeConfig | None = None,
        on_step: Callable[[int, float], None] = lambda step, loss: None,
    ) -> CvaeSampler:
        """Learn the points of `experience.paths` at uniform fractions of their lengths, paths drawn by their weights.

        ValueError where no two visited states can be joined; FloatingPointError if the loss diverges.
        """
        layout = experience.layout
        if config is None:
            config = CvaeConfig() if layout is None else CVAE_IN_MAPS
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(experience.seed)
            model = Cvae(experience.goals.shape[1], config) if layout is None else LayoutCvae(layout, config)
        if isinstance(model, LayoutCvae):
            paths, pictures = experience.paths_in_maps()
            weights, per_way = np.ones(len(paths), np.float32), POINTS_PER_WAY
        else:
            (paths, weights), per_way = experience.paths(), 1
            pictures = np.zeros((len(paths), 0), np.float32)
            model.fit(experience.goals, typical_step(experience.trajectories))
        _train(model, paths, weights, pictures, per_way, config, experience.seed, on_step)
        return cls(model.eval().requires_grad_(False), experience, config)

    def sample(self, state: Array, goal: Array, num_samples: int, rng: np.random.Generator) -> Array:
        parts = self.experience.goal_of(state), goal, self.experience.picture(state)
        starts, goals, pictures = (torch.as_tensor(np.float32(part)).expand(num_samples, -1) for part in parts)
        return self.experience.lift(self.model.imagine(starts, goals, pictures, generator_from(rng)).numpy())

    def tensors(self) -> dict[str, Tensor]:
        return self.model.state_dict()

    def settings(self) -> dict[str, Any]:
        return asdict(self.config)

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], settings: Mapping[str, Any], experience: Experience) -> CvaeSampler:
        """KeyError, TypeError or RuntimeError where they do not fit."""
        if missing := set(asdict(CvaeConfig())) - set(settings):  # in many maps weights would fit all the same
            raise KeyError(f"settings of another version, without {', '.join(sorted(missing))}")
        config, layout = CvaeConfig(**settings), experience.layout
        model = Cvae(len(tensors["places.low"]), config) if layout is None else LayoutCvae(layout, config)
        model.load_state_dict(dict(tensors))
        return cls(model.eval().requires_grad_(False), experience, config)


def _train(
    model: Cvae | LayoutCvae,
    paths: Array,
    weights: Array,
    pictures: Array,
    per_way: int,
    config: CvaeConfig,
    seed: int,
    on_step: Callable[[int, float], None],
) -> None:
    points, chances, seen = torch.as_tensor(paths, dtype=torch.float32), torch.as_tensor(weights), torch.as_tensor(pictures)
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.train_steps)
    for step in range(config.train_steps):
        row = torch.multinomial(chances, max(1, config.batch_size // per_way), replacement=True, generator=generator)
        row = row.repeat_interleave(per_way)
        ways = points[row]
        targets = point_at(ways, torch.rand(len(ways), generator=generator))
        loss = model.loss(targets, ways[:, 0], ways[:, -1], seen[row], config.beta, generator)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the CVAE's loss is {loss.item()} at step {step}; lower learning_rate")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        on_step(step + 1, loss.item())
