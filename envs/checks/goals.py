"""Goals: drawn anew, kept through the episode, achieved when the state says so, near enough and wide enough to reach."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from gymnasium import spaces

from ..goal_wrapper import GoalWrapper
from .layers import layers, method_of
from .problem import EnvRaised, Problem, call
from .record import Array, identical
from .subject import Subject
from .transitions import Transitions, finite_goals

_FAST = 0.95  # quantile of the moves that counts as full speed: a rare jump, such as a portal, is not a step size
_FAR = 3.0  # a goal is out of reach if it lies this many times the visited range away from it
_OUTSIDE = 0.25  # of the visited range: a goal that far beyond it may be out of reach
_FEW = 0.05  # a smaller share of goals is not spoken of
_ALL_ACROSS = 0.8  # of the range of an entry: a step that far is taken for the seam of an angle
_START_SHARE = 0.25  # more goals reached at reset than this is no accident


def check_goal_sampling(subject: Subject) -> Iterator[Problem]:
    """Each episode has a goal of its own, which the first observation shows and which stays to the end."""
    record, table = subject.record, subject.transitions
    drawn = finite_goals([walk.observation for walk in record.walks], "desired_goal")
    by_seed = finite_goals(record.by_seed, "desired_goal")
    if len(drawn) > 2 and len(by_seed) > 2 and all(identical(goal, drawn[1]) for goal in drawn[1:]):
        moves = not all(identical(walk.observation, record.walks[1].observation) for walk in record.walks[1:])
        if moves or all(identical(goal, by_seed[0]) for goal in by_seed):  # else the check of seeds says it
            what = f"desired_goal is {drawn[1]} in each of {len(drawn) - 1} episodes"
            fixed = all(identical(goal, by_seed[0]) for goal in by_seed)  # on purpose, perhaps; else training sees one goal
            fix = "draw it in reset: self.goal = self.np_random.uniform(low, high).astype(np.float32)"
            yield Problem(check="goal sampling", what=what, fix=fix, severity="advice" if fixed else "broken")
    jumps = ~np.isclose(table.desired, table.desired_before, rtol=1e-5, atol=1e-6).all(axis=-1)
    if subject.continues and subject.reached_at_step is not None:
        jumps &= ~np.roll(subject.reached_at_step, 1) & ~subject.reached_at_step  # a new goal for a goal reached
    if not jumps.any():
        return
    if set(table.number[jumps]) == {1}:
        what = "the observation of reset shows another goal than the episode's steps, such as that of the episode before"
        fix = "draw the goal in reset before the observation is built"
    else:
        row = int(np.argmax(jumps))
        what = f"desired_goal changes within an episode, at step {table.number[row]}"
        fix = "draw the goal in reset only, and return a copy of it: self.goal.copy()"
    yield Problem(check="goal sampling", what=what, fix=fix)


def check_achieved_goal(subject: Subject) -> Iterator[Problem]:
    """achieved_goal belongs to the same moment as the observation, where the observation holds its entries."""
    fix = "build both from one state: place = self.position.astype(np.float32), after the move and in reset alike"
    episodes = [pair for pair in subject.states_and_goals if pair is not None]
    shapes = {(states.shape[1], goals.shape[1]) for states, goals in episodes}
    if len(shapes) != 1 or len(episodes) < 3:
        return
    now = [(states[1:], states[:-1], goals[1:]) for states, goals in episodes]
    state, state_before, goal = (np.concatenate(parts) for parts in zip(*now, strict=True))
    goal_before = np.concatenate([goals[:-1] for _, goals in episodes])
    starts = np.array([states[0] for states, _ in episodes]), np.array([goals[0] for _, goals in episodes])
    for entry in range(goal.shape[1]):
        column = goal[:, entry]
        if _equal_columns(state, column).any() or not len(column):
            continue
        moving = np.any(state != state_before, axis=0)
        at_start = _equal_columns(starts[0], starts[1][:, entry]) & moving & (np.ptp(starts[0], axis=0) > 0)
        if np.any(_equal_columns(state_before, column) & moving):
            what = f"achieved_goal[{entry}] lags one step behind the observation"
        elif np.any(_equal_columns(state, goal_before[:, entry]) & moving):
            what = f"the observation lags one step behind achieved_goal[{entry}]"
        elif at_start.any() and np.all(column == goal_before[:, entry]):
            what = f"achieved_goal[{entry}] keeps its value from reset while observation[{int(np.argmax(at_start))}] moves on"
        else:
            continue
        yield Problem(check="achieved goal", what=what, fix=fix)
        return
    yield from _stale_start(starts, state, goal, episodes, fix)


def _equal_columns(matrix: Array, column: Array) -> Array:
    """(N, S), (N,) -> (S,) truth: which entries of the state always equal the goal's entry, float32 or float64 alike."""
    return np.all(np.isclose(matrix, column[:, None], rtol=1e-6, atol=1e-7), axis=0)


