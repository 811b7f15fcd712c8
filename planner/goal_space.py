"""The metric of goals: how far a move goes in each entry, which entries wrap, and what only works where there are few."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Array = NDArray[np.floating]
Indices = NDArray[np.intp]

_CELLED, _PICTURED = 3, 2  # entries: cells fill a space of so many at most; pictures of a map are of so many exactly
_TYPICAL = 0.95  # quantile of the moves
_ALIKE = 3.0  # entries whose typical moves differ by no more than this factor are of one kind
_TRAVELS = 4.0  # typical moves: an entry of another kind whose range is less does not travel but jitters about a value
_TURNS = 2 * np.pi, 360.0  # periods that are recognised in data
_WHOLE, _BEYOND, _JUMP, _STEP = 0.9, 1e-3, 0.8, 0.25  # shares of a period: range, beyond its ends, jumps at the seam, other moves
_JUMPS = 2  # so many at least


@dataclass(frozen=True)
class GoalSpace:
    """Goals of `size` entries. One move, as the agent typically makes it in an env step, is a distance of 1.

    Entries of one kind (x and y, the joints of an arm) share a unit; those of different kinds (metres, radians, pixels) have
    their own. An entry with a period wraps: its two ends are one, and every offset goes the short way round.
    """

    size: int
    units: tuple[float, ...] = ()  # (G,) a typical move along each entry [goal units]; 1 unless given
    periods: tuple[float, ...] = ()  # (G,) 0 where an entry does not wrap [goal units]
    origin: tuple[float, ...] = ()  # (G,) a wrapping entry's canonical values begin there [goal units]
    moves: bool = True  # False where nothing was ever seen to move, so that the units say nothing

    def __post_init__(self) -> None:
        for name, usual in (("units", 1.0), ("periods", 0.0), ("origin", 0.0)):
            values = getattr(self, name)
            object.__setattr__(self, name, tuple(float(value) for value in values) or (usual,) * self.size)
            if len(getattr(self, name)) != self.size:
                raise ValueError(f"{name} must be one for each of the {self.size} entries of a goal, got {len(values)}")
        if not all(0 < unit < np.inf for unit in self.units) or not all(0 <= period < np.inf for period in self.periods):
            raise ValueError(f"units must be positive and periods not negative, got {self.units} and {self.periods}")

    @classmethod
    def fit(cls, goals: Sequence[Array], periods: Sequence[float] | None = None) -> GoalSpace:
        """Of consecutive achieved goals, (T, G) each. Without `periods` entries that wrap are recognised: see `periods_in`."""
        places = np.concatenate(goals)
        return cls.of_steps(places, np.concatenate([np.diff(own, axis=0) for own in goals]), periods)

    @classmethod
    def of_steps(cls, goals: Array, steps: Array, periods: Sequence[float] | None = None) -> GoalSpace:
        """Of achieved goals (N, G) and how far env steps moved them (M, G), at the seam of an entry either way round."""
        size = goals.shape[1]
        found = periods_in(goals, steps) if periods is None else tuple(periods)
        wraps = cls(size, periods=found, origin=_origins(goals, found))
        steps = wraps.short(steps)
        moving = bool(steps.any())
        return cls(size, _units(wraps.wrapped(goals), steps, found) if moving else (), found, wraps.origin, moving)

    @property
    def has_cells(self) -> bool:
        """Can the visited range be cut into cells of about a move's size? In more entries they would be few and wide."""
        return self.size <= _CELLED

    @property
    def has_pictures(self) -> bool:
        """Can what lies about a goal, or a whole map, be looked at as a picture?"""
        return self.size == _PICTURED

    @property
    def wraps(self) -> bool:
        """Does any entry?"""
        return any(self.periods)

    @property
    def is_plain(self) -> bool:
        """All entries share a unit and none wraps: then nearness is Euclidean, but for the unit."""
        return not self.wraps and len(set(self.units)) == 1

    @property
    def move(self) -> float:
        """The first entry's unit, in which all lengths are worked out before they become moves."""
        return self.units[0]

    @cached_property
    def stretch(self) -> Array:
        """(G,) units of the entries over the first one's: exactly 1 where they share it, so that nothing is rounded there."""
        return np.array(self.units) / self.units[0]

    @cached_property
    def _periods(self) -> Array:
        return np.array(self.periods)

    @cached_property
    def _wrapping(self) -> Indices:
        return np.flatnonzero(self._periods)

    def offsets(self, starts: Array, ends: Array) -> Array:
        """(..., G), (..., G) -> (..., G) from one to the other, the short way round [goal units]"""
        return self.short(ends - starts)

    def beside(self, starts: Array, ends: Array) -> Array:
        """(..., G), (..., G) -> the ends (..., G) as they lie beside the starts, within half a period, canonical or not."""
        return starts + self.offsets(starts, ends) if self.wraps else ends

    def short(self, offsets: Array) -> Array:
        """(..., G) [goal units] -> the same offsets, the short way round where an entry wraps: within half a period."""
        if not self.wraps:
            return offsets
        short = np.array(offsets)
        for entry in self._wrapping:
            period = self.periods[entry]
            short[..., entry] -= period * np.round(short[..., entry] / period)
        return short

    def relative(self, offsets: Array) -> Array:
        """(..., G) offsets [goal units] -> (..., G), all in units of the first entry, where ratios matter alone."""
        if (self.stretch == 1.0).all():
            return offsets
        return (offsets / self.stretch).astype(np.result_type(offsets.dtype, np.float32))

    def absolute(self, offsets: Array) -> Array:
        """The inverse of `relative`."""
        return offsets if (self.stretch == 1.0).all() else offsets * self.stretch

    def norms(self, offsets: Array) -> Array:
        """(..., G) offsets [goal units] -> (...) in units of the first entry, where ratios matter alone."""
        return np.linalg.norm(self.relative(offsets), axis=-1)

    def lengths(self, offsets: Array) -> Array:
        """(..., G) offsets [goal units] -> (...) moves"""
        return self.norms(offsets) / self.move

    def gap(self, starts: Array, ends: Array) -> Array:
        """(..., G), (..., G) -> (...) moves, the short way round"""
        return self.lengths(self.offsets(starts, ends))

    def between(self, starts: Array, ends: Array, shares: Array) -> Array:
        """(..., G), (..., G), (...) in [0, 1] -> (..., G): so much of the short way on."""
        return self.wrapped(starts + np.asarray(shares)[..., None] * self.offsets(starts, ends))

    def wrapped(self, goals: Array) -> Array:
        """(..., G) -> the same goals with canonical values: a wrapping entry's lie in [origin, origin + period)."""
        if not self.wraps:
            return goals
        canonical = np.array(goals)
        for entry in self._wrapping:
            period, origin = self.periods[entry], self.origin[entry]
            values = canonical[..., entry].astype(np.float64)
            values = origin + np.mod(values - origin, period)
            outside = (values < origin) | (values >= origin + period)  # rounding
            inside = np.where(outside, origin, values).astype(canonical.dtype)
            # what was canonical stays as it is, to the last bit
            kept = (canonical[..., entry] >= origin) & (canonical[..., entry] < origin + period)
            canonical[..., entry] = np.where(kept, canonical[..., entry], inside)
        return canonical

    def middle(self, starts: Array, ends: Array) -> Array:
        """(..., G), (..., G) -> (..., G)"""
        return self.wrapped((starts + self.beside(starts, ends)) / 2)

    def unwrapped(self, goals: Array) -> Array:
        """(T, G) consecutive goals -> (T, G), going on beyond the ends of what wraps, so that no step jumps."""
        if not self.wraps:
            return goals
        steps = self.short(np.diff(goals.astype(np.float64), axis=0))
        rolled = goals.astype(np.float64)
        rolled[1:, self._wrapping] = rolled[:1, self._wrapping] + np.cumsum(steps[:, self._wrapping], axis=0)
        return rolled.astype(goals.dtype)

    def flat(self, goals: Array) -> Array:
        """(..., G) -> (..., G) in units of the first entry; wrapping entries from 0 to `boxes`. Nearness is Euclidean there."""
        values = self.relative(np.asarray(goals, dtype=np.float64))
        if not self.wraps:
            return values
        values = np.array(values)
        for entry, box in zip(self._wrapping, self.boxes[self._wrapping], strict=True):
            inside = np.mod(values[..., entry] - self.origin[entry] / self.stretch[entry], box)
            values[..., entry] = np.where(inside >= box, 0.0, inside)  # rounding
        return values

    @cached_property
    def boxes(self) -> Array:
        """(G,) the periods of `flat`; 0 where an entry does not wrap."""
        return self._periods / self.stretch

    def tree(self, goals: Array) -> GoalTree:
        """(N, G) -> what finds the nearest of these."""
        return GoalTree(self, goals)

    def limits(self) -> list[str]:
        """What is done without in this space, a line each, for the user to know before a training."""
        lines = []
        if not self.has_cells:
            lines.append(
                f"goals have {self.size} entries: cells are for {_CELLED} at most, so plans are driven waypoint by waypoint, and "
                f"distances and energies learn without grids"
            )
        if not self.has_pictures:
            lines.append(f"goals have {self.size} entries: the agent has no local view, which needs {_PICTURED}")
        if self.wraps and self.has_cells:
            entries = ", ".join(str(entry) for entry in self._wrapping)
            lines.append(f"goal entry {entries} wraps: there are no routes, so plans are driven waypoint by waypoint")
        return lines


