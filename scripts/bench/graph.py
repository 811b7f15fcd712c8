"""`scripts.bench graph`: graphs that are built once, against the graph built anew for a query and a search of all of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thalweg.scripts.bench.common import RunOptions, faster, make_row
from thalweg.scripts.cli import progress_bar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from thalweg.planner.data.trajectories import Trajectory
    from thalweg.planner.experience import Experience
    from thalweg.planner.planners.roadmap import RoadmapPlanner
    from thalweg.planner.planners.sampled_graph import GraphPlannerConfig
    from thalweg.planner.protocols import DistanceModel, Planner

    Array = NDArray[np.floating]

_NODES = 4_000  # of the roadmap
_QUERY_NODES, _QUERIES = 1_000, 10  # of the graph that is built for each query, and how often it is
_WORLD, _STATES, _WALKS, _TURN = "PointMassMaze15-v0", 1_000_000, 10_000, 0.05  # a walk turns once in 20 steps
_PAIRS = 100  # of start and goal


@dataclass(frozen=True, kw_only=True)
class GraphOptions(RunOptions):
    repeats: int = 5  # of each building; the median counts


def bench_graph(options: GraphOptions) -> list[dict[str, Any]]:
    """Seconds to build and milliseconds to plan: a run's roadmap of 4,000 nodes, and all of 1,000,000 visited states."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    from thalweg.runs import load

    run = load(options.run, progress=options.progress)  # first, since the other part takes minutes
    with progress_bar(2, "parts", options.progress) as bar:
        # a process of its own, so that what it holds at most is known
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
            visited = process.submit(visited_figures).result()
        bar.update()
        roadmap = roadmap_figures(run, options.repeats)
        bar.update()
    return roadmap + visited


def roadmap_figures(run: Any, repeats: int) -> list[dict[str, Any]]:
    """The run's own learned distance, and pairs of states that it visited."""
    import numpy as np
    import torch

    from thalweg.planner.planners.sampled_graph import GraphPlanner, config_for
    from thalweg.planner.samplers.replay import ReplaySampler

    torch.set_num_threads(1)
    experience, links, rng = run.experience("quasimetric"), config_for(run.sure_edge, _QUERY_NODES), np.random.default_rng(0)
    distance = run.plain_distance("quasimetric")
    peer = GraphPlanner(ReplaySampler.fit(experience), distance, run.data.goal_of, links)
    ours, built = _build_roadmap(experience, distance, links, repeats, rng)
    starts, goals = (rng.integers(len(experience.states), size=10 * _PAIRS) for _ in range(2))
    pairs = list(zip(experience.states[starts], experience.goals[goals], strict=True))
    nodes = f"{len(ours.nodes):,} nodes"
    return [
        *plan_figures(ours, peer, pairs, links.stride, rng, f"plan, {nodes}"),
        faster(make_row(f"build, {nodes}", "s", "the matrix of all distances alone", built)),
    ]


def _build_roadmap(
    experience: Experience, distance: DistanceModel, links: GraphPlannerConfig, repeats: int, rng: np.random.Generator
) -> tuple[RoadmapPlanner, dict[str, list[float]]]:
    """A roadmap, and the seconds that it took each time, and those that the matrix of its distances took."""
    from thalweg.planner.planners.roadmap import RoadmapConfig, RoadmapPlanner, spread_nodes

    config = RoadmapConfig(stride=links.stride, max_edge=links.max_edge)
    built: dict[str, list[float]] = {"ours": [], "peer": []}
    for _ in range(repeats):
        began = time.perf_counter()
        planner = RoadmapPlanner.build(spread_nodes(experience, _NODES, rng), distance, experience.goal_of, config)
        built["ours"].append(time.perf_counter() - began)
    began = time.perf_counter()
    distance.pairwise(planner.nodes, experience.goal_of(planner.nodes))
    built["peer"].append(time.perf_counter() - began)
    return planner, built


def plan_figures(
    ours: Planner, peer: Planner, pairs: list[tuple[Array, Array]], stride: float, rng: np.random.Generator, what: str
) -> list[dict[str, Any]]:
    """Pairs of a state (S,) and a goal (G,), the first few for the peer, too: milliseconds each, until there is a plan or none.

    What plans cost is compared over the pairs for which both have one; pairs without one are counted.
    """
    answers = {
        "ours": [_timed(ours, *pair, stride, rng) for pair in pairs],
        "peer": [_timed(peer, *pair, stride, rng) for pair in pairs[:_QUERIES]],
    }
    against = f"{_QUERY_NODES:,} replay nodes for each query"
    rows = _times(what, "ms", against, {who: [spent for spent, _ in own] for who, own in answers.items()})
    costs = [(one, other) for (_, one), (_, other) in zip(answers["ours"], answers["peer"], strict=False)]
    both = [(one, other) for one, other in costs if one is not None and other is not None]
    if both:
        values = {"ours": [one for one, _ in both], "peer": [other for _, other in both]}
        rows.append({**make_row("cost of a plan, same pairs", "", against, values), "ratio": None})
    lost = {who: [float(sum(cost is None for _, cost in own))] for who, own in answers.items()}
    unit = f"of {len(answers['ours']):,} and {len(answers['peer'])} pairs"
    return [*rows, {**make_row("pairs without a plan", unit, against, lost), "ratio": None}]


