"""How to draw points from an energy; batched over contexts, all randomness from the generator.

Each sampler is called as `sampler(energy, proposal, context, num_samples, generator)`; the energy is relative to that of the
proposal's learned part, where it has one (`ProposalGiven.base`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from .config import SamplingConfig
from .proposals import Proposal, ProposalGiven

Energy = Callable[[Tensor, Tensor], Tensor]  # (B, N, D), (B, C) -> (B, N)


@dataclass(frozen=True, eq=False)
class Sample:
    points: Tensor  # (B, num_samples, D)
    effective: Tensor | None = None  # (B,) effective share of the candidates, where they were weighed


class EnergySampling(Protocol):
    def __call__(
        self, energy: Energy, proposal: Proposal, context: Tensor, num_samples: int, generator: torch.Generator
    ) -> Sample:
        """(B, C) -> (B, num_samples, D) from exp(-E / T), E = energy + base."""
        ...


@dataclass(frozen=True)
class Resampling:
    """Sampling-importance-resampling (Rubin 1987): candidates from the proposal, chosen by weights exp(-E / T) / q."""

    candidates: int
    temperature: float

    def __call__(
        self, energy: Energy, proposal: Proposal, context: Tensor, num_samples: int, generator: torch.Generator
    ) -> Sample:
        with torch.inference_mode():
            given = proposal.given(context)
            pool = given.sample(max(self.candidates, 2 * num_samples), generator)
            log_density, base = given.weigh(pool)
            energies = energy(pool, context) + base
        chosen, effective = resample(energies, log_density, self.temperature, num_samples, generator)
        return Sample(pool.gather(1, chosen[..., None].expand(-1, -1, pool.shape[-1])), effective)


@dataclass(frozen=True)
class Langevin:
    """Chains from the proposal; the temperature falls from 10 T to T, geometrically."""

    steps: int
    rate: float
    temperature: float
    metropolis: bool

    def __call__(
        self, energy: Energy, proposal: Proposal, context: Tensor, num_samples: int, generator: torch.Generator
    ) -> Sample:
        given = proposal.given(context)
        begin, whole = given.sample(num_samples, generator), _added(energy, given)
        temperatures = (10 * self.temperature, self.temperature)
        return Sample(langevin(whole, begin, context, self.steps, self.rate, temperatures, self.metropolis, generator))


@dataclass(frozen=True)
class Descent:
    """Plain gradient descent from the proposal. The historical choice; samples collapse into dips."""

    steps: int
    rate: float
    tolerance: float

    def __call__(
        self, energy: Energy, proposal: Proposal, context: Tensor, num_samples: int, generator: torch.Generator
    ) -> Sample:
        given = proposal.given(context)
        begin, whole = given.sample(num_samples, generator), _added(energy, given)
        return Sample(descend(whole, begin, context, self.steps, self.rate, self.tolerance)[-1])


def make_sampling(config: SamplingConfig) -> EnergySampling:
    makers: dict[str, Callable[[], EnergySampling]] = {
        "sir": lambda: Resampling(config.proposals, config.temperature),
        "langevin": lambda: Langevin(config.langevin_steps, config.langevin_rate, config.temperature, config.metropolis),
        "descent": lambda: Descent(config.descent_steps, config.descent_rate, config.tolerance),
    }
    return makers[config.method]()


def _added(energy: Energy, given: ProposalGiven) -> Energy:
    return lambda points, context: energy(points, context) + given.base(points)


def resample(
    energies: Tensor, log_density: Tensor, temperature: float, num_samples: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """(B, N) energies and proposal log-densities -> indices into the N candidates (B, num_samples), effective share (B,).

    Drawn systematically: one offset per row, equal strides, so a candidate of weight w comes floor(w n) or ceil(w n) times.
    The effective share is in (0, 1]. ValueError for a density that is zero at a candidate of finite energy: that candidate
    cannot have been drawn from it.
    """
    if (torch.isneginf(log_density) & energies.isfinite()).any():
        raise ValueError("log_density is -inf at a candidate: draw the candidates from the density they are weighed by")
    log_weights = -energies / temperature - log_density
    weights = torch.softmax(log_weights.masked_fill(torch.isposinf(energies), -torch.inf), dim=1)
    effective = 1.0 / weights.square().sum(dim=1) / weights.shape[1]
    offsets = torch.rand(len(weights), 1, generator=generator)
    ticks = (torch.arange(num_samples) + offsets) / num_samples
    indices = torch.searchsorted(weights.cumsum(dim=1), ticks).clamp_max(weights.shape[1] - 1)
    return indices, effective


def langevin(
    energy: Energy,
    start: Tensor,
    context: Tensor,
    steps: int,
    rate: float,
    temperatures: tuple[float, float],
    metropolis: bool,
    generator: torch.Generator,
) -> Tensor:
    """(B, N, D), (B, C) -> (B, N, D): x - rate dE/dx + sqrt(2 rate T) noise, T from the first temperature to the last.

    Without `metropolis` a step size leaves a bias; with it a step is accepted with min(1, exp(-dE / T) q(back) / q(forth)), so
    that exp(-E / T) is left as it is (MALA, Roberts & Tweedie 1996).
    """
    points = start
    height, slope = _height_and_slope(energy, points, context)
    for step in range(steps):
        share = step / max(steps - 1, 1)
        temperature = temperatures[0] ** (1 - share) * temperatures[1] ** share
        spread = math.sqrt(2 * rate * temperature)
        moved = points - rate * slope + spread * torch.randn(points.shape, generator=generator)
        height_there, slope_there = _height_and_slope(energy, moved, context)
        if not metropolis:
            points, height, slope = moved, height_there, slope_there
            continue
        forth = (moved - points + rate * slope).square().sum(dim=-1)
        back = (points - moved + rate * slope_there).square().sum(dim=-1)
        log_ratio = (height - height_there) / temperature + (forth - back) / (2 * spread**2)
        accepted = torch.rand(height.shape, generator=generator).log() < log_ratio
        points = torch.where(accepted[..., None], moved, points)
        height = torch.where(accepted, height_there, height)
        slope = torch.where(accepted[..., None], slope_there, slope)
    return points


def descend(energy: Energy, start: Tensor, context: Tensor, steps: int, rate: float, tolerance: float) -> list[Tensor]:
    """(B, N, D), (B, C) -> the points at the start and after each step, at most `steps` of them.

    A point whose step is shorter than `tolerance` rests from then on; when all rest, the descent is over.
    """
    trail = [start]
    active = torch.ones(start.shape[:2], dtype=torch.bool)
    for _ in range(steps):
        _, slope = _height_and_slope(energy, trail[-1], context)
        move = -rate * slope
        active = active & (move.norm(dim=-1) >= tolerance)
        if not active.any():
            break
        trail.append(trail[-1] + move * active[..., None])
    return trail


def _height_and_slope(energy: Energy, points: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        points = points.detach().requires_grad_(True)
        height = energy(points, context)
        (slope,) = torch.autograd.grad(height.sum(), points)
    return height.detach(), slope
