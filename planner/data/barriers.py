"""Walls that are too thin to be seen as gaps between visits: on both sides somebody came up to them, and nobody went across."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from .trajectories import Trajectory, typical_step

Array = NDArray[np.floating]
Flags = NDArray[np.bool_]

# pieces of trajectories that tell of a position: so long at least, in so many env steps at most, and nearly straight
_LENGTH, _LONGEST, _BENT = 2.0, 12, 1.3  # typical moves; env steps; path over chord
_ASKED, _RADIUS = 64, 1.5  # the nearest so many about a position, within so many typical moves
_FROM, _ASIDE = (
    0.5,
    0.3,
)  # typical moves: who begins so far off a plane and ends less than so far on this side of it came up to it
_EVIDENCE = 8  # pieces that came up to it, at least one from either side ...
_WITNESSES = 8  # ... among pieces of so many trajectories: one that turned here eight times says little
_CELL, _KEPT = 0.5, 2  # typical moves: of what lies in one cell (and, of pieces, leads the same way) so many are asked
_AT_ONCE = 4_096  # positions: bounds memory


def on_barrier(trajectories: Sequence[Trajectory]) -> Flags:
    """(M,) of all visited positions: does a barrier lead through here?

    Near means joined wherever walls are thicker than a step. A pane is not: positions on either side of it lie arbitrarily near
    each other, and what slides along it lies on it. So it is told by what was driven: of all planes through a position, is there
    one that trajectories came up to from both sides and that none of them crossed? Thick walls have nobody on their other side,
    and are told by `Coverage`. Where too few trajectories passed nothing is said; nor of goals of so many entries that
    hardly any two trajectories pass near each other.
    """
    places = np.concatenate([trajectory.goals for trajectory in trajectories]).astype(np.float64)
    move = typical_step(trajectories)
    first, last = _straight_pieces(trajectories, _LENGTH * move)
    if len(first) < _EVIDENCE or move == 0:
        return np.zeros(len(places), dtype=bool)
    normals = _normals(places.shape[1])
    heading = np.abs((places[last] - places[first]) @ normals.T).argmax(axis=1)
    middles = (places[first] + places[last]) / 2
    cells = np.column_stack([np.floor(middles / (_CELL * move)), heading])
    kept = _some_of_each(cells)  # what slides along a wall is very much, and hides what came up to it
    ends = np.stack([places[first[kept]], places[last[kept]]])
    owners = np.repeat(np.arange(len(trajectories)), [len(trajectory) for trajectory in trajectories])[first[kept]]
    pieces, asked = cKDTree(middles[kept]), _some_of_each(np.floor(places / (_CELL * move)))
    found = [_is_barred(part, pieces, ends, owners, normals, move) for part in _parts(places[asked])]
    return np.concatenate(found)[cKDTree(places[asked]).query(places)[1]]


def _is_barred(at: Array, pieces: cKDTree, ends: Array, owners: NDArray[np.intp], normals: Array, move: float) -> Flags:
    """(N, G) positions, a tree over middles of pieces, their ends (2, P, G) and trajectories (P,) -> (N,)"""
    gaps, rows = pieces.query(at, k=np.arange(1, min(_ASKED, pieces.n) + 1), distance_upper_bound=_RADIUS * move)
    near = np.isfinite(gaps)
    rows = np.where(near, rows, 0)
    offsets = ((ends[:, rows] - at[:, None]) @ normals.T) / move  # (2, N, K, normals)
    begins = np.where(np.abs(offsets[0]) > np.abs(offsets[1]), offsets[0], offsets[1])  # the end that is farther from the plane
    stops = (offsets.sum(axis=0) - begins) * np.sign(begins)  # the other, below 0 beyond the plane
    came = (np.abs(begins) > _FROM) & (stops < _ASIDE) & near[..., None]
    sides = [(came & (np.sign(begins) == side)).sum(axis=1) for side in (-1, 1)]
    crossed = (came & (stops < -_ASIDE)).any(axis=1)
    barred = (np.minimum(*sides) > 0) & (sum(sides) >= _EVIDENCE) & ~crossed
    own = np.sort(np.where(near, owners[rows], -1), axis=1)
    witnesses = (np.diff(own, axis=1, prepend=-1) > 0).sum(axis=1)
    return barred.any(axis=1) & (witnesses >= _WITNESSES)


def _straight_pieces(trajectories: Sequence[Trajectory], length: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """From each position to the first that lies so far away [goal units], where the path there is nearly straight: their rows."""
    firsts, lasts, begin = [], [], 0
    for trajectory in trajectories:
        goals = trajectory.goals.astype(np.float64)
        passed = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(goals, axis=0), axis=1))])
        rows = np.arange(len(goals))
        for steps in range(1, _LONGEST + 1):
            rows = rows[rows + steps < len(goals)]
            chords = np.linalg.norm(goals[rows + steps] - goals[rows], axis=1)
            far = chords >= length
            straight = far & (passed[rows + steps] - passed[rows] <= _BENT * chords)
            firsts.append(begin + rows[straight])
            lasts.append(begin + rows[straight] + steps)
            rows = rows[~far]
        begin += len(goals)
    return np.concatenate(firsts), np.concatenate(lasts)


def _normals(size: int) -> Array:
    """(D, G) of the planes that are tried: evenly in a line or a plane, at random, and the same each time, in more entries."""
    if size == 1:
        return np.ones((1, 1))
    if size == 2:
        angles = np.pi * np.arange(8) / 8
        return np.column_stack([np.cos(angles), np.sin(angles)])
    some = np.random.default_rng(0).standard_normal((8 * size, size))
    return np.concatenate([np.eye(size), some / np.linalg.norm(some, axis=1, keepdims=True)])


def _some_of_each(cells: Array) -> NDArray[np.intp]:
    """(N, D) -> rows: of those in one cell `_KEPT` at random, the same each time."""
    order = np.random.default_rng(0).permutation(len(cells))
    number = np.unique(cells[order], axis=0, return_inverse=True)[1].ravel()
    by_cell = np.argsort(number, kind="stable")
    counts = np.bincount(number)
    rank = np.arange(len(cells)) - np.repeat(np.cumsum(counts) - counts, counts)
    return order[by_cell[rank < _KEPT]]


def _parts(points: Array) -> list[Array]:
    return np.split(points, range(_AT_ONCE, len(points), _AT_ONCE))
