"""Toy problems of what lies between two ends, where the truth is known.

Straight ways that are driven slow, fast and slow; a corridor of any dimension; two ways round a disc.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...data.points import resample_by_arc_length
from ..config import EnergyConfig, ProposalConfig, SamplingConfig

Array = NDArray[np.floating]

_POINTS = 33  # per path

VALLEY_ENERGY = EnergyConfig()
HISTORICAL_VALLEY_ENERGY = EnergyConfig(
    loss="hinge",
    octaves=0,
    noise=0.0,
    num_negatives=32,
    proposal=ProposalConfig(box=1.0, kernels=0.0, learned=0.0),
)
HISTORICAL_VALLEY_SAMPLING = SamplingConfig(method="descent", descent_steps=20, descent_rate=0.02)
CORRIDOR_ENERGY = EnergyConfig(noise=0.01)  # one for all dimensions
TWO_PATHS_ENERGY = EnergyConfig(noise=0.01, latents=2, points_per_way=4)


def straight_paths(count: int, by_time: bool, rng: np.random.Generator) -> Array:
    """Straight ways between random points of the unit square -> (count, 33, 2), driven with the least jerk (Flash & Hogan 1985).

    At equal times, as a trajectory is recorded, or at equal arc lengths. By time the density of places is that of the speed
    turned over: lowest mid-way.
    """
    ends = rng.random((2, count, 1, 2))
    time = np.linspace(0, 1, _POINTS)[:, None]
    along = 10 * time**3 - 15 * time**4 + 6 * time**5 if by_time else time
    return (ends[0] + along * (ends[1] - ends[0])).astype(np.float32)


@dataclass(frozen=True)
class Corridor:
    """Up to three legs, along the first axes of a space of `size` dimensions, and narrow across.

    A way begins and ends off the centre line by a normal of standard deviation `width` in every dimension, goes from the one
    offset to the other, and bulges between them by a third such normal times sin(pi u).
    """

    size: int
    leg: float = 0.8
    width: float = 0.05

    @property
    def length(self) -> float:
        return self.leg * min(self.size, 3)

    def ends(self, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Where ways begin and end: along the centre line (count, 2) and off it (count, 2, size)."""
        return rng.uniform(0, self.length, (count, 2)), rng.normal(0, self.width, (count, 2, self.size))

    def paths(self, along: Array, offsets: Array, rng: np.random.Generator) -> Array:
        """Ends as `ends` gives them -> (count, 33, size), a random way for each."""
        u = np.linspace(0, 1, _POINTS)[:, None]
        bulge = rng.normal(0, self.width, (len(along), 1, self.size)) * np.sin(np.pi * u)
        centre = self._centre(along[:, :1] + u[:, 0] * (along[:, 1:] - along[:, :1]))
        return (centre + offsets[:, :1] * (1 - u) + offsets[:, 1:] * u + bulge).astype(np.float32)

    def between(self, along: Array, offsets: Array, count: int, rng: np.random.Generator) -> Array:
        """One pair of ends (2,), (2, size) -> (count, size): a point at a random fraction of each of `count` ways."""
        same_ends = np.broadcast_to(along, (count, 2)), np.broadcast_to(offsets, (count, 2, self.size))
        paths = self.paths(*same_ends, rng)
        place = rng.random(count) * (_POINTS - 1)
        before = place.astype(int)
        row = np.arange(count)
        share = (place - before)[:, None].astype(np.float32)
        return paths[row, before] * (1 - share) + paths[row, before + 1] * share

    def _centre(self, along: Array) -> Array:
        """(...) -> (..., size)"""
        axes = np.arange(self.size)
        return np.where(axes < 3, np.clip(along[..., None] - self.leg * axes, 0, self.leg), 0.0)


@dataclass(frozen=True)
class TwoPaths:
    """Left to right in [-1, 1]^2, above or below a disc in the middle; `share` of the ways go above."""

    share: float = 0.7
    radius: float = 0.5

    def paths(self, count: int, rng: np.random.Generator) -> Array:
        """(count, 33, 2), by arc length. They pass the middle 0.6 to 0.75 from it and stay clear of the disc by 0.02."""
        starts, goals = (
            np.stack([side + rng.normal(0, 0.03, count), rng.uniform(-0.3, 0.3, count)], axis=1) for side in (-0.9, 0.9)
        )
        heights = rng.uniform(0.6, 0.75, count) * np.where(rng.random(count) < self.share, 1, -1)
        u = np.linspace(0, 1, _POINTS)
        paths = starts[:, None] + u[:, None] * (goals - starts)[:, None]
        lift = np.sin(np.pi * u)
        paths[..., 1] = paths[..., 1] * (1 - lift) + heights[:, None] * lift
        return np.stack([resample_by_arc_length(path, _POINTS) for path in paths])

    def inside(self, points: Array) -> NDArray[np.bool_]:
        """(..., 2) -> (...): within the disc?"""
        return np.linalg.norm(points, axis=-1) < self.radius
