"""compute_reward: there, batched, a function of its arguments, sparse, and what the step really paid."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .layers import method_of
from .problem import EnvRaised, Problem, Severity, call
from .record import Array
from .subject import Subject
from .transitions import number_or_none

BATCHED = "return -(np.linalg.norm(achieved_goal - desired_goal, axis=-1) > self.tolerance).astype(np.float32)"
FROM_REWARD = 'reward = float(self.compute_reward(observation["achieved_goal"], observation["desired_goal"], info))'


def check_compute_reward(subject: Subject) -> Iterator[Problem]:
    """(N, G), (N, G), N infos -> (N,), equal to one by one, and a function of its arguments alone."""
    compute = method_of(subject.first, "compute_reward")
    if compute is None:
        what = "the env has no compute_reward(achieved_goal, desired_goal, info): goals cannot be relabelled"
        yield Problem(
            check="compute_reward", what=what, fix=f"def compute_reward(self, achieved_goal, desired_goal, info): {BATCHED}"
        )
        return
    goals, others = subject.pairs
    if not len(goals):
        return
    compute = method_of(subject.judge, "compute_reward") or compute
    try:
        looped = [call("compute_reward of one pair of goals, info {}", compute, *pair, {}) for pair in _pairs(goals, others)]
    except EnvRaised as error:
        fix = f"use the two goals alone, since relabelled goals come with no info: {BATCHED}"
        yield Problem(check="compute_reward", what=str(error), fix=fix, severity="adapted")  # training asks in rows
        looped = []
    odd = next((reward for reward in looped if np.size(reward) != 1 or np.ndim(reward) > 0), None)
    if odd is not None:
        what = f"compute_reward of one pair of goals has shape {np.shape(odd)}, not ()"
        yield Problem(check="compute_reward", what=what, fix=BATCHED, severity="adapted")
        looped = []
    yield from _batch_problems(compute, goals, others, looped)
    if subject.reward_reads_state:
        what = "compute_reward of the same goals changes with the env's state: it reads more than its arguments"
        fix = "use achieved_goal and desired_goal, not self.goal or self.position: " + BATCHED
        yield Problem(check="compute_reward", what=what, fix=fix)


def _pairs(achieved: Array, desired: Array) -> Iterator[tuple[Array, Array]]:
    return ((a.copy(), d.copy()) for a, d in zip(achieved, desired, strict=True))


def _batch_problems(compute: Callable[..., Any], goals: Array, others: Array, looped: list[Any]) -> Iterator[Problem]:
    achieved, desired = goals.copy(), others.copy()
    infos: list[dict[str, Any]] = [{} for _ in goals]
    try:
        batched = call(f"compute_reward of {len(goals)} pairs at once", compute, achieved, desired, infos)
    except EnvRaised as error:
        yield Problem(check="compute_reward", what=str(error), fix=f"reduce over the last axis only: {BATCHED}")
        return
    if not (np.array_equal(achieved, goals) and np.array_equal(desired, others)):
        what = "compute_reward writes on the goals that it is handed"
        yield Problem(
            check="compute_reward",
            what=what,
            fix="write achieved_goal - desired_goal, not achieved_goal -= desired_goal",
            severity="adapted",
        )
    if np.shape(batched) != (len(goals),):
        what = f"compute_reward of {len(goals)} pairs at once has shape {np.shape(batched)}, not ({len(goals)},)"
        yield Problem(check="compute_reward", what=what, fix=f"reduce over the last axis only: {BATCHED}")
    elif looped and not np.allclose(np.asarray(batched, dtype=float), np.asarray(looped, dtype=float), equal_nan=True):
        row = int(np.argmax(~np.isclose(np.asarray(batched, dtype=float), np.asarray(looped, dtype=float))))
        what = f"compute_reward gives a pair {looped[row]} alone and {batched[row]} in a batch"
        yield Problem(check="compute_reward", what=what, fix=f"treat each row alone: {BATCHED}")
    else:
        yield from _other_batches(compute, goals, others, np.asarray(batched, dtype=float))


def _other_batches(compute: Callable[..., Any], goals: Array, others: Array, rewards: Array) -> Iterator[Problem]:
    """The rewards of some rows alone, and in another order: as in the large batch."""
    rng = np.random.default_rng(0)
    for size in (1, 2, 3, len(goals)):
        rows = rng.permutation(len(goals))[:size]
        infos: list[dict[str, Any]] = [{} for _ in rows]
        told = f"compute_reward of {size} row{'s' if size > 1 else ''}"
        try:
            answer = np.asarray(call(told, compute, goals[rows], others[rows], infos), dtype=float)
        except EnvRaised as error:
            what = str(error)
        else:
            if answer.shape != (size,):
                what = f"{told} has shape {answer.shape}, not ({size},)"
            elif not np.allclose(answer, rewards[rows], equal_nan=True):
                row = int(np.argmax(~np.isclose(answer, rewards[rows])))
                what = f"{told} gives a pair {answer[row]:g} and in another batch {rewards[rows[row]]:g}"
            else:
                continue
        severity: Severity = "adapted" if size == 1 else "broken"  # training asks two rows where it wants one
        yield Problem(check="compute_reward", what=what, fix=f"treat each row alone: {BATCHED}", severity=severity)
        if severity == "broken":
            return


def check_step_reward(subject: Subject) -> Iterator[Problem]:
    """The step pays what compute_reward gives for the observation that it returns."""
    table = subject.transitions
    if not len(table) or method_of(subject.first, "compute_reward") is None or subject.reward_reads_state:
        return
    computed = _with_infos(subject)
    wrong = ~np.isclose(computed, table.reward, equal_nan=True)
    if wrong.any():
        row = int(np.argmax(wrong))
        what = (
            f"step {table.number[row]} of an episode pays {table.reward[row]:g}, compute_reward of what it returned is "
            f"{computed[row]:g} (so in {wrong.sum()} of {len(table)} steps)"
        )
        yield Problem(
            check="step reward",
            what=what,
            fix=f"compute it from the observation that you return: {FROM_REWARD}",
            severity="adapted",
        )


def _with_infos(subject: Subject) -> Array:
    """(N,) compute_reward of all transitions; with their infos where it does not work without."""
    table = subject.transitions
    try:
        return subject.rewards(table.achieved, table.desired)
    except EnvRaised:
        compute = method_of(subject.judge, "compute_reward")
        assert compute is not None
        rows = zip(table.achieved, table.desired, table.info, strict=True)
        numbers = [number_or_none(call("compute_reward", compute, a.copy(), d.copy(), info)) for a, d, info in rows]
        return np.array([np.nan if number is None else number for number in numbers])


def _reads_info(subject: Subject, value: float) -> bool:
    """Whether a reward that is the same for all pairs is another one with the infos of steps, or of a success."""
    compute, table = method_of(subject.judge, "compute_reward"), subject.transitions
    if compute is None or len(table) < 2:
        return False
    for infos in (table.info, [{**info, "is_success": True, "success": True} for info in table.info if isinstance(info, dict)]):
        rows = len(infos)
        try:
            answer = np.asarray(call("compute_reward", compute, table.achieved[:rows], table.desired[:rows], infos), dtype=float)
        except (EnvRaised, TypeError, ValueError):
            continue
        if answer.shape == (rows,) and np.any(answer != value):
            return True
    return False


def check_sparse(subject: Subject) -> Iterator[Problem]:
    """Two values: -1, and 0 at the goal (or 0 and 1); a goal is reached at least by itself."""
    alike, values = subject.reward_values
    if not len(values) or subject.reward_reads_state:
        return
    if not np.isfinite(values).all():
        what = f"compute_reward is not finite for {np.sum(~np.isfinite(values))} of {len(values)} pairs of goals"
        yield Problem(check="sparse reward", what=what, fix=BATCHED)
        return
    levels = np.unique(values)
    if len(levels) > 2:
        what = f"compute_reward is dense: {len(levels)} different values from {levels[0]:.3g} to {levels[-1]:.3g}"
        fix = f"choose the env's sparse variant, or pay -1, or 0 at the goal, so that steps can be counted: {BATCHED}"
        yield Problem(check="sparse reward", what=what, fix=fix)
    elif len(levels) == 1 and _reads_info(subject, float(levels[0])):
        what = f"compute_reward(g, g) is {levels[0]:g}, as for every other pair, unless info says otherwise: it needs info"
        fix = f"use the two goals alone, since goals chosen in hindsight come with no info: {BATCHED}"
        yield Problem(check="sparse reward", what=what, fix=fix)
    elif len(levels) == 1 and levels[0] < 0:
        what = f"compute_reward(g, g) is {levels[0]:g}, as for every other pair: no goal is ever reached"
        yield Problem(check="sparse reward", what=what, fix=f"compare with <= or >, and mind the tolerance: {BATCHED}")
    elif len(levels) == 1:
        what = f"compute_reward is {levels[0]:g} for every pair of goals: all count as reached, or none"
        yield Problem(check="sparse reward", what=what, fix=f"set the tolerance well below the size of the world: {BATCHED}")
    elif np.ptp(alike) > 0:
        what = f"compute_reward(g, g) is {levels[0]:g} for some goals g and {levels[1]:g} for others"
        yield Problem(check="sparse reward", what=what, fix=f"let every goal be reached by itself: {BATCHED}")
    elif alike[0] != levels[1]:
        what = f"compute_reward(g, g) is {alike[0]:g}, below {levels[1]:g} for goals far apart: arriving is punished"
        yield Problem(check="sparse reward", what=what, fix=f"turn the comparison round: {BATCHED}")
    elif tuple(levels) != (-1.0, 0.0):
        what = f"compute_reward pays {levels[0]:g} and {levels[1]:g} at the goal; training takes -1 a step and 0 at the goal"
        yield Problem(check="sparse reward", what=what, fix=BATCHED, severity="adapted")
