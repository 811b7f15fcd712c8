"""Everything that was visited as one graph, and plans through it: nothing sampled, nothing learned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ..data.barriers import on_barrier
from ..data.points import farthest_points
from ..data.trajectories import Trajectory
from ..experience import Experience
from ..fitting import OnStep, ignore
from ..graph.hierarchical_search import RegionSearch
from ..graph.visited_graph import visited_graph
from ..plan import NoPathError, Plan

Array = NDArray[np.floating]

_POOL = 10  # times as many random places as regions, among which centres are spread


@dataclass(frozen=True, kw_only=True)
class VisitedPlannerConfig:
    stride: float = 16.0  # about so far apart are waypoints [env steps]
    reach: float = 2.0  # how far the ends of a plan may be from visited places [env steps]
    entries: int = 8  # visited places near each end
    regions: int = 4_000  # for the search, at most a tenth of the places
    slack: float = 0.5  # see `RegionSearch.build`

    def __post_init__(self) -> None:
        if not (self.stride >= 1 and self.reach > 0 and self.slack > 0):
            raise ValueError("stride must be at least 1 env step, reach and slack positive")
        if self.entries < 1 or self.regions < 1:
            raise ValueError(f"entries and regions must be at least 1, got {self.entries} and {self.regions}")


@dataclass(frozen=True, eq=False)
class VisitedPlanner:
    """Follows what was visited, millions of states if need be: a path of many small hops, of which a plan keeps a few.

    No wall is in the way unless two places no more than a step apart have one between them. What nobody visited it does
    not find, and trajectories that wander are longer than need be where they are few.
    """

    states: Array  # (N, S)
    places: cKDTree  # over the goals that they achieve
    step_length: float  # goal units
    search: RegionSearch
    goal_of: Callable[[Array], Array]  # (..., S) -> (..., G)
    config: VisitedPlannerConfig

    @classmethod
    def fit(cls, experience: Experience, config: VisitedPlannerConfig | None = None, on_step: OnStep = ignore) -> VisitedPlanner:
        """ValueError if nothing moves. Learns nothing."""
        config = config if config is not None else cls.usual_config(experience)
        return cls.build(experience.trajectories, experience.goal_of, config, np.random.default_rng(experience.seed))

    @staticmethod
    def usual_config(experience: Experience, num_nodes: int = 100) -> VisitedPlannerConfig:
        """Waypoints as far apart as the agent is sure of; all that was visited is a node."""
        return VisitedPlannerConfig(stride=experience.sure_edge)

    @classmethod
    def build(
        cls,
        data: Sequence[Trajectory],
        goal_of: Callable[[Array], Array],
        config: VisitedPlannerConfig,
        rng: np.random.Generator,
    ) -> VisitedPlanner:
        """ValueError if nothing moves."""
        graph, step_length = visited_graph(data, barred=on_barrier(data))
        places = np.concatenate([trajectory.goals for trajectory in data])
        regions = min(config.regions, -(-len(places) // _POOL))
        some = rng.choice(len(places), size=min(_POOL * regions, len(places)), replace=False)
        centres = some[farthest_points(places[some], regions, rng)]
        search = RegionSearch.build(graph, centres, config.slack)
        states = np.concatenate([trajectory.states for trajectory in data])
        return cls(states, cKDTree(places), step_length, search, goal_of, config)

    def plan(self, state: Array, goal: Array, rng: np.random.Generator) -> Plan:
        """(S,), (G,) -> Plan whose edges are its own links only. NoPathError, with the numbers, when there is none."""
        (after, to_first), (before, from_last) = self._near(self.goal_of(state)), self._near(goal)
        route, steps = self.search.path(after, to_first, before, from_last)
        if len(route) == 0:
            raise NoPathError(
                f"no path from start to goal through {len(self.states)} visited states: {len(after)} of them are within "
                f"{self.config.reach:g} env steps of the start, {len(before)} of the goal; explore more"
            )
        total = max(float(steps[-1] + from_last[before == route[-1]][0]), 1.0)
        num_links = int(np.ceil(total / self.config.stride))
        kept = np.unique(np.searchsorted(steps[:-1], total * np.arange(1, num_links) / num_links))
        waypoints = route[kept]
        edge_steps = np.diff(np.concatenate([[0.0], steps[kept], [total]])).astype(np.float32)
        chain = np.concatenate([[0], waypoints + 1, [len(self.states) + 1]])
        return Plan(self.states[waypoints], edge_steps, self.states, np.stack([chain[:-1], chain[1:]], axis=1))

    def _near(self, place: Array) -> tuple[NDArray[np.intp], Array]:
        """(G,) -> visited places near by, and how many env steps away."""
        count = min(self.config.entries, self.places.n)
        bound = self.config.reach * self.step_length
        gaps, near = self.places.query(place, k=np.arange(1, count + 1), distance_upper_bound=bound)
        return near[np.isfinite(gaps)], gaps[np.isfinite(gaps)] / self.step_length
