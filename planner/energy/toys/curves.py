"""Densities on curves in the plane whose answers are known exactly: what an energy model is tested on before any maze."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, eye_array
from scipy.spatial import cKDTree

Array = NDArray[np.floating]

_POINTS = 2_001  # per branch: no polyline is farther than 4e-5 from its curve
_WAVES = 3  # dense places of an uneven sample
_NEAR = 8  # vertices whose segments are looked at for the nearest point
_REACH = 4.0  # of a normal kernel [standard deviations]
_MOST_PAIRS = 50_000_000  # whose kernels are held at once: at the most 5 GB on the way there


def project_on_segments(points: Array, starts: Array, ends: Array) -> tuple[Array, Array]:
    """(..., G) points and the segments (..., G) between starts and ends, which broadcast -> fractions, distances (...).

    The nearest point of a segment is start + fraction (end - start), with a fraction in [0, 1]; it is 0 where the segment
    has no length.
    """
    along = ends - starts
    squared = (along**2).sum(axis=-1)
    fractions = (((points - starts) * along).sum(axis=-1) / np.where(squared > 0, squared, 1.0)).clip(0.0, 1.0)
    return fractions, np.linalg.norm(starts + fractions[..., None] * along - points, axis=-1)


@dataclass(frozen=True, eq=False)
class CurveDensity:
    """A density on one or more curves. A position in [0, 1) is the share of the arc length, branches joined end to end."""

    branches: tuple[Array, ...]  # each a polyline (P, 2); a closed one ends where it starts

    def __post_init__(self) -> None:
        if len(self.branches) == 0:
            raise ValueError("branches must hold at least one polyline")
        for branch in self.branches:
            if branch.ndim != 2 or branch.shape[1] != 2 or len(branch) < 2:
                raise ValueError(f"branches must be polylines (P, 2) with P >= 2, got {branch.shape}")
            if not (np.linalg.norm(np.diff(branch, axis=0), axis=1) > 0).all():
                raise ValueError("branches must be finite, and no point may equal the one before it")

    @property
    def length(self) -> float:
        """The arc length of all branches together."""
        return float(self._lengths.sum())

    def branch_shares(self) -> Array:
        """Each branch's share of the length (branches,); they sum to 1."""
        return (self._lengths / self.length).astype(np.float32)

    def curve(self, num_points: int = 1_001) -> Array:
        """Points at equal arc lengths (num_points, 2): the midpoints of equal cells, so that no branch end is privileged."""
        return self.at((np.arange(num_points) + 0.5) / num_points)

    def at(self, positions: Array) -> Array:
        """(N,) positions -> (N, 2). Where two branches join it is the later one's start. ValueError outside [0, 1]."""
        if not ((positions >= 0) & (positions <= 1)).all():
            raise ValueError("positions must lie in [0, 1]; divide arc lengths by the length")
        # of equal marks the last, so that the jump from one branch to the next is never taken for a segment
        first = np.minimum(np.searchsorted(self._marks, positions, side="right") - 1, len(self._marks) - 2)
        fractions = (positions - self._marks[first]) / (self._marks[first + 1] - self._marks[first])
        starts, ends = self._vertices[first], self._vertices[first + 1]
        return (starts + fractions[:, None] * (ends - starts)).astype(np.float32)

    def sample(self, num_samples: int, rng: np.random.Generator, uniform: bool = False, noise: float = 0.0) -> Array:
        """Points on the curve (num_samples, 2), plus isotropic normal noise of that standard deviation.

        Uniform in arc length or, which is harder to learn, with a density proportional to exp(cos(2 pi 3 position)): its
        densest parts are e^2 = 7.4 times as dense as its thinnest, and its KL to uniform is 0.211 nats. Drawn through the
        inverse of its distribution function, tabulated at 12,000 places.
        """
        positions = rng.random(num_samples)
        if not uniform:
            grid = np.linspace(0.0, 1.0, 12_001)
            density = np.exp(np.cos(2 * np.pi * _WAVES * grid))
            mass = np.concatenate([[0.0], np.cumsum(density[1:] + density[:-1])])
            positions = np.interp(positions, mass / mass[-1], grid)
        return (self.at(positions) + noise * rng.standard_normal((num_samples, 2))).astype(np.float32)

    def project(self, points: Array) -> tuple[Array, Array]:
        """(N, 2) -> positions (N,) in [0, 1) of the nearest points of the curve, and the distances to them (N,).

        Exact on the polylines, by the segments at the 8 nearest vertices; only segments far longer than their neighbours
        could be missed. What lies nearest to a branch's end gets the last number below the next one's start, so `at` gives
        that end again; positions are float64, since float32 would round it up.
        """
        first, fractions, distances = self._nearest(points)
        positions = self._marks[first] + fractions * (self._marks[first + 1] - self._marks[first])
        ends = self._marks[self._stops - 1][self._branch_at(first)]
        return np.minimum(positions, np.nextafter(ends, 0.0)), distances.astype(np.float32)

    def branch_of(self, points: Array) -> NDArray[np.intp]:
        """(N, 2) -> (N,) the index of the branch that is nearest."""
        return self._branch_at(self._nearest(points)[0])

    @cached_property
    def _vertices(self) -> Array:
        return np.concatenate(self.branches)

    @cached_property
    def _stops(self) -> NDArray[np.intp]:
        """For each branch the number of vertices up to its end."""
        return np.cumsum([len(branch) for branch in self.branches])

    @cached_property
    def _lengths(self) -> Array:
        return np.array([np.linalg.norm(np.diff(branch, axis=0), axis=1).sum() for branch in self.branches])

    @cached_property
    def _marks(self) -> Array:
        """The position of each vertex. A branch's last equals the next one's first."""
        gaps = [np.r_[0.0, np.linalg.norm(np.diff(branch, axis=0), axis=1)] for branch in self.branches]
        marks = np.concatenate(gaps).cumsum()
        return marks / marks[-1]

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(self._vertices)

    def _branch_at(self, vertices: NDArray[np.intp]) -> NDArray[np.intp]:
        return np.searchsorted(self._stops, vertices, side="right")

    def _nearest(self, points: Array) -> tuple[NDArray[np.intp], Array, Array]:
        """(N, 2) -> the first vertex of the nearest segment, the fraction of the way along it, the distance; each (N,)."""
        if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
            raise ValueError(f"points must be (N, 2) and finite, got {points.shape}; drop the rows that hold NaN or inf")
        near = self._tree.query(points, k=range(1, min(_NEAR, len(self._vertices)) + 1))[1]
        first = np.concatenate([near, near - 1], axis=1).clip(0, len(self._vertices) - 2)
        fractions, distances = project_on_segments(points[:, None], self._vertices[first], self._vertices[first + 1])
        distances[self._branch_at(first) != self._branch_at(first + 1)] = np.inf  # a jump between branches, not a segment
        rows, best = np.arange(len(points)), distances.argmin(axis=1)
        return first[rows, best], fractions[rows, best], distances[rows, best]


