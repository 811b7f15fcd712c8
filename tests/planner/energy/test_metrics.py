import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from thalweg.planner.energy import metrics

ENERGIES = arrays(np.float64, st.integers(11, 40), elements=st.floats(-50, 50))
POSITIONS = arrays(np.float64, st.integers(1, 60), elements=st.floats(0, 1, exclude_max=True))
ROUTE = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 6.0]])  # ten cells of length 1
CHAIN = np.abs(np.subtract.outer(np.arange(5.0), np.arange(5.0)))  # five places a unit apart


def points(seed, count, dimension=2):
    return np.random.default_rng(seed).random((count, dimension))


def test_flatness_by_hand():
    energies = np.array([1.0, 3.0, 1.0, 3.0])
    assert metrics.flatness(energies) == 1 and metrics.peak_to_peak(energies) == 2
    assert metrics.flatness(np.full(9, 7.0)) == 0 and metrics.peak_to_peak(np.full(9, 7.0)) == 0


@given(energies=ENERGIES, constant=st.floats(-1e3, 1e3))
def test_a_constant_changes_neither_flatness_nor_saddle(energies, constant):
    for metric in (metrics.flatness, metrics.peak_to_peak, metrics.saddle):
        assert metric(energies + constant) == pytest.approx(metric(energies), abs=1e-5, rel=1e-5)


@given(energies=ENERGIES)
def test_flatness_is_at_most_half_the_peak_to_peak(energies):
    assert 0 <= metrics.flatness(energies) <= metrics.peak_to_peak(energies) / 2 + 1e-9


def test_a_half_filled_histogram():
    positions = (np.arange(100) + 0.5) / 200  # one half of [0, 1), evenly
    assert metrics.kl_to_uniform(positions) == pytest.approx(math.log(2))
    assert metrics.over(positions) == 2 and metrics.empty(positions) == 0.5
    assert metrics.kl_to_uniform(2 * positions) == pytest.approx(0, abs=1e-12)
    assert metrics.over(2 * positions) == 1 and metrics.empty(2 * positions) == 0
    assert metrics.kl_to_uniform((np.arange(49) + 0.5) / 49, bins=49) >= 0  # 49 (1 / 49) < 1 in floating point


def test_an_uneven_histogram():
    """Shares 3/4 and 1/4 of two bins."""
    positions = np.array([0.1, 0.2, 0.3, 0.9])
    assert metrics.kl_to_uniform(positions, bins=2) == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    assert metrics.over(positions, bins=2) == 1.5 and metrics.empty(positions, bins=8) == 0.5


@given(positions=POSITIONS, bins=st.integers(1, 60))
def test_histograms_stay_in_their_ranges(positions, bins):
    assert 0 <= metrics.kl_to_uniform(positions, bins) <= math.log(bins) + 1e-9
    assert 1 <= metrics.over(positions, bins) <= bins + 1e-9
    assert 0 <= metrics.empty(positions, bins) < 1
    assert metrics.kl_to_uniform(positions, bins) <= math.log(metrics.over(positions, bins)) + 1e-9


def test_the_floor_is_that_of_the_chi_square():
    """(bins - 1) / (2 N) = 0.01225; and it is the mean of what uniform samples get."""
    rng = np.random.default_rng(0)
    floor = metrics.kl_floor(2_000, rng)
    assert floor == pytest.approx(0.01225, rel=0.05)
    assert np.mean([metrics.kl_to_uniform(rng.random(2_000)) for _ in range(200)]) == pytest.approx(floor, rel=0.05)
    assert metrics.kl_floor(1, rng, bins=8) == pytest.approx(math.log(8))


def test_on_share_counts_the_border():
    assert metrics.on_share(np.array([0.0, 0.2, 0.21, 5.0])) == 0.5
    assert metrics.on_share(np.array([0.0, 0.2, 0.21, 5.0]), within=0.0) == 0.25


def test_line_coverage_at_known_cells():
    samples = np.array([[0.5, 0.1], [0.7, -0.2], [4.2, 3.5], [4.0, 6.2], [-0.1, 0.0]])  # cells 0, 0, 7, 9 and 0
    assert metrics.line_coverage(samples, ROUTE) == 0.3
    assert metrics.line_coverage(samples, ROUTE, cells=2) == 1.0
    assert metrics.line_coverage(np.array([[2.0, 0.0]]), ROUTE) == 0.1
    assert metrics.line_coverage(samples[:2], ROUTE, cells=2) == 0.5


def test_line_coverage_leaves_out_what_is_just_too_far():
    """Within 0.03 of a length of 10."""
    assert metrics.line_coverage(np.array([[2.5, 0.299]]), ROUTE) == 0.1
    assert metrics.line_coverage(np.array([[2.5, 0.301]]), ROUTE) == 0.0
    assert metrics.line_coverage(np.array([[2.5, 0.301]]), ROUTE, within=0.031) == 0.1


