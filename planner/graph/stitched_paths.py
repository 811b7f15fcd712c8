"""Paths for the energy model to learn from: pieces of trajectories, and shortest paths stitched from many of them.

A trajectory is no longer than a training episode, yet a plan is asked for pairs farther apart than any. Stitching
joins states of different trajectories wherever the distance model says that the agent can go from one to the next. What
is stitched zigzags from node to node and fans out about the shortest way; so paths are straightened wherever that is open.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import dijkstra

from ..data.barriers import on_barrier
from ..data.coverage import Coverage
from ..data.points import resample_by_arc_length, spread_points
from ..data.trajectories import GoalEntries, Trajectory, typical_step
from ..many_maps.layout import Layout
from ..many_maps.local_links import LINK, links_of_map
from ..protocols import DistanceModel
from .search import edge_costs, trace

Array = NDArray[np.floating]

_POINTS = 129  # per path: the way round a pier is to keep its corners
_STITCHED, _PIECES = 10_000, 1_000  # paths of each kind
_SHARPNESS = 10.0  # of the optimality weight
_LEAST_GAIN = 1e-3  # share of the length that a straight line must save
_ROUNDS = 50  # of straightening
_GRAPHS = 2
_CLOSED = 100.0  # how many times dearer a link is that leaves what was visited
# of a stitched graph, spread over goal space among ten times as many visited states: with 400 some corners of mazes had none, and
# of the longest paths through Maze15 42 % were more than 5 % longer than need be, with 800 none
_NODES = 800
NUM_STEPS = _GRAPHS + _ROUNDS  # of `training_paths`
_SOURCES_OF_MAP, _PATHS_OF_MAP = 30, 60  # where there are many maps, of each


def training_paths(
    trajectories: Sequence[Trajectory],
    distance: DistanceModel,
    goal_of: GoalEntries,
    max_edge: float,
    stride: float,
    rng: np.random.Generator,
    on_step: Callable[[int], None] = lambda done: None,
) -> tuple[Array, Array]:
    """The mixture that the energy model is fitted to: paths (N, 129, G) and their weights (N,).

    `on_step(done)` is told of each graph and each round of straightening, `NUM_STEPS` in all.
    """
    goals = np.concatenate([trajectory.goals for trajectory in trajectories])
    visited = Coverage(goals, on_barrier(trajectories), typical_step(trajectories))
    stitched = stitched_paths(trajectories, distance, goal_of, visited, max_edge, stride, _STITCHED, rng, on_step)
    pieces, weights = hindsight_paths(trajectories, distance, _PIECES, _SHARPNESS, rng)
    paths = straightened(np.concatenate([stitched, pieces]), visited, rng, on_step=lambda done: on_step(_GRAPHS + done))
    return paths, np.concatenate([np.ones(len(stitched), np.float32), weights])


def straightened(
    paths: Array,
    visited: Coverage,
    rng: np.random.Generator,
    rounds: int = _ROUNDS,
    on_step: Callable[[int], None] = lambda done: None,
) -> Array:
    """(N, L, G) -> (N, L, G) at equal arc lengths, with the same ends and never longer.

    Shortcutting (Geraerts & Overmars 2007): between two random points of a path the straight line takes its place if it is
    shorter and all of it has been visited. In the U world it brought paths from 1.042 to 1.005 of the shortest way, in the
    median; on the flat world an energy saddle of half a nat mid-way, where paths had fanned out, went with it.
    """
    paths, last = paths.astype(np.float64), paths.shape[1]
    for done in range(rounds):
        on_step(done + 1)
        first, end = np.sort(rng.choice(last, size=2, replace=False))
        taken = np.linalg.norm(np.diff(paths[:, first : end + 1], axis=1), axis=2).sum(axis=1)
        rows = np.flatnonzero(np.linalg.norm(paths[:, end] - paths[:, first], axis=1) < (1 - _LEAST_GAIN) * taken)
        rows = rows[visited.contains_lines(paths[rows, first], paths[rows, end])]
        along = np.linspace(0, 1, end - first + 1)[:, None]
        paths[rows, first : end + 1] = paths[rows, first, None] + along * (paths[rows, end] - paths[rows, first])[:, None]
    return np.stack([resample_by_arc_length(path, last) for path in paths])


def hindsight_paths(
    trajectories: Sequence[Trajectory],
    distance: DistanceModel,
    num_paths: int,
    sharpness: float,
    rng: np.random.Generator,
) -> tuple[Array, Array]:
    """Pieces of trajectories between two random moments -> paths (N, 129, G), weights (N,).

    Each is weighed exp(-sharpness (rho - 1)) by its optimality rho >= 1, the steps it took over the steps it should
    have taken: exploring trajectories fan out and would blur the way. Pieces that stand still are dropped.
    """
    ends = []
    for _ in range(num_paths):
        trajectory = trajectories[int(rng.integers(len(trajectories)))]
        first, last = np.sort(rng.choice(len(trajectory), size=2, replace=False)) if len(trajectory) > 1 else (0, 0)
        ends.append((trajectory, first, last))
    ends = [(t, first, last) for t, first, last in ends if np.ptp(t.goals[first : last + 1], axis=0).any()]
    if not ends:
        raise ValueError("no trajectory moves; there is nothing to learn from")
    paths = np.stack([resample_by_arc_length(t.goals[first : last + 1], _POINTS) for t, first, last in ends])
    taken = np.array([last - first for _, first, last in ends])
    starts = np.stack([t.states[first] for t, first, _ in ends])
    needed = distance.paired(starts, np.stack([t.goals[last] for t, _, last in ends]))
    return paths, np.exp(-sharpness * np.maximum(taken / np.maximum(needed, 1.0) - 1, 0.0)).astype(np.float32)


def stitched_paths(
    trajectories: Sequence[Trajectory],
    distance: DistanceModel,
    goal_of: GoalEntries,
    visited: Coverage,
    max_edge: float,
    stride: float,
    num_paths: int,
    rng: np.random.Generator,
    on_step: Callable[[int], None] = lambda done: None,
) -> Array:
    """Shortest paths between random pairs of visited states -> (num_paths, 129, G).

    Several graphs, each over visited states of its own, share the work: the paths of one graph run together into a few
    highways, those of several spread about the true way. A link is a drive, which may lead round a corner, but a path is drawn
    straight from node to node: so links that leave what was visited are avoided where there is another way. ValueError if a
    graph holds no link.
    """
    states = np.concatenate([trajectory.states for trajectory in trajectories])
    states = states[~visited.on_barrier(goal_of(states))]
    parts = []
    for graph, count in enumerate(np.diff(np.linspace(0, num_paths, _GRAPHS + 1).astype(int))):
        nodes = states[spread_points(goal_of(states), _NODES, 10, rng)]
        parts.append(_paths_through(nodes, distance, goal_of, visited, max_edge, stride, count, rng))
        on_step(graph + 1)
    return np.concatenate(parts)


def paths_in_maps(
    trajectories: Sequence[Trajectory],
    distance: DistanceModel,
    goal_of: GoalEntries,
    layout: Layout,
    rng: np.random.Generator,
) -> tuple[Array, Array]:
    """Shortest paths between random places of each map -> (N, 129, G), and the pictures of their maps (N, X Y).

    Of one map of many little has been visited, but a distance that tells near places apart by their surroundings can be asked
    anywhere in it: see `links_of_map`. Maps without any link are left out; ValueError if that is all of them.
    """
    reach = LINK * typical_step(trajectories)
    paths, pictures = [], []
    for group in layout.groups(trajectories):
        states, steps = links_of_map(group[0].states[0], distance, goal_of, layout, LINK, reach, rng)
        if steps.nnz == 0:
            continue
        sources = rng.choice(np.flatnonzero(np.diff(steps.indptr)), size=_SOURCES_OF_MAP)  # of places with a link
        lengths, before = dijkstra(steps, indices=sources, return_predecessors=True)
        lengths[np.arange(len(sources)), sources] = np.inf
        rows, ends = np.nonzero(np.isfinite(lengths))
        for chosen in rng.integers(len(rows), size=_PATHS_OF_MAP):
            route = trace(before[rows[chosen]], sources[rows[chosen]], ends[chosen])
            paths.append(resample_by_arc_length(goal_of(states[route]), _POINTS))
            pictures.append(layout.pictures(states[0]).ravel())
    if not paths:
        raise ValueError(f"no two places of any map are within {LINK} env steps; train the agent longer")
    return np.stack(paths), np.stack(pictures)


def _paths_through(
    states: Array,
    distance: DistanceModel,
    goal_of: GoalEntries,
    visited: Coverage,
    max_edge: float,
    stride: float,
    num_paths: int,
    rng: np.random.Generator,
) -> Array:
    goals = goal_of(states)
    steps = distance.pairwise(states, goals)
    # the costs of the planner's graph, so that what is learnt is what will be looked for
    costs = np.where(steps <= max_edge, edge_costs(steps, stride), 0.0)
    np.fill_diagonal(costs, 0.0)  # no link
    here, there = np.nonzero(np.triu((costs > 0) | (costs.T > 0)))
    closed = ~visited.contains_lines(goals[here], goals[there])
    for link in ((here[closed], there[closed]), (there[closed], here[closed])):
        costs[link] *= _CLOSED
    lengths, before = dijkstra(costs, return_predecessors=True)
    np.fill_diagonal(lengths, np.inf)
    starts, ends = np.nonzero(np.isfinite(lengths))
    if len(starts) == 0:
        raise ValueError(f"no two of {len(states)} visited states are within {max_edge} env steps; train the agent longer")
    chosen = rng.integers(len(starts), size=num_paths)
    routes = [trace(before[start], start, end) for start, end in zip(starts[chosen], ends[chosen], strict=True)]
    return np.stack([resample_by_arc_length(goals[route], _POINTS) for route in routes])