def inverse_density_weights(points: Array, width: float, rounds: int = 100) -> Array:
    """(N, D) points -> weights (N,) of mean 1, under which the points smeared by a normal are equally dense at each of them.

    `width` is the normal's standard deviation, in the points' units: that of the noise on an energy model's positives, which
    then learns one energy all along the curve that the points lie on. About an end, where half of a normal sees no points, a
    weight is twice what it is mid-way, about a crossing half: with weights that only undo the points' density the energy of
    an end is ln 2 too high. The kernel matrix is balanced as by Sinkhorn and Knopp, damped: each round multiplies a weight
    by (mean density / its density)^(1/2). Of 10,000 uneven samples of the curves below and a width of 0.06, the density's
    relative standard deviation falls from 0.44 to 0.001 to 0.008, in 0.5 to 1 s.
    ValueError for points that are not (N, D), empty or not finite, for a width or rounds that are not positive, and for more
    than 50 million pairs of points that are within 4 widths of each other.
    """
    if points.ndim != 2 or points.size == 0:
        raise ValueError(f"points must be (N, D) and not empty, got {points.shape}")
    if not np.isfinite(points).all():
        raise ValueError("points must be finite; drop the rows that hold NaN or inf")
    if not 0 < width < np.inf:
        raise ValueError(f"width must be positive and finite, got {width}")
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1, got {rounds}")
    kernel = _kernel_matrix(points.astype(np.float64) / width)
    weights = np.ones(len(points))
    for _ in range(rounds):
        density = kernel @ weights
        weights *= np.sqrt(density.mean() / density)
        weights /= weights.mean()
    return weights.astype(np.float32)