class GoalTree:
    """Finds the nearest of (N, G) goals, by `GoalSpace.gap`."""

    def __init__(self, space: GoalSpace, goals: Array) -> None:
        self.space = space
        flat = space.flat(goals)
        self.flat = cKDTree(flat, boxsize=space.boxes) if space.wraps else cKDTree(flat)
        self.n: int = self.flat.n

    def query(self, goals: Array, k: Any = 1, within: float = np.inf) -> tuple[Array, Indices]:
        """(..., G) -> gaps [moves] and rows of the nearest, (...) or (..., K) as scipy's `cKDTree.query` counts them with `k`;
        inf and n where there are none at less than `within` moves."""
        gaps, rows = self.flat.query(self.space.flat(goals), k=k, distance_upper_bound=within * self.space.move)
        return gaps / self.space.move, rows

    def within(self, goal: Array, moves: float) -> Indices:
        """(G,) -> rows of those at so many moves, at most."""
        return np.array(self.flat.query_ball_point(self.space.flat(goal), moves * self.space.move), dtype=np.intp)


def periods_in(goals: Array, steps: Array) -> tuple[float, ...]:
    """(N, G) goals, (M, G) consecutive steps -> (G,) periods, 0 for none.

    An entry wraps whose range is nearly a whole turn, within [-1/2, 1/2] or [0, 1] of it, in radians or degrees, if some steps
    jump over nearly all of that and all others are short.
    """
    low, high = goals.min(axis=0), goals.max(axis=0)
    lengths = np.abs(steps)
    found = []
    for entry in range(goals.shape[1]):
        period = 0.0
        for turn in _TURNS:
            ends = max(-low[entry], high[entry]) <= (0.5 + _BEYOND) * turn
            ends = ends or (low[entry] >= -_BEYOND * turn and high[entry] <= (1 + _BEYOND) * turn)
            jumps = lengths[:, entry] >= _JUMP * turn
            short = (lengths[~jumps, entry] <= _STEP * turn).all()
            if ends and high[entry] - low[entry] >= _WHOLE * turn and jumps.sum() >= _JUMPS and short:
                period = float(turn)
        found.append(period)
    return tuple(found)


