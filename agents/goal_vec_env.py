"""Whatever a user of stable-baselines3 hands over as an env, as GoalSAC needs it."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecEnvWrapper, VecMonitor, unwrap_vec_normalize
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices

from thalweg.planner.many_maps.layout import Layout

from .finite import FiniteVecEnv
from .vec_env import BatchVecEnv

Array = NDArray[np.floating]

_PARTS = ("observation", "achieved_goal", "desired_goal")


class SparseVecEnv(VecEnvWrapper):
    """Observations in float32, and a `compute_reward` of 0 at the goal and -1 elsewhere, whatever two values the env pays.

    What it pays step by step stays: it is logged, not learnt from.
    """

    def __init__(self, venv: VecEnv, best_reward: float) -> None:
        assert isinstance(venv.observation_space, spaces.Dict)  # for the type checker; `goal_vec_env` admits no other
        super().__init__(venv, spaces.Dict({key: _as_float32(box) for key, box in venv.observation_space.items()}))
        self._best_reward = best_reward

    def reset(self) -> Any:
        return _in_float32(self.venv.reset())

    def step_wait(self) -> Any:
        observations, rewards, dones, infos = self.venv.step_wait()
        for info in infos:
            if "terminal_observation" in info:
                info["terminal_observation"] = _in_float32(info["terminal_observation"])
        return _in_float32(observations), rewards, dones, infos

    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any) -> list[Any]:
        answers = self.venv.env_method(method_name, *args, indices=indices, **kwargs)
        if method_name != "compute_reward":
            return answers
        return [-(np.asarray(rewards) < self._best_reward - 1e-6).astype(np.float32) for rewards in answers]


class NoVecEnv(VecEnv):
    """Stands where a model's env was, of which its file knows the spaces alone."""

    def __init__(self, num_envs: int, observation_space: spaces.Space, action_space: spaces.Space, layout: Layout | None) -> None:
        self.layout_shape = None if layout is None else layout.shape
        self.render_mode = None
        super().__init__(num_envs, observation_space, action_space)

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        return [getattr(self, attr_name)] * len(list(self._get_indices(indices)))

    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any) -> list[Any]:
        raise self._missing()

    def reset(self) -> Any:
        raise self._missing()

    def step_async(self, actions: NDArray) -> None:
        raise self._missing()

    def step_wait(self) -> Any:
        raise self._missing()

    def close(self) -> None:
        pass

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        raise self._missing()

    def env_is_wrapped(self, wrapper_class: type, indices: VecEnvIndices = None) -> list[bool]:
        return [False] * self.num_envs

    def _missing(self) -> ValueError:
        return ValueError("this model was loaded without an env; give it one: set_env(env), or GoalSAC.load(path, env)")


def goal_vec_env(env: Any) -> VecEnv:
    """A gymnasium goal env, its id, a batch of gymnasium's or a `VecEnv` -> a `VecEnv`; one that fits already, as it is.

    ValueError, with the fix, for what is no goal env, or whose reward is not sparse.
    """
    if isinstance(env, NoVecEnv):
        return env
    if isinstance(env, str):
        env = gym.make(env)
    if isinstance(env, VectorEnv):
        env = VecMonitor(FiniteVecEnv(BatchVecEnv(env)))
    if not isinstance(env, VecEnv):
        if not isinstance(env, gym.Env):
            raise ValueError(f"GoalSAC needs a gymnasium goal env, or a VecEnv of some, got {type(env).__name__}")
        check_spaces(env.observation_space, env.action_space)
        single = env if _is_monitored(env) else Monitor(env)
        env = FiniteVecEnv(DummyVecEnv([lambda: single]))
    check_spaces(env.observation_space, env.action_space)
    if unwrap_vec_normalize(env) is not None:
        raise ValueError("GoalSAC scales its inputs by itself; hand in the env without VecNormalize")
    best = _best_reward(env)
    fits = best == 0 and all(env.observation_space[key].dtype == np.float32 for key in _PARTS)
    return env if fits else SparseVecEnv(env, best)


def check_spaces(observation_space: spaces.Space, action_space: spaces.Space) -> None:
    """ValueError unless they are a goal env's: flat Boxes, and bounded actions."""
    if not isinstance(observation_space, spaces.Dict) or set(_PARTS) - set(observation_space.spaces):
        raise ValueError(
            f"this is no goal env: its observations must be a dict with {', '.join(_PARTS)}; wrap a plain one in "
            "thalweg.GoalWrapper(env, goal_of=..., tolerance=..., sample_goal=...)"
        )
    for key in _PARTS:
        part = observation_space[key]
        if not isinstance(part, spaces.Box) or len(part.shape) != 1:
            raise ValueError(f"{key} must be a flat Box, got {part}; flatten it")
    if not isinstance(action_space, spaces.Box) or not action_space.is_bounded():
        raise ValueError(f"actions must be a bounded Box, as SAC needs, got {action_space}")


def _best_reward(env: VecEnv) -> float:
    """What `compute_reward` gives at the goal: 0, or 1. ValueError if there is no such method, or the reward is not sparse."""
    assert isinstance(env.observation_space, spaces.Dict)  # for the type checker
    box = env.observation_space["desired_goal"]
    assert isinstance(box, spaces.Box)
    bounded = box.is_bounded()
    here, there = (box.low, box.high) if bounded else (np.zeros(box.shape, box.dtype), np.full(box.shape, 1e3, box.dtype))
    pairs = np.stack([here, here]), np.stack([here, there])
    try:
        (rewards,) = env.env_method("compute_reward", *pairs, [{}, {}], indices=[0])
        at_goal, elsewhere = np.asarray(rewards, dtype=float)
    except AttributeError:
        raise ValueError("this env has no compute_reward; write one: (B, G), (B, G), info -> (B,), 0 or -1") from None
    except Exception as error:
        own = f"{type(error).__name__}: {error}"
        raise ValueError(f"compute_reward fails on a batch ({own}); write it for (B, G) arrays, with axis=-1") from error
    if (at_goal, elsewhere) not in {(0.0, -1.0), (1.0, 0.0), (0.0, 0.0), (1.0, 1.0)}:
        raise ValueError(
            f"the reward is not sparse: compute_reward gives {at_goal:g} at the goal and {elsewhere:g} far from it, where "
            "GoalSAC needs 0 and -1; choose the env's sparse variant, or wrap it in thalweg.GoalWrapper"
        )
    return float(at_goal)


def _is_monitored(env: gym.Env) -> bool:
    while isinstance(env, gym.Wrapper):
        if isinstance(env, Monitor):
            return True
        env = env.env
    return False


def _as_float32(box: spaces.Space) -> spaces.Space:
    if not isinstance(box, spaces.Box):
        return box
    return spaces.Box(box.low.astype(np.float32), box.high.astype(np.float32))


def _in_float32(observation: Any) -> dict[str, Array]:
    return {key: np.asarray(values, dtype=np.float32) for key, values in observation.items()}
