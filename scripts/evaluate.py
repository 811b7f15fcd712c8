"""Evaluate planners on env seeds: the same agent, the same episodes, figures with intervals.

Example: python -m scripts.evaluate --run runs/u --out runs/u/eval --planners none,replay,energy
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from thalweg.planner.evaluation.setting import Follow
from thalweg.planner.run.registry import check_planner_names, part_of
from thalweg.scripts.cli import MOST_NODES, MOST_WORKERS, check_ranges, make_folder, parse_env_kwargs, parse_seeds, run


@dataclass(frozen=True, kw_only=True)
class Options:
    run: Path  # a folder that thalweg train wrote
    out: Path  # for results.csv and summary.json; a second call with the same settings finishes what is missing
    planners: str = "none,replay,energy"  # also box, spread, ellipse, cvae, roadmap, visited, trajectory, oracle, my.py:MyPlanner
    distance: str | None = None  # a name of thalweg audit, or my.py:MyDistance; else quasimetric, or local in many maps
    seeds: str = "100"  # so many, from 0 on; or a:b, or a list 1,5,9 (one alone: 7,)
    nodes: int = 100  # of each graph
    follow: Follow = "route"  # drive the clear path along a plan's links, or (always where maps are many) waypoint by waypoint
    episode_steps: int | None = None  # length of an episode; by default 400, or the env's own where that is longer
    difficulty: float | None = None  # only pairs farther apart than this quantile, where the env knows it; by default 0.5
    env: str | None = None  # path/to/file.py:NAME of the env, where the run does not name one that was trained with here
    agent: Path | None = None  # the model's zip, of a run that plan_with made
    trust_pickle: bool = False  # read it though it is a pickle, which can run code
    env_kwargs: str = "{}"  # of the env, as JSON, over those of the run: '{"task_id": 3}'
    workers: int = 1  # processes
    progress: bool = True


def main(options: Options) -> None:
    seeds, names = parse_seeds(options.seeds), [name.strip() for name in options.planners.split(",")]
    check_planner_names(names)
    if options.distance is not None:
        part_of("distance", options.distance)
    env_kwargs = parse_env_kwargs(options.env_kwargs)
    check_ranges(options, difficulty=(0, 1), episode_steps=(1, 10_000_000), nodes=(1, MOST_NODES), workers=(1, MOST_WORKERS))
    make_folder(options.out)

    import torch

    from thalweg.evaluation import evaluate
    from thalweg.runs import load

    torch.set_num_threads(1)
    trained = load(options.run, options.env, agent=options.agent, trust_pickle=options.trust_pickle, progress=options.progress)
    table = evaluate(
        trained,
        names,
        seeds,
        episode_steps=options.episode_steps,
        difficulty=options.difficulty,
        nodes=options.nodes,
        follow=options.follow,
        distance=options.distance,
        env_kwargs=env_kwargs,
        out=options.out,
        workers=options.workers,
        progress=options.progress,
    )
    print(table)


if __name__ == "__main__":
    run(main, Options)
