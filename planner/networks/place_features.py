"""Places as a network sees them best."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..goal_space import GoalSpace
from .goal_metric import GoalMetric

_SHORTEST, _LONGEST = 2.0, 20.0  # typical steps of the agent over which a wave turns by a radian: a wall is a sharp thing
_SQUARES = 3.0, 6.0, 12.0, 24.0  # typical steps of the agent along a square's side, one grid each
_PER_GRID = 128**2  # squares of the finest grid, at most


class FourierFeatures(nn.Module):
    """(..., G) goals -> (..., size): where they lie in the visited range, and waves of that in random directions.

    A network that is given coordinates alone draws walls as smooth slopes. Random Fourier features (arXiv:2006.10739) down
    to a few steps of the agent let it tell the two sides of one: with 128 of them in place of 24 waves along the axes, the
    shortest ways that a network had learnt in a 15-cell maze pointed the right way in 99.2 % of near pairs, not in 97.8 %.
    There is nothing to train: `fit` sets the statistics once; they are saved with the weights.

    An entry that wraps is seen by whole numbers of waves to a turn, the first of them once round, and not as a coordinate, which
    would jump: 0 stands there.
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
        self.metric = GoalMetric(goal_size)

    def fit(self, goals: NDArray, step_length: float | NDArray, space: GoalSpace | None = None) -> None:
        """Set the statistics from visited goals (N, G), a typical step [goal units], one or per entry, and what wraps.

        Entries that never vary keep range 1, those that no step moves have no waves.
        """
        span = np.ptp(goals, axis=0)
        step_length = np.broadcast_to(step_length, span.shape)[:, None]
        directions = np.random.default_rng(0).standard_normal(self.frequencies.shape)
        lengths = np.geomspace(_SHORTEST, _LONGEST, directions.shape[1]) * np.where(step_length > 0, step_length, np.inf)
        low, frequencies = goals.min(axis=0), directions / lengths
        if space is not None and space.wraps:
            low, span, frequencies = self._closed(low, span, frequencies, space)
        self.low.copy_(torch.as_tensor(low))
        self.range.copy_(torch.as_tensor(np.where(span > 0, span, 1.0)))
        self.frequencies.copy_(torch.as_tensor(frequencies))
        if space is not None:
            self.metric.fit(space)

    @staticmethod
    def _closed(low: NDArray, span: NDArray, frequencies: NDArray, space: GoalSpace) -> tuple[NDArray, NDArray, NDArray]:
        """With wrapping entries from end to end, and waves that close there; one wave each goes once round."""
        low, span = low.astype(np.float64), span.astype(np.float64)
        wrapping = np.flatnonzero(space.periods)
        for number, entry in enumerate(wrapping):
            once = 2 * np.pi / space.periods[entry]
            frequencies[entry] = once * np.round(frequencies[entry] / once)
            low[entry], span[entry] = space.origin[entry], space.periods[entry]
            if len(wrapping) <= frequencies.shape[1]:
                frequencies[:, number] = np.eye(len(low))[entry] * once
        return low, span, frequencies

    def forward(self, goals: Tensor) -> Tensor:
        offsets = goals - self.low
        phases = offsets @ self.frequencies
        linear = 2 * offsets / self.range - 1
        if self.metric.wraps:
            linear = linear.masked_fill(self.metric.periods > 0, 0.0)
        return torch.cat([linear, phases.sin(), phases.cos()], dim=-1)

    def slopes(self, features: Tensor) -> Tensor:
        """What `forward` gave, (..., size) -> how it changes with each entry of a goal (..., G, size)."""
        waves = self.frequencies.shape[1]
        sines, cosines = features[..., None, -2 * waves : -waves], features[..., None, -waves:]
        along = 2 / self.range
        if self.metric.wraps:
            along = along.masked_fill(self.metric.periods > 0, 0.0)
        linear = torch.diag(along).expand(*features.shape[:-1], -1, -1)
        return torch.cat([linear, cosines * self.frequencies, -sines * self.frequencies], dim=-1)


