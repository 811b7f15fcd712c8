"""Goal-conditioned SAC: stable-baselines3's, with distances in its critic and practice in its collection."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import SAC
from stable_baselines3.common.utils import get_device, set_random_seed
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from thalweg.planner.many_maps.layout import Layout

from ..config import AgentConfig
from ..features.embedding_cache import FreshCodes, PlaceCodes
from ..features.geodesic_prior import WaysOfOneMap
from ..finite import NotFiniteError
from ..replay.batch import HerSamples, Inputs
from ..replay.her_buffer import HerBuffer
from ..replay.memory_check import check_memory
from .policy import GoalActorCritic, network_settings
from .update import Codes, Entropy, SacUpdate

# Env steps in a row, at least, before there are updates: step by step, what acts pushes what learns out of the processor's
# caches, and a training step of one env takes 6 to 8 % longer.
STEPS_IN_A_ROW = 16
_BATCHES_AT_ONCE = 16  # drawn in 0.4 of the time that each takes by itself; more would take memory


class GoalSAC(SAC):
    """A `stable_baselines3.SAC` to its users. What differs, and why:

    - The critic's target leaves the entropy bonus out: Q is then the expected return of the policy, hence a number of
      steps. The actor still maximises Q plus entropy.
    - While collecting, most goals pursued are near ones from the buffer: plans are chains of short links, so the short
      links are what must be practised.
    - The update does the same arithmetic with less work (`SacUpdate`); updates come after at least 16 env steps in a row.
    """

    policy: GoalActorCritic
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
        self.layout = layout_of(env)
        self._practice: np.ndarray | None = None  # (n_envs, G) goals pursued instead of the env's own
        self._practising = np.zeros(env.num_envs, dtype=bool)
        self._pursued_for = np.zeros(env.num_envs, dtype=np.int64)  # env steps since the goal was drawn
        at_once = config.updates_per_step * env.num_envs  # updates after one step of all envs ...
        period = max(1, round(1 / at_once))  # ... or one update after so many ...
        rounds = math.ceil(STEPS_IN_A_ROW / env.num_envs / period) * period  # ... and so often that there is a row of env steps
        # Nothing is overwritten, though a training that was broken off within a row begins another when it goes on. And there is
        # room for one step more: where the last one ended, the first of a training that goes on begins, so that in both the place
        # has the same number.
        buffer_size = (math.ceil(total_steps / env.num_envs) + rounds) * env.num_envs
        observation_space = env.observation_space
        assert isinstance(observation_space, spaces.Dict)  # for the type checker; the guard admits no other
        goal_size = spaces.flatdim(observation_space["desired_goal"])
        kept = PlaceCodes.kept_of(WaysOfOneMap(goal_size)) if self.layout is None else 0
        check_memory(observation_space, env.action_space, buffer_size, kept, get_device(device))
        super().__init__(
            GoalActorCritic,
            env,
            learning_rate=config.learning_rate,
            buffer_size=buffer_size,
            learning_starts=config.warmup_steps,
            batch_size=config.batch_size,
            tau=config.tau,
            gamma=config.discount,
            train_freq=rounds,
            gradient_steps=max(1, round(at_once * rounds)),
            replay_buffer_class=HerBuffer,
            replay_buffer_kwargs={
                "env": env,
                "relabel_horizon": config.relabel_horizon,
                "future_share": config.future_share,
                "nearby_share": config.nearby_share,
                "layout": self.layout,
            },
            ent_coef="auto_0.1",
            policy_kwargs=network_settings(config.hidden, config.discount, spaces.flatdim(env.action_space), self.layout),
            seed=seed,
            device=device,
            **kwargs,
        )
        self.replay_buffer.seed(seed)

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """SAC's update (arXiv:1812.05905) with an entropy-free critic target; logs the last batch's losses."""
        if self._n_updates == 0:
            self._fit_statistics()
        extractor = self.actor.features_extractor
        if self.num_timesteps >= extractor.ways.growth * int(extractor.visited):
            self._fit_ways()
        self._update_learning_rate([self.actor.optimizer, self.critic.optimizer, self.ent_coef_optimizer])
        for first in range(0, gradient_steps, _BATCHES_AT_ONCE):
            batches = min(gradient_steps - first, _BATCHES_AT_ONCE)
            losses = self._update(self.replay_buffer.sample(batch_size, batches=batches), batches)
        self._n_updates += gradient_steps
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/arrival_scale", self.replay_buffer.goal_test.scale, exclude="tensorboard")
        for name, loss in losses.items():
            self.logger.record(f"train/{name}", float(loss))

    def begin_episodes(self, seed: int) -> None:
        """Break off all episodes, seed every generator there is, and begin anew: nothing of the past goes on but what is
        stored, learnt and counted."""
        set_random_seed(seed)
        self.action_space.seed(seed)
        self.replay_buffer.seed(seed)
        self._break_off()
        assert self.env is not None
        self.env.seed(seed)
        self._last_obs = self.env.reset()
        self._last_episode_starts = np.ones(self.env.num_envs, dtype=bool)

    def restore_statistics(self, episodes: list[dict[str, Any]], successes: list[bool]) -> None:
        """The recent episodes that the log's averages are over."""
        self.ep_info_buffer = deque(episodes, maxlen=self._stats_window_size)
        self.ep_success_buffer = deque(successes, maxlen=self._stats_window_size)

    def set_parameters(self, *args: Any, **kwargs: Any) -> None:
        super().set_parameters(*args, **kwargs)
        self.optimizers_were_loaded()

    def optimizers_were_loaded(self) -> None:
        """What they hold lies elsewhere now than an update that was recorded on a GPU knows."""
        self._sac_update.launch_anew()

    def save_replay_buffer(self, *args: Any, **kwargs: Any) -> None:
        """Refused (ValueError), as is `load_replay_buffer`: stable-baselines3's file is a pickle, which can run code."""
        raise ValueError("a pickled replay can run code; scripts.train writes another kind, and --resume goes on with it")

    load_replay_buffer = save_replay_buffer

    def _setup_learn(self, *args: Any, **kwargs: Any) -> Any:
        """Where stable-baselines3 resets the envs, no episode goes on."""
        before = self._last_obs
        result = super()._setup_learn(*args, **kwargs)
        if self._last_obs is not before:
            self._break_off()
        return result

    def _break_off(self) -> None:
        self.replay_buffer.begin_episodes()
        self._codes.forget()
        self._practice = None
        self._practising[:] = False
        self._pursued_for[:] = 0

    def _excluded_save_params(self) -> list[str]:
        # the buffer is not saved either, from which the codes follow, and whose settings hold the env
        return [*super()._excluded_save_params(), "_codes", "_sac_update", "replay_buffer_kwargs"]

    def _setup_model(self) -> None:
        super()._setup_model()
        ways = self.actor.features_extractor.ways
        # a place's code in many maps holds nothing that would have to be worked out
        self._codes: Codes = PlaceCodes(self.replay_buffer, ways) if self.layout is None else FreshCodes(ways, self.device)
        # fused, in place of stable-baselines3's: quicker, and its steps are counted where the weights are
        self.ent_coef_optimizer = torch.optim.Adam([self.log_ent_coef], lr=self.lr_schedule(1), fused=True)
        entropy = Entropy(self.log_ent_coef, self.ent_coef_optimizer, float(self.target_entropy))
        dtype = getattr(torch, self.config.precision)
        self._sac_update = SacUpdate(self.policy, self._codes, entropy, self.gamma, self.tau, dtype)

    def _update(self, samples: HerSamples, batches: int = 1) -> dict[str, Tensor]:
        """One update with each of so many batches."""
        self._codes.update(samples)
        for batch in Inputs.of(samples, batches):
            loss = float(self._sac_update.gradients(batch))
            if not math.isfinite(loss):  # before it gets into a weight
                raise NotFiniteError(f"the critic's loss is {loss} at step {self.num_timesteps}; lower the learning rate")
            losses = self._sac_update.steps()
        return losses

    def _fit_statistics(self) -> None:
        """What the features are scaled by, and what counts as reached, from the first steps."""
        buffer = self.replay_buffer
        places = buffer.stored("achieved_goal")
        stored = buffer.stored("observation"), places, buffer.actions[: len(places)], buffer.moves()
        states, goals, actions, moves = (values.reshape(-1, values.shape[-1]) for values in stored)
        for network in (self.actor, self.critic, self.critic_target):
            network.features_extractor.fit(states, goals, actions, moves)
        buffer.goal_test.fit(goals, moves, self.config.arrival_moves)

    def _fit_ways(self) -> None:
        """Learn the ways over all that was visited; the seed makes a resumed training learn the same."""
        trajectories = self.replay_buffer.trajectories()
        extractors = [network.features_extractor for network in (self.actor, self.critic, self.critic_target)]
        ways = extractors[0].ways
        if any(np.ptp(trajectory.goals, axis=0).any() for trajectory in trajectories):
            ways.learn(trajectories, self.num_timesteps)
        # else nothing has moved yet: the ways stay as they are until more is stored
        for extractor in extractors:
            extractor.fit_ways(ways, self.num_timesteps)

    def _sample_action(self, learning_starts: int, action_noise: Any = None, n_envs: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """As SAC does, but towards the practice goals.

        The buffer keeps these: an agent that has come to rest against a corner on its way to a near goal must see that pair
        again. Among achieved goals, which were reached, and random ones, which are far, it hardly ever would.
        """
        if self.num_timesteps < learning_starts:
            return super()._sample_action(learning_starts, action_noise, n_envs)
        self._last_obs = {**self._last_obs, "desired_goal": self._pursued_goals(self._last_obs)}
        actions = self.policy.explore(self._last_obs, self._codes.now(self._last_obs))
        if action_noise is not None:
            actions = np.clip(actions + action_noise(), -1.0, 1.0)
        return self.policy.unscale_action(actions), actions

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
            arrived = self._practising & (self.replay_buffer.goal_test.rewards(achieved, self._practice) == 0.0)
            fresh = arrived | self._last_episode_starts | (self._pursued_for >= self.config.practice_steps)
        if fresh.any():
            maps = self.replay_buffer.numbers_of(observations["observation"][fresh])
            practised = self.replay_buffer.rng.random(fresh.sum()) < self.config.practice_share
            self._practice[fresh], known = self.replay_buffer.practice_goals(achieved[fresh], maps)
            self._practising[fresh] = practised & known
            self._pursued_for[fresh] = 0
        self._pursued_for += 1
        return np.where(self._practising[:, None], self._practice, own)

    def _store_transition(
        self, replay_buffer: Any, buffer_action: Any, new_obs: Any, reward: Any, dones: Any, infos: Any
    ) -> None:
        super()._store_transition(replay_buffer, buffer_action, new_obs, reward, dones, infos)
        self._last_episode_starts = dones


def layout_of(env: VecEnv) -> Layout | None:
    """The layout of an env whose states end in a picture of the map, which its `layout_shape` (X, Y) says; else None.

    ValueError if its goals have not two entries, or the states too few.
    """
    try:
        shape = env.get_attr("layout_shape", indices=[0])[0]
    except AttributeError:
        shape = None
    if shape is None:
        return None
    space = env.observation_space
    assert isinstance(space, spaces.Dict)  # for the type checker; the guard admits no other
    goal, state = space["desired_goal"], space["observation"]
    assert isinstance(goal, spaces.Box) and isinstance(state, spaces.Box)
    if np.shape(shape) != (2,):
        raise ValueError(f"layout_shape must be the picture's two lengths, got {shape!r}")
    layout = Layout((int(shape[0]), int(shape[1])), tuple(goal.low.tolist()), tuple(goal.high.tolist()))
    if layout.size >= state.shape[0]:
        raise ValueError(f"layout_shape {layout.shape} asks for more entries than the {state.shape[0]} of the observation")
    return layout
