"""A walled plane drawn in ASCII: exact collision, free-space sampling and true shortest paths.

One wall map answers everything that an env, an evaluation or a picture asks about the world: where a moving point
stops, which points are free, and how long the shortest way between two points is.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import shortest_path

Array = NDArray[np.floating]
_Cells = tuple[tuple[int, int], tuple[int, int]]  # a box's low and high corner, in cells

_PAIRS_AT_ONCE = 4096  # bounds the memory of a batched query: pairs x corners x walls
_TOUCHING = 1.0 + 1e-9  # a move that ends this near a face ends on it: no rounding may put a point inside a wall


class WallMap:
    """Cells of `cell_size` [m], `#` wall and `.` free; the lower left corner of the drawing is (0, 0).

    `walls` (W, 2, 2) holds boxes [low, high] that cover the wall cells: every maximal run along a row and along a
    column. The two families overlap on purpose, so that no seam between two boxes is left uncovered.

    ValueError for an empty drawing, uneven rows, another character, an open border, no free cell, or walls that meet
    only at a corner.
    """

    def __init__(self, rows: Sequence[str], cell_size: float) -> None:
        _check_rows(rows)
        if not (np.isfinite(cell_size) and cell_size > 0):
            raise ValueError(f"cell_size must be a positive length in metres, got {cell_size}")
        self.rows = tuple(rows)
        self.cell_size = float(cell_size)
        # is_wall[column, row from the bottom], so that indices grow with x and y
        self.is_wall = np.array([[cell == "#" for cell in row] for row in reversed(rows)]).T
        self.size = np.array(self.is_wall.shape) * self.cell_size  # (2,) [m]
        self.walls = np.array(_runs(self.is_wall), dtype=np.float64) * self.cell_size
        self.free_cells = np.argwhere(~self.is_wall)

    def is_free(self, points: Array) -> NDArray[np.bool_]:
        """(..., 2) -> (...): inside the world and not inside a wall; the face of a wall counts as free."""
        points = np.asarray(points, dtype=np.float64)[..., None, :]
        in_wall = np.all((points > self.walls[:, 0]) & (points < self.walls[:, 1]), axis=-1).any(axis=-1)
        in_world = np.all((points >= 0) & (points <= self.size), axis=-1)[..., 0]
        return in_world & ~in_wall

    def sample_free(self, num_points: int, rng: np.random.Generator) -> Array:
        """(num_points, 2), uniform over the free area."""
        cells = self.free_cells[rng.integers(len(self.free_cells), size=num_points)]
        return (cells + rng.random((num_points, 2))) * self.cell_size

    def sweep(self, points: Array, moves: Array) -> tuple[Array, NDArray[np.intp], NDArray[np.bool_]]:
        """Move (B, 2) points along (B, 2) straight lines up to the first wall.

        Returns the points reached (B, 2), the axis whose face stopped them (B,) and whether one did (B,). A point that
        was stopped lies exactly on the face, so rounding can never put it inside.
        """
        enter, axis = _enter_times(points, moves, self.walls)  # (B, W)
        wall = enter.argmin(axis=1)
        row = np.arange(len(points))
        time, axis = enter[row, wall], axis[row, wall]
        hit = time <= _TOUCHING
        reached = points + np.minimum(time, 1.0)[:, None] * moves
        side = np.where(moves[row, axis] > 0, self.walls[wall, 0, axis], self.walls[wall, 1, axis])
        reached[row[hit], axis[hit]] = side[hit]
        return reached, axis, hit

    def move(self, points: Array, moves: Array) -> tuple[Array, NDArray[np.bool_]]:
        """Move (B, 2) points by (B, 2); at a wall they stop, then slide along it with what is left of the move.

        Returns the points reached (B, 2) and which components of the motion a wall stopped (B, 2).
        """
        points, moves = np.asarray(points, dtype=np.float64), np.asarray(moves, dtype=np.float64)
        row = np.arange(len(points))
        stopped = np.zeros(moves.shape, dtype=bool)
        reached, axis, hit = self.sweep(points, moves)
        stopped[row[hit], axis[hit]] = True
        if hit.any():
            rest = np.where(stopped, 0.0, points + moves - reached)
            reached[hit], axis, again = self.sweep(reached[hit], rest[hit])
            stopped[row[hit][again], axis[again]] = True
        return reached, stopped

    def sees(self, starts: Array, ends: Array) -> NDArray[np.bool_]:
        """(..., 2), (..., 2) -> (...): whether the straight line between the two points misses every wall."""
        starts, ends = np.broadcast_arrays(np.asarray(starts, np.float64), np.asarray(ends, np.float64))
        enter, _ = _enter_times(starts.reshape(-1, 2), (ends - starts).reshape(-1, 2), self.walls)
        return (enter.min(axis=1) >= 1.0).reshape(starts.shape[:-1])

    @cached_property
    def corners(self) -> Array:
        """(C, 2): the wall corners that a shortest path can bend round, i.e. with three free cells about them."""
        around = self.is_wall[:-1, :-1].astype(int) + self.is_wall[1:, :-1] + self.is_wall[:-1, 1:] + self.is_wall[1:, 1:]
        return (np.argwhere(around == 1) + 1) * self.cell_size

    @cached_property
    def _corner_paths(self) -> tuple[Array, NDArray[np.intp]]:
        """Lengths (C, C) of the shortest paths between corners, and each path's predecessors (C, C)."""
        gaps = np.linalg.norm(self.corners[:, None] - self.corners, axis=-1)
        graph = np.where(self.sees(self.corners[:, None], self.corners[None]), gaps, 0.0)
        lengths, before = shortest_path(graph, directed=False, return_predecessors=True)
        return lengths, before

    def shortest_length(self, starts: Array, goals: Array) -> Array:
        """(N, 2), (N, 2) -> (N,) length [m] of the shortest free path; inf where there is none.

        Exact: a shortest path among boxes is a straight line, or bends only at corners (visibility graph).
        """
        starts, goals = np.atleast_2d(np.asarray(starts, np.float64)), np.atleast_2d(np.asarray(goals, np.float64))
        parts = [
            self._via_corners(starts[i : i + _PAIRS_AT_ONCE], goals[i : i + _PAIRS_AT_ONCE])[0]
            for i in range(0, len(starts), _PAIRS_AT_ONCE)
        ]
        return np.concatenate(parts) if parts else np.empty(0)

    def shortest_route(self, start: Array, goal: Array) -> Array:
        """(2,), (2,) -> (K, 2) bends of the shortest free path, start and goal included. ValueError if there is none."""
        length, first, last = self._via_corners(np.atleast_2d(start), np.atleast_2d(goal))
        if not np.isfinite(length[0]):
            raise ValueError(f"no free path from {np.asarray(start)} to {np.asarray(goal)} in this map")
        bends: list[int] = []
        if first[0] >= 0:
            _, before = self._corner_paths
            bends = [int(last[0])]
            while bends[-1] != first[0]:
                bends.append(int(before[first[0], bends[-1]]))
        return np.vstack([start, self.corners[bends[::-1]].reshape(-1, 2), goal])

    def _via_corners(self, starts: Array, goals: Array) -> tuple[Array, NDArray[np.intp], NDArray[np.intp]]:
        """Shortest lengths (N,) with the first and last corner of each path, -1 where it is a straight line."""
        direct = np.where(self.sees(starts, goals), np.linalg.norm(goals - starts, axis=-1), np.inf)
        none = np.full(len(starts), -1)
        if len(self.corners) == 0:
            return direct, none, none
        lengths, _ = self._corner_paths
        out, back = self._to_corners(starts), self._to_corners(goals)  # (N, C)
        inward = out[:, :, None] + lengths  # (N, C, C): start -> first corner -> last corner
        first = inward.argmin(axis=1)
        total = inward.min(axis=1) + back
        last = total.argmin(axis=1)
        row = np.arange(len(starts))
        bent = total[row, last]
        straight = direct <= bent
        return np.where(straight, direct, bent), np.where(straight, -1, first[row, last]), np.where(straight, -1, last)

    def _to_corners(self, points: Array) -> Array:
        """(N, 2) -> (N, C): straight distance to every corner that the point sees, inf to the others."""
        gaps = np.linalg.norm(points[:, None] - self.corners, axis=-1)
        return np.where(self.sees(points[:, None], self.corners[None]), gaps, np.inf)


