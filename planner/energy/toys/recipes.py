"""Toy problems, where the truth is known: recipes that were measured, one trial of them, and its scores."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from .. import metrics
from ..config import NEGATIVES_OF, EnergyConfig, LossName, NegativesName, ProposalConfig, SamplingConfig
from ..model import EnergyModel, generator_from
from ..train import fit_points
from .curves import CurveDensity, inverse_density_weights

Array = NDArray[np.floating]

NO_CONTEXT = np.zeros((1, 0), np.float32)  # toys have one context, and it is empty
NUM_SAMPLES = 2_000

HISTORICAL_ENERGY = EnergyConfig(
    loss="hinge",
    octaves=0,
    noise=0.0,
    train_steps=2_500,
    num_negatives=128,
    proposal=ProposalConfig(box=1.0, kernels=0.0, learned=0.0),
)
HISTORICAL_SAMPLING = SamplingConfig(method="descent", descent_steps=20, descent_rate=0.005)

# The normal that positives are smeared by has a standard deviation of 0.02 half-ranges, so slopes change by 1 / 0.02^2 per
# half-range: a descent of a rate above 2 * 0.02^2 overshoots, a chain of one far above 0.02^2 / 2 is rejected.
SAMPLINGS = {
    "sir": SamplingConfig(temperature=1.0, proposals=16_000),
    "langevin": SamplingConfig(method="langevin", temperature=1.0, langevin_steps=200, langevin_rate=2e-4, metropolis=True),
    "descent": SamplingConfig(method="descent", descent_steps=100, descent_rate=5e-4),
}


def toy_energy(loss: str = "rnce", negatives: str | None = None) -> EnergyConfig:
    """The recipe that was measured for a loss and its negatives, by default the first that fit it.

    Hinge goes without the flatness term, which would hide that it asks for no level along the curve. Chains cost 20 times a
    draw from the proposal, so half as many are run for half as long. ValueError for a loss or negatives that do not fit.
    """
    if loss not in NEGATIVES_OF:
        raise ValueError(f"loss must be one of {', '.join(NEGATIVES_OF)}, got {loss!r}")
    negatives = negatives if negatives is not None else NEGATIVES_OF[loss][0]
    if negatives == "mismatched":
        raise ValueError("negatives mismatched are positives of other contexts, and toys have one; take proposal")
    chains = negatives == "langevin"
    return EnergyConfig(
        loss=cast(LossName, loss),
        negatives=cast(NegativesName, negatives),
        octaves=3,
        train_steps=2_000 if chains else 4_000,
        num_negatives=128 if chains else 256,
        learning_rate=1e-3 if loss == "cd" else 2e-3,
        flatness=0.0 if loss == "hinge" else 10.0,
        noise=0.01,
        l2=0.1,
        proposal=ProposalConfig(box=0.35, kernels=0.65, learned=0.0, kernel_width=0.08),
    )


@dataclass(frozen=True, eq=False)
class Toy:
    """A fitted model, what was drawn from it, and how good both are."""

    density: CurveDensity
    model: EnergyModel
    samples: Array  # (2,000, 2)
    metrics: dict[str, float | None]


def run_toy(
    density: CurveDensity,
    energy: EnergyConfig,
    sampling: SamplingConfig,
    num_points: int,
    uniform: bool,
    seed: int,
    on_step: Callable[[int, float], None] = lambda step, loss: None,
) -> Toy:
    """Fit a model to `num_points` samples of the density, draw from it and score both; seconds are by the wall clock."""
    rng = np.random.default_rng(seed)
    began = time.perf_counter()
    model = fit_toy(density.sample(num_points, rng, uniform), energy, seed, on_step)
    fitted = time.perf_counter()
    drawn = model.draw(model.network, model.see(NO_CONTEXT), NUM_SAMPLES, sampling, generator_from(rng))
    samples = model.denormalise(drawn.points[0])
    seconds: dict[str, float | None] = {"train_seconds": fitted - began, "sample_seconds": time.perf_counter() - fitted}
    effective = {"effective_share": None if drawn.effective is None else float(drawn.effective[0])}
    return Toy(density, model, samples, score_toy(model, density, samples, rng) | effective | seconds)


def fit_toy(
    points: Array, config: EnergyConfig, seed: int, on_step: Callable[[int, float], None] = lambda step, loss: None
) -> EnergyModel:
    """Learn E(x) from points (N, 2), weighed so that they are even once smeared; as they come where the noise is 0.

    The noise is a share of each axis' range, the weights' width its mean: so that what is uniform is the mass per length and
    not the height, which are at odds where the ranges differ (moons, 2 to 1: KL 0.030 nats; by height 0.049).
    """
    width = config.noise * float(np.ptp(points, axis=0).mean())
    weights = inverse_density_weights(points, width) if config.noise > 0 else None
    return fit_points(points, None, weights, config, seed, on_step)


def curve_energies(model: EnergyModel, density: CurveDensity) -> Array:
    """(1,001,) energies at equal steps along the curve."""
    return model.energies(density.curve(), NO_CONTEXT)[0]


def score_toy(model: EnergyModel, density: CurveDensity, samples: Array, rng: np.random.Generator) -> dict[str, float | None]:
    """The energy along the curve and samples (N, 2) against the truth, see `metrics`.

    What is learned is the curve smeared by the noise on positives, so coverage is of as many points of the smeared curve.
    The branch share error is the largest gap between a branch's share of the samples and of the length.
    """
    energies = curve_energies(model, density)
    positions, distances = density.project(samples)
    noise = model.config.noise * (model.high - model.low).numpy()
    real = density.sample(len(samples), rng, uniform=True) + noise * rng.standard_normal(samples.shape)
    shares = np.bincount(density.branch_of(samples), minlength=len(density.branches)) / len(samples)
    return {
        "flat": metrics.flatness(energies),
        "p2p": metrics.peak_to_peak(energies),
        "kl_uniform": metrics.kl_to_uniform(positions),
        "kl_floor": metrics.kl_floor(len(samples), rng),
        "over": metrics.over(positions),
        "empty": metrics.empty(positions),
        "on": metrics.on_share(distances),
        "coverage": metrics.coverage(real, samples),
        "branch_share_error": float(np.abs(shares - density.branch_shares()).max()),
    }
