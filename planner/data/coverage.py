"""Where the agent has been: which goals count as visited, and which straight lines lead through visited ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..goal_space import GoalSpace

Array = NDArray[np.floating]

_FINEST = 1e-4  # of the visited range: the shortest stride in which a line is looked at
_OF_A_MOVE, _ALONG_ONE = 0.25, 0.5  # a shorter stride tells of nothing that stops a move; of goals of one entry
_AT_ONCE = 2**20  # positions along lines: bounds memory
LINE_SLACK = 2.0  # of `contains`, for lines: they meet places where the agent was seldom, too
_NEIGHBOURS = 8  # visited places that lie, in the median, within the distance at which a place counts as visited


class Coverage:
    """Where the agent has been. A place counts as visited if it is about as near to a visited one as these are to each other."""

    def __init__(self, places: Array, barred: NDArray[np.bool_] | None = None, space: GoalSpace | None = None) -> None:
        """(N, G) goals that were achieved, (N,) whether a barrier leads through there: see `on_barrier`, and their space; without
        one a move is a goal unit."""
        self.space = space if space is not None else GoalSpace(places.shape[1])
        self._tree = self.space.tree(places).flat  # as lengths are here, in units of the first entry
        self._barred = barred if barred is not None and barred.any() else None
        some = self.space.flat(places[:: max(1, len(places) // 2_000)])
        gaps = self._tree.query(some, k=_NEIGHBOURS)[0][:, -1]  # inf if there are fewer
        self.spacing = float(np.median(gaps[np.isfinite(gaps)])) if np.isfinite(gaps).any() else 0.0
        span = float(np.ptp(self.space.relative(places), axis=0).max())
        share = _ALONG_ONE if self.space.size == 1 else _OF_A_MOVE
        least = share * self.space.move if space is not None else 0.0
        self._stride = max(self.spacing, _FINEST * span, least, 1e-12)

    @property
    def within(self) -> float:
        """How far visited places are from each other [moves]."""
        return self.spacing / self.space.move

    def nearest(self, places: Array) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """(N, G) -> (N,) indices of the nearest visited places, and what `contains` says."""
        gaps, rows = self._tree.query(self.space.flat(places))
        return rows, gaps < self._near(1.0)

    def contains(self, places: Array, slack: float = 1.0) -> NDArray[np.bool_]:
        """(..., G) -> (...): may the agent be there, for all that it has seen? `slack` times as far from it counts, too."""
        gaps = self._tree.query(self.space.flat(places), distance_upper_bound=self._near(slack))[0]
        return np.isfinite(gaps)

    def is_open(self, places: Array) -> NDArray[np.bool_]:
        """(..., G) -> (...): may the agent pass there? As `contains` with `LINE_SLACK`, and no barrier leads through."""
        gaps, rows = self._tree.query(self.space.flat(places), distance_upper_bound=self._near(LINE_SLACK))
        passed = np.isfinite(gaps)
        if self._barred is not None:
            passed[passed] = ~self._barred[rows[passed]]
        return passed

    def on_barrier(self, places: Array) -> NDArray[np.bool_]:
        """(..., G) -> (...): does a barrier lead through the nearest visited position?"""
        if self._barred is None:
            return np.zeros(places.shape[:-1], dtype=bool)
        return self._barred[self._tree.query(self.space.flat(places))[1]]

    def _near(self, slack: float) -> float:
        return max(slack * self.spacing * (1 + 1e-9), 1e-12)

    def gaps(self, places: Array, most: float, widest: float) -> tuple[Array, Array]:
        """(..., G) -> (...) how far the nearest visited place is, and (...) how far visited places are from each other about it.

        The former up to `most`, beyond which it is inf and the latter tells nothing. The latter as `spacing` tells it of them
        all, but by more neighbours, since it is of one place; between `spacing` and `widest`, if that is more. All of it in units
        of the first entry.
        """
        gaps, rows = self._tree.query(self.space.flat(places), distance_upper_bound=most)
        near, at = np.unique(rows, return_inverse=True)
        count = min(4 * _NEIGHBOURS, self._tree.n)
        about = self._tree.data[near.clip(max=self._tree.n - 1)]  # row n: there is none
        spacings = self._tree.query(about, k=[count])[0][:, 0] * (_NEIGHBOURS / count) ** (1 / self._tree.m)
        return gaps, spacings.clip(self.spacing, max(self.spacing, widest))[at.reshape(gaps.shape)]

    def contains_lines(self, starts: Array, ends: Array) -> NDArray[np.bool_]:
        """(N, G), (N, G) -> (N,): may the agent go along the straight line, the short way round, looked at in strides of
        `within`? Not over a barrier.

        With `LINE_SLACK` paths in the U world keep out of the walls (less than 1 % shorter than any way for 9 of 10) and within
        0.5 % of the shortest way in the median; with a slack of 1 it is 4 %.
        """
        offsets = self.space.offsets(starts, ends)
        strides = np.ceil(np.linalg.norm(self.space.relative(offsets), axis=1) / self._stride).astype(int)
        firsts = np.flatnonzero(np.diff(np.cumsum(strides + 2) // _AT_ONCE)) + 1
        parts = zip(*(np.split(values, firsts) for values in (starts, offsets, strides)), strict=True)
        return np.concatenate([self._contains(*part) for part in parts])

    def _contains(self, starts: Array, offsets: Array, strides: NDArray[np.intp]) -> NDArray[np.bool_]:
        held = np.ones(len(starts), dtype=bool)
        for part in (8, 1):  # every eighth place first: most of the lines that are not open end there
            rows = np.flatnonzero(held)
            counts = strides[rows] // part + 2
            line = np.repeat(np.arange(len(rows)), counts)
            step = np.arange(len(line)) - np.repeat(np.cumsum(counts) - counts, counts)
            along = (step / (counts[line] - 1))[:, None]
            row = rows[line]
            open_points = self.is_open(starts[row] + along * offsets[row])
            held[rows] = np.bincount(line, weights=~open_points, minlength=len(rows)) == 0
        return held
