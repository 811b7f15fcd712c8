"""Nodes imagined by a conditional variational autoencoder (HTM, arXiv:2002.12336)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..data import typical_step
from ..energy.between import point_at
from ..energy.model import generator_from
from ..energy.networks import mlp
from ..experience import Experience
from ..features import PlaceWaves

Array = NDArray[np.floating]

_LEAST_SCALE = 1e-3  # of the likelihood [visited ranges, -1 to 1]: places on a line could be told without an error


@dataclass(frozen=True, kw_only=True)
class CvaeConfig:
    latent: int = 8  # entries of z; HTM's 100 are for images
    hidden: int = 128
    layers: int = 3
    waves: int = 32  # of `PlaceWaves`
    beta: float = 1.0  # weight of the KL term; the likelihood's scale is learnt, so that 1 is the bound itself
    train_steps: int = 3_000
    batch_size: int = 512
    learning_rate: float = 2e-3  # falls to 0 along a cosine

    def __post_init__(self) -> None:
        for name in ("latent", "hidden", "layers", "waves", "train_steps", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.beta < 0 or self.learning_rate <= 0:
            raise ValueError(f"beta must not be negative, learning_rate positive; got {self.beta} and {self.learning_rate}")


class Cvae(nn.Module):
    """q(z | x, start, goal) and p(x | start, goal, z) = N(mean, scale), with z ~ N(0, 1); places in env units."""

    def __init__(self, goal_size: int, config: CvaeConfig) -> None:
        super().__init__()
        self.goal_size, self.latent = goal_size, config.latent
        self.places = PlaceWaves(goal_size, config.waves)
        ends = 2 * self.places.size
        self.encoder = mlp(ends + self.places.size, config.hidden, config.layers, 2 * config.latent)
        self.decoder = mlp(ends + config.latent, config.hidden, config.layers, goal_size)
        self.log_scale = nn.Parameter(torch.full((goal_size,), -1.0))

    def loss(self, points: Tensor, starts: Tensor, goals: Tensor, beta: float, generator: torch.Generator) -> Tensor:
        """(B, G) each -> scalar [nats]: -log p(x | z) + beta KL(q || prior), one z per point (arXiv:1312.6114).

        The scale is learnt with the rest (arXiv:2006.13202), which spares the search for a beta: with a fixed one too large
        z says nothing, and all nodes fall on the mean of the way.
        """
        ends = self._ends(starts, goals)
        seen = self.places(points)
        mean, log_deviation = self.encoder(torch.cat([seen, ends], dim=1)).chunk(2, dim=1)
        latent = mean + log_deviation.exp() * torch.randn(mean.shape, generator=generator)
        errors = (self.decoder(torch.cat([ends, latent], dim=1)) - seen[:, : self.goal_size]) / self.scale
        misfit = (0.5 * errors**2 + self.scale.log()).sum(dim=1)
        kl = (0.5 * (mean**2 + (2 * log_deviation).exp() - 1) - log_deviation).sum(dim=1)
        return (misfit + beta * kl).mean()

    @property
    def scale(self) -> Tensor:
        return self.log_scale.exp() + _LEAST_SCALE

    @torch.no_grad()
    def imagine(self, starts: Tensor, goals: Tensor, generator: torch.Generator) -> Tensor:
        """(B, G), (B, G) -> (B, G): the mean of p(x | start, goal, z), a z for each.

        The likelihood's noise is left out, as in HTM: it knows nothing of walls.
        """
        latent = torch.randn(len(starts), self.latent, generator=generator)
        within = self.decoder(torch.cat([self._ends(starts, goals), latent], dim=1))
        return self.places.low + (within + 1) / 2 * self.places.range

    def _ends(self, starts: Tensor, goals: Tensor) -> Tensor:
        return torch.cat([self.places(starts), self.places(goals)], dim=1)


@dataclass(frozen=True, eq=False)
class CvaeSampler:
    """States that the decoder imagines between this start and this goal, all along the way.

    It generates goals; each becomes a full state by the remaining entries of the nearest visited state. HTM's context is an
    image of the layout; here start and goal are, and the layout is what was learnt.
    """

    model: Cvae
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
        config = config if config is not None else CvaeConfig()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(experience.seed)
            model = Cvae(experience.goals.shape[1], config)
        model.places.fit(experience.goals, typical_step(experience.trajectories))
        _train(model, *experience.paths, config, experience.seed, on_step)
        return cls(model.eval().requires_grad_(False), experience, config)

    def sample(self, state: Array, goal: Array, num_samples: int, rng: np.random.Generator) -> Array:
        start = self.experience.goal_of(state)
        starts, goals = (torch.as_tensor(np.float32(place)).expand(num_samples, -1) for place in (start, goal))
        return self.experience.lift(self.model.imagine(starts, goals, generator_from(rng)).numpy())

    def tensors(self) -> dict[str, Tensor]:
        return self.model.state_dict()

    def settings(self) -> dict[str, Any]:
        return asdict(self.config)

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], settings: Mapping[str, Any], experience: Experience) -> CvaeSampler:
        """KeyError, TypeError or RuntimeError where they do not fit."""
        config = CvaeConfig(**settings)
        model = Cvae(len(tensors["places.low"]), config)
        model.load_state_dict(dict(tensors))
        return cls(model.eval().requires_grad_(False), experience, config)


def _train(
    model: Cvae, paths: Array, weights: Array, config: CvaeConfig, seed: int, on_step: Callable[[int, float], None]
) -> None:
    points, chances = torch.as_tensor(paths, dtype=torch.float32), torch.as_tensor(weights)
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.train_steps)
    for step in range(config.train_steps):
        ways = points[torch.multinomial(chances, config.batch_size, replacement=True, generator=generator)]
        targets = point_at(ways, torch.rand(len(ways), generator=generator))
        loss = model.loss(targets, ways[:, 0], ways[:, -1], config.beta, generator)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the CVAE's loss is {loss.item()} at step {step}; lower learning_rate")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        on_step(step + 1, loss.item())
