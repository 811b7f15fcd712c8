"""Links of plans that were tried and failed, not to be tried again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..planners.sampled_graph import GraphPlanner
from ..protocols import DistanceModel, Planner

Array = NDArray[np.floating]


@dataclass(eq=False)
class FailedLinks:
    """From where to where links led that took far longer than predicted.

    A new plan goes over fresh samples, so none of its links is one of these. It is like one if it begins and ends within
    `radius` of where that began and ended.
    """

    radius: float  # goal units
    links: list[tuple[Array, Array]] = field(default_factory=list)  # (G,), (G,)

    def add(self, start: Array, end: Array) -> None:
        self.links.append((np.array(start), np.array(end)))

    def near(self, starts: Array, ends: Array) -> NDArray[np.bool_]:
        """(..., G), (..., G), which broadcast -> (...): is the link from the one to the other like one that failed?"""
        like = np.zeros(np.broadcast_shapes(starts.shape, ends.shape)[:-1], dtype=bool)
        for start, end in self.links:
            begins = np.linalg.norm(starts - start, axis=-1) <= self.radius
            like |= begins & (np.linalg.norm(ends - end, axis=-1) <= self.radius)
        return like


@dataclass(frozen=True, eq=False)
class WithoutFailed:
    """Another distance, but inf for links like those that failed."""

    distance: DistanceModel
    goal_of: Callable[[Array], Array]  # (..., S) -> (..., G)
    failed: FailedLinks

    def pairwise(self, states: Array, goals: Array) -> Array:
        """(N, S), (M, G) -> (N, M)"""
        like = self.failed.near(self.goal_of(states)[:, None], goals[None])
        return np.where(like, np.inf, self.distance.pairwise(states, goals))

    def paired(self, states: Array, goals: Array) -> Array:
        """(B, S), (B, G) -> (B,)"""
        return np.where(self.failed.near(self.goal_of(states), goals), np.inf, self.distance.paired(states, goals))


def without_failed(planner: Planner, failed: FailedLinks) -> Planner:
    """The planner, but its graph holds no link like those that failed; one that has no graph stays as it is."""
    if not failed.links or not isinstance(planner, GraphPlanner):
        return planner
    return replace(planner, distance=WithoutFailed(planner.distance, planner.goal_of, failed))
