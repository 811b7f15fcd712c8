"""Any goal env, speaking the words of this project: flat float32 parts, -1 per step, the end at the goal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from .guard import EnvError

Array = NDArray[np.floating]

_PARTS = ("observation", "achieved_goal", "desired_goal")


@dataclass(frozen=True)
class Traits:
    """How an env differs from ours, as a short random drive showed."""

    goal_in_state: bool  # every entry of achieved_goal is an entry of the observation, too
    best_reward: float  # what compute_reward gives at the goal: 0 with costs, 1 in gymnasium-robotics


class GoalEnvAdapter(gym.Wrapper):
    """A goal env as the agents here expect it; the identity on our own.

    - Parts are float32. Where the achieved goal is not part of the observation, it is put in front of it, so that a
      planner can read a state's goal off the state. The action is handed over as a copy.
    - Reward is -1, and 0 at the goal, whatever two values the env itself pays; the episode terminates there, in a
      continuing task as well. Where the env terminates elsewhere, the episode is truncated.
    - Success is told as both `is_success` and `success`; of all else in `info` only `wall_contact` goes on, where there is one,
      since batches cannot carry everything.
    """

    def __init__(self, env: gym.Env, traits: Traits) -> None:
        super().__init__(env)
        self._traits = traits
        self._reward = env.get_wrapper_attr("compute_reward")
        parts: dict[str, spaces.Space] = {key: _as_float32(env.observation_space[key]) for key in _PARTS}  # type: ignore[index]
        if not traits.goal_in_state:
            boxes = [_as_float32(env.observation_space[key]) for key in ("achieved_goal", "observation")]  # type: ignore[index]
            low, high = (np.concatenate([getattr(box, side) for box in boxes]) for side in ("low", "high"))
            parts["observation"] = spaces.Box(low, high)
        self.observation_space = spaces.Dict(parts)

    @property
    def goal_is_first(self) -> bool:
        """Was the achieved goal put in front of the observation, of which it was no part?"""
        return not self._traits.goal_in_state

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict[str, Array], dict[str, Any]]:
        observation, _ = self.env.reset(seed=seed, options=options)
        return self._observe(observation), {}

    def step(self, action: Any) -> tuple[dict[str, Array], float, bool, bool, dict[str, Any]]:
        raw, _, terminated, truncated, info = self.env.step(np.array(action))
        observation = self._observe(raw)
        reward = float(self.compute_reward(observation["achieved_goal"][None], observation["desired_goal"][None], [info])[0])
        arrived = reward == 0.0
        truncated = truncated or (terminated and not arrived)
        told = {"is_success": arrived, "success": arrived}
        if "wall_contact" in info:
            told["wall_contact"] = bool(info["wall_contact"])
        return observation, reward, arrived, truncated, told

    def compute_reward(self, achieved_goal: Array, desired_goal: Array, info: Any) -> Array:
        """(B, G), (B, G) -> (B,): -1, or 0 where the env pays its best reward; what is not finite is at no goal."""
        try:
            rewards = rewards_in_batch(self._reward, achieved_goal, desired_goal, info)
        except Exception as error:
            own = f"{type(error).__name__}: {error}"
            raise EnvError(f"{self._named()} fails on {len(achieved_goal)} rows ({own})") from error
        if rewards.shape != (len(achieved_goal),):
            raise EnvError(f"{self._named()} gives {rewards.shape} for a batch of {len(achieved_goal)}; use axis=-1")
        finite = np.isfinite(achieved_goal).all(axis=-1) & np.isfinite(desired_goal).all(axis=-1)
        return -(~((rewards >= self._traits.best_reward - 1e-6) & finite)).astype(np.float32)

    def _named(self) -> str:
        return f"compute_reward of {type(self.unwrapped).__name__}"

    def _observe(self, raw: dict[str, Any]) -> dict[str, Array]:
        observation = {key: np.array(raw[key], dtype=np.float32) for key in _PARTS}  # a copy: envs reuse their arrays
        if not self._traits.goal_in_state:
            observation["observation"] = np.concatenate([observation["achieved_goal"], observation["observation"]])
        return observation


def rewards_in_batch(reward: Callable[..., Any], achieved: Array, desired: Array, infos: Any) -> Array:
    """(B, G), (B, G), B infos -> (B,) of an env's own compute_reward.

    It gets copies, since some write on what they are handed, and a row alone goes twice over: some work for rows, and for a
    single pair, but not for one row.
    """
    if len(achieved) != 1:
        return np.asarray(reward(achieved.copy(), desired.copy(), infos))
    one = infos if isinstance(infos, dict) else next(iter(infos), {})
    rewards = np.asarray(reward(np.repeat(achieved, 2, axis=0), np.repeat(desired, 2, axis=0), [one, one]))
    return rewards[:1] if rewards.shape == (2,) else rewards


def _as_float32(box: spaces.Space) -> spaces.Box:
    assert isinstance(box, spaces.Box)  # for the type checker; check_spaces admits no other
    return spaces.Box(box.low.astype(np.float32), box.high.astype(np.float32))
