"""Evaluate planners on env seeds: the same agent, the same episodes, figures with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from scripts.common import PLANNERS, UsageError, parse_env_kwargs, parse_seeds, run
from scripts.runs import load_run


@dataclass(frozen=True, kw_only=True)
class Options:
    run: Path  # a folder that scripts.train wrote
    out: Path  # for results.csv and summary.json
    planners: str = "none,replay,energy"
    seeds: str = "0:100"  # a:b or 1,5,9
    nodes: int = 100  # of each graph
    episode_steps: int | None = None  # length of an episode; by default the env's own
    difficulty: float | None = None  # draw only pairs farther apart than this quantile, where the env knows it
    env_kwargs: str = "{}"  # of the env, as JSON, over those of the run: '{"task_id": 3}'
    progress: bool = True


def main(options: Options) -> None:
    seeds = parse_seeds(options.seeds)
    names = options.planners.split(",")
    unknown = [name for name in names if name not in PLANNERS]
    if unknown:
        raise UsageError(f"--planners {unknown[0]!r} is unknown; choose from {', '.join(PLANNERS)}")
    if options.episode_steps is not None and options.episode_steps < 1:
        raise UsageError(f"--episode-steps must be at least 1, got {options.episode_steps}")
    if options.nodes < 1:
        raise UsageError(f"--nodes must be at least 1, got {options.nodes}")

    env_kwargs = parse_env_kwargs(options.env_kwargs)

    import torch
    from tqdm import tqdm

    import envs  # noqa: F401 (registers ours)
    from envs.loading import env_maker
    from planner.evaluation import evaluate, rows_to_csv, summarise
    from planner.storage import json_to_bytes

    torch.set_num_threads(1)
    trained = load_run(options.run)
    env = trained.env
    settings = trained.env_kwargs | env_kwargs
    if options.episode_steps is not None:
        settings["max_episode_steps"] = options.episode_steps
    if options.difficulty is not None:
        settings["difficulty"] = options.difficulty
    make_env = env_maker(env, **settings)
    policies = {name: trained.policy(name, options.nodes) for name in names}
    options.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for name, policy in policies.items():
        with tqdm(total=len(seeds), desc=f"{env} {name}", disable=not options.progress) as bar:
            rows += evaluate(policy, make_env, seeds, env, name, partial(_count, bar))
        (options.out / "results.csv").write_text(rows_to_csv(rows))
    summary = summarise(rows)
    (options.out / "summary.json").write_bytes(json_to_bytes(summary))
    print(table(env, summary))


def _count(bar: Any, row: Any) -> None:
    bar.update()


def table(env: str, summary: dict[str, dict[str, Any]]) -> str:
    """The summary as lines of text."""
    lines = [f"{env:<16}{'success':>9}{'95 % interval':>16}{'steps':>8}{'detour':>8}{'replans':>9}{'plan ms':>9}"]
    for name, figures in summary.items():
        low, high = figures["success_ci"]
        lines.append(
            f"  {name:<14}{figures['success']:>9.2f}{f'{low:.2f} to {high:.2f}':>16}{figures['steps_iqm']:>8.1f}"
            f"{_number(figures['detour_mean'], 3):>8}{figures['replans_mean']:>9.2f}{_number(figures['plan_ms_median'], 0):>9}"
        )
    return "\n".join(lines)


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


if __name__ == "__main__":
    run(main, Options)