def _timed(planner: Planner, state: Array, goal: Array, stride: float, rng: np.random.Generator) -> tuple[float, float | None]:
    """Milliseconds, and the plan's cost; None if there is no plan."""
    from thalweg.planner.graph.search import edge_costs
    from thalweg.planner.plan import NoPathError

    began = time.perf_counter()
    try:
        plan = planner.plan(state, goal, rng)
    except NoPathError:
        return 1e3 * (time.perf_counter() - began), None
    return 1e3 * (time.perf_counter() - began), float(edge_costs(plan.edge_steps, stride).sum())


def visited_figures() -> list[dict[str, Any]]:
    """To be called in a fresh process: what this one has held at most is one of the figures."""
    import resource

    import numpy as np
    from scipy.sparse.csgraph import dijkstra

    from thalweg.planner.data.trajectories import GoalEntries
    from thalweg.planner.graph.visited_graph import visited_graph
    from thalweg.planner.planners.visited import VisitedPlanner, VisitedPlannerConfig

    rng = np.random.default_rng(0)
    walks = random_walks(rng)
    began = time.perf_counter()
    planner = VisitedPlanner.build(walks, GoalEntries((0, 1)), VisitedPlannerConfig(), rng)
    built = {"ours": [time.perf_counter() - began], "peer": []}
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # kB on Linux
    began = time.perf_counter()
    graph = visited_graph(walks)
    built["peer"].append(time.perf_counter() - began)
    times: dict[str, list[float]] = {"ours": [], "peer": []}
    excess: list[float] = []
    for start, goal in rng.integers(_STATES, size=(_PAIRS, 2)):
        began = time.perf_counter()
        plan = planner.plan(planner.states[start], planner.states[goal], rng)
        times["ours"].append(1e3 * (time.perf_counter() - began))
        began = time.perf_counter()
        lengths, _ = dijkstra(graph, indices=start, return_predecessors=True)
        times["peer"].append(1e3 * (time.perf_counter() - began))
        excess += excess_percent(plan.total_steps, float(lengths[goal]))
    what, against = f"{_STATES:,} states", "a search of all of it"
    alone: dict[str, Any] = {"ratio": None, "peer": None, "against": against, "repeats": {}}
    return [
        *_times(f"plan, {what}", "ms", against, times),
        faster(make_row(f"build, {what}", "s", "without regions", built)),
        {"what": f"over the shortest, {_STATES:,}", "unit": "%, median", "ours": float(np.median(excess)), **alone},
        {"what": f"over the shortest, {_STATES:,}", "unit": "%, at most", "ours": max(excess), **alone},
        {"what": f"memory, {what}", "unit": "GB at most", "ours": memory, **alone},
    ]


def excess_percent(steps: float, shortest: float) -> list[float]:
    """By how much a plan is longer than the shortest way [%]; none where that has no length, from a place to itself."""
    return [100 * (steps / shortest - 1)] if shortest > 0 else []


def random_walks(rng: Any) -> list[Trajectory]:
    """`_STATES` places in a maze, on walks that start anywhere and now and then push another way."""
    import numpy as np

    import thalweg.envs  # noqa: F401 (registers ours)
    from thalweg.envs.loading import load_env
    from thalweg.planner.data.trajectories import Trajectory

    world: Any = load_env(_WORLD).unwrapped
    positions = world.map.sample_free(_WALKS, rng)
    velocities, pushes = np.zeros((_WALKS, 2)), rng.uniform(-1, 1, (_WALKS, 2))
    places = np.empty((_WALKS, _STATES // _WALKS, 2), dtype=np.float32)
    for step in range(places.shape[1]):
        places[:, step] = positions
        turns = np.flatnonzero(rng.random(_WALKS) < _TURN)
        pushes[turns] = rng.uniform(-1, 1, (len(turns), 2))
        positions, velocities = world.advance(positions, velocities, pushes)[:2]
    return [Trajectory(walk, walk) for walk in places]


def _times(what: str, unit: str, against: str, times: dict[str, list[float]]) -> list[dict[str, Any]]:
    """Two rows: medians and 99th percentiles."""
    import numpy as np

    slowest = {who: [float(np.quantile(own, 0.99))] for who, own in times.items()}
    return [faster(make_row(f"{what}, {name}", unit, against, own)) for name, own in (("median", times), ("99 %", slowest))]
