"""The energy of places in a map that is seen as a picture, and may never have been seen before."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..many_maps.value_iteration import PathFeatures, cell_of
from ..networks.mlp import mlp

_MOST = 8.0  # squares up to which it is told how far a place lies before or behind u


class LayoutEnergyNetwork(nn.Module):
    """E(x | start, goal, u, picture); to the eyes of an `EnergyModel` an `EnergyNetwork` without latents.

    Of x it sees what its square is to the way (`PathFeatures`), how far before or behind u that lies, and where in it x is.
    """

    shape: Tensor  # (2,) of the picture
    latents = 1

    def __init__(self, context_size: int, shape: tuple[int, int], hidden: int, layers: int) -> None:
        super().__init__()
        self.context_size = context_size
        self.register_buffer("shape", torch.tensor(shape))
        self.picture = shape
        self.ways = PathFeatures()
        self.layers = mlp(PathFeatures.size + 3 + 4, hidden, layers, 1)

    def each(self, candidates: Tensor, context: Tensor) -> Tensor:
        """(B, N, 2) in [-1, 1] over the picture, (B, C) -> (B, 1, N)"""
        if candidates.shape[-1] != 2 or context.shape[-1] != self.context_size or len(candidates) != len(context):
            raise ValueError(
                f"candidates must be (B, N, 2) and context (B, {self.context_size}) with one B, "
                f"got {tuple(candidates.shape)} and {tuple(context.shape)}"
            )
        fraction = (context[:, None, 4:5] + 1) / 2
        # the rows of one way follow each other, and only their fractions differ
        scenes, way = torch.unique_consecutive(torch.cat([context[:, :4], context[:, 5:]], dim=1), dim=0, return_inverse=True)
        features = self.ways((scenes[:, 4:].unflatten(1, self.picture) + 1) / 2, scenes[:, :4].unflatten(1, (2, 2)))
        square, place = cell_of(candidates, self.picture)
        told = features[way[:, None], square]  # (B, N, size)
        late = told[..., :1] - fraction
        squares = (late * told[..., 3:4].expm1()).clamp(-_MOST, _MOST)
        seen = torch.cat([told, fraction.expand_as(late), late, squares, place, place.square()], dim=-1)
        return self.layers(seen).movedim(-1, 1)

    def forward(self, candidates: Tensor, context: Tensor) -> Tensor:
        """(B, N, 2), (B, C) -> (B, N)"""
        return self.each(candidates, context)[:, 0]

    def log_prior(self, context: Tensor) -> Tensor:
        """(B, C) -> (B, 1): there is one latent, and it is certain."""
        return context.new_zeros(len(context), 1)
