"""Points picked and resampled: even arc lengths, farthest-point sampling."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..goal_space import GoalSpace

Array = NDArray[np.floating]


def resample_by_arc_length(points: Array, num_points: int, space: GoalSpace | None = None) -> Array:
    """(T, G) polyline -> (num_points, G) at equal arc lengths, ends included.

    In a `space` lengths are in moves, each piece goes the short way round, and what wraps goes on beyond its ends.

    Sampled by time, a slow-fast-slow motion puts an energy saddle mid-way (2.0 nats for minimum jerk); by arc length it
    does not. A polyline of no length repeats its point.
    """
    points = points if space is None else space.unwrapped(points)
    pieces = np.diff(points, axis=0)
    pieces = pieces if space is None else space.relative(pieces)
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(pieces, axis=1))])
    at = np.linspace(0.0, lengths[-1], num_points)
    return np.stack([np.interp(at, lengths, column) for column in points.T], axis=1).astype(np.float32)


def farthest_points(points: Array, num_points: int, rng: np.random.Generator, space: GoalSpace | None = None) -> NDArray[np.intp]:
    """(N, D) -> (num_points,) indices spread by farthest-point sampling from a random first, of goals in their `space`.

    ValueError if N is fewer.
    """
    if num_points > len(points):
        raise ValueError(f"asked for {num_points} of {len(points)} points")
    chosen = np.empty(num_points, dtype=np.intp)
    chosen[0] = rng.integers(len(points))
    gaps = np.full(len(points), np.inf)
    boxes = np.zeros(points.shape[1]) if space is None else space.boxes
    wrapping = np.flatnonzero(boxes)
    points = points if space is None else space.relative(points)
    columns = np.ascontiguousarray(points.T)  # numpy sums few entries of many points ten times as fast column by column
    for i in range(1, num_points):
        offsets = columns - columns[:, chosen[i - 1], None]
        for entry in wrapping:
            offsets[entry] -= boxes[entry] * np.round(offsets[entry] / boxes[entry])
        np.minimum(gaps, (offsets**2).sum(axis=0), out=gaps)
        chosen[i] = gaps.argmax()
    return chosen


def spread_points(
    points: Array, num_points: int, pool: int, rng: np.random.Generator, space: GoalSpace | None = None
) -> NDArray[np.intp]:
    """(N, D) -> num_points indices, or N if these are fewer, by `farthest_points` among `pool` times as many random ones."""
    some = rng.permutation(len(points))[: pool * num_points]
    return some[farthest_points(points[some], min(num_points, len(some)), rng, space)]
