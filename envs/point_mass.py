"""A mass on a walled plane that is pushed about: the env on which the main job is measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from .drawing import draw_world
from .walls import WallMap

Array = NDArray[np.floating]

FLAT = ("#####", "#...#", "#...#", "#...#", "#####")
# One way round a long wall: two arms, two cells wide, that meet at the bottom.
U = ("#######", *("#..#..#",) * 13, "#.....#", "#.....#", "#######")

_PAIRS_FOR_QUANTILES = 4096


class PointMass(gym.Env[Any, Array]):
    """A mass with inertia among walls; it is to reach a position, at any velocity.

    | array | entry | meaning | unit | range |
    |---|---|---|---|---|
    | `observation` (4,) | 0, 1 | position x, y | m | the map |
    | | 2, 3 | velocity x, y | m/s | speed at most 1 |
    | `achieved_goal` (2,) | 0, 1 | position x, y | m | the map |
    | `desired_goal` (2,) | 0, 1 | position x, y | m | the map's free area |
    | action (2,) | 0, 1 | push along x, y, as a share of 2 m/s^2 | - | -1 to 1 |

    A step lasts 0.1 s: v <- v + a dt, its length cut at the top speed, then x <- x + v dt. Full speed takes 5 steps and
    covers 0.1 m a step. A wall stops the motion into it and lets the mass slide along it.

    Reward is -1, and 0 on the step that brings the mass within `tolerance` [m] of the goal, which terminates the
    episode; `info` says so as `is_success` and `success`. `reset(seed=...)` fixes start, goal and all that follows.

    Options, also of a single `reset(options={...})`: `difficulty` q in [0, 1) draws only pairs of start and goal
    whose true distance is above the map's q-quantile. `start` and `goal` (2,) [m] set the pair instead.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}
    time_step = 0.1  # s
    max_speed = 1.0  # m/s
    max_push = 2.0  # m/s^2, per axis

    def __init__(
        self,
        rows: Sequence[str] = FLAT,
        cell_size: float = 1.0,
        tolerance: float = 0.1,
        difficulty: float = 0.0,
        render_mode: str | None = None,
    ) -> None:
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"render_mode must be one of {self.metadata['render_modes']} or None, got {render_mode!r}")
        self.map = WallMap(rows, cell_size)
        self.tolerance = tolerance
        self.difficulty = _check_difficulty(difficulty)
        self.render_mode = render_mode
        top = self.map.size.astype(np.float32)
        speed = np.full(2, self.max_speed, dtype=np.float32)
        position = spaces.Box(np.zeros(2, np.float32), top)
        state = spaces.Box(np.concatenate([np.zeros(2, np.float32), -speed]), np.concatenate([top, speed]))
        self.observation_space: spaces.Dict = spaces.Dict(observation=state, achieved_goal=position, desired_goal=position)
        self.action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
        self._position = self._velocity = np.zeros(2)
        self._goal = np.zeros(2, dtype=np.float32)
        self._trail: list[Array] = []
        self._distances: Array | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict[str, Array], dict[str, Any]]:
        super().reset(seed=seed)
        options = options or {}
        start, goal = self._draw_pair(_check_difficulty(options.get("difficulty", self.difficulty)))
        self._position = self._checked_point("start", options.get("start", start)).astype(np.float64)
        self._goal = self._checked_point("goal", options.get("goal", goal)).astype(np.float32)
        self._velocity = np.zeros(2)
        self._trail = [self._position]
        return self._observe(), {}

    def step(self, action: Array) -> tuple[dict[str, Array], float, bool, bool, dict[str, Any]]:
        push = np.clip(np.asarray(action, dtype=np.float64), -1.0, 1.0) * self.max_push
        velocity = self._velocity + push * self.time_step
        velocity *= self.max_speed / max(float(np.linalg.norm(velocity)), self.max_speed)
        reached, stopped = self.map.move(self._position[None], velocity[None] * self.time_step)
        self._position, self._velocity = reached[0], np.where(stopped[0], 0.0, velocity)
        self._trail.append(self._position)
        observation = self._observe()
        reward = float(self.compute_reward(observation["achieved_goal"], observation["desired_goal"], {}))
        arrived = reward == 0.0
        return observation, reward, arrived, False, {"is_success": arrived, "success": arrived}

    def compute_reward(self, achieved_goal: Array, desired_goal: Array, info: Any) -> Array:
        """(..., G), (..., G) -> (...): -1, or 0 within self.tolerance [m]. Batched: HER calls it on whole minibatches."""
        return -(np.linalg.norm(achieved_goal - desired_goal, axis=-1) > self.tolerance).astype(np.float32)

    def goal_of(self, states: Array) -> Array:
        """(..., 4) -> (..., 2): the position that a state achieves."""
        return states[..., :2]

    def shortest_length(self, starts: Array, goals: Array) -> Array:
        """(N, 2), (N, 2) positions -> (N,) [m]: the shortest way (exact)."""
        return self.map.shortest_length(starts, goals)

    def shortest_steps(self, starts: Array, goals: Array) -> Array:
        """(N, 2), (N, 2) positions -> (N,) env steps to within `tolerance`: a lower bound, at full speed all the way."""
        return np.ceil(np.maximum(self.shortest_length(starts, goals) - self.tolerance, 0.0) / (self.max_speed * self.time_step))

    def render(self) -> NDArray[np.uint8] | None:
        if self.render_mode is None:
            return None
        return draw_world(self.map, self._position, self._goal, self.tolerance, np.array(self._trail))

    def _observe(self) -> dict[str, Array]:
        position = self._position.astype(np.float32)
        state = np.concatenate([position, self._velocity.astype(np.float32)])
        return {"observation": state, "achieved_goal": position, "desired_goal": self._goal.copy()}

    def _draw_pair(self, difficulty: float) -> tuple[Array, Array]:
        """A start and a goal, apart by more than the tolerance and the map's distance quantile `difficulty`."""
        least = np.quantile(self._pair_distances(), difficulty) if difficulty > 0 else 0.0
        while True:
            start, goal = self.map.sample_free(2, self.np_random)
            if np.linalg.norm(goal - start) <= self.tolerance:
                continue
            if least == 0.0 or self.map.shortest_length(start, goal)[0] >= least:
                return start, goal

    def _pair_distances(self) -> Array:
        """Shortest lengths [m] of pairs drawn as `reset` draws them: a fact of the map, so with a seed of its own."""
        if self._distances is None:
            rng = np.random.default_rng(0)
            starts, goals = (self.map.sample_free(_PAIRS_FOR_QUANTILES, rng) for _ in range(2))
            self._distances = self.map.shortest_length(starts, goals)
        return self._distances

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


def _check_difficulty(difficulty: float) -> float:
    if not 0.0 <= difficulty < 1.0:
        raise ValueError(f"difficulty must lie in [0, 1), got {difficulty}")
    return float(difficulty)
