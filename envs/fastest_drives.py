"""The fastest drives of a point mass among walls, found by trying all: what an agent's drives are measured by."""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from .point_mass_world import PointMassWorld

Array = NDArray[np.floating]

_INSIDE = 1e-6  # m


class FastestDrives:
    """Breadth-first search over positions and velocities that are whole multiples of what a full push adds in one step.

    Pushes are full ones or none along each axis. So a drive found here can be driven as it is, and one with pushes in between
    could be a little faster still.
    """

    def __init__(self, world: PointMassWorld) -> None:
        """ValueError where walls do not lie on such multiples."""
        self._world, self._unit = world, world.max_push * world.time_step**2  # m; of velocities, m a step
        cells = world.map.cell_size / self._unit
        if abs(cells - round(cells)) > 1e-6:
            raise ValueError(f"walls must lie at multiples of {self._unit:g} m, but a cell is {world.map.cell_size:g} m wide")
        self._velocities, self._pushed = self._all_velocities()
        self._places, number = self._all_places()
        shape = len(self._places), len(self._velocities)
        self._next, self._left = np.empty(shape, np.int32), np.empty(shape, np.int16)
        velocity_number = {tuple(velocity): own for own, velocity in enumerate(self._velocities)}
        for own, velocity in enumerate(self._velocities):
            moves = np.broadcast_to(velocity * self._unit, self._places.shape)
            reached, stopped = world.map.move(self._places * self._unit, moves)
            at = np.rint(reached / self._unit).astype(int)
            self._next[:, own] = number[at[:, 0], at[:, 1]]
            left = [velocity_number[tuple(np.where(mask, 0, velocity))] for mask in itertools.product((False, True), repeat=2)]
            self._left[:, own] = np.array(left)[2 * stopped[:, 0] + stopped[:, 1]]

    def _all_velocities(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """-> (V, 2) velocities no faster than the top speed, (V, 9) what each push makes of them, -1 where it is too fast."""
        top = self._world.max_speed * self._world.time_step / self._unit
        most = int(top + 1e-9)
        side = range(-most, most + 1)
        velocities = np.array([pair for pair in itertools.product(side, repeat=2) if math.hypot(*pair) <= top + 1e-9])
        number = {tuple(velocity): own for own, velocity in enumerate(velocities)}
        pushes = list(itertools.product((-1, 0, 1), repeat=2))
        return velocities, np.array([[number.get((x + a, y + b), -1) for a, b in pushes] for x, y in velocities])

    def _all_places(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """-> (N, 2) places that are free, walls' faces included, and their numbers (X, Y), -1 for others."""
        shape = np.rint(self._world.map.size / self._unit).astype(int) + 1
        places = np.argwhere(np.ones(shape, bool))
        corners = _INSIDE * np.array(list(itertools.product((-1, 1), repeat=2)))
        beside = places[:, None] * self._unit + corners  # a face belongs to the free cell beside it
        cells = np.clip((beside / self._world.map.cell_size).astype(int), 0, np.array(self._world.map.is_wall.shape) - 1)
        free = ~self._world.map.is_wall[cells[..., 0], cells[..., 1]]
        places = places[free.any(axis=1)]
        number = np.full(shape, -1)
        number[places[:, 0], places[:, 1]] = np.arange(len(places))
        return places, number

    def find(self, start: Array, goal: Array) -> tuple[int, float]:
        """(2,), (2,) [m] -> env steps from rest at the place next to the start to within the goal's tolerance, and how long the
        shortest of the fastest drives is [m]. ValueError if there is none."""
        places, velocities = self._places * self._unit, len(self._velocities)
        arrived = np.linalg.norm(places - goal, axis=1) <= self._world.tolerance
        first = int(np.linalg.norm(places - start, axis=1).argmin())
        lengths = np.full(len(places) * velocities, np.inf, np.float32)  # inf where nobody has been
        still = int(np.flatnonzero((self._velocities == 0).all(axis=1))[0])
        front = np.array([first * velocities + still])
        lengths[front] = 0.0
        if arrived[first]:
            return 0, 0.0
        for steps in itertools.count(1):
            place, velocity = np.divmod(front, velocities)
            pushed = self._pushed[velocity]  # (F, 9)
            row, push = np.nonzero(pushed >= 0)
            there, left = self._next[place[row], pushed[row, push]], self._left[place[row], pushed[row, push]]
            length = lengths[front[row]] + np.linalg.norm(places[there] - places[place[row]], axis=1).astype(np.float32)
            state = there.astype(np.int64) * velocities + left
            new = (there >= 0) & np.isinf(lengths[state])
            state, length = state[new], length[new]
            if len(state) == 0:
                raise ValueError(f"no drive leads from {start.tolist()} to {goal.tolist()}")
            np.minimum.at(lengths, state, length)
            front = np.unique(state)
            there_now = arrived[front // velocities]
            if there_now.any():
                return steps, float(lengths[front[there_now]].min())
        raise AssertionError("unreachable")
