"""Fitting an energy, and its proposal beside it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..data.points import farthest_points
from ..fitting import OnStep, adam, descend, ignore, seeded
from ..goal_space import GoalSpace
from .config import EnergyArchitecture, EnergyConfig
from .losses import (
    contrastive_divergence_loss,
    energy_discrepancy_loss,
    hinge_loss,
    info_nce_loss,
    mixture_loss,
    ranking_nce_loss,
)
from .model import EnergyModel
from .negatives import Drawn, make_negatives

Array = NDArray[np.floating]

PLACE_FEATURES = 4  # of each square; with 8 or 16 nodes were no better
CENTRES = 128  # visited points kept for the proposal, spread evenly; its density costs as much per candidate


@dataclass(frozen=True, eq=False)
class Batch:
    """Positives by context, in visited ranges. The rows of one way, `points_per_way` of them, follow each other."""

    positive: Tensor  # (B, P, D)
    context: Tensor  # (B, C)


def fit_points(
    points: Array,
    contexts: Array | None,
    weights: Array | None,
    config: EnergyConfig,
    seed: int,
    on_step: OnStep = ignore,
) -> EnergyModel:
    """Learn E(x) from points (N, D), or E(x | c) with contexts (N, C); weights (N,) >= 0 say how often each is drawn.

    ValueError for empty, non-finite or mismatched data; DivergedError if the loss diverges.
    """
    given = contexts if contexts is not None else np.zeros((len(points), 0), np.float32)
    weights = weights if weights is not None else np.ones(len(points), np.float32)
    check_finite(points=points, contexts=given, weights=weights)
    if points.ndim != 2 or given.ndim != 2 or len(given) != len(points):
        raise ValueError(f"points must be (N, D) and contexts (N, C) with one N, got {points.shape} and {given.shape}")
    check_weights(weights, len(points))
    model = make_model(points.shape[1], given.shape[1], points, given, config, between=False, seed=seed)
    at, context, chances = model.normalise(points), model.normalise_context(given), torch.as_tensor(weights)

    def draw(count: int, generator: torch.Generator) -> Batch:
        row = torch.multinomial(chances, count, replacement=True, generator=generator)
        if contexts is None:  # one context, whose negatives serve all positives
            return Batch(at[row][None], context[:1])
        return Batch(at[row][:, None], context[row])

    train(model, draw, seed, on_step)
    return model


def make_model(
    size: int,
    context_size: int,
    visited: Array,
    contexts: Array,
    config: EnergyConfig,
    between: bool,
    seed: int,
    shape: tuple[int, int] | None = None,
    space: GoalSpace | None = None,
) -> EnergyModel:
    """Untrained, with the units of what was visited and the proposal's kernels spread over it; with the goals' `space`
    squares of so many moves about starts and goals, see `EnergyModel.widen`.

    ValueError for a flatness term with a context: then positives of one batch have offsets of their own.
    """
    if context_size and config.flatness:
        raise ValueError(f"flatness compares energies of one context, and here are many; set it to 0, got {config.flatness}")
    rng = np.random.default_rng(seed)
    some = visited[rng.permutation(len(visited))[: 50 * CENTRES]]
    num_centres = min(CENTRES, len(some)) if config.proposal.kernels else 0
    features = PLACE_FEATURES if space is not None else 0
    architecture = EnergyArchitecture(
        size=size, context_size=context_size, between=between, centres=num_centres, features=features, picture=shape
    )
    with seeded(seed):
        model = EnergyModel(architecture, config)
    if model.places is not None:
        assert space is not None
        model.places.fit(visited, np.array(space.units), space)
    model.set_units(visited, contexts)
    if model.proposal.kernels is not None:
        been = model.normalise(some)
        model.proposal.kernels.centres.copy_(been[farthest_points(been.numpy(), num_centres, rng)])
    return model.eval().requires_grad_(False)


def train(model: EnergyModel, draw: Callable[[int, torch.Generator], Batch], seed: int, on_step: OnStep) -> None:
    """Train a copy; `model` becomes its moving average. `draw(count, generator)` gives so many positives.

    A learned proposal is fitted to the positives as they come; negatives are drawn from it as it is, at its exact density.
    Features of squares (`EnergyModel.widen`) serve the network and the proposal, and learn from both.
    """
    config = model.config
    generator = torch.Generator().manual_seed(seed)
    learner = copy.deepcopy(model).requires_grad_(True)
    negatives = make_negatives(config, learner.proposal)
    parameters: list[Tensor] = list(learner.parameters())

    def seen(count: int) -> Batch:
        batch = draw(count, generator)
        return Batch(batch.positive, learner.widen(batch.context))

    def losses(step: int) -> tuple[Tensor, ...]:
        batch = seen(config.batch_size)
        noisy = _smeared(batch, config.noise, generator)
        drawn = negatives.draw(noisy.positive, batch.context, config.num_negatives, learner.energy, generator)
        loss = energy_loss(learner, noisy, drawn, batch.positive if config.flatness else None)
        if learner.proposal.learned is None:
            return (loss,)
        # a small network of few rows: it can afford a larger batch
        return loss, proposal_loss(learner, _smeared(seen(config.proposal_batch), config.noise, generator))

    def average(step: int) -> None:
        decay = min(config.ema, (1 + step) / (10 + step))  # follow closely at first, average later
        with torch.no_grad():
            torch._foreach_lerp_(list(model.parameters()), parameters, 1 - decay)

    optimizer = adam(parameters, config.learning_rate)
    descend(optimizer, losses, config.train_steps, what="the energy model", model=model, after=average, on_step=on_step)


def energy_loss(model: EnergyModel, batch: Batch, negatives: Drawn, clean: Tensor | None) -> Tensor:
    """Scalar. `clean` (1, P, D), if given, are the positives whose energies are to be equal."""
    config, network = model.config, model.network
    count = batch.positive.shape[1]
    points = torch.cat([batch.positive, negatives.points, *([clean] if clean is not None else [])], dim=1)
    with torch.no_grad():  # the proposal's own parameters learn from positives alone
        base = model.base(points, batch.context)
    energies = network.each(points, batch.context) + base[:, None]  # (B, K, P + N)
    positive, negative = energies[..., :count], energies[..., count : count + negatives.points.shape[1]]
    losses = _contrast(config, positive, negative, negatives)  # (B, K, P)
    ways = losses.movedim(1, 2).reshape(-1, config.points_per_way, config.latents)
    log_prior = network.log_prior(batch.context).repeat_interleave(count, dim=0)[:: config.points_per_way]
    loss = mixture_loss(ways, log_prior).mean()
    if clean is not None:
        loss = loss + config.flatness * energies[..., -clean.shape[1] :].var(dim=-1).mean()
    return loss


def proposal_loss(model: EnergyModel, batch: Batch) -> Tensor:
    """Scalar: -log-likelihood of the positives under the learned part of the proposal."""
    assert model.proposal.learned is not None
    return -model.proposal.learned.given(batch.context).log_density(batch.positive).mean()


def _smeared(batch: Batch, noise: float, generator: torch.Generator) -> Batch:
    return Batch(batch.positive + 2 * noise * torch.randn(batch.positive.shape, generator=generator), batch.context)


def _contrast(config: EnergyConfig, positive: Tensor, negative: Tensor, drawn: Drawn) -> Tensor:
    """(B, K, P), (B, K, N) energies -> (B, K, P)"""
    if config.loss == "rnce":
        assert drawn.log_density is not None and drawn.positive_log_density is not None  # EnergyConfig admits no others
        if torch.isneginf(drawn.positive_log_density).any():
            raise ValueError("the proposal's density is zero where a positive lies; give it kernels, or lower the noise")
        return ranking_nce_loss(positive, negative, drawn.positive_log_density[:, None], drawn.log_density[:, None])
    if config.loss == "infonce":
        return info_nce_loss(positive, negative)
    if config.loss == "hinge":
        return hinge_loss(positive, negative, config.margin)
    if config.loss == "cd":
        return contrastive_divergence_loss(positive, negative, config.l2)
    return energy_discrepancy_loss(positive, negative.unflatten(-1, (positive.shape[-1], -1)), config.stabiliser)


def check_finite(**arrays: Array) -> None:
    """ValueError, by name, for an array that is empty or holds NaN or inf."""
    for name, values in arrays.items():
        if len(values) < 1:
            raise ValueError(f"{name} is empty; there is nothing to learn from")
        if not np.isfinite(values).all():
            raise ValueError(f"{name} must be finite; drop the rows that hold NaN or inf")


def check_weights(weights: Array, count: int) -> None:
    if weights.shape != (count,):
        raise ValueError(f"weights must be ({count},), one per row, got {weights.shape}")
    if (weights < 0).any() or weights.sum() == 0:
        raise ValueError("weights must not be negative and not all zero")
