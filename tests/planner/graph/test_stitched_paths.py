import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import dijkstra

from thalweg.planner.data import coverage
from thalweg.planner.data.coverage import Coverage
from thalweg.planner.data.points import farthest_points, resample_by_arc_length, spread_points
from thalweg.planner.data.trajectories import GoalEntries, Trajectory, pack_trajectories, unpack_trajectories
from thalweg.planner.goal_space import GoalSpace
from thalweg.planner.graph.stitched_paths import hindsight_paths, stitched_paths, straightened, training_paths


class Straight:
    """Twenty env steps per unit of length."""

    def pairwise(self, states, goals):
        return (20 * np.linalg.norm(states[:, None, :2] - goals, axis=-1)).astype(np.float32)

    def paired(self, states, goals):
        return np.diagonal(self.pairwise(states, goals))


class Everywhere:
    """Every place has been visited, or none has."""

    def __init__(self, held=True):
        self.held = held

    def contains_lines(self, starts, ends):
        return np.full(len(starts), self.held)

    def on_barrier(self, places):
        return np.zeros(len(places), dtype=bool)


def test_many_lines_are_asked_part_by_part(monkeypatch):
    visited = Coverage(square_without(0.4, 0.6))
    starts, ends = np.random.default_rng(0).random((2, 300, 2))
    at_once = visited.contains_lines(starts, ends)
    monkeypatch.setattr(coverage, "_AT_ONCE", 64)
    assert np.array_equal(visited.contains_lines(starts, ends), at_once) and 0 < at_once.mean() < 1
    assert visited.contains_lines(starts[:0], ends[:0]).shape == (0,)


def test_lines_are_asked_no_more_finely_than_moves(monkeypatch):
    """Where goals have one entry visits lie closer than anything that could stop a move."""
    asked = []
    visited = Coverage(np.linspace(0, 1, 10_000)[:, None], space=GoalSpace(1, units=(0.1,)))
    monkeypatch.setattr(visited, "is_open", lambda places: asked.append(len(places)) or np.ones(len(places), dtype=bool))
    assert visited.contains_lines(np.array([[0.0]]), np.array([[1.0]])).all() and sum(asked) < 60


def line(start, end, count):
    places = np.linspace(start, end, count).astype(np.float32)
    return Trajectory(np.hstack([places, np.zeros_like(places)]), places)


def chain(corners, spacing):
    """Straight legs from corner to corner."""
    return [line(a, b, 1 + round(np.linalg.norm(np.subtract(b, a)) / spacing)) for a, b in itertools.pairwise(corners)]


def stitch(pieces, visited, max_edge, stride, num_paths, distance=None):
    distance, rng = distance if distance is not None else Straight(), np.random.default_rng(0)
    return stitched_paths(pieces, distance, GoalEntries((0, 1)), visited, max_edge, stride, num_paths, rng)


def goals_of(trajectories):
    return np.concatenate([trajectory.goals for trajectory in trajectories])


def lengths(paths):
    return np.linalg.norm(np.diff(paths.astype(np.float64), axis=1), axis=2).sum(axis=1)


def gaps_to(points, places):
    """(..., 2) -> (...): how far the nearest of the places is."""
    return np.linalg.norm(points[..., None, :] - places, axis=-1).min(axis=-1)


def square_without(low, high, spacing=0.02):
    """Places of a grid in the unit square, except where low < x < high: a wall across it."""
    axis = np.arange(0, 1 + spacing / 2, spacing)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    return grid[(grid[:, 0] <= low) | (grid[:, 0] >= high)]


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


def test_of_points_more_than_there_are_all_are_taken_and_of_many_a_spread_few():
    rng = np.random.default_rng(0)
    points = np.concatenate([np.linspace(0, 1e-3, 50), np.linspace(0.02, 1, 50)])[:, None]
    assert sorted(spread_points(points, 200, 2, rng).tolist()) == list(range(100))
    few = np.sort(points[spread_points(points, 3, 30, rng), 0])
    assert np.diff(few).min() > 0.25  # of three random ones half are next to 0


# What was visited


