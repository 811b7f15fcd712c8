import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.special import i0, i1

from thalweg.planner.energy.metrics import kl_floor, kl_to_uniform
from thalweg.planner.energy.toys.curves import DENSITIES, CurveDensity, inverse_density_weights, project_on_segments

FLOOR = kl_floor(2_000, np.random.default_rng(0))


def polar(points):
    return np.linalg.norm(points, axis=1), np.arctan2(points[:, 1], points[:, 0])


def off_spiral(points, inner, growth):
    """How far the radius is from inner + growth angle, on the nearest turn."""
    radius, angle = polar(points)
    turns = angle[:, None] + 2 * np.pi * np.arange(4)
    return np.abs(radius[:, None] - inner - growth * turns).min(axis=1)


def off_parabolas(points):
    x, y = points.T / 1.35
    return np.minimum(np.abs(y - x**2 + 2), np.abs(y + x**2 - 2))


def off_pinwheel(points):
    radius, angle = polar(points)
    return radius * np.abs((angle - (radius - 0.8) / 2.8 + np.pi / 5) % (2 * np.pi / 5) - np.pi / 5)


def off_moons(points):
    """Half circles of radius 2.5 about (-1.25, -0.625), the upper half, and (1.25, 0.625), the lower one."""
    to_outer, to_inner = points - [-1.25, -0.625], points - [1.25, 0.625]
    outer = np.abs(np.linalg.norm(to_outer, axis=1) - 2.5) + np.maximum(-to_outer[:, 1], 0)
    inner = np.abs(np.linalg.norm(to_inner, axis=1) - 2.5) + np.maximum(to_inner[:, 1], 0)
    return np.minimum(outer, inner)


def off_rings(points):
    return np.abs(polar(points)[0][:, None] - [1.2, 2.4, 3.6]).min(axis=1)


def archimedes(angle, inner, growth):
    """The arc length of radius = inner + growth angle, up to a constant."""
    turned = angle + inner / growth
    return growth * (turned * np.sqrt(1 + turned**2) + np.arcsinh(turned)) / 2


def parabola(x):
    return 1.35 * (2 * x * np.sqrt(1 + 4 * x**2) + np.arcsinh(2 * x)) / 4


# how far points are from the curve, to first order, and its length
TRUTH = {
    "spiral": (lambda p: off_spiral(p, 0.3, 0.66 / np.pi), np.diff(archimedes(np.array([0, 5]) * np.pi, 0.3, 0.66 / np.pi))[0]),
    "parabolas": (off_parabolas, 4 * parabola(2.2)),
    "swiss_roll": (
        lambda p: off_spiral(p, 0, 3.8 / 4.5 / np.pi),
        np.diff(archimedes(np.array([1.5, 4.5]) * np.pi, 0, 3.8 / 4.5 / np.pi))[0],
    ),
    "pinwheel": (off_pinwheel, 5 * np.diff(archimedes(np.array([0, 1]), 0.8, 2.8))[0]),
    "moons": (off_moons, 5 * np.pi),
    "rings": (off_rings, 14.4 * np.pi),
}
SHARES = {"parabolas": [0.5, 0.5], "pinwheel": [0.2] * 5, "moons": [0.5, 0.5], "rings": [1 / 6, 1 / 3, 1 / 2]}


@pytest.fixture(params=DENSITIES)
def name(request):
    return request.param


def corner():
    """Four up, then three along; and apart from them three down: marks at 0, 0.4, 0.7 and 1."""
    bend = np.array([[0.0, 0.0], [0.0, 4.0], [3.0, 4.0]])
    return CurveDensity((bend, np.array([[9.0, 3.0], [9.0, 0.0]])))


def test_a_corner_by_hand():
    curve = corner()
    assert curve.length == 10 and curve.branch_shares().tolist() == pytest.approx([0.7, 0.3])
    assert curve.at(np.array([0.0, 0.2, 0.5, 0.7, 0.9, 1.0])).tolist() == [[0, 0], [0, 2], [1, 4], [9, 3], [9, 1], [9, 0]]
    assert curve.curve(4).tolist() == [[0, 1.25], [0, 3.75], [2.25, 4], [9, 1.25]]
    positions, distances = curve.project(np.array([[-1.0, 2.0], [2.0, 7.0], [0.0, -5.0], [8.0, 2.0]]))
    assert positions.tolist() == pytest.approx([0.2, 0.6, 0.0, 0.8]) and distances.tolist() == [1, 3, 5, 1]