def _kernel_matrix(points: Array) -> csr_array:
    """(N, D) -> (N, N) exp(-|x - y|^2 / 2), where x and y are at most 4 apart: farther on it is below 4e-4."""
    tree = cKDTree(points)
    pairs = (tree.count_neighbors(tree, _REACH) - len(points)) // 2
    if pairs > _MOST_PAIRS:
        raise ValueError(
            f"{pairs:,} pairs of points lie within {_REACH} widths, and {_MOST_PAIRS:,} fit in memory; "
            f"lower the width or pass fewer points"
        )
    first, second = tree.query_pairs(_REACH, output_type="ndarray").T
    values = np.exp(-((points[first] - points[second]) ** 2).sum(axis=1) / 2)
    half = csr_array((values, (first, second)), shape=(len(points), len(points)))
    return half + half.T + eye_array(len(points), format="csr")


def spiral() -> CurveDensity:
    """Archimedean: 2.5 turns from radius 0.3 to 3.6, linear in the angle."""
    angles = np.linspace(0.0, 5 * np.pi, _POINTS)
    return CurveDensity((_polar(np.linspace(0.3, 3.6, _POINTS), angles),))


def parabolas() -> CurveDensity:
    """y = x^2 - 2 and y = 2 - x^2 for |x| <= 2.2, both axes times 1.35; they cross at x = +-1.35 sqrt(2), y = 0."""
    x = np.linspace(-2.2, 2.2, _POINTS)
    return CurveDensity((1.35 * np.stack([x, x**2 - 2], axis=1), 1.35 * np.stack([x, 2 - x**2], axis=1)))


def swiss_roll() -> CurveDensity:
    """Radius proportional to the angle, from 1.5 pi to 4.5 pi, where it is 3.8."""
    angles = np.linspace(1.5 * np.pi, 4.5 * np.pi, _POINTS)
    return CurveDensity((_polar(angles * 3.8 / (4.5 * np.pi), angles),))


def pinwheel() -> CurveDensity:
    """Five arms from radius 0.8 to 3.6, each turned by 1 rad on its way."""
    radii = np.linspace(0.8, 3.6, _POINTS)
    turns = np.linspace(0.0, 1.0, _POINTS)
    return CurveDensity(tuple(_polar(radii, turns + arm * 2 * np.pi / 5) for arm in range(5)))


def moons() -> CurveDensity:
    """The two half circles of scikit-learn's make_moons about their common centre, times 2.5."""
    angles = np.linspace(0.0, np.pi, _POINTS)
    outer = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    inner = np.stack([1 - np.cos(angles), 0.5 - np.sin(angles)], axis=1)
    return CurveDensity((2.5 * (outer - [0.5, 0.25]), 2.5 * (inner - [0.5, 0.25])))


def rings() -> CurveDensity:
    """Three circles about the origin, of radius 1.2, 2.4 and 3.6."""
    angles = np.linspace(0.0, 2 * np.pi, _POINTS)
    return CurveDensity(tuple(_polar(np.full(_POINTS, radius), angles) for radius in (1.2, 2.4, 3.6)))


DENSITIES: dict[str, Callable[[], CurveDensity]] = {
    "spiral": spiral,
    "parabolas": parabolas,
    "swiss_roll": swiss_roll,
    "pinwheel": pinwheel,
    "moons": moons,
    "rings": rings,
}


def _polar(radii: Array, angles: Array) -> Array:
    return radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
