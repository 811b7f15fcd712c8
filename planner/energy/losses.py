"""Contrastive losses as pure functions of energies; low energy is likely.

P positives and N negatives share a context; any dimensions may stand in front. Each function returns one loss per positive.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def hinge_loss(positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """(..., P), (..., N) energies -> (..., P): mean over negatives of max(0, margin + E+ - E-) (margin ranking loss).

    The historical choice. It asks only that positives lie lower, so energies are not calibrated.
    """
    return F.relu(margin + positive[..., :, None] - negative[..., None, :]).mean(dim=-1)


def info_nce_loss(positive: Tensor, negative: Tensor) -> Tensor:
    """(..., P), (..., N) energies -> (..., P): cross-entropy of picking a positive among itself and the negatives.

    arXiv:1807.03748, eq. 4. At its optimum -E = log p(x | c) - log q(x) + const: relative to what negatives are drawn from.
    """
    return F.softplus(positive + torch.logsumexp(-negative, dim=-1, keepdim=True))


def ranking_nce_loss(positive: Tensor, negative: Tensor, positive_log_q: Tensor, negative_log_q: Tensor) -> Tensor:
    """(..., P), (..., N) energies and log-densities of the proposal q -> (..., P).

    Picks a positive among itself and the negatives, each corrected by the density it was proposed with: -log of
    [exp(-E+) / q+] / sum_k [exp(-E_k) / q_k] (ranking NCE, arXiv:1809.01812, eq. 5). At its optimum E = -log p + const(c).
    """
    return info_nce_loss(positive + positive_log_q, negative + negative_log_q)


def contrastive_divergence_loss(positive: Tensor, negative: Tensor, l2: float) -> Tensor:
    """(..., P), (..., N) energies -> (..., P): E+ - mean E- + l2 (E+^2 + mean E-^2) (arXiv:1903.08689, section 3).

    With negatives drawn from the model its gradient is that of the log-likelihood; the l2 term keeps energies near 0, which
    also bounds how sharp they can be.
    """
    spread = positive.square() + negative.square().mean(dim=-1, keepdim=True)
    return positive - negative.mean(dim=-1, keepdim=True) + l2 * spread


def energy_discrepancy_loss(positive: Tensor, perturbed: Tensor, stabiliser: float) -> Tensor:
    """(..., P), (..., P, M) energies -> (..., P): log(w / M + mean_j exp(E+ - E_j)) (arXiv:2307.06431, eq. 8).

    The M perturbed points of a positive are its smeared self, smeared once more each; neither slopes nor chains are needed.
    w, the stabiliser, keeps the logarithm away from 0 where all M lie much higher.
    """
    gaps = positive[..., None] - perturbed
    count = perturbed.shape[-1]
    floor = torch.full_like(positive, math.log(stabiliser) if stabiliser > 0 else -torch.inf)
    return torch.logaddexp(floor, torch.logsumexp(gaps, dim=-1)) - math.log(count)


def mixture_loss(losses: Tensor, log_prior: Tensor) -> Tensor:
    """(W, M, K) losses of the M points of W ways under each of K latents, (W, K) -> (W,) per point.

    A way has one z: -log sum_z pi_z exp(-sum_m loss_mz), over M. Each loss being -log of a likelihood, that is a mixture's
    (expectation-maximisation by gradient); for other losses it is a soft minimum over z. With K = 1 it is the mean.
    """
    return -torch.logsumexp(log_prior - losses.sum(dim=1), dim=1) / losses.shape[1]
