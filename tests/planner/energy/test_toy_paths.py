"""Toy ways: their truth is what it is said to be."""

import numpy as np
import pytest

from thalweg.planner.energy.toys.paths import Corridor, TwoPaths, straight_paths


@pytest.mark.parametrize("size", [2, 5, 16])
def test_a_corridor_is_as_narrow_as_it_says_and_its_legs_follow_the_axes(size):
    corridor = Corridor(size)
    rng = np.random.default_rng(0)
    along, offsets = corridor.ends(4_000, rng)
    paths = corridor.paths(along, offsets, rng)
    assert paths.shape == (4_000, 33, size) and paths.dtype == np.float32
    assert corridor.length == pytest.approx(0.8 * min(size, 3))
    if size > 3:  # across the corridor: both offsets' halves and the bulge, mid-way
        assert paths[:, 16, 3:].std() == pytest.approx(0.05 * np.sqrt(1.5), rel=0.05)
        assert paths[:, 0, 3:].std() == pytest.approx(0.05, rel=0.05)
    whole = corridor.paths(np.array([[0.0, corridor.length]]), np.zeros((1, 2, size)), rng)[0]
    assert np.abs(whole[-1, :3] - 0.8).max() < 1e-6 and np.abs(whole[0]).max() < 1e-6


def test_points_between_two_ends_are_those_of_its_paths():
    corridor, rng = Corridor(4), np.random.default_rng(0)
    along, offsets = (values[0] for values in corridor.ends(1, rng))
    points = corridor.between(along, offsets, 20_000, rng)
    paths = corridor.paths(np.broadcast_to(along, (2_000, 2)), np.broadcast_to(offsets, (2_000, 2, 4)), rng)
    middles = (paths[:, :-1] + paths[:, 1:]) / 2
    assert np.allclose(points.mean(axis=0), middles.mean(axis=(0, 1)), atol=0.01)
    assert np.allclose(points.std(axis=0), middles.std(axis=(0, 1)), atol=0.01)


def test_by_time_a_straight_way_is_thin_in_the_middle():
    """At half time the speed is 15/8 of the mean (minimum jerk), so places there are 8/15 as dense."""
    ways = {by_time: straight_paths(200, by_time, np.random.default_rng(0)) for by_time in (True, False)}
    steps = {by_time: np.linalg.norm(np.diff(paths, axis=1), axis=2) for by_time, paths in ways.items()}
    assert np.allclose(steps[False], steps[False].mean(axis=1, keepdims=True), atol=1e-5)
    assert np.median(steps[True][:, 15] / steps[False][:, 15]) == pytest.approx(15 / 8, rel=0.01)
    assert np.allclose(ways[True][:, [0, -1]], ways[False][:, [0, -1]], atol=1e-6)


def test_two_ways_stay_clear_of_the_disc_and_divide_as_asked():
    world = TwoPaths(share=0.7)
    paths = world.paths(5_000, np.random.default_rng(0))
    assert not world.inside(paths).any() and np.linalg.norm(paths, axis=2).min() > world.radius + 0.02
    assert (paths[:, 16, 1] > 0).mean() == pytest.approx(0.7, abs=0.02)
    assert world.inside(np.array([[0.0, 0.49], [0.0, 0.51]])).tolist() == [True, False]
