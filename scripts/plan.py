"""Plan once, drive it and draw it: the energy valley with its samples, the graph with its path, the drive as a GIF.

Example: python -m scripts.plan --run runs/u --seed 3 --out runs/u/plan
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from thalweg.planner.run.registry import NO_PLANNER, check_planner_names
from thalweg.scripts.cli import MOST_NODES, UsageError, check_ranges, make_folder, parse_env_kwargs, run


@dataclass(frozen=True, kw_only=True)
class Options:
    run: Path  # a folder that thalweg train wrote
    out: Path  # for plan.json, plan.png and, where the env draws frames, plan.gif
    seed: int = 0  # env seed: fixes start and goal
    planner: str = "energy"
    nodes: int = 100
    goal: Annotated[tuple[float, ...] | None, tyro.conf.arg(metavar="X Y ...")] = None  # instead of the seed's [goal units]
    difficulty: float | None = None  # only pairs farther apart than this quantile, where the env knows it; by default 0.5
    env: str | None = None  # path/to/file.py:NAME of the env, where the run does not name one that was trained with here
    agent: Path | None = None  # the model's zip, of a run that plan_with made
    trust_pickle: bool = False  # read it though it is a pickle, which can run code
    env_kwargs: str = "{}"  # of the env, as JSON, over those of the run: '{"task_id": 3}'
    episode_steps: int | None = None  # length of the drive; by default 400, or the env's own where that is longer
    gif: bool = True  # film the drive


def main(options: Options) -> None:
    check_planner_names([options.planner])
    if options.planner == NO_PLANNER:  # before the run is read
        raise UsageError("--planner none plans nothing; name one that does")
    check_ranges(options, difficulty=(0, 1), nodes=(1, MOST_NODES), episode_steps=(1, 10_000_000), seed=(0, 2**32 - 1))
    parse_env_kwargs(options.env_kwargs)
    make_folder(options.out)

    import torch

    from thalweg.envs.frames import gif_bytes
    from thalweg.evaluation import EvaluatedRun
    from thalweg.pictures import draw_plan
    from thalweg.planner.evaluation.evaluation_folder import settled
    from thalweg.planner.evaluation.report import figure_to_png
    from thalweg.planner.evaluation.setting import Setting
    from thalweg.planner.evaluation.table import remark_on_defaults
    from thalweg.planner.storage import json_to_bytes, replace_file
    from thalweg.runs import load

    torch.set_num_threads(1)
    trained = load(options.run, options.env, agent=options.agent, trust_pickle=options.trust_pickle)
    asked = Setting(episode_steps=options.episode_steps, difficulty=options.difficulty, env_kwargs=options.env_kwargs)
    setting, chosen = settled(EvaluatedRun(trained), asked)
    at = trained.at(**setting.env_options())
    view = draw_plan(at, options.planner, options.seed, goal=options.goal, nodes=options.nodes, film=options.gif)
    content = {**view.drive.to_json(), "planner": options.planner, "num_nodes": options.nodes}
    files = {"plan.json": json_to_bytes(content), "plan.png": figure_to_png(view.figure)}
    if view.frames:
        files["plan.gif"] = gif_bytes(view.frames, 20)
    for name, written in files.items():
        replace_file(options.out / name, written)
    print(f"{view}; {options.out}/{', '.join(files)}")
    for line in remark_on_defaults(setting.episode_steps, setting.difficulty, chosen):
        print(line)


if __name__ == "__main__":
    run(main, Options)
