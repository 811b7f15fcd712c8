"""The networks of `GoalSAC`, as stable-baselines3 arranges them."""

from __future__ import annotations

from typing import Any

import torch
from stable_baselines3.common.policies import ContinuousCritic
from stable_baselines3.sac.policies import MultiInputPolicy
from torch import Tensor

from planner.layout import Layout

from .features import GoalFeatures


class GoalCritic(ContinuousCritic):
    """Q is what the visited ways promise, and what the networks have learnt that they promise too much or too little.

    The temporal-difference errors that the networks see are then those of a reward shaped by a potential (Ng et al. 1999):
    how much nearer one step brings the goal shows in that very step, and need not come back from the goal step by step.
    """

    features_extractor: GoalFeatures

    def forward(self, obs: Any, actions: Tensor) -> tuple[Tensor, ...]:
        return self.returns(self.extract_features(obs, self.features_extractor), actions)

    def returns(self, features: Tensor, actions: Tensor) -> tuple[Tensor, ...]:
        """(B, F), (B, A) in [-1, 1] -> (B, 1) by each network."""
        prior, inputs = self.features_extractor.prior_return(features), torch.cat([features, actions], dim=1)
        return tuple(prior + network(inputs) for network in self.q_networks)


class GoalActorCritic(MultiInputPolicy):
    def make_critic(self, features_extractor: Any = None) -> GoalCritic:
        return GoalCritic(**self._update_features_extractor(self.critic_kwargs, features_extractor)).to(self.device)


def network_settings(hidden: tuple[int, ...], discount: float, action_size: int, layout: Layout | None) -> dict[str, Any]:
    """Keyword arguments of the policy."""
    return {
        "net_arch": list(hidden),
        "features_extractor_class": GoalFeatures,
        "features_extractor_kwargs": {"discount": discount, "action_size": action_size, "layout": layout},
        "optimizer_kwargs": {"fused": True},
    }
