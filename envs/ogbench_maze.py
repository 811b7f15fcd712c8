"""OGBench's mazes (arXiv:2410.20092) as goal envs whose `reset(seed)` fixes everything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
import numpy as np

from .goal_wrapper import GoalWrapper


def is_ogbench_maze(env: gym.Env) -> bool:
    return type(env.unwrapped).__module__.startswith("ogbench.locomaze")


class OGBenchMaze(GoalWrapper):
    """The goal is the place [m] in `info["goal"]`, reached within OGBench's own tolerance.

    OGBench draws task and noise from numpy's global generator, and its first steps from an unseeded action space. Both
    are put in this env's own hands here: its global state is swapped in for each call and out again after.
    `task_id` (1 to 5) fixes the task; without it each reset draws one.
    """

    def __init__(self, env: gym.Env, task_id: int | None = None) -> None:
        super().__init__(env, goal_of=lambda states: states[..., :2], tolerance=env.unwrapped._goal_tol)  # type: ignore[attr-defined]
        tasks = env.unwrapped.num_tasks  # type: ignore[attr-defined]
        if task_id is not None and (type(task_id) is not int or not 1 <= task_id <= tasks):
            raise ValueError(f"task_id must be a whole number between 1 and {tasks}, got {task_id!r}")
        self._task = {} if task_id is None else {"task_id": task_id}
        self._global_state = np.random.RandomState().get_state()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        if seed is not None:
            self._global_state = np.random.RandomState(seed).get_state()
            self.env.unwrapped.action_space.seed(seed)
        with self._own_global_state():
            return super().reset(seed=seed, options={**self._task, **(options or {})})

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        with self._own_global_state():
            return super().step(action)

    @contextmanager
    def _own_global_state(self) -> Iterator[None]:
        others = np.random.get_state()
        np.random.set_state(self._global_state)
        try:
            yield
        finally:
            self._global_state = np.random.get_state()
            np.random.set_state(others)
