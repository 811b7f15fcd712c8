"""The energy network: unconditional, conditional and with a latent variable."""

from __future__ import annotations

import itertools
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..networks.mlp import mlp

_FINE = 4.0  # scale at which the offset from the straight line is seen: near the ends the way is narrow, and close to it


class EnergyNetwork(nn.Module):
    """E(x, c, z): how unlikely x is in the context c, for each of K values of the latent z. Nothing in c: E(x). K = 1: E(x | c).

    Points and contexts come in visited ranges, [-1, 1]. The network sees x, its sines and cosines (walls are sharp) and c. With
    `between`, c is (start, goal, ..., u), the former two in x's own space, u in [-1, 1], and x's offsets from both ends and from
    the point of the straight line at u are seen, too.
    """

    frequencies: Tensor  # (octaves,)

    def __init__(
        self, size: int, context_size: int, hidden: int, layers: int, octaves: int = 2, between: bool = False, latents: int = 1
    ) -> None:
        super().__init__()
        self.size, self.context_size, self.between, self.latents = size, context_size, between, latents
        self.register_buffer("frequencies", torch.pi * 2.0 ** torch.arange(octaves), persistent=False)
        self.layers = mlp(size * (1 + 2 * octaves + 3 * between) + context_size, hidden, layers, latents)
        self.shared = context_size - between  # entries of the context that all points of one way have in common
        self.weigh = mlp(self.shared, hidden, 1, latents) if latents > 1 else None

    def each(self, candidates: Tensor, context: Tensor) -> Tensor:
        """(B, N, D), (B, C) -> (B, K, N): E(x, c, z) for every z."""
        if candidates.shape[-1] != self.size or context.shape[-1] != self.context_size or len(candidates) != len(context):
            raise ValueError(
                f"candidates must be (B, N, {self.size}) and context (B, {self.context_size}) with one B, "
                f"got {tuple(candidates.shape)} and {tuple(context.shape)}"
            )
        phases = (candidates[..., None] * self.frequencies).flatten(-2)
        seen = [candidates, phases.sin(), phases.cos()]
        before = sum(part.shape[-1] for part in seen)
        if self.between:
            start, goal, fraction = split_between(context[:, None], self.size)
            seen += [candidates - start, goal - candidates, _FINE * (candidates - torch.lerp(start, goal, fraction))]
        # all candidates of a row have the context in common, so its part of the first layer is computed once; its columns come
        # before those of the offsets
        first = cast(nn.Linear, self.layers[0])
        columns = first.weight.tensor_split([before, before + self.context_size], dim=1)
        hidden = torch.cat(seen, dim=-1) @ torch.cat([columns[0], columns[2]], dim=1).T
        hidden = hidden + F.linear(context, columns[1], first.bias)[:, None]
        for layer in itertools.islice(self.layers, 1, None):
            hidden = layer(hidden)
        return hidden.movedim(-1, 1)

    def forward(self, candidates: Tensor, context: Tensor) -> Tensor:
        """(B, N, D), (B, C) -> (B, N): the least energy over z."""
        return self.each(candidates, context).amin(dim=1)

    def log_prior(self, context: Tensor) -> Tensor:
        """(B, C) -> (B, K) log-probabilities of z, from what all points of one way have in common."""
        if self.weigh is None:
            return context.new_zeros(len(context), 1)
        return self.weigh(context[:, : self.shared]).log_softmax(dim=1)


def split_between(context: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """(..., C) -> start (..., size), goal (..., size), fraction of the way (..., 1) in [0, 1]; not what else there is."""
    return context[..., :size], context[..., size : 2 * size], (context[..., -1:] + 1) / 2
