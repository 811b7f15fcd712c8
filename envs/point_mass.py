"""A mass on a walled plane that is pushed about: the env on which the main job is measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from .drawings import FLAT
from .frames import Overlay, draw_world
from .panes import Pane
from .point_mass_world import Pairs, PointMassWorld
from .random_maze import random_maze

Array = NDArray[np.floating]


class PointMass(PointMassWorld, gym.Env[Any, Array]):
    """A mass with inertia among walls; it is to reach a position, at any velocity.

    | array | entry | meaning | unit | range |
    |---|---|---|---|---|
    | `observation` (4,) | 0, 1 | position x, y | m | the map |
    | | 2, 3 | velocity x, y | m/s | speed at most 1 |
    | `achieved_goal` (2,) | 0, 1 | position x, y | m | the map |
    | `desired_goal` (2,) | 0, 1 | position x, y | m | the map's free area |
    | action (2,) | 0, 1 | push along x, y, as a share of 2 m/s^2 | - | -1 to 1 |

    How it moves is told in `PointMassWorld`.

    Reward is -1, and 0 on the step that brings the mass within `tolerance` [m] of the goal, which terminates the
    episode; `info` says so as `is_success` and `success`, and as `wall_contact` whether a wall stopped the motion.
    `reset(seed=...)` fixes start, goal and all that follows.

    `rows` is the drawing (`#` wall, `.` free) and `scale` the env steps that a cell takes at full speed; by default the
    farthest cells lie about 240 steps apart. Free cells that no way joins are refused unless `connected=False`.
    `panes`, (x, low, high) each [m], stand in a room without inner walls: nobody crosses them, and they have no thickness.
    Options, also of a single `reset(options={...})`: `difficulty` q in [0, 1) draws only pairs of start and goal whose
    true distance is above the map's q-quantile. `start` and `goal` (2,) [m] set the pair instead.

    `overlay`, if set, is drawn into every frame: planned waypoints and the graph that they come from.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}

    def __init__(
        self,
        rows: Sequence[str] = FLAT,
        scale: float | None = None,
        tolerance: float = 0.1,
        difficulty: float = 0.0,
        connected: bool = True,
        panes: Sequence[Pane] = (),
        render_mode: str | None = None,
    ) -> None:
        super().__init__(rows, scale, tolerance, difficulty, connected, panes)
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"render_mode must be one of {self.metadata['render_modes']} or None, got {render_mode!r}")
        self.observation_space = self.goal_space
        self.action_space = self.push_space
        self.render_mode = render_mode
        self.overlay: Overlay | None = None
        self._pairs: Pairs | None = None
        self._positions: Array = np.zeros((1, 2))  # a batch of one
        self._velocities: Array = np.zeros((1, 2))
        self._goal = np.zeros(2, dtype=np.float32)
        self._trail: list[Array] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict[str, Array], dict[str, Any]]:
        super().reset(seed=seed)
        options = options or {}
        if self._pairs is None or seed is not None:
            self._pairs = Pairs(self, self.difficulty, self.np_random)
        pairs = self._pairs
        if "difficulty" in options:
            pairs = Pairs(self, options["difficulty"], self.np_random)
        start, goal = pairs.draw()
        start = self._checked_point("start", options.get("start", start))
        goal = self._checked_point("goal", options.get("goal", goal))
        self._positions, self._velocities = start[None], np.zeros((1, 2))
        self._goal = goal.astype(np.float32)
        self._trail = [start]
        return self._observe(), {}

    def step(self, action: Array) -> tuple[dict[str, Array], float, bool, bool, dict[str, Any]]:
        self._positions, self._velocities, touched = self.advance(self._positions, self._velocities, np.asarray(action)[None])
        self._trail.append(self._positions[0])
        observation = self._observe()
        reward = float(self.compute_reward(observation["achieved_goal"], observation["desired_goal"], {}))
        arrived = reward == 0.0
        info = {"is_success": arrived, "success": arrived, "wall_contact": bool(touched[0])}
        return observation, reward, arrived, False, info

    def render(self) -> NDArray[np.uint8] | None:  # type: ignore[override]  # gym.Env's type says a list, too
        if self.render_mode is None:
            return None
        return draw_world(self.map, self._positions[0], self._goal, self.tolerance, np.array(self._trail), self.overlay)

    def _observe(self) -> dict[str, Array]:
        position, velocity = self._positions[0].astype(np.float32), self._velocities[0].astype(np.float32)
        return {
            "observation": np.concatenate([position, velocity]),
            "achieved_goal": position,
            "desired_goal": self._goal.copy(),
        }

    def _checked_point(self, name: str, point: Any) -> Array:
        point = np.asarray(point, dtype=np.float64)
        if point.shape != (2,) or not np.isfinite(point).all():
            raise ValueError(f"{name} must be two finite coordinates in metres, got {point.tolist()}")
        if not np.all((point >= 0) & (point <= self.map.size)):
            width, height = self.map.size
            raise ValueError(f"{name} {point.tolist()} lies outside the world; x is 0 to {width:g}, y is 0 to {height:g}")
        if not self.map.is_free(point):
            raise ValueError(f"{name} {point.tolist()} lies inside a wall; choose a free point")
        return point


def random_maze_env(size: int = 8, loops: int = 4, maze_seed: int = 0, **settings: Any) -> PointMass:
    """`PointMassRandomMaze-v0`: a maze of size x size cells, drawn by `maze_seed`, with `loops` walls more opened."""
    return PointMass(rows=random_maze(size, loops, maze_seed), **settings)
