"""How good an energy is, and what is drawn from it: along curves, routes and graphs whose truth is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import csgraph_from_dense, dijkstra
from scipy.spatial import cKDTree
from scipy.special import xlogy

from .toys.curves import project_on_segments

Array = NDArray[np.floating]


def flatness(energies: Array) -> float:
    """(P,) energies along a curve -> their standard deviation [nats]; 0 for a density uniform on the curve."""
    return float(_checked("energies", energies, 1).std())


def peak_to_peak(energies: Array) -> float:
    """(P,) energies along a curve -> the highest minus the lowest [nats]."""
    return float(np.ptp(_checked("energies", energies, 1)))


def kl_to_uniform(positions: Array, bins: int = 50) -> float:
    """(N,) positions in [0, 1) -> KL of their histogram to the uniform one, sum p log(bins p) [nats], in [0, log bins].

    Finitely many samples lie above 0 even where they are uniform, see `kl_floor`.
    """
    return float(_kl(_histogram(positions, bins)))


def kl_floor(num_samples: int, rng: np.random.Generator, bins: int = 50, repeats: int = 200) -> float:
    """The mean of `kl_to_uniform` over `repeats` truly uniform samples [nats]; about (bins - 1) / (2 num_samples)."""
    for name, value in (("num_samples", num_samples), ("bins", bins), ("repeats", repeats)):
        _refuse_below(1, name, value)
    return float(_kl(rng.multinomial(num_samples, np.full(bins, 1 / bins), size=repeats)).mean())


def over(positions: Array, bins: int = 50) -> float:
    """(N,) positions in [0, 1) -> the count of the fullest bin over the mean count, in [1, bins]."""
    counts = _histogram(positions, bins)
    return float(counts.max() / counts.mean())


def empty(positions: Array, bins: int = 50) -> float:
    """(N,) positions in [0, 1) -> the share of bins that hold none, in [0, 1)."""
    return float((_histogram(positions, bins) == 0).mean())


def on_share(distances: Array, within: float = 0.2) -> float:
    """(N,) distances of samples to the curve -> the share that is at most `within`, in the curve's units."""
    _refuse_below(0, "within", within)
    return float((_checked("distances", distances, 1) <= within).mean())


def line_coverage(samples: Array, route: Array, cells: int = 10, within: float = 0.03) -> float:
    """(N, G) samples, (K, G) polyline -> the share of its `cells` parts of equal length that hold a sample.

    A sample lies in the cell that holds its nearest point of the route (the later one where two cells meet), if it is at
    most `within` times the route's length away. Exact, by projection on every segment: O(N K G) memory.
    """
    samples, route = _checked("samples", samples, 2), _checked("route", route, 2)
    if samples.shape[1] != route.shape[1]:
        raise ValueError(f"samples must have as many columns as route, {route.shape[1]}, got {samples.shape[1]}")
    _refuse_below(1, "cells", cells)
    _refuse_below(0, "within", within)
    marks = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(route, axis=0), axis=1))])
    length = marks[-1]
    if length == 0:
        raise ValueError("route must have a length; give it two points that differ")
    fractions, distances = project_on_segments(samples[:, None], route[:-1], route[1:])
    nearest = distances.argmin(axis=1)
    rows = np.arange(len(samples))
    at = (marks[nearest] + fractions[rows, nearest] * np.diff(marks)[nearest]) / length
    near = distances[rows, nearest] <= within * length
    return len(np.unique((at[near] * cells).astype(int).clip(max=cells - 1))) / cells


def detour(costs: Array, max_link: float, optimal: float) -> float:
    """(N + 2, N + 2) true costs -> the shortest path's cost over the `optimal` one; inf where there is no path.

    Row and column 0 are the start, the last ones the goal, those between the samples; inf means unreachable. Links of cost
    at most `max_link` can be taken, those of cost 0 between equal points included.
    """
    costs = _checked("costs", costs, 2, allowed=np.inf)
    if costs.shape[0] != costs.shape[1] or len(costs) < 2 or costs.min() < 0:
        raise ValueError(f"costs must be square with start and goal, and none negative, got {costs.shape}, {costs.min()}")
    _refuse_below(0, "max_link", max_link)
    if not 0 < optimal < np.inf:
        raise ValueError(f"optimal must be positive and finite, got {optimal}; leave out pairs without a way")
    # sparse with inf as no link: zeros of a dense matrix would be read as no link
    links = csgraph_from_dense(np.where(costs <= max_link, costs, np.inf), null_value=np.inf)
    return float(dijkstra(links, indices=0)[-1] / optimal)