def test_beyond_a_branchs_end_is_still_that_branch():
    curve = corner()
    points = np.array([[4.0, 4.0], [9.0, 4.0], [9.0, -1.0]])
    positions, _ = curve.project(points)
    assert curve.branch_of(points).tolist() == [0, 1, 1]
    assert (positions < 1).all() and np.allclose(curve.at(positions), [[3, 4], [9, 3], [9, 0]])


def test_a_long_segment_beside_many_short_ones_is_found():
    """Its start is farther than the ten vertices from its end on."""
    x = np.concatenate([[0.0], np.linspace(1.0, 1.09, 10)])
    positions, distances = CurveDensity((np.stack([x, 0 * x], axis=1),)).project(np.array([[0.9, 0.1]]))
    assert positions[0] == pytest.approx(0.9 / 1.09) and distances[0] == pytest.approx(0.1)


def test_projecting_on_a_segment_by_hand():
    points = np.array([[1.0, 2.0], [-3.0, 4.0], [5.0, 0.0]])
    fractions, distances = project_on_segments(points, np.zeros(2), np.array([4.0, 0.0]))
    assert fractions.tolist() == [0.25, 0, 1] and distances.tolist() == [2, 5, 1]
    assert project_on_segments(points, np.zeros(2), np.zeros(2))[1].tolist() == pytest.approx([5**0.5, 5, 5])


def test_every_density_has_its_truth_here():
    assert list(DENSITIES) == list(TRUTH)


def test_the_curve_is_the_one_it_says(name):
    density, (off, length) = DENSITIES[name](), TRUTH[name]
    points = density.curve(3_000)
    assert points.shape == (3_000, 2) and points.dtype == np.float32 and np.abs(points).max() < 4.2
    assert off(points).max() < 5e-5 and off(points + np.array([0.1, 0.07])).mean() > 0.02
    assert density.length == pytest.approx(length, rel=1e-5)
    assert density.branch_shares().tolist() == pytest.approx(SHARES.get(name, [1.0]))


def test_the_curve_goes_at_an_even_pace(name):
    density = DENSITIES[name]()
    points = density.curve(3_000)
    same = np.diff(density.branch_of(points)) == 0
    gaps = np.linalg.norm(np.diff(points, axis=0), axis=1)[same]
    assert same.sum() == 3_000 - len(density.branches)
    assert np.allclose(gaps, density.length / 3_000, rtol=0.002)


def test_samples_lie_on_the_curve_and_are_fixed_by_the_seed(name):
    density = DENSITIES[name]()
    for uniform in (True, False):
        samples = density.sample(500, np.random.default_rng(1), uniform)
        assert samples.shape == (500, 2) and samples.dtype == np.float32
        assert density.project(samples)[1].max() < 1e-5
        assert np.array_equal(samples, density.sample(500, np.random.default_rng(1), uniform))
        assert not np.array_equal(samples, density.sample(500, np.random.default_rng(2), uniform))


def test_uniform_samples_are_uniform_and_the_others_are_not(name):
    density, rng = DENSITIES[name](), np.random.default_rng(0)
    assert kl_to_uniform(density.project(density.sample(2_000, rng, uniform=True))[0]) < 2 * FLOOR
    assert kl_to_uniform(density.project(density.sample(2_000, rng))[0]) > 10 * FLOOR


def test_uneven_samples_follow_their_density():
    """KL of exp(cos) to uniform: I1(1) / I0(1) - log I0(1), and the counts of each twelfth of a wave."""
    density = DENSITIES["rings"]()
    positions = density.project(density.sample(200_000, np.random.default_rng(0)))[0]
    assert kl_to_uniform(positions) == pytest.approx(i1(1) / i0(1) - np.log(i0(1)), abs=0.003)
    counts = np.histogram(positions, 36, (0, 1))[0] / 200_000
    middles = (np.arange(36) + 0.5) / 36
    assert counts == pytest.approx(np.exp(np.cos(6 * np.pi * middles)) / i0(1) / 36, rel=0.07)


