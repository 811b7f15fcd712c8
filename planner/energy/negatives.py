"""What positives are contrasted with: one file, one call signature, and the density wherever it is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from .config import EnergyConfig
from .proposals import Proposal
from .sampling import Energy, langevin

_HARD_POOL, _HARD_EXPONENT = 4, 0.5
_LANGEVIN_STEPS, _LANGEVIN_RATE, _BUFFER, _FRESH = 20, 2e-3, 10_000, 0.05
_PERTURBED, _PERTURBATION = 16, 0.1


@dataclass(frozen=True, eq=False)
class Drawn:
    """Negatives, and the log-densities that positives and negatives would be drawn with; None where that is not known."""

    points: Tensor  # (B, N, D)
    log_density: Tensor | None = None  # (B, N), up to a constant per context
    positive_log_density: Tensor | None = None  # (B, P), up to the same constant


class Negatives(Protocol):
    def draw(self, positive: Tensor, context: Tensor, num: int, energy: Energy, generator: torch.Generator) -> Drawn:
        """(B, P, D) positives, (B, C) contexts -> `num` negatives per context."""
        ...


@dataclass(frozen=True, eq=False)
class ProposalNegatives:
    """From a known density, whatever the energy."""

    proposal: Proposal

    def draw(self, positive: Tensor, context: Tensor, num: int, energy: Energy, generator: torch.Generator) -> Drawn:
        with torch.no_grad():
            given = self.proposal.given(context)
            points = given.sample(num, generator)
            log_q = given.weigh(torch.cat([positive, points], dim=1))[0]
        return Drawn(points, log_q[:, positive.shape[1] :], log_q[:, : positive.shape[1]])


@dataclass(frozen=True, eq=False)
class MismatchedNegatives:
    """Positives of other contexts: (x, c') in place of (x, c). ValueError where there is but one context."""

    def draw(self, positive: Tensor, context: Tensor, num: int, energy: Energy, generator: torch.Generator) -> Drawn:
        count = len(positive)
        if count < 2:
            raise ValueError("mismatched negatives are positives of other contexts, and there is only one; take proposal")
        row = torch.arange(count)[:, None]
        other = (row + torch.randint(1, count, (count, num), generator=generator)) % count
        return Drawn(positive[other, torch.randint(positive.shape[1], (count, num), generator=generator)])


@dataclass(frozen=True, eq=False)
class HardNegatives:
    """The likelier of several proposals, by prioritised sampling (the exponent as in arXiv:1511.05952).

    Of `_HARD_POOL` times as many candidates from q, drawn with priorities w^a, w = exp(-E) / q and a = 1/2: that is, nearly,
    from q^(1 - a) exp(-a E), the density they carry. a = 0 is the proposal, a = 1 the model itself.
    """

    proposal: Proposal

    def draw(self, positive: Tensor, context: Tensor, num: int, energy: Energy, generator: torch.Generator) -> Drawn:
        with torch.no_grad():
            given = self.proposal.given(context)
            pool = given.sample(_HARD_POOL * num, generator)
            both = torch.cat([positive, pool], dim=1)
            log_q = given.weigh(both)[0]
            priority = _HARD_EXPONENT * (-energy(both, context) - log_q)
        if not priority.isfinite().all():
            raise FloatingPointError("the energies of the candidates are not finite")
        first = positive.shape[1]
        chosen = torch.multinomial(priority[:, first:].softmax(dim=1), num, replacement=True, generator=generator)
        log_density = log_q + priority
        points = pool.gather(1, chosen[..., None].expand(-1, -1, pool.shape[-1]))
        return Drawn(points, log_density[:, first:].gather(1, chosen), log_density[:, :first])


class LangevinNegatives:
    """The ends of Langevin chains that go on from a buffer of earlier ends; some begin anew (arXiv:1903.08689, section 3.1)."""

    def __init__(self, proposal: Proposal) -> None:
        self.proposal = proposal
        self.buffer: Tensor | None = None  # (_BUFFER, D)

    def draw(self, positive: Tensor, context: Tensor, num: int, energy: Energy, generator: torch.Generator) -> Drawn:
        points = self.proposal.sample(context, num, generator)
        if self.buffer is None:
            first = torch.randint(points[..., 0].numel(), (_BUFFER,), generator=generator)
            self.buffer = points.flatten(0, 1)[first]
        place = torch.randint(len(self.buffer), points.shape[:2], generator=generator)
        fresh = torch.rand(*points.shape[:2], 1, generator=generator) < _FRESH
        points = torch.where(fresh, points, self.buffer[place])
        points = langevin(energy, points, context, _LANGEVIN_STEPS, _LANGEVIN_RATE, (1.0, 1.0), False, generator)
        self.buffer[place] = points
        return Drawn(points)


@dataclass(frozen=True, eq=False)
class PerturbedNegatives:
    """For energy discrepancy: each positive smeared by a normal, and that M times more: (B, P M, D), whatever `num`."""

    def draw(self, positive: Tensor, context: Tensor, num: int, energy: Energy, generator: torch.Generator) -> Drawn:
        smeared = positive + _PERTURBATION * torch.randn(positive.shape, generator=generator)
        rows, count, size = positive.shape
        again = _PERTURBATION * torch.randn(rows, count, _PERTURBED, size, generator=generator)
        return Drawn((smeared[:, :, None] + again).flatten(1, 2))


def make_negatives(config: EnergyConfig, proposal: Proposal) -> Negatives:
    makers: dict[str, Callable[[], Negatives]] = {
        "proposal": lambda: ProposalNegatives(proposal),
        "mismatched": MismatchedNegatives,
        "hard": lambda: HardNegatives(proposal),
        "langevin": lambda: LangevinNegatives(proposal),
        "perturbed": PerturbedNegatives,
    }
    return makers[config.negatives]()
