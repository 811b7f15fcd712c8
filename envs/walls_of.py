"""The walls of an env, for pictures: those that it tells, and those of the mazes that others are likely to bring."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from .ogbench_maze import is_ogbench_maze

Array = NDArray[np.floating]


def walls_of(env: gym.Env) -> Array | None:
    """(W, 2, 2) boxes [low, high] in goal units; None for an env that is not known to have walls.

    Any env tells its walls by `walls`, such boxes as an attribute or as a method without arguments; a box without width is a line
    along an axis. Beside these, gymnasium-robotics' mazes are known, and OGBench's. `walls` that are numbers of another shape are
    left out with a warning.
    """
    inner: Any = env.unwrapped
    if is_ogbench_maze(env):
        return _cells_to_boxes(inner.maze_map, inner.ij_to_xy, inner._maze_unit)
    if type(inner).__module__.startswith("gymnasium_robotics.envs.maze"):
        maze = inner.maze
        return _cells_to_boxes(maze.maze_map, lambda cell: maze.cell_rowcol_to_xy(np.array(cell)), maze.maze_size_scaling)
    return _told(env) if env.has_wrapper_attr("walls") else None


def _told(env: gym.Env) -> Array | None:
    """The env's own `walls`; None where they are something else, such as objects of a simulator."""
    walls = env.get_wrapper_attr("walls")
    try:
        boxes = np.asarray(walls() if callable(walls) else walls, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    if boxes.shape[1:] == (2, 2) and np.isfinite(boxes).all():
        return np.sort(boxes, axis=1)
    what = f"`walls` are of shape {boxes.shape}" if np.isfinite(boxes).all() else "`walls` are not finite"
    warnings.warn(f"{type(env.unwrapped).__name__}: {what}; make them (W, 2, 2) boxes [low, high] to see them", stacklevel=3)
    return None


def _cells_to_boxes(cells: Any, centre_of: Callable[[tuple[int, int]], Any], side: float) -> Array:
    """Wall cells are 1; in gymnasium-robotics others may be letters."""
    walls = [(i, j) for i, row in enumerate(cells) for j, cell in enumerate(row) if cell == 1]
    centres = np.array([centre_of(cell) for cell in walls], dtype=np.float64)
    return np.stack([centres - side / 2, centres + side / 2], axis=1)