@given(seed=st.integers(0, 1000), count=st.integers(1, 30), dimension=st.integers(1, 5))
def test_points_of_the_route_cover_it(seed, count, dimension):
    route = np.cumsum(0.1 + points(seed, 6, dimension), axis=0)  # rises in each entry, so it never meets itself
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(route, axis=0), axis=1))])
    middles = (np.arange(10) + 0.5) / 10 * lengths[-1]
    samples = np.stack([np.interp(middles, lengths, column) for column in route.T], axis=1)
    assert metrics.line_coverage(samples, route) == 1.0
    some = np.random.default_rng(seed).integers(10, size=count)
    assert metrics.line_coverage(samples[some], route, within=1e-6) == pytest.approx(len(set(some)) / 10)


def test_a_detour_through_a_known_point():
    """From (0, 0) to (2, 0) by way of (1, 1): 2 sqrt 2 over 2."""
    places = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 0.0]])
    costs = np.linalg.norm(places[:, None] - places, axis=2)
    assert metrics.detour(costs, 1.5, 2.0) == pytest.approx(2**0.5)
    assert metrics.detour(costs, 2.0, 2.0) == 1.0  # a link as long as the limit is one
    assert metrics.detour(costs, 1.4, 2.0) == math.inf


def test_detours_are_directed_and_equal_points_are_linked():
    one_way = np.where(np.tri(5, k=-1, dtype=bool), np.inf, CHAIN)
    assert metrics.detour(one_way, 1.0, 4.0) == 1.0
    assert metrics.detour(one_way.T, 1.0, 4.0) == math.inf
    # the way leads into one copy of the middle place and out of the other
    copies = np.array([[0.0, 1.0, 9.0, 9.0], [9.0, 0.0, 0.0, 9.0], [9.0, 0.0, 0.0, 1.0], [9.0, 9.0, 9.0, 0.0]])
    assert metrics.detour(copies, 1.0, 2.0) == 1.0


@given(seed=st.integers(0, 1000), count=st.integers(2, 12), max_link=st.floats(0.1, 2))
def test_a_detour_is_no_shorter_than_straight_and_falls_with_the_limit(seed, count, max_link):
    places = points(seed, count)
    costs = np.linalg.norm(places[:, None] - places, axis=2)
    short, long = (metrics.detour(costs, limit, costs[0, -1]) for limit in (max_link, 2 * max_link))
    assert short >= long >= 1 - 1e-9


def test_connected_share():
    assert metrics.connected_share(np.array([1.0, np.inf, 1.3, np.inf])) == 0.5


def test_the_saddle_of_a_made_profile():
    """3 in the middle tenth, 1 and 2 in the tenths near the ends; what is elsewhere does not count."""
    way = np.linspace(0, 1, 201)
    energies = np.full(201, 100.0)
    energies[np.abs(way - 0.5) < 0.051] = 3.0
    energies[np.abs(way - 0.1) < 0.051] = 1.0
    energies[np.abs(way - 0.9) < 0.051] = 2.0
    assert metrics.saddle(energies) == pytest.approx(1.5)
    both = metrics.saddle(np.stack([energies, -energies])[None])
    assert both.shape == (1, 2) and both.dtype == np.float32 and np.allclose(both, [[1.5, -1.5]])


@pytest.mark.parametrize("count", [11, 12, 20, 21, 101, 1001])
def test_the_saddle_of_a_slope_is_none_at_any_resolution(count):
    way = np.linspace(0, 1, count)
    assert metrics.saddle(5 * way) == pytest.approx(0, abs=1e-6)
    assert metrics.saddle(-np.abs(way - 0.5)) > 0.3  # a ridge: 0.4 less the mean distance from the middle


def test_the_effective_share_by_hand():
    log_weights = np.array([[0.0, 0.0, 0.0, 0.0], [0.0, -np.inf, -np.inf, -np.inf], [1e4, 1e4, -1e4, -np.inf]])
    assert metrics.effective_share(log_weights).tolist() == [1, 0.25, 0.5]
    assert metrics.effective_share(np.log([3.0, 1.0])) == pytest.approx(16 / 10 / 2)


@given(
    log_weights=arrays(np.float64, st.integers(1, 30), elements=st.floats(-1e4, 1e4)),
    constant=st.floats(-1e3, 1e3),
)
def test_the_effective_share_is_a_share_and_ignores_a_constant(log_weights, constant):
    share = metrics.effective_share(log_weights)
    assert 1 / len(log_weights) - 1e-6 <= share <= 1
    assert metrics.effective_share(log_weights + constant) == pytest.approx(share, rel=1e-4)


def test_coverage_by_hand():
    """Each real point's nearest other is 1 away, the last one's 7; fakes at 0.9 and 4 reach all but the middle one."""
    real = np.array([[0.0], [1.0], [2.0], [3.0], [10.0]])
    assert metrics.coverage(real, np.array([[0.9], [4.0]]), neighbours=1) == pytest.approx(0.8)
    assert metrics.coverage(real, np.array([[-0.5]]), neighbours=1) == pytest.approx(0.2)
    assert metrics.coverage(real, np.array([[-0.5]]), neighbours=3) == pytest.approx(0.4)


