"""Sampler + distance + search: the planner of the main job."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..checks import checked_nodes, checked_steps
from ..data.coverage import Coverage
from ..experience import MAX_EDGE, Experience
from ..fitting import OnStep, ignore
from ..graph.search import Search, link_steps, search_csgraph, shortest_plan
from ..many_maps.maps import ONE_MAP, Maps
from ..plan import Plan
from ..protocols import DistanceModel, StateSampler

Array = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class GraphPlannerConfig:
    num_nodes: int = 100
    stride: float = 16.0  # a link costs little more than its steps up to here [env steps], far more beyond
    max_edge: float = 80.0  # longest link [env steps]: used where nothing else closes a gap
    keep_best: bool = True  # a place's shortest link stays however long it is

    def __post_init__(self) -> None:
        if self.num_nodes < 0:
            raise ValueError(f"num_nodes must not be negative, got {self.num_nodes}")
        if not (self.max_edge >= 1 and self.stride >= 1):
            raise ValueError(f"max_edge and stride must be at least 1 env step, got {self.max_edge} and {self.stride}")


def config_for(sure_edge: float, num_nodes: int) -> GraphPlannerConfig:
    """The planner of an agent that is sure of links so many predicted env steps long: see `audit.sure_edge`."""
    return GraphPlannerConfig(num_nodes=num_nodes, stride=sure_edge, max_edge=MAX_EDGE * sure_edge)


@dataclass(frozen=True, eq=False)
class GraphPlanner:
    sampler: StateSampler
    distance: DistanceModel
    goal_of: Callable[[Array], Array]  # (..., S) -> (..., G)
    config: GraphPlannerConfig
    search: Search = search_csgraph  # or graph.search_networkx
    maps: Maps = ONE_MAP  # nodes are of the map that the agent is in
    visited: Coverage | None = None  # a node on a barrier is left out: nothing says on which side it is

    @classmethod
    def fit(
        cls,
        experience: Experience,
        config: GraphPlannerConfig | None = None,
        on_step: OnStep = ignore,
        *,
        sampler: StateSampler,
    ) -> GraphPlanner:
        """With a fitted sampler, and the experience's own distance. Learns nothing itself."""
        config = config if config is not None else cls.usual_config(experience)
        visited = experience.visited if experience.maps.kind == "one" else None
        return cls(sampler, experience.distance, experience.goal_of, config, maps=experience.maps, visited=visited)

    @staticmethod
    def usual_config(experience: Experience, num_nodes: int = GraphPlannerConfig.num_nodes) -> GraphPlannerConfig:
        """Links as long as the agent is sure of them."""
        return config_for(experience.sure_edge, num_nodes)

    def plan(self, state: Array, goal: Array, rng: np.random.Generator) -> Plan:
        """(S,), (G,) -> Plan; raises NoPathError, never returns a bad plan. CheckError, naming it, for a part that misbehaves."""
        count = self.config.num_nodes
        nodes = self.sampler.sample(state, goal, count, rng)
        nodes = checked_nodes(nodes, count, len(state), type(self.sampler).__name__)
        nodes = self.maps.moved_to(nodes, state)
        if self.visited is not None:
            nodes = nodes[~self.visited.on_barrier(self.goal_of(nodes))]
        targets = np.vstack([self.goal_of(nodes), goal])
        steps = self.distance.pairwise(np.vstack([state, nodes]), targets)  # row 0 is the start, last column the goal
        steps = checked_steps(steps, (len(targets), len(targets)), type(self.distance).__name__)
        links = link_steps(steps, self.config.max_edge, self.config.keep_best)
        return shortest_plan(links, nodes, self.config.stride, self.search)
