import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from thalweg.planner.checks import check_planner
from thalweg.planner.data.points import farthest_points
from thalweg.planner.graph.search import edge_costs, search_networkx
from thalweg.planner.plan import NoPathError, Plan
from thalweg.planner.planners.roadmap import RoadmapConfig, RoadmapPlanner
from thalweg.planner.storage import DamagedError
from thalweg.scripts.bench.graph import GraphOptions, bench_graph, excess_percent, plan_figures

RNG = np.random.default_rng(0)


class Wind:
    """One env step per unit, and half a step more per unit against the wind: every answer is known by hand."""

    def __init__(self):
        self.asked = 0

    def paired(self, states, goals):
        self.asked += len(states)
        way = goals - states
        return (np.linalg.norm(way, axis=1) + 0.5 * np.maximum(-way[:, 0], 0)).astype(np.float32)


def build(nodes, distance=None, **settings):
    nodes = np.array(nodes, np.float32).reshape(-1, 2)
    return RoadmapPlanner.build(nodes, distance or Wind(), lambda states: states, RoadmapConfig(**settings))


def place(*numbers):
    return np.array(numbers, np.float32)


def chain(plan):
    """How a Plan counts its places, found again from its waypoints."""
    indices = [int(np.flatnonzero((plan.nodes == waypoint).all(axis=1))[0]) + 1 for waypoint in plan.waypoints]
    return [0, *indices, len(plan.nodes) + 1]


def test_a_plan_follows_the_line_and_the_detour_is_left():
    planner = build([(6, 0), (-3, 0), (3, 0)], max_edge=4, stride=3)
    plan = planner.plan(place(0, 0), place(10, 0), RNG)
    assert plan.waypoints[:, 0].tolist() == [3, 6] and plan.edge_steps.tolist() == [3, 3, 4]
    back = planner.plan(place(6, 0), place(4.5, 0), RNG)
    assert len(back.waypoints) == 0 and back.edge_steps.tolist() == [2.25]


def test_on_a_grid_plans_are_as_long_as_the_way_round_the_gap():
    """A wall of missing nodes at x = 5, open at y = 10 only; steps may not be longer than 1.2, so not diagonal."""
    grid = [(x, y) for x in range(11) for y in range(11) if x != 5 or y == 10]
    planner = build(grid, max_edge=1.2, stride=16, levels=1, hubs=len(grid))
    plan = planner.plan(place(4, 0), place(6, 0), RNG)
    assert plan.total_steps == 22 and len(plan.waypoints) == 21
    assert [5, 10] in plan.waypoints.tolist()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**31), num_nodes=st.integers(1, 12), max_edge=st.sampled_from([2.0, 4.0, 9.0]))
def test_with_all_neighbours_and_all_hubs_it_says_what_networkx_says(seed, num_nodes, max_edge):
    places = np.random.default_rng(seed).uniform(0, 10, (num_nodes + 2, 2)).astype(np.float32)  # start, nodes, goal
    config = {"max_edge": max_edge, "stride": 3.0, "levels": 1, "neighbours": num_nodes, "hubs": num_nodes, "entries": num_nodes}
    planner = build(places[1:-1], **config)
    rows, columns = np.nonzero(~np.eye(len(places), dtype=bool))
    steps = np.maximum(Wind().paired(places[rows], places[columns]), 1.0).astype(np.float64)
    costs = np.zeros((len(places), len(places)))
    costs[rows, columns] = np.where(steps <= max_edge, edge_costs(steps, 3.0), 0.0)
    costs[:, 0] = costs[-1] = 0.0  # nothing leads to the start or from the goal
    route = search_networkx(csr_array(costs))
    if not route:
        with pytest.raises(NoPathError):
            planner.plan(places[0], places[-1], RNG)
        return
    plan = planner.plan(places[0], places[-1], RNG)
    assert chain(plan) == route
    assert edge_costs(plan.edge_steps, 3.0).sum() == pytest.approx(costs[route[:-1], route[1:]].sum(), rel=1e-5)
    assert sorted(map(tuple, plan.edges)) == sorted(zip(*np.nonzero(costs), strict=True))


def test_a_plan_is_a_chain_of_its_own_edges_with_their_steps():
    nodes = np.random.default_rng(0).uniform(0, 30, (400, 2))
    planner = build(nodes, max_edge=8, stride=4, hubs=50)
    plan = planner.plan(place(1, 1), place(29, 28), RNG)
    links = chain(plan)
    edges = set(map(tuple, plan.edges))
    assert all(link in edges for link in itertools.pairwise(links))
    stops = np.concatenate([place(1, 1)[None], plan.waypoints, place(29, 28)[None]])
    assert np.allclose(plan.edge_steps, np.maximum(Wind().paired(stops[:-1], stops[1:]), 1), rtol=1e-5)
    again = planner.plan(place(1, 1), place(29, 28), np.random.default_rng(1))
    assert np.array_equal(again.waypoints, plan.waypoints) and np.array_equal(again.edges, plan.edges)


