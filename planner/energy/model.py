"""A fitted energy with its units and its proposal; env units outside, visited ranges inside."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..networks.place_features import GridFeatures
from ..networks.stored import State, reading
from .config import EnergyArchitecture, EnergyConfig, SamplingConfig
from .layout_network import LayoutEnergyNetwork
from .networks import EnergyNetwork
from .proposals import Proposal
from .sampling import Energy, Sample, make_sampling

Array = NDArray[np.floating]


class EnergyModel(nn.Module):
    """E(x | c) over points (D,) in contexts (C,); with C = 0 it is E(x).

    Where a proposal is learned beside the energy, the network gives only what that lacks: E = f(x, c) - log q(x | c) with q the
    learned part (a residual energy, arXiv:2004.11714). In a corridor of 16 dimensions an energy of its own was a worse density
    than its proposal (k-NN coverage 0.84 against 0.96).

    Energies carry an offset of their own per context and per latent: compare them within one only, or take `log_density`.
    """

    low: Tensor  # (D,) least visited point, env units
    high: Tensor  # (D,)
    context_low: Tensor  # (C,)
    context_high: Tensor  # (C,)

    def __init__(self, architecture: EnergyArchitecture, config: EnergyConfig) -> None:
        super().__init__()
        size, context_size, between = architecture.size, architecture.context_size, architecture.between
        self.config, self.architecture = config, architecture
        self.places = GridFeatures(size, architecture.features) if architecture.features else None
        self.network: EnergyNetwork | LayoutEnergyNetwork
        seen = context_size if self.places is None else context_size + 2 * self.places.size
        if architecture.picture is not None:
            self.network = LayoutEnergyNetwork(context_size, architecture.picture, config.hidden, config.layers)
        else:
            self.network = EnergyNetwork(
                size, seen, config.hidden, config.layers, config.octaves, between=between, latents=config.latents
            )
        self.proposal = Proposal(size, seen, config.proposal, between, architecture.centres)
        for name, count in (("", size), ("context_", context_size)):
            self.register_buffer(f"{name}low", -torch.ones(count))
            self.register_buffer(f"{name}high", torch.ones(count))

    def see(self, contexts: Array) -> Tensor:
        """(B, C) env units -> (B, C') what the network and the proposal are given: visited ranges, widened."""
        return self.widen(self.normalise_context(contexts))

    def widen(self, context: Tensor) -> Tensor:
        """(B, C) -> (B, C'): (start, goal, u) -> (start, goal, what is learnt about their squares, u), where there are squares.

        Two places at a wall's two sides are close, but the ways from them may be far apart. For a fifth of the far pairs in a
        15-cell maze a network that is given their coordinates alone imagined three in ten of the nodes or more off the way, with
        squares for two or three in a hundred.
        """
        if self.places is None:
            return context
        ends, fraction = context[:, :-1], context[:, -1:]
        places = self.low + (ends.unflatten(1, (2, -1)) + 1) / 2 * (self.high - self.low)
        return torch.cat([ends, self.places(places).flatten(1), fraction], dim=1)

    def each(self, candidates: Tensor, context: Tensor) -> Tensor:
        """(B, N, D), (B, C') -> (B, K, N) in visited ranges: E(x, c, z) for every z."""
        return self.network.each(candidates, context) + self.base(candidates, context)[:, None]

    def energy(self, candidates: Tensor, context: Tensor) -> Tensor:
        """(B, N, D), (B, C') -> (B, N) in visited ranges: the least over z."""
        return self.each(candidates, context).amin(dim=1)

    def base(self, candidates: Tensor, context: Tensor) -> Tensor:
        """(B, N, D), (B, C') -> (B, N): what the network's energies are relative to."""
        return self.proposal.given(context).base(candidates)

    @torch.no_grad()
    def energies(self, points: Array, contexts: Array) -> Array:
        """(N, D) or (B, N, D), (B, C) -> (B, N) energies [nats]; of the likeliest latent."""
        context = self.see(contexts)
        candidates = self.normalise(points).expand(len(context), -1, -1)
        return self.energy(candidates, context).numpy()

    @torch.no_grad()
    def log_partition(self, contexts: Array, rng: np.random.Generator, num_candidates: int = 4_096) -> Array:
        """(B, C) -> (B,) log of the integral of exp(-E) over visited ranges, from proposals weighed by their density.

        E + log Z is -log p, with p a density per visited half-range: comparable between contexts.
        """
        context = self.see(contexts)
        given = self.proposal.given(context)
        pool = given.sample(num_candidates, generator_from(rng))
        log_density, base = given.weigh(pool)
        log_weights = -self.network(pool, context) - base - log_density
        return (torch.logsumexp(log_weights, dim=1) - np.log(num_candidates)).numpy()

    @torch.no_grad()
    def log_density(self, points: Array, contexts: Array, rng: np.random.Generator, num_candidates: int = 4_096) -> Array:
        """(N, D) or (B, N, D), (B, C) -> (B, N) log p(x | c) per visited half-range, latents weighed by their prior.

        Each latent's energy has an offset of its own, too, so each is normalised by itself, as in `log_partition`.
        """
        context = self.see(contexts)
        given = self.proposal.given(context)
        pool = given.sample(num_candidates, generator_from(rng))
        log_density, base = given.weigh(pool)
        log_weights = -self.network.each(pool, context) - (base + log_density)[:, None]
        log_partition = torch.logsumexp(log_weights, dim=2) - np.log(num_candidates)  # (B, K)
        energies = self.each(self.normalise(points).expand(len(context), -1, -1), context)
        offsets = self.network.log_prior(context) - log_partition
        return torch.logsumexp(offsets[..., None] - energies, dim=1).numpy()

    def sample(self, contexts: Array, num_samples: int, config: SamplingConfig, rng: np.random.Generator) -> Array:
        """(B, C) -> (B, num_samples, D)"""
        drawn = self.draw(self.network, self.see(contexts), num_samples, config, generator_from(rng))
        return self.denormalise(drawn.points)

    def draw(
        self, energy: Energy, context: Tensor, num_samples: int, config: SamplingConfig, generator: torch.Generator
    ) -> Sample:
        """From energies relative to `base`, as a network gives them; visited ranges inside and out.

        Warns when importance weights rest on few of the candidates.
        """
        drawn = make_sampling(config)(energy, self.proposal, context, num_samples, generator)
        if drawn.effective is not None and float(drawn.effective.median()) < config.least_effective:
            warnings.warn(  # without the share itself: one text is shown once, a new one each time
                f"a draw rests on less than {config.least_effective:.0%} of its candidates (effective share); "
                f"raise `proposals` or the temperature, or train the proposal longer",
                stacklevel=3,
            )
        return drawn

    def normalise(self, points: Array) -> Tensor:
        """Env units -> visited ranges, [-1, 1]. ValueError, naming the sizes, for points of another dimension."""
        if points.shape[-1] != len(self.low):
            raise ValueError(f"points have {points.shape[-1]} entries, but the model was fitted to {len(self.low)}")
        return 2 * (torch.as_tensor(np.asarray(points, np.float32)) - self.low) / (self.high - self.low) - 1

    def normalise_context(self, contexts: Array) -> Tensor:
        if contexts.ndim != 2 or contexts.shape[1] != len(self.context_low):
            raise ValueError(f"contexts must be (B, {len(self.context_low)}), got {contexts.shape}")
        low, high = self.context_low, self.context_high
        return 2 * (torch.as_tensor(np.asarray(contexts, np.float32)) - low) / (high - low) - 1

    def denormalise(self, points: Tensor) -> Array:
        return (self.low + (points + 1) / 2 * (self.high - self.low)).numpy()

    def set_units(self, points: Array, contexts: Array) -> None:
        """Visited ranges from points (N, D) and contexts (N, C); an entry that never varies keeps a range of 1."""
        for name, values in (("", points), ("context_", contexts)):
            low, high = values.min(axis=0), values.max(axis=0)
            getattr(self, f"{name}low").copy_(torch.as_tensor(low))
            getattr(self, f"{name}high").copy_(torch.as_tensor(np.where(high > low, high, low + 1.0)))

    def state(self) -> State:
        """Weights, and the settings with the architecture; what `from_state` reads."""
        return self.state_dict(), {**asdict(self.config), "architecture": asdict(self.architecture)}

    @classmethod
    def from_state(cls, tensors: Mapping[str, Tensor], settings: Mapping[str, Any]) -> EnergyModel:
        """OtherVersionError where they do not fit."""
        with reading("energy model"):
            architecture = EnergyArchitecture.from_settings(settings["architecture"])
            config = EnergyConfig.from_settings({name: value for name, value in settings.items() if name != "architecture"})
            model = cls(architecture, config)
            model.load_state_dict(dict(tensors))
        return model.eval().requires_grad_(False)


def generator_from(rng: np.random.Generator) -> torch.Generator:
    return torch.Generator().manual_seed(int(rng.integers(2**63)))
