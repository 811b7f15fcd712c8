"""What the networks see of a goal observation: standardised, goal-relative, at several frequencies."""

from __future__ import annotations

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor

_FREQUENCIES = (1.0, 2.0, 4.0)  # half waves over the visited range; a wall is a sharp thing in the plane


class GoalFeatures(BaseFeaturesExtractor):
    """Dict observation -> flat features; it has statistics but nothing to train.

    The state, standardised; the goal's offset from what is achieved, at a coarse and a fine scale (the fine one keeps
    its slope near the goal, where the last steps are decided); sines and cosines of achieved goal and goal over their
    visited range. `fit` sets the statistics once, from the first transitions; they are saved with the weights.
    """

    state_mean: Tensor  # (S,)
    state_scale: Tensor  # (S,)
    goal_low: Tensor  # (G,)
    goal_range: Tensor  # (G,)
    frequencies: Tensor

    def __init__(self, observation_space: spaces.Dict) -> None:
        state_size = spaces.flatdim(observation_space["observation"])
        goal_size = spaces.flatdim(observation_space["desired_goal"])
        super().__init__(observation_space, state_size + goal_size * (2 + 4 * len(_FREQUENCIES)))
        self.register_buffer("state_mean", torch.zeros(state_size))
        self.register_buffer("state_scale", torch.ones(state_size))
        self.register_buffer("goal_low", torch.zeros(goal_size))
        self.register_buffer("goal_range", torch.ones(goal_size))
        self.register_buffer("frequencies", torch.tensor(_FREQUENCIES) * torch.pi)

    def fit(self, states: NDArray, goals: NDArray) -> None:
        """Set the statistics from visited (N, S) states and achieved (N, G) goals; entries that never vary keep scale 1."""
        low, span, scale = goals.min(axis=0), np.ptp(goals, axis=0), states.std(axis=0)
        self.state_mean.copy_(torch.as_tensor(states.mean(axis=0)))
        self.state_scale.copy_(torch.as_tensor(np.where(scale > 0, scale, 1.0)))
        self.goal_low.copy_(torch.as_tensor(low))
        self.goal_range.copy_(torch.as_tensor(np.where(span > 0, span, 1.0)))

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        state = (observations["observation"] - self.state_mean) / self.state_scale
        offset = (observations["desired_goal"] - observations["achieved_goal"]) / self.goal_range
        places = torch.cat([observations["achieved_goal"], observations["desired_goal"]], dim=-1)
        low, span = self.goal_low.repeat(2), self.goal_range.repeat(2)
        phases = (((places - low) / span)[..., None] * self.frequencies).flatten(-2)
        return torch.cat([state, offset * 4, torch.tanh(offset * 16), phases.sin(), phases.cos()], dim=-1)
