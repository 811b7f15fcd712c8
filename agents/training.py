"""Training an agent in an env, watched: nothing that is not finite gets in, and the trajectories come out."""

from __future__ import annotations

from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

from planner.data import Trajectory

from .agent import GoalAgent
from .her_buffer import HerBuffer
from .sac import GoalSAC


class NotFiniteError(Exception):
    """An env gave an observation or a reward that is NaN or infinite."""


class FiniteVecEnv(VecEnvWrapper):
    """Stops at the first observation or reward that is not finite, before it reaches a buffer or a network."""

    def __init__(self, venv: VecEnv) -> None:
        super().__init__(venv)
        self._step = 0

    def reset(self) -> Any:
        observations: Any = self.venv.reset()
        self._check(observations)
        return observations

    def step_wait(self) -> Any:
        stepped: Any = self.venv.step_wait()
        observations, rewards, dones, infos = stepped
        self._step += 1
        self._check({**observations, "reward": rewards})
        for env, info in enumerate(infos):
            if dones[env] and "terminal_observation" in info:
                self._check({key: values[None] for key, values in info["terminal_observation"].items()}, env)
        return observations, rewards, dones, infos

    def _check(self, arrays: dict[str, np.ndarray], first_env: int = 0) -> None:
        for key, values in arrays.items():
            bad = ~np.isfinite(values).reshape(len(values), -1).all(axis=1)
            if bad.any():
                env = first_env + int(bad.argmax())
                raise NotFiniteError(f"{key} of env {env} is not finite at its step {self._step}; mend the env, then train again")


def trained_agent(model: GoalSAC) -> GoalAgent:
    return GoalAgent(model.policy, model.config.hidden, model.config.discount)  # type: ignore[arg-type]


def stored_trajectories(buffer: HerBuffer) -> list[Trajectory]:
    """The buffer's episodes, cut where they were cut by its end, as trajectories of at least two states."""
    states, goals = buffer.stored("observation"), buffer.stored("achieved_goal")
    trajectories = []
    for env in range(buffer.n_envs):
        for first in np.unique(buffer.first_step[: len(states), env]):
            last = buffer.last_step[first, env]
            if last > first:
                part = slice(first, last + 1)
                trajectories.append(Trajectory(states[part, env].copy(), goals[part, env].copy()))
    return trajectories
