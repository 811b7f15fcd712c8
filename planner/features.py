"""Places as a network sees them best."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

_SHORTEST, _LONGEST = 2.0, 20.0  # typical steps of the agent over which a wave turns by a radian: a wall is a sharp thing
_SQUARES = 3.0, 6.0, 12.0, 24.0  # typical steps of the agent along a square's side, one grid each
_PER_GRID = 128**2  # squares of the finest grid, at most
_MOST_ENTRIES = 3  # of goals that have grids: in more, squares would be few and wide


class PlaceWaves(nn.Module):
    """(..., G) goals -> (..., size): where they lie in the visited range, and waves of that in random directions.

    A network that is given coordinates alone draws walls as smooth slopes. Random Fourier features (arXiv:2006.10739) down
    to a few steps of the agent let it tell the two sides of one: with 128 of them in place of 24 waves along the axes, the
    shortest ways that a network had learnt in a 15-cell maze pointed the right way in 99.2 % of near pairs, not in 97.8 %.
    There is nothing to train: `fit` sets the statistics once; they are saved with the weights.
    """

    low: Tensor  # (G,)
    range: Tensor  # (G,)
    frequencies: Tensor  # (G, num_waves) [rad per goal unit]

    def __init__(self, goal_size: int, num_waves: int) -> None:
        super().__init__()
        self.size = goal_size + 2 * num_waves
        self.register_buffer("low", torch.zeros(goal_size))
        self.register_buffer("range", torch.ones(goal_size))
        self.register_buffer("frequencies", torch.ones(goal_size, num_waves))

    def fit(self, goals: NDArray, step_length: float | NDArray) -> None:
        """Set the statistics from visited goals (N, G) and a typical step [goal units], one or per entry.

        Entries that never vary keep range 1, those that no step moves have no waves.
        """
        span = np.ptp(goals, axis=0)
        step_length = np.broadcast_to(step_length, span.shape)[:, None]
        directions = np.random.default_rng(0).standard_normal(self.frequencies.shape)
        lengths = np.geomspace(_SHORTEST, _LONGEST, directions.shape[1]) * np.where(step_length > 0, step_length, np.inf)
        self.low.copy_(torch.as_tensor(goals.min(axis=0)))
        self.range.copy_(torch.as_tensor(np.where(span > 0, span, 1.0)))
        self.frequencies.copy_(torch.as_tensor(directions / lengths))

    def forward(self, goals: Tensor) -> Tensor:
        offsets = goals - self.low
        phases = offsets @ self.frequencies
        return torch.cat([2 * offsets / self.range - 1, phases.sin(), phases.cos()], dim=-1)

    def slopes(self, features: Tensor) -> Tensor:
        """What `forward` gave, (..., size) -> how it changes with each entry of a goal (..., G, size)."""
        waves = self.frequencies.shape[1]
        sines, cosines = features[..., None, -2 * waves : -waves], features[..., None, -waves:]
        linear = torch.diag(2 / self.range).expand(*features.shape[:-1], -1, -1)
        return torch.cat([linear, cosines * self.frequencies, -sines * self.frequencies], dim=-1)


class PlaceGrids(nn.Module):
    """(..., G) goals -> (..., size): what has been learnt about the squares that they lie in, at several scales.

    Each corner of a square has features of its own, and between corners these change linearly (multiresolution grids,
    arXiv:2201.05989, without its hashing). A network that sees waves alone has one set of weights for all places: what it learns
    on one side of a wall changes what it says on the other. Here the two sides share no corner as soon as the wall is thicker
    than a square, so a slope points along the corridor right up to the wall. In worlds of more than `_PER_GRID` of the finest
    squares these get wider.

    `fit` sets where the squares lie; the features are parameters.
    """

    low: Tensor  # (G,) the grids' common corner
    sides: Tensor  # (grids, G) of their squares [goal units]
    corners: Tensor  # (2^G, G) of a square: 0 or 1 along each entry

    def __init__(self, goal_size: int, num_features: int) -> None:
        super().__init__()
        lengths = np.array(_SQUARES if goal_size <= _MOST_ENTRIES else ())
        finest = int(_PER_GRID ** (1 / goal_size) + 1e-9)
        self.per_side = [int(np.ceil(finest * lengths[0] / length)) + 1 for length in lengths]  # corners
        self.size = len(lengths) * num_features
        self.register_buffer("low", torch.zeros(goal_size))
        self.register_buffer("sides", torch.ones(len(lengths), goal_size))
        corners = torch.tensor(list(itertools.product((0, 1), repeat=goal_size)))
        self.register_buffer("corners", corners, persistent=False)
        self.features = nn.ParameterList(torch.empty(n**goal_size, num_features) for n in self.per_side)
        for features in self.features:
            nn.init.uniform_(features, -0.1, 0.1)

    def fit(self, goals: NDArray, step_length: float) -> None:
        """Lay the squares over visited goals (N, G), for a typical step [goal units]."""
        low, span = goals.min(axis=0), np.ptp(goals, axis=0)
        least = [np.maximum(span, 1e-6) / (n - 1) for n in self.per_side]
        sides = [np.maximum(length * step_length, side) for length, side in zip(_SQUARES, least, strict=False)]
        self.low.copy_(torch.as_tensor(low))
        self.sides.copy_(torch.as_tensor(np.reshape(sides, self.sides.shape)))

    def forward(self, goals: Tensor) -> Tensor:
        parts = [(shares.prod(dim=-1, keepdim=True) * values).sum(dim=-2) for shares, values in self._looked_up(goals)]
        return torch.cat([goals[..., :0], *parts], dim=-1)

    def slopes(self, goals: Tensor) -> Tensor:
        """(..., G) -> how `forward` changes with each entry of a goal (..., G, size)."""
        num_entries = goals.shape[-1]
        parts = []
        for (shares, values), sides in zip(self._looked_up(goals), self.sides, strict=True):
            along = torch.where(self.corners == 1, 1.0, -1.0) / sides  # (2^G, G)
            for_each = torch.eye(num_entries, dtype=torch.bool, device=goals.device)[:, None]  # (G, 1, G)
            shares = torch.where(for_each, along, shares[..., None, :, :]).prod(dim=-1)  # (..., G, 2^G)
            parts.append(shares @ values)
        return torch.cat([goals[..., None, :0].expand(*goals.shape, 0), *parts], dim=-1)

    def _looked_up(self, goals: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Of each grid, for the corners of each goal's square: their shares along each entry (..., 2^G, G), their features
        (..., 2^G, F)."""
        for n, sides, features in zip(self.per_side, self.sides, self.features, strict=True):
            at = ((goals - self.low) / sides).clamp(0.0, n - 1.0)
            first = at.floor().clamp(max=n - 2.0)
            beyond = (at - first)[..., None, :]
            shares = torch.where(self.corners == 1, beyond, 1 - beyond)
            strides = n ** torch.arange(goals.shape[-1], device=goals.device)
            numbers = ((first.long()[..., None, :] + self.corners) * strides).sum(dim=-1)
            yield shares, nn.functional.embedding(numbers, features)
