"""The main job: train the point-mass worlds side by side, evaluate, draw, and write one report.

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

from thalweg.scripts.cli import UsageError, check_ranges, parse_seeds, run
from thalweg.scripts.demo_folder import renew
from thalweg.scripts.demo_report import columns, section

if TYPE_CHECKING:
    from thalweg.planner.evaluation.report import Section
    from thalweg.planner.run.run import Run


@dataclass(frozen=True, kw_only=True)
class World:
    env: str
    folder: str
    steps: int  # env steps of training
    evaluation: tuple[str, ...]  # flags of scripts.evaluate
    difficulty: float | None  # of the drive that is pictured
    title: str
    about: str  # one sentence


WORLDS = (
    World(
        env="PointMass-v0",
        folder="flat",
        steps=20_000,
        evaluation=("--episode-steps", "50", "--difficulty", "0"),
        difficulty=None,
        title="Without walls",
        about="Every goal can be reached in a straight line: planning is to do no harm.",
    ),
    World(
        env="PointMassU-v0",
        folder="u",
        steps=40_000,
        evaluation=("--episode-steps", "400", "--difficulty", "0.5"),
        difficulty=0.5,
        title="Round a long wall",
        about="Goals lie behind a wall, farther away than the agent can see on its own: planning is to lead it round.",
    ),
)
_DRIVE_STEPS = 400  # of the drive that is pictured, at most


@dataclass(frozen=True, kw_only=True)
class Options:
    out: Path = Path("runs/demo")  # replaced if it holds an earlier demo
    seeds: str = "0:100"
    seed: int = 0  # of the training


def main(options: Options) -> None:
    parse_seeds(options.seeds)
    check_ranges(options, seed=(0, 2**32 - 1))
    began = time.perf_counter()
    renew(options.out, [world.folder for world in WORLDS])
    _side_by_side("train", options.out, [_training(world, options) for world in WORLDS], [w.steps for w in WORLDS])
    _side_by_side("evaluate", options.out, [_evaluation(world, options) for world in WORLDS], None)
    summary = {world.env: json.loads((options.out / world.folder / "summary.json").read_text()) for world in WORLDS}
    from thalweg.runs import load

    sections = [_section(world, load(options.out / world.folder), summary[world.env]) for world in WORLDS]
    figures = {"worlds": summary, "minutes": (time.perf_counter() - began) / 60, "peak_bytes_at_most": _peak(options.out)}
    _write_report(options.out, sections, figures, options)
    _print_tables(options.out, figures)


def _training(world: World, options: Options) -> list[str]:
    folder = str(options.out / world.folder)
    how = ["--steps", str(world.steps), "--seed", str(options.seed)]
    return ["thalweg.scripts.train", "--env", world.env, *how, "--out", folder]


def _evaluation(world: World, options: Options) -> list[str]:
    folder = str(options.out / world.folder)
    return ["thalweg.scripts.evaluate", "--run", folder, "--out", folder, "--seeds", options.seeds, *world.evaluation]


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
    return int(max(columns(progress).get("time/total_timesteps", []), default=0))


def _section(world: World, trained: Run, summary: dict[str, Any]) -> Section:
    settings: dict[str, Any] = {"max_episode_steps": _DRIVE_STEPS}
    if world.difficulty is not None:
        settings["difficulty"] = world.difficulty
    return section(f"{world.title} ({world.env})", world.about, trained.at(**settings), summary)


def _peak(out: Path) -> int:
    """Sum of the peaks of the trainings: no less than the peak of their sum."""
    return sum(json.loads((out / world.folder / "timing.json").read_text())["peak_bytes"] for world in WORLDS)


def _write_report(out: Path, sections: list[Section], figures: dict[str, Any], options: Options) -> None:
    from thalweg.planner.evaluation.report import render_report
    from thalweg.planner.storage import json_to_bytes, replace_file
    from thalweg.scripts.provenance import provenance

    intro = (
        f"{len(WORLDS)} worlds, trained, evaluated and drawn in {figures['minutes']:.1f} minutes. In each, one agent learned to "
        "reach goals nearby; every planner leads this same agent, from the same env seeds; none is the agent without a plan."
    )
    trainings = "; ".join(f"{world.env} {world.steps:,} env steps" for world in WORLDS)
    memory = f"at most {figures['peak_bytes_at_most'] / 2**30:.2f} GiB"
    settings = {"trainings": f"{trainings}; seed {options.seed}", "env seeds": options.seeds, "memory": memory}
    evaluations = {f"evaluation of {world.env}": _setting(out / world.folder) for world in WORLDS}
    page = render_report("Thalweg: the main job", intro, sections, {**settings, **evaluations, **provenance()})
    replace_file(out / "report.html", page.encode())
    replace_file(out / "summary.json", json_to_bytes(figures))


def _setting(folder: Path) -> str:
    """How it was evaluated, as the evaluation itself says."""
    said = json.loads((folder / "evaluation.json").read_text())
    names = ("episode_steps", "difficulty", "nodes", "follow", "distance")
    return ", ".join(f"{name.replace('_', ' ')} {said[name]}" for name in names if said.get(name) is not None)


def _print_tables(out: Path, figures: dict[str, Any]) -> None:
    from thalweg.planner.evaluation.table import table

    for env, summary in figures["worlds"].items():
        print(table(env, summary))
    print(f"{figures['minutes']:.1f} min, at most {figures['peak_bytes_at_most'] / 2**30:.2f} GiB; {out / 'report.html'}")


if __name__ == "__main__":
    run(main, Options)
