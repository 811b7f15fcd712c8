"""How dear ways through a picture of a map are, square by square: what networks that serve in many maps see of one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_HIDDEN = 16  # channels of what is seen about a square
_LOG_COSTS = -3.0, 5.0  # bounds of what a square costs: a wall must outweigh the longest way round ...
_HASTE = 4.0  # ... and that within a training
_WALL = 3.0  # by how much an occupied square is dearer before anything is learnt [log]
_OUT = 1e6  # what is not reached yet
_MOST = 8.0  # squares up to which a detour is told


class ValueMaps(nn.Module):
    """What the cheapest way from a place to every square of a picture costs: a value iteration network (arXiv:1602.02867).

    What a square costs is learnt, from it and its eight neighbours; how costs add up along a way is not, so it holds for ways of
    any length in any map. A way goes from a square to one of its four neighbours, and each such step costs half of both, so that
    it costs the same there and back. Value iteration ends when nothing changes any more.

    Occupied squares are dearer from the start. Without that a CVAE's training ended with walls that cost no more than the open
    and corridors that cost fifty times as much, and its nodes led through walls: 0.87 of the goals in tuning mazes, with it 1.00.
    """

    def __init__(self) -> None:
        super().__init__()
        self.cost = nn.Sequential(nn.Conv2d(1, _HIDDEN, 3, padding=1), nn.SiLU(), nn.Conv2d(_HIDDEN, 1, 1))

    def forward(self, pictures: Tensor, squares: Tensor) -> Tensor:
        """(B, X, Y), (B, K) indices of squares -> (B, K, X, Y): the cost from each of them to every square."""
        rows, columns = pictures.shape[1:]
        cost = (_HASTE * self.cost(pictures[:, None]) + _WALL * pictures[:, None]).clamp(*_LOG_COSTS).exp()  # (B, 1, X, Y)
        at = nn.functional.one_hot(squares, rows * columns).unflatten(-1, (rows, columns))  # (B, K, X, Y)
        values = torch.where(at > 0, 0.0, _OUT)
        for _ in range(rows * columns):
            wide = nn.functional.pad(values + cost / 2, (1, 1, 1, 1), value=_OUT)
            beside = torch.minimum(wide[..., :-2, 1:-1], wide[..., 2:, 1:-1])
            above = torch.minimum(wide[..., 1:-1, :-2], wide[..., 1:-1, 2:])
            before, values = values, torch.minimum(values, torch.minimum(beside, above) + cost / 2)
            if torch.equal(before, values):
                break
        return values


class PathFeatures(nn.Module):
    """What every square of a picture is to the way from a start to a goal.

    By how much the way through it is dearer than the cheapest, which share of that way lies before it, how dear the cheapest is,
    and what is about the square: nothing by which a map could be learnt by heart.
    """

    size = 4 + _HIDDEN

    def __init__(self) -> None:
        super().__init__()
        self.maps = ValueMaps()
        self.around = nn.Conv2d(1, _HIDDEN, 3, padding=1)

    def forward(self, pictures: Tensor, ends: Tensor) -> Tensor:
        """(B, X, Y), (B, 2, 2) start and goal in [-1, 1] over the picture -> (B, X Y, size): the share is entry 0, log1p of the
        cheapest way's cost entry 3."""
        squares = cell_of(ends, pictures.shape[1:])[0]
        from_start, to_goal = self.maps(pictures, squares).flatten(2).unbind(1)  # (B, X Y) each
        whole = from_start.gather(1, squares[:, 1:])
        detour = (from_start + to_goal - whole).clamp(min=0)
        share = from_start / (from_start + to_goal + 1e-3)
        told = [share, detour.clamp(max=_MOST), detour.log1p(), whole.log1p().expand_as(share)]
        return torch.cat([torch.stack(told, dim=-1), self.around(pictures[:, None]).flatten(2).movedim(1, 2)], dim=-1)


def cell_of(places: Tensor, shape: tuple[int, ...] | torch.Size) -> tuple[Tensor, Tensor]:
    """(..., 2) in [-1, 1] over a picture (X, Y) -> (...) the index of each place's square, (..., 2) where in it, -1 to 1."""
    counts = places.new_tensor(tuple(shape))
    scaled = (places + 1) / 2 * counts
    square = torch.minimum(scaled.floor().clamp(min=0), counts - 1)
    index = (square[..., 0] * counts[1] + square[..., 1]).long()
    return index, (2 * (scaled - square) - 1).clamp(-1.5, 1.5)


def cell_centres(shape: tuple[int, ...] | torch.Size) -> Tensor:
    """(X, Y) -> (X Y, 2) in [-1, 1] over the picture"""
    axes = [(torch.arange(count) + 0.5) / count * 2 - 1 for count in shape]
    return torch.cartesian_prod(*axes)
