"""A room with walls that have no thickness: positions on their two sides lie arbitrarily near each other."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import shortest_path

from .walls import WallMap

Array = NDArray[np.floating]
Pane = tuple[float, float, float]  # x, and the lower and the upper y [m]

# A room of 6 x 6 m, and two panes in it: the way from its left to its right leads up, down and up again.
ROOM = ("########", *("#......#",) * 6, "########")
PANES: tuple[Pane, ...] = ((3.0, 1.0, 5.8), (5.0, 2.2, 7.0))

_BESIDE = 1e-5  # m: how near a pane anybody comes; rounding to float32 does not carry them over
_GRAZE = 1e-9  # m: a line that touches the end of a pane no deeper than this passes it


@lru_cache(maxsize=64)
def paned_map(rows: tuple[str, ...], cell_size: float, panes: tuple[Pane, ...]) -> PanedMap:
    """The map of this room; envs with the same one share it, and with it what has been worked out about it."""
    return PanedMap(rows, cell_size, panes)


class PanedMap(WallMap):
    """A `WallMap` of one open room, and panes in it: upright segments (x, low, high) [m] that nobody crosses.

    `panes` (K, 2, 2) holds their lower and upper ends. ValueError for walls inside the room, or panes that are none, outside
    it, or reach from wall to wall.
    """

    def __init__(self, rows: Sequence[str], cell_size: float, panes: Sequence[Pane]) -> None:
        super().__init__(rows, cell_size)
        if len(self.paths.corners):
            raise ValueError("panes stand in one open room; leave the walls inside the drawing out")
        low, high = np.full(2, cell_size), self.size - cell_size
        for x, bottom, top in panes:
            if not (low[0] < x < high[0] and low[1] <= bottom < top <= high[1]):
                raise ValueError(f"a pane is (x, low, high) in metres within the room, {low} to {high}; got {(x, bottom, top)}")
            if bottom == low[1] and top == high[1]:
                raise ValueError(f"the pane at x = {x:g} reaches from wall to wall; leave a gap above or below")
        self.panes = np.array([[(x, bottom), (x, top)] for x, bottom, top in panes], dtype=np.float64).reshape(-1, 2, 2)

    def is_free(self, points: Array) -> NDArray[np.bool_]:
        """(..., 2) -> (...): as of a `WallMap`, and not on a pane."""
        points = np.asarray(points, dtype=np.float64)
        x, y = points[..., None, 0], points[..., None, 1]
        low, high = self.panes[:, 0], self.panes[:, 1]
        on_pane = (np.abs(x - low[:, 0]) < _BESIDE / 2) & (y >= low[:, 1]) & (y <= high[:, 1])
        return super().is_free(points) & ~on_pane.any(axis=-1)

    def sweep(self, points: Array, moves: Array) -> tuple[Array, NDArray[np.intp], NDArray[np.bool_]]:
        """As of a `WallMap`. Who meets a pane stops beside it, on the side where they were."""
        reached, axis, hit = super().sweep(points, moves)
        reached, axis, hit = reached.copy(), axis.copy(), hit.copy()
        for (x, bottom), (_, top) in self.panes:
            before, after = points[:, 0] - x, reached[:, 0] - x
            passes = (before * after <= 0) & (before != after)
            share = np.where(passes, before / np.where(passes, before - after, 1.0), 0.0)
            height = points[:, 1] + share * (reached[:, 1] - points[:, 1])
            met = passes & (height >= bottom) & (height <= top)
            if met.any():
                own = np.sign(before[met])
                reached[met, 0], reached[met, 1] = x + own * _BESIDE, height[met]
                axis[met], hit[met] = 0, True
            near = ~met & (np.abs(after) < _BESIDE) & (reached[:, 1] >= bottom) & (reached[:, 1] <= top)
            reached[near, 0] = x + np.where(after[near] < 0, -_BESIDE, _BESIDE)
        return reached, axis, hit

    @cached_property
    def truth(self) -> PanePaths:
        """Who sees whom, and how long the shortest paths are."""
        low, high = self.cell_size, self.size[1] - self.cell_size
        ends = self.panes.reshape(-1, 2)
        return PanePaths(self.panes, ends[(ends[:, 1] > low) & (ends[:, 1] < high)])


class PanePaths:
    """A shortest path in a room with panes is a straight line, or bends only at their ends that stand free."""

    def __init__(self, panes: Array, corners: Array) -> None:
        """(K, 2, 2) lower and upper ends, (C, 2) those that stand free [m]."""
        self.panes, self.corners = panes, corners

    def sees(self, starts: Array, ends: Array) -> NDArray[np.bool_]:
        """(..., 2), (..., 2) -> (...): does the straight line between the two points cross no pane?"""
        starts, ends = np.broadcast_arrays(np.asarray(starts, np.float64), np.asarray(ends, np.float64))
        before, after = (points[..., None, 0] - self.panes[:, 0, 0] for points in (starts, ends))
        crosses = before * after < 0
        share = before / np.where(crosses, before - after, 1.0)
        height = starts[..., None, 1] + share * (ends - starts)[..., None, 1]
        within = (height > self.panes[:, 0, 1] + _GRAZE) & (height < self.panes[:, 1, 1] - _GRAZE)
        return np.logical_not((crosses & within).any(axis=-1))

    def length(self, starts: Array, goals: Array) -> Array:
        """(N, 2), (N, 2) -> (N,) [m] of the shortest path."""
        direct, total = self._lengths(np.atleast_2d(starts), np.atleast_2d(goals))
        return np.minimum(direct, total.reshape(len(direct), -1).min(axis=1))

    def route(self, start: Array, goal: Array) -> Array:
        """(2,), (2,) -> (K, 2) bends of the shortest path, start and goal included."""
        start, goal = np.asarray(start, np.float64), np.asarray(goal, np.float64)
        direct, total = self._lengths(start[None], goal[None])
        if direct[0] <= total.min():
            return np.stack([start, goal])
        first, last = np.unravel_index(total[0].argmin(), total.shape[1:])
        bends = [last]
        while bends[-1] != first:
            bends.append(self._between[1][first, bends[-1]])
        return np.vstack([start, self.corners[bends[::-1]], goal])

    def _lengths(self, starts: Array, goals: Array) -> tuple[Array, Array]:
        """(N, 2), (N, 2) -> (N,) of the straight line, inf where it is none; (N, C, C) by way of a first and a last corner."""
        starts, goals = np.asarray(starts, np.float64), np.asarray(goals, np.float64)
        out, back = (self._straight(points[:, None], self.corners) for points in (starts, goals))
        return self._straight(starts, goals), out[:, :, None] + self._between[0] + back[:, None]

    @cached_property
    def _between(self) -> tuple[Array, NDArray[np.integer]]:
        """Lengths (C, C) of the shortest paths between corners, and each path's predecessors (C, C)."""
        straight = self._straight(self.corners[:, None], self.corners)
        return shortest_path(np.where(np.isfinite(straight), straight, 0.0), directed=False, return_predecessors=True)

    def _straight(self, starts: Array, ends: Array) -> Array:
        return np.where(self.sees(starts, ends), np.linalg.norm(ends - starts, axis=-1), np.inf)
