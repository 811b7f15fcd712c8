"""A graph that is built once and serves every start and goal: a probabilistic roadmap (Kavraki et al. 1996)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from ..data.points import spread_points
from ..experience import MAX_EDGE, Experience
from ..fitting import OnStep, ignore
from ..goal_space import GoalSpace, GoalTree
from ..graph.search import edge_costs, trace
from ..plan import NoPathError, Plan
from ..protocols import DistanceModel

Array = NDArray[np.floating]
Indices = NDArray[np.integer]

_FEWER = 4  # times fewer nodes in each level than in the one before
_POOL = 4  # times as many visited states as nodes, among which these are spread


@dataclass(frozen=True, kw_only=True)
class RoadmapConfig:
    stride: float = 16.0  # as in GraphPlannerConfig [env steps]
    max_edge: float = 40.0  # longest link [env steps]
    levels: int = 3  # of nodes: all of them, the first quarter, the first sixteenth
    neighbours: int = 4  # nodes of each level to which a place may be linked
    hubs: int = 256  # nodes that the last link of a plan may start at; the ways to each are searched in advance
    entries: int = 8  # hubs near a goal from which it may be entered
    num_nodes: int = 100  # visited states that `fit` takes, if there are so many

    def __post_init__(self) -> None:
        if not (self.max_edge >= 1 and self.stride >= 1):
            raise ValueError(f"max_edge and stride must be at least 1 env step, got {self.max_edge} and {self.stride}")
        for name in ("levels", "neighbours", "hubs", "entries", "num_nodes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")


@dataclass(frozen=True, eq=False)
class RoadmapPlanner:
    """A GraphPlanner's links and costs, but among nodes that stay: a plan only links its two ends to them.

    The learned distance is asked of places near each other in goal space only. Nearest neighbours alone would give tiny
    links (see `edge_costs`), so a place is linked to the nearest nodes of several levels, each the first part of the one
    before, as in HNSW graphs (Malkov & Yashunin 2016). No search is left for a plan: the ways from all nodes to each hub are
    known, and a goal is entered from a hub. With as many hubs as nodes that is no restriction; with one for each sixteen, these
    nearer to each other than the stride, plans cost as much in the mean (4,000 nodes, three trained runs).
    """

    nodes: Array  # (N, S)
    links: NDArray[np.int64]  # (E,) from * N + to, ascending
    steps: Array  # (E,) env steps of each
    edges: NDArray[np.intp]  # (E, 2) the same links as a Plan counts them
    levels: tuple[GoalTree, ...]  # over the goals that nodes achieve
    hubs: GoalTree  # over those of the first H nodes
    costs: Array  # (H, N) to each hub from each node
    following: Indices  # (H, N) the node that follows on that way
    distance: DistanceModel  # for the two ends of a plan; may be quicker than the one that the links were measured with
    goal_of: Callable[[Array], Array]  # (..., S) -> (..., G)
    config: RoadmapConfig

    @classmethod
    def fit(cls, experience: Experience, config: RoadmapConfig | None = None, on_step: OnStep = ignore) -> RoadmapPlanner:
        """Of visited states, spread out, in the experience's own distance. Learns nothing."""
        config = config if config is not None else cls.usual_config(experience)
        nodes = spread_nodes(experience, config.num_nodes, np.random.default_rng(experience.seed))
        return cls.build(nodes, experience.distance, experience.goal_of, config, experience.space)

    @staticmethod
    def usual_config(experience: Experience, num_nodes: int = RoadmapConfig.num_nodes) -> RoadmapConfig:
        """Links as long as the agent is sure of them."""
        return RoadmapConfig(stride=experience.sure_edge, max_edge=MAX_EDGE * experience.sure_edge, num_nodes=num_nodes)

    @classmethod
    def build(
        cls,
        nodes: Array,
        distance: DistanceModel,
        goal_of: Callable[[Array], Array],
        config: RoadmapConfig,
        space: GoalSpace | None = None,
    ) -> RoadmapPlanner:
        """(N, S) states, of which any first few are spread like all of them: those of `farthest_points` are, and random ones.

        Without a `space` near is what is near in goal units. ValueError if there are no nodes.
        """
        if len(nodes) == 0:
            raise ValueError("a roadmap needs at least one node")
        goals = goal_of(nodes)
        space = space if space is not None else GoalSpace(goals.shape[1])
        levels = tuple(space.tree(goals[: max(1, len(goals) // _FEWER**level)]) for level in range(config.levels))
        pairs = _candidates(goals, levels, config.neighbours)
        steps = np.maximum(distance.paired(nodes[pairs[:, 0]], goals[pairs[:, 1]]).astype(np.float64), 1.0)
        pairs, steps = pairs[steps <= config.max_edge], steps[steps <= config.max_edge]
        num_hubs = min(config.hubs, len(nodes))
        # searched backwards, from the hubs: a predecessor is then what follows
        backwards = coo_array((edge_costs(steps, config.stride), pairs.T[::-1]), shape=(len(nodes), len(nodes))).tocsr()
        costs, following = dijkstra(backwards, indices=np.arange(num_hubs), return_predecessors=True)
        links = pairs[:, 0] * len(nodes) + pairs[:, 1]
        hubs = space.tree(goals[:num_hubs])
        return cls(nodes, links, steps, pairs + 1, levels, hubs, costs, following, distance, goal_of, config)

    def plan(self, state: Array, goal: Array, rng: np.random.Generator) -> Plan:
        """(S,), (G,) -> Plan, the same whatever `rng` is. NoPathError, with the numbers, when there is none."""
        after = _near(self.levels, self.goal_of(state), self.config.neighbours)
        before = _near((self.hubs,), goal, self.config.entries)
        steps = self._steps_of_ends(state, goal, after, before)
        costs = np.where(steps <= self.config.max_edge, edge_costs(steps, self.config.stride), np.inf)
        direct = len(after)
        totals = costs[:direct, None] + self.costs[before, after[:, None]] + costs[direct + 1 :]
        first, last = np.unravel_index(totals.argmin(), totals.shape)
        if not np.isfinite(min(totals[first, last], costs[direct])):
            raise NoPathError(
                f"no path from start to goal through {len(self.nodes)} nodes and {len(self.links)} edges; "
                f"build the roadmap of more nodes or allow longer edges"
            )
        if costs[direct] <= totals[first, last]:
            route, taken = after[:0], steps[[direct]]
        else:
            route, between = self._way(int(after[first]), int(before[last]))
            taken = np.concatenate([steps[[first]], between, steps[[direct + 1 + last]]])
        edges = np.concatenate([self.edges, self._ends(after, before)[np.isfinite(costs)]])
        return Plan(self.nodes[route], taken.astype(np.float32), self.nodes, edges)

    def _way(self, node: int, hub: int) -> tuple[Indices, Array]:
        """The nodes on the way to a hub (L,), both ends included, and the steps from each to the next (L - 1,)."""
        route = np.array(trace(self.following[hub], hub, node)[::-1])
        return route, self.steps[np.searchsorted(self.links, route[:-1] * len(self.nodes) + route[1:])]

    def _steps_of_ends(self, state: Array, goal: Array, after: Indices, before: Indices) -> Array:
        """(A + 1 + B,): from the state to the nodes after it and to the goal, from the nodes before the goal to it."""
        states = np.concatenate([np.tile(state, (len(after) + 1, 1)), self.nodes[before]]).astype(np.float32)
        goals = np.concatenate([self.goal_of(self.nodes[after]), np.tile(goal, (len(before) + 1, 1))]).astype(np.float32)
        # asked at once: of so few pairs, a network's overhead is most of the time
        return np.maximum(self.distance.paired(states, goals).astype(np.float64), 1.0)

    def _ends(self, after: Indices, before: Indices) -> NDArray[np.intp]:
        """(A + 1 + B, 2) the same links as a Plan counts them."""
        here = np.concatenate([np.zeros(len(after) + 1, dtype=np.intp), before + 1])
        there = np.concatenate([after + 1, np.full(len(before) + 1, len(self.nodes) + 1)])
        return np.stack([here, there], axis=1)


def spread_nodes(experience: Experience, num_nodes: int, rng: np.random.Generator) -> Array:
    """(N, S): visited states whose goals are far from each other, as many as asked for if there are so many."""
    clear = experience.clear_states
    return clear[spread_points(experience.goal_of(clear), num_nodes, _POOL, rng, experience.space)]


def _near(levels: tuple[GoalTree, ...], place: Array, count: int) -> Indices:
    """The nodes of each level that are nearest to a place (G,)."""
    return np.unique(np.concatenate([tree.query(place, k=np.arange(1, min(count, tree.n) + 1))[1] for tree in levels]))


def _candidates(goals: Array, levels: tuple[GoalTree, ...], neighbours: int) -> NDArray[np.int64]:
    """(P, 2) pairs of nodes that may be linked, either way, ascending."""
    near = [tree.query(goals, k=np.arange(1, min(neighbours + 1, tree.n) + 1))[1] for tree in levels]  # itself is one
    there = np.concatenate(near, axis=1)
    here = np.broadcast_to(np.arange(len(goals))[:, None], there.shape)
    keys = np.unique(np.concatenate([(here * len(goals) + there).ravel(), (there * len(goals) + here).ravel()]))
    pairs = np.stack(np.divmod(keys, len(goals)), axis=1)
    return pairs[pairs[:, 0] != pairs[:, 1]]
