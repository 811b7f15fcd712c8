"""Known densities to draw candidates from: their log-density corrects the loss and weighs the samples."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from ..networks.mlp import mlp
from .config import ProposalConfig
from .networks import split_between

_BOX = 1.1  # half side of the box; visited points lie in [-1, 1]
_LEARNED_HIDDEN, _LEARNED_LAYERS = 128, 3
_LEAST_LOG_DENSITY = -12.0  # of the learned part: farther off an energy is level, but for what the network says
_NARROWEST, _WIDEST = math.log(0.003), math.log(1.0)  # of a learned normal [visited ranges, -1 to 1]


class Density(Protocol):
    """A density over points (D,) in each of B contexts."""

    def sample(self, num_samples: int, generator: torch.Generator) -> Tensor:
        """-> (B, num_samples, D)"""
        ...

    def log_density(self, candidates: Tensor) -> Tensor:
        """(B, N, D) -> (B, N), exact."""
        ...


class Part(Protocol):
    """A part of the proposal: a density for any contexts."""

    def sample(self, context: Tensor, num_samples: int, generator: torch.Generator) -> Tensor:
        """(B, C) -> (B, num_samples, D)"""
        ...

    def log_density(self, candidates: Tensor, context: Tensor) -> Tensor:
        """(B, N, D), (B, C) -> (B, N), exact."""
        ...


@dataclass(frozen=True, eq=False)
class PartGiven:
    """A part in B contexts."""

    part: Part
    context: Tensor  # (B, C)

    def sample(self, num_samples: int, generator: torch.Generator) -> Tensor:
        return self.part.sample(self.context, num_samples, generator)

    def log_density(self, candidates: Tensor) -> Tensor:
        return self.part.log_density(candidates, self.context)


class Box(nn.Module):
    """Uniform over visited ranges and a little more."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def sample(self, context: Tensor, num_samples: int, generator: torch.Generator) -> Tensor:
        return (torch.rand(len(context), num_samples, self.size, generator=generator) * 2 - 1) * _BOX

    def log_density(self, candidates: Tensor, context: Tensor) -> Tensor:
        inside = (candidates.abs() <= _BOX).all(dim=-1)
        return torch.where(inside, -self.size * math.log(2 * _BOX), -torch.inf)


class Kernels(nn.Module):
    """A normal round each of M visited points, whatever the context."""

    centres: Tensor  # (M, D)

    def __init__(self, num_centres: int, size: int, width: float) -> None:
        super().__init__()
        self.register_buffer("centres", torch.zeros(num_centres, size))
        self.width = width

    def sample(self, context: Tensor, num_samples: int, generator: torch.Generator) -> Tensor:
        shape = (len(context), num_samples)
        centres = self.centres[torch.randint(len(self.centres), shape, generator=generator)]
        return centres + self.width * torch.randn(centres.shape, generator=generator)

    def log_density(self, candidates: Tensor, context: Tensor) -> Tensor:
        return kernel_log_density(candidates, self.centres, self.width)


@dataclass(frozen=True, eq=False)
class Normals:
    """A mixture of axis-aligned normals in each of B contexts."""

    shares: Tensor  # (B, J) logarithms
    means: Tensor  # (B, J, D)
    widths: Tensor  # (B, J, D) logarithms of standard deviations

    def sample(self, num_samples: int, generator: torch.Generator) -> Tensor:
        """-> (B, num_samples, D)"""
        if not self.shares.isfinite().all():
            raise FloatingPointError("the learned proposal has parameters that are not finite")
        part = torch.multinomial(self.shares.exp(), num_samples, replacement=True, generator=generator)[..., None]
        part = part.expand(-1, -1, self.means.shape[-1])
        noise = torch.randn(part.shape, generator=generator)
        return self.means.gather(1, part) + self.widths.gather(1, part).exp() * noise

    def log_density(self, candidates: Tensor) -> Tensor:
        """(B, N, D) -> (B, N)"""
        squares = ((candidates[:, :, None] - self.means[:, None]) * (-self.widths[:, None]).exp()).square().sum(dim=-1)
        constant = self.widths.sum(dim=-1) + 0.5 * self.means.shape[-1] * math.log(2 * math.pi)
        return torch.logsumexp((self.shares - constant)[:, None] - 0.5 * squares, dim=-1)


class NormalMixture(nn.Module):
    """A mixture of axis-aligned normals that a network gives for each context (mixture density network, Bishop 1994).

    Learnt by maximum likelihood beside the energy, whose negatives it then makes hard ones (arXiv:2110.11948). With
    `between`, means are given as deviations from the straight line that vanish at its ends, as every way does: in a corridor of
    16 legs in 16 dimensions its k-NN coverage went from 0.18 to 0.51 by that alone.
    """

    def __init__(self, size: int, context_size: int, components: int, between: bool) -> None:
        super().__init__()
        self.size, self.components, self.between = size, components, between
        self.network = mlp(context_size, _LEARNED_HIDDEN, _LEARNED_LAYERS, components * (1 + 2 * size))

    def given(self, context: Tensor) -> Normals:
        """(B, C) -> what the network says of these contexts."""
        shares, means, widths = self.network(context).split([self.components, *[self.components * self.size] * 2], dim=1)
        means, widths = means.unflatten(1, (-1, self.size)), widths.unflatten(1, (-1, self.size))
        if self.between:
            start, goal, fraction = split_between(context[:, None], self.size)
            means = torch.lerp(start, goal, fraction) + 4 * fraction * (1 - fraction) * means
        return Normals(shares.log_softmax(dim=1), means, _NARROWEST + (_WIDEST - _NARROWEST) * torch.sigmoid(widths))


