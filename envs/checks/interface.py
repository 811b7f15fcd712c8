"""What an env declares and how it answers: spaces, the tuples of reset and step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from ..probe import MOST_GOAL_ENTRIES
from .layers import takes, without_time_limit
from .problem import Problem, call, kind_of
from .record import holder
from .subject import Subject
from .transitions import PARTS

SPACES = (
    "self.observation_space = gym.spaces.Dict(observation=gym.spaces.Box(...), achieved_goal=gym.spaces.Box(...), "
    "desired_goal=gym.spaces.Box(...)), each of them one-dimensional"
)
WRAPPED = "wrap the env: envs.goal_wrapper.GoalWrapper(env, goal_of=lambda s: s[..., :2], tolerance=0.1, sample_goal=...)"


def check_spaces(subject: Subject) -> Iterator[Problem]:
    """The observation space is a Dict of three flat Boxes, the action space a finite flat Box."""
    space: Any = getattr(subject.first, "observation_space", None)
    parts = getattr(space, "spaces", {}) if isinstance(space, spaces.Dict) else {}
    if not parts:
        fix = f"{WRAPPED}; or {SPACES}" if isinstance(space, spaces.Box) else SPACES
        yield Problem(check="spaces", what=f"observation_space is {space}, no gymnasium.spaces.Dict", fix=fix)
    for name in PARTS if parts else ():
        part = parts.get(name)
        if part is None:
            yield Problem(check="spaces", what=f"observation_space has no {name!r}", fix=SPACES)
        elif isinstance(part, spaces.Dict):
            what = (
                f"observation_space[{name!r}] is a dict of {', '.join(map(str, part.spaces))}, no one-dimensional Box of floats"
            )
            fix = f"make it one row in a gym.Wrapper: np.concatenate(list({name}.values())), and compute_reward of such rows"
            yield Problem(check="spaces", what=what, fix=fix)
        elif not isinstance(part, spaces.Box) or len(part.shape) != 1 or not np.issubdtype(part.dtype, np.floating):
            what = f"observation_space[{name!r}] is {part}, no one-dimensional Box of floats"
            flat = isinstance(part, spaces.Box) and len(part.shape) == 1
            fix = f"{name}=gym.spaces.Box(low, high, dtype=np.float32), low (n,)"
            yield Problem(check="spaces", what=what, fix=fix, severity="adapted" if flat else "broken")
    yield from _precision(parts)
    yield from _size_of_goals(parts.get("desired_goal"))
    goals = [parts[name] for name in PARTS[1:] if name in parts]
    if len(goals) == 2 and goals[0].shape != goals[1].shape:
        what = f"achieved_goal has shape {goals[0].shape}, desired_goal {goals[1].shape}"
        yield Problem(check="spaces", what=what, fix="give both the same shape: one is to become the other")
    yield from _action_space_problems(getattr(subject.first, "action_space", None))


def _precision(parts: Any) -> Iterator[Problem]:
    """Numbers finer than an agent sees."""
    double = [name for name in PARTS if getattr(parts.get(name), "dtype", None) == np.float64]
    if double:
        what = f"{', '.join(double)} {'is' if len(double) == 1 else 'are'} of float64; training sees float32"
        yield Problem(check="spaces", what=what, fix="nothing, or: dtype=np.float32", severity="adapted")


def _size_of_goals(goal: Any) -> Iterator[Problem]:
    """Pictures as goals."""
    if goal_is_too_large(goal):
        what = f"goals have {spaces.flatdim(goal):,} entries, as a picture has; at most {MOST_GOAL_ENTRIES} are supported"
        fix = "give what the picture shows (positions, angles), or the few numbers that an encoder of yours makes of it"
        yield Problem(check="spaces", what=what, fix=fix)


def goal_is_too_large(goal: Any) -> bool:
    return isinstance(goal, spaces.Box) and spaces.flatdim(goal) > MOST_GOAL_ENTRIES


def _action_space_problems(space: Any) -> Iterator[Problem]:
    fix = "self.action_space = gym.spaces.Box(-1.0, 1.0, (n,), np.float32), scaled inside step"
    if not isinstance(space, spaces.Box) or len(space.shape) != 1 or not np.issubdtype(space.dtype, np.floating):
        yield Problem(check="spaces", what=f"action_space is {space}, no one-dimensional Box of floats", fix=fix)
    elif not (np.isfinite(space.low).all() and np.isfinite(space.high).all()):
        yield Problem(check="spaces", what=f"action_space {space} is not finite: no action can be drawn", fix=fix)
    elif not np.all(space.low < space.high):
        yield Problem(check="spaces", what=f"action_space {space} leaves no choice: low is not below high", fix=fix)


def check_api(subject: Subject) -> Iterator[Problem]:
    """reset and step as gymnasium defines them, seen on the author's env itself, below gymnasium's time limit."""
    for problem in _api_problems(subject):
        subject.is_odd = subject.is_odd or problem.severity == "broken"
        yield problem


def _api_problems(subject: Subject) -> Iterator[Problem]:
    env = without_time_limit(subject.first)
    signature = "def reset(self, *, seed=None, options=None)"
    if not isinstance(env, gym.Env):
        yield Problem(check="api", what=f"{type(env).__name__} is no gymnasium.Env", fix="class MyEnv(gym.Env): ...")
    missing = [name for name in ("seed", "options") if not takes(env.reset, name)]
    if missing:
        yield Problem(check="api", what=f"reset does not take {' and '.join(missing)}", fix=f"{signature}: ...")
    answer: Any = call("reset()", env.reset)
    if not isinstance(answer, tuple) or len(answer) != 2 or not isinstance(answer[1], dict):
        yield Problem(check="api", what=f"reset returns {kind_of(answer)}, not (observation, info)", fix="return observation, {}")
    answer = call("step 1 of an episode", env.step, holder(env.action_space)(None, 1))
    if not isinstance(answer, tuple) or len(answer) != 5:
        fix = "return observation, reward, terminated, truncated, info (the old gym had four values)"
        yield Problem(check="api", what=f"step returns {kind_of(answer)}, not 5 values", fix=fix)
        return
    _, reward, terminated, truncated, info = answer
    if isinstance(reward, np.generic):
        what = f"the reward of a step is a np.{type(reward).__name__}; training computes its own, by compute_reward"
        yield Problem(check="api", what=what, fix="nothing, or: float(reward)", severity="adapted")
    if not isinstance(reward, (int, float, np.integer, np.floating)) or isinstance(reward, bool):
        fix = "reward = float(self.compute_reward(achieved_goal, desired_goal, info))"
        yield Problem(
            check="api",
            what=f"the reward of a step is {kind_of(reward)}, no number",
            fix=fix,
            severity="broken" if np.ndim(reward) else "adapted",
        )
    for name, flag in (("terminated", terminated), ("truncated", truncated)):
        if not isinstance(flag, (bool, np.bool_)):
            yield Problem(
                check="api",
                what=f"{name} is {kind_of(flag)}, no bool",
                fix=f"{name} = bool({name})",
                severity="adapted" if isinstance(flag, int) else "broken",
            )
    if not isinstance(info, dict):
        yield Problem(check="api", what=f"info is {kind_of(info)}, no dict", fix='info = {"is_success": terminated}')
