"""What others stored, as trajectories: replay buffers of stable-baselines3, logs, episodes of data sets."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.planner.data.trajectories import Trajectory
from thalweg.planner.errors import UsageError

from ..replay.her_buffer import HerBuffer

Array = NDArray[np.floating]
GoalOf = Callable[[Array], Array]  # (..., S) -> (..., G)

_KINDS = (
    'a replay buffer, or a list of episodes: {"observation": (T + 1, S), "achieved_goal": (T + 1, G), "actions": (T, A)}, '
    "or states (T + 1, S) with goal_of"
)


def trajectories_of(source: Any, goal_of: GoalOf | None = None) -> list[Trajectory]:
    """All that is stored, episode by episode; those of a single state are left out. Nothing of the source is altered or kept.

    `source`: a model with a `replay_buffer`, such a buffer (episodes are cut where they ended, by time-outs too, and where the
    next step does not go on from the last; what is unfinished counts), a data set with `iterate_episodes` (Minari), or logs: a
    list of Trajectory, of dicts of arrays, of dict observations step by step, of objects with `observations` and `actions`, or of
    arrays of states. `goal_of` says which goals states achieve, where the source does not.
    UsageError for anything else, for episodes that disagree with each other, and if there is nothing in it.
    """
    stored = getattr(source, "replay_buffer", None)
    source = source if stored is None else stored
    if isinstance(source, HerBuffer):
        found = source.trajectories()
    elif hasattr(source, "next_observations") and hasattr(source, "dones"):
        found = list(_of_buffer(source, goal_of))
    else:
        found = [_of_episode(episode, goal_of, f"episode {i}") for i, episode in enumerate(_episodes(source))]
    found = [trajectory for trajectory in found if len(trajectory) > 1]
    if not found:
        raise UsageError(f"{type(source).__name__} holds no two states in a row to learn from; drive first")
    _check(found)
    return found


def _of_buffer(buffer: Any, goal_of: GoalOf | None) -> Iterator[Trajectory]:
    size = buffer.buffer_size if buffer.full else buffer.pos
    if size == 0:
        return
    order = (np.arange(size) + (buffer.pos if buffer.full else 0)) % size  # the oldest first
    actions = _in_env_units(np.asarray(buffer.actions)[order], buffer.action_space)
    parts = buffer.observations, buffer.next_observations
    for env in range(buffer.n_envs):
        before, after = (_columns(part, order, env) for part in parts)
        ends = np.asarray(buffer.dones)[order, env].astype(bool) | np.asarray(buffer.timeouts)[order, env].astype(bool)
        states, following = before["observation"], after["observation"]
        broken = (following[:-1] != states[1:]).reshape(size - 1, math.prod(states.shape[1:])).any(axis=1)
        cuts = np.flatnonzero(ends[:-1] | broken) + 1
        for rows in np.split(np.arange(size), cuts):
            if len(rows):
                episode = {key: np.concatenate([before[key][rows], after[key][rows[-1:]]]) for key in before}
                yield _trajectory(episode, goal_of, actions[rows, env], "the replay buffer")


def _columns(part: Any, order: NDArray, env: int) -> dict[str, Array]:
    named = part if isinstance(part, Mapping) else {"observation": part}
    kept = {key: np.asarray(values) for key, values in named.items() if key in ("observation", "achieved_goal")}
    return {key: values[order, env] for key, values in kept.items()}


def _in_env_units(actions: Array, space: Any) -> Array:
    """SB3 stores them in [-1, 1]."""
    if not hasattr(space, "low"):
        return actions
    return np.asarray(space.low + 0.5 * (actions + 1.0) * (space.high - space.low), dtype=np.float32)


def _episodes(source: Any) -> Iterable[Any]:
    if hasattr(source, "iterate_episodes"):
        return source.iterate_episodes()
    if isinstance(source, Mapping | str) or not isinstance(source, Iterable):
        raise UsageError(f"trajectories cannot be read from {type(source).__name__}; give {_KINDS}")
    return source


def _of_episode(episode: Any, goal_of: GoalOf | None, name: str) -> Trajectory:
    if isinstance(episode, Trajectory):
        stored = {"observation": episode.states, "achieved_goal": episode.goals}
        return _trajectory(stored, None, episode.actions, name)
    if isinstance(episode, Mapping):
        held = episode
    elif hasattr(episode, "observations"):
        held = {"observations": episode.observations, "actions": getattr(episode, "actions", None)}
    elif isinstance(episode, list | tuple) and len(episode) and isinstance(episode[0], Mapping):
        held = {key: np.stack([step[key] for step in episode]) for key in episode[0]}
    else:
        held = {"observation": episode}
    actions = next((held[key] for key in ("actions", "action") if held.get(key) is not None), None)
    observations = next((held[key] for key in ("observations", "states") if held.get(key) is not None), None)
    if observations is not None:
        goals = held.get("achieved_goal", held.get("goals"))
        own = {} if goals is None else {"achieved_goal": goals}
        held = observations if isinstance(observations, Mapping) else {"observation": observations, **own}
    return _trajectory(held, goal_of, actions, name)


def _trajectory(held: Mapping[str, Any], goal_of: GoalOf | None, actions: Any, name: str) -> Trajectory:
    """UsageError, naming the episode, unless lengths agree, numbers are finite and goals are known."""
    if "observation" not in held:
        raise UsageError(f"{name} holds no observation, only {', '.join(map(str, held)) or 'nothing'}; give {_KINDS}")
    states = _numbers(held["observation"], f"observation of {name}")
    if goal_of is not None:
        goals = _numbers(goal_of(states), f"goal_of of {name}")
    elif "achieved_goal" in held:
        goals = _numbers(held["achieved_goal"], f"achieved_goal of {name}")
    else:
        raise UsageError(f"{name} does not say which goals its states achieve; give achieved_goal with it, or goal_of=")
    if len(goals) != len(states):
        raise UsageError(f"{name} has {len(states)} states and {len(goals)} achieved goals; give one for each state")
    if actions is not None:
        actions = _numbers(actions, f"actions of {name}")
        if len(actions) == len(states):  # that of the last state led to none that is stored
            actions = actions[:-1]
        if len(actions) != len(states) - 1:
            raise UsageError(f"{name} has {len(states)} states and {len(actions)} actions; give one between each two states")
    return Trajectory(states, goals, actions)


def _numbers(values: Any, name: str) -> Array:
    """(T, ...) -> (T, X) float32, a copy."""
    try:
        numbers = np.array(values, dtype=np.float32)
    except (TypeError, ValueError):
        raise UsageError(f"{name} is no array of numbers; give (T + 1, ...) with one row per step") from None
    if numbers.ndim == 0:
        raise UsageError(f"{name} is no array; give (T + 1, ...) with one row per step")
    if not np.isfinite(numbers).all():
        raise UsageError(f"{name} holds numbers that are not finite; leave that episode out")
    return numbers.reshape(len(numbers), -1)


def _check(found: list[Trajectory]) -> None:
    sizes = {(trajectory.states.shape[1], trajectory.goals.shape[1]) for trajectory in found}
    if len(sizes) > 1:
        raise UsageError(f"the episodes are of different envs: states and goals have {sorted(sizes)} entries")
