"""The main job: train the two point-mass worlds side by side, evaluate, draw, and write one report.

Example: python -m scripts.demo --out runs/demo
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg.scripts.cli import UsageError, run
from thalweg.scripts.demo_folder import renew

if TYPE_CHECKING:
    from thalweg.planner.run.run import Run


@dataclass(frozen=True, kw_only=True)
class World:
    env: str
    folder: str
    steps: int  # env steps of training
    evaluation: tuple[str, ...]  # flags of scripts.evaluate
    difficulty: float | None


WORLDS = (
    World(env="PointMass-v0", folder="flat", steps=20_000, evaluation=(), difficulty=None),
    World(
        env="PointMassU-v0",
        folder="u",
        steps=40_000,
        evaluation=("--episode-steps", "400", "--difficulty", "0.5"),
        difficulty=0.5,
    ),
)
_PICTURED_SEED = 3


@dataclass(frozen=True, kw_only=True)
class Options:
    out: Path = Path("runs/demo")  # replaced if it holds an earlier demo
    seeds: str = "0:100"
    seed: int = 0  # of the training


def main(options: Options) -> None:
    began = time.perf_counter()
    renew(options.out, [world.folder for world in WORLDS])
    _side_by_side("train", options.out, [_training(world, options) for world in WORLDS], [w.steps for w in WORLDS])
    _side_by_side("evaluate", options.out, [_evaluation(world, options) for world in WORLDS], None)
    summary = {world.env: json.loads((options.out / world.folder / "summary.json").read_text()) for world in WORLDS}
    from thalweg.runs import load

    sections = [_section(world, load(options.out / world.folder), summary[world.env]) for world in WORLDS]
    figures = {"worlds": summary, "minutes": (time.perf_counter() - began) / 60, "peak_bytes_at_most": _peak(options.out)}
    _write_report(options.out, sections, figures)
    _print_tables(options.out, figures)


def _training(world: World, options: Options) -> list[str]:
    folder = str(options.out / world.folder)
    return ["scripts.train", "--env", world.env, "--steps", str(world.steps), "--seed", str(options.seed), "--out", folder]


def _evaluation(world: World, options: Options) -> list[str]:
    folder = str(options.out / world.folder)
    return ["scripts.evaluate", "--run", folder, "--out", folder, "--seeds", options.seeds, *world.evaluation]


def _side_by_side(stage: str, out: Path, commands: list[list[str]], totals: list[int] | None) -> None:
    """Run one process per world, with its progress on a line of its own; stop all if one fails or on Ctrl-C."""
    from tqdm import tqdm

    logs = [out / f"{stage}-{world.folder}.log" for world in WORLDS]
    processes = []
    bars = [
        tqdm(total=totals[i] if totals else None, desc=f"{stage} {world.env}", position=i, unit="step" if totals else "s")
        for i, world in enumerate(WORLDS)
    ]
    try:
        for command, log in zip(commands, logs, strict=True):
            with open(log, "w") as stream:
                arguments = [sys.executable, "-m", *command, "--no-progress"]
                processes.append(subprocess.Popen(arguments, stdout=stream, stderr=subprocess.STDOUT))
        while any(process.poll() is None for process in processes):
            time.sleep(1)
            for bar, world, process in zip(bars, WORLDS, processes, strict=True):
                if totals is not None:
                    bar.update(_steps_done(out / world.folder / "progress.csv") - bar.n)
                elif process.poll() is None:
                    bar.update(1)
            for process, log in zip(processes, logs, strict=True):
                if process.poll():
                    raise UsageError(f"{stage} failed; the end of {log}: {log.read_text().strip().splitlines()[-1:]}")
    finally:
        for process in processes:
            if process.poll() is None:
                process.terminate()
                process.wait()
        for bar in bars:
            bar.close()


def _steps_done(progress: Path) -> int:
    """The last complete row's env steps; 0 before there is one."""
    curve = _curve(progress)
    return int(curve[-1][0]) if curve else 0


def _curve(progress: Path) -> list[tuple[float, float]]:
    """(env steps, success) of each complete row of a progress.csv."""
    if not progress.exists():
        return []
    header, *rows = progress.read_text().split("\n")[:-1] or [""]
    names = header.split(",")
    if not {"time/total_timesteps", "rollout/success_rate"} <= set(names):
        return []
    columns = names.index("time/total_timesteps"), names.index("rollout/success_rate")
    cells = [row.split(",") for row in rows]
    return [(float(row[columns[0]]), float(row[columns[1]])) for row in cells if len(row) == len(names)]


def _section(world: World, trained: Run, summary: dict[str, Any]) -> Any:
    import numpy as np
    from matplotlib.figure import Figure

    from thalweg.pictures import draw_plan
    from thalweg.planner.evaluation import pictures
    from thalweg.planner.evaluation.report import Section, figure_to_png

    settings: dict[str, Any] = {"max_episode_steps": 400}
    if world.difficulty is not None:
        settings["difficulty"] = world.difficulty
    view = draw_plan(trained.at(**settings), "energy", _PICTURED_SEED)
    plan, picture = view.drive.plan, view.figure
    (trained.folder / "plan.png").write_bytes(figure_to_png(picture))
    curve = np.array(_curve(trained.folder / "progress.csv")).reshape(-1, 2)
    curves = Figure(figsize=(6, 3))
    pictures.draw_curves(curves.subplots(), curve[:, 0], curve[:, 1], world.env)
    names = ("success", "success_ci", "steps_iqm", "detour_mean", "replans_mean", "failed_plans_mean", "plan_ms_median")
    rows = [[planner, *(_text(figures[name]) for name in names)] for planner, figures in summary.items()]
    caption = f"Env seed {_PICTURED_SEED}, 100 nodes, {len(plan.waypoints)} waypoints. Bright is low energy: likely on the way."
    captions = [(caption, picture), ("Success in training episodes of 50 steps", curves)]
    return Section(world.env, ["planner", *names], rows, captions)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return ", ".join(f"{v:.3f}" for v in value) if isinstance(value, list) else f"{value:.3f}"


def _peak(out: Path) -> int:
    """Sum of the peaks of the two trainings: no less than the peak of their sum."""
    return sum(json.loads((out / world.folder / "timing.json").read_text())["peak_bytes"] for world in WORLDS)


def _write_report(out: Path, sections: list[Any], figures: dict[str, Any]) -> None:
    from thalweg.planner.evaluation.report import render_report
    from thalweg.planner.storage import json_to_bytes

    intro = f"Trained, evaluated and drawn in {figures['minutes']:.1f} minutes. The same agent and env seeds for every planner."
    (out / "report.html").write_text(render_report("Thalweg: the main job", intro, sections))
    (out / "summary.json").write_bytes(json_to_bytes(figures))


def _print_tables(out: Path, figures: dict[str, Any]) -> None:
    from thalweg.planner.evaluation.table import table

    for env, summary in figures["worlds"].items():
        print(table(env, summary))
    print(f"{figures['minutes']:.1f} min, at most {figures['peak_bytes_at_most'] / 2**30:.2f} GiB; {out / 'report.html'}")


if __name__ == "__main__":
    run(main, Options)
