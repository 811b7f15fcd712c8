import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.data import GoalEntries, Trajectory, farthest_points, pack_trajectories, resample_by_arc_length, unpack_trajectories
from planner.paths import hindsight_paths, stitched_paths


class Straight:
    """Twenty env steps per unit of length."""

    def pairwise(self, states, goals):
        return (20 * np.linalg.norm(states[:, None, :2] - goals, axis=-1)).astype(np.float32)

    def paired(self, states, goals):
        return np.diagonal(self.pairwise(states, goals))


def line(start, end, count):
    places = np.linspace(start, end, count).astype(np.float32)
    return Trajectory(np.hstack([places, np.zeros_like(places)]), places)


def test_arc_length_ignores_the_pace():
    slow_fast_slow = np.array([[0, 0], [0.01, 0], [0.02, 0], [0.9, 0], [1, 0], [1, 1.0]])
    assert np.allclose(resample_by_arc_length(slow_fast_slow, 5), [[0, 0], [0.5, 0], [1, 0], [1, 0.5], [1, 1]])


@given(seed=st.integers(0, 1000), count=st.integers(2, 40))
def test_resampling_keeps_the_ends_and_is_no_longer_than_the_path(seed, count):
    path = np.random.default_rng(seed).normal(size=(12, 2))
    new = resample_by_arc_length(path, count)
    assert np.allclose(new[[0, -1]], path[[0, -1]], atol=1e-6)
    assert np.linalg.norm(np.diff(new, axis=0), axis=1).sum() <= np.linalg.norm(np.diff(path, axis=0), axis=1).sum() + 1e-4


def test_trajectories_survive_packing(walk):
    again = unpack_trajectories(pack_trajectories(walk))
    assert len(again) == len(walk)
    assert all(np.array_equal(a.states, b.states) and np.array_equal(a.goals, b.goals) for a, b in zip(again, walk, strict=True))
    with pytest.raises(ValueError, match="add up"):
        unpack_trajectories({**pack_trajectories(walk), "lengths": np.array([3])})


def test_goal_entries_are_found_and_put_back(walk):
    swapped = [Trajectory(t.states[:, [2, 1, 3, 0]], t.goals) for t in walk]
    goal_of = GoalEntries.infer(swapped)
    assert goal_of.indices == (3, 1)
    lifted = goal_of.lift(np.ones((5, 2), np.float32), swapped[0].states[:5])
    assert np.array_equal(goal_of(lifted), np.ones((5, 2))) and np.array_equal(lifted[:, [0, 2]], swapped[0].states[:5, [0, 2]])
    with pytest.raises(ValueError, match="entry 0 of achieved_goal"):
        GoalEntries.infer([Trajectory(t.states, t.goals + 1) for t in walk])


def test_farthest_points_spread():
    points = np.concatenate([np.zeros((100, 1)), np.ones((1, 1)), np.full((1, 1), 0.5)])
    assert sorted(points[farthest_points(points, 3, np.random.default_rng(0)), 0].tolist()) == [0, 0.5, 1]


def test_stitching_joins_trajectories_that_never_meet_in_one_episode():
    """An L of three pieces: no piece goes round the corner, yet the paths do."""
    pieces = [line((0, 0), (1, 0), 40), line((1, 0), (1, 1), 40), line((1, 1), (1, 2), 40)]
    goal_of = GoalEntries.infer(pieces)
    paths = stitched_paths(pieces, Straight(), goal_of, max_edge=4, stride=3, num_paths=200, rng=np.random.default_rng(0))
    assert paths.shape == (200, 33, 2)
    far = paths[(paths[:, 0].sum(axis=1) < 0.3) & (paths[:, -1, 1] > 1.7)]
    assert len(far) > 0 and (np.linalg.norm(far - [1, 0], axis=2).min(axis=1) < 0.2).all()


def test_stitching_says_when_nothing_is_near():
    with pytest.raises(ValueError, match="train the agent longer"):
        stitched_paths([line((0, 0), (9, 0), 3)], Straight(), GoalEntries((0, 1)), 1, 1, 10, np.random.default_rng(0))


def test_a_roundabout_piece_weighs_less_than_a_straight_one():
    rng = np.random.default_rng(0)
    straight = hindsight_paths([line((0, 0), (1, 0), 21)], Straight(), 50, 10.0, rng)[1]
    back_and_forth = np.concatenate([np.linspace(0, 1, 11), np.linspace(1, 0, 11)])[:, None] * [1.0, 0.0]
    turned = Trajectory(np.hstack([back_and_forth, np.zeros((22, 2))]).astype(np.float32), back_and_forth.astype(np.float32))
    assert straight.min() > 0.9
    assert hindsight_paths([turned], Straight(), 50, 10.0, rng)[1].min() < 0.1
