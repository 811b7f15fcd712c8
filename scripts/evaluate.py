"""Evaluate planners on env seeds: the same agent, the same episodes, figures with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from thalweg.planner.evaluation.setting import Follow, Setting
from thalweg.planner.evaluation.table import table
from thalweg.scripts.cli import DISTANCES, UsageError, make_folder, parse_env_kwargs, parse_seeds, run
from thalweg.scripts.parts import check_name, check_planner_names

__all__ = ["Options", "main", "table"]


@dataclass(frozen=True, kw_only=True)
class Options:
    run: Path  # a folder that scripts.train wrote
    out: Path  # for results.csv and summary.json; a second call with the same settings finishes what is missing
    planners: str = "none,replay,energy"  # also box, spread, ellipse, cvae, roadmap, visited, trajectory, oracle, my.py:MySampler
    distance: str | None = None  # a name of scripts.audit, or my.py:MyDistance; else quasimetric, or local in many maps
    seeds: str = "100"  # so many, from 0 on; or a:b, or a list 1,5,9 (one alone: 7,)
    nodes: int = 100  # of each graph
    follow: Follow = "route"  # drive the clear way along a plan's links, or (always where maps are many) waypoint by waypoint
    episode_steps: int | None = None  # length of an episode; by default 400, or the env's own where that is longer
    difficulty: float | None = None  # only pairs farther apart than this quantile, where the env knows it; by default 0.5
    env_kwargs: str = "{}"  # of the env, as JSON, over those of the run: '{"task_id": 3}'
    workers: int = 1  # processes
    progress: bool = True


def main(options: Options) -> None:
    seeds, names = parse_seeds(options.seeds), options.planners.split(",")
    check_planner_names(names)
    if options.distance is not None:
        check_name("distance", options.distance, DISTANCES)
    parse_env_kwargs(options.env_kwargs)
    if options.episode_steps is not None and options.episode_steps < 1:
        raise UsageError(f"--episode-steps must be at least 1, got {options.episode_steps}")
    if options.nodes < 1 or options.workers < 1:
        raise UsageError(f"--nodes and --workers must be at least 1, got {options.nodes} and {options.workers}")

    from tqdm import tqdm

    from thalweg.planner.evaluation.evaluation_folder import evaluate_planners
    from thalweg.scripts.evaluated_run import RunFolder
    from thalweg.scripts.workers import run_tasks

    make_folder(options.out)
    subject = RunFolder(str(options.run), options.progress)
    in_processes = partial(run_tasks, workers=options.workers)
    with tqdm(total=len(names) * len(seeds), desc=subject.env, unit="episode", disable=not options.progress) as bar:
        done = evaluate_planners(subject, names, seeds, setting_of(options), options.out, in_processes, bar.update)
    print(done)


def setting_of(options: Options) -> Setting:
    return Setting(**{name: getattr(options, name) for name in Setting.__dataclass_fields__})


if __name__ == "__main__":
    run(main, Options)
