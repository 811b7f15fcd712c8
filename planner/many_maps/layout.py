"""A picture of the map within the state, so that what is learned in many maps serves in others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..data.trajectories import Trajectory

Array = NDArray[np.floating]

_EDGE = 1e-4  # of half the picture: more than rounding to float32


@dataclass(frozen=True)
class Layout:
    """The last entries of every state are a picture of the map, the same all through an episode.

    A picture (X, Y) says of each square how much is in the way, and covers the goals' box from `low` to `high`; its first axis
    runs along the goal's first entry. A problem whose context stays and can be seen is a contextual one (arXiv:1502.02259).
    """

    shape: tuple[int, int]
    low: tuple[float, float]
    high: tuple[float, float]

    def __post_init__(self) -> None:
        if len(self.shape) != 2 or min(self.shape) < 2:
            raise ValueError(f"a layout's picture has two axes of at least 2 squares, got {self.shape}")
        bounds = np.array([*self.low, *self.high])
        if len(self.low) != 2 or len(self.high) != 2 or not (np.isfinite(bounds).all() and np.all(bounds[:2] < bounds[2:])):
            raise ValueError(f"a layout lies in goals of two entries, finite and low below high; got {self.low} to {self.high}")

    @property
    def size(self) -> int:
        """Entries of a state that are the picture's."""
        return self.shape[0] * self.shape[1]

    @property
    def square(self) -> float:
        """The shorter side of a square [goal units]."""
        return float(np.min(np.subtract(self.high, self.low) / self.shape))

    def pictures(self, states: Array) -> Array:
        """(..., S) -> (..., X, Y)"""
        return states[..., -self.size :].reshape(*states.shape[:-1], *self.shape)

    def moved_to(self, states: Array, state: Array) -> Array:
        """(N, S), (S,) -> (N, S): the states as they would be in the map of `state`."""
        moved = states.copy()
        moved[:, -self.size :] = state[-self.size :]
        return moved

    def keys(self, states: Array) -> list[bytes]:
        """(N, S) -> N keys, equal for states of the same map. Maps are told apart by what exceeds a half in their pictures."""
        return [bits.tobytes() for bits in np.packbits(states[:, -self.size :] > 0.5, axis=1)]

    def groups(self, data: Sequence[Trajectory]) -> list[list[Trajectory]]:
        """The trajectories of each map together, in the order of the maps' first ones."""
        groups: dict[bytes, list[Trajectory]] = {}
        for trajectory, key in zip(data, self.keys(np.stack([trajectory.states[0] for trajectory in data])), strict=True):
            groups.setdefault(key, []).append(trajectory)
        return list(groups.values())

    def within(self, places: Tensor) -> Tensor:
        """(..., 2) goals -> (..., 2) where `look_up` finds them: in [-1, 1] over the picture, its last axis first."""
        # number by number: a tensor made of them would be a copy to the GPU each time
        bounds = zip(places.unbind(-1), self.low, self.high, strict=True)
        return torch.stack([2 * (values - low) / (high - low) - 1 for values, low, high in bounds][::-1], dim=-1)


def look_up(pictures: Tensor, places: Tensor) -> Tensor:
    """(B, X, Y), (B, N, 2) as `Layout.within` gives them -> (B, N): what is shown there, bilinear; the border goes on."""
    return _look_up(pictures, places, "bilinear")


def clearest(pictures: Tensor, places: Tensor) -> Tensor:
    """(B, X, Y), (B, 2) as `Layout.within` gives them -> (B,): the least of the squares that each place is in or on the edge of.

    Who slides along a wall is on the edge of its square, and to rounding as often within it as not.
    """
    sides = places.new_tensor([-_EDGE, _EDGE])
    corners = torch.cartesian_prod(sides, sides)
    return _look_up(pictures, places[:, None] + corners, "nearest").amin(dim=1)


def _look_up(pictures: Tensor, places: Tensor, mode: str) -> Tensor:
    seen = torch.nn.functional.grid_sample(
        pictures[:, None], places[:, None], mode=mode, padding_mode="border", align_corners=False
    )
    return seen[:, 0, 0]
