"""How episodes end: at the goal, and said so, or by time; and the next one starts afresh."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from gymnasium.wrappers import TimeLimit

from ..sources import DefaultLimit
from .layers import layers
from .problem import Problem, Severity
from .subject import LONGEST_EPISODE, Subject
from .transitions import success_flag

AT_GOAL = "terminated = bool(np.linalg.norm(achieved_goal - desired_goal) <= self.tolerance)"
TIME_LIMIT = "register it with max_episode_steps, or wrap it: gym.wrappers.TimeLimit(env, max_episode_steps=...)"


def check_termination(subject: Subject) -> Iterator[Problem]:
    """An episode terminates at the goal, on the very step, and nowhere else; time truncates."""
    table, reached = subject.transitions, subject.reached_at_step
    if reached is None or not len(table):
        return
    missed = reached & ~table.terminated
    if missed.any() and not subject.continues:
        row = int(np.argmax(missed))
        what = f"step {table.number[row]} of an episode is at the goal, yet terminated is False; training ends the episode there"
        yield Problem(check="termination", what=what, fix=AT_GOAL, severity="adapted")
    elsewhere = table.terminated & ~reached
    if not elsewhere.any():
        return
    lengths = np.unique(table.number[elsewhere])
    if len(lengths) == 1 and elsewhere.sum() > 1 and lengths[0] > 1:
        what = f"time ends the episode: terminated is True at step {lengths[0]}, away from the goal"
        fix = f"truncated = self.steps >= {lengths[0]}; {AT_GOAL}; or leave time to gymnasium.wrappers.TimeLimit"
    else:
        what = f"terminated is True away from the goal, in {elsewhere.sum()} of {table.terminated.sum()} endings"
        fix = AT_GOAL
    yield Problem(check="termination", what=what, fix=fix, severity="adapted")


def check_success_info(subject: Subject) -> Iterator[Problem]:
    """info says is_success or success in every step, and says what the goal test says."""
    table = subject.transitions
    if not len(table):
        return
    flags = [success_flag(info) for info in table.info]
    fix = 'info = {"is_success": terminated, "success": terminated}'
    told = np.array([flag is not None for flag in flags])
    silent = ~told & (table.terminated | table.truncated)  # what counts episodes looks at their last step
    if silent.any() or not told.any():
        what = f"info has neither is_success nor success, as in {np.sum(~told)} of {len(flags)} steps"
        yield Problem(check="success info", what=what, fix=f"say it in every step: {fix}", severity="adapted")
    both = [info for info in table.info if isinstance(info, dict) and {"is_success", "success"} <= info.keys()]
    if any(bool(info["is_success"]) != bool(info["success"]) for info in both):
        yield Problem(
            check="success info", what="info's is_success and success contradict each other", fix=fix, severity="adapted"
        )
    if subject.success_value is None and subject.continues:
        return  # neither rewards nor endings tell where the goal is
    reached = subject.reached_at_step if subject.success_value is not None else table.terminated
    if reached is None:
        return
    wrong = told & (np.array(flags, dtype=bool) != reached)
    if wrong.any():
        row = int(np.argmax(wrong))
        said = "success" if flags[row] else "no success"
        what = f"info says {said} at step {table.number[row]} of an episode, the goal test says the opposite"
        yield Problem(check="success info", what=what, fix=f"take both from one test: {AT_GOAL}; {fix}", severity="adapted")


def check_endings(subject: Subject) -> Iterator[Problem]:
    """Standing still is truncated in the end, in the second episode as in the first."""
    still = subject.record.still
    lengths = [len(episode.steps) for episode in still]
    if any(isinstance(layer, DefaultLimit) for layer in layers(subject.first)):
        what = f"no limit is set to the length of episodes; training ends them after {lengths[0] if lengths else 200} steps"
        yield Problem(check="endings", what=what, fix=TIME_LIMIT, severity="adapted")
    yield from _limits_inside(subject)
    severity: Severity
    endless = [index for index, episode in enumerate(still) if not episode.ended and len(episode.steps) == LONGEST_EPISODE]
    if endless and not subject.has_time_limit:
        if endless[0] == 0:
            what, fix = f"an episode has not ended after {LONGEST_EPISODE} steps of standing still", TIME_LIMIT
            severity = "adapted"
        else:
            severity = "broken"
            what = f"the first episode ended after {lengths[0]} steps, the second not within {LONGEST_EPISODE}"
            fix = "count afresh in reset (self.steps = 0) and truncate with >=, not =="
        yield Problem(check="endings", what=what, fix=fix, severity=severity)
    episodes = subject.record.episodes
    truncated = [len(episode.steps) for episode in episodes if episode.steps and episode.steps[-1].truncated]
    if truncated and min(truncated) == 1 < max(truncated):
        what = f"an episode of {max(truncated)} steps is followed by one that is truncated at its first step"
        yield Problem(check="endings", what=what, fix="count afresh in reset: self.steps = 0")
    elif truncated and max(truncated) == 1:
        what = "every episode is truncated at its first step"
        yield Problem(check="endings", what=what, fix="truncated = self.steps >= max_steps, counted from 0 in reset")


def _limits_inside(subject: Subject) -> Iterator[Problem]:
    """Of two limits, the shorter one holds."""
    limits = [layer._max_episode_steps for layer in layers(subject.first) if isinstance(layer, TimeLimit)]
    if len(set(limits)) > 1:
        what = (
            f"time limits of {' and '.join(f'{limit:,}' for limit in limits)} steps lie inside each other: {min(limits):,} holds"
        )
        fix = "make the env with one limit: gym.make(id, max_episode_steps=...), with no TimeLimit around it"
        yield Problem(check="endings", what=what, fix=fix, severity="advice")