class Proposal(nn.Module):
    """A mixture of known densities; those with share 0 are left out.

    The box keeps the support whole, what is learned finds what the context asks for; without a context, visited points do.
    """

    def __init__(self, size: int, context_size: int, config: ProposalConfig, between: bool, num_centres: int) -> None:
        super().__init__()
        if config.learned and not context_size:
            raise ValueError("a learned proposal needs a context; without one set proposal.learned to 0")
        shares = {"box": config.box, "kernels": config.kernels, "learned": config.learned}
        self.shares = {name: share for name, share in shares.items() if share > 0}
        makers: dict[str, Callable[[], nn.Module]] = {
            "box": lambda: Box(size),
            "kernels": lambda: Kernels(num_centres, size, config.kernel_width),
            "learned": lambda: NormalMixture(size, context_size, config.components, between),
        }
        self.parts = nn.ModuleDict({name: makers[name]() for name in self.shares})

    @property
    def learned(self) -> NormalMixture | None:
        return cast(NormalMixture, self.parts["learned"]) if "learned" in self.shares else None

    @property
    def kernels(self) -> Kernels | None:
        return cast(Kernels, self.parts["kernels"]) if "kernels" in self.shares else None

    def given(self, context: Tensor) -> ProposalGiven:
        """(B, C) -> the proposal in these contexts, for whoever samples and weighs."""
        parts: dict[str, Density] = {}
        for name, part in self.parts.items():
            # its network is asked once; the others have nothing to compute from contexts alone
            parts[name] = part.given(context) if isinstance(part, NormalMixture) else PartGiven(cast(Part, part), context)
        return ProposalGiven(self.shares, parts)

    @torch.no_grad()
    def sample(self, context: Tensor, num_samples: int, generator: torch.Generator) -> Tensor:
        """(B, C) -> (B, num_samples, D); see `ProposalGiven.sample`."""
        return self.given(context).sample(num_samples, generator)


@dataclass(frozen=True, eq=False)
class ProposalGiven:
    """A proposal in B contexts."""

    shares: dict[str, float]
    parts: dict[str, Density]  # of the same names

    @torch.no_grad()
    def sample(self, num_samples: int, generator: torch.Generator) -> Tensor:
        """-> (B, num_samples, D), part by part.

        How many come from each part is drawn systematically, so on average it is exactly its share, and never far from it.
        """
        offset = float(torch.rand(1, generator=generator))
        ends = [min(int(share * num_samples + offset), num_samples) for share in itertools.accumulate(self.shares.values())]
        ends[-1] = num_samples  # whatever the rounding
        counts = [end - begin for begin, end in itertools.pairwise([0, *ends])]
        drawn = [part.sample(n, generator) for part, n in zip(self.parts.values(), counts, strict=True) if n]
        return torch.cat(drawn, dim=1)

    def weigh(self, candidates: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N, D) -> the exact log-density and `base`, both (B, N)."""
        parts = {name: part.log_density(candidates) for name, part in self.parts.items()}
        weighed = torch.stack([math.log(self.shares[name]) + part for name, part in parts.items()])
        return torch.logsumexp(weighed, dim=0), _base(candidates, parts.get("learned"))

    def base(self, candidates: Tensor) -> Tensor:
        """(B, N, D) -> (B, N) the energies to which a network's are relative: of the learned part, or 0."""
        learned = self.parts.get("learned")
        return _base(candidates, None if learned is None else learned.log_density(candidates))


def _base(candidates: Tensor, log_density: Tensor | None) -> Tensor:
    if log_density is None:
        return candidates.new_zeros(candidates.shape[:2])
    return -torch.logaddexp(log_density, torch.full_like(log_density, _LEAST_LOG_DENSITY))


def kernel_log_density(points: Tensor, centres: Tensor, width: float) -> Tensor:
    """Log-density (...) at points (..., G) of a normal kernel, sd `width`, on each of M centres (M, G)."""
    size = points.shape[-1]
    flat = points.reshape(-1, size)
    squares = flat.square().sum(dim=1)[:, None] - 2 * flat @ centres.T + centres.square().sum(dim=1)  # (P, M)
    log_kernels = -squares / (2 * width**2)
    constant = math.log(len(centres)) + size * (math.log(width) + 0.5 * math.log(2 * math.pi))
    return (torch.logsumexp(log_kernels, dim=1) - constant).reshape(points.shape[:-1])