def test_noise_is_normal_about_the_curve():
    """Noise across a circle is that of one coordinate, since its radius is large."""
    samples = DENSITIES["rings"]().sample(20_000, np.random.default_rng(0), noise=0.05)
    across = polar(samples)[0][:, None] - [1.2, 2.4, 3.6]
    across = across[np.arange(20_000), np.abs(across).argmin(axis=1)]
    assert across.std() == pytest.approx(0.05, rel=0.03) and abs(across.mean()) < 0.002


def test_a_position_survives_the_way_there_and_back(name):
    density = DENSITIES[name]()
    positions = np.random.default_rng(0).random(3_000)
    points = density.at(positions)
    if name == "parabolas":  # where they cross, either branch is right
        clear = (np.abs(np.abs(points[:, 0]) - 1.35 * 2**0.5) > 0.01) | (np.abs(points[:, 1]) > 0.01)
        positions, points = positions[clear], points[clear]
    again, distances = density.project(points)
    assert len(again) > 2_900 and np.abs(again - positions).max() < 1e-6 and distances.max() < 1e-6
    starts = np.cumsum(density.branch_shares(), dtype=np.float64)
    assert np.array_equal(density.branch_of(points), np.searchsorted(starts, positions).clip(max=len(starts) - 1))


def test_projections_are_the_nearest_of_all_segments(name):
    density, rng = DENSITIES[name](), np.random.default_rng(0)
    points = np.concatenate([density.sample(60, rng, noise=0.3), rng.uniform(-4, 4, (60, 2))]).astype(np.float64)
    nearest = np.min([project_on_segments(points[:, None], b[:-1], b[1:])[1].min(axis=1) for b in density.branches], axis=0)
    positions, distances = density.project(points)
    assert np.allclose(distances, nearest, atol=1e-6)
    assert np.allclose(np.linalg.norm(density.at(positions) - points, axis=1), nearest, atol=1e-6)


@given(x=st.floats(-50, 50), y=st.floats(-50, 50))
def test_every_point_has_a_position(x, y):
    curve = corner()
    positions, distances = curve.project(np.array([[x, y]]))
    assert 0 <= positions[0] < 1
    assert np.linalg.norm(curve.at(positions)[0] - [x, y]) == pytest.approx(distances[0], abs=1e-4)


def test_a_curve_that_is_none_is_refused():
    for branch in (np.zeros((3, 3)), np.ones((1, 2)), np.zeros((2, 2)), np.array([[0.0, 0.0], [np.nan, 1.0]])):
        with pytest.raises(ValueError, match="branches"):
            CurveDensity((branch,))
    with pytest.raises(ValueError, match="branches"):
        CurveDensity(())


def test_positions_and_points_are_checked():
    for positions in ([-0.1], [1.1], [np.nan]):
        with pytest.raises(ValueError, match="positions"):
            corner().at(np.array(positions))
    for points in (np.zeros(2), np.zeros((4, 3)), np.array([[np.nan, 0.0]])):
        with pytest.raises(ValueError, match="points"):
            corner().project(points)


def smeared(at, points, weights, width):
    """(M,) density at the places (M, D) of weighed points (N, D) smeared by a normal, up to a constant: all pairs, no cut."""
    return np.exp(-(cdist(at, points) ** 2) / (2 * width**2)) @ weights


def mean_weight(at, points, weights, width):
    """The mean weight of the points about a place, as the normal there sees them."""
    return smeared(at, points, weights, width)[0] / smeared(at, points, np.ones(len(points)), width)[0]


def segment(start, end, count=1_000):
    return np.linspace(0, 1, count)[:, None] * (np.array(end) - start) + start


def test_weights_by_hand():
    """Three copies and one apart: 3 w = v, and (3 w + v) / 4 = 1. Too far apart to see each other: all alike."""
    weights = inverse_density_weights(np.array([[0.0, 0.0]] * 3 + [[9.0, 0.0]]), 1.0)
    assert weights.dtype == np.float32 and weights.tolist() == pytest.approx([2 / 3] * 3 + [2])
    assert inverse_density_weights(np.arange(5.0)[:, None], 0.1).tolist() == [1.0] * 5
    assert inverse_density_weights(np.ones((30, 2)), 5.0).tolist() == pytest.approx([1.0] * 30)
    assert inverse_density_weights(np.zeros((1, 2)), 1.0).tolist() == [1.0]