class GridFeatures(nn.Module):
    """(..., G) goals -> (..., size): what has been learnt about the squares that they lie in, at several scales.

    Each corner of a square has features of its own, and between corners these change linearly (multiresolution grids,
    arXiv:2201.05989, without its hashing). A network that sees waves alone has one set of weights for all places: what it learns
    on one side of a wall changes what it says on the other. Here the two sides share no corner as soon as the wall is thicker
    than a square, so a slope points along the corridor right up to the wall. In worlds of more than `_PER_GRID` of the finest
    squares these get wider. Along an entry that wraps a whole number of squares goes round, and the last is next to the first.

    `fit` sets where the squares lie; the features are parameters.
    """

    low: Tensor  # (G,) the grids' common corner
    sides: Tensor  # (grids, G) of their squares [goal units]
    last: Tensor  # (grids, 1) number of each one's last corner along an entry
    strides: Tensor  # (grids, G) between the numbers of corners that are next to each other along each entry
    offsets: Tensor  # (grids, 2^G) numbers of the corners of each one's first square, among those of all
    near: Tensor  # (2^G, G) the share of each of a square's corners along each entry, at its first corner ...
    along: Tensor  # (2^G, G) ... and how that changes along the square: -1 or 1
    replaced: Tensor  # (1 + G, 1, G) which factor of a share a derivative has in place of: none for the share itself

    def __init__(self, goal_size: int, num_features: int) -> None:
        super().__init__()
        self._lengths = _SQUARES if GoalSpace(goal_size).has_cells else ()
        finest = int(_PER_GRID ** (1 / goal_size) + 1e-9)
        per_side = [int(np.ceil(finest * _SQUARES[0] / length)) + 1 for length in self._lengths]  # corners
        counts = [n**goal_size for n in per_side]
        some = goal_size if self._lengths else 0  # without squares there are no corners, and there might be very many
        corners = torch.tensor(list(itertools.product((0, 1), repeat=some))).reshape(-1, goal_size).long()  # (2^G, G)
        strides = torch.tensor(per_side, dtype=torch.int64)[:, None] ** torch.arange(goal_size)
        begins = torch.tensor(np.cumsum([0, *counts])[:-1], dtype=torch.int64)[:, None]
        self.size = len(counts) * num_features
        self.register_buffer("low", torch.zeros(goal_size))
        self.register_buffer("sides", torch.ones(len(counts), goal_size))
        for name, values in (
            ("last", torch.tensor(per_side, dtype=torch.float32)[:, None] - 1),
            ("strides", strides),
            ("offsets", begins + strides @ corners.T),
            ("near", 1.0 - corners),
            ("along", 2.0 * corners - 1.0),
            ("replaced", torch.cat([torch.zeros(1, goal_size), torch.eye(goal_size)]).bool()[:, None]),
        ):
            self.register_buffer(name, values, persistent=False)
        self.metric = GoalMetric(goal_size)
        self.features = nn.Parameter(torch.empty(sum(counts), num_features).uniform_(-0.1, 0.1))

    def fit(self, goals: NDArray, step_length: float | NDArray, space: GoalSpace | None = None) -> None:
        """Lay the squares about visited goals (N, G), for a typical step [goal units], one or per entry, and what wraps; room
        that is left lies to all sides."""
        if not self._lengths:
            return
        low, span = torch.as_tensor(goals.min(axis=0)), torch.as_tensor(np.ptp(goals, axis=0))
        step = torch.as_tensor(step_length, dtype=torch.float32)
        wished = step * torch.tensor(self._lengths)[:, None]
        least = 1e-6 if step.ndim == 0 else (1e-6 * step / step[0]).to(span.dtype)
        self.sides.copy_(torch.maximum(wished, span.clamp(min=least) / self.last))
        self.low.copy_(low - (self._extents() - span).clamp(min=0.0) / 2)
        if space is not None:
            self.metric.fit(space)
        if self.metric.wraps:
            closed, periods = self.metric.periods > 0, self.metric.periods
            rounds = (periods / wished).floor().clamp(min=1.0).minimum(self.last)
            self.sides.copy_(torch.where(closed, periods / rounds, self.sides))
            self.low.copy_(torch.where(closed, self.metric.origin, self.low))

    def contains(self, goals: NDArray) -> bool:
        """Do all (N, G) lie within the squares? Always, where there are none."""
        if not self._lengths:
            return True
        low, high = (torch.as_tensor(ends) for ends in (goals.min(axis=0), goals.max(axis=0)))
        inside = (low >= self.low) & (high <= self.low + self._extents())
        return bool((inside | (self.metric.periods > 0)).all())

    def _extents(self) -> Tensor:
        """(G,) of the grids, from their common corner on [goal units]."""
        return (self.sides * self.last).amin(dim=0)

    def forward(self, goals: Tensor) -> Tensor:
        shares, values = self._looked_up(goals)
        return (shares.prod(dim=-1, keepdim=True) * values).sum(dim=-2).flatten(-2)

    def with_slopes(self, goals: Tensor) -> tuple[Tensor, Tensor]:
        """(..., G) -> what `forward` gives, and how that changes with each entry of a goal (..., G, size)."""
        shares, values = self._looked_up(goals)
        factors = torch.where(self.replaced, (self.along / self.sides[:, None])[:, None], shares[..., None, :, :])
        mixed = factors.prod(dim=-1) @ values  # (..., grids, 1 + G, F)
        return mixed[..., 0, :].flatten(-2), mixed[..., 1:, :].transpose(-3, -2).flatten(-2)

    def _looked_up(self, goals: Tensor) -> tuple[Tensor, Tensor]:
        """For the corners of each goal's square in each grid: their shares along each entry (..., grids, 2^G, G), and their
        features (..., grids, 2^G, F)."""
        if self.metric.wraps:
            return self._looked_up_round(goals)
        at = ((goals[..., None, :] - self.low) / self.sides).clamp(min=0.0).minimum(self.last)
        first = at.floor().minimum(self.last - 1)
        beyond = (at - first)[..., None, :]
        shares = self.near + self.along * beyond
        numbers = (first.long() * self.strides).sum(dim=-1, keepdim=True) + self.offsets
        return shares, nn.functional.embedding(numbers, self.features)

    def _looked_up_round(self, goals: Tensor) -> tuple[Tensor, Tensor]:
        """As `_looked_up`, where entries wrap: the corner after a round's last is its first."""
        closed, at = self.metric.periods > 0, (goals[..., None, :] - self.low) / self.sides
        rounds = torch.where(closed, (self.metric.periods / self.sides).round(), self.last + 1)  # (grids, G) corners
        at = torch.where(closed, at.remainder(rounds), at.clamp(min=0.0).minimum(self.last))
        first = at.floor().minimum(torch.where(closed, rounds - 1, self.last - 1))
        shares = self.near + self.along * (at - first)[..., None, :]
        corners = (first[..., None, :] + (1.0 - self.near)).remainder(rounds[:, None])  # (..., grids, 2^G, G)
        numbers = (corners.long() * self.strides[:, None]).sum(dim=-1) + self.offsets[:, :1]
        return shares, nn.functional.embedding(numbers, self.features)
