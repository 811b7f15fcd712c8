"""Fitting the energy model to paths."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..data import farthest_points
from .config import EnergyConfig
from .losses import hinge_loss, ranking_nce_loss
from .model import EnergyModel
from .networks import BetweenEnergy
from .proposals import Proposal

Array = NDArray[np.floating]

_CENTRES = 128  # visited goals kept for the proposal, spread evenly; its density costs as much per candidate


def fit_energy(
    paths: Array,
    weights: Array,
    visited: Array,
    config: EnergyConfig,
    seed: int,
    on_step: Callable[[int, float], None] = lambda step, loss: None,
) -> EnergyModel:
    """Learn what lies between the two ends of a path.

    paths (N, L, G) at equal arc lengths, env units; weights (N,) >= 0, how much each counts; visited (M, G) goals that
    the agent has been at. `on_step(step, loss)` is called after each update. Positives are a path's point at a uniform
    fraction of its length, so that no part of the way is favoured; negatives come from the proposal, whose density
    corrects the loss. ValueError for empty or non-finite data; FloatingPointError, naming the step, if the loss
    diverges.
    """
    _check_data(paths, weights, visited)
    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    low, high = visited.min(axis=0), visited.max(axis=0)
    high = np.where(high > low, high, low + 1.0)  # an entry that never varies
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = BetweenEnergy(paths.shape[-1], config.hidden, config.layers)
    average = copy.deepcopy(network).eval().requires_grad_(False)
    model = EnergyModel(average, Proposal(torch.empty(0)), low, high, config)  # for its units
    some = model.normalise(visited[rng.permutation(len(visited))[: 50 * _CENTRES]])
    proposal = Proposal(some[farthest_points(some.numpy(), min(_CENTRES, len(some)), rng)])
    points, weight = model.normalise(paths), torch.as_tensor(weights, dtype=torch.float32)

    optimizer = torch.optim.Adam(network.parameters(), lr=config.learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.train_steps)
    for step in range(config.train_steps):
        row = torch.randint(len(points), (config.batch_size,), generator=generator)
        fraction = torch.rand(config.batch_size, generator=generator)
        start, goal = points[row, 0], points[row, -1]
        positive = point_at(points[row], fraction)
        positive = positive + 2 * config.noise * torch.randn(positive.shape, generator=generator)
        loss = _loss(network, proposal, positive, start, goal, fraction, weight[row], config, generator)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the energy loss is {loss.item()} at step {step}; lower learning_rate")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        decay = min(config.ema, (1 + step) / (10 + step))  # follow closely at first, average later
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - decay)
        on_step(step + 1, loss.item())
    return EnergyModel(average, proposal, low, high, config)


def point_at(paths: Tensor, fraction: Tensor) -> Tensor:
    """(B, L, G) paths at equal arc lengths, (B,) fractions in [0, 1] -> (B, G), linear between the points."""
    place = fraction * (paths.shape[1] - 1)
    before = place.long().clamp_max(paths.shape[1] - 2)
    row = torch.arange(len(paths))
    return torch.lerp(paths[row, before], paths[row, before + 1], (place - before)[:, None])


def _loss(
    network: BetweenEnergy,
    proposal: Proposal,
    positive: Tensor,
    start: Tensor,
    goal: Tensor,
    fraction: Tensor,
    weight: Tensor,
    config: EnergyConfig,
    generator: torch.Generator,
) -> Tensor:
    candidates = proposal.sample(start, goal, config.num_negatives, generator)
    candidates = torch.cat([positive[:, None], candidates], dim=1)  # (B, 1 + N, G), the positive first
    energy = network(candidates, start, goal, fraction)
    if config.loss == "hinge":
        return hinge_loss(energy[:, 0], energy[:, 1:], weight, config.margin)
    log_q = proposal.log_density(candidates, start, goal)
    return ranking_nce_loss(energy[:, 0], energy[:, 1:], log_q[:, 0], log_q[:, 1:], weight)


def _check_data(paths: Array, weights: Array, visited: Array) -> None:
    if paths.ndim != 3 or paths.shape[0] < 1 or paths.shape[1] < 2:
        raise ValueError(f"paths must be (N, L, G) with N >= 1 and L >= 2, got {paths.shape}")
    if weights.shape != paths.shape[:1]:
        raise ValueError(f"weights must be ({len(paths)},), one per path, got {weights.shape}")
    if visited.ndim != 2 or len(visited) < 1 or visited.shape[1] != paths.shape[2]:
        raise ValueError(f"visited must be (M, {paths.shape[2]}) with M >= 1, got {visited.shape}")
    for name, values in (("paths", paths), ("weights", weights), ("visited", visited)):
        if not np.isfinite(values).all():
            raise ValueError(f"{name} must be finite; drop the rows that hold NaN or inf")
    if (weights < 0).any() or weights.sum() == 0:
        raise ValueError("weights must not be negative and not all zero")
