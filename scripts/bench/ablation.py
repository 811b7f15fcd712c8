"""`scripts.bench ablation`: what each part of following a plan is worth, left out one by one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from thalweg.scripts.bench.common import RunsOptions
from thalweg.scripts.bench.planners import DIFFICULTY, EPISODE_STEPS
from thalweg.scripts.cli import UsageError, progress_bar

_NODES = 32
_NEVER = 1e9  # env steps


@dataclass(frozen=True, kw_only=True)
class AblationOptions(RunsOptions):
    pass


def bench_ablation(options: AblationOptions) -> list[dict[str, Any]]:
    """Success and SPL of `energy` with 32 nodes on each run's map: all parts, against all but one."""
    return [row for folder in options.runs for row in _rows(folder, options)]


def _rows(folder: Path, options: AblationOptions) -> list[dict[str, Any]]:
    import torch

    from thalweg.planner.evaluation.evaluate import evaluate
    from thalweg.planner.evaluation.results import summarise
    from thalweg.runs import load

    torch.set_num_threads(1)
    trained = load(folder, progress=options.progress).at(max_episode_steps=EPISODE_STEPS, difficulty=DIFFICULTY)
    if trained.maps.kind == "many":
        raise UsageError(f"{folder}: {trained.env} has many maps, and parts that are left out here are of one; name other runs")
    policies = _variants(trained)
    episodes = []
    with progress_bar(len(policies) * options.episodes, trained.env, options.progress) as bar:
        for name, policy in policies.items():
            episodes += evaluate(policy, trained.make_env, range(options.episodes), trained.env, name, lambda row: bar.update())
    summary = summarise(episodes)
    whole = summary.pop("all parts")
    rows = []
    for name, figures in summary.items():
        for key, unit in (("success", "success"), ("spl", "SPL"), ("steps_iqm", "env steps, IQM")):
            row = {
                "what": f"{folder.resolve().name}: {name}",
                "unit": unit,
                "ours": whole[key],
                "peer": figures[key],
                "ratio": None,
            }
            rows.append(
                {**row, "against": "without it, or instead", "difference_interval": whole["minus"][name].get(f"{key}_ci")}
            )
    return rows


def _variants(trained: Any) -> dict[str, Any]:
    """Each policy lacks what its name says, or has that instead."""
    from thalweg.planner.following.routes import RouteConfig, Routes

    whole: Any = trained.policy("energy", _NODES)
    planner, follow, doubtful = whole.planner, whole.config, trained.distance("ensemble")

    def planned(**changes: Any) -> Any:
        return replace(whole, planner=replace(planner, config=replace(planner.config, **changes)))

    return {
        "all parts": whole,
        "no plan, the route alone": replace(whole, config=replace(follow, direct=_NEVER)),
        "no route, waypoint by waypoint": replace(whole, routes=None),
        "the route keeps no clearance": replace(whole, routes=Routes.fit(trained.experience(), RouteConfig(weight=0.0))),
        "hard cut-off at 2.5 sure edges": planned(stride=_NEVER, max_edge=2.5 * trained.sure_edge, keep_best=False),
        "best link not kept": planned(keep_best=False),
        "no time-outs": replace(whole, config=replace(follow, patience=_NEVER)),
        "late subgoals not shaken": replace(whole, config=replace(follow, shake=0.0)),
        "pessimistic ensemble": replace(whole, planner=replace(planner, distance=doubtful), distance=doubtful),
    }
