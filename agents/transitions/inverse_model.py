"""Which action leads from a place to the next: learned from what actions did."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from thalweg.planner.fitting import adam, constant, descend, seeded
from thalweg.planner.networks.mlp import mlp

Array = NDArray[np.floating]

_BATCH, _RATE = 128, 1e-3


class InverseModel:
    """(place, next place) -> action, by least squares. Places are centred and scaled, moves counted in usual ones."""

    def __init__(self, low: Array, high: Array, action_low: Array, action_high: Array, seed: int) -> None:
        """Bounds of places (D,) and of actions (A,)."""
        self._middle, self._half = (high + low) / 2, (high - low) / 2
        self._action_low, self._action_high = action_low, action_high
        self._unit: Array | None = None  # (D,) root mean square of the moves, once there are some
        with seeded(seed):
            self._network = mlp(2 * len(low), 64, 2, len(action_low))
        self._optimizer = adam(self._network.parameters(), _RATE)  # its momenta are kept from one update to the next

    def update(self, before: Array, after: Array, actions: Array, train_steps: int, seed: int) -> None:
        """Learn on from (N, D), (N, D), (N, A), old and new. Moves are measured by those of the first call.

        DivergedError if the loss diverges.
        """
        if self._unit is None:
            self._unit = np.maximum(np.sqrt(np.square(after - before).mean(axis=0)), 1e-12)
        seen, wanted = self._seen(before, after), torch.as_tensor(np.asarray(actions, np.float32))
        generator = torch.Generator().manual_seed(seed)

        def loss(step: int) -> torch.Tensor:
            row = torch.randint(len(seen), (_BATCH,), generator=generator)
            return (self._network(seen[row]) - wanted[row]).square().mean()

        descend(self._optimizer, loss, train_steps, what="the inverse model", schedule=constant)

    @torch.no_grad()
    def action(self, place: Array, target: Array) -> Array:
        """(D,), (D,) a usual step away -> (A,) within the bounds. ValueError before the first update."""
        wanted = self._network(self._seen(place[None], target[None]))[0].numpy()
        return np.clip(wanted, self._action_low, self._action_high)

    def _seen(self, before: Array, after: Array) -> torch.Tensor:
        if self._unit is None:
            raise ValueError("nothing has been learned yet; call update first")
        parts = [(before - self._middle) / self._half, (after - before) / self._unit]
        return torch.as_tensor(np.concatenate(parts, axis=1).astype(np.float32))