def _stale_start(
    starts: tuple[Array, Array], state: Array, goal: Array, episodes: list[tuple[Array, Array]], fix: str
) -> Iterator[Problem]:
    """The entries that agree in every step must agree after reset too."""
    for entry in range(goal.shape[1]):
        agreeing = _equal_columns(state, goal[:, entry]) & (np.ptp(state, axis=0) > 0)
        if len(state) and agreeing.any() and not np.any(_equal_columns(starts[0], starts[1][:, entry]) & agreeing):
            what = f"achieved_goal[{entry}] after reset is not that of the observation, though it is in every step"
            yield Problem(check="achieved goal", what=what, fix=fix)
            return


def check_goal_of(subject: Subject) -> Iterator[Problem]:
    """An env that offers goal_of(states) means achieved_goal by it, for one state and for many."""
    goal_of = method_of(subject.first, "goal_of")
    pairs = [pair for pair in subject.states_and_goals[: len(subject.record.walks)] if pair is not None]
    if goal_of is None or len({(states.shape[1], goals.shape[1]) for states, goals in pairs}) != 1:
        return
    states, goals = (np.concatenate(parts)[:200] for parts in zip(*pairs, strict=True))
    dtype = subject.record.walks[0].observation["observation"].dtype
    fix = "def goal_of(self, states): return states[..., :2]  # (..., S) -> (..., G), the entries that achieved_goal shows"
    for name, given, expected in (("one state", states[-1], goals[-1]), (f"{len(states)} states", states, goals)):
        try:
            answer: Any = np.asarray(call(f"goal_of of {name}", goal_of, given.astype(dtype)))
        except EnvRaised as error:
            yield Problem(check="goal_of", what=str(error), fix=fix, severity="adapted")
            return
        if answer.shape != expected.shape:
            what = f"goal_of of {name} has shape {answer.shape}, not {expected.shape}"
            yield Problem(check="goal_of", what=what, fix=fix, severity="adapted")
            return
        if not np.allclose(answer, expected, rtol=1e-4, atol=1e-5):
            what = f"goal_of of {name} is not the achieved_goal of the same observation"
            yield Problem(check="goal_of", what=what, fix=fix, severity="adapted")
            return


def check_tolerance(subject: Subject) -> Iterator[Problem]:
    """A mass at full speed cannot jump over the disc of states that count as being at the goal."""
    table = subject.transitions
    if subject.success_value is None or not len(table):
        return
    if np.all(table.achieved == np.round(table.achieved)) and np.all(table.desired == np.round(table.desired)):
        return  # a grid world steps exactly onto its goals
    moves = table.achieved - table.achieved_before
    lengths = np.linalg.norm(moves, axis=-1) * (table.number > 1)  # a goal left over from the last episode is no move
    if not np.any(lengths > 0):
        return
    fast = np.quantile(lengths[lengths > 0], _FAST)
    rows = np.flatnonzero(lengths >= fast)[:5]
    chords = [_chord(subject, table, row, moves[row] / lengths[row], float(lengths[row])) for row in rows]
    if fast > max(chords):
        what = (
            f"a step at full speed covers {fast:.3g}, but only {max(chords):.3g} along it counts as being at the goal: "
            "the agent jumps over its goals"
        )
        owner = "" if any(isinstance(layer, GoalWrapper) for layer in layers(subject.first)) else "self."
        fix = f"{owner}tolerance = {0.5 * fast:.2g} or more, or shorter steps"
        across = np.ptp(table.achieved, axis=0)
        jumping = np.flatnonzero((np.abs(moves).max(axis=0) > _ALL_ACROSS * across) & (across > 0))
        if len(jumping):
            fix += f"; or does goal entry {jumping[0]}, which jumps from end to end of its range, wrap? give its cosine and sine"
        yield Problem(check="tolerance", what=what, fix=fix, severity="advice")


def _chord(subject: Subject, table: Transitions, row: int, direction: Array, step: float) -> float:
    """How much of the line through a goal counts as being at it, looked for up to one step to either side."""
    goal = table.desired[row]
    offsets = np.linspace(-step, step, 401)
    reached = subject.reached(goal + offsets[:, None] * direction, np.repeat(goal[None], len(offsets), axis=0))
    assert reached is not None
    return float(np.mean(reached) * 2 * step)


