"""Two rooms with a wall between them, and a few places that nobody has connected."""

import numpy as np
import pytest
from straight import Straight, straight_experience

from thalweg.planner.checks import check_distance
from thalweg.planner.data.trajectories import Trajectory
from thalweg.planner.distances.joined import JoinedDistance
from thalweg.planner.plan import NoPathError
from thalweg.planner.planners.sampled_graph import GraphPlanner, GraphPlannerConfig
from thalweg.planner.samplers.replay import ReplaySampler


def room(left, seed, count=300):
    rng = np.random.default_rng(seed)
    places = np.clip(0.2 + rng.normal(0, 0.03, (count, 2)).cumsum(axis=0), 0, 0.4).astype(np.float32) + np.float32([left, 0])
    return Trajectory(places, places)


def pieces(trajectory):
    """Of ten places, each beginning where the last one ended."""
    places = trajectory.goals
    return [Trajectory(places[i : i + 11], places[i : i + 11]) for i in range(0, len(places) - 10, 10)]


CORNER = Trajectory(*[np.array([[0.0, 0.9], [0.0, 0.91]], np.float32)] * 2)
ROOMS = [*pieces(room(0.0, 0)), *pieces(room(0.0, 1)), *pieces(room(0.6, 2))]


@pytest.fixture
def joined():
    return JoinedDistance.fit(straight_experience([*ROOMS, CORNER]))


LEFT, RIGHT, SEEN_ONCE = np.array([[0.2, 0.2]], np.float32), np.array([[0.8, 0.2]], np.float32), CORNER.goals[:1]


def test_rooms_that_nobody_went_between_are_unreachable_and_the_rest_is_as_it_was(joined):
    states, goals = np.concatenate([LEFT, RIGHT]), np.concatenate([LEFT + np.float32(0.1), RIGHT])
    steps = joined.pairwise(states, goals)
    assert np.isinf(steps).tolist() == [[False, True], [True, False]]
    assert steps[0, 0] == Straight().pairwise(LEFT, LEFT + np.float32(0.1))[0, 0]
    assert np.isinf(joined.paired(LEFT, RIGHT))[0] and joined.paired(RIGHT, RIGHT)[0] == 0


def test_a_corner_hardly_seen_belongs_to_the_room_nearest_to_it(joined):
    assert np.isfinite(joined.paired(SEEN_ONCE, LEFT))[0] and np.isinf(joined.paired(SEEN_ONCE, RIGHT))[0]


def test_where_all_is_joined_nothing_changes(experience):
    check_distance(JoinedDistance.fit(experience), experience)
    one = JoinedDistance.fit(straight_experience(ROOMS[:58]))
    assert np.array_equal(one.pairwise(LEFT, RIGHT), Straight().pairwise(LEFT, RIGHT))


def test_a_goal_in_another_room_has_no_path(joined):
    nodes = np.concatenate([trajectory.states for trajectory in ROOMS])
    planner = GraphPlanner(ReplaySampler(nodes), joined, lambda s: s, GraphPlannerConfig(num_nodes=50))
    with pytest.raises(NoPathError, match="no path from start to goal through 50 nodes"):
        planner.plan(LEFT[0], RIGHT[0], np.random.default_rng(0))
    assert len(planner.plan(LEFT[0], LEFT[0] + np.float32(0.1), np.random.default_rng(0)).edge_steps) >= 1


def test_a_few_episodes_that_hang_together_by_nothing_are_no_rooms():
    """As after a short training: had each a part of its own, no plan would ever be found."""
    few = [room(0.3 * i, i, count=30) for i in range(5)]
    joined = JoinedDistance.fit(straight_experience(few))
    assert np.isfinite(joined.paired(few[0].states[:1], few[4].goals[:1])).all()
