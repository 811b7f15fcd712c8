"""The walls of an env, for pictures: of our worlds and of the mazes that others are likely to bring."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from .ogbench_maze import is_ogbench_maze
from .particle import Particle
from .point_mass_world import PointMassWorld

Array = NDArray[np.floating]


def walls_of(env: gym.Env) -> Array | None:
    """(W, 2, 2) boxes [low, high] in goal units; None for an env that is not known to have walls.

    Known are our own worlds, gymnasium-robotics' mazes and OGBench's.
    """
    inner: Any = env.unwrapped
    if isinstance(inner, PointMassWorld):
        return inner.map.walls
    if isinstance(inner, Particle):
        return inner.walls
    if is_ogbench_maze(env):
        return _cells_to_boxes(inner.maze_map, inner.ij_to_xy, inner._maze_unit)
    if type(inner).__module__.startswith("gymnasium_robotics.envs.maze"):
        maze = inner.maze
        return _cells_to_boxes(maze.maze_map, lambda cell: maze.cell_rowcol_to_xy(np.array(cell)), maze.maze_size_scaling)
    return None


def _cells_to_boxes(cells: Any, centre_of: Callable[[tuple[int, int]], Any], side: float) -> Array:
    """Wall cells are 1; in gymnasium-robotics others may be letters."""
    walls = [(i, j) for i, row in enumerate(cells) for j, cell in enumerate(row) if cell == 1]
    centres = np.array([centre_of(cell) for cell in walls], dtype=np.float64)
    return np.stack([centres - side / 2, centres + side / 2], axis=1)
