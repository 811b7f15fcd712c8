"""Shortest ways over all that was visited: of a few landmarks to all places, and of many marks to those near by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from ..data.points import spread_points

Array = NDArray[np.floating]
Indices = NDArray[np.integer]

_POOL = 20  # times as many random places as landmarks, among which these are spread
_FEWEST = 16  # landmarks and marks: few places need few, ...
_PLACES_FOR_EACH = 32  # ... but for so many places there is one
_NEAR_EACH = 8_192  # places that are kept of those near a mark, at most: bounds memory
_AT_ONCE = 32  # searches: bounds memory


@dataclass(frozen=True, eq=False)
class GeodesicPairs:
    """Landmarks tell what is far and marks what is near, which is asked for most and is rare among random pairs.

    In a maze of 15 cells a search that ends within 20 steps costs a twentieth of one through all places, within 40 a sixth, so
    that there can be many more of these. A place that is near no mark is told of by no pair, unless it is a mark or a landmark:
    in worlds of two or three dimensions there is next to none.
    """

    landmarks: Indices  # (L,) visited places
    steps: Array  # (2, L, N) env steps from and to each; inf where no way was visited
    marks: Indices  # (M,)
    reach: float  # of these [env steps]
    near: Indices  # (K,) places to which there is a short way from a mark, mark by mark, then from which, each time nearest first
    near_steps: Array  # (K,)
    first: Indices  # (2, M) where those of a mark begin
    counts: Indices  # (2, M)

    @classmethod
    def search(
        cls,
        graph: csr_array,
        places: Array,
        landmarks: int,
        marks: int,
        reach: float,
        rng: np.random.Generator,
        barred: NDArray[np.bool_] | None = None,
    ) -> GeodesicPairs:
        """Over a `visited_graph` of places (N, G), up to so many landmarks and marks, of these up to `reach` env steps.

        Paths lead through places that are `barred` (N,), but none begins or ends there: on which side of a barrier they lie only
        their trajectory tells.
        """
        known = np.arange(len(places)) if barred is None else np.flatnonzero(~barred)

        def at_most(number: int) -> int:
            return max(min(number, len(known) // _PLACES_FOR_EACH), _FEWEST)

        both = graph, graph.T.tocsr()
        spread = known[spread_points(places[known], at_most(landmarks), _POOL, rng)]
        steps = np.stack([dijkstra(way, indices=spread).astype(np.float32) for way in both])
        chosen = rng.permutation(known)[: at_most(marks)]
        parts = np.split(chosen, range(_AT_ONCE, len(chosen), _AT_ONCE))
        searches = (row for way in both for part in parts for row in dijkstra(way, indices=part, limit=reach))
        found = [_nearest_first(row, reach, barred) for row in searches]
        counts = np.array([len(near) for near, _ in found])
        first = np.cumsum(counts) - counts
        near, near_steps = (np.concatenate(values) for values in zip(*found, strict=True))
        return cls(spread, steps, chosen, reach, near, near_steps, first.reshape(2, -1), counts.reshape(2, -1))

    def draw(self, half: int, each: int, rng: np.random.Generator) -> tuple[Indices, Array]:
        """-> places (2 half, 2 + each), in every row a mark, a landmark and others near the mark, and env steps (2 half, 2, each)
        of the mark and of the landmark from them to the others, in the second half of the rows from the others to them.

        Of these others each is the nearest of so many random ones, log-uniform from 2 to the steps of the reach.
        """
        backwards = np.repeat([0, 1], half)
        mark, landmark = (rng.integers(len(known), size=2 * half) for known in (self.marks, self.landmarks))
        tried = np.ceil(self.reach ** rng.random((2 * half, each)))
        # of so many uniform ones the lowest: where lists are sorted, that is the nearest
        lowest = 1 - (1 - rng.random((2 * half, each))) ** (1 / tried)
        at = self.first[backwards, mark][:, None] + (lowest * self.counts[backwards, mark][:, None]).astype(int)
        others = self.near[at]
        far = self.steps[backwards[:, None], landmark[:, None], others]
        return np.column_stack([self.marks[mark], self.landmarks[landmark], others]), np.stack([self.near_steps[at], far], axis=1)


def _nearest_first(steps: Array, reach: float, barred: NDArray[np.bool_] | None) -> tuple[Indices, Array]:
    """(N,) -> the places within reach, and env steps there; evenly through their ranks if they are too many."""
    within = np.flatnonzero((steps <= reach) if barred is None else (steps <= reach) & ~barred)
    ranked = within[np.argsort(steps[within], kind="stable")]
    if len(ranked) > _NEAR_EACH:
        ranked = ranked[np.arange(_NEAR_EACH) * len(ranked) // _NEAR_EACH]
    return ranked.astype(np.int32), steps[ranked].astype(np.float32)
