"""The conditional variational autoencoders of the `cvae` sampler: of one map, and of many that are seen as pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..goal_space import GoalSpace
from ..many_maps.layout import Layout
from ..many_maps.value_iteration import PathFeatures, cell_centres, cell_of
from ..networks.mlp import mlp
from ..networks.place_features import FourierFeatures, GridFeatures

_LEAST_SCALE = 1e-3  # of the likelihood [visited ranges, -1 to 1]: places on a line could be told without an error


@dataclass(frozen=True, kw_only=True)
class CvaeConfig:
    latent: int = 8  # entries of z; HTM's 100 are for images
    hidden: int = 128
    layers: int = 3  # of `Cvae`; `LayoutCvae` has 2
    waves: int = 32  # of `FourierFeatures`; of `Cvae` alone, and so is `features`
    features: int = 4  # of each of the `GridFeatures` of start and goal
    beta: float = 1.0  # weight of the KL term; the likelihood's scale is learnt, so that 1 is the bound itself
    train_steps: int = 3_000
    batch_size: int = 512
    learning_rate: float = 2e-3  # falls to 0 along a cosine

    def __post_init__(self) -> None:
        for name in ("latent", "hidden", "layers", "waves", "features", "train_steps", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.beta < 0 or self.learning_rate <= 0:
            raise ValueError(f"beta must not be negative, learning_rate positive; got {self.beta} and {self.learning_rate}")


CVAE_IN_MAPS = CvaeConfig(train_steps=3_000, batch_size=256, learning_rate=5e-3)  # the default there: a map is dear to look at


class Cvae(nn.Module):
    """q(z | x, start, goal) and p(x | start, goal, z) = N(mean, scale), with z ~ N(0, 1); places in env units.

    Start and goal are told apart by squares, as those of the energy model are (`EnergyModel.widen`).
    """

    def __init__(self, goal_size: int, config: CvaeConfig) -> None:
        super().__init__()
        self.goal_size, self.latent = goal_size, config.latent
        self.places = FourierFeatures(goal_size, config.waves)
        self.grids = GridFeatures(goal_size, config.features)
        ends = 2 * (self.places.size + self.grids.size)
        self.encoder = mlp(ends + self.places.size, config.hidden, config.layers, 2 * config.latent)
        self.decoder = mlp(ends + config.latent, config.hidden, config.layers, goal_size)
        self.log_scale = nn.Parameter(torch.full((goal_size,), -1.0))

    def fit(self, goals: NDArray, space: GoalSpace) -> None:
        """Set where goals (N, G) lie, going on beyond the ends of what wraps, and their metric."""
        self.places.fit(goals, np.array(space.units))
        self.grids.fit(goals, np.array(space.units), space)

    def loss(
        self, points: Tensor, starts: Tensor, goals: Tensor, pictures: Tensor, beta: float, generator: torch.Generator
    ) -> Tensor:
        """(B, G) each, (B, 0) -> scalar [nats]: -log p(x | z) + beta KL(q || prior), one z per point (arXiv:1312.6114).

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
    def imagine(self, starts: Tensor, goals: Tensor, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """(B, G), (B, G), (B, 0) -> (B, G): the mean of p(x | start, goal, z), a z for each.

        The likelihood's noise is left out, as in HTM: it knows nothing of walls.
        """
        latent = torch.randn(len(starts), self.latent, generator=generator)
        within = self.decoder(torch.cat([self._ends(starts, goals), latent], dim=1))
        return self.places.low + (within + 1) / 2 * self.places.range

    def _ends(self, starts: Tensor, goals: Tensor) -> Tensor:
        return torch.cat([see(end) for end in (starts, goals) for see in (self.places, self.grids)], dim=1)


class LayoutCvae(nn.Module):
    """As `Cvae`, with q(z | x, start, goal, picture) and p(x | start, goal, picture, z).

    The decoder gives every square a weight, by what it is to the way (`PathFeatures`) and by z, and a place near its centre:
    p is the mixture of normals about these places. HTM's decoder draws the place itself, from an image of the map; that has to
    learn where a square is before it can learn which one is meant. A mean over the squares in place of the mixture was tried:
    its z said nothing, and all nodes fell on the middle of the way.
    """

    centres: Tensor  # (X Y, 2) of the squares, in [-1, 1] over the picture
    extent: Tensor  # (2,) half of a square

    def __init__(self, layout: Layout, config: CvaeConfig) -> None:
        super().__init__()
        self.layout, self.latent = layout, config.latent
        self.ways = PathFeatures()
        self.encoder = mlp(PathFeatures.size + 2, config.hidden, 2, 2 * config.latent)
        width = config.hidden // 2
        self.squares = mlp(PathFeatures.size, width, 1, width)  # once for all rows of a way; what follows is for each row
        self.kind = nn.Linear(config.latent, width)
        self.answer = nn.Linear(width, 3)
        self.log_scale = nn.Parameter(torch.full((2,), -2.0))
        self.register_buffer("centres", cell_centres(layout.shape), persistent=False)
        self.register_buffer("extent", 1 / torch.tensor(layout.shape), persistent=False)

    def loss(
        self, points: Tensor, starts: Tensor, goals: Tensor, pictures: Tensor, beta: float, generator: torch.Generator
    ) -> Tensor:
        """(B, 2) each, (B, X Y) -> scalar [nats]: -log p(x | z) + beta KL(q || prior), one z per point, see `Cvae.loss`."""
        features, way = self._features(starts, goals, pictures)
        at = self._within(points)
        square, place = cell_of(at, self.layout.shape)
        mean, log_deviation = self.encoder(torch.cat([features[way, square], place], dim=1)).chunk(2, dim=1)
        latent = mean + log_deviation.exp() * torch.randn(mean.shape, generator=generator)
        log_weights, centres = self._decode(features, way, latent)
        scale = self.log_scale.exp() + _LEAST_SCALE
        log_normal = -(0.5 * ((at[:, None] - centres) / scale) ** 2 + scale.log()).sum(dim=2)
        misfit = -torch.logsumexp(log_weights + log_normal, dim=1)
        kl = (0.5 * (mean**2 + (2 * log_deviation).exp() - 1) - log_deviation).sum(dim=1)
        return (misfit + beta * kl).mean()

    @torch.no_grad()
    def imagine(self, starts: Tensor, goals: Tensor, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """(B, 2), (B, 2), (B, X Y) -> (B, 2): a place of p(x | start, goal, picture, z), a z for each.

        The normals' noise is left out, as in `Cvae.imagine`.
        """
        latent = torch.randn(len(starts), self.latent, generator=generator)
        log_weights, centres = self._decode(*self._features(starts, goals, pictures), latent)
        square = torch.multinomial(log_weights.exp(), 1, generator=generator)
        answer = centres.gather(1, square[..., None].expand(-1, -1, 2))[:, 0]
        low, high = answer.new_tensor(self.layout.low), answer.new_tensor(self.layout.high)
        return low + (answer + 1) / 2 * (high - low)

    def _features(self, starts: Tensor, goals: Tensor, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Features of each way's squares (W, X Y, size), and of which way each row is (B,); rows of one way follow each other."""
        rows = torch.cat([self._within(starts), self._within(goals), pictures], dim=1)
        scenes, way = torch.unique_consecutive(rows, dim=0, return_inverse=True)
        return self.ways(scenes[:, 4:].unflatten(1, self.layout.shape), scenes[:, :4].unflatten(1, (2, 2))), way

    def _decode(self, features: Tensor, way: Tensor, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Log-weights of the squares (B, X Y), and the places about which their normals lie (B, X Y, 2)."""
        told = self.answer(nn.functional.silu(self.squares(features)[way] + self.kind(latent)[:, None]))  # (B, X Y, 3)
        return told[..., 0].log_softmax(dim=1), self.centres + self.extent * torch.tanh(told[..., 1:])

    def _within(self, places: Tensor) -> Tensor:
        return self.layout.within(places).flip(-1)
