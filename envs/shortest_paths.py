"""True shortest paths on a wall map, exact and fast enough to judge thousands of pairs."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import shortest_path

Array = NDArray[np.floating]
Indices = NDArray[np.intp]

_PAIRS_AT_ONCE = 4096  # bounds the memory of a batched query
_NEAR = 2.5  # cells: walls this near a cell hide most corners from it, so they are asked first
_GRAZE = 1e-9  # m: a line that touches a wall no deeper than this passes it; rounding must not block a way along a face


class ShortestPaths:
    """The visibility graph of a map: a shortest path is a straight line, or bends only at wall corners.

    What a point may see depends mostly on its cell, so each cell keeps the few corners that are not hidden from all of
    it, and the few walls that can stand between. Both are found once, when the cell is first asked about.
    """

    def __init__(self, walls: Array, is_wall: NDArray[np.bool_], cell_size: float) -> None:
        """(W, 2, 2) boxes [low, high] [m] that cover the wall cells; (X, Y) whether each cell is one; its side [m]."""
        self.walls, self.cell_size = walls, cell_size
        self.num_cells = np.array(is_wall.shape)
        below, above = is_wall[:, :-1].astype(int), is_wall[:, 1:].astype(int)
        around = below[:-1] + below[1:] + above[:-1] + above[1:]  # wall cells about each inner crossing of the grid
        places = np.argwhere(around == 1)
        self.corners = (places + 1) * cell_size  # (C, 2), three free cells about each
        rows = tuple(places.T)
        to_wall = np.stack([below[1:] + above[1:], above[:-1] + above[1:]], axis=-1)[rows]
        self.wall_side = 2 * to_wall - 1  # (C, 2) signs: the wall lies on this side of the corner, along each axis
        self._views: dict[int, tuple[Indices, Array]] = {}

    def sees(self, starts: Array, ends: Array) -> NDArray[np.bool_]:
        """(..., 2), (..., 2) -> (...): whether the straight line between the two points misses every wall."""
        starts, ends = np.broadcast_arrays(np.asarray(starts, np.float64), np.asarray(ends, np.float64))
        return np.logical_not(np.any(_crosses(starts[..., None, :], ends[..., None, :], self.walls), axis=-1))

    def length(self, starts: Array, goals: Array) -> Array:
        """(N, 2), (N, 2) -> (N,) length [m] of the shortest free path; inf where there is none."""
        starts, goals = np.atleast_2d(np.asarray(starts, np.float64)), np.atleast_2d(np.asarray(goals, np.float64))
        parts = [
            self._bends(starts[i : i + _PAIRS_AT_ONCE], goals[i : i + _PAIRS_AT_ONCE])[0]
            for i in range(0, len(starts), _PAIRS_AT_ONCE)
        ]
        return np.concatenate(parts) if parts else np.empty(0)

    def route(self, start: Array, goal: Array) -> Array:
        """(2,), (2,) -> (K, 2) bends of the shortest free path, start and goal included. ValueError if there is none."""
        start, goal = np.asarray(start, np.float64), np.asarray(goal, np.float64)
        length, first, last = self._bends(start[None], goal[None])
        if not np.isfinite(length[0]):
            raise ValueError(f"no free path from {start} to {goal} in this map")
        bends: list[int] = []
        if first[0] >= 0:
            _, before = self._between_corners
            bends = [int(last[0])]
            while bends[-1] != first[0]:
                bends.append(int(before[first[0], bends[-1]]))
        return np.vstack([start, self.corners[bends[::-1]].reshape(-1, 2), goal])

    @cached_property
    def _between_corners(self) -> tuple[Array, Indices]:
        """Lengths (C, C) of the shortest paths between corners, and each path's predecessors (C, C)."""
        gaps = np.linalg.norm(self.corners[:, None] - self.corners, axis=-1)
        sight = np.array([self.sees(corner, self.corners) for corner in self.corners])
        return shortest_path(np.where(sight, gaps, 0.0), directed=False, return_predecessors=True)

    def _bends(self, starts: Array, goals: Array) -> tuple[Array, Indices, Indices]:
        """Shortest lengths (N,) with the first and last corner of each path, -1 where it is a straight line."""
        direct = np.where(self.sees(starts, goals), np.linalg.norm(goals - starts, axis=-1), np.inf)
        none = np.full(len(starts), -1)
        if len(self.corners) == 0:
            return direct, none, none
        lengths, _ = self._between_corners
        corners, gaps = self._to_corners(np.concatenate([starts, goals]))  # (2N, K)
        (first, last), (out, back) = np.split(corners, 2), np.split(gaps, 2)
        total = out[:, :, None] + lengths[first[:, :, None], last[:, None, :]] + back[:, None, :]  # (N, K, K)
        best = total.reshape(len(starts), -1).argmin(axis=1)
        row, (i, j) = np.arange(len(starts)), np.unravel_index(best, total.shape[1:])
        bent = total[row, i, j]
        straight = direct <= bent
        return np.where(straight, direct, bent), np.where(straight, -1, first[row, i]), np.where(straight, -1, last[row, j])

    def _to_corners(self, points: Array) -> tuple[Indices, Array]:
        """(N, 2) -> corners (N, K) and the straight distance to each [m]; inf where it is hidden, or the row is shorter."""
        cells = np.clip(np.floor(points / self.cell_size).astype(int), 0, self.num_cells - 1)
        keys = np.ravel_multi_index(tuple(cells.T), tuple(self.num_cells))
        order = np.argsort(keys, kind="stable")
        groups = np.split(order, np.flatnonzero(np.diff(keys[order])) + 1)
        views = [self._view(int(keys[group[0]])) for group in groups]
        width = max(1, *(len(seen) for seen, _ in views))
        corners, gaps = np.zeros((len(points), width), dtype=np.intp), np.full((len(points), width), np.inf)
        for group, (seen, walls) in zip(groups, views, strict=True):
            ways = self.corners[seen] - points[group, None]  # (points, corners, 2)
            # A shortest path bends round a corner; one that comes at it head on cannot.
            point, corner = np.nonzero(~np.all(ways * self.wall_side[seen] > 0, axis=-1))
            starts, ends = points[group[point]], self.corners[seen[corner]]
            hidden = np.any(_crosses(starts[:, None], ends[:, None], walls), axis=-1)
            corners[group, : len(seen)] = seen
            gaps[group[point], corner] = np.where(hidden, np.inf, np.linalg.norm(ends - starts, axis=-1))
        nearest = np.argsort(gaps, axis=1)[:, : max(1, np.isfinite(gaps).sum(axis=1).max())]
        return np.take_along_axis(corners, nearest, axis=1), np.take_along_axis(gaps, nearest, axis=1)

    def _view(self, key: int) -> tuple[Indices, Array]:
        """Of one cell: the corners (K,) that some point of it may see, and the walls (V, 2, 2) that may stand between.

        What a convex wall hides from a corner is convex; so a wall that hides all four corners of the cell hides it all.
        """
        if key not in self._views:
            low = np.array(np.unravel_index(key, tuple(self.num_cells))) * self.cell_size
            high = low + self.cell_size
            seen = np.arange(len(self.corners))
            reach = _NEAR * self.cell_size
            near = np.all((self.walls[:, 0] < high + reach) & (self.walls[:, 1] > low - reach), axis=1)
            cell = np.array([low, [low[0], high[1]], [high[0], low[1]], high])
            for walls in (self.walls[near], self.walls[~near]):
                across = _crosses(cell[:, None, None], self.corners[seen][:, None], walls)  # (4, K, walls)
                seen = seen[np.logical_not(np.any(np.all(across, axis=0), axis=1))]
            ends = self.corners[seen][:, None]
            hull = np.minimum(low, ends), np.maximum(high, ends)  # (K, 1, 2) each
            between = np.any(np.all((self.walls[:, 0] < hull[1]) & (self.walls[:, 1] > hull[0]), axis=2), axis=0)
            self._views[key] = seen, self.walls[between]
        return self._views[key]


def _crosses(starts: Array, ends: Array, walls: Array) -> NDArray[np.bool_]:
    """(..., 2), (..., 2), (..., 2, 2) -> (...): whether the line between two points enters the open box.

    Separating axes: the two box sides and the normal of the line.
    """
    middle, half = (starts + ends) / 2, (ends - starts) / 2
    offset = middle - (walls[..., 0, :] + walls[..., 1, :]) / 2
    extent = (walls[..., 1, :] - walls[..., 0, :]) / 2
    reach = np.abs(half)
    near = np.abs(offset) < extent + reach - _GRAZE
    length = np.sqrt(half[..., 0] ** 2 + half[..., 1] ** 2)
    across = np.abs(half[..., 0] * offset[..., 1] - half[..., 1] * offset[..., 0])
    width = extent[..., 0] * reach[..., 1] + extent[..., 1] * reach[..., 0]
    return near[..., 0] & near[..., 1] & (across < width - _GRAZE * length)