def test_a_place_is_visited_if_it_is_as_near_as_visited_places_are_to_each_other():
    """On a line of unit spacing the eighth nearest place, itself the first, is 4 away."""
    visited = Coverage(np.arange(101.0)[:, None])
    assert visited.within == 4
    assert visited.contains(np.array([[50.4], [104.0], [104.01], [-4.0], [-4.01]])).tolist() == [True, True, False, True, False]
    assert visited.contains(np.array([[108.0], [108.01]]), slack=2.0).tolist() == [True, False]
    assert visited.contains(np.zeros((3, 5, 1))).shape == (3, 5)


def test_the_nearest_visited_place_is_found():
    rng = np.random.default_rng(0)
    places, asked = rng.random((200, 3)), rng.random((50, 3))
    expected = np.linalg.norm(asked[:, None] - places, axis=2).argmin(axis=1)
    assert np.array_equal(Coverage(places).nearest(asked)[0], expected)


@settings(deadline=None)
@given(seed=st.integers(0, 10_000), gap=st.integers(5, 95))
def test_no_line_crosses_a_gap_however_long_it_is(seed, gap):
    """Places 0.1 apart on a line, `within` 0.4, with a gap of 2.1: whatever crosses that is not held, and all else is."""
    places = np.arange(0, 100, 0.1)
    places = places[(places < gap) | (places >= gap + 2.1)]
    visited = Coverage(places[:, None])
    assert visited.within == pytest.approx(0.4)
    starts, ends = np.random.default_rng(seed).choice(places, (2, 40, 1))
    crosses = (starts[:, 0] < gap) != (ends[:, 0] < gap)
    assert np.array_equal(visited.contains_lines(starts, ends), ~crosses)


def test_a_line_may_pass_where_the_agent_was_seldom():
    """A hole of 3.5 `within` is less than twice that from either side; one of 5 is not."""
    places = np.arange(0, 20, 0.1)
    for hole, held in ((1.4, True), (2.1, False)):
        visited = Coverage(places[(places < 7.05) | (places > 7.05 + hole)][:, None])
        assert visited.contains_lines(np.array([[2.0]]), np.array([[18.0]])).tolist() == [held]


