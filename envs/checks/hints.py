"""What makes correct envs hard: entries that wrap, units that differ, numbers too large for float32."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..probe import coarse_entries, told_coarse
from .layers import method_of
from .problem import Problem
from .subject import Subject

_TURNS = (2 * np.pi, 360.0)  # of an angle
_NEARLY = 0.85  # of a turn, that the goals of an angle cover
_ALL_ACROSS = 0.8  # of the range: a step that far is taken for the seam of an angle
_UNLIKE = 50.0  # times wider, and an entry is in another unit
_STILL = 1e-4  # of the widest range: an entry that changes less hardly counts as one that changes


def check_precision(subject: Subject) -> Iterator[Problem]:
    """The steps of the env are told apart by float32, in which an agent sees them."""
    table, compute = subject.transitions, method_of(subject.first, "compute_reward")
    if compute is None or not len(table) or subject.success_value is None:
        return
    rows = table.number > 1  # what is left over from the last episode is no move
    if not rows.any():
        return
    for entry in coarse_entries(compute, table.achieved_before[rows], table.achieved[rows])[:1]:
        what, _, fix = told_coarse(entry).partition("; ")
        yield Problem(check="precision", what=what, fix=fix)


def check_angles(subject: Subject) -> Iterator[Problem]:
    """A goal entry that jumps from one end of a whole turn to the other is an angle."""
    table = subject.transitions
    if not len(table):
        return
    held = [pair[1] for pair in subject.held_goals() if pair[1].shape[1] == table.achieved.shape[1]]
    goals = np.concatenate([table.achieved, table.desired, *held])
    widths = np.ptp(goals, axis=0)
    rows = table.number > 1
    moves = np.concatenate([(table.achieved - table.achieved_before)[rows], *(np.diff(path, axis=0) for path in held)])
    for entry, width in enumerate(widths):
        turn = next((turn for turn in _TURNS if _NEARLY * turn <= width <= 1.01 * turn), None)
        if turn is None or not np.any(np.abs(moves[:, entry]) > _ALL_ACROSS * width):
            continue
        what = (
            f"goal entry {entry} jumps from end to end of {goals[:, entry].min():.3g} to {goals[:, entry].max():.3g}: an angle?"
        )
        fix = "give its cosine and sine instead"
        yield Problem(check="angles", what=what, fix=fix, severity="advice")


def check_units(subject: Subject) -> Iterator[Problem]:
    """The entries of a goal are of comparable size, since the planner adds up their differences."""
    table = subject.transitions
    if not len(table):
        return
    widths = np.ptp(table.achieved, axis=0)
    counted = np.flatnonzero(widths > _STILL * widths.max())
    if not len(counted):
        return
    widest, narrowest = counted[np.argmax(widths[counted])], counted[np.argmin(widths[counted])]
    if widths[widest] > _UNLIKE * widths[narrowest]:
        what = (
            f"achieved_goal[{widest}] covers {widths[widest]:.3g}, achieved_goal[{narrowest}] only {widths[narrowest]:.3g}: "
            "are their units alike?"
        )
        fix = "give goals in units in which one tolerance fits all entries, and their ranges are alike"
        yield Problem(check="units", what=what, fix=fix, severity="advice")
