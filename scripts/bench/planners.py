"""`scripts.bench planners` and `plan`: how many nodes each sampler needs, and how long a plan takes."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg.scripts.bench.common import make_row
from thalweg.scripts.cli import UsageError
from thalweg.scripts.runs import load_run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from thalweg.scripts.bench.options import Options

SAMPLERS = ("box", "replay", "spread", "ellipse", "cvae", "energy")
EPISODE_STEPS, DIFFICULTY = 400, 0.95
_SOLVED = 0.95  # success at which a number of nodes is enough
_COMPARED_AT = 32  # nodes at which samplers are compared seed by seed
_REPLAY_NODES = 1_000  # of the graph that SoRB builds

Curves = dict[str, dict[int, dict[str, Any]]]  # sampler -> nodes -> figures of `planner.results.summarise`


def bench_planners(options: Options) -> list[dict[str, Any]]:
    """Success and detour against the number of nodes, for every sampler on each run's map; a second call goes on."""
    if not options.runs:
        raise UsageError("bench planners needs runs: name folders that scripts.train wrote, with --runs")
    from thalweg.planner.evaluation.report import figure_to_png
    from thalweg.planner.storage import json_to_bytes, replace_file

    curves = {folder.resolve().name: _curves(folder, options) for folder in options.runs}
    replace_file(options.out / "curves.json", json_to_bytes(curves))
    replace_file(options.out / "curves.png", figure_to_png(draw(curves)))
    return [row for name, own in curves.items() for row in _rows(name, own)]


def _curves(folder: Path, options: Options) -> Curves:
    from tqdm import tqdm

    from thalweg.planner.evaluation.evaluation_folder import evaluate_planners
    from thalweg.planner.evaluation.setting import Setting
    from thalweg.planner.evaluation.workers import run_tasks
    from thalweg.scripts.evaluated_run import RunFolder

    curves: Curves = {name: {} for name in SAMPLERS}
    subject = RunFolder(str(folder), options.progress)
    for nodes in options.nodes:
        setting = Setting(
            nodes=nodes,
            distance="quasimetric",
            follow=options.follow,
            episode_steps=EPISODE_STEPS,
            difficulty=DIFFICULTY,
        )
        out = options.out / folder.resolve().name / str(nodes)
        in_processes = partial(run_tasks, workers=options.workers)
        with tqdm(total=len(SAMPLERS) * options.episodes, desc=f"{nodes} nodes", disable=not options.progress) as bar:
            table = evaluate_planners(subject, SAMPLERS, range(options.episodes), setting, out, in_processes, bar.update)
        for name, figures in table.items():
            curves[name][nodes] = figures
    return curves


def nodes_needed(curve: dict[int, dict[str, Any]]) -> int | None:
    """The fewest nodes from which on success never falls below 0.95 again; None if there is no such number."""
    enough = None
    for nodes in sorted(curve, reverse=True):
        if curve[nodes]["success"] < _SOLVED:
            break
        enough = nodes
    return enough


def _rows(world: str, curves: Curves) -> list[dict[str, Any]]:
    ours, peer = nodes_needed(curves["energy"]), nodes_needed(curves["replay"])
    rows: list[dict[str, Any]] = [
        {
            "what": f"{world}: nodes for .95",
            "unit": "nodes",
            "ours": ours,
            "peer": peer,
            "ratio": peer / ours if ours and peer else None,
            "against": "replay",
        }
    ]
    if _COMPARED_AT not in curves["energy"]:
        return rows
    at = curves["energy"][_COMPARED_AT]
    for name in ("cvae", "ellipse", "replay"):
        difference = at["minus"][name]
        rows += [
            {
                "what": f"{world}: {unit} at {_COMPARED_AT}, less {name}",
                "unit": unit,
                "ours": difference[key],
                "peer": 0.0,
                "ratio": None,
                "against": name,
                "interval": difference[f"{key}_ci"],
            }
            for key, unit in (("success", "success"), ("steps", "env steps"))
        ]
    return rows


def draw(curves: dict[str, Curves]) -> Figure:
    """Per map a column: success, success weighted by path length, and detour against the number of nodes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * len(curves), 9))
    panels = figure.subplots(3, len(curves), squeeze=False, sharex=True)
    for column, (world, own) in enumerate(curves.items()):
        for row, (key, label) in enumerate((("success", "success"), ("spl", "SPL"), ("detour_mean", "detour of successes"))):
            axes = panels[row, column]
            for name in SAMPLERS:
                nodes = sorted(own[name])
                values = [own[name][count][key] for count in nodes]
                (line,) = axes.plot(nodes, [float("nan") if v is None else v for v in values], marker=".", label=name)
                if f"{key}_ci" in own[name][nodes[0]]:
                    unknown = (float("nan"), float("nan"))
                    low, high = zip(*(own[name][count][f"{key}_ci"] or unknown for count in nodes), strict=True)
                    axes.fill_between(nodes, low, high, alpha=0.12, color=line.get_color())
            axes.set_xscale("log", base=2)
            axes.set_title(world if row == 0 else "")
            axes.set_ylabel(label if column == 0 else "")
            axes.grid(alpha=0.3)
        panels[2, column].set_xlabel("nodes")
    panels[0, -1].legend(loc="lower right")
    figure.tight_layout()
    return figure


def bench_plan(options: Options) -> list[dict[str, Any]]:
    """Milliseconds of a whole plan (samples, distances, search), against a replay graph of 1,000 nodes built for each query."""
    if options.run is None:
        raise UsageError("bench plan needs a run: name a folder that scripts.train wrote with --run")
    import numpy as np
    import torch
    from tqdm import tqdm

    from thalweg.envs.loading import load_env
    from thalweg.scripts.parts import make_planner

    torch.set_num_threads(1)
    trained = load_run(options.run, options.progress)
    planners = {"ours": make_planner(trained, "energy", 100), "peer": make_planner(trained, "replay", _REPLAY_NODES)}
    env = load_env(trained.env, **{**trained.env_kwargs, "difficulty": 0.5})
    rng = np.random.default_rng(0)
    times: dict[str, list[float]] = {"ours": [], "peer": []}
    observation, _ = env.reset(seed=options.pairs)
    for planner in planners.values():  # a process' first plan takes some 30 ms more, while torch sets up
        planner.plan(observation["observation"], observation["desired_goal"], rng)
    for seed in tqdm(range(options.pairs), desc="plans", disable=not options.progress):
        observation, _ = env.reset(seed=seed)
        for who, planner in planners.items():
            began = time.perf_counter()
            planner.plan(observation["observation"], observation["desired_goal"], rng)
            times[who].append(1e3 * (time.perf_counter() - began))
    env.close()
    row = make_row("plan, median", "ms", f"{_REPLAY_NODES} replay nodes", times)
    last = {who: float(np.quantile(values, 0.99)) for who, values in times.items()}
    worst = {"what": "plan, 99th percentile", "unit": "ms", **last, "against": row["against"], "repeats": {}}
    return [{**row, "ratio": 1 / row["ratio"]}, {**worst, "ratio": last["peer"] / last["ours"]}]
