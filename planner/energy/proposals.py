"""Known densities to draw candidates from: their log-density corrects the loss and weighs the samples."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from .config import ProposalConfig
from .networks import mlp, split_between

_BOX = 1.1  # half side of the box; visited points lie in [-1, 1]
_LEARNED_HIDDEN, _LEARNED_LAYERS = 128, 3
_NARROWEST, _WIDEST = math.log(0.003), math.log(1.0)  # of a learned normal [visited ranges, -1 to 1]


class Density(Protocol):
    """What a part of the proposal offers."""

    def sample(self, context: Tensor, num_samples: int, generator: torch.Generator) -> Tensor:
        """(B, C) -> (B, num_samples, D)"""
        ...

    def log_density(self, candidates: Tensor, context: Tensor) -> Tensor:
        """(B, N, D), (B, C) -> (B, N), exact."""
        ...


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


class Tube(nn.Module):
    """Round the straight line between start and goal, all along it; the context is (start, goal, fraction)."""

    def __init__(self, width: float) -> None:
        super().__init__()
        self.width = width

    def sample(self, context: Tensor, num_samples: int, generator: torch.Generator) -> Tensor:
        start, goal, _ = split_between(context[:, None])
        along = torch.rand(len(context), num_samples, 1, generator=generator)
        noise = torch.randn(len(context), num_samples, start.shape[-1], generator=generator)
        return torch.lerp(start, goal, along) + self.width * noise

    def log_density(self, candidates: Tensor, context: Tensor) -> Tensor:
        start, goal, _ = split_between(context[:, None])
        return tube_log_density(candidates, start, goal, self.width)


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

    def parts(self, context: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, C) -> log-shares (B, J), means and log-standard-deviations (B, J, D)."""
        shares, means, widths = self.network(context).split([self.components, *[self.components * self.size] * 2], dim=1)
        means, widths = means.unflatten(1, (-1, self.size)), widths.unflatten(1, (-1, self.size))
        if self.between:
            start, goal, fraction = split_between(context[:, None])
            means = torch.lerp(start, goal, fraction) + 4 * fraction * (1 - fraction) * means
        return shares.log_softmax(dim=1), means, _NARROWEST + (_WIDEST - _NARROWEST) * torch.sigmoid(widths)

    def sample(self, context: Tensor, num_samples: int, generator: torch.Generator) -> Tensor:
        shares, means, widths = self.parts(context)
        if not shares.isfinite().all():
            raise FloatingPointError("the learned proposal has parameters that are not finite")
        part = torch.multinomial(shares.exp(), num_samples, replacement=True, generator=generator)[..., None]
        part = part.expand(-1, -1, self.size)
        noise = torch.randn(part.shape, generator=generator)
        return means.gather(1, part) + widths.gather(1, part).exp() * noise

    def log_density(self, candidates: Tensor, context: Tensor) -> Tensor:
        shares, means, widths = (part[:, None] for part in self.parts(context))  # (B, 1, J, ...)
        squares = ((candidates[:, :, None] - means) * (-widths).exp()).square().sum(dim=-1)
        constant = widths.sum(dim=-1) + 0.5 * self.size * math.log(2 * math.pi)
        return torch.logsumexp(shares - 0.5 * squares - constant, dim=-1)


class Proposal(nn.Module):
    """A mixture of known densities; those with share 0 are left out.

    The box keeps the support whole, the tube finds the straight way, visited points find the way round a wall, and what is
    learned finds what the context asks for.
    """

    def __init__(self, size: int, context_size: int, config: ProposalConfig, between: bool, num_centres: int) -> None:
        super().__init__()
        if config.tube and not between:
            raise ValueError("the tube runs from a start to a goal; without these in the context set proposal.tube to 0")
        if config.learned and not context_size:
            raise ValueError("a learned proposal needs a context; without one set proposal.learned to 0")
        shares = {"box": config.box, "tube": config.tube, "kernels": config.kernels, "learned": config.learned}
        self.shares = {name: share for name, share in shares.items() if share > 0}
        makers: dict[str, Callable[[], nn.Module]] = {
            "box": lambda: Box(size),
            "tube": lambda: Tube(config.tube_width),
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

    def _densities(self) -> list[Density]:
        return [cast(Density, part) for part in self.parts.values()]

    @torch.no_grad()
    def sample(self, context: Tensor, num_samples: int, generator: torch.Generator) -> Tensor:
        """(B, C) -> (B, num_samples, D), part by part.

        How many come from each part is drawn systematically, so on average it is exactly its share, and never far from it.
        """
        ends = torch.tensor([0.0, *self.shares.values()], dtype=torch.float64).cumsum(0) * num_samples
        ends = (ends + torch.rand(1, generator=generator)).floor().clamp_max(num_samples)
        ends[0], ends[-1] = 0, num_samples  # whatever the rounding
        counts = ends.diff().long().tolist()
        drawn = [part.sample(context, n, generator) for part, n in zip(self._densities(), counts, strict=True) if n]
        return torch.cat(drawn, dim=1)

    def log_density(self, candidates: Tensor, context: Tensor) -> Tensor:
        """(B, N, D), (B, C) -> (B, N), exact."""
        weighed = zip(self.shares.values(), self._densities(), strict=True)
        parts = [math.log(share) + part.log_density(candidates, context) for share, part in weighed]
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
