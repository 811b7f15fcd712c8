"""What there is to learn from: trajectories, however they came about (a replay, a file of somebody's logs)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .barriers import on_barrier
from .coverage import Coverage
from .trajectories import GoalEntries, Trajectory, typical_step

Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Trajectories, and what every part asks of them again and again. Rewards are not needed: a goal is what a state achieves."""

    trajectories: Sequence[Trajectory]
    goal_of: GoalEntries

    @classmethod
    def of(cls, trajectories: Sequence[Trajectory]) -> Dataset:
        """ValueError if there are none, or a goal is no part of the state."""
        if not trajectories:
            raise ValueError("there are no trajectories to learn from")
        return cls(trajectories, GoalEntries.infer(trajectories))

    def __repr__(self) -> str:
        return f"Dataset({len(self.trajectories)} trajectories, {self.num_states} states)"

    @property
    def num_states(self) -> int:
        return sum(len(trajectory) for trajectory in self.trajectories)

    @cached_property
    def states(self) -> Array:
        """(M, S), all that were visited"""
        return np.concatenate([trajectory.states for trajectory in self.trajectories])

    @cached_property
    def goals(self) -> Array:
        """(M, G), what these states achieve"""
        return np.concatenate([trajectory.goals for trajectory in self.trajectories])

    @cached_property
    def on_barrier(self) -> NDArray[np.bool_]:
        """(M,) of the visited positions: does a barrier lead through there?"""
        return on_barrier(self.trajectories)

    @cached_property
    def clear_states(self) -> Array:
        """(K, S), those of `states` that lie on no barrier: of the others only their trajectory tells on which side they are."""
        return self.states[~self.on_barrier] if self.on_barrier.any() else self.states

    @cached_property
    def visited(self) -> Coverage:
        """Where a generated goal may lie; its rows are those of `states`."""
        return Coverage(self.goals, self.on_barrier, typical_step(self.trajectories))

    def lift(self, goals: Array) -> Array:
        """(N, G) generated goals -> (N, S) states: the remaining entries are those of the nearest visited state.

        A goal that nobody has achieved may be inside a wall: there the nearest visited state stands in as it is.
        """
        nearest, been = self.visited.nearest(goals)
        states = self.states[nearest]
        states[been] = self.goal_of.lift(goals[been], states[been])
        return states
