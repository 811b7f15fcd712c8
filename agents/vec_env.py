"""Gymnasium's batches as stable-baselines3's, so that training steps an env's own batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices


class BatchVecEnv(VecEnv):
    """A `VectorEnv` that resets in the step that ends an episode, as a `VecEnv`.

    An info dict is filled only for an env whose episode has just ended: SB3 reads no other. ValueError for another
    autoreset mode.
    """

    def __init__(self, batch: VectorEnv) -> None:
        if batch.metadata.get("autoreset_mode") is not AutoresetMode.SAME_STEP:
            raise ValueError("the batch must reset in the same step; make it with autoreset_mode=AutoresetMode.SAME_STEP")
        self.batch = batch
        self._actions: NDArray = np.empty(0)
        super().__init__(batch.num_envs, batch.single_observation_space, batch.single_action_space)

    def reset(self) -> Any:
        seeds = None if all(seed is None for seed in self._seeds) else self._seeds
        observations, _ = self.batch.reset(seed=seeds)  # type: ignore[arg-type]  # gymnasium's own batches take lists, too
        self._reset_seeds()
        self._reset_options()
        return observations

    def step_async(self, actions: NDArray) -> None:
        self._actions = actions

    def step_wait(self) -> Any:
        observations, rewards, terminated, truncated, batched = self.batch.step(self._actions)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for i in np.flatnonzero(terminated | truncated):
            final = batched["final_info"]
            infos[i] = {key: final[key][i] for key in final if not key.startswith("_") and final[f"_{key}"][i]}
            infos[i]["terminal_observation"] = batched["final_obs"][i]
            infos[i]["TimeLimit.truncated"] = bool(truncated[i] and not terminated[i])
        return observations, rewards.astype(np.float32), terminated | truncated, infos

    def close(self) -> None:
        self.batch.close()

    def get_images(self) -> Sequence[NDArray | None]:
        frames: Any = self.batch.render()
        return [None] * self.num_envs if frames is None else frames

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        return [_attribute(env, attr_name) for env in self._chosen(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        for env in self._chosen(indices):
            setattr(env.unwrapped, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any) -> list[Any]:
        return [_attribute(env, method_name)(*args, **kwargs) for env in self._chosen(indices)]

    def env_is_wrapped(self, wrapper_class: type, indices: VecEnvIndices = None) -> list[bool]:
        return [_is_wrapped(env, wrapper_class) for env in self._chosen(indices)]

    def _chosen(self, indices: VecEnvIndices) -> list[Any]:
        """The single envs, or the batch itself in their place where it has none."""
        envs = getattr(self.batch, "envs", None)
        return [self.batch if envs is None else envs[i] for i in self._get_indices(indices)]


def _attribute(env: Any, name: str) -> Any:
    return env.get_wrapper_attr(name) if isinstance(env, gym.Wrapper) else getattr(env, name)


def _is_wrapped(env: Any, wrapper_class: type) -> bool:
    while isinstance(env, gym.Wrapper):
        if isinstance(env, wrapper_class):
            return True
        env = env.env
    return isinstance(env, wrapper_class)
