"""A walled plane drawn in ASCII: exact collision and free-space sampling; its true distances are in `shortest_paths`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

from .shortest_paths import ShortestPaths

Array = NDArray[np.floating]


class TruePaths(Protocol):
    """(N, 2) positions [m] in, as `ShortestPaths` has them."""

    def sees(self, starts: Array, ends: Array) -> NDArray[np.bool_]: ...

    def length(self, starts: Array, goals: Array) -> Array: ...

    def route(self, start: Array, goal: Array) -> Array: ...


_Cells = tuple[tuple[int, int], tuple[int, int]]  # a box's low and high corner, in cells

_TOUCHING = 1.0 + 1e-9  # a move that ends this near a face ends on it: no rounding may put a point inside a wall
_ROUNDING = 1e-9  # m: a point this near a grid line lies on it, or it might be inside the second wall of an inner corner
_FLOAT32 = 1e-5  # m: more than rounding to float32 moves a point, in worlds up to 100 m wide
_MARGIN = 1e-6  # cells: a move this near a cell may touch it
_NOWHERE = np.full((1, 2, 2), np.inf)  # a wall that no move enters


@lru_cache(maxsize=256)
def wall_map(rows: tuple[str, ...], cell_size: float, connected: bool = True) -> WallMap:
    """The map of this drawing; envs with the same drawing share it, and with it what has been worked out about it."""
    return WallMap(rows, cell_size, connected)


class WallMap:
    """Cells of `cell_size` [m], `#` wall and `.` free; the lower left corner of the drawing is (0, 0).

    `walls` (W, 2, 2) holds boxes [low, high] that cover the wall cells: every maximal run along a row and along a
    column. The two families overlap on purpose, so that no seam between two boxes is left uncovered.

    ValueError for an empty drawing, uneven rows, another character, an open border, no free cell, walls that meet only
    at a corner, or, unless `connected` is False, free cells that no way joins.
    """

    def __init__(self, rows: Sequence[str], cell_size: float, connected: bool = True) -> None:
        check_rows(rows)
        if not (np.isfinite(cell_size) and cell_size > 0):
            raise ValueError(f"cell_size must be a positive length in metres, got {cell_size}")
        self.rows = tuple(rows)
        self.cell_size = float(cell_size)
        # is_wall[column, row from the bottom], so that indices grow with x and y
        self.is_wall = np.array([[cell == "#" for cell in row] for row in reversed(rows)]).T
        self.size = np.array(self.is_wall.shape) * self.cell_size  # (2,) [m]
        boxes = _runs(self.is_wall)
        self.walls = np.array(boxes, dtype=np.float64) * self.cell_size
        self.free_cells = np.argwhere(~self.is_wall)
        parts, num_parts = label(~self.is_wall)
        self.is_connected = num_parts == 1
        if connected and not self.is_connected:
            column, row = np.argwhere(parts == 2)[0]
            raise ValueError(
                f"the free cells of the map fall into {num_parts} parts that no way joins (one holds column {column}, row "
                f"{len(rows) - 1 - row} of the drawing, counted from 0); open a wall, or say connected=False"
            )
        self.panes: Array = np.empty((0, 2, 2))  # ends of walls without thickness, see `panes.PanedMap`
        self._padded_walls = np.concatenate([self.walls, _NOWHERE])
        self._walls_of_cell = _walls_of_cells(self.is_wall, boxes)

    def is_free(self, points: Array) -> NDArray[np.bool_]:
        """(..., 2) -> (...): inside the world and not inside a wall; the face of a wall counts as free."""
        points = np.asarray(points, dtype=np.float64)[..., None, :]
        in_wall = np.all((points > self.walls[:, 0]) & (points < self.walls[:, 1]), axis=-1).any(axis=-1)
        in_world = np.all((points >= 0) & (points <= self.size), axis=-1)[..., 0]
        return in_world & ~in_wall

    def settle(self, points: Array) -> Array:
        """(..., 2) -> (..., 2): points inside a wall by no more than float32 rounding, put back onto its face.

        A mass that rests against a wall is, once its position has been rounded to an observation, in it as often as not.
        """
        settled = np.array(points, dtype=np.float64).reshape(-1, 2)
        cells = self._cells(settled / self.cell_size)
        inside = np.flatnonzero(self.is_wall[cells[:, 0], cells[:, 1]])
        if len(inside) == 0:
            return settled.reshape(np.shape(points))
        for _ in range(2):  # in an inner corner it may be in two walls
            near = settled[inside, None]  # (K, 1, 2)
            depths = np.stack([near - self.walls[:, 0], self.walls[:, 1] - near], axis=-1)  # (K, W, axis, side)
            depths = np.where((depths > 0).all(axis=(2, 3), keepdims=True), depths, np.inf).reshape(len(inside), -1)
            row, nearest = np.arange(len(inside)), depths.argmin(axis=1)
            wall, axis, side = np.unravel_index(nearest, (len(self.walls), 2, 2))
            rounded = depths[row, nearest] < _FLOAT32
            settled[inside[rounded], axis[rounded]] = self.walls[wall, side, axis][rounded]
        return settled.reshape(np.shape(points))

    def sample_free(self, num_points: int, rng: np.random.Generator) -> Array:
        """(num_points, 2), uniform over the free area."""
        cells = self.free_cells[rng.integers(len(self.free_cells), size=num_points)]
        return (cells + rng.random((num_points, 2))) * self.cell_size

    def sweep(self, points: Array, moves: Array) -> tuple[Array, NDArray[np.intp], NDArray[np.bool_]]:
        """Move (B, 2) points along (B, 2) straight lines up to the first wall.

        Returns the points reached (B, 2), the axis whose face stopped them (B,) and whether one did (B,). A point that
        was stopped lies exactly on the face, so rounding can never put it inside.
        """
        reached = points + moves
        axis, hit = np.zeros(len(points), dtype=np.intp), np.zeros(len(points), dtype=bool)
        # The cells that a move may touch; most moves touch no wall cell, and few leave the cells next to their own.
        first = self._cells(np.minimum(points, reached) / self.cell_size - _MARGIN)
        last = self._cells(np.maximum(points, reached) / self.cell_size + _MARGIN)
        (left, bottom), (right, top) = first.T, last.T
        is_wall = self.is_wall
        near_wall = is_wall[left, bottom] | is_wall[left, top] | is_wall[right, bottom] | is_wall[right, top]
        far = ((right - left) > 1) | ((top - bottom) > 1)
        near = np.flatnonzero(near_wall & ~far)
        if len(near):
            left, bottom, right, top = left[near], bottom[near], right[near], top[near]
            cells = np.stack([left, left, right, right], axis=1), np.stack([bottom, top, bottom, top], axis=1)
            walls = self._padded_walls[self._walls_of_cell[cells].reshape(len(near), -1)]  # (near, 8, 2, 2)
            reached[near], axis[near], hit[near] = _stop(points[near], moves[near], walls, self.cell_size)
        long = np.flatnonzero(far)
        if len(long):
            reached[long], axis[long], hit[long] = _stop(points[long], moves[long], self.walls[None], self.cell_size)
        return reached, axis, hit

    def _cells(self, places: Array) -> NDArray[np.intp]:
        """(B, 2) [cells] -> (B, 2) the cell of each, within the map."""
        return np.clip(places.astype(np.intp), 0, np.array(self.is_wall.shape) - 1)  # towards 0 is right after the clip

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

    @cached_property
    def paths(self) -> ShortestPaths:
        """Of the drawing: who sees whom, and how long the shortest ways are."""
        return ShortestPaths(self.walls, self.is_wall, self.cell_size)

    @property
    def truth(self) -> TruePaths:
        """Of all that stands in this map: who sees whom, and how long the shortest ways are."""
        return self.paths


def check_rows(rows: Sequence[str]) -> None:
    """ValueError, saying what to mend, if the drawing is no walled plane."""
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


def _walls_of_cells(is_wall: NDArray[np.bool_], boxes: list[_Cells]) -> NDArray[np.intp]:
    """(X, Y, 2): of each wall cell, the (at most two) boxes that cover it; len(boxes) where there is none."""
    of_cell = np.full((*is_wall.shape, 2), len(boxes), dtype=np.intp)
    count = np.zeros(is_wall.shape, dtype=np.intp)
    for index, (low, high) in enumerate(boxes):
        for cell in np.ndindex(high[0] - low[0], high[1] - low[1]):
            place = (low[0] + cell[0], low[1] + cell[1])
            of_cell[place][count[place]] = index
            count[place] += 1
    return of_cell


def _stop(points: Array, moves: Array, walls: Array, cell_size: float) -> tuple[Array, NDArray[np.intp], NDArray[np.bool_]]:
    """(B, 2), (B, 2), (B or 1, W, 2, 2) -> as `sweep`: where each move ends, with every one of its W walls looked at."""
    enter, axis = _enter_times(points, moves, walls)  # (B, W)
    wall = enter.argmin(axis=1)
    row = np.arange(len(points))
    time, axis = enter[row, wall], axis[row, wall]
    hit = time <= _TOUCHING
    reached = points + np.minimum(time, 1.0)[:, None] * moves
    faced = np.broadcast_to(walls, (len(points), *walls.shape[1:]))[row, wall]  # (B, 2, 2)
    side = np.where(moves[row, axis] > 0, faced[row, 0, axis], faced[row, 1, axis])
    reached[row[hit], axis[hit]] = side[hit]
    line = np.rint(reached / cell_size) * cell_size
    return np.where(np.abs(reached - line) <= _ROUNDING, line, reached), axis, hit


def _enter_times(points: Array, moves: Array, walls: Array) -> tuple[Array, NDArray[np.intp]]:
    """When (fraction of the move) each of B points enters each of its W open boxes, and through which axis; inf if never.

    Slab method: per axis the times at which the line is between the two faces; inside where the intervals overlap.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        to_low = (walls[:, :, 0] - points[:, None]) / moves[:, None]  # (B, W, axis)
        to_high = (walls[:, :, 1] - points[:, None]) / moves[:, None]
    still = moves[:, None, :] == 0
    between = (points[:, None] > walls[:, :, 0]) & (points[:, None] < walls[:, :, 1])
    enter = np.where(still, np.where(between, -np.inf, np.inf), np.minimum(to_low, to_high))
    leave = np.where(still, np.where(between, np.inf, -np.inf), np.maximum(to_low, to_high))
    first, last = np.maximum(enter[..., 0], enter[..., 1]), np.minimum(leave[..., 0], leave[..., 1])
    # first < 0 is a box behind the point; first == 0 a wall that the point touches and is pushed into
    inside = (first < last) & (first >= 0)
    return np.where(inside, first, np.inf), (enter[..., 1] > enter[..., 0]).astype(np.intp)
