"""A tanh-squashed Gaussian, drawn from and differentiated without a graph of gradients (arXiv:1812.05905, eq. 26).

The numbers of stable-baselines3's SquashedDiagGaussianDistribution, without its objects, which take longer than these networks.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

_LOG_STD = (-20.0, 2.0)  # stable-baselines3's own bounds
_MARGIN = 1e-6  # keeps the logarithm finite; stable-baselines3's own


class Draw(NamedTuple):
    """Actions, and what their density and its gradient need."""

    actions: Tensor  # (..., A) in [-1, 1]
    log_std: Tensor  # (..., A), clamped
    inside: Tensor  # (..., A) where the clamp did nothing
    noise: Tensor  # (..., A)

    def log_prob(self) -> Tensor:
        """(...,)"""
        log_normal = -0.5 * self.noise.square() - self.log_std - 0.5 * math.log(2 * math.pi)
        return (log_normal - torch.log(1 - self.actions.square() + _MARGIN)).sum(dim=-1)


def draw(outputs: Tensor) -> Draw:
    """(..., 2 A) means and log standard deviations -> one action of each."""
    mean, log_std = outputs.chunk(2, dim=-1)
    clamped = log_std.clamp(*_LOG_STD)
    noise = torch.randn_like(mean)
    return Draw(torch.tanh(mean + clamped.exp() * noise), clamped, clamped == log_std, noise)


def gradient(drawn: Draw, by_actions: Tensor, by_log_prob: Tensor | float) -> Tensor:
    """A loss's gradient by the actions (..., A) and by log_prob (one number) -> by the outputs (..., 2 A) drawn from.

    d log_prob / d action is 2 a / (1 - a^2), besides -1 per log standard deviation; d action / d mean is 1 - a^2, and by
    the log standard deviation std * noise times that.
    """
    slope = 1 - drawn.actions.square()
    by_mean = (by_actions + by_log_prob * 2 * drawn.actions / (slope + _MARGIN)) * slope
    by_log_std = (by_mean * drawn.log_std.exp() * drawn.noise - by_log_prob) * drawn.inside
    return torch.cat([by_mean, by_log_std], dim=-1)
