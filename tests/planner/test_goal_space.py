"""The metric of goals: moves, periods, and what few entries allow."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thalweg.planner.data.trajectories import Trajectory, typical_step
from thalweg.planner.goal_space import GoalSpace, as_periods, periods_in

TURN = 2 * np.pi
MIXED = GoalSpace(3, units=(0.2, 10.0, 0.1), periods=(0.0, 360.0, TURN), origin=(0.0, 0.0, -np.pi))
numbers = st.floats(-50.0, 50.0)
goals_of_three = st.tuples(numbers, numbers, numbers).map(np.array)


def turns(num_walks=30, length=60, seed=0, half=np.pi):
    """Random walks on a circle, up to 0.1 of half a turn over pi a step, as an env shows them: cut at half a turn."""
    rng = np.random.default_rng(seed)
    speed = 0.1 * half / np.pi
    walks = rng.uniform(-half, half, (num_walks, 1)) + np.cumsum(rng.uniform(-speed, speed, (num_walks, length)), axis=1)
    return [((walk + half) % (2 * half) - half)[:, None].astype(np.float32) for walk in walks]


@pytest.mark.parametrize(
    "size, cells, pictures, limits", [(1, True, False, 1), (2, True, True, 0), (3, True, False, 1), (7, False, False, 2)]
)
def test_what_few_entries_allow_is_said_where_there_are_more(size, cells, pictures, limits):
    space = GoalSpace(size)
    assert (space.has_cells, space.has_pictures) == (cells, pictures)
    assert len(space.limits()) == limits and all(f"{size} entries" in line for line in space.limits())


def test_an_entry_that_wraps_has_no_routes_and_a_line_says_so():
    assert "goal entry 1 wraps" in GoalSpace(2, periods=(0.0, TURN)).limits()[0]


@settings(deadline=None)
@given(goals_of_three, goals_of_three, goals_of_three)
def test_gaps_are_a_metric(a, b, c):
    assert MIXED.gap(a, b) == pytest.approx(MIXED.gap(b, a), rel=1e-9, abs=1e-9)
    assert MIXED.gap(a, c) <= MIXED.gap(a, b) + MIXED.gap(b, c) + 1e-9
    assert MIXED.gap(a, a) == 0 and MIXED.gap(a, b) >= 0


@settings(deadline=None)
@given(goals_of_three, goals_of_three, st.integers(-3, 3), st.integers(-3, 3))
def test_whole_turns_make_no_difference(a, b, degrees, radians):
    turned = b + np.array([0.0, 360.0 * degrees, TURN * radians])
    assert MIXED.gap(a, turned) == pytest.approx(MIXED.gap(a, b), abs=1e-7)
    assert MIXED.gap(MIXED.wrapped(turned), b) == pytest.approx(0, abs=1e-7)
    canonical = MIXED.wrapped(turned)
    assert 0 <= canonical[1] < 360 and -np.pi <= canonical[2] < np.pi and canonical[0] == b[0]


@settings(deadline=None)
@given(goals_of_three, goals_of_three, st.integers(0, 2), st.sampled_from([1e-3, 7.0, 1e3]))
def test_an_entry_in_another_unit_changes_no_gap(a, b, entry, factor):
    change = np.ones(3)
    change[entry] = factor
    changed = GoalSpace(3, *(tuple(np.array(values) * change) for values in (MIXED.units, MIXED.periods, MIXED.origin)))
    assert changed.gap(a * change, b * change) == pytest.approx(MIXED.gap(a, b), rel=1e-6, abs=1e-6)


@settings(deadline=None)
@given(goals_of_three, goals_of_three, st.floats(0, 1))
def test_between_is_on_the_short_way(a, b, share):
    middle = MIXED.between(a, b, share)
    assert MIXED.gap(a, middle) == pytest.approx(share * MIXED.gap(a, b), abs=1e-6)
    assert MIXED.gap(middle, b) == pytest.approx((1 - share) * MIXED.gap(a, b), abs=1e-6)


def test_units_of_different_kinds_are_found_and_follow_a_change_of_unit():
    rng = np.random.default_rng(0)
    walks = [np.cumsum(rng.normal(0, 1, (200, 3)) * [1.0, 1.2, 40.0], axis=0) for _ in range(10)]
    space = GoalSpace.fit(walks)
    assert space.units[0] == space.units[1] and 20 < space.units[2] / space.units[0] < 80
    steps = np.concatenate([space.lengths(np.diff(walk, axis=0)) for walk in walks])
    assert np.quantile(steps, 0.95) == pytest.approx(1)
    changed = GoalSpace.fit([walk * [1, 1, 1000] for walk in walks])
    assert changed.units == pytest.approx(np.array(space.units) * [1, 1, 1000])
    a, b = walks[0][:50], walks[1][:50]
    assert changed.gap(a * [1, 1, 1000], b * [1, 1, 1000]) == pytest.approx(space.gap(a, b))


def test_in_the_plane_a_move_is_a_typical_step_and_nothing_is_rounded():
    rng = np.random.default_rng(0)
    walks = [np.cumsum(rng.normal(0, 0.1, (50, 2)), axis=0).astype(np.float32) for _ in range(5)]
    space = GoalSpace.fit(walks)
    move = typical_step([Trajectory(walk, walk) for walk in walks])
    assert space.units == (move, move) and space.is_plain and space.stretch.tolist() == [1.0, 1.0]
    a, b = walks[0], walks[1]
    assert np.array_equal(space.gap(a, b), np.linalg.norm(b - a, axis=1) / move)
    assert space.wrapped(a) is a and space.unwrapped(a) is a and np.array_equal(space.flat(a), a)


@pytest.mark.parametrize(("still", "expected"), [(0.0, 0.01), (5.0, 0.5), (0.02, 0.01)])
def test_an_entry_that_never_moves_is_of_the_kind_that_its_range_is_nearest_to(still, expected):
    steps = np.arange(9.0)
    walks = [np.column_stack([0.5 * steps, 0.01 * steps, np.full(9, value)]) for value in (0.0, still)]
    space = GoalSpace.fit(walks)
    assert space.units == pytest.approx(np.sqrt(2) * np.array([0.5, 0.01, expected]))
    assert GoalSpace.fit([walk[:, [0, 2]] for walk in walks]).units == (0.5, 0.5)
    nothing = GoalSpace.fit([np.zeros((5, 2))])
    assert not nothing.moves and nothing.units == (1.0, 1.0)


def test_what_jitters_about_a_value_does_not_count_for_more_than_a_move():
    rng = np.random.default_rng(0)
    walks = [np.column_stack([np.cumsum(rng.normal(0, 1, 500)), 0.4 + rng.normal(0, 1e-6, 500)]) for _ in range(4)]
    space = GoalSpace.fit(walks)
    heights = np.concatenate([walk[:, 1] for walk in walks])
    assert np.ptp(heights) / space.units[1] <= 1 and space.units[0] == pytest.approx(1.96, rel=0.1)


@pytest.mark.parametrize("half", [np.pi, 180.0])
def test_an_entry_that_wraps_is_recognised(half):
    walks = turns(half=half)
    space = GoalSpace.fit(walks)
    assert space.periods == (2 * half,) and space.origin == (-half,)
    assert space.units[0] == pytest.approx(0.095 * half / np.pi, rel=0.05)
    shifted = [(walk + half).astype(np.float32) % np.float32(2 * half) for walk in walks]
    assert GoalSpace.fit(shifted).periods == (2 * half,) and GoalSpace.fit(shifted).origin == (0.0,)


def test_what_does_not_jump_or_is_as_wide_by_chance_does_not_wrap():
    rng = np.random.default_rng(0)
    line = np.linspace(-np.pi, np.pi, 200)[:, None]
    anywhere = rng.uniform(-np.pi, np.pi, (200, 1))
    wide = 1.5 * turns()[0]
    for goals in (line, anywhere, wide):
        assert periods_in(goals, np.diff(goals, axis=0)) == (0.0,)


@pytest.mark.parametrize(
    "said, expected", [(TURN, (TURN, TURN)), ([0, 360], (0.0, 360.0)), ((np.inf, 1), (0.0, 1.0)), (0, (0.0, 0.0))]
)
def test_what_an_env_says_of_its_periods(said, expected):
    assert as_periods(said, 2) == expected


@pytest.mark.parametrize("said", [[1, 2, 3], -1.0, "round", np.nan])
def test_periods_that_cannot_be_are_refused(said):
    with pytest.raises(ValueError, match="goal_period must"):
        as_periods(said, 2)


def test_a_tree_finds_the_nearest_across_the_seam():
    rng = np.random.default_rng(0)
    goals, asked = (rng.uniform(-400, 400, (count, 3)) for count in (300, 40))
    gaps, rows = MIXED.tree(goals).query(asked, k=[1, 2, 3])
    every = MIXED.gap(asked[:, None], goals)
    assert np.allclose(gaps, np.sort(every, axis=1)[:, :3]) and np.array_equal(rows, np.argsort(every, axis=1)[:, :3])
    far = MIXED.tree(goals).query(asked, within=float(np.median(gaps[:, 0])))[0]
    assert np.isinf(far).sum() == 20
    assert sorted(MIXED.tree(goals).within(asked[0], 30.0)) == np.flatnonzero(every[0] <= 30.0).tolist()


def test_a_trajectory_is_unwrapped_without_jumps():
    walk = turns(1, 4_000)[0]
    rolled = GoalSpace(1, periods=(TURN,), origin=(-np.pi,)).unwrapped(walk)
    assert np.abs(np.diff(walk, axis=0)).max() > 6 and np.abs(np.diff(rolled, axis=0)).max() < 0.101
    assert np.allclose(np.cos(rolled), np.cos(walk), atol=1e-4) and rolled[0] == walk[0]


@pytest.mark.parametrize("bad", [{"units": (1.0,)}, {"units": (0.0, 1.0)}, {"periods": (-1.0, 0.0)}])
def test_a_space_that_cannot_be_is_refused(bad):
    with pytest.raises(ValueError):
        GoalSpace(2, **bad)
