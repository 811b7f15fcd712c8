"""What lies about a place, as far as visits tell: so a network sees a wall that nobody told it of."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from thalweg.planner.data.coverage import Coverage
from thalweg.planner.many_maps.layout import look_up

_SQUARES = 256  # of the picture along each side
_NEAR, _FAR = (2, 0.5), (4, 1.5)  # looks to each side, and their spacing [typical moves of a step]


class LocalView(nn.Module):
    """(..., 2) goals -> (..., size): how far from any visited place the points about each are, in typical moves and at most 1.

    What visited places are apart from each other is taken off: their chance gaps say nothing of walls.

    From coordinates a network would have to learn every wall and every corner by heart, wherever it stands; seen from the agent
    a corner is much the same everywhere. Two grids of looks: a fine one tells on which side of a wall's end the agent is, a
    coarse one where the next turnings are.

    Both entries are taken to be in one unit. In worlds more than 250 moves wide a square is wider than a move, and walls blur.
    """

    gaps: Tensor  # (_SQUARES, _SQUARES) the picture
    low: Tensor  # (2,) its corners [goal units]
    high: Tensor  # (2,)
    move: Tensor  # () typical [goal units]
    looks: Tensor  # (size, 2) [typical moves]

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("gaps", torch.zeros(_SQUARES, _SQUARES))
        self.register_buffer("low", torch.zeros(2))
        self.register_buffer("high", torch.ones(2))
        self.register_buffer("move", torch.ones(()))
        looks = [
            torch.cartesian_prod(ticks, ticks) for ticks in (spacing * torch.arange(-n, n + 1) for n, spacing in (_NEAR, _FAR))
        ]
        self.register_buffer("looks", torch.cat(looks), persistent=False)
        self.size = len(self.looks)

    def fit(self, places: NDArray, move: float, barred: NDArray[np.bool_] | None = None) -> None:
        """Draw the picture from visited places (N, 2), a typical move [goal units] and where barriers are (N,)."""
        open_places = places if barred is None else places[~barred]
        visited = Coverage(open_places)
        margin = visited.within + 2 * move  # the border is where nobody has been
        low, high = places.min(axis=0) - margin, places.max(axis=0) + margin
        axes = [start + (np.arange(_SQUARES) + 0.5) / _SQUARES * (end - start) for start, end in zip(low, high, strict=True)]
        squares = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
        gaps = np.linalg.norm(squares - open_places[visited.nearest(squares)[0]], axis=-1) - visited.within
        for buffer, values in (
            (self.gaps, np.clip(gaps / move, 0.0, 1.0)),
            (self.low, low),
            (self.high, high),
            (self.move, move),
        ):
            buffer.copy_(torch.as_tensor(values))

    def forward(self, places: Tensor) -> Tensor:
        points = places[..., None, :] + self.move * self.looks
        within = ((points - self.low) * (2 / (self.high - self.low)) - 1).flip(-1)  # as `Layout.within`, in fewer operations
        return look_up(self.gaps[None], within.reshape(1, -1, 2)).reshape(points.shape[:-1])
