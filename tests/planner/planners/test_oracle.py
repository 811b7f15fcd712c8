import numpy as np
import pytest
from straight import straight_experience

from thalweg.planner.checks import check_planner
from thalweg.planner.data.points import resample_by_arc_length
from thalweg.planner.data.trajectories import Trajectory
from thalweg.planner.plan import NoPathError
from thalweg.planner.planners.oracle import OraclePlanner

CORNER = np.array([[0.1, 0.1], [0.1, 0.9], [0.9, 0.9]])
START = np.array([0.1, 0.1, 0, 0])


def waypoints_round_the_corner(visited):
    """Places (K, 2) of a plan from end to end of CORNER by an agent that went along `visited`, 0.002 a step."""
    places = resample_by_arc_length(visited, 801)
    velocities = np.random.default_rng(0).normal(size=places.shape).astype(np.float32)
    experience = straight_experience([Trajectory(np.hstack([places, velocities]), places)])
    return OraclePlanner(lambda start, goal: CORNER, experience).plan(START, CORNER[-1], None).waypoints[:, :2]


def test_waypoints_follow_the_route_at_half_the_sure_edge():
    """1.6 along the corner; 1.13 straight, 22.6 steps by this distance: 12 links of 2 steps at most."""
    places = np.vstack([CORNER[0], waypoints_round_the_corner(CORNER), CORNER[-1]])
    assert len(places) == 13
    assert np.linalg.norm(np.diff(places, axis=0), axis=1) == pytest.approx(1.6 / 12, abs=1e-5)
    assert np.minimum(np.abs(places[:, 0] - 0.1), np.abs(places[:, 1] - 0.9)).max() < 1e-5


def test_where_nobody_has_been_the_nearest_visited_place_stands_in():
    """Here beyond the corner, to which all of the second leg's waypoints go."""
    places = waypoints_round_the_corner(CORNER[:2])
    assert places[:, 0] == pytest.approx(0.1) and places[6:, 1] == pytest.approx(0.9)


def test_it_keeps_a_planners_promises(experience):
    check_planner(OraclePlanner(lambda start, goal: np.stack([start, goal]), experience), experience)


def test_a_map_without_a_way_has_no_path(experience):
    def nowhere(start, goal):
        raise ValueError("walled in")

    with pytest.raises(NoPathError, match="walled in"):
        OraclePlanner(nowhere, experience).plan(experience.states[0], experience.goals[9], None)
