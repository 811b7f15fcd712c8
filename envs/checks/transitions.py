"""What was recorded as arrays: the well-formed steps, stacked; goals and numbers read from whatever an env returned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .record import Array, Episode

PARTS = ("observation", "achieved_goal", "desired_goal")


@dataclass(frozen=True, eq=False, kw_only=True)
class Transitions:
    """The steps whose goals and reward are finite numbers of the right shape, stacked; the others are reported elsewhere."""

    achieved_before: Array  # (N, G), as the next three
    achieved: Array
    desired_before: Array
    desired: Array
    reward: Array  # (N,), as all that follow
    terminated: Array
    truncated: Array
    number: Array  # of the step in its episode, from 1
    episode: Array
    info: list[Any]

    def __len__(self) -> int:
        return len(self.reward)


def stack(episodes: list[Episode]) -> Transitions:
    rows: list[tuple[Any, ...]] = []
    for number_of_episode, episode in enumerate(episodes):
        parts = [[goal_part(seen, name) for seen in episode.observations] for name in PARTS[1:]]
        achieved, desired = parts
        for index, step in enumerate(episode.steps):
            goals = (achieved[index], achieved[index + 1], desired[index], desired[index + 1])
            reward = number_or_none(step.reward)
            if reward is not None and all(goal is not None for goal in goals):
                rows.append((*goals, reward, step.terminated, step.truncated, index + 1, number_of_episode, step.info))
    size = rows[0][0].size if rows else 0
    rows = [row for row in rows if all(goal.size == size for goal in row[:4])]
    columns = [[row[column] for row in rows] for column in range(10)]
    goal_columns = [np.array(column, dtype=np.float64).reshape(len(rows), size) for column in columns[:4]]
    return Transitions(
        achieved_before=goal_columns[0],
        achieved=goal_columns[1],
        desired_before=goal_columns[2],
        desired=goal_columns[3],
        reward=np.array(columns[4], dtype=np.float64) + 0.0,  # no -0 in messages
        terminated=np.array(columns[5], dtype=bool),
        truncated=np.array(columns[6], dtype=bool),
        number=np.array(columns[7], dtype=int),
        episode=np.array(columns[8], dtype=int),
        info=columns[9],
    )


def goal_part(observation: Any, name: str) -> Array | None:
    """(G,) float64, or None where it is missing, no vector, or not finite."""
    value = observation.get(name) if isinstance(observation, dict) else None
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    return array if array.ndim == 1 and array.size and np.isfinite(array).all() else None


def number_or_none(value: Any) -> float | None:
    """A finite float from anything that is a single number."""
    try:
        number = float(np.asarray(value, dtype=np.float64).reshape(()).item())
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None


def success_flag(info: Any) -> bool | None:
    """`is_success`, else `success`, of an info; None where it says nothing."""
    if not isinstance(info, dict):
        return None
    flag = info.get("is_success", info.get("success"))
    return None if flag is None or np.size(flag) != 1 else bool(np.asarray(flag).item())


def finite_goals(observations: list[Any], name: str) -> list[Array]:
    """The well-formed ones among a part of the observations."""
    found = [goal_part(observation, name) for observation in observations]
    return [goal for goal in found if goal is not None]


def states_and_goals(episode: Episode) -> tuple[Array, Array] | None:
    """(T + 1, S), (T + 1, G), or None where the arrays are not well-formed."""
    states = finite_goals(episode.observations, "observation")
    goals = finite_goals(episode.observations, "achieved_goal")
    if not len(states) == len(goals) == len(episode.observations) or len(states) < 2:
        return None
    if len({state.size for state in states}) > 1 or len({goal.size for goal in goals}) > 1:
        return None
    return np.array(states), np.array(goals)
