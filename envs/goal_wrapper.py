"""A goal for envs that have none: reach a place within a tolerance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

Array = NDArray[np.floating]

_DRAWS = 100  # of a goal that is not reached already


class GoalWrapper(gym.Wrapper):
    """Makes a goal env of a plain Box env: `GoalWrapper(env, goal_of=lambda s: s[..., :2], tolerance=0.1, sample_goal=...)`.

    `goal_of` maps (..., S) observations to the (..., G) goals they achieve, `tolerance` is a Euclidean distance [goal
    units], `sample_goal(rng)` draws a goal (G,). Without `sample_goal` the goal is taken from the `info["goal"]` of each
    reset: an observation whose goal is to be achieved, or a goal itself.

    Reward is -1, and 0 on the step that reaches the goal, which terminates the episode. Where the env itself terminates
    elsewhere, the episode is truncated: it ended, but not at the goal. The env's own reward is dropped.

    ValueError for an observation space that is not a 1-D Box, a `goal_of` that is not batched, a tolerance that is not
    positive, a goal of another size, or no goal at all.

    `reset(options={"goal": ...})` takes this goal (G,); other options go on to the env.
    """

    def __init__(
        self,
        env: gym.Env,
        *,
        goal_of: Callable[[Array], Array],
        tolerance: float,
        sample_goal: Callable[[np.random.Generator], Array] | None = None,
    ) -> None:
        super().__init__(env)
        state = env.observation_space
        if not isinstance(state, spaces.Box) or len(state.shape) != 1:
            raise ValueError(f"GoalWrapper needs a flat Box of observations, got {state}; flatten it first (FlattenObservation)")
        if not (np.isfinite(tolerance) and tolerance > 0):
            raise ValueError(f"tolerance must be a positive distance in goal units, got {tolerance}")
        probe = np.asarray(goal_of(np.zeros((2, *state.shape), dtype=np.float32)))
        if probe.ndim != 2 or len(probe) != 2:
            raise ValueError(f"goal_of must map (2, {state.shape[0]}) to (2, G), got {probe.shape}; index with [..., i:j]")
        self.goal_of = goal_of
        self.tolerance = tolerance
        self._sample_goal = sample_goal
        place = spaces.Box(-np.inf, np.inf, probe.shape[1:], np.float32)
        self.observation_space = spaces.Dict(observation=state, achieved_goal=place, desired_goal=place)
        self._goal = np.zeros(probe.shape[1:], dtype=np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict[str, Array], dict[str, Any]]:
        options = dict(options or {})
        chosen = options.pop("goal", None)
        state, info = self.env.reset(seed=seed, options=options or None)
        if chosen is not None:
            self._goal = self._checked_goal(np.asarray(chosen))
            return self._observe(state), info
        achieved = self._achieved(state)
        for _ in range(_DRAWS):
            self._goal = self._checked_goal(self._next_goal(info))
            if self._sample_goal is None or self.compute_reward(achieved, self._goal, {}) < 0:
                break
        return self._observe(state), info

    def step(self, action: Any) -> tuple[dict[str, Array], float, bool, bool, dict[str, Any]]:
        state, _, terminated, truncated, info = self.env.step(action)
        observation = self._observe(state)
        reward = float(self.compute_reward(observation["achieved_goal"], self._goal, {}))
        arrived = reward == 0.0
        info = {**info, "is_success": arrived, "success": arrived}
        return observation, reward, arrived, bool(truncated or (terminated and not arrived)), info

    def compute_reward(self, achieved_goal: Array, desired_goal: Array, info: Any) -> Array:
        """(..., G), (..., G) -> (...): -1, or 0 within the tolerance; what is not finite is at no goal."""
        return -(~(np.linalg.norm(achieved_goal - desired_goal, axis=-1) <= self.tolerance)).astype(np.float32)

    def _next_goal(self, info: dict[str, Any]) -> Array:
        if self._sample_goal is not None:
            return np.asarray(self._sample_goal(self.np_random))
        if "goal" not in info:
            raise ValueError(
                "the env tells no goal in info['goal']; give GoalWrapper a sample_goal=lambda rng: rng.uniform(low, high)"
            )
        goal = np.asarray(info["goal"])
        return self._achieved(goal) if goal.shape == self.env.observation_space.shape else goal

    def _checked_goal(self, goal: Array) -> Array:
        if goal.shape != self._goal.shape or goal.dtype.kind not in "fiub" or not np.isfinite(goal).all():
            raise ValueError(f"the goal must be {self._goal.size} finite numbers, as goal_of gives, got {goal.tolist()}")
        return goal.astype(np.float32)

    def _achieved(self, state: Array) -> Array:
        return np.asarray(self.goal_of(state), dtype=np.float32)

    def _observe(self, state: Array) -> dict[str, Array]:
        return {"observation": state, "achieved_goal": self._achieved(state), "desired_goal": self._goal.copy()}
