"""Nothing that is not finite gets into a buffer or a network."""

from __future__ import annotations

from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

from thalweg.planner.finite import NotFiniteError

__all__ = ["FiniteVecEnv", "NotFiniteError"]


class FiniteVecEnv(VecEnvWrapper):
    """Stops at the first observation, reward or action that is not finite, before it gets any further."""

    def __init__(self, venv: VecEnv) -> None:
        super().__init__(venv)
        self._step = 0

    def reset(self) -> Any:
        observations: Any = self.venv.reset()
        self._check(observations)
        return observations

    def step_async(self, actions: np.ndarray) -> None:
        self._check({"action": actions}, fix="the agent has diverged; lower the learning rate")
        self.venv.step_async(actions)

    def step_wait(self) -> Any:
        stepped: Any = self.venv.step_wait()
        observations, rewards, dones, infos = stepped
        self._step += 1
        self._check({**observations, "reward": rewards})
        for env, info in enumerate(infos):
            if dones[env] and "terminal_observation" in info:
                self._check({key: values[None] for key, values in info["terminal_observation"].items()}, env)
        return observations, rewards, dones, infos

    def _check(self, arrays: dict[str, np.ndarray], first_env: int = 0, fix: str = "mend the env, then train again") -> None:
        for key, values in arrays.items():
            bad = ~np.isfinite(values).reshape(len(values), -1).all(axis=1)
            if bad.any():
                env = first_env + int(bad.argmax())
                raise NotFiniteError(f"{key} of env {env} is not finite at its step {self._step}; {fix}")