def as_periods(said: Any, size: int) -> tuple[float, ...]:
    """What an env says as `goal_period`, a number or one per entry, 0 or inf for none -> (G,). ValueError for anything else."""
    try:
        values = np.broadcast_to(np.asarray(said, dtype=np.float64), (size,))
    except (ValueError, TypeError):
        raise ValueError(f"goal_period must be a number or one for each of the {size} entries of a goal, got {said!r}") from None
    if np.isnan(values).any() or (values < 0).any():
        raise ValueError(f"goal_period must not be negative, got {said!r}; 0 is for entries that do not wrap")
    return tuple(np.where(np.isinf(values), 0.0, values).tolist())


def _origins(goals: Array, periods: Sequence[float]) -> tuple[float, ...]:
    """From 0 on, or centred about it where values below 0 were seen."""
    low = goals.min(axis=0)
    return tuple(0.0 if low[i] >= -_BEYOND * period else -period / 2 for i, period in enumerate(periods))


def _units(goals: Array, steps: Array, periods: Sequence[float]) -> tuple[float, ...]:
    """(N, G), (M, G) steps of which some move -> (G,)

    What never moves has no move of its own: it is taken to be of the kind whose move is the nearest to its range.
    """
    spans = np.ptp(goals, axis=0).astype(np.float64)
    kinds = _kinds(steps, periods)
    if len(kinds) == 1:
        return (_typical(steps),) * steps.shape[1]
    sizes = []
    for kind in kinds:
        typical = _typical(steps[:, kind])
        jitters = not any(periods[entry] for entry in kind) and spans[kind].max() < _TRAVELS * typical
        sizes.append(spans[kind].max() if jitters else typical)
    units = np.empty(len(spans))
    for entry, span in enumerate(spans):
        own = [size for kind, size in zip(kinds, sizes, strict=True) if entry in kind]
        units[entry] = own[0] if own else min(sizes, key=lambda size: abs(np.log(max(span, 1e-12) / size)))
    return tuple((units * _typical(steps / units)).tolist())  # of a step that moves several kinds at once


def _kinds(steps: Array, periods: Sequence[float]) -> list[list[int]]:
    """Entries that move, in groups: of one period, and with typical moves within a factor of each other."""
    sizes = {entry: float(np.quantile(own[own > 0], _TYPICAL)) for entry, own in enumerate(np.abs(steps.T)) if own.any()}
    kinds: list[list[int]] = []
    for entry in sorted(sizes, key=lambda entry: (periods[entry], sizes[entry])):
        first = kinds[-1][0] if kinds else entry
        if kinds and periods[first] == periods[entry] and sizes[entry] <= _ALIKE * sizes[first]:
            kinds[-1].append(entry)
        else:
            kinds.append([entry])
    return [sorted(kind) for kind in kinds]


def _typical(steps: Array) -> float:
    """(M, G) of which some move -> how far: of all steps, or, where nearly all rest, of those that move."""
    lengths = np.linalg.norm(steps, axis=1)
    return float(np.quantile(lengths, _TYPICAL)) or float(np.quantile(lengths[lengths > 0], _TYPICAL))
