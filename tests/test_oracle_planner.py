import numpy as np
import pytest

from planner.checks import check_planner
from planner.data import NoPathError
from planner.oracle_planner import OraclePlanner

CORNER = np.array([[0.1, 0.1], [0.1, 0.9], [0.9, 0.9]])


def test_waypoints_follow_the_route_at_half_the_sure_edge(experience):
    """1.6 along the corner; 1.13 straight, 22.6 steps by this distance: 12 links of 2 steps at most."""
    planner = OraclePlanner(lambda start, goal: CORNER, experience)
    places = np.concatenate([CORNER[:1], planner.plan(np.array([0.1, 0.1, 0, 0]), CORNER[-1], None).nodes[:, :2], CORNER[-1:]])
    assert len(places) == 13
    assert np.linalg.norm(np.diff(places, axis=0), axis=1) == pytest.approx(1.6 / 12, abs=0.15)  # some are visited places nearby
    assert np.minimum(np.abs(places[:, 0] - 0.1), np.abs(places[:, 1] - 0.9)).max() < 0.1


def test_it_keeps_a_planners_promises(experience):
    check_planner(OraclePlanner(lambda start, goal: np.stack([start, goal]), experience), experience)


def test_a_map_without_a_way_has_no_path(experience):
    def nowhere(start, goal):
        raise ValueError("walled in")

    with pytest.raises(NoPathError, match="walled in"):
        OraclePlanner(nowhere, experience).plan(experience.states[0], experience.goals[9], None)
