"""The plain values that pass between stages: trajectories, plans, and the paths that an energy model learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Array = NDArray[np.floating]


class NoPathError(Exception):
    """The graph holds no path from the start to the goal."""


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Consecutive states of one episode."""

    states: Array  # (T + 1, S)
    goals: Array  # (T + 1, G), the goal that each state achieves

    def __len__(self) -> int:
        return len(self.states)


@dataclass(frozen=True, eq=False)
class Plan:
    """A chain of waypoints, with the graph it was found in (for pictures and audits)."""

    waypoints: Array  # (K, S), start and goal excluded; K = 0 means straight to the goal
    edge_steps: Array  # (K + 1,) predicted env steps of each link, the last one to the goal
    nodes: Array  # (N, S) all sampled states
    edges: NDArray[np.intp]  # (E, 2) rows [from, to]; 0 is the start, 1..N the nodes, N + 1 the goal

    @property
    def total_steps(self) -> float:
        return float(self.edge_steps.sum())


def pack_trajectories(trajectories: Sequence[Trajectory]) -> dict[str, NDArray]:
    """Trajectories -> flat arrays for an npz file: states (N, S), goals (N, G), lengths (K,)."""
    return {
        "states": np.concatenate([trajectory.states for trajectory in trajectories]).astype(np.float32),
        "goals": np.concatenate([trajectory.goals for trajectory in trajectories]).astype(np.float32),
        "lengths": np.array([len(trajectory) for trajectory in trajectories], dtype=np.int64),
    }


def unpack_trajectories(arrays: dict[str, NDArray]) -> list[Trajectory]:
    """The inverse of `pack_trajectories`. ValueError if an array is missing or the lengths do not add up."""
    missing = {"states", "goals", "lengths"} - set(arrays)
    if missing:
        raise ValueError(f"trajectories lack {sorted(missing)}")
    states, goals, lengths = arrays["states"], arrays["goals"], arrays["lengths"]
    if not (lengths.sum() == len(states) == len(goals)):
        raise ValueError(f"trajectory lengths add up to {lengths.sum()}, but there are {len(states)} states, {len(goals)} goals")
    ends = np.cumsum(lengths)
    return [Trajectory(states[end - n : end], goals[end - n : end]) for end, n in zip(ends, lengths, strict=True)]


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


_ROUNDING = 1e-3  # of a typical step: changes of motion that are smaller tell of float32
_FINEST = 1e-4  # of the visited range: the shortest stride in which a line is looked at
LINE_SLACK = 2.0  # of `hold`, for lines: they meet places where the agent was seldom, too
_NEIGHBOURS = 8  # visited places that lie, in the median, within the distance at which a place counts as visited


