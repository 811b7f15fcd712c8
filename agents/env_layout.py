"""What an env says of itself: whether its states end in a picture of their map, and which entries of its goals wrap."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv

from thalweg.planner.goal_space import as_periods
from thalweg.planner.many_maps.layout import Layout


def layout_of(env: VecEnv) -> Layout | None:
    """The layout of an env whose states end in a picture of the map, which its `layout_shape` (X, Y) says; else None.

    ValueError if its goals have not two entries, or the states too few.
    """
    try:
        shape = env.get_attr("layout_shape", indices=[0])[0]
    except AttributeError:
        shape = None
    return _layout(shape, env.observation_space)


def periods_of(env: VecEnv) -> tuple[float, ...] | None:
    """(G,) what an env says as `goal_period`, 0 for entries that do not wrap; None where it says nothing. ValueError for a period
    that cannot be."""
    try:
        said = env.get_attr("goal_period", indices=[0])[0]
    except AttributeError:
        said = None
    return _periods(said, env.observation_space)


def periods_said_by(env: gym.Env) -> tuple[float, ...] | None:
    """Likewise of a single env."""
    try:
        said = env.get_wrapper_attr("goal_period")
    except AttributeError:
        said = None
    return _periods(said, env.observation_space)


def _periods(said: Any, space: spaces.Space) -> tuple[float, ...] | None:
    assert isinstance(space, spaces.Dict)  # for the type checker; the guard admits no other
    return None if said is None else as_periods(said, spaces.flatdim(space["desired_goal"]))


def layout_in(env: gym.Env) -> Layout | None:
    """Likewise of a single env."""
    try:
        shape = env.get_wrapper_attr("layout_shape")
    except AttributeError:
        shape = None
    return _layout(shape, env.observation_space)


def _layout(shape: Any, space: spaces.Space) -> Layout | None:
    if shape is None:
        return None
    assert isinstance(space, spaces.Dict)  # for the type checker; the guard admits no other
    goal, state = space["desired_goal"], space["observation"]
    assert isinstance(goal, spaces.Box) and isinstance(state, spaces.Box)
    if np.shape(shape) != (2,):
        raise ValueError(f"layout_shape must be the picture's two lengths, got {shape!r}")
    layout = Layout((int(shape[0]), int(shape[1])), tuple(goal.low.tolist()), tuple(goal.high.tolist()))
    if layout.size >= state.shape[0]:
        raise ValueError(f"layout_shape {layout.shape} asks for more entries than the {state.shape[0]} of the observation")
    return layout
