import itertools

import numpy as np
import pytest

from thalweg.planner.checks import check_planner
from thalweg.planner.data.trajectories import Trajectory
from thalweg.planner.goal_space import GoalSpace
from thalweg.planner.graph.visited_graph import visited_graph
from thalweg.planner.plan import NoPathError
from thalweg.planner.planners.visited import VisitedPlanner, VisitedPlannerConfig

RNG = np.random.default_rng(0)


def along(x, y=0.0):
    places = np.stack([x, np.full(len(x), y)], axis=1).astype(np.float32)
    return Trajectory(places, places)


def build(*data, **settings):
    return VisitedPlanner.build(data, lambda states: states, VisitedPlannerConfig(**settings), np.random.default_rng(0))


def place(x, y=0.0):
    return np.array([x, y], np.float32)


def test_the_graph_of_what_was_visited_counts_steps_and_crossings():
    """Two tracks of unit steps, 0.5 apart, run in opposite directions: along a track 1, across 0.5, never back along it."""
    there, back = along(np.arange(5.0)), along(np.arange(5.0)[::-1], 0.5)
    graph = visited_graph([there, back])
    assert graph[0, 1] == 1.0 and graph[0, 9] == graph[9, 0] == 0.5
    assert graph[1, 0] == 0  # no edge
    assert visited_graph([along(np.arange(0.0, 5.0, 2.0)), there])[0, 2] == 0  # two units apart, not next to each other


def test_where_two_edges_join_the_same_places_the_shorter_one_counts():
    graph = visited_graph([along(np.array([0.0, 1.0, 1.25, 2.25, 3.25]))])
    assert graph[1, 2] == graph[2, 1] == 0.25 and graph[0, 1] == 1.0


def test_an_object_that_is_seldom_pushed_has_ways():
    """It rests in 29 of 30 steps: the typical step is that of a push."""
    assert GoalSpace.fit([along(np.repeat(np.arange(4.0), 30)).goals]).move == 1.0


def test_a_plan_takes_the_steps_that_the_trajectory_took():
    planner = build(along(np.arange(100.0)), stride=16)
    plan = planner.plan(place(3.25), place(80.5), RNG)
    assert plan.total_steps == pytest.approx(77.25)
    assert len(plan.edge_steps) == 5 and (plan.edge_steps > 14).all() and (plan.edge_steps < 17).all()
    assert np.allclose(np.diff(plan.waypoints[:, 0]), plan.edge_steps[1:-1])
    stops = [0, *(plan.waypoints[:, 0].astype(int) + 1), 101]
    assert plan.edges.tolist() == [list(link) for link in itertools.pairwise(stops)]


def test_a_near_goal_needs_no_waypoint():
    plan = build(along(np.arange(100.0))).plan(place(3), place(6), RNG)
    assert len(plan.waypoints) == 0 and plan.edge_steps.tolist() == [3] and plan.edges.tolist() == [[0, 101]]


def test_the_way_back_is_another_trajectory_or_there_is_none():
    there, back = along(np.arange(50.0)), along(np.arange(50.0)[::-1], 0.5)
    plan = build(there, back).plan(place(40), place(10), RNG)
    assert plan.total_steps == pytest.approx(2 * np.hypot(1, 0.5) + 28)  # over to 39 and from 11, as far as it may reach
    with pytest.raises(NoPathError, match="50 visited states: 3 of them are within 2 env steps of the start, 3 of the goal"):
        build(there).plan(place(40), place(10), RNG)
    with pytest.raises(NoPathError, match="0 of the goal"):
        build(there).plan(place(10), place(10, 20), RNG)


def test_plans_go_round_a_wall_that_nobody_crossed():
    """20,000 places in a square of 40 steps with a wall in the middle: as long as the straight lines round its end."""
    rng = np.random.default_rng(0)
    starts = rng.uniform(0, 40, (2_000, 2))
    moves = rng.uniform(-0.7, 0.7, (2_000, 10, 2))
    places = starts[:, None] + np.cumsum(moves, axis=1)
    blocked = (np.abs(places[..., 0] - 20) < 1.5) & (places[..., 1] < 30)
    data = [Trajectory(walk.astype(np.float32), walk.astype(np.float32)) for walk in places[~blocked.any(axis=1)]]
    planner = build(*data, regions=200)
    step, plan = planner.places.space.move, planner.plan(place(10, 10), place(30, 10), RNG)
    shortest = (2 * np.hypot(8.5, 20) + 3) / step
    assert shortest < plan.total_steps < 1.15 * shortest
    assert not ((np.abs(plan.waypoints[:, 0] - 20) < 1.5) & (plan.waypoints[:, 1] < 30)).any()


def test_it_keeps_the_promises_of_a_planner(experience):
    config = VisitedPlannerConfig(stride=4)
    check_planner(VisitedPlanner.build(experience.trajectories, experience.goal_of, config, RNG), experience)


def test_what_cannot_be_built_is_refused():
    with pytest.raises(ValueError, match="moves"):
        build(along(np.zeros(5)))
    with pytest.raises(ValueError, match="stride"):
        VisitedPlannerConfig(stride=0.5)
    with pytest.raises(ValueError, match="regions"):
        VisitedPlannerConfig(regions=0)
