"""What one point mass and a batch of them share: the world's constants, its motion, its pairs, its truth."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from .drawings import FLAT, long_scale
from .panes import Pane, paned_map
from .walls import WallMap, check_rows, wall_map

Array = NDArray[np.floating]

_PAIRS_FOR_QUANTILES = 4096
_DRAWN = 0.02  # m: half the width of a pane in pictures
_DRAWS = 1_000  # of so many pairs, before there are taken to be none
_PAIRS_AHEAD = 64  # drawn at once: one draw per reset would cost more than all steps of a large batch


class PointMassWorld:
    """A walled plane with masses on it, any number at a time: (B, 2) positions [m] and velocities [m/s] in, the same out.

    A step lasts 0.1 s: v <- v + a dt, its length cut at the top speed, then x <- x + v dt. Full speed takes 5 steps and
    covers 0.1 m a step. A wall stops the motion into it and lets the mass slide along it.

    Only sums, products, quotients and roots of single numbers are used, so that a mass moves by the same bits alone and
    in a batch.
    """

    time_step = 0.1  # s
    max_speed = 1.0  # m/s
    max_push = 2.0  # m/s^2, per axis

    def __init__(
        self,
        rows: Sequence[str] = FLAT,
        scale: float | None = None,
        tolerance: float = 0.1,
        difficulty: float = 0.0,
        connected: bool = True,
        panes: Sequence[Pane] = (),
    ) -> None:
        """`scale`: env steps that a cell takes at full speed; by default the farthest cells lie 240 steps apart or more."""
        if not (np.isfinite(tolerance) and tolerance > 0):
            raise ValueError(f"tolerance must be a positive length in metres, got {tolerance}")
        if scale is not None and not (np.isfinite(scale) and scale > 0):
            raise ValueError(f"scale must be a positive number of env steps per cell, got {scale}")
        step_length = self.max_speed * self.time_step
        rows = tuple(rows)
        check_rows(rows)
        cell_size = (long_scale(rows) if scale is None else scale) * step_length
        self.map = paned_map(rows, cell_size, tuple(panes)) if panes else wall_map(rows, cell_size, connected)
        self.tolerance = tolerance
        least_length(self.map, difficulty)  # complains
        self.difficulty = difficulty
        top = self.map.size.astype(np.float32)
        speed = np.full(2, self.max_speed, dtype=np.float32)
        position = spaces.Box(np.zeros(2, np.float32), top)
        state = spaces.Box(np.concatenate([np.zeros(2, np.float32), -speed]), np.concatenate([top, speed]))
        self.goal_space = spaces.Dict(observation=state, achieved_goal=position, desired_goal=position)
        self.push_space = spaces.Box(-1.0, 1.0, (2,), np.float32)

    def advance(self, positions: Array, velocities: Array, actions: Array) -> tuple[Array, Array, NDArray[np.bool_]]:
        """(B, 2) each -> positions and velocities (B, 2) one step later, and whether a wall stopped the motion (B,)."""
        pushes = np.minimum(np.maximum(actions.astype(np.float64), -1.0), 1.0) * self.max_push
        velocities = velocities + pushes * self.time_step
        x, y = velocities.T
        speed = np.sqrt(x * x + y * y)
        velocities = velocities * (self.max_speed / np.maximum(speed, self.max_speed))[:, None]
        positions, stopped = self.map.move(positions, velocities * self.time_step)
        return positions, np.where(stopped, 0.0, velocities), np.any(stopped, axis=1)

    def compute_reward(self, achieved_goal: Array, desired_goal: Array, info: Any) -> Array:
        """(..., G), (..., G) -> (...): -1, or 0 within self.tolerance [m]. Batched: HER calls it on whole minibatches."""
        offset = achieved_goal - desired_goal
        x, y = offset[..., 0], offset[..., 1]
        # not `> tolerance`: what is not finite is at no goal
        return -(~(np.sqrt(x * x + y * y) <= self.tolerance)).astype(np.float32)

    @property
    def walls(self) -> Array:
        """(W, 2, 2) boxes [low, high] [m]; of panes, which have no width, as wide as a line is drawn"""
        return np.concatenate([self.map.walls, self.map.panes + np.array([[-_DRAWN, 0.0], [_DRAWN, 0.0]])])

    def goal_of(self, states: Array) -> Array:
        """(..., 4) -> (..., 2): the position that a state achieves."""
        return states[..., :2]

    def shortest_length(self, starts: Array, goals: Array) -> Array:
        """(N, 2), (N, 2) positions -> (N,) [m]: the shortest way (exact); inf where there is none."""
        return self.map.truth.length(self.map.settle(starts), self.map.settle(goals))

    def shortest_route(self, start: Array, goal: Array) -> Array:
        """(2,), (2,) -> (K, 2) bends of the shortest way, both ends included. ValueError if there is none."""
        start, goal = self.map.settle(np.stack([start, goal]))
        return self.map.truth.route(start, goal)

    def shortest_steps(self, states: Array, goals: Array) -> Array:
        """(N, 4) states or (N, 2) positions, (N, 2) goals -> (N,) env steps to within `tolerance`.

        A lower bound: at full speed all the way. inf where there is no way.
        """
        length = self.shortest_length(self.goal_of(np.atleast_2d(states)), goals)
        return np.ceil(np.maximum(length - self.tolerance, 0.0) / (self.max_speed * self.time_step))


@lru_cache(maxsize=256)
def least_length(world: WallMap, difficulty: float) -> float:
    """The map's `difficulty` quantile of the true distance [m] between a random start and a random goal."""
    if not 0.0 <= difficulty < 1.0:
        raise ValueError(f"difficulty must lie in [0, 1), got {difficulty}")
    if difficulty == 0:
        return 0.0
    rng = np.random.default_rng(0)  # a fact of the map, so with a seed of its own
    starts, goals = (world.sample_free(_PAIRS_FOR_QUANTILES, rng) for _ in range(2))
    lengths = world.truth.length(starts, goals)
    return float(np.quantile(lengths[np.isfinite(lengths)], difficulty))


class Pairs:
    """Starts and goals of one env, drawn ahead from its own generator, so that a reset costs next to nothing."""

    def __init__(self, world: PointMassWorld, difficulty: float, rng: np.random.Generator) -> None:
        self._world, self._rng = world, rng
        self._least_length = least_length(world.map, difficulty)
        self._ahead: list[tuple[Array, Array]] = []

    def draw(self) -> tuple[Array, Array]:
        """A start (2,) and a goal (2,) with a way between them, farther apart than the tolerance and the least length [m]."""
        for _ in range(_DRAWS):
            if self._ahead:
                return self._ahead.pop()
            points = self._world.map.sample_free(2 * _PAIRS_AHEAD, self._rng)
            starts, goals = points[:_PAIRS_AHEAD], points[_PAIRS_AHEAD:]
            good = self._world.compute_reward(starts, goals, {}) < 0
            if self._least_length > 0 or not self._world.map.is_connected:
                lengths = self._world.shortest_length(starts, goals)
                good &= np.isfinite(lengths) & (lengths >= self._least_length)
            self._ahead = list(zip(starts[good], goals[good], strict=True))
        raise ValueError(
            f"no start and goal lie as far apart as the difficulty asks, and farther than the tolerance of "
            f"{self._world.tolerance} m, in a world of {self._world.map.size.tolist()} m; make one or the other less"
        )