def test_few_hubs_cost_little():
    """A fourth of the nodes, 4 apart where links of 8 steps cost little more than their steps."""
    rng = np.random.default_rng(0)
    places = rng.uniform(0, 60, (4_000, 2))
    nodes = places[farthest_points(places, 1_000, rng)]
    few, all_hubs = (build(nodes, max_edge=20, stride=8, hubs=hubs) for hubs in (250, 1_000))
    ends = np.random.default_rng(1).uniform(0, 60, (50, 2, 2)).astype(np.float32)
    ratios = [
        np.divide(*(edge_costs(planner.plan(start, goal, RNG).edge_steps, 8).sum() for planner in (few, all_hubs)))
        for start, goal in ends
    ]
    assert np.mean(ratios) < 1.02 and max(ratios) < 1.2


def test_the_distance_is_asked_of_near_pairs_only():
    distance = Wind()
    planner = build(np.random.default_rng(0).uniform(0, 60, (1_000, 2)), distance)
    config = planner.config
    assert distance.asked <= 2 * 1_000 * config.levels * (config.neighbours + 1)
    before = distance.asked
    planner.plan(place(1, 1), place(50, 50), RNG)
    assert distance.asked - before <= config.levels * config.neighbours + 1 + config.entries


def test_it_keeps_the_promises_of_a_planner(experience):
    config = RoadmapConfig(stride=4, max_edge=10)
    check_planner(RoadmapPlanner.build(experience.states, experience.distance, experience.goal_of, config), experience)


def test_without_a_way_the_message_has_the_numbers():
    planner = build([(0, 0), (1, 0), (50, 0)], max_edge=4, stride=3)
    with pytest.raises(NoPathError, match="through 3 nodes and 2 edges"):
        planner.plan(place(0, 1), place(49, 0), RNG)


def test_what_cannot_be_built_is_refused():
    with pytest.raises(ValueError, match="at least one node"):
        build([])
    with pytest.raises(ValueError, match="hubs"):
        RoadmapConfig(hubs=0)
    with pytest.raises(ValueError, match="max_edge"):
        RoadmapConfig(max_edge=0.5)


class Partial:
    """One link of so many steps to each goal, but none to some."""

    def __init__(self, steps, lost):
        self.steps, self.lost = steps, lost

    def plan(self, state, goal, rng):
        if goal[0] in self.lost:
            raise NoPathError("none")
        return Plan(np.zeros((0, 2)), np.array([self.steps + goal[0]]), np.zeros((0, 2)), np.array([[0, 1]]))


def test_a_benchmark_counts_pairs_without_a_plan_and_compares_the_others():
    pairs = [(place(0, 0), place(x, 0)) for x in range(12)]  # the peer is asked of the first ten
    rows = {row["what"]: row for row in plan_figures(Partial(3, {0, 11}), Partial(6, {1}), pairs, 8.0, RNG, "plan")}
    lost, costs = rows["pairs without a plan"], rows["cost of a plan, same pairs"]
    assert (lost["ours"], lost["peer"], lost["unit"]) == (2, 1, "of 12 and 10 pairs")
    goals = np.arange(2, 10)
    assert costs["repeats"]["ours"] == pytest.approx(edge_costs(3.0 + goals, 8))
    assert costs["repeats"]["peer"] == pytest.approx(edge_costs(6.0 + goals, 8))
    assert len(rows["plan, median"]["repeats"]["ours"]) == 12 and rows["plan, 99 %"]["peer"] > 0
    none = plan_figures(Partial(3, {5}), Partial(6, {}), [(place(0, 0), place(5, 0))], 8.0, RNG, "plan")
    assert "cost of a plan, same pairs" not in [row["what"] for row in none]


def test_a_plan_from_a_place_to_itself_has_no_excess():
    assert excess_percent(0.5, 0.0) == [] and excess_percent(11.0, 10.0) == pytest.approx([10.0])


def test_a_wrong_run_is_told_before_the_benchmark_begins(tmp_path, monkeypatch):
    monkeypatch.setattr("thalweg.scripts.bench.graph.visited_figures", lambda: pytest.fail("too late"))
    with pytest.raises(DamagedError):
        bench_graph(GraphOptions(run=tmp_path / "nowhere", out=tmp_path, progress=False))