def check_reachability(subject: Subject) -> Iterator[Problem]:
    """Clear cases only: goals that are reached at reset, or that no random walk comes anywhere near."""
    record = subject.record
    resets = [walk.observation for walk in record.walks] + record.by_seed
    goals, starts = (finite_goals(resets, name) for name in ("desired_goal", "achieved_goal"))
    visited = np.concatenate([subject.transitions.achieved_before, subject.transitions.achieved])
    if not len(visited) or {goal.size for goal in goals + starts} != {visited.shape[1]} or len(goals) != len(starts):
        return
    reached = subject.reached(np.array(starts), np.array(goals)) if subject.success_value is not None else None
    if reached is not None and np.mean(reached) > _START_SHARE:
        what = f"{np.sum(reached)} of {len(reached)} episodes start at their goal"
        fix = "draw start and goal again in reset while they are within the tolerance of each other"
        yield Problem(check="reachability", what=what, fix=fix, severity="advice")
    hopeless = list(_out_of_reach(subject, np.array(goals), visited))
    yield from hopeless or _partly_out_of_reach(subject, np.array(goals), visited)
    yield from _outside_achievable(subject, np.array(goals))


def _out_of_reach(subject: Subject, goals: Array, visited: Array) -> Iterator[Problem]:
    """A coordinate in which every goal lies far beyond all that was visited, and beyond the tolerance."""
    low, high = visited.min(axis=0), visited.max(axis=0)
    margin = _FAR * (high - low)
    for entry in np.flatnonzero(np.all((goals < low - margin) | (goals > high + margin), axis=0)):
        nearest = goals.copy()
        nearest[:, entry] = np.clip(goals[:, entry], low[entry], high[entry])
        reached = subject.reached(nearest, goals)
        if reached is None or reached.any():
            continue
        what = (
            f"no goal is reachable: random walks keep achieved_goal[{entry}] within {low[entry]:.3g} to {high[entry]:.3g}, "
            f"goals ask for {goals[:, entry].min():.3g} to {goals[:, entry].max():.3g}"
        )
        yield Problem(
            check="reachability",
            what=what,
            fix="draw goals from places the env can get to, in achieved_goal's unit",
            severity="advice",
        )
        return


def _partly_out_of_reach(subject: Subject, goals: Array, visited: Array) -> Iterator[Problem]:
    """Some goals lie well outside all that random, steered and held episodes achieved, and beyond the tolerance."""
    if subject.success_value is None:
        return
    held = [goal for episode in subject.held for goal in finite_goals(episode.observations, "achieved_goal")]
    visited = np.concatenate([visited, *(goal[None] for goal in held if goal.size == visited.shape[1])])
    low, high = visited.min(axis=0), visited.max(axis=0)
    margin = _OUTSIDE * (high - low)
    outside = (goals < low - margin) | (goals > high + margin)
    for entry in np.flatnonzero(outside.mean(axis=0) >= _FEW):
        far = goals[outside[:, entry]]
        nearest = far.copy()
        nearest[:, entry] = np.clip(far[:, entry], low[entry], high[entry])
        reached = subject.reached(nearest, far)
        if reached is None or reached.any():
            continue
        asked = far[:, entry]
        what = (
            f"of {len(goals)} goals {len(far)} lie outside what random, steered and held episodes reached: they kept "
            f"achieved_goal[{entry}] within {low[entry]:.3g} to {high[entry]:.3g}, these goals ask for {asked.min():.3g} to "
            f"{asked.max():.3g}"
        )
        fix = "draw goals that can be reached; if these can, expect them to take long to learn"
        yield Problem(check="reachability", what=what, fix=fix, severity="advice")
        return


def _outside_achievable(subject: Subject, goals: Array) -> Iterator[Problem]:
    """Goals that achieved_goal's own space rules out."""
    parts = getattr(getattr(subject.first, "observation_space", None), "spaces", {})
    space = parts.get("achieved_goal")
    if not isinstance(space, spaces.Box) or space.shape != goals.shape[1:]:
        return
    slack = 1e-5 * (1 + np.abs(goals))
    outside = np.any((goals < space.low - slack) | (goals > space.high + slack), axis=-1)
    if outside.any():
        what = f"{outside.sum()} of {len(goals)} goals lie outside achieved_goal's space: they cannot be achieved"
        yield Problem(
            check="reachability",
            what=what,
            fix="draw goals inside achieved_goal's Box, or widen it if they can be achieved",
            severity="advice",
        )