def test_coverage_of_the_same_set_and_of_a_far_one():
    real = points(0, 50)
    assert metrics.coverage(real, real) == 1 and metrics.coverage(real, real + 100) == 0
    assert metrics.coverage(np.ones((10, 2)), np.ones((1, 2))) == 1  # all balls are points


@given(seed=st.integers(0, 1000), count=st.integers(1, 20), shift=st.floats(0, 2))
def test_coverage_is_a_share_and_grows_with_the_fakes_and_the_neighbours(seed, count, shift):
    real, fake = points(seed, 30), points(seed + 1, count) + shift
    few, more = (metrics.coverage(real, fake, neighbours) for neighbours in (2, 6))
    assert 0 <= few <= more <= 1
    assert metrics.coverage(real, fake[:1], 2) <= few


ARRAYS = [
    ("energies", metrics.flatness, (12,)),
    ("energies", metrics.peak_to_peak, (12,)),
    ("energies", metrics.saddle, (2, 12)),
    ("positions", metrics.kl_to_uniform, (9,)),
    ("positions", metrics.over, (9,)),
    ("positions", metrics.empty, (9,)),
    ("distances", metrics.on_share, (9,)),
    ("detours", metrics.connected_share, (9,)),
    ("log_weights", metrics.effective_share, (2, 9)),
    ("samples", lambda values: metrics.line_coverage(values, ROUTE), (9, 2)),
    ("route", lambda values: metrics.line_coverage(np.ones((9, 2)), values), (9, 2)),
    ("costs", lambda values: metrics.detour(values, 1.0, 1.0), (9, 9)),
    ("real", lambda values: metrics.coverage(values, np.ones((9, 2))), (9, 2)),
    ("fake", lambda values: metrics.coverage(np.ones((9, 2)), values), (9, 2)),
]


@pytest.mark.parametrize(("name", "metric", "shape"), ARRAYS)
def test_bad_arrays_are_refused_by_name(name, metric, shape):
    good = points(0, math.prod(shape), 1).reshape(shape)
    assert np.isfinite(metric(good)).all()
    with_nan = good.copy()
    with_nan.flat[3] = np.nan
    for bad in (good[:0], with_nan, np.float64(1.0) * good.flat[0]):
        with pytest.raises(ValueError, match=f"^{name} must"):
            metric(np.asarray(bad))


@pytest.mark.parametrize(("name", "metric", "shape"), [case for case in ARRAYS if case[0] not in ("energies", "log_weights")])
def test_bad_dimensions_are_refused_by_name(name, metric, shape):
    with pytest.raises(ValueError, match=f"^{name} must"):
        metric(np.full((*shape, 1), 0.5))


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: metrics.flatness(np.array([1.0, np.inf])), "energies must be finite"),
        (lambda: metrics.saddle(np.zeros(10)), "energies must hold at least 11"),
        (lambda: metrics.kl_to_uniform(np.array([0.5, 1.0])), "positions must lie"),
        (lambda: metrics.kl_to_uniform(np.array([-0.1])), "positions must lie"),
        (lambda: metrics.over(np.zeros(3), bins=0), "bins must"),
        (lambda: metrics.kl_floor(0, np.random.default_rng(0)), "num_samples must"),
        (lambda: metrics.on_share(np.zeros(3), within=-1.0), "within must"),
        (lambda: metrics.line_coverage(np.zeros((3, 3)), ROUTE), "samples must have as many columns as route"),
        (lambda: metrics.line_coverage(np.zeros((3, 2)), np.ones((4, 2))), "route must have a length"),
        (lambda: metrics.line_coverage(np.zeros((3, 2)), ROUTE, cells=0), "cells must"),
        (lambda: metrics.detour(np.zeros((3, 4)), 1.0, 1.0), "costs must be square"),
        (lambda: metrics.detour(-CHAIN, 1.0, 1.0), "costs must be square"),
        (lambda: metrics.detour(CHAIN, 1.0, 0.0), "optimal must"),
        (lambda: metrics.detour(CHAIN, 1.0, math.inf), "optimal must"),
        (lambda: metrics.detour(CHAIN, math.nan, 1.0), "max_link must"),
        (lambda: metrics.connected_share(np.array([-np.inf])), "detours must"),
        (lambda: metrics.effective_share(np.array([0.0, np.inf])), "log_weights must be finite"),
        (lambda: metrics.effective_share(np.full((2, 3), -np.inf)), "log_weights must hold a finite one"),
        (lambda: metrics.coverage(np.zeros((5, 2)), np.zeros((5, 2))), "real must number"),
        (lambda: metrics.coverage(np.zeros((9, 2)), np.zeros((5, 3))), "fake must have as many columns"),
        (lambda: metrics.coverage(np.zeros((9, 2)), np.zeros((5, 2)), neighbours=0), "neighbours must"),
    ],
)
def test_bad_arguments_are_refused_by_name(call, word):
    with pytest.raises(ValueError, match=word):
        call()
