"""What the networks see of a goal observation: standardised, goal-relative, and which way the goal lies."""

from __future__ import annotations

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor

from thalweg.planner.goal_space import GoalSpace
from thalweg.planner.many_maps.layout import Layout
from thalweg.planner.networks.goal_metric import GoalMetric

from ..sac.stall_recovery import pull_of
from .geodesic_prior import ManyMapsPrior, OneMapPrior, PriorFeatures, prior_of


class GoalFeatures(BaseFeaturesExtractor):
    """Dict observation -> flat features; it has statistics but nothing that the agent's losses train.

    The state, standardised; the goal's offset from what is achieved, the short way round, at a coarse and a fine scale (the fine
    one keeps its slope near the goal, where the last steps are decided); how far the goal is by the ways that were visited, and
    how a step along each entry changes that; what lies about the agent: where it has been (`LocalView`), or, where the state ends
    in a picture of the map, what that shows nearby, in the picture's place. From the places alone a network would have to learn
    each pair of places by heart to tell which way leads round a wall; the shortest ways over all that was visited are learnt in
    seconds, place by place (`planner/distances/quasimetric.py`), and what is left to learn, how to move along a way, is much the
    same everywhere.

    `fit` sets the statistics once, from the first transitions, and `fit_prior` the ways, again and again as places come in;
    all are saved with the weights.
    """

    state_mean: Tensor  # (S,)
    state_scale: Tensor  # (S,)
    goal_range: Tensor  # (G,) visited
    move: Tensor  # (G,) how far a step moves the achieved goal
    pull: Tensor  # (A, G) how far an action does, see `pull_of`
    visited: Tensor  # () stored transitions that the ways are of; 0 before the first, when they are not to be used

    def __init__(self, observation_space: spaces.Dict, discount: float, action_size: int, layout: Layout | None = None) -> None:
        goal_size = spaces.flatdim(observation_space["desired_goal"])
        ways = prior_of(layout, goal_size)
        state_size = self.own = spaces.flatdim(observation_space["observation"]) - ways.picture_size
        super().__init__(observation_space, state_size + 3 * goal_size + ways.num_seen + 1)
        self.discount = discount
        self.ways = ways
        self.register_buffer("state_mean", torch.zeros(state_size))
        self.register_buffer("state_scale", torch.ones(state_size))
        self.register_buffer("goal_range", torch.ones(goal_size))
        self.register_buffer("move", torch.ones(goal_size))
        self.register_buffer("pull", torch.zeros(action_size, goal_size))
        self.metric = GoalMetric(goal_size)
        self.register_buffer("visited", torch.zeros((), dtype=torch.int64))

    def fit(self, states: NDArray, goals: NDArray, actions: NDArray, moves: NDArray, space: GoalSpace | None = None) -> None:
        """Set the statistics from visited states (N, S), achieved goals (N, G), actions (N, A) in [-1, 1], how far these steps
        moved the goals (N, G), and the goals' space.

        Entries that never vary keep scale and range 1.
        """
        own = states[:, : self.own]
        scale, span = own.std(axis=0), np.ptp(goals, axis=0)
        self.state_mean.copy_(torch.as_tensor(own.mean(axis=0)))
        self.state_scale.copy_(torch.as_tensor(np.where(scale > 0, scale, 1.0)))
        self.goal_range.copy_(torch.as_tensor(np.where(span > 0, span, 1.0)))
        self.move.copy_(torch.as_tensor(np.quantile(np.abs(moves), 0.95, axis=0)))
        self.pull.copy_(torch.as_tensor(pull_of(own, actions, moves)))
        if space is not None:
            self.metric.fit(space)

    def fit_prior(self, ways: OneMapPrior | ManyMapsPrior, visited: int) -> None:
        self.ways.load_state_dict(ways.state_dict())
        self.visited.fill_(visited)

    def downhill(self, states: Tensor, achieved: Tensor, desired: Tensor) -> Tensor:
        """(B, S), (B, G), (B, G) -> (B, A) in [-1, 1]: down the visited ways as hard as can be; 0 where nothing tells which way
        that is."""
        told = self._told(states, achieved, desired)
        down = -told.slope @ self.pull.T
        return down / down.abs().amax(dim=-1, keepdim=True).clamp(min=1e-12)

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        states, achieved, desired = (observations[key] for key in ("observation", "achieved_goal", "desired_goal"))
        return self.of(states, achieved, desired, self._told(states, achieved, desired))

    def _told(self, states: Tensor, achieved: Tensor, desired: Tensor) -> PriorFeatures:
        return self.ways.query(self.ways.code(states, achieved), self.ways.code_goals(desired))

    def of(self, states: Tensor, achieved: Tensor, desired: Tensor, told: PriorFeatures) -> Tensor:
        """(..., S), (..., G), (..., G) and what the ways tell of them -> (..., F); the desired goals are broadcast."""
        own = (states[..., : self.own] - self.state_mean) / self.state_scale
        offset = self.metric.short(desired - achieved) / self.goal_range
        slope = (told.slope * self.move).clamp(-2.0, 2.0)
        parts = [own, offset * 4, torch.tanh(offset * 16), told.seen, slope, told.steps.log1p()[..., None] / 2]
        return torch.cat(parts, dim=-1)

    def prior_return(self, features: Tensor) -> Tensor:
        """What `forward` gave, (..., F) -> (..., 1): the return of an agent that takes the visited way at the usual speed."""
        steps = (2 * features[..., -1:]).expm1().clamp(min=1.0)
        return (self.discount ** (steps - 1) - 1) / (1 - self.discount)
