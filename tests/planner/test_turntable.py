"""An angle as a goal: -pi and pi are one, whoever asks how near that is."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse.csgraph import dijkstra
from straight import straight_experience
from turntable import SPEED, TURN, Turntable, turned, wrapped

from thalweg.planner.data.barriers import on_barrier
from thalweg.planner.data.points import farthest_points, resample_by_arc_length
from thalweg.planner.data.trajectories import Trajectory, pack_trajectories, stored_periods, typical_turn
from thalweg.planner.distances.connectivity import ConnectivityDistance, ConnectivityDistanceConfig
from thalweg.planner.distances.euclidean import EuclideanDistance
from thalweg.planner.distances.joined import JoinedDistance
from thalweg.planner.distances.quasimetric import QuasimetricDistance
from thalweg.planner.energy.config import EnergyConfig
from thalweg.planner.evaluation.audit import near_goals
from thalweg.planner.evaluation.evaluate import evaluate
from thalweg.planner.following.routes import Routes
from thalweg.planner.graph.visited_graph import visited_graph
from thalweg.planner.planners.roadmap import RoadmapConfig, RoadmapPlanner
from thalweg.planner.planners.visited import VisitedPlanner, VisitedPlannerConfig
from thalweg.planner.samplers.box import BoxSampler
from thalweg.planner.samplers.cvae import CvaeSampler
from thalweg.planner.samplers.cvae_networks import CvaeConfig
from thalweg.planner.samplers.energy import EnergySampler

HERE, THERE, APART = np.array([3.0]), np.array([-3.0]), TURN - 6.0  # 0.28 rad


def state(angle):
    return np.array([angle, np.cos(angle), np.sin(angle)], np.float32)


@pytest.fixture(scope="module")
def experience():
    return straight_experience(turned())


@pytest.fixture(scope="module")
def measured(experience):
    """Under the distance that is true here, with paths of few nodes: a circle needs no more."""
    found = replace(experience, distance=EuclideanDistance.fit(experience))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("thalweg.planner.graph.stitched_paths._NODES", 100)
        found.paths()
    return found


def test_the_data_tells_and_a_move_is_no_turn(experience):
    assert experience.space.periods == (TURN,) and experience.space.units[0] == pytest.approx(0.95 * SPEED, rel=0.1)
    assert not on_barrier(experience.trajectories, experience.space).any()
    assert typical_turn(experience.trajectories, experience.space) == 1.0


def test_a_run_keeps_what_wraps_and_an_old_one_has_nothing():
    walks = turned(3)
    arrays = pack_trajectories(walks, (TURN,))
    assert stored_periods(arrays) == (TURN,)
    assert "periods" not in pack_trajectories(walks, (0.0,)) and stored_periods(pack_trajectories(walks)) == (0.0,)
    with pytest.raises(ValueError, match="periods for 1 entries"):
        stored_periods({**arrays, "periods": np.array([1.0, 2.0])})


def test_the_visited_graph_goes_over_the_seam(experience):
    goals, space = experience.goals, experience.space
    steps = dijkstra(visited_graph(experience.trajectories, space), indices=space.tree(goals).query(HERE)[1])
    there = space.tree(goals).query(THERE)[1]
    assert steps[there] == pytest.approx(APART / space.move, rel=0.15)


def test_distances_go_over_the_seam(measured):
    """What is learnt of so few states is right up to 20 steps; half a turn is 32."""
    learnt = QuasimetricDistance.fit(measured)
    expected, longest = APART / measured.space.move, np.pi / measured.space.move
    for distance in (measured.distance, learnt, JoinedDistance.fit(replace(measured, distance=learnt))):
        assert distance.paired(state(3.0)[None], THERE[None])[0] == pytest.approx(expected, rel=0.25, abs=1)
        assert 0.6 * longest < distance.paired(state(3.0)[None], np.array([[3.0 - np.pi]]))[0] < 1.1 * longest
    starts, ends = (np.array([[angle] for angle in angles], np.float32) for angles in ((2.5, -2.9, 3.1), (-2.7, 2.4, -1.8)))
    states = np.hstack([starts, np.cos(starts), np.sin(starts)])
    assert learnt.paired(states, ends) == pytest.approx(measured.space.gap(starts, ends), rel=0.15)
    restored = QuasimetricDistance.from_state(*learnt.state(), measured)
    asked = measured.states[:50], measured.goals[50:100]
    assert np.array_equal(restored.paired(*asked), learnt.paired(*asked)) and restored.network.waves.metric.wraps


def test_lines_and_spread_points_and_polylines_go_over_the_seam(experience):
    space = experience.space
    assert experience.visited.contains_lines(HERE[None], THERE[None]).all()
    some = farthest_points(experience.goals, 8, np.random.default_rng(0), space)
    around = np.sort(experience.goals[some, 0])
    assert np.diff([*around, around[0] + TURN]).min() > TURN / 8 / 2.1
    line = resample_by_arc_length(np.array([[2.9], [3.1], [-3.1], [-2.9]]), 9, space)
    assert np.allclose(np.diff(line, axis=0), (TURN - 5.8) / 8, atol=1e-5)


def test_training_paths_do_not_jump(measured):
    paths, _ = measured.paths()
    assert np.abs(np.diff(paths, axis=1)).max() < 0.15 and (np.abs(paths[:, 0]) <= np.pi).all()
    assert (np.abs(paths[:, -1]) > np.pi).any()


def test_planners_go_over_the_seam(measured):
    rng = np.random.default_rng(0)
    expected = 2.0 / measured.space.move  # from 2.6 to 2.6 + 2
    for planner in (
        VisitedPlanner.fit(measured, VisitedPlannerConfig(stride=4)),
        RoadmapPlanner.fit(measured, RoadmapConfig(stride=4, max_edge=20, num_nodes=60)),
    ):
        plan = planner.plan(state(2.6), np.array([2.6 + 2 - TURN], np.float32), rng)
        assert plan.total_steps == pytest.approx(expected, rel=0.3)
        assert (np.abs(wrapped(plan.waypoints[:, 0] - 3.6)) < 1.2).all()


def test_imagined_goals_are_canonical_and_on_the_short_way(measured):
    config = EnergyConfig(train_steps=300, hidden=64, num_negatives=64, batch_size=128)
    samplers = EnergySampler.fit(measured, config), CvaeSampler.fit(measured, CvaeConfig(hidden=64, train_steps=300))
    for sampler in samplers:
        nodes = sampler.sample(state(2.6), np.array([-2.7], np.float32), 100, np.random.default_rng(0))
        assert (np.abs(nodes[:, 0]) <= np.pi + 1e-6).all()
        assert (np.abs(wrapped(nodes[:, 0] - 3.1)) < 1.0).mean() > 0.9
    box = BoxSampler.fit(measured).sample(state(0.0), HERE, 500, np.random.default_rng(0))
    assert (np.abs(box[:, 0]) <= np.pi + 1e-6).all()


def test_connectivity_fits_where_an_entry_wraps(measured):
    config = ConnectivityDistanceConfig(hidden=32, waves=16, train_steps=150, sampler=CvaeConfig(hidden=32, train_steps=50))
    distance = ConnectivityDistance.fit(measured, config)
    near, far = distance.pairwise(state(3.1)[None], np.array([[-3.1], [0.0]], np.float32))[0]
    assert near < 8 < far


def test_there_are_no_routes(measured):
    assert Routes.fit(measured) is None and "wraps" in measured.space.limits()[-1]


def test_goals_of_drives_are_near_over_the_seam(experience):
    moving = turned(1, 30, seed=3)[0]
    start = np.float32(np.pi - 0.01) - moving.goals[0]
    shifted = Trajectory(moving.states, wrapped(moving.goals + start).astype(np.float32))
    choose = near_goals([shifted], 10, None, experience.space)
    goal, steps = choose(state(-np.pi + 0.01), np.array([-np.pi + 0.01], np.float32), np.random.default_rng(0))
    assert np.isfinite(steps) and experience.space.gap(np.array([np.pi]), goal) <= 11


def test_path_lengths_go_over_the_seam(experience):
    class Over:
        def predict(self, observation, state=None, episode_start=None, deterministic=False):
            return np.ones((len(observation["observation"]), 1), np.float32), state

    class Started(Turntable):
        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            self.angle, self.goal = 3.0, -2.5
            return self.seen(), {}

    (row,) = evaluate(Over(), lambda index: Started(), [0], "turn", "none", space=experience.space)
    assert row.success and row.path_length == pytest.approx(0.7, abs=0.11) and row.detour == pytest.approx(1, abs=1e-3)