def _check_rows(rows: Sequence[str]) -> None:
    if not rows or not rows[0]:
        raise ValueError("the map is empty; draw it with '#' for wall and '.' for free")
    widths = {len(row) for row in rows}
    if len(widths) > 1:
        raise ValueError(f"the rows of the map differ in length ({sorted(widths)}); make them equal")
    unknown = set("".join(rows)) - set("#.")
    if unknown:
        raise ValueError(f"the map holds {sorted(unknown)}; only '#' (wall) and '.' (free) are known")
    border = rows[0] + rows[-1] + "".join(row[0] + row[-1] for row in rows)
    if "." in border:
        raise ValueError("the border of the map is open; close it with '#'")
    for upper, lower in pairwise(rows):
        if any({upper[i : i + 2], lower[i : i + 2]} == {"#.", ".#"} for i in range(len(upper) - 1)):
            raise ValueError("two walls of the map meet only at a corner, where a point could slip through; join or part them")
    if "." not in "".join(rows):
        raise ValueError("the map has no free cell; draw at least one '.'")


def _runs(is_wall: NDArray[np.bool_]) -> list[_Cells]:
    """Maximal straight runs of wall cells along both axes, as (low, high) corners in cells."""
    boxes: list[_Cells] = []
    for axis in (0, 1):
        for line, cells in enumerate(is_wall.T if axis == 0 else is_wall):
            edges = np.flatnonzero(np.diff(np.concatenate([[0], cells.astype(int), [0]])))
            for low, high in zip(edges[::2], edges[1::2], strict=True):
                box = ((low, line), (high, line + 1)) if axis == 0 else ((line, low), (line + 1, high))
                boxes.append(box)
    return [box for box in dict.fromkeys(boxes) if not any(_inside(box, other) for other in boxes)]


def _inside(box: _Cells, other: _Cells) -> bool:
    """Whether a box lies wholly in another, larger one."""
    (low, high), (other_low, other_high) = box, other
    return box != other and all(other_low[i] <= low[i] and high[i] <= other_high[i] for i in (0, 1))


def _enter_times(points: Array, moves: Array, walls: Array) -> tuple[Array, NDArray[np.intp]]:
    """When (fraction of the move) each of B points enters each of W open boxes, and through which axis; inf if never.

    Slab method: per axis the times at which the line is between the two faces; inside where the intervals overlap.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        times = (walls[None] - points[:, None, None]) / moves[:, None, None]  # (B, W, low/high, axis)
    still = moves[:, None, :] == 0
    between = (points[:, None] > walls[:, 0]) & (points[:, None] < walls[:, 1])  # (B, W, axis)
    enter = np.where(still, np.where(between, -np.inf, np.inf), times.min(axis=2))
    leave = np.where(still, np.where(between, np.inf, -np.inf), times.max(axis=2))
    axis = enter.argmax(axis=-1)
    first, last = enter.max(axis=-1), leave.min(axis=-1)
    # first < 0 is a box behind the point; first == 0 a wall that the point touches and is pushed into
    inside = (first < last) & (first >= 0)
    return np.where(inside, first, np.inf), axis