def connected_share(detours: Array) -> float:
    """(M,) detours -> the share that is finite: pairs whose samples connect the start with the goal (CONN)."""
    return float(np.isfinite(_checked("detours", detours, 1, allowed=np.inf)).mean())


def saddle(energies: Array) -> Array:
    """(..., P) energies at equal steps of arc length along the true way, both ends included -> (...) [nats].

    The mean over the middle tenth of the way, 0.45 to 0.55, minus that over two tenths near its ends, 0.05 to 0.15 and 0.85
    to 0.95. Above 0 samples avoid the middle. Not the very ends: a smeared density has half its mass beyond them, which
    raises the energy there by up to ln 2 and would hide a saddle. Energies of several conditions must be normalised
    before (E + log Z). ValueError for P < 11, with which a tenth may hold no point.
    """
    energies = _checked("energies", energies)
    if energies.shape[-1] < 11:
        raise ValueError(f"energies must hold at least 11 points along the way, got {energies.shape[-1]}")
    from_middle = np.abs(np.linspace(-0.5, 0.5, energies.shape[-1]))
    middle = from_middle <= 0.05 + 1e-9  # points on a border count on both sides alike
    sides = np.abs(from_middle - 0.4) <= 0.05 + 1e-9
    return np.asarray(energies[..., middle].mean(axis=-1) - energies[..., sides].mean(axis=-1), dtype=np.float32)


def effective_share(log_weights: Array) -> Array:
    """(..., N) log-weights, up to a constant -> (...) the effective share of the samples, ESS / N, in [1 / N, 1].

    ESS = (sum w)^2 / sum w^2 (Kish 1965). -inf is a weight of 0; ValueError where all of a row's are.
    """
    log_weights = _checked("log_weights", log_weights, allowed=-np.inf)
    highest = log_weights.max(axis=-1, keepdims=True)
    if not np.isfinite(highest).all():
        raise ValueError("log_weights must hold a finite one in each row; all weights of a row are 0")
    weights = np.exp(log_weights - highest)  # at least one is 1, so the sums neither overflow nor vanish
    share = weights.sum(axis=-1) ** 2 / (weights**2).sum(axis=-1) / weights.shape[-1]
    return np.asarray(share, dtype=np.float32)


def coverage(real: Array, fake: Array, neighbours: int = 5) -> float:
    """(N, D), (M, D) -> the share of real samples that have a fake one near, in [0, 1] (arXiv:2002.09797, eq. 9).

    Near is within the distance to the real sample's k-th nearest other real one, k = `neighbours`, border included.
    """
    real, fake = _checked("real", real, 2), _checked("fake", fake, 2)
    if real.shape[1] != fake.shape[1]:
        raise ValueError(f"fake must have as many columns as real, {real.shape[1]}, got {fake.shape[1]}")
    _refuse_below(1, "neighbours", neighbours)
    if len(real) <= neighbours:
        raise ValueError(f"real must number at least neighbours + 1 = {neighbours + 1}, got {len(real)}")
    radii = cKDTree(real).query(real, k=[neighbours + 1])[0][:, 0]  # each is its own nearest
    return float((cKDTree(fake).query(real)[0] <= radii).mean())


def _checked(name: str, values: Array, dimensions: int | None = None, allowed: float = np.nan) -> Array:
    """As float64. ValueError if empty, of another number of dimensions, NaN, or inf other than the `allowed` one."""
    if values.size == 0 or values.ndim == 0 or (dimensions is not None and values.ndim != dimensions):
        shape = "an array" if dimensions is None else f"an array of {dimensions} dimension(s)"
        raise ValueError(f"{name} must be {shape} with at least one entry, got shape {values.shape}")
    refused = ~np.isfinite(values) & (values != allowed)
    if refused.any():
        raise ValueError(f"{name} must be finite; drop the rows that hold NaN or inf ({int(refused.sum())} entries)")
    return values.astype(np.float64)


def _refuse_below(least: int, name: str, value: float) -> None:
    if not value >= least:  # NaN too
        raise ValueError(f"{name} must be at least {least}, got {value}")


def _histogram(positions: Array, bins: int) -> NDArray[np.integer]:
    positions = _checked("positions", positions, 1)
    _refuse_below(1, "bins", bins)
    if positions.min() < 0 or positions.max() >= 1:
        raise ValueError("positions must lie in [0, 1); divide arc lengths by the whole length")
    return np.histogram(positions, bins, (0.0, 1.0))[0]


def _kl(counts: NDArray[np.integer]) -> Array:
    """(..., bins) counts -> (...) KL to uniform [nats]."""
    shares = counts / counts.sum(axis=-1, keepdims=True)
    return xlogy(shares, shares * counts.shape[-1]).sum(axis=-1).clip(min=0.0)
