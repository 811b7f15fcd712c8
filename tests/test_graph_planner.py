import numpy as np
import pytest

from planner.data import NoPathError
from planner.graph import build_graph, edge_costs
from planner.graph_planner import GraphPlanner, GraphPlannerConfig


class LineDistance:
    """One env step per unit of |x - g|: every answer is known by hand."""

    def pairwise(self, states, goals):
        return np.abs(states - goals.T)


class Fixed:
    def __init__(self, nodes):
        self.nodes = np.array(nodes, dtype=np.float32).reshape(-1, 1)

    def sample(self, state, goal, num_samples, rng):
        return self.nodes


def plan_on_line(start, nodes, goal, max_edge):
    planner = GraphPlanner(
        Fixed(nodes), LineDistance(), lambda s: s, GraphPlannerConfig(max_edge=max_edge, stride=max_edge / 1.5)
    )
    return planner.plan(np.array([start], np.float32), np.array([goal], np.float32), np.random.default_rng(0))


def test_plan_visits_nodes_in_order_and_ignores_the_detour():
    plan = plan_on_line(start=0, nodes=[6, -3, 3], goal=10, max_edge=4)
    assert plan.waypoints[:, 0].tolist() == [3, 6] and plan.total_steps == 10
    assert plan.edge_steps.tolist() == [3, 3, 4]


def test_a_near_goal_needs_no_waypoint():
    plan = plan_on_line(start=0, nodes=[1, 2], goal=3, max_edge=8)
    assert len(plan.waypoints) == 0 and plan.edge_steps.tolist() == [3]


def test_without_nodes_the_plan_is_the_straight_way():
    plan = plan_on_line(start=0, nodes=[], goal=3, max_edge=4)
    assert len(plan.waypoints) == 0 and plan.nodes.shape == (0, 1)


def test_no_tiny_links_where_one_will_do():
    plan = plan_on_line(start=0, nodes=[0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4], goal=8, max_edge=12)
    assert len(plan.waypoints) == 1


def test_a_gap_has_no_path_and_the_message_says_what_to_do():
    with pytest.raises(NoPathError, match="more nodes"):
        plan_on_line(start=0, nodes=[3], goal=10, max_edge=4)
    with pytest.raises(NoPathError):
        plan_on_line(start=0, nodes=[], goal=10, max_edge=4)


def test_edges_are_directed_and_no_longer_than_allowed():
    steps = np.array([[2.0, 9.0, 9.0], [0.0, 3.0, 9.0], [1.0, 0.0, 4.0]])  # start, two nodes -> two nodes, goal
    graph = build_graph(steps, max_edge=4, stride=3)
    assert sorted(graph.edges) == [(0, 1), (1, 2), (2, 1), (2, 3)]
    assert graph.edges[1, 2]["steps"] == 3 and graph.edges[1, 2]["cost"] == 4 * 2
    assert edge_costs(np.array([4.0]), 4.0).tolist() == [10.0]


def test_a_matrix_that_is_not_square_is_refused():
    with pytest.raises(ValueError, match="square"):
        build_graph(np.zeros((2, 3)), 4, 3)
