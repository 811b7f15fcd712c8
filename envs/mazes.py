"""Many mazes in one env, each seen as a picture: what is learned in some is to serve in others."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from .point_mass import PointMass
from .random_maze import random_maze
from .walls import wall_map

Array = NDArray[np.floating]

_SCALE = 4.0  # env steps that a square takes: about 240 from end to end in mazes of 8 x 8 cells


class PointMassMazes(PointMass):
    """`PointMassMazes-v0`: a `PointMass` that finds itself in another maze every episode, and sees which.

    `observation` (4 + X Y,) holds the position and velocity of a `PointMass`, and then the picture of the maze, 1 for wall and 0
    for free, square by square; the picture's first axis runs along x. `layout_shape` (X, Y) is its shape: this is how an env
    says that its states end in a picture of the map.

    The mazes are `random_maze(size, loops, maze_seed)` with maze_seed from `first_maze` up to, not including,
    `first_maze + mazes`. `reset(seed=s)` takes the maze `first_maze + s % mazes`; a reset without a seed draws one.
    """

    def __init__(
        self,
        size: int = 8,
        loops: int = 4,
        first_maze: int = 0,
        mazes: int = 200,
        scale: float = _SCALE,
        tolerance: float = 0.1,
        difficulty: float = 0.0,
        render_mode: str | None = None,
    ) -> None:
        if mazes < 1 or first_maze < 0:
            raise ValueError(f"mazes must be at least 1 and first_maze not negative, got {mazes} and {first_maze}")
        super().__init__(random_maze(size, loops, first_maze), scale, tolerance, difficulty, render_mode=render_mode)
        self.size, self.loops, self.first_maze, self.mazes = size, loops, first_maze, mazes
        self.layout_shape = self.map.is_wall.shape
        state, picture = self.goal_space["observation"], np.zeros(self.map.is_wall.size, np.float32)
        assert isinstance(state, spaces.Box)  # for the type checker
        low, high = np.concatenate([state.low, picture]), np.concatenate([state.high, picture + 1])
        self.observation_space = spaces.Dict({**self.goal_space.spaces, "observation": spaces.Box(low, high)})
        self._picture = self._picture_of_map()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict[str, Array], dict[str, Any]]:
        number = int(self.np_random.integers(self.mazes)) if seed is None else seed % self.mazes
        self.map = wall_map(random_maze(self.size, self.loops, self.first_maze + number), self.map.cell_size)
        self._picture = self._picture_of_map()
        self._pairs = None  # those drawn ahead are of another maze
        return super().reset(seed=seed, options=options)

    def _picture_of_map(self) -> Array:
        return self.map.is_wall.astype(np.float32).ravel()

    def _observe(self) -> dict[str, Array]:
        observation = super()._observe()
        return {**observation, "observation": np.concatenate([observation["observation"], self._picture])}
