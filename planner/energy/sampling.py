"""Ways to draw states from an energy; batched over contexts, all randomness from the generator."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def resample(
    energies: Tensor, log_density: Tensor, temperature: float, num_samples: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Sampling-importance-resampling (Rubin 1987): (B, N) energies and proposal log-densities -> indices, ESS.

    Returns (B, num_samples) indices into the N candidates, drawn with weights exp(-E / T) / q, and the effective share
    of the candidates (B,) in (0, 1]. Drawn systematically: one offset per row, equal strides, so a candidate of weight
    w comes floor(w n) or ceil(w n) times.
    """
    weights = torch.softmax(-energies / temperature - log_density, dim=1)
    effective = 1.0 / weights.square().sum(dim=1) / weights.shape[1]
    offsets = torch.rand(len(weights), 1, generator=generator)
    ticks = (torch.arange(num_samples) + offsets) / num_samples
    indices = torch.searchsorted(weights.cumsum(dim=1), ticks).clamp_max(weights.shape[1] - 1)
    return indices, effective


def descend(energy: Callable[[Tensor], Tensor], start: Tensor, steps: int, rate: float) -> Tensor:
    """Plain gradient descent on energy: (B, N, D) -> (B, N, D). The historical choice; samples collapse into dips."""
    points = start
    for _ in range(steps):
        points = points.detach().requires_grad_(True)
        (slope,) = torch.autograd.grad(energy(points).sum(), points)
        points = points - rate * slope
    return points.detach()
