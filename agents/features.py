"""What the networks see of a goal observation: standardised, goal-relative, in waves."""

from __future__ import annotations

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor

from planner.features import PlaceWaves


class GoalFeatures(BaseFeaturesExtractor):
    """Dict observation -> flat features; it has statistics but nothing to train.

    The state, standardised; the goal's offset from what is achieved, at a coarse and a fine scale (the fine one keeps
    its slope near the goal, where the last steps are decided); achieved goal and goal as `PlaceWaves`. `fit` sets the
    statistics once, from the first transitions; they are saved with the weights.
    """

    state_mean: Tensor  # (S,)
    state_scale: Tensor  # (S,)

    def __init__(self, observation_space: spaces.Dict) -> None:
        state_size = spaces.flatdim(observation_space["observation"])
        goal_size = spaces.flatdim(observation_space["desired_goal"])
        places = PlaceWaves(goal_size)
        super().__init__(observation_space, state_size + 2 * goal_size + 2 * places.size)
        self.places = places
        self.register_buffer("state_mean", torch.zeros(state_size))
        self.register_buffer("state_scale", torch.ones(state_size))

    def fit(self, states: NDArray, goals: NDArray, moves: NDArray) -> None:
        """Set the statistics from visited states (N, S), achieved goals (N, G) and how far a step moves them (N, G).

        Entries that never vary keep scale 1.
        """
        scale = states.std(axis=0)
        self.state_mean.copy_(torch.as_tensor(states.mean(axis=0)))
        self.state_scale.copy_(torch.as_tensor(np.where(scale > 0, scale, 1.0)))
        self.places.fit(goals, np.quantile(np.abs(moves), 0.95, axis=0))

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        achieved, desired = observations["achieved_goal"], observations["desired_goal"]
        state = (observations["observation"] - self.state_mean) / self.state_scale
        offset = (desired - achieved) / self.places.range
        waves = self.places(torch.stack([achieved, desired], dim=-2)).flatten(-2)
        return torch.cat([state, offset * 4, torch.tanh(offset * 16), waves], dim=-1)
