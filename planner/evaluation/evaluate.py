"""Policy x env x seeds -> one row per episode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..goal_space import GoalSpace
from ..protocols import GoalPolicy, PlanRecord
from ..truth import truth_of
from .episodes import Episode, run_episodes
from .results import EpisodeRow

Array = NDArray[np.floating]


def evaluate(
    policy: GoalPolicy,
    make_env: Callable[[int], Any],
    seeds: Sequence[int],
    env_name: str,
    planner_name: str,
    on_done: Callable[[EpisodeRow], None] = lambda row: None,
    space: GoalSpace | None = None,
) -> list[EpisodeRow]:
    """Run one episode per env seed and return its rows in the order of the seeds.

    The episodes run side by side, in one batch of observations; each env is seeded with its seed and nothing else, so
    every policy meets the same episodes. `make_env` is told which of them the env is for. Where an entry of the goals'
    `space` wraps, paths go the short way round. NotFiniteError, naming env, seed,
    step and entry, at the first number that is not finite.
    """
    envs: list[Any] = []
    rows: dict[Episode, EpisodeRow] = {}

    def done(episode: Episode) -> None:
        rows[episode] = row_of(episode, planner_name, space)
        on_done(rows[episode])

    try:
        for index in range(len(seeds)):
            envs.append(make_env(index))
        episodes = [Episode.begin(env, env_name, seed) for env, seed in zip(envs, seeds, strict=True)]
        run_episodes(policy, episodes, on_done=done)
        return [rows[episode] for episode in episodes]
    finally:
        for env in envs:
            env.close()


def row_of(episode: Episode, planner_name: str, space: GoalSpace | None = None) -> EpisodeRow:
    """What is kept of an episode that is over."""
    return EpisodeRow(
        env=episode.name,
        planner=planner_name,
        seed=episode.seed,
        success=episode.success,
        steps=episode.steps,
        **_lengths(episode, space),
        wall_contacts=sum(episode.contacts) if episode.contacts else None,
        **_planning(episode.carried),
    )


def _lengths(episode: Episode, space: GoalSpace | None) -> dict[str, Any]:
    """How far it was, and how far it would have been."""
    trail, goal = episode.trail, episode.observation["desired_goal"]
    moves = np.diff(np.array(trail, dtype=np.float64), axis=0)
    path_length = float(np.linalg.norm(moves if space is None else space.short(moves), axis=1).sum())
    oracle = truth_of(episode.env).shortest_length
    # To where the episode ended, not to the goal's centre: the agent may touch the tolerance disc wherever it likes.
    joined = float(oracle(trail[0][None], trail[-1][None])[0]) if oracle is not None and episode.success else 0.0
    return {
        "path_length": path_length,
        "oracle_length": float(oracle(trail[0][None], goal[None])[0]) if oracle is not None else None,
        "detour": path_length / joined if joined > 0 else None,
    }


def _planning(carried: Any) -> dict[str, Any]:
    """What a policy that plans did in the episode; nothing for any other."""
    if not isinstance(carried, PlanRecord):
        return {"replans": 0, "failed_plans": 0, "plan_ms": None, "nodes": 0}
    return {
        "replans": max(carried.replans, 0),
        "failed_plans": carried.failed_plans,
        "plan_ms": float(np.median(carried.plan_ms)) if carried.plan_ms else None,
        "nodes": carried.nodes,
    }
