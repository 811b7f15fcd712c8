"""The ways that an agent has gone, as its networks are told of them: in one map, or in many that are seen as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from planner.data import Trajectory
from planner.distances.local import LocalDistanceConfig, LocalWays, fit_local_ways
from planner.distances.quasimetric import Quasimetric, QuasimetricDistanceConfig, fit_quasimetric
from planner.layout import Layout


class Ways(Protocol):
    """A module that `GoalFeatures` asks; nothing in it is trained by the agent's losses."""

    num_seen: int  # entries of what is seen of the map about a place

    def steps(self, states: Tensor, here: Tensor, desired: Tensor) -> tuple[Tensor, Tensor]:
        """(B, S), the goals (B, G) that they achieve, (B, G) -> (B,) env steps, (B, num_seen).

        Differentiable in `here`.
        """
        ...

    def learn(self, data: Sequence[Trajectory], seed: int) -> None:
        """Learn anew from all that was visited. ValueError if nothing moves."""
        ...


class WaysOfOneMap(Quasimetric):
    """Place by place; what a place looks like tells nothing."""

    num_seen = 0

    def __init__(self, goal_size: int) -> None:
        super().__init__(goal_size, QuasimetricDistanceConfig())
        self.requires_grad_(False)
        for parameter in self.layers[-1].parameters():
            nn.init.zeros_(parameter)  # before anything is learnt, every way takes 0 steps

    def steps(self, states: Tensor, here: Tensor, desired: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            ends = self(desired)
        return self.gap(self(here), ends), here[..., :0]

    def learn(self, data: Sequence[Trajectory], seed: int) -> None:
        self.load_state_dict(fit_quasimetric(data, QuasimetricDistanceConfig(), seed).state_dict())


class WaysOfManyMaps(LocalWays):
    """By the surroundings of a place; of these, the nearer half is seen. Beyond their reach the rest is taken to be straight."""

    near: Tensor  # indices of the looks that are seen

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout, LocalDistanceConfig(rounds=1))
        self.requires_grad_(False)
        self.register_buffer("near", (self.looks.abs() <= 0.5).all(dim=1).nonzero()[:, 0], persistent=False)
        self.num_seen = len(self.near)

    def steps(self, states: Tensor, here: Tensor, desired: Tensor) -> tuple[Tensor, Tensor]:
        pictures = states[..., -self.layout.size :].reshape(-1, *self.layout.shape)
        seen = self.see(pictures, here)
        offsets = desired - here
        beyond = (offsets.norm(dim=-1) / self.reach).clamp(min=1.0)
        steps = self(pictures, seen, here, here + offsets / beyond[..., None]) + self.pace * (beyond - 1)
        return steps, seen[..., self.near].detach()

    def learn(self, data: Sequence[Trajectory], seed: int) -> None:
        self.load_state_dict(fit_local_ways(data, self.layout, self.config, seed).state_dict())
