"""What lies between a start and a goal: the energy model of the main job."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..fitting import OnStep, ignore
from ..goal_space import GoalSpace
from ..many_maps.layout import Layout
from .config import EnergyConfig, ProposalConfig, SamplingConfig
from .model import EnergyModel, generator_from
from .train import Batch, check_finite, check_weights, make_model, train

Array = NDArray[np.floating]

STRATA = 25  # fractions of the way at which states are drawn
_JITTER = 0.1  # of the way from one of them to the next
_NO_PICTURE = np.zeros(0, dtype=np.float32)
POINTS_PER_PATH = 8  # in maps: the costs of a map's ways serve all points of one way


@dataclass(frozen=True, eq=False)
class BetweenModel:
    """E(x | start, goal, u, z) over goal space: what lies at the fraction u of the way, on the way of kind z.

    Fitted in many maps, it is E(x | start, goal, u, picture); the picture (X Y,) of the map is then to be given wherever the
    start and the goal are.
    """

    model: EnergyModel

    @classmethod
    def fit(
        cls,
        paths: Array,
        weights: Array,
        visited: Array,
        config: EnergyConfig,
        seed: int,
        on_step: OnStep = ignore,
        space: GoalSpace | None = None,
    ) -> BetweenModel:
        """Learn from paths (N, L, G) at equal arc lengths, weights (N,) >= 0 and visited goals (M, G), all env units.

        Positives are a path's points at uniform fractions of its length, so that no part of the way is favoured. In the
        goals' `space` starts and goals are told apart by squares of a few moves: see `EnergyModel.widen`; where an entry wraps,
        paths go on beyond its ends, and a goal is given beside its start (`GoalSpace.beside`).
        ValueError for empty, non-finite or mismatched data; DivergedError if the loss diverges.
        """
        _check_data(paths, weights, visited)
        size = paths.shape[-1]
        ends = np.concatenate([visited, visited], axis=1)
        contexts = np.concatenate([ends, np.linspace(0, 1, len(ends))[:, None]], axis=1)
        model = make_model(size, 2 * size + 1, visited, contexts, config, between=True, seed=seed, space=space)
        goals = paths[:, -1] if space is None else space.beside(paths[:, 0], paths[:, -1])
        _train(model, paths, goals, weights, np.zeros((len(paths), 0), np.float32), seed, on_step)
        return cls(model)

    @classmethod
    def fit_in_maps(
        cls,
        paths: Array,
        weights: Array,
        pictures: Array,
        layout: Layout,
        config: EnergyConfig,
        seed: int,
        on_step: OnStep = ignore,
    ) -> BetweenModel:
        """As `fit`, from paths (N, L, 2) in many maps, whose pictures are (N, X Y); it then serves in others.

        Candidates are uniform over the map: what is learned beside the energy would learn the maps by heart. Errors as in `fit`.
        """
        area = np.array([layout.low, layout.high], dtype=np.float32)
        _check_data(paths, weights, area)
        check_finite(pictures=pictures)
        if pictures.shape != (len(paths), layout.size):
            raise ValueError(f"pictures must be ({len(paths)}, {layout.size}), one per path, got {pictures.shape}")
        proposal = ProposalConfig(box=1.0, kernels=0.0, learned=0.0)
        ways = POINTS_PER_PATH * max(1, config.batch_size // POINTS_PER_PATH)
        noise = 0.0  # what lies in a wall must not be taken for the way
        config = replace(config, proposal=proposal, latents=1, points_per_way=POINTS_PER_PATH, batch_size=ways, noise=noise)
        ranges = np.concatenate([area, area, [[0.0], [1.0]], np.repeat([[0.0], [1.0]], layout.size, axis=1)], axis=1)
        model = make_model(2, 5 + layout.size, area, ranges, config, between=True, seed=seed, shape=layout.shape)
        _train(model, paths, paths[:, -1], weights, pictures, seed, on_step)
        return cls(model)

    def energies(self, points: Array, start: Array, goal: Array, fractions: Array, picture: Array = _NO_PICTURE) -> Array:
        """(N, G) points, (G,), (G,), (U,) fractions in [0, 1] -> (U, N) energies [nats]."""
        return self.model.energies(points, self.contexts(start, goal, fractions, picture))

    def path_energies(
        self,
        points: Array,
        start: Array,
        goal: Array,
        rng: np.random.Generator,
        strata: int = 33,
        picture: Array = _NO_PICTURE,
    ) -> Array:
        """(N, G), (G,), (G,) -> (N,): -log of the density of all the way, every fraction of it likely alike.

        Each fraction's energy carries an offset of its own, so densities are averaged: -log mean_u p(x | u).
        """
        contexts = self.contexts(start, goal, (np.arange(strata) + 0.5) / strata, picture)
        log_density = self.model.log_density(points, contexts, rng)
        return -np.logaddexp.reduce(log_density, axis=0) + np.log(strata)

    def sample(
        self,
        start: Array,
        goal: Array,
        num_samples: int,
        config: SamplingConfig,
        rng: np.random.Generator,
        picture: Array = _NO_PICTURE,
    ) -> Array:
        """(G,), (G,) -> (num_samples, G), in equal numbers (to rounding) from even fractions of the way, in random order."""
        strata = min(STRATA, max(num_samples, 1))
        ways = self.sample_paths(start, goal, max(-(-num_samples // strata), 1), strata, config, rng, picture)
        rng.shuffle(ways)
        whole = ways[:-1].reshape(-1, ways.shape[-1])
        points = np.concatenate([whole, ways[-1, rng.permutation(strata)[: num_samples - len(whole)]]])
        return rng.permutation(points)

    @torch.no_grad()
    def sample_paths(
        self,
        start: Array,
        goal: Array,
        num_paths: int,
        strata: int,
        config: SamplingConfig,
        rng: np.random.Generator,
        picture: Array = _NO_PICTURE,
    ) -> Array:
        """(G,), (G,) -> (num_paths, strata, G): points at even fractions of the way, all of one way with the same latent z.

        The k-th of n fractions is k / (n + 1), give or take a tenth of 1 / (n + 1): drawn anywhere in its stratum, a few nodes
        might leave most of the way to one link.
        """
        generator = generator_from(rng)
        fractions = (np.arange(1, strata + 1) + rng.uniform(-_JITTER, _JITTER, strata)) / (strata + 1)
        context = self.model.see(self.contexts(start, goal, fractions, picture))
        log_prior = self.model.network.log_prior(context[:1])[0]
        kinds = torch.multinomial(log_prior.exp(), num_paths, replacement=True, generator=generator)
        ways = []
        for kind, count in enumerate(kinds.bincount().tolist()):
            if count:
                drawn = self.model.draw(self._energy_of(kind), context, count, config, generator)
                ways.append(drawn.points.movedim(0, 1))  # systematic draws: each way takes the next of every stratum
        return self.model.denormalise(torch.cat(ways)[torch.randperm(num_paths, generator=generator)])

    def contexts(self, start: Array, goal: Array, fractions: Array, picture: Array = _NO_PICTURE) -> Array:
        """(G,), (G,), (U,), (P,) -> (U, 2 G + 1 + P)"""
        ends, picture = (np.tile(part, (len(fractions), 1)) for part in (np.concatenate([start, goal]), picture))
        return np.concatenate([ends, np.asarray(fractions)[:, None], picture], axis=1)

    def _energy_of(self, kind: int) -> Callable[[Tensor, Tensor], Tensor]:
        return lambda candidates, context: self.model.network.each(candidates, context)[:, kind]


def _train(model: EnergyModel, paths: Array, goals: Array, weights: Array, pictures: Array, seed: int, on_step: OnStep) -> None:
    points, ends, chances = model.normalise(paths), model.normalise(goals), torch.as_tensor(weights)
    seen = 2 * torch.as_tensor(pictures, dtype=torch.float32) - 1  # (N, P), or (N, 0)
    per_path = model.config.points_per_way

    def draw(count: int, generator: torch.Generator) -> Batch:
        row = torch.multinomial(chances, count // per_path, replacement=True, generator=generator).repeat_interleave(per_path)
        fraction = torch.rand(len(row), generator=generator)
        context = torch.cat([points[row, 0], ends[row], 2 * fraction[:, None] - 1, seen[row]], dim=1)
        return Batch(point_at(points[row], fraction)[:, None], context)

    train(model, draw, seed, on_step)


def point_at(paths: Tensor, fraction: Tensor) -> Tensor:
    """(B, L, G) paths at equal arc lengths, (B,) fractions in [0, 1] -> (B, G), linear between the points."""
    place = fraction * (paths.shape[1] - 1)
    before = place.long().clamp_max(paths.shape[1] - 2)
    row = torch.arange(len(paths))
    return torch.lerp(paths[row, before], paths[row, before + 1], (place - before)[:, None])


def _check_data(paths: Array, weights: Array, visited: Array) -> None:
    if paths.ndim != 3 or paths.shape[1] < 2:
        raise ValueError(f"paths must be (N, L, G) with L >= 2, got {paths.shape}")
    if visited.ndim != 2 or visited.shape[1] != paths.shape[2]:
        raise ValueError(f"visited must be (M, {paths.shape[2]}), got {visited.shape}")
    check_finite(paths=paths, weights=weights, visited=visited)
    check_weights(weights, len(paths))
