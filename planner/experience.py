"""What a run leaves to learn from: every sampler's `fit` takes one `Experience`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .data.coverage import VisitedPlaces
from .data.trajectories import GoalEntries, Trajectory
from .graph.stitched_paths import paths_in_maps, training_paths
from .many_maps.layout import Layout
from .planners.sampled_graph import config_for
from .protocols import DistanceModel

Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Experience:
    """Where the agent has been, how far apart that is, and how long the links are of which it is sure."""

    trajectories: Sequence[Trajectory]
    goal_of: GoalEntries
    distance: DistanceModel
    sure_edge: float  # env steps, see `audit.sure_edge`
    seed: int  # of all that is learned from it
    layout: Layout | None = None  # where states end in a picture of their map, and the maps are many

    @cached_property
    def states(self) -> Array:
        """(M, S), all that were visited"""
        return np.concatenate([trajectory.states for trajectory in self.trajectories])

    @cached_property
    def goals(self) -> Array:
        """(M, G), what these states achieve"""
        return np.concatenate([trajectory.goals for trajectory in self.trajectories])

    @cached_property
    def visited(self) -> VisitedPlaces:
        """Where a generated place may lie; its rows are those of `states`."""
        return VisitedPlaces(self.goals)

    @cached_property
    def paths(self) -> tuple[Array, Array]:
        """Ways between visited places (N, L, G) at equal arc lengths, and their weights (N,): see `paths.training_paths`.

        Found on first use, which takes a while. ValueError where no two visited states can be joined.
        """
        links = config_for(self.sure_edge, num_nodes=1)
        rng = np.random.default_rng(self.seed)
        return training_paths(self.trajectories, self.distance, self.goal_of, links.max_edge, links.stride, rng)

    @cached_property
    def paths_in_maps(self) -> tuple[Array, Array]:
        """As `paths`, where maps are many: ways (N, L, 2), and the pictures of their maps (N, X Y)."""
        assert self.layout is not None
        rng = np.random.default_rng(self.seed)
        return paths_in_maps(self.trajectories, self.distance, self.goal_of, self.layout, rng)

    def picture(self, state: Array) -> Array:
        """(S,) -> (X Y,) what the state shows of its map; (0,) where there is but one."""
        return state[:0] if self.layout is None else self.layout.pictures(state).ravel()

    def lift(self, goals: Array) -> Array:
        """(N, G) generated goals -> (N, S) states: the remaining entries are those of the nearest visited state.

        A place where nobody has been may be inside a wall: there the nearest visited state stands in as it is.
        """
        nearest, been = self.visited.nearest(goals)
        states = self.states[nearest]
        states[been] = self.goal_of.lift(goals[been], states[been])
        return states
