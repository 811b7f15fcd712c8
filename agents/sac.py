"""Goal-conditioned SAC: stable-baselines3's, with distances in its critic and practice in its collection."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor
from torch.nn import functional as F

from .config import AgentConfig
from .features import GoalFeatures
from .her_buffer import HerBuffer


class GoalSAC(SAC):
    """A `stable_baselines3.SAC` to its users. What differs, and why:

    - The critic's target leaves the entropy bonus out: Q is then the expected return of the policy, hence a number of
      steps. The actor still maximises Q plus entropy.
    - While collecting, most goals pursued are near ones from the buffer: plans are chains of short links, so the short
      links are what must be practised.
    - The update does the same arithmetic with less work: features (which hold nothing to train) once per batch, no
      weight gradients in the actor's pass, fused Adam, no host syncs.
    """

    replay_buffer: HerBuffer
    log_ent_coef: Any  # always learned here, so never None; Any because SB3 declares it None-able
    ent_coef_optimizer: Any
    target_entropy: Any
    critic_target: Any
    actor: Any
    critic: Any
    _last_obs: Any  # dict observations only

    def __init__(self, env: VecEnv, config: AgentConfig, total_steps: int, seed: int, device: str = "cpu", **kwargs: Any) -> None:
        self.config = config
        self._practice: np.ndarray | None = None  # (n_envs, G) goals pursued instead of the env's own
        self._practising = np.zeros(env.num_envs, dtype=bool)
        self._pursued_for = np.zeros(env.num_envs, dtype=np.int64)  # env steps since the goal was drawn
        super().__init__(
            "MultiInputPolicy",
            env,
            learning_rate=config.learning_rate,
            buffer_size=math.ceil(total_steps / env.num_envs) * env.num_envs,  # all of it: nothing is overwritten
            learning_starts=config.warmup_steps,
            batch_size=config.batch_size,
            tau=config.tau,
            gamma=config.discount,
            train_freq=1,
            gradient_steps=max(1, round(config.updates_per_step * env.num_envs)),
            replay_buffer_class=HerBuffer,
            replay_buffer_kwargs={
                "env": env,
                "relabel_horizon": config.relabel_horizon,
                "future_share": config.future_share,
                "nearby_share": config.nearby_share,
            },
            ent_coef="auto_0.1",
            policy_kwargs={
                "net_arch": list(config.hidden),
                "features_extractor_class": GoalFeatures,
                "optimizer_kwargs": {"fused": True},
            },
            seed=seed,
            device=device,
            **kwargs,
        )
        self.replay_buffer.seed(seed)

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """SAC's update (arXiv:1812.05905) with an entropy-free critic target; logs the last batch's losses."""
        if self._n_updates == 0:
            self._fit_features()
            self.replay_buffer.fit_arrival(self.config.arrival_moves)
        self.policy.set_training_mode(True)
        self._update_learning_rate([self.actor.optimizer, self.critic.optimizer, self.ent_coef_optimizer])
        for _ in range(gradient_steps):
            losses = self._update(self.replay_buffer.sample(batch_size))
        self._n_updates += gradient_steps
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/arrival_scale", self.replay_buffer.arrival_scale, exclude="tensorboard")
        for name, loss in losses.items():
            self.logger.record(f"train/{name}", float(loss))

    def _update(self, batch: Any) -> dict[str, Tensor]:
        with torch.no_grad():
            features = self.actor.features_extractor(batch.observations)
            next_features = self.actor.features_extractor(batch.next_observations)
            next_actions, _ = _squashed_sample(self.actor, next_features)
            next_q = torch.minimum(*_q_values(self.critic_target, next_features, next_actions))
            target = batch.rewards + (1 - batch.dones) * self.gamma * next_q

        q_values = _q_values(self.critic, features, batch.actions)
        critic_loss = 0.5 * torch.stack([F.mse_loss(q, target) for q in q_values]).sum()
        self.critic.optimizer.zero_grad()
        critic_loss.backward()
        self.critic.optimizer.step()

        actions, log_prob = _squashed_sample(self.actor, features)
        entropy_weight = self.log_ent_coef.detach().exp()
        self.critic.requires_grad_(False)
        actor_loss = (entropy_weight * log_prob - torch.minimum(*_q_values(self.critic, features, actions))).mean()
        self.actor.optimizer.zero_grad()
        actor_loss.backward()
        self.actor.optimizer.step()
        self.critic.requires_grad_(True)

        entropy_loss = -(self.log_ent_coef * (log_prob.detach() + self.target_entropy)).mean()
        self.ent_coef_optimizer.zero_grad()
        entropy_loss.backward()
        self.ent_coef_optimizer.step()

        with torch.no_grad():
            torch._foreach_lerp_(list(self.critic_target.parameters()), list(self.critic.parameters()), self.tau)
        return {"critic_loss": critic_loss.detach(), "actor_loss": actor_loss.detach(), "ent_coef": entropy_weight}

    def _fit_features(self) -> None:
        states, goals = (self.replay_buffer.stored(key) for key in ("observation", "achieved_goal"))
        for network in (self.actor, self.critic, self.critic_target):
            network.features_extractor.fit(states.reshape(-1, states.shape[-1]), goals.reshape(-1, goals.shape[-1]))

    def _sample_action(self, learning_starts: int, action_noise: Any = None, n_envs: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """As SAC does, but towards the practice goals. The buffer keeps the env's own goals: samples are relabelled."""
        if self.num_timesteps < learning_starts:
            return super()._sample_action(learning_starts, action_noise, n_envs)
        own = self._last_obs
        self._last_obs = {**own, "desired_goal": self._pursued_goals(own)}
        try:
            return super()._sample_action(learning_starts, action_noise, n_envs)
        finally:
            self._last_obs = own

    def _pursued_goals(self, observations: dict[str, np.ndarray]) -> np.ndarray:
        """(n_envs, G): per env its practice goal, or its own.

        Drawn anew at each episode's start, on arrival, and when it has been pursued for long: in episodes of hundreds of
        steps an agent that cannot reach its goal yet would stand at a wall for most of its training.
        """
        achieved, own = observations["achieved_goal"], observations["desired_goal"]
        if self._practice is None:
            self._practice = own.copy()
            fresh = np.ones(len(own), dtype=bool)
        else:
            arrived = self._practising & (self.replay_buffer.rewards_for(achieved, self._practice) == 0.0)
            fresh = arrived | self._last_episode_starts | (self._pursued_for >= self.config.practice_steps)
        if fresh.any():
            self._practising[fresh] = self.replay_buffer.rng.random(fresh.sum()) < self.config.practice_share
            self._practice[fresh] = self.replay_buffer.practice_goals(achieved[fresh])
            self._pursued_for[fresh] = 0
        self._pursued_for += 1
        return np.where(self._practising[:, None], self._practice, own)

    def _store_transition(
        self, replay_buffer: Any, buffer_action: Any, new_obs: Any, reward: Any, dones: Any, infos: Any
    ) -> None:
        super()._store_transition(replay_buffer, buffer_action, new_obs, reward, dones, infos)
        self._last_episode_starts = dones


def _squashed_sample(actor: Any, features: Tensor) -> tuple[Tensor, Tensor]:
    """(B, F) features -> (B, A) actions in [-1, 1] and their (B, 1) log-probabilities."""
    latent = actor.latent_pi(features)
    log_std = actor.log_std(latent).clamp(-20, 2)
    actions, log_prob = actor.action_dist.log_prob_from_params(actor.mu(latent), log_std)
    return actions, log_prob[:, None]


def _q_values(critic: Any, features: Tensor, actions: Tensor) -> list[Tensor]:
    inputs = torch.cat([features, actions], dim=1)
    return [q_net(inputs) for q_net in critic.q_networks]
