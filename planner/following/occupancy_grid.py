"""Where the agent has been, or nearly, as cells, and what it costs to drive there: the nearer to the rest the more."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, map_coordinates
from scipy.sparse import coo_array, csr_array
from scipy.spatial import cKDTree

from ..data.coverage import LINE_SLACK, Coverage
from ..goal_space import GoalSpace

Array = NDArray[np.floating]

# sides of the cells, at least and at most [typical moves of a step]
_SIDE, _WIDEST_SIDE = 0.3, 1.0
_MOST_CELLS = 1_000_000
_FINER = 3  # looks at a cell along each side, to tell where nobody has been
_WIDEST_GAP = 1.5  # where visits are farther apart than this, they are taken to be no farther [typical moves]
_END = 1.5  # typical moves by which a barrier may go on beyond where it was told: round its end all pass
_WALL = 1e6  # costs of a unit of length where nobody has been
_SHORTEST_PIECE = 16  # points of a line that a chord takes the place of
_ROUNDS = 2  # once through all lengths of pieces, and once again


@dataclass(frozen=True, eq=False)
class OccupancyGrid:
    costs: Array  # (X, Y, ...) of a unit of length: 1 in the open, more near to where nobody has been, 1e6 there
    low: Array  # (G,) centre of the first [goal units]
    side: float  # goal units

    @classmethod
    def over(cls, visited: Coverage, places: Array, move: float, clearance: float, weight: float) -> OccupancyGrid | None:
        """(M, G) visited places, a typical move and the clearance that is wanted -> OccupancyGrid; all of it, and the grid, in
        units of the goals' first entry (`GoalSpace.relative`).

        A unit of length costs 1 + weight (1 - clearance / wanted)^2 where the clearance is less than is wanted. None where goals
        have more than three entries, or the world is too wide for so small cells.
        """
        if not GoalSpace(places.shape[1]).has_cells:
            return None
        margin = LINE_SLACK * visited.spacing + 2 * move  # the border is where nobody has been
        low, spans = places.min(axis=0) - margin, np.ptp(places, axis=0) + 2 * margin
        side = max(_SIDE * move, float((np.prod(spans) / _MOST_CELLS) ** (1 / len(spans))))
        if side > _WIDEST_SIDE * move:
            return None
        shape = np.ceil(spans / side).astype(int) + 1
        # looked at once a cell, it would matter how cells lie to a wall
        finer = side / _FINER
        points = low + finer * np.moveaxis(np.indices(_FINER * shape), 0, -1)
        been = _been(visited, visited.space.absolute(points), finer, _WIDEST_GAP * move)
        barred = been & visited.on_barrier(visited.space.absolute(points))
        been &= ~barred
        middle = tuple([slice(None, None, _FINER)] * len(shape))
        clear = _depths(been, finer)[middle] - LINE_SLACK * visited.spacing
        if barred.any():
            clear = np.minimum(clear, _depths(~barred, finer)[middle] - _END * move)
        costs = 1 + weight * np.clip(1 - clear / clearance, 0, 1) ** 2
        return cls(np.where(been[middle], costs, _WALL), low, side)

    @cached_property
    def free(self) -> NDArray[np.bool_]:
        """(X, Y, ...)"""
        return self.costs < _WALL

    @cached_property
    def centres(self) -> Array:
        """(N, G) of those that are free [goal units]"""
        return self.low + self.side * np.argwhere(self.free)

    @cached_property
    def tree(self) -> cKDTree:
        """Over the centres."""
        return cKDTree(self.centres)

    @cached_property
    def diameter(self) -> float:
        """No two centres are farther apart [goal units]."""
        return float(np.linalg.norm(np.ptp(self.centres, axis=0))) if len(self.centres) else 0.0

    @cached_property
    def links(self) -> csr_array:
        """(N, N) costs between free cells next to each other [sides].

        In a plane a cell has sixteen neighbours, those a knight's move away among them: a path over them is at most 2.8 %
        longer than the straight line, over eight 8.2 %.
        """
        number = np.full(self.free.shape, -1)
        number[self.free] = np.arange(self.free.sum())
        costs = self.costs[self.free]
        far = 2 if number.ndim == 2 else 1
        number = np.pad(number, far, constant_values=-1)
        at = np.argwhere(number >= 0)
        rows, columns, lengths = [], [], []
        for offset in itertools.product(range(-far, far + 1), repeat=number.ndim):
            if math.gcd(*offset) != 1:
                continue
            passed = itertools.product(*[{step // 2, -(-step // 2)} for step in offset])
            row = np.flatnonzero(np.all([number[tuple((at + step).T)] >= 0 for step in [offset, *passed]], axis=0))
            column = number[tuple((at[row] + offset).T)]
            rows.append(row)
            columns.append(column)
            lengths.append(math.hypot(*offset) * (costs[row] + costs[column]) / 2)
        places = np.concatenate(rows), np.concatenate(columns)
        return coo_array((np.concatenate(lengths), places), shape=(len(at), len(at))).tocsr()

    def cost_of(self, lines: Array) -> Array:
        """(..., P, G) -> (...): what it costs to drive along each [goal units]"""
        at = np.moveaxis((lines - self.low) / self.side, -1, 0)
        costs = map_coordinates(self.costs, at, order=1, mode="nearest")
        lengths = np.linalg.norm(np.diff(lines, axis=-2), axis=-1)
        return ((costs[..., 1:] + costs[..., :-1]) / 2 * lengths).sum(axis=-1)

    def pulled_straight(self, line: Array) -> Array:
        """(P, G) -> (P, G): chords in place of the line's pieces, wherever they cost less and meet no wall.

        A path over cells has sixteen directions, and bends where a straight line would do. First the whole line is tried, then
        its halves, its quarters and so on, and each time pieces that begin half a piece later, and such as end where the line
        does (Birkhoff's curve shortening, 1917).
        """
        line, last = line.copy(), len(line) - 1
        for _ in range(_ROUNDS):
            pieces = 1
            while (span := last // pieces) >= _SHORTEST_PIECE or pieces == 1:
                shares = np.linspace(0, 1, span + 1)[:, None]
                for first in (0, span // 2, last % span):  # the last of these end where the line does
                    starts = np.arange(first, last - span + 1, span)
                    rows = starts[:, None] + np.arange(span + 1)
                    own = line[rows]
                    chords = own[:, :1] + shares * (own[:, -1:] - own[:, :1])
                    taken = (self.cost_of(chords) < self.cost_of(own)) & self.contains(chords).all(axis=-1)
                    line[rows[taken]] = chords[taken]
                pieces *= 2
        return line

    def contains(self, places: Array) -> NDArray[np.bool_]:
        """(..., G) -> (...): are they in free cells?"""
        at = np.rint((places - self.low) / self.side).astype(np.intp)
        inside = ((at >= 0) & (at < self.free.shape)).all(axis=-1)
        return inside & self.free[tuple(np.moveaxis(at.clip(0, np.array(self.free.shape) - 1), -1, 0))]


def _been(visited: Coverage, places: Array, spacing: float, widest: float) -> NDArray[np.bool_]:
    """(X, Y, ..., G) places so far from each other -> (X, Y, ...): has the agent been there, for all that visits tell?

    Where visits are sparse, gaps between them are no walls: there each tells of places farther away, as far as visits are
    from each other about it, or `widest` [goal units]. Beside a wall it would tell of places in the wall; so what only this
    adds is taken away again by so much from its border (a morphological closing, by a radius of each place's own). A wall
    with sparse visits on both sides may be filled all the same, unless it is six moves thick at `_WIDEST_GAP`.
    """
    most = LINE_SLACK * max(visited.spacing, widest) * (1 + 1e-9)
    gaps, spacings = visited.gaps(places, most, widest)
    reached = gaps <= LINE_SLACK * spacings * (1 + 1e-9)
    depths = _depths(reached, spacing)
    near = gaps <= LINE_SLACK * visited.spacing * (1 + 1e-9)
    return near | (reached & (depths > LINE_SLACK * (spacings - visited.spacing)))


def _depths(inside: NDArray[np.bool_], spacing: float) -> Array:
    """(X, Y, ...) -> (X, Y, ...): how far each place is from the nearest that is not inside, as none beyond the border is."""
    within = tuple([slice(1, -1)] * inside.ndim)
    return distance_transform_edt(np.pad(inside, 1), sampling=spacing)[within]
