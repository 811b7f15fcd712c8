"""The networks of `GoalSAC`, as stable-baselines3 arranges them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.policies import ContinuousCritic
from stable_baselines3.sac.policies import MultiInputPolicy
from torch import Tensor

from thalweg.planner.many_maps.layout import Layout

from ..features.goal_features import GoalFeatures
from .stall_recovery import Rest, carry_on, way_out
from .tanh_normal import draw

Array = NDArray[np.floating]


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
    actor: Any  # its feature extractor is ours

    def set_training_mode(self, mode: bool) -> None:
        """Nothing in these networks has one. To tell every module of it, as stable-baselines3 does for each action, takes longer
        than these take to act."""
        if mode != self.training:
            super().set_training_mode(mode)

    def predict(  # type: ignore[override]
        self,
        observation: dict[str, Array],
        state: Sequence[Any] | None = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[Array, tuple[Rest, ...] | None]:
        """As stable-baselines3's. Noise leads on an agent that has come to rest; without it, `way_out` does, if what is returned
        beside the actions is handed in with the next observation, as `evaluate_policy` does."""
        actions = super().predict(observation, deterministic=deterministic)[0]
        if not deterministic:
            return actions, None
        names = ("observation", "achieved_goal", "desired_goal")
        # copies: an env may write its next observation where this one lies
        states, places, goals = (np.atleast_2d(np.array(observation[name], np.float32)) for name in names)
        extractor = self.actor.features_extractor
        carried = carry_on(state, episode_start, places, extractor.move.cpu().numpy())
        rows = [row for row, rest in enumerate(carried) if rest.left > 0]
        if rows:
            with torch.no_grad():
                parts = (torch.as_tensor(values[rows], device=self.device) for values in (states, places, goals))
                down = extractor.downhill(*parts).cpu().numpy()
            known = np.abs(down).max(axis=1) > 0
            out = np.stack([way_out(own, carried[row].rests) for own, row in zip(down, rows, strict=True)])
            # a view, so that what is changed in it is changed in the one action of a single observation, too
            actions.reshape(len(places), -1)[np.array(rows)[known]] = self.unscale_action(out[known])
        return actions, carried

    @torch.inference_mode()
    def explore(self, observations: dict[str, Array], codes: tuple[Tensor, Tensor]) -> Array:
        """(B, ...) observations and the codes of their places and goals -> actions (B, A) in [-1, 1], drawn."""
        extractor = self.actor.features_extractor
        names = ("observation", "achieved_goal", "desired_goal")
        parts = (torch.as_tensor(observations[name], dtype=torch.float32, device=self.device) for name in names)
        hidden = self.actor.latent_pi(extractor.of(*parts, extractor.ways.query(*codes)))
        return draw(torch.cat([self.actor.mu(hidden), self.actor.log_std(hidden)], dim=1)).actions.cpu().numpy()

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
