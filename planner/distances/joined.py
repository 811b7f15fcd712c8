"""What nobody has ever gone between is unreachable, whatever a learned distance makes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from ..experience import Experience
from ..fitting import OnStep, ignore
from ..graph.visited_graph import visited_graph
from ..protocols import DistanceModel

Array = NDArray[np.floating]

_LEAST_TRAJECTORIES = 20  # that never left a part: with fewer it is a corner hardly seen, not a room of its own


@dataclass(frozen=True, eq=False)
class JoinedDistance:
    """A distance, but inf between parts of what was visited that no trajectory and no step joins.

    A network that has learned ways knows nothing about pairs without one: two closed rooms look about as far apart as they are
    in space, so that a plan would lead through the wall and never end in a `NoPathError`.
    """

    distance: DistanceModel
    goal_of: Callable[[Array], Array]  # (..., S) -> (..., G)
    places: cKDTree
    part: NDArray[np.intp]  # (M,) of each place

    def __post_init__(self) -> None:
        object.__setattr__(self, "_all_joined", bool((self.part == self.part[0]).all()))

    @classmethod
    def fit(cls, experience: Experience, config: None = None, on_step: OnStep = ignore) -> JoinedDistance:
        """`experience.distance`, joined. ValueError if nothing moves."""
        data, places = experience.trajectories, experience.goals
        part = connected_components(visited_graph(data, barred=experience.data.on_barrier)[0], directed=False)[1].astype(np.intp)
        firsts = np.cumsum([0] + [len(trajectory) for trajectory in data[:-1]])
        stayed = np.bincount(part[firsts], minlength=part.max() + 1)
        large = stayed[part] >= min(_LEAST_TRAJECTORIES, stayed.max())
        part[~large] = part[large][cKDTree(places[large]).query(places[~large])[1]]
        return cls(experience.distance, experience.goal_of, cKDTree(places), part)

    def pairwise(self, states: Array, goals: Array) -> Array:
        """(N, S), (M, G) -> (N, M) env steps; inf where no way is known."""
        steps = self.distance.pairwise(states, goals)
        apart = self._part_of(self.goal_of(states))[:, None] != self._part_of(goals)
        return np.where(apart, np.float32(np.inf), steps) if apart.any() else steps

    def paired(self, states: Array, goals: Array) -> Array:
        """(B, S), (B, G) -> (B,)"""
        steps = self.distance.paired(states, goals)
        return np.where(self._part_of(self.goal_of(states)) != self._part_of(goals), np.float32(np.inf), steps)

    def _part_of(self, goals: Array) -> NDArray[np.intp]:
        if self._all_joined:  # type: ignore[attr-defined]  # the rule, and it saves the search
            return np.zeros(len(goals), dtype=np.intp)
        return self.part[self.places.query(goals)[1]]