def test_a_dense_half_weighs_as_its_gaps():
    """Gaps of 1, then of 2: away from the seam and the ends a weight is its gap."""
    points = np.concatenate([np.arange(100.0), 100 + 2 * np.arange(100.0)])[:, None]
    weights = inverse_density_weights(points, 5.0)
    assert weights[120:180].mean() / weights[20:80].mean() == pytest.approx(2, rel=0.01)


def test_an_end_weighs_twice_and_a_crossing_half():
    """Half of a normal about an end sees no points; one about a crossing sees those of two lines. Measured: 1.94 and 0.506."""
    width = 0.05
    line = segment([-1.0, 0.0], [1.0, 0.0])
    weights = inverse_density_weights(line, width)
    middle, end = (mean_weight(place, line, weights, width) for place in ([[0.0, 0.0]], [[1.0, 0.0]]))
    assert end / middle == pytest.approx(2, rel=0.05)
    cross = np.concatenate([line, segment([0.0, -1.0], [0.0, 1.0])])
    weights = inverse_density_weights(cross, width)
    crossing, arm = (mean_weight(place, cross, weights, width) for place in ([[0.0, 0.0]], [[0.5, 0.0]]))
    assert crossing / arm == pytest.approx(0.5, rel=0.05)


@given(seed=st.integers(0, 1000), distinct=st.integers(1, 30), scale=st.sampled_from([1e-6, 1.0, 1e6]))
def test_weights_are_positive_and_of_mean_one_whatever_the_copies_and_units(seed, distinct, scale):
    rng = np.random.default_rng(seed)
    points = rng.random((distinct, 3))[rng.integers(distinct, size=30)]
    weights = inverse_density_weights(scale * points, scale * 0.1)
    assert np.isfinite(weights).all() and (weights > 0).all() and weights.mean() == pytest.approx(1, rel=1e-5)
    assert np.allclose(weights, inverse_density_weights(points, 0.1), rtol=1e-4)


@pytest.mark.slow
def test_weighed_and_smeared_samples_are_equally_dense_everywhere(name):
    """Relative standard deviation over 4,000 uneven samples, width 0.06: 0.004 to 0.007; unweighted 0.44."""
    density = DENSITIES[name]()
    samples = density.sample(4_000, np.random.default_rng(0))
    unweighted = smeared(samples, samples, np.ones(4_000), 0.06)
    weighed = smeared(samples, samples, inverse_density_weights(samples, 0.06), 0.06)
    assert weighed.std() / weighed.mean() < 0.02 and unweighted.std() / unweighted.mean() > 0.2


@pytest.mark.slow
def test_weights_make_uneven_samples_uniform(name):
    """KL of 2,000 resampled of 10,000, in the mean over 8 draws: 0.0123 spiral, 0.0154 parabolas, 0.0134 swiss_roll, 0.0143
    pinwheel, 0.0154 moons and 0.0129 rings, ends being given more on purpose; truly uniform 0.0123, unweighted 0.22.
    """
    density, rng = DENSITIES[name](), np.random.default_rng(0)
    samples = density.sample(10_000, rng)
    positions, weights = density.project(samples)[0], inverse_density_weights(samples, 0.06).astype(np.float64)
    draws = [rng.choice(positions, 2_000, p=weights / weights.sum()) for _ in range(8)]
    assert np.mean([kl_to_uniform(draw) for draw in draws]) < 1.6 * FLOOR


@pytest.mark.parametrize(
    ("points", "width", "rounds", "word"),
    [
        (np.zeros((0, 2)), 1.0, 100, "points must be"),
        (np.zeros((9, 0)), 1.0, 100, "points must be"),
        (np.zeros(9), 1.0, 100, "points must be"),
        (np.full((9, 2), np.inf), 1.0, 100, "points must be finite"),
        (np.zeros((9, 2)), 0.0, 100, "width must be positive"),
        (np.zeros((9, 2)), np.nan, 100, "width must be positive"),
        (np.zeros((9, 2)), np.inf, 100, "width must be positive"),
        (np.zeros((9, 2)), 1.0, 0, "rounds must be at least 1"),
        (np.zeros((20_000, 2)), 1.0, 100, "199,990,000 pairs .* lower the width or pass fewer points"),
    ],
)
def test_bad_points_are_refused_by_name(points, width, rounds, word):
    with pytest.raises(ValueError, match=word):
        inverse_density_weights(points, width, rounds)
