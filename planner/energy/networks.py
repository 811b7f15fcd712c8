"""The energy network."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn


class BetweenEnergy(nn.Module):
    """E(x | s, g, u): how unlikely x is at the fraction u of the way from s to g. All goals in visited ranges, [-1, 1].

    The inputs are s, g and u with the candidate's own place (also as sines and cosines, for walls are sharp) and its
    offsets from both ends.
    """

    frequencies: Tensor

    def __init__(self, goal_size: int, hidden: int, layers: int, frequencies: tuple[float, ...] = (1.0, 2.0)) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.tensor(frequencies) * torch.pi, persistent=False)
        inputs = goal_size * (5 + 2 * len(frequencies)) + 1
        sizes = [inputs, *[hidden] * layers]
        blocks = [part for pair in itertools.pairwise(sizes) for part in (nn.Linear(*pair), nn.SiLU())]
        self.layers = nn.Sequential(*blocks, nn.Linear(hidden, 1))

    def forward(self, candidates: Tensor, start: Tensor, goal: Tensor, fraction: Tensor) -> Tensor:
        """(B, N, G), (B, G), (B, G), (B,) -> (B, N) energies."""
        start, goal = start[:, None].expand_as(candidates), goal[:, None].expand_as(candidates)
        fraction = (2 * fraction - 1)[:, None, None].expand(*candidates.shape[:2], 1)
        phases = (candidates[..., None] * self.frequencies).flatten(-2)
        inputs = [candidates, phases.sin(), phases.cos(), start, goal, candidates - start, goal - candidates, fraction]
        return self.layers(torch.cat(inputs, dim=-1)).squeeze(-1)
