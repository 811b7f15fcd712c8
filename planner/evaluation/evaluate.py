"""Policy x env x seeds -> one row per episode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..following.subgoal_policy import Pursuit
from ..protocols import GoalPolicy
from .results import EpisodeRow

Array = NDArray[np.floating]


def evaluate(
    policy: GoalPolicy,
    make_env: Callable[[int], Any],
    seeds: Sequence[int],
    env_name: str,
    planner_name: str,
    on_done: Callable[[EpisodeRow], None] = lambda row: None,
) -> list[EpisodeRow]:
    """Run one episode per env seed and return its rows in the order of the seeds.

    The episodes run side by side, in one batch of observations; each env is seeded with its seed and nothing else, so
    every policy meets the same episodes. `make_env` is told which of them the env is for.
    """
    envs: list[Any] = []
    try:
        for index in range(len(seeds)):
            envs.append(make_env(index))
        return _run(policy, envs, seeds, env_name, planner_name, on_done)
    finally:
        for env in envs:
            env.close()


def _run(
    policy: GoalPolicy,
    envs: list[Any],
    seeds: Sequence[int],
    env_name: str,
    planner_name: str,
    on_done: Callable[[EpisodeRow], None],
) -> list[EpisodeRow]:
    observations = [env.reset(seed=seed)[0] for env, seed in zip(envs, seeds, strict=True)]
    trails = [[observation["achieved_goal"]] for observation in observations]
    contacts: list[list[bool]] = [[] for _ in envs]
    states: list[Any] = [None] * len(envs)
    active, rows = list(range(len(envs))), {}
    first = True
    while active:
        batch = {key: np.stack([observations[i][key] for i in active]) for key in observations[0]}
        carried = None if first or states[active[0]] is None else tuple(states[i] for i in active)
        actions, after = policy.predict(batch, carried, np.full(len(active), first), deterministic=True)
        first = False
        for place, i in enumerate(active):
            states[i] = None if after is None else after[place]
            observations[i], _, terminated, truncated, info = envs[i].step(actions[place])
            trails[i].append(observations[i]["achieved_goal"])
            if "wall_contact" in info:
                contacts[i].append(bool(info["wall_contact"]))
            if terminated or truncated:
                success = bool(info.get("is_success", info.get("success", False)))
                rows[i] = EpisodeRow(
                    env=env_name,
                    planner=planner_name,
                    seed=seeds[i],
                    success=success,
                    **_lengths(envs[i], observations[i]["desired_goal"], trails[i], success),
                    wall_contacts=sum(contacts[i]) if contacts[i] else None,
                    **_planning(states[i]),
                )
                on_done(rows[i])
        active = [i for i in active if i not in rows]
    return [rows[i] for i in range(len(envs))]


def _lengths(env: Any, goal: Array, trail: list[Array], success: bool) -> dict[str, Any]:
    """How far it was, and how far it would have been."""
    path_length = float(np.linalg.norm(np.diff(np.array(trail, dtype=np.float64), axis=0), axis=1).sum())
    oracle = getattr(env.unwrapped, "shortest_length", None)
    # To where the episode ended, not to the goal's centre: the agent may touch the tolerance disc wherever it likes.
    joined = float(oracle(trail[0][None], trail[-1][None])[0]) if oracle is not None and success else 0.0
    return {
        "steps": len(trail) - 1,
        "path_length": path_length,
        "oracle_length": float(oracle(trail[0][None], goal[None])[0]) if oracle is not None else None,
        "detour": path_length / joined if joined > 0 else None,
    }


def _planning(pursuit: Any) -> dict[str, Any]:
    """What a policy that plans did in the episode; nothing for any other."""
    if not isinstance(pursuit, Pursuit):
        return {"replans": 0, "failed_plans": 0, "plan_ms": None, "nodes": 0}
    return {
        "replans": max(pursuit.replans, 0),
        "failed_plans": pursuit.failed_plans,
        "plan_ms": float(np.median(pursuit.plan_ms)) if pursuit.plan_ms else None,
        "nodes": pursuit.nodes,
    }
