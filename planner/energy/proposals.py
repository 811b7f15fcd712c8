"""Known densities to draw candidates from: their log-density corrects the loss and weighs the samples."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

BOX_SHARE, TUBE_SHARE, VISITED_SHARE = 0.2, 0.2, 0.6
_BOX = 1.1  # half side of the box; visited goals lie in [-1, 1]
_TUBE_WIDTH = 0.15  # standard deviation around the straight line
_KERNEL_WIDTH = 0.1  # standard deviation around a visited goal


@dataclass(frozen=True, eq=False)
class Proposal:
    """A mixture over goals in visited ranges: uniform box, tube round the straight line, and where the agent has been.

    The box keeps the support whole, the tube finds the straight way, and the visited places find the way round a wall.
    """

    visited: Tensor  # (M, G) goals that the agent has achieved, spread evenly, in visited ranges

    def sample(self, start: Tensor, goal: Tensor, num_samples: int, generator: torch.Generator) -> Tensor:
        """(B, G), (B, G) -> (B, num_samples, G)."""
        size, shape = start.shape[-1], (len(start), num_samples)
        box = (torch.rand(*shape, size, generator=generator) * 2 - 1) * _BOX
        along = torch.rand(*shape, 1, generator=generator)
        noise = torch.randn(*shape, size, generator=generator)
        tube = start[:, None] + along * (goal - start)[:, None] + _TUBE_WIDTH * noise
        places = self.visited[torch.randint(len(self.visited), shape, generator=generator)] + _KERNEL_WIDTH * noise
        part = torch.rand(*shape, 1, generator=generator)
        return torch.where(part < BOX_SHARE, box, torch.where(part < BOX_SHARE + TUBE_SHARE, tube, places))

    def log_density(self, candidates: Tensor, start: Tensor, goal: Tensor) -> Tensor:
        """(B, N, G), (B, G), (B, G) -> (B, N), exact."""
        size = candidates.shape[-1]
        box = torch.where((candidates.abs() <= _BOX).all(dim=-1), -size * math.log(2 * _BOX), -torch.inf)
        parts = [
            math.log(BOX_SHARE) + box,
            math.log(TUBE_SHARE) + tube_log_density(candidates, start[:, None], goal[:, None], _TUBE_WIDTH),
            math.log(VISITED_SHARE) + kernel_log_density(candidates, self.visited, _KERNEL_WIDTH),
        ]
        return torch.logsumexp(torch.stack(parts), dim=0)


def tube_log_density(points: Tensor, start: Tensor, goal: Tensor, width: float) -> Tensor:
    """Log-density (...) of start + t (goal - start) + noise, t uniform in [0, 1] and noise normal with sd `width`.

    Split along and across the line: across it is a normal of one dimension less, along it is a uniform smeared by a
    normal, [Phi(a / w) - Phi((a - L) / w)] / L with a the position along the line and L its length.
    """
    size = points.shape[-1]
    line = goal - start
    length = line.norm(dim=-1).clamp_min(1e-4)  # a shorter line is a point, to rounding
    offset = points - start
    along = (offset * line).sum(dim=-1) / line.norm(dim=-1).clamp_min(1e-4)
    across = (offset.square().sum(dim=-1) - along.square()).clamp_min(0.0)
    log_across = -across / (2 * width**2) - (size - 1) * (math.log(width) + 0.5 * math.log(2 * math.pi))
    # log of a difference of two normal tails, taken on the side where neither rounds to 1
    near, far = along / width, (along - length) / width
    flip = near + far > 0
    upper, lower = torch.where(flip, -far, near), torch.where(flip, -near, far)
    log_upper, log_lower = torch.special.log_ndtr(upper), torch.special.log_ndtr(lower)
    log_along = log_upper + torch.log1p(-torch.exp((log_lower - log_upper).clamp_max(-1e-7))) - length.log()
    return log_across + log_along


def kernel_log_density(points: Tensor, centres: Tensor, width: float) -> Tensor:
    """Log-density (...) at points (..., G) of a normal kernel, sd `width`, on each of M centres (M, G)."""
    size = points.shape[-1]
    flat = points.reshape(-1, size)
    squares = flat.square().sum(dim=1)[:, None] - 2 * flat @ centres.T + centres.square().sum(dim=1)  # (P, M)
    log_kernels = -squares / (2 * width**2)
    constant = math.log(len(centres)) + size * (math.log(width) + 0.5 * math.log(2 * math.pi))
    return (torch.logsumexp(log_kernels, dim=1) - constant).reshape(points.shape[:-1])
