"""Whole sequences of places under a transition energy: first guesses, and their improvement."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree
from torch import Tensor
from torch.nn.functional import avg_pool1d

from ..energy.transition import TransitionEnergy
from ..graph.search import trace

Array = NDArray[np.floating]

_VARIETY = 0.3  # standard deviation of the log of a random factor on a link's cost: each guess finds a way of its own


@torch.no_grad()
def improve(
    energy: Callable[[Tensor, Tensor], Tensor],
    sequences: Tensor,
    spread: Tensor,
    perturbations: int,
    iterations: int,
    window: int,
    generator: torch.Generator,
) -> Tensor:
    """(R, H + 1, D) sequences -> the same, of less energy; their ends stay.

    Model-predictive path integrals: at each iteration every sequence is bent in many random ways, and becomes the mean of these
    weighed by exp(-energy), at temperature 1. The weights are those of each place's own surroundings, `window` links on each
    side, as in STOMP (Kalakrishnan et al. 2011): by the energy of the whole sequence, one bend of dozens would take all the
    weight. A bend is a Brownian bridge, each step of which varies by `spread` (D,) at first and a tenth of it in the end.
    """
    for i in range(iterations):
        size = spread * 0.1 ** (i / max(iterations - 1, 1))
        bent = sequences[:, None] + size * _bridges(sequences, perturbations, generator)
        bent[:, 0] = sequences
        links = energy(bent[..., :-1, :], bent[..., 1:, :])  # (R, K, H)
        around = 2 * window * avg_pool1d(links, 2 * window, 1, window)[..., 1:-1]  # (R, K, H - 1)
        weights = torch.softmax(-around, dim=1)
        sequences = sequences.clone()
        sequences[:, 1:-1] = (weights[..., None] * bent[..., 1:-1, :]).sum(dim=1)
    return sequences


def _bridges(sequences: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """(R, H + 1, D) -> (R, count, H + 1, D) random walks of unit steps that end where they began, at 0."""
    steps = torch.randn(len(sequences), count, *sequences.shape[1:], generator=generator)
    steps[..., 0, :] = 0.0
    walks = steps.cumsum(dim=2)
    along = torch.linspace(0, 1, sequences.shape[1])[:, None]
    return walks - along * walks[..., -1:, :]


def straight_guesses(start: Array, goal: Array, count: int, rng: np.random.Generator) -> list[Array]:
    """(D,), (D,) -> lines (33, D): a straight one, and others ever more bent."""
    along = np.linspace(0, 1, 33)[:, None]
    bends = rng.standard_normal((count, 3, len(start))) / np.arange(1, 4)[:, None]
    waves = np.sin(np.pi * along * np.arange(1, 4))  # (33, 3)
    size = np.linalg.norm(goal - start) * np.linspace(0, 1, count)
    return list(start + along * (goal - start) + size[:, None, None] * (waves @ bends))


def roadmap_guesses(
    energy: TransitionEnergy, start: Array, goal: Array, places: Array, neighbours: int, count: int, rng: np.random.Generator
) -> list[Array]:
    """(D,), (D,), places (N, D) -> up to `count` lines (K, D) from place to place, the first the cheapest, others near it.

    A line costs the tries that its steps take, see `TransitionEnergy.tries`.
    """
    points = np.vstack([start, goal, places]).astype(np.float32)
    width = energy.width.numpy()
    near = cKDTree(points / width).query(points / width, k=min(neighbours + 1, len(points)))[1][:, 1:]
    here = np.concatenate([np.repeat(np.arange(len(points)), near.shape[1]), near.ravel(), [0]])
    there = np.concatenate([near.ravel(), np.repeat(np.arange(len(points)), near.shape[1]), [1]])
    here, there = np.unique(np.stack([here, there])[:, here != there], axis=1)
    costs = line_costs(energy, points[here], points[there])
    guesses = []
    for index in range(count):
        varied = costs * np.exp((index > 0) * _VARIETY * rng.standard_normal(len(costs)))
        graph = coo_array((varied, (here, there)), shape=(len(points),) * 2).tocsr()
        before = dijkstra(graph, indices=0, return_predecessors=True)[1]
        guesses.append(points[trace(before, 0, 1)])
    return guesses


def line_costs(energy: TransitionEnergy, starts: Array, ends: Array) -> Array:
    """(N, D), (N, D) -> (N,) tries along straight lines at the usual pace."""
    pace = float(energy.pace)
    steps = np.ceil(np.linalg.norm((ends - starts) / energy.width.numpy(), axis=1) / pace).clip(1).astype(int)
    line = np.repeat(np.arange(len(starts)), steps)
    number = np.arange(len(line)) - np.repeat(np.cumsum(steps) - steps, steps)
    move = ((ends - starts) / steps[:, None])[line]
    before = starts[line] + number[:, None] * move
    tries = energy.tries(energy.energies(before, before + move))
    return np.bincount(line, weights=tries, minlength=len(starts)).astype(np.float64)
