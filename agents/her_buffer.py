"""Hindsight replay whose rewards *and endings* belong to the goal in the sample."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.buffers import DictReplayBuffer
from stable_baselines3.common.type_aliases import DictReplayBufferSamples
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

Array = NDArray[np.floating]

_SCALES = np.geomspace(1.0, 64.0, 73)  # at which the goal test is tried; 6 % apart
_NEAREST_OF = 24  # random stored goals among which the spatially nearest becomes the hard negative


class HerBuffer(DictReplayBuffer):
    """A batch mixes three kinds of goals: achieved soon after, near in space, and the transition's own.

    SB3's `HerReplayBuffer` relabels goal and reward but keeps the stored `done` (SB3 #627): a mass that flies through
    its relabelled goal keeps paying, and -Q overestimates distance. Here a sample ends where its own goal is reached.
    Goals that are near in space but far in steps show the critic what a wall is; without them short false edges spoil
    every graph. `last_step` is kept up to date as transitions arrive, so that sampling costs O(batch), and episodes
    still in progress can be sampled.

    A plan is a chain of places, so "reached" must mean that the agent is there. Where the env is lenient, a place behind a
    wall counts as reached from this side, and chains of such places lead through walls. `fit_arrival` therefore shrinks
    the goal test of the samples to a few steps of the agent; the env's own test ends its episodes as ever.
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Dict,
        action_space: spaces.Space,
        env: VecEnv,
        relabel_horizon: int,
        future_share: float,
        nearby_share: float,
        device: str = "auto",
        n_envs: int = 1,
        optimize_memory_usage: bool = False,
        handle_timeout_termination: bool = True,
    ) -> None:
        super().__init__(
            buffer_size, observation_space, action_space, device, n_envs, optimize_memory_usage, handle_timeout_termination
        )
        self.env = env
        self.relabel_horizon = relabel_horizon
        self.future_share = future_share
        self.nearby_share = nearby_share
        self.last_step = np.zeros((self.buffer_size, n_envs), dtype=np.int64)  # last stored step of the same episode
        self.first_step = np.zeros((self.buffer_size, n_envs), dtype=np.int64)
        self._episode_start = np.zeros(n_envs, dtype=np.int64)
        self.arrival_scale = 1.0
        self.rng = np.random.default_rng(0)

    def seed(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def add(  # type: ignore[override]
        self,
        obs: dict[str, Array],
        next_obs: dict[str, Array],
        action: Array,
        reward: Array,
        done: Array,
        infos: list[dict[str, Any]],
    ) -> None:
        step = self.pos
        super().add(obs, next_obs, action, reward, done, infos)
        for env, start in enumerate(self._episode_start):
            self.last_step[start : step + 1, env] = step
        self.first_step[step] = self._episode_start
        # An episode that reaches the end of the buffer is stored as two: indices never wrap within an episode.
        wrapped = self.pos <= step
        self._episode_start = np.where(np.asarray(done, dtype=bool) | wrapped, self.pos, self._episode_start)

    def sample(self, batch_size: int, env: VecNormalize | None = None) -> DictReplayBufferSamples:  # type: ignore[override]
        steps = self.rng.integers(self._num_stored, size=batch_size)
        envs = self.rng.integers(self.n_envs, size=batch_size)
        achieved = self.next_observations["achieved_goal"]
        goals = self.observations["desired_goal"][steps, envs]
        num_future, num_nearby = int(batch_size * self.future_share), int(batch_size * self.nearby_share)
        future, nearby = slice(0, num_future), slice(num_future, num_future + num_nearby)
        goals[future] = self.future_goals(steps[future], envs[future])
        goals[nearby] = self.nearby_goals(achieved[steps[nearby], envs[nearby]])
        rewards = self.rewards_for(achieved[steps, envs], goals)
        observations = {key: values[steps, envs] for key, values in self.observations.items()}
        next_observations = {key: values[steps, envs] for key, values in self.next_observations.items()}
        observations["desired_goal"] = next_observations["desired_goal"] = goals
        return DictReplayBufferSamples(
            observations={key: self.to_torch(values) for key, values in observations.items()},
            actions=self.to_torch(self.actions[steps, envs]),
            next_observations={key: self.to_torch(values) for key, values in next_observations.items()},
            dones=self.to_torch((rewards == 0.0).astype(np.float32)[:, None]),
            rewards=self.to_torch(rewards[:, None]),
        )

    def future_goals(self, steps: NDArray, envs: NDArray) -> Array:
        """(B,), (B,) -> (B, G): goals achieved 1 to `relabel_horizon` steps after, within the episode."""
        ahead = self.rng.integers(self.relabel_horizon, size=len(steps))
        return self.next_observations["achieved_goal"][np.minimum(steps + ahead, self.last_step[steps, envs]), envs]

    def nearby_goals(self, achieved: Array) -> Array:
        """(B, G) -> (B, G): for each row, the spatially nearest of a few random stored goals."""
        steps = self.rng.integers(self._num_stored, size=(len(achieved), _NEAREST_OF))
        envs = self.rng.integers(self.n_envs, size=steps.shape)
        goals = self.next_observations["achieved_goal"][steps, envs]  # (B, _NEAREST_OF, G)
        nearest = np.linalg.norm(goals - achieved[:, None], axis=-1).argmin(axis=1)
        return goals[np.arange(len(achieved)), nearest]

    def practice_goals(self, achieved: Array) -> Array:
        """(B, G) -> (B, G): a goal some steps on from a stored state that is near in space; for use while collecting."""
        steps = self.rng.integers(self._num_stored, size=(len(achieved), 10 * _NEAREST_OF))
        envs = self.rng.integers(self.n_envs, size=steps.shape)
        gaps = np.linalg.norm(self.observations["achieved_goal"][steps, envs] - achieved[:, None], axis=-1)
        row, nearest = np.arange(len(achieved)), gaps.argmin(axis=1)
        return self.future_goals(steps[row, nearest], envs[row, nearest])

    def rewards_for(self, achieved: Array, goals: Array) -> Array:
        """(B, G), (B, G) -> (B,): 0 where the goal is reached even at `arrival_scale` times the offset from it, else -1."""
        return self._rewards(achieved, goals, self.arrival_scale)

    def fit_arrival(self, moves: float) -> None:
        """Shrink the goal test to `moves` typical steps, where it is wider; 0 keeps it.

        Typical is the 95th percentile of the stored steps that moved the goal.
        """
        if moves == 0:
            return
        before, after = (values["achieved_goal"][: self._num_stored] for values in (self.observations, self.next_observations))
        goals = before.reshape(-1, before.shape[-1])
        offsets = moves * (after.reshape(goals.shape) - goals)
        moved = (offsets != 0).any(axis=1)
        if moved.mean() < 0.05:  # an object that is seldom pushed says too little of its steps
            return
        goals, offsets = goals[moved], offsets[moved]
        passing = [scale for scale in _SCALES if (self._rewards(goals + offsets, goals, scale) == 0.0).mean() >= 0.95]
        self.arrival_scale = float(max(passing, default=1.0))

    def _rewards(self, achieved: Array, goals: Array, scale: float) -> Array:
        places = achieved if scale == 1.0 else (goals + scale * (achieved - goals)).astype(goals.dtype)
        (rewards,) = self.env.env_method("compute_reward", places, goals, [{}] * len(goals), indices=[0])
        return np.asarray(rewards, dtype=np.float32)

    def stored(self, key: str) -> Array:
        """(N, n_envs, ...): what has been stored so far of one observation key."""
        return self.observations[key][: self._num_stored]

    @property
    def _num_stored(self) -> int:
        return self.buffer_size if self.full else self.pos
