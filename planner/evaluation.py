"""Policy x env x seeds -> one row per episode -> tables with intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from .protocols import GoalPolicy

Array = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class EpisodeRow:
    """One line of results.csv."""

    env: str
    planner: str
    seed: int
    success: bool
    steps: int
    path_length: float  # travelled [goal units]
    oracle_length: float | None  # of the shortest way from start to goal; None where the env does not know it
    detour: float | None  # path_length over the shortest way between the two places it joins; None without success or oracle
    replans: int
    failed_plans: int  # searches that found no path: the agent headed for the goal itself
    plan_ms: float | None  # median over the episode's searches; None without one
    nodes: int


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
            if terminated or truncated:
                success = bool(info.get("is_success", info.get("success", False)))
                rows[i] = _row(envs[i], seeds[i], observations[i], trails[i], success, states[i], env_name, planner_name)
                on_done(rows[i])
        active = [i for i in active if i not in rows]
    return [rows[i] for i in range(len(envs))]


def _row(
    env: Any, seed: int, last: dict[str, Array], trail: list[Array], success: bool, pursuit: Any, env_name: str, planner: str
) -> EpisodeRow:
    path_length = float(np.linalg.norm(np.diff(np.array(trail, dtype=np.float64), axis=0), axis=1).sum())
    oracle = getattr(env.unwrapped, "shortest_length", None)
    # To where the episode ended, not to the goal's centre: the agent may touch the tolerance disc wherever it likes.
    joined = float(oracle(trail[0][None], trail[-1][None])[0]) if oracle is not None and success else 0.0
    return EpisodeRow(
        env=env_name,
        planner=planner,
        seed=seed,
        success=success,
        steps=len(trail) - 1,
        path_length=path_length,
        oracle_length=float(oracle(trail[0][None], last["desired_goal"][None])[0]) if oracle is not None else None,
        detour=path_length / joined if joined > 0 else None,
        replans=max(pursuit.replans, 0) if pursuit is not None else 0,
        failed_plans=pursuit.failed_plans if pursuit is not None else 0,
        plan_ms=float(np.median(pursuit.plan_ms)) if pursuit is not None and pursuit.plan_ms else None,
        nodes=pursuit.nodes if pursuit is not None else 0,
    )


def summarise(rows: Sequence[EpisodeRow], baseline: str = "none") -> dict[str, dict[str, Any]]:
    """Rows -> planner -> figures. Intervals are 95 % bootstrap percentiles over seeds (scipy, fixed seed).

    `steps_iqm` is the mean of the middle half over *all* episodes; a failed one counts with the steps it was given.
    `success_minus_BASELINE` is paired by seed. `detour_mean` is over the successful episodes.
    """
    by_planner: dict[str, list[EpisodeRow]] = {}
    for row in rows:
        by_planner.setdefault(row.planner, []).append(row)
    reference = {row.seed: row.success for row in by_planner.get(baseline, [])}
    return {name: _figures(own, reference, baseline) for name, own in by_planner.items()}


def _figures(rows: list[EpisodeRow], reference: dict[int, bool], baseline: str) -> dict[str, Any]:
    success = np.array([row.success for row in rows], dtype=float)
    steps = np.array([row.steps for row in rows], dtype=float)
    detours = [row.detour for row in rows if row.detour is not None]
    plan_ms = [row.plan_ms for row in rows if row.plan_ms is not None]
    figures: dict[str, Any] = {
        "episodes": len(rows),
        "success": float(success.mean()),
        "success_ci": mean_interval(success),
        "steps_iqm": float(stats.trim_mean(steps, 0.25)),
        "detour_mean": float(np.mean(detours)) if detours else None,
        "replans_mean": float(np.mean([row.replans for row in rows])),
        "failed_plans_mean": float(np.mean([row.failed_plans for row in rows])),
        "plan_ms_median": float(np.median(plan_ms)) if plan_ms else None,
        "nodes_max": max(row.nodes for row in rows),
    }
    if rows[0].planner != baseline and all(row.seed in reference for row in rows):
        gains = success - np.array([reference[row.seed] for row in rows], dtype=float)
        figures[f"success_minus_{baseline}"] = float(gains.mean())
        figures[f"success_minus_{baseline}_ci"] = mean_interval(gains)
    return figures


def mean_interval(values: Array) -> list[float]:
    """(N,) -> [low, high]: 95 % bootstrap percentile interval of the mean; a single point when all values agree."""
    if np.ptp(values) == 0:
        return [float(values[0])] * 2
    interval = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=5_000, rng=np.random.default_rng(0)
    ).confidence_interval
    return [float(interval.low), float(interval.high)]


def rows_to_csv(rows: Sequence[EpisodeRow]) -> str:
    """Rows -> CSV text with a header; unknown values are empty."""
    names = list(EpisodeRow.__dataclass_fields__)
    lines = [",".join(names)]
    for row in rows:
        lines.append(",".join(_cell(value) for value in asdict(row).values()))
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    return f"{value:.4f}" if isinstance(value, float) else str(value)
