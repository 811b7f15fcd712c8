"""Contrastive losses as pure functions of energies; low energy is likely."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def ranking_nce_loss(
    positive: Tensor, negative: Tensor, positive_log_q: Tensor, negative_log_q: Tensor, weight: Tensor
) -> Tensor:
    """(B,), (B, N) energies; (B,), (B, N) log-densities of the proposal q; (B,) weights -> weighted mean, scalar.

    Picks the positive among 1 + N, each corrected by the density it was proposed with: -log of
    [exp(-E+) / q+] / sum_k [exp(-E_k) / q_k] (ranking NCE, arXiv:1809.01812, eq. 5). At its optimum E = -log p + const.
    """
    logits = torch.cat([(-positive - positive_log_q)[:, None], -negative - negative_log_q], dim=1)
    return (weight * (torch.logsumexp(logits, dim=1) - logits[:, 0])).sum() / weight.sum()


def hinge_loss(positive: Tensor, negative: Tensor, weight: Tensor, margin: float) -> Tensor:
    """(B,), (B, N) energies, (B,) weights -> weighted mean, scalar: max(0, margin + E+ - E-) (margin ranking loss).

    The historical choice. It asks only that positives lie lower, so energies are not calibrated.
    """
    return (weight * F.relu(margin + positive[:, None] - negative).mean(dim=1)).sum() / weight.sum()