class VisitedPlaces:
    """Where the agent has been. A place counts as visited if it is about as near to a visited one as these are to each other."""

    def __init__(self, places: Array) -> None:
        """(N, G) goals that were achieved."""
        self._tree = cKDTree(places)
        gaps = self._tree.query(places[:: max(1, len(places) // 2_000)], k=_NEIGHBOURS)[0][:, -1]  # inf if there are fewer
        self.within = float(np.median(gaps[np.isfinite(gaps)])) if np.isfinite(gaps).any() else 0.0
        self._stride = max(self.within, _FINEST * float(np.ptp(places, axis=0).max()), 1e-12)

    def nearest(self, places: Array) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """(N, G) -> (N,) indices of the nearest visited places, and what `hold` says."""
        gaps, rows = self._tree.query(places)
        return rows, gaps < self._near(1.0)

    def hold(self, places: Array, slack: float = 1.0) -> NDArray[np.bool_]:
        """(..., G) -> (...): may the agent be there, for all that it has seen? `slack` times as far from it counts, too."""
        gaps = self._tree.query(places, distance_upper_bound=self._near(slack))[0]
        return np.isfinite(gaps)

    def _near(self, slack: float) -> float:
        return max(slack * self.within * (1 + 1e-9), 1e-12)

    def gaps(self, places: Array, most: float, widest: float) -> tuple[Array, Array]:
        """(..., G) -> (...) how far the nearest visited place is, and (...) how far visited places are from each other about it.

        The former up to `most`, beyond which it is inf and the latter tells nothing. The latter as `within` tells it of them all,
        but by more neighbours, since it is of one place; between `within` and `widest`, if that is more [goal units].
        """
        gaps, rows = self._tree.query(places, distance_upper_bound=most)
        near, at = np.unique(rows, return_inverse=True)
        count = min(4 * _NEIGHBOURS, self._tree.n)
        about = self._tree.data[near.clip(max=self._tree.n - 1)]  # row n: there is none
        spacings = self._tree.query(about, k=[count])[0][:, 0] * (_NEIGHBOURS / count) ** (1 / self._tree.m)
        return gaps, spacings.clip(self.within, max(self.within, widest))[at.reshape(gaps.shape)]

    def hold_lines(self, starts: Array, ends: Array) -> NDArray[np.bool_]:
        """(N, G), (N, G) -> (N,): may the agent be everywhere on the straight line, looked at in strides of `within`?

        With `LINE_SLACK` paths in the U world keep out of the walls (less than 1 % shorter than any way for 9 of 10) and within
        0.5 % of the shortest way in the median; with a slack of 1 it is 4 %.
        """
        strides = np.ceil(np.linalg.norm(ends - starts, axis=1) / self._stride).astype(int)
        held = np.ones(len(starts), dtype=bool)
        for part in (8, 1):  # every eighth place first: most of the lines that are not open end there
            rows = np.flatnonzero(held)
            counts = strides[rows] // part + 2
            line = np.repeat(np.arange(len(rows)), counts)
            step = np.arange(len(line)) - np.repeat(np.cumsum(counts) - counts, counts)
            along = (step / (counts[line] - 1))[:, None]
            row = rows[line]
            open_places = self.hold(starts[row] + along * (ends[row] - starts[row]), slack=LINE_SLACK)
            held[rows] = np.bincount(line, weights=~open_places, minlength=len(rows)) == 0
        return held


def resample_by_arc_length(points: Array, num_points: int) -> Array:
    """(T, G) polyline -> (num_points, G) at equal arc lengths, ends included.

    Sampled by time, a slow-fast-slow motion puts an energy saddle mid-way (2.0 nats for minimum jerk); by arc length it
    does not. A polyline of no length repeats its point.
    """
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    at = np.linspace(0.0, lengths[-1], num_points)
    return np.stack([np.interp(at, lengths, column) for column in points.T], axis=1).astype(np.float32)


def typical_step(trajectories: Sequence[Trajectory]) -> float:
    """How far the goal moves in an env step that moves it well: the 95th percentile [goal units]; 0 if nothing moves.

    Of all steps, or where an object is pushed so seldom that it rests in nearly all of them, of those that move it.
    """
    moves = np.concatenate([np.linalg.norm(np.diff(trajectory.goals, axis=0), axis=1) for trajectory in trajectories])
    if not moves.any():
        return 0.0
    return float(np.quantile(moves, 0.95)) or float(np.quantile(moves[moves > 0], 0.95))


def typical_turn(trajectories: Sequence[Trajectory]) -> float:
    """In how many env steps the agent can change its motion by a typical step: what a mass in motion cannot do at once.

    A typical step by the 90th percentile of how much one step's motion differs from the last one's: pushes are seldom less than
    full, and stops at walls rarer than that. At least 1, which is what follows its actions at once, or was never seen to turn;
    ValueError if nothing moves.
    """
    step = typical_step(trajectories)
    if step == 0:
        raise ValueError("no trajectory moves; nothing can be said of how it turns")
    changes = [np.linalg.norm(np.diff(trajectory.goals, n=2, axis=0), axis=1) for trajectory in trajectories]
    change = float(np.quantile(np.concatenate(changes), 0.9)) if any(len(own) for own in changes) else 0.0
    return max(1.0, step / change) if change > _ROUNDING * step else 1.0


def farthest_points(points: Array, num_points: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """(N, D) -> (num_points,) indices spread by farthest-point sampling from a random first. ValueError if N is fewer."""
    if num_points > len(points):
        raise ValueError(f"asked for {num_points} of {len(points)} points")
    chosen = np.empty(num_points, dtype=np.intp)
    chosen[0] = rng.integers(len(points))
    gaps = np.full(len(points), np.inf)
    columns = np.ascontiguousarray(points.T)  # numpy sums few entries of many points ten times as fast column by column
    for i in range(1, num_points):
        np.minimum(gaps, ((columns - columns[:, chosen[i - 1], None]) ** 2).sum(axis=0), out=gaps)
        chosen[i] = gaps.argmax()
    return chosen


def spread_points(points: Array, num_points: int, pool: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """(N, D) -> num_points indices, or N if these are fewer, by `farthest_points` among `pool` times as many random ones."""
    some = rng.permutation(len(points))[: pool * num_points]
    return some[farthest_points(points[some], min(num_points, len(some)), rng)]
