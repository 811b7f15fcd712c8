"""Which stored places are next to one, and which are in the same map."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from thalweg.planner.goal_space import GoalSpace

Array = NDArray[np.floating]

_NEXT_TO = 8  # places among which one is drawn
_APART = 1e6  # times the size of the world: how far apart the places of two maps are put


class NeighbourIndex:
    """Of places (N, G) in the maps with these numbers (N,); without `many_maps` all of these are 0. Near as their space says."""

    def __init__(self, places: Array, maps: NDArray, many_maps: bool, space: GoalSpace | None = None) -> None:
        self._many_maps = many_maps
        self._space = space if space is not None else GoalSpace(places.shape[1])
        self._gap = _APART * max(float(np.ptp(self._space.relative(places), axis=0).max()), 1.0)
        boxes = [*self._space.boxes, 0.0] if many_maps else self._space.boxes
        self._tree = cKDTree(self._apart(places, maps), boxsize=boxes if self._space.wraps else None)
        self._order = np.argsort(maps, kind="stable")
        self._first = np.concatenate([[0], np.cumsum(np.bincount(maps))])  # where each map's begin in this order

    def __len__(self) -> int:
        return self._tree.n

    def holds(self, maps: NDArray) -> bool:
        """Are there places of each of these maps?"""
        return bool(maps.max(initial=0) < len(self._first) - 1 and np.diff(self._first)[maps].all())

    def one_next_to(self, places: Array, maps: NDArray, rng: np.random.Generator) -> tuple[NDArray, NDArray[np.bool_]]:
        """(B, G), (B,) -> (B,) one of the nearest eight of the same map, and where there is any (B,)."""
        count = min(_NEXT_TO, len(self))
        gaps, nearest = self._tree.query(self._apart(places, maps), k=np.arange(1, count + 1))
        known = (gaps < self._gap / 2).sum(axis=1)  # the nearest so many are of the same map
        return nearest[np.arange(len(places)), rng.integers(np.maximum(known, 1))], known > 0

    def some_of(self, maps: NDArray, count: int, rng: np.random.Generator) -> NDArray:
        """(B,) maps that it holds -> (B, count) random places of each."""
        return self._order[rng.integers(self._first[maps, None], self._first[maps + 1, None], size=(len(maps), count))]

    def _apart(self, places: Array, maps: NDArray) -> Array:
        """(B, G), (B,) -> (B, G) or (B, G + 1): places, such that those of different maps are far apart."""
        flat = self._space.flat(places)
        return np.column_stack([flat, self._gap * maps]) if self._many_maps else flat
