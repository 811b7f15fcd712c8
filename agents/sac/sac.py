"""Goal-conditioned SAC: stable-baselines3's, with distances in its critic and practice in its collection."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Self

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import SAC
from stable_baselines3.common.utils import get_device, set_random_seed
from torch import Tensor

from thalweg.planner.goal_space import GoalSpace

from ..config import AgentConfig
from ..env_layout import layout_of, periods_of
from ..features.embedding_cache import EmbeddingCache, UncachedEmbeddings
from ..features.geodesic_prior import prior_of
from ..finite import NotFiniteError
from ..goal_vec_env import goal_vec_env
from ..model_file import Place, read_learnt, read_model, write_model
from ..precision import warn_of_slow_bfloat16
from ..replay.batch import HerSamples, Inputs
from ..replay.her_buffer import HerBuffer
from ..replay.memory_check import check_memory
from .policy import GoalActorCritic, network_settings
from .practice import Practice
from .pursuits import Pursuits
from .sb3_arguments import PASSED_ON, check_policy, settings_of
from .update import Embeddings, Entropy, SacUpdate

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
    - `save` writes no pickle. So `GoalSAC.load` reads what it wrote, and `SAC.load` cannot.

    The usual arguments of SAC are taken, or refused in one line that names the way; what else can be set is in `config`, and an
    argument goes before its field there. `env` may be a goal env of gymnasium, its id, or a `VecEnv`. The replay has room for
    `total_steps` env steps, or `buffer_size`, or, if neither is given, grows with each `learn`. `learning_rate` may be a
    function of the progress that remains, 1 to 0. ValueError or TypeError for what cannot be.
    """

    policy: GoalActorCritic
    replay_buffer: HerBuffer
    log_ent_coef: Any  # never None; Any because SB3 declares it None-able
    ent_coef_optimizer: Any
    target_entropy: Any
    critic_target: Any
    actor: Any
    critic: Any
    _last_obs: Any  # dict observations only

    def __init__(
        self,
        policy: str | type[GoalActorCritic] = "MultiInputPolicy",
        env: Any = None,
        learning_rate: float | Callable[[float], float] | None = None,
        *,
        config: AgentConfig | None = None,
        total_steps: int | None = None,
        buffer_size: int | None = None,
        ent_coef: str | float = "auto_0.1",
        policy_kwargs: dict[str, Any] | None = None,
        seed: int | None = None,
        device: torch.device | str = "cpu",
        **sb3: Any,
    ) -> None:
        check_policy(policy)
        if not isinstance(ent_coef, str) and ent_coef <= 0:
            raise ValueError(f"ent_coef must be positive, or 'auto', got {ent_coef}")
        env = goal_vec_env(env)
        config = settings_of(config or AgentConfig(num_envs=env.num_envs), env.num_envs, learning_rate, policy_kwargs, sb3)
        self.config = config
        self.layout = layout_of(env)
        self.periods = periods_of(env)  # as the env says; None where what was seen tells
        self._scheduled = callable(learning_rate)
        self.fixed_size = buffer_size
        self._grows = total_steps is None and buffer_size is None
        at_once = config.updates_per_step * env.num_envs  # updates after one step of all envs ...
        period = max(1, round(1 / at_once))  # ... or one update after so many ...
        # ... and so often that there is a row of env steps
        self._rounds = math.ceil(STEPS_IN_A_ROW / env.num_envs / period) * period
        room = buffer_size if buffer_size is not None else self._room_for(total_steps or 0, env.num_envs) * env.num_envs
        goal_size = spaces.flatdim(env.observation_space["desired_goal"])
        kept = prior_of(self.layout, goal_size).kept
        check_memory(env.observation_space, env.action_space, room, kept, get_device(device))
        warn_of_slow_bfloat16(config.precision, str(device))
        super().__init__(
            GoalActorCritic,
            env,
            learning_rate=learning_rate if self._scheduled else config.learning_rate,  # type: ignore[arg-type]
            buffer_size=room,
            learning_starts=config.warmup_steps,
            batch_size=config.batch_size,
            tau=config.tau,
            gamma=config.discount,
            train_freq=self._rounds,
            gradient_steps=max(1, round(at_once * self._rounds)),
            replay_buffer_class=HerBuffer,
            replay_buffer_kwargs={
                "env": env,
                "relabel_horizon": config.relabel_horizon,
                "future_share": config.future_share,
                "nearby_share": config.nearby_share,
                "layout": self.layout,
            },
            ent_coef=ent_coef,
            policy_kwargs=network_settings(config.hidden, config.discount, spaces.flatdim(env.action_space), self.layout),
            seed=seed,
            device=device,
            **{name: value for name, value in sb3.items() if name in PASSED_ON},
        )
        self.replay_buffer.seed(seed)
        if self.periods is not None and any(self.periods):
            self.replay_buffer.measure(GoalSpace(goal_size, periods=self.periods))

    def _room_for(self, total_steps: int, num_envs: int) -> int:
        """Steps of each env.

        Nothing is overwritten, though a training that was broken off within a row begins another when it goes on. And there is
        room for one step more: where the last one ended, the first of a training that goes on begins, so that in both the place
        has the same number.
        """
        return math.ceil(total_steps / num_envs) + self._rounds

    def make_room(self, num_steps: int) -> None:
        """Let the replay hold so many steps of each env, if it grows; ReplayMemoryError if there is no memory for them."""
        if not self._grows or num_steps <= self.replay_buffer.buffer_size:
            return
        kept = self.actor.features_extractor.ways.kept
        check_memory(self.observation_space, self.action_space, num_steps * self.n_envs, kept, self.device)
        self.replay_buffer.grow(num_steps)
        self.buffer_size = num_steps * self.n_envs
        self._codes = self._codes_of_places()
        self._sac_update.ask(self._codes)
        self.tensors_have_moved()

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """SAC's update (arXiv:1812.05905) with an entropy-free critic target; logs the last batch's losses."""
        if self._n_updates == 0:
            self._fit_statistics()
        extractor = self.actor.features_extractor
        known, held = int(extractor.visited), self.replay_buffer.num_added * self.n_envs
        # of a training that goes on without what it had stored, as much must come in first as the ways are of
        if self.num_timesteps >= extractor.ways.growth * known and held >= known:
            self._fit_prior()
        optimizers = [self.actor.optimizer, self.critic.optimizer]
        self._update_learning_rate([*optimizers, self.ent_coef_optimizer] if self._learns_entropy else optimizers)
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

    @property
    def learning_rate_now(self) -> float:
        """Of a schedule, what it says of the progress there is; where that is 0, what it began with."""
        return float(self.lr_schedule(self._current_progress_remaining)) or self.config.learning_rate

    @property
    def pursuits(self) -> Pursuits:
        """How the pursuits of goals ended while collecting; its text says in one line what was learnt."""
        return self.practice.pursuits

    def dump_logs(self) -> None:
        for name, outcomes in self.pursuits.rows():
            if outcomes:
                self.logger.record(f"rollout/success_{name}", float(np.mean(outcomes)))
        super().dump_logs()

    def restore_statistics(self, episodes: list[dict[str, Any]], successes: list[bool], pursuits: dict[str, list[bool]]) -> None:
        """The recent episodes and pursuits that the log's averages are over."""
        self.ep_info_buffer = deque(episodes, maxlen=self._stats_window_size)
        self.ep_success_buffer = deque(successes, maxlen=self._stats_window_size)
        self.pursuits.restore(pursuits)

    def set_parameters(self, load_path_or_dict: Any, exact_match: bool = True, device: torch.device | str = "auto") -> None:
        """From what `get_parameters` gave, or from a file that `save` wrote. DamagedError for another file."""
        if isinstance(load_path_or_dict, dict):
            super().set_parameters(load_path_or_dict, exact_match, device)
            self.tensors_have_moved()
        else:
            read_learnt(self, load_path_or_dict)

    def tensors_have_moved(self) -> None:
        """What they hold, or the codes of places, lies elsewhere now than an update that was recorded on a GPU knows."""
        self._sac_update.launch_anew(at_once=not self._scheduled)

    def save(self, path: Place, exclude: Iterable[str] | None = None, include: Iterable[str] | None = None) -> None:
        """Write all that `load` needs to go on learning: a zip of safetensors, arrays and JSON, which `SAC.load` cannot read.

        What is stored to learn from is by far the most of it, and left out with `exclude=["replay_buffer"]`. FloatingPointError,
        naming the tensor, if a weight is not finite.
        """
        write_model(self, path, with_replay="replay_buffer" not in set(exclude or ()) - set(include or ()))

    @classmethod
    def load(  # type: ignore[override]  # its arguments are SB3's, but for the objects of a pickle
        cls, path: Place, env: Any = None, device: torch.device | str = "auto", **kwargs: Any
    ) -> Self:
        """The model that `save` wrote. Without an env it predicts, and can be given one by `set_env`.

        `learn(..., reset_num_timesteps=False)` goes on. Where another number of envs is stepped at once, the stored replay does
        not fit: it is left out, with a warning. `kwargs` are arguments of GoalSAC, in place of those it was made with; a schedule
        of learning rates has to be given again. DamagedError for another file, ValueError for an env of other spaces.
        """
        return read_model(cls, path, env, device, kwargs)

    def set_env(self, env: Any, force_reset: bool = True) -> None:
        """ValueError unless it is a goal env of the same spaces, as many at once."""
        env = goal_vec_env(env)
        if env.num_envs != self.n_envs:
            raise ValueError(
                f"this model steps {self.n_envs} envs at once, got {env.num_envs}; GoalSAC.load(path, env) takes any number"
            )
        super().set_env(env, force_reset)
        self.replay_buffer.goal_test.ask(env)

    def save_replay_buffer(self, *args: Any, **kwargs: Any) -> None:
        """Refused (ValueError), as is `load_replay_buffer`: stable-baselines3's file is a pickle, which can run code."""
        raise ValueError(
            "a pickled replay can run code: use `save`, which writes the replay, too, and `load`, which goes on from it"
        )

    load_replay_buffer = save_replay_buffer

    def _setup_learn(self, total_timesteps: int, *args: Any, **kwargs: Any) -> Any:
        """Where stable-baselines3 resets the envs, no episode goes on."""
        if self.env is None:
            raise ValueError("this model was loaded without an env; give it one: set_env(env), or GoalSAC.load(path, env)")
        before = self._last_obs
        result = super()._setup_learn(total_timesteps, *args, **kwargs)
        self.make_room(self.replay_buffer.num_stored + self._room_for(total_timesteps, self.n_envs))
        if self._last_obs is not before:
            self._break_off()
        return result

    def _break_off(self) -> None:
        self.replay_buffer.begin_episodes()
        self._codes.forget()
        self.practice.break_off()

    def _setup_model(self) -> None:
        super()._setup_model()
        self.practice = Practice(self.replay_buffer, self.config, self.n_envs)
        self._codes = self._codes_of_places()
        self._learns_entropy = isinstance(self.ent_coef, str) and self.ent_coef.startswith("auto")
        if not self._learns_entropy:  # a weight that stays is one whose optimiser takes no steps
            self.log_ent_coef = torch.log(torch.full((1,), float(self.ent_coef), device=self.device)).requires_grad_()
        rate = self.lr_schedule(1) if self._learns_entropy else 0.0
        # fused, in place of stable-baselines3's: quicker, and its steps are counted where the weights are
        self.ent_coef_optimizer = torch.optim.Adam([self.log_ent_coef], lr=rate, fused=True)
        entropy = Entropy(self.log_ent_coef, self.ent_coef_optimizer, float(self.target_entropy))
        dtype = getattr(torch, self.config.precision)
        self._sac_update = SacUpdate(self.policy, self._codes, entropy, self.gamma, self.tau, dtype)
        if self._scheduled:  # a recorded update keeps its learning rate
            self.tensors_have_moved()

    def _codes_of_places(self) -> Embeddings:
        ways = self.actor.features_extractor.ways
        return EmbeddingCache(self.replay_buffer, ways) if ways.kept else UncachedEmbeddings(ways, self.device)

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
        after = buffer.next_observations["achieved_goal"][: len(places)]
        size = places.shape[-1]
        buffer.measure(GoalSpace.of_steps(places.reshape(-1, size), (after - places).reshape(-1, size), self.periods))
        stored = buffer.stored("observation"), places, buffer.actions[: len(places)], buffer.moves()
        states, goals, actions, moves = (values.reshape(-1, values.shape[-1]) for values in stored)
        for network in (self.actor, self.critic, self.critic_target):
            network.features_extractor.fit(states, goals, actions, moves, buffer.space)
        buffer.goal_test.fit(goals, moves, self.config.arrival_moves)

    def _fit_prior(self) -> None:
        """Learn the ways over all that was visited; the seed makes a resumed training learn the same."""
        trajectories = self.replay_buffer.trajectories()
        extractors = [network.features_extractor for network in (self.actor, self.critic, self.critic_target)]
        ways = extractors[0].ways
        if any(np.ptp(trajectory.goals, axis=0).any() for trajectory in trajectories):
            ways.learn(trajectories, self.num_timesteps, self.replay_buffer.space.periods)
        # else nothing has moved yet: the ways stay as they are until more is stored
        for extractor in extractors:
            extractor.fit_prior(ways, self.num_timesteps)

    def _sample_action(self, learning_starts: int, action_noise: Any = None, n_envs: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """As SAC does, but towards the practice goals.

        The buffer keeps these: an agent that has come to rest against a corner on its way to a near goal must see that pair
        again. Among achieved goals, which were reached, and random ones, which are far, it hardly ever would.
        """
        if self.num_timesteps < learning_starts:
            return super()._sample_action(learning_starts, action_noise, n_envs)
        pursued = self.practice.pursued(self._last_obs, np.asarray(self._last_episode_starts))
        self._last_obs = {**self._last_obs, "desired_goal": pursued}
        actions = self.policy.explore(self._last_obs, self._codes.now(self._last_obs))
        if action_noise is not None:
            actions = np.clip(actions + action_noise(), -1.0, 1.0)
        return self.policy.unscale_action(actions), actions

    def _store_transition(
        self, replay_buffer: Any, buffer_action: Any, new_obs: Any, reward: Any, dones: Any, infos: Any
    ) -> None:
        super()._store_transition(replay_buffer, buffer_action, new_obs, reward, dones, infos)
        self._last_episode_starts = dones
        self.practice.end_episodes(dones, infos)
