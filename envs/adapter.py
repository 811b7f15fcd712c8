"""Any goal env, speaking the words of this project: flat float32 parts, -1 per step, the end at the goal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from .guard import EnvError

Array = NDArray[np.floating]

_PARTS = ("observation", "achieved_goal", "desired_goal")
_PROBE_EPISODES, _PROBE_STEPS = 5, 100
_PROBE_PLACES = 120  # at most, whose pairs are asked for their rewards


@dataclass(frozen=True)
class Traits:
    """How an env differs from ours, as a short random drive showed."""

    goal_in_state: bool  # every entry of achieved_goal is an entry of the observation, too
    best_reward: float  # what compute_reward gives at the goal: 0 with costs, 1 in gymnasium-robotics


class GoalEnvAdapter(gym.Wrapper):
    """A goal env as the agents here expect it; the identity on our own.

    - Parts are float32. Where the achieved goal is not part of the observation, it is put in front of it, so that a
      planner can read a state's goal off the state.
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
        raw, _, terminated, truncated, info = self.env.step(action)
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
        rewards = np.asarray(self._reward(achieved_goal, desired_goal, info))
        finite = np.isfinite(achieved_goal).all(axis=-1) & np.isfinite(desired_goal).all(axis=-1)
        return -(~((rewards >= self._traits.best_reward - 1e-6) & finite)).astype(np.float32)

    def _observe(self, raw: dict[str, Any]) -> dict[str, Array]:
        observation = {key: np.array(raw[key], dtype=np.float32) for key in _PARTS}  # a copy: envs reuse their arrays
        if not self._traits.goal_in_state:
            observation["observation"] = np.concatenate([observation["achieved_goal"], observation["observation"]])
        return observation


def probe(env: gym.Env, name: str) -> Traits:
    """Drive a fresh goal env about at random. EnvError, with the fix, for one that cannot be learned from."""
    check_spaces(env, name)
    if not env.has_wrapper_attr("compute_reward"):
        raise EnvError(f"{name} has no compute_reward; give it one: (B, G), (B, G), info -> (B,), 0 at the goal and -1 elsewhere")
    env.action_space.seed(0)
    seen: list[dict[str, Array]] = []
    for episode in range(_PROBE_EPISODES):
        observation, _ = env.reset(seed=episode)
        for step in range(_PROBE_STEPS):
            seen.append({key: np.array(observation[key], dtype=np.float32) for key in _PARTS})
            for key, values in seen[-1].items():
                if not np.isfinite(values).all():
                    raise EnvError(f"{name} (seed {episode}): {key} is not finite after {step} random steps; mend the env")
            observation, _, terminated, truncated, _ = env.step(env.action_space.sample())
            if terminated or truncated:
                break
    states, achieved, desired = (np.array([observation[key] for observation in seen]) for key in _PARTS)
    equal = (states[:, :, None] == achieved[:, None, :]).all(axis=0)  # (S, G)
    return Traits(bool(equal.any(axis=0).all()), _best_reward(env, name, achieved, desired))


def check_spaces(env: gym.Env, name: str) -> None:
    """EnvError unless the parts of the observation and the action are flat Boxes."""
    space = env.observation_space
    if not isinstance(space, spaces.Dict) or set(_PARTS) - set(space.spaces):
        raise EnvError(
            f"{name} is no goal env: its observations must be a dict with {', '.join(_PARTS)}; a plain Box env "
            "becomes one by thalweg.GoalWrapper(env, goal_of=..., tolerance=..., sample_goal=...)"
        )
    for key in _PARTS:
        part = space[key]
        if not isinstance(part, spaces.Box) or len(part.shape) != 1:
            raise EnvError(f"{key} of {name} must be a flat Box, got {part}; flatten it")
    if not isinstance(env.action_space, spaces.Box) or not env.action_space.is_bounded():
        raise EnvError(f"the actions of {name} must be a bounded Box, as SAC needs, got {env.action_space}")


def _best_reward(env: gym.Env, name: str, achieved: Array, desired: Array) -> float:
    """The reward at the goal, from all pairs of places; EnvError unless it is the better one of two."""
    reward = env.get_wrapper_attr("compute_reward")
    places = np.concatenate([achieved, desired])
    places = places[:: -(-len(places) // _PROBE_PLACES)]
    a, b = (places[index.ravel()] for index in np.indices((len(places), len(places))))
    try:
        rewards = np.asarray(reward(a, b, [{}] * len(a)))
    except Exception as error:
        own = f"{type(error).__name__}: {error}"
        raise EnvError(f"compute_reward of {name} fails on a batch ({own}); write it for (B, G) arrays, with axis=-1") from error
    if rewards.shape != (len(a),):
        raise EnvError(f"compute_reward of {name} gives {rewards.shape} for a batch of {len(a)}; use axis=-1")
    at_goal = np.unique(rewards[(a == b).all(axis=1)])
    if len(at_goal) != 1 or len(np.unique(rewards)) > 2 or rewards.max() > at_goal[0]:
        raise EnvError(
            f"the reward of {name} is not sparse: compute_reward must give one value at the goal and a lower one everywhere "
            "else, such as 0 and -1; choose the env's sparse variant, or wrap it in GoalWrapper"
        )
    return float(at_goal[0])


def _as_float32(box: spaces.Space) -> spaces.Box:
    assert isinstance(box, spaces.Box)  # for the type checker; check_spaces admits no other
    return spaces.Box(box.low.astype(np.float32), box.high.astype(np.float32))