@settings(deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_wall_is_not_crossed_at_any_angle(seed):
    """A wall of 0.2 across the unit square, places 0.02 apart; a line along it, or on one side, is open."""
    visited = Coverage(square_without(0.4, 0.6))
    rng = np.random.default_rng(seed)
    left, right = rng.random((2, 30, 2)) * [0.4, 1] + np.array([[[0, 0]], [[0.6, 0]]])
    assert not visited.contains_lines(left, right).any() and not visited.contains_lines(right, left).any()
    for side in (left, right):
        assert visited.contains_lines(side, side[::-1]).all()


def test_a_line_of_no_length_and_no_lines_at_all():
    visited = Coverage(square_without(0.4, 0.6))
    places = np.array([[0.2, 0.2], [0.5, 0.5]])
    assert visited.contains_lines(places, places).tolist() == [True, False]
    assert visited.contains_lines(places[:0], places[:0]).shape == (0,)


@pytest.mark.parametrize("times", [1, 10])
def test_a_few_places_or_repeated_ones_are_held_themselves(times):
    """Fewer than eight, or each more than eight times: no distance between neighbours is known, or it is 0."""
    places = np.repeat([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], times, axis=0)
    visited = Coverage(places)
    assert visited.contains(places).all()
    assert not visited.contains(np.array([[9.0, 9.0]])).any()
    assert not visited.contains_lines(np.array([[0.0, 0.0]]), np.array([[1e-3, 9e-3]]))[0]


def test_a_few_places_are_looked_at_in_few_strides(monkeypatch):
    """A hundredth of a unit: not in strides of a nanometre, which for a line across a world are gigabytes."""
    looked_at = []
    contains = Coverage.contains

    def listen(self, places, slack=1.0):
        looked_at.append(len(places))
        return contains(self, places, slack)

    monkeypatch.setattr(Coverage, "contains", listen)
    Coverage(np.array([[0.0, 0.0], [1.0, 0.0]])).contains_lines(np.array([[0.0, 0.0]]), np.array([[0.01, 0.0]]))
    assert sum(looked_at) < 10_000


# Paths


def test_stitching_joins_trajectories_that_never_meet_in_one_episode():
    """An L of three pieces: no piece goes round the corner, yet the paths do."""
    pieces = [line((0, 0), (1, 0), 40), line((1, 0), (1, 1), 40), line((1, 1), (1, 2), 40)]
    paths = stitch(pieces, Coverage(goals_of(pieces)), 4, 3, 200)
    assert paths.shape == (200, 129, 2)
    far = paths[(paths[:, 0].sum(axis=1) < 0.3) & (paths[:, -1, 1] > 1.7)]
    assert len(far) > 0 and (np.linalg.norm(far - [1, 0], axis=2).min(axis=1) < 0.2).all()


def test_stitching_says_when_nothing_is_near():
    with pytest.raises(ValueError, match="train the agent longer"):
        stitch([line((0, 0), (9, 0), 3)], Everywhere(), 1, 1, 10)


U = ((0.0, 0.0), (0.0, 1.0), (0.3, 1.0), (0.3, 0.0))


class Driven(Straight):
    """Along the U, as the agent drives: a link may lead round a corner."""

    def __init__(self, places):
        self.places = places

    def pairwise(self, states, goals):
        at, to = (20 * 0.005 * np.linalg.norm(some[:, None, :2] - self.places, axis=2).argmin(axis=1) for some in (states, goals))
        return np.abs(np.subtract.outer(at, to)).astype(np.float32)


def test_stitched_paths_do_not_cut_corners_that_were_not_visited():
    """Drawn straight, links of up to 7 env steps cut the corners of the U: in 37 % of the paths, were they not closed."""
    legs = goals_of(chain(U, 0.005))
    paths = stitch(chain(U, 0.1), Coverage(legs), 7, 20, 60, Driven(legs))
    assert gaps_to(paths, legs).max() < 0.05  # visited is what lies within 0.04
    tips = (np.abs(paths[:, 0, 0] - paths[:, -1, 0]) > 0.25) & (paths[:, [0, -1], 1] < 0.5).all(axis=1)
    assert tips.any() and (paths[tips, :, 1].max(axis=1) > 0.95).all()


def test_every_link_that_leaves_what_was_visited_is_closed_both_ways(monkeypatch):
    """A path on the graph's costs after that is the cheapest there is, whatever was drawn."""
    searched = []

    def search(costs, **kwargs):
        searched.append(costs.copy())
        return dijkstra(costs, **kwargs)

    monkeypatch.setattr("thalweg.planner.graph.stitched_paths.dijkstra", search)
    legs = goals_of(chain(U, 0.005))
    stitch(chain(U, 0.1), Everywhere(), 7, 20, 60, Driven(legs))
    stitch(chain(U, 0.1), Coverage(legs), 7, 20, 60, Driven(legs))
    for before, after in zip(searched[:2], searched[2:], strict=True):
        times = after[before > 0] / before[before > 0]
        assert set(times.round()) == {1.0, 100.0} and ((after > before) == (after > before).T).all()


def test_stitched_paths_cross_what_was_not_visited_where_there_is_no_other_way():
    """Without the arc of the U its legs are joined nevertheless, by links across."""
    legs = [chain(U, 0.1)[i] for i in (0, 2)]
    visited = Coverage(goals_of([chain(U, 0.005)[i] for i in (0, 2)]))
    paths = stitch(legs, visited, 7, 5, 60)
    across = np.abs(paths[:, 0, 0] - paths[:, -1, 0]) > 0.25
    assert 10 < across.sum() < 50
    inside = (paths[across, :, 0] > 0.05) & (paths[across, :, 0] < 0.25)
    assert inside.any(axis=1).all()


def test_a_path_that_was_visited_is_not_changed_by_what_was_visited():
    """Where every link is open, the paths are those of the graph."""
    pieces = [line((0, 0), (1, 0), 40)]
    paths = [stitch(pieces, visited, 4, 3, 40) for visited in (Everywhere(), Coverage(pieces[0].goals))]
    assert np.array_equal(*paths)


@settings(deadline=None)
@given(seed=st.integers(0, 10_000), points=st.integers(2, 40), rounds=st.integers(0, 60))
def test_straightening_keeps_the_ends_and_never_lengthens(seed, points, rounds):
    rng = np.random.default_rng(seed)
    paths = np.cumsum(rng.normal(size=(5, points, 3)), axis=1).astype(np.float32)
    for visited in (Everywhere(), Everywhere(False)):
        new = straightened(paths, visited, rng, rounds)
        assert new.shape == paths.shape and new.dtype == np.float32
        assert np.allclose(new[:, [0, -1]], paths[:, [0, -1]], atol=1e-5)
        assert (lengths(new) <= lengths(paths) * (1 + 1e-5)).all()


def test_straightening_makes_straight_what_is_open():
    """Fifty rounds bring zigzags 2.3 times too long to within 1 %; at equal arc lengths."""
    rng = np.random.default_rng(0)
    along = np.linspace(0, 1, 129)[:, None] * [1.0, 0.0]
    paths = along + rng.normal(0, 0.01, (20, 129, 2))
    straight = np.linalg.norm(paths[:, -1] - paths[:, 0], axis=1)
    assert (lengths(paths) / straight).min() > 1.5
    new = straightened(paths, Everywhere(), rng)
    assert (lengths(new) / straight).max() < 1.01
    strides = np.linalg.norm(np.diff(new, axis=1), axis=2)
    assert (strides / strides.mean(axis=1, keepdims=True) - 1).max() < 1e-2
    kept = straightened(paths, Everywhere(False), rng)
    assert np.allclose(kept, [resample_by_arc_length(path, 129) for path in paths])


def test_straightening_does_not_cut_through_a_hole():
    """Bows of radius 0.9 half way round a hole of radius 0.5, places 0.02 apart: they come near to the hole, and stay out."""
    axis = np.arange(-1, 1.001, 0.02)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    visited = Coverage(grid[np.linalg.norm(grid, axis=1) > 0.5])
    angles = np.linspace(0, np.pi, 129) + np.linspace(0, 1, 8)[:, None]
    paths = 0.9 * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    new = straightened(paths, visited, np.random.default_rng(0), rounds=200)
    inside = 0.5 - np.linalg.norm(new, axis=2).min(axis=1)
    assert inside.max() < 2 * visited.within + 0.02  # the slack of a line, and the spacing
    tight = 2 * np.sqrt(0.9**2 - 0.5**2) + 0.5 * (np.pi - 2 * np.arccos(0.5 / 0.9))
    assert lengths(new).max() < 1.05 * tight < lengths(paths).min()


def test_training_paths_are_of_both_kinds_straightened_and_weighed(walk, monkeypatch):
    for name, value in (("_STITCHED", 40), ("_PIECES", 20), ("_NODES", 50)):
        monkeypatch.setattr(f"thalweg.planner.graph.stitched_paths.{name}", value)

    def paths_and_weights():
        return training_paths(walk, Straight(), GoalEntries((0, 1)), 4, 3, np.random.default_rng(0))

    paths, weights = paths_and_weights()
    assert 55 <= len(paths) <= 60  # pieces that stand still are dropped
    assert paths.shape[1:] == (129, 2) and paths.dtype == np.float32 and np.isfinite(paths).all()
    assert weights.shape == (len(paths),) and weights.dtype == np.float32
    assert (weights[:40] == 1).all() and (weights[40:] <= 1).all() and len(np.unique(weights[40:])) > 5
    monkeypatch.setattr("thalweg.planner.graph.stitched_paths.straightened", lambda paths, visited, rng, **_: paths)
    raw, _ = paths_and_weights()
    assert (lengths(paths) <= lengths(raw) * (1 + 1e-5)).all()
    assert np.median(lengths(paths[40:]) / lengths(raw[40:])) < 0.9  # random walks, mostly in the open


def test_a_roundabout_piece_weighs_less_than_a_straight_one():
    rng = np.random.default_rng(0)
    straight = hindsight_paths([line((0, 0), (1, 0), 21)], Straight(), 50, 10.0, rng)[1]
    back_and_forth = np.concatenate([np.linspace(0, 1, 11), np.linspace(1, 0, 11)])[:, None] * [1.0, 0.0]
    turned = Trajectory(np.hstack([back_and_forth, np.zeros((22, 2))]).astype(np.float32), back_and_forth.astype(np.float32))
    assert straight.min() > 0.9 and straight.max() <= 1
    assert hindsight_paths([turned], Straight(), 50, 10.0, rng)[1].min() < 0.1
