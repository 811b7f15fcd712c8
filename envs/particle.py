"""A particle among four walls: the maze of planning with transition energies."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from .drawings import FOUR_WALLS
from .frames import draw_world
from .point_mass_world import Pairs, PointMassWorld

Array = NDArray[np.floating]

_SIDE = 2.0  # of the square, walls around it excluded
_STEP = 0.05  # longest move along each axis
_STEPS_PER_CELL = 1.0  # PointMassWorld's scale that makes its cells 0.1 wide


class Particle(gym.Env[Any, Array]):
    """A particle without inertia in a square with four walls, between which it has to wind (after arXiv:1909.06878, section 4).

    | array | entry | meaning | unit | range |
    |---|---|---|---|---|
    | `observation` (2,) | 0, 1 | position x, y | - | -1 to 1 |
    | `achieved_goal` (2,) | 0, 1 | position x, y | - | -1 to 1 |
    | `desired_goal` (2,) | 0, 1 | position x, y | - | -1 to 1, outside the walls |
    | action (2,) | 0, 1 | move along x, y, as a share of 0.05 | - | -1 to 1 |

    A wall stops the motion into it and lets the particle slide along it.

    Reward is -1, and 0 on the step that brings the particle within `tolerance` of the goal, which terminates the episode; `info`
    says so as `is_success` and `success`, and as `wall_contact` whether a wall or the border stopped the motion.
    `reset(seed=...)` fixes start and goal.

    `difficulty` q in [0, 1) draws only pairs of start and goal whose true distance is above the map's q-quantile. Options of
    a single `reset(options={...})`: `start` and `goal` (2,) set the pair.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}

    def __init__(self, tolerance: float = 0.05, difficulty: float = 0.0, render_mode: str | None = None) -> None:
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"render_mode must be one of {self.metadata['render_modes']} or None, got {render_mode!r}")
        self.difficulty = difficulty
        self._world = PointMassWorld(FOUR_WALLS, _STEPS_PER_CELL, tolerance, difficulty)  # its map, pairs and true distances
        self._centre = self._world.map.size / 2  # the world counts from a corner
        place = spaces.Box(-_SIDE / 2, _SIDE / 2, (2,), np.float32)
        self.observation_space = spaces.Dict(observation=place, achieved_goal=place, desired_goal=place)
        self.action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.render_mode = render_mode
        self._pairs: Pairs | None = None
        self._position: Array = np.zeros(2)
        self._goal: Array = np.zeros(2)
        self._trail: list[Array] = []

    @property
    def walls(self) -> Array:
        """(W, 2, 2) boxes [low, high]"""
        return self._world.map.walls - self._centre

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict[str, Array], dict[str, Any]]:
        super().reset(seed=seed)
        options = options or {}
        if self._pairs is None or seed is not None:
            self._pairs = Pairs(self._world, self._world.difficulty, self.np_random)
        start, goal = self._pairs.draw()
        self._position = self._checked_place("start", options.get("start", start - self._centre))
        self._goal = self._checked_place("goal", options.get("goal", goal - self._centre))
        self._trail = [self._position]
        return self._observe(), {}

    def step(self, action: Array) -> tuple[dict[str, Array], float, bool, bool, dict[str, Any]]:
        move = _STEP * np.clip(np.asarray(action, dtype=np.float64), -1.0, 1.0)
        reached, stopped = self._world.map.move((self._position + self._centre)[None], move[None])
        self._position = reached[0] - self._centre
        self._trail.append(self._position)
        observation = self._observe()
        reward = float(self.compute_reward(observation["achieved_goal"], observation["desired_goal"], {}))
        arrived = reward == 0.0
        info = {"is_success": arrived, "success": arrived, "wall_contact": bool(stopped.any())}
        return observation, reward, arrived, False, info

    def compute_reward(self, achieved_goal: Array, desired_goal: Array, info: Any) -> Array:
        """(..., 2), (..., 2) -> (...): -1, or 0 within the tolerance. Batched."""
        return self._world.compute_reward(achieved_goal, desired_goal, info)

    def goal_of(self, states: Array) -> Array:
        """(..., 2) -> (..., 2): the position itself."""
        return states

    def shortest_length(self, starts: Array, goals: Array) -> Array:
        """(N, 2), (N, 2) -> (N,): the shortest way (exact)."""
        return self._world.shortest_length(starts + self._centre, goals + self._centre)

    def shortest_route(self, start: Array, goal: Array) -> Array:
        """(2,), (2,) -> (K, 2) bends of the shortest way, both ends included."""
        return self._world.shortest_route(start + self._centre, goal + self._centre) - self._centre

    def shortest_steps(self, states: Array, goals: Array) -> Array:
        """(N, 2), (N, 2) -> (N,) env steps to within the tolerance; a lower bound: along diagonals all the way."""
        length = self.shortest_length(np.atleast_2d(states), np.atleast_2d(goals))
        return np.ceil(np.maximum(length - self._world.tolerance, 0.0) / (np.sqrt(2) * _STEP))

    def render(self) -> NDArray[np.uint8] | None:  # type: ignore[override]  # gym.Env's type says a list, too
        if self.render_mode is None:
            return None
        position, goal, trail = (np.asarray(points) + self._centre for points in (self._position, self._goal, self._trail))
        return draw_world(self._world.map, position, goal, self._world.tolerance, trail)

    def _observe(self) -> dict[str, Array]:
        position, goal = (np.clip(place, -_SIDE / 2, _SIDE / 2).astype(np.float32) for place in (self._position, self._goal))
        return {"observation": position, "achieved_goal": position.copy(), "desired_goal": goal}

    def _checked_place(self, name: str, place: Any) -> Array:
        place = np.asarray(place, dtype=np.float64)
        if place.shape != (2,) or not np.isfinite(place).all():
            raise ValueError(f"{name} must be two finite coordinates, got {place.tolist()}")
        if not self._world.map.is_free(self._world.map.settle(place + self._centre)):
            raise ValueError(f"{name} {place.tolist()} lies inside a wall or outside the square; choose a free place")
        return place
