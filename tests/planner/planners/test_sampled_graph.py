import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from thalweg.planner.checks import CheckError
from thalweg.planner.graph.search import edge_costs, link_steps, search_csgraph, search_networkx, shortest_plan
from thalweg.planner.plan import NoPathError
from thalweg.planner.planners.sampled_graph import GraphPlanner, GraphPlannerConfig


class LineDistance:
    """One env step per unit of |x - g|: every answer is known by hand."""

    def pairwise(self, states, goals):
        return np.abs(states - goals.T).astype(np.float32)


class Fixed:
    def __init__(self, nodes):
        self.nodes = np.array(nodes, dtype=np.float32).reshape(-1, 1)

    def sample(self, state, goal, num_samples, rng):
        return self.nodes


def plan_on_line(start, nodes, goal, max_edge):
    planner = GraphPlanner(
        Fixed(nodes),
        LineDistance(),
        lambda s: s,
        GraphPlannerConfig(num_nodes=len(nodes), max_edge=max_edge, stride=max_edge / 1.5),
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


def test_a_gap_is_crossed_by_the_shortest_link_over_it():
    """However long that is: the goal keeps its nearest node, the node its nearest neighbours."""
    plan = plan_on_line(start=0, nodes=[3, -1], goal=10, max_edge=4)
    assert plan.waypoints[:, 0].tolist() == [3] and plan.edge_steps.tolist() == [3, 7]


def test_what_cannot_be_reached_has_no_path_and_the_message_says_what_to_do():
    class Walled(LineDistance):
        def pairwise(self, states, goals):
            steps = super().pairwise(states, goals)
            return np.where((states < 5) != (goals.T < 5), np.float32(np.inf), steps)

    planner = GraphPlanner(Fixed([3, 7]), Walled(), lambda s: s, GraphPlannerConfig(num_nodes=2, max_edge=20, stride=20))
    with pytest.raises(NoPathError, match="through 2 nodes and 2 edges; sample more nodes"):
        planner.plan(np.array([0.0], np.float32), np.array([10.0], np.float32), np.random.default_rng(0))


STEPS = np.array([[2.0, 9.0, 9.0], [0.0, 3.0, 9.0], [1.0, 0.0, 4.0]])  # start, two nodes -> two nodes, goal


def test_links_are_directed_and_no_longer_than_allowed_but_for_the_best():
    links = link_steps(STEPS, max_edge=4)
    assert np.argwhere(np.isfinite(links)).tolist() == [[0, 1], [1, 2], [2, 1], [2, 3]]
    assert links[0, 1] == 2 and links[2, 3] == 4
    best = link_steps(STEPS, max_edge=1)  # each place's shortest way out, each place's shortest way in
    assert np.argwhere(np.isfinite(best)).tolist() == [[0, 1], [1, 2], [2, 1], [2, 3]]
    assert np.argwhere(np.isfinite(link_steps(STEPS, max_edge=1, keep_best=False))).tolist() == [[2, 1]]
    assert edge_costs(np.array([4.0]), 4.0).tolist() == [10.0]


def test_a_link_counts_at_least_a_step():
    assert link_steps(np.array([[0.2]]), max_edge=4)[0, 1] == 1


@given(hnp.arrays(float, (7, 7), elements=st.floats(0, 50)), st.floats(1, 60), st.floats(1, 30))
def test_scipy_and_networkx_find_ways_of_the_same_cost(steps, max_edge, stride):
    links, nodes = link_steps(steps, max_edge), np.arange(6.0)[:, None]

    def cost(search):
        try:
            return edge_costs(shortest_plan(links, nodes, stride, search).edge_steps.astype(float), stride).sum()
        except NoPathError:
            return np.inf

    assert cost(search_csgraph) == pytest.approx(cost(search_networkx), rel=1e-5)


def test_a_matrix_that_is_not_square_is_refused():
    with pytest.raises(ValueError, match="square"):
        link_steps(np.zeros((2, 3)), 4)


@pytest.mark.parametrize(("nodes", "steps", "named"), [(np.nan, 1.0, "Fixed"), (1.0, np.nan, "LineDistance")])
def test_a_part_that_gives_nan_in_mid_run_is_named(nodes, steps, named):
    class Broken(LineDistance):
        def pairwise(self, states, goals):
            return super().pairwise(states, goals) * np.float32(steps)

    Broken.__name__ = "LineDistance"
    planner = GraphPlanner(Fixed([nodes]), Broken(), lambda s: s, GraphPlannerConfig(num_nodes=1))
    with pytest.raises(CheckError, match=f"^{named}: .*nan"):
        planner.plan(np.array([0.0], np.float32), np.array([10.0], np.float32), np.random.default_rng(0))
