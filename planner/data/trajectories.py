"""What was driven: states with the goals that they achieve, and how far a step goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..goal_space import GoalSpace

Array = NDArray[np.floating]

_ROUNDING = 1e-3  # of a typical step: changes of motion that are smaller tell of float32


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Consecutive states of one episode."""

    states: Array  # (T + 1, S)
    goals: Array  # (T + 1, G), the goal that each state achieves
    actions: Array | None = None  # (T, A), what led from each state to the next; None where nobody wrote it down

    def __len__(self) -> int:
        return len(self.states)


def pack_trajectories(trajectories: Sequence[Trajectory], periods: Sequence[float] = ()) -> dict[str, NDArray]:
    """Trajectories -> flat arrays for an npz file: states (N, S), goals (N, G), lengths (K,), actions (N - K, A) if all have
    them, and periods (G,) of the goals if any entry wraps."""
    arrays: dict[str, NDArray] = {
        "states": np.concatenate([trajectory.states for trajectory in trajectories]).astype(np.float32),
        "goals": np.concatenate([trajectory.goals for trajectory in trajectories]).astype(np.float32),
        "lengths": np.array([len(trajectory) for trajectory in trajectories], dtype=np.int64),
    }
    actions = [trajectory.actions for trajectory in trajectories if trajectory.actions is not None]
    if actions and len(actions) == len(trajectories):
        arrays["actions"] = np.concatenate(actions).astype(np.float32)
    if any(periods):
        arrays["periods"] = np.array(periods, dtype=np.float64)
    return arrays


def stored_periods(arrays: dict[str, NDArray]) -> tuple[float, ...]:
    """(G,) as `pack_trajectories` stored them; 0, for entries that do not wrap, where it did not. ValueError for others."""
    size = arrays["goals"].shape[1]
    periods = np.asarray(arrays.get("periods", np.zeros(size)))
    if periods.shape != (size,) or not np.isfinite(periods).all() or (periods < 0).any():
        raise ValueError(f"trajectories have periods for {size} entries of a goal, none of them negative, got {periods}")
    return tuple(periods.tolist())


def unpack_trajectories(arrays: dict[str, NDArray]) -> list[Trajectory]:
    """The inverse of `pack_trajectories`. ValueError if an array is missing or the lengths do not add up."""
    missing = {"states", "goals", "lengths"} - set(arrays)
    if missing:
        raise ValueError(f"trajectories lack {sorted(missing)}")
    states, goals, lengths = arrays["states"], arrays["goals"], arrays["lengths"]
    if states.ndim != 2 or goals.ndim != 2 or lengths.ndim != 1 or lengths.dtype.kind != "i":
        shapes = f"{states.shape}, {goals.shape} and {lengths.shape}, {lengths.dtype}"
        raise ValueError(f"trajectories are states (N, S), goals (N, G) and whole lengths (K,), got {shapes}")
    if not (lengths.sum() == len(states) == len(goals)):
        raise ValueError(f"trajectory lengths add up to {lengths.sum()}, but there are {len(states)} states, {len(goals)} goals")
    if len(lengths) == 0 or (lengths < 1).any():
        raise ValueError(f"trajectories hold 1 state or more each, got lengths from {lengths.min(initial=0)}")
    actions = arrays.get("actions")
    if actions is not None and len(actions) != len(states) - len(lengths):
        raise ValueError(f"{len(states)} states in {len(lengths)} trajectories take one action less each, got {len(actions)}")
    ends = np.cumsum(lengths)
    return [
        Trajectory(states[end - n : end], goals[end - n : end], None if actions is None else actions[end - n - i : end - i - 1])
        for i, (end, n) in enumerate(zip(ends, lengths, strict=True))
    ]


@dataclass(frozen=True, eq=False)
class GoalEntries:
    """`goal_of` for envs whose goal is a part of the state: the indices of that part."""

    indices: tuple[int, ...]

    @classmethod
    def infer(cls, trajectories: Sequence[Trajectory]) -> GoalEntries:
        """Find for each goal entry the state entry that always equals it. ValueError if there is none."""
        states = np.concatenate([trajectory.states for trajectory in trajectories])
        goals = np.concatenate([trajectory.goals for trajectory in trajectories])
        indices = []
        for entry in range(goals.shape[1]):
            equal = np.flatnonzero((states == goals[:, entry : entry + 1]).all(axis=0))
            if len(equal) == 0:
                raise ValueError(
                    f"no state entry equals entry {entry} of achieved_goal; the planner needs goals that are part of the "
                    f"observation, so append achieved_goal to it"
                )
            indices.append(int(equal[0]))
        return cls(tuple(indices))

    def __call__(self, states: Array) -> Array:
        """(..., S) -> (..., G)"""
        return states[..., list(self.indices)]

    def lift(self, goals: Array, states: Array) -> Array:
        """Put (N, G) goals into (N, S) states: the remaining entries stay."""
        lifted = states.copy()
        lifted[:, list(self.indices)] = goals
        return lifted


def typical_step(trajectories: Sequence[Trajectory]) -> float:
    """How far the goal moves in an env step that moves it well: the 95th percentile [goal units]; 0 if nothing moves.

    Of all steps, or where an object is pushed so seldom that it rests in nearly all of them, of those that move it.
    """
    moves = np.concatenate([np.linalg.norm(np.diff(trajectory.goals, axis=0), axis=1) for trajectory in trajectories])
    if not moves.any():
        return 0.0
    return float(np.quantile(moves, 0.95)) or float(np.quantile(moves[moves > 0], 0.95))


def typical_turn(trajectories: Sequence[Trajectory], space: GoalSpace | None = None) -> float:
    """In how many env steps the agent can change its motion by a typical step: what a mass in motion cannot do at once.

    A typical step by the 90th percentile of how much one step's motion differs from the last one's: pushes are seldom less than
    full, and stops at walls rarer than that. At least 1, which is what follows its actions at once, or was never seen to turn;
    ValueError if nothing moves.
    """
    space = space if space is not None else GoalSpace.fit([trajectory.goals for trajectory in trajectories])
    if not space.moves:
        raise ValueError("no trajectory moves; nothing can be said of how it turns")
    step, moved = space.move, [np.diff(space.unwrapped(trajectory.goals), n=2, axis=0) for trajectory in trajectories]
    changes = [np.linalg.norm(space.relative(own), axis=1) for own in moved]
    change = float(np.quantile(np.concatenate(changes), 0.9)) if any(len(own) for own in changes) else 0.0
    return max(1.0, step / change) if change > _ROUNDING * step else 1.0
