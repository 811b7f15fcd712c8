"""What a demo found, as sections of a report."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from thalweg.pictures import View
    from thalweg.planner.evaluation.report import Section
    from thalweg.planner.run.run import Run

_PICTURED_SEED = 3  # the first env seed that is tried
_TRIED_SEEDS = 20
_NAMED_SEEDS = 8  # of failed episodes
_CURVES = {  # columns of progress.csv that are drawn, with their names
    "rollout/success_near": "goals nearby that the agent sets itself, to practise",
    "rollout/success_own": "the env's own goals, near and far",
    "rollout/success_rate": "all episodes: practice and far goals mixed",
}
_OF_CURVES = "Success while training, over the most recent attempts; no planner leads the agent there. {what}"


def section(title: str, about: str, trained: Run, summary: dict[str, dict[str, Any]]) -> Section:
    """`trained` as it is planned in; `summary`: planner -> figures, see `results.summarise`."""
    from thalweg.envs.frames import gif_bytes
    from thalweg.planner.evaluation.report import Picture, Section, figure_to_png
    from thalweg.planner.storage import replace_file

    view = pictured(trained)
    replace_file(trained.folder / "plan.png", figure_to_png(view.figure))
    shown = [Picture(view.figure, _of_plan(view))]
    if view.frames:
        film = gif_bytes(view.frames, 20)
        replace_file(trained.folder / "plan.gif", film)
        shown.append(Picture(film, "The same drive, 20 env steps a second, with the subgoals ahead in orange."))
    curves, what = success_curves(trained.folder / "progress.csv")
    shown.append(Picture(curves, _OF_CURVES.format(what=what)))
    if by_distance := success_by_distance(summary):
        shown.append(Picture(by_distance, "Success by the true distance from start to goal: env seeds in four equal groups."))
    header, rows = table(summary)
    return Section(title, about, header, rows, shown, failed_seeds(trained.folder / "results.csv"))


def pictured(trained: Run) -> View:
    """The drive of the first env seed for which there is a plan; NoPathError without any."""
    from thalweg.pictures import draw_plan
    from thalweg.planner.plan import NoPathError

    for seed in range(_PICTURED_SEED, _PICTURED_SEED + _TRIED_SEEDS - 1):
        try:
            return draw_plan(trained, "energy", seed, film=True)
        except NoPathError:
            continue
    return draw_plan(trained, "energy", _PICTURED_SEED + _TRIED_SEEDS - 1, film=True)


def table(summary: dict[str, dict[str, Any]]) -> tuple[list[Any], list[list[str]]]:
    """Headings and rows, one of each planner."""
    from thalweg.planner.evaluation.report import Heading, spoken_interval, spoken_number

    header = [
        Heading("planner"),
        Heading("success", "share of episodes"),
        Heading("95 % interval", "of success"),
        Heading("steps", "env steps, middle half"),
        Heading("detour", "over the shortest path"),
        Heading("replans", "per episode"),
        Heading("failed searches", "per episode"),
        Heading("time to plan", "ms, median"),
    ]
    rows = [
        [
            name,
            spoken_number(figures["success"], 2),
            spoken_interval(figures["success_ci"]),
            spoken_number(figures["steps_iqm"], 1),
            spoken_number(figures["detour_mean"], 2),
            spoken_number(figures["replans_mean"], 2),
            spoken_number(figures["failed_plans_mean"], 2),
            spoken_number(figures["plan_ms_median"], 1),
        ]
        for name, figures in summary.items()
    ]
    return header, rows


def failed_seeds(results: Path) -> list[str]:
    """One line: at which env seeds each planner failed."""
    failed: dict[str, list[str]] = {}
    with results.open() as stream:
        for row in csv.DictReader(stream):
            seeds = failed.setdefault(row["planner"], [])
            if row["success"] == "0":
                seeds.append(row["seed"])
    parts = []
    for planner, seeds in failed.items():
        more = f" and {len(seeds) - _NAMED_SEEDS} more" if len(seeds) > _NAMED_SEEDS else ""
        if seeds:
            parts.append(f"{planner}: {', '.join(seeds[:_NAMED_SEEDS])}{more}")
    return [f"Env seeds of failed episodes: {'; '.join(parts)}."] if parts else ["No episode failed."]


def columns(progress: Path) -> dict[str, list[float]]:
    """The complete rows of a progress.csv, by column; NaN where a row says nothing. Empty before there is one."""
    if not progress.exists():
        return {}
    header, *rows = progress.read_text().split("\n")[:-1] or [""]
    names = header.split(",")
    cells = [row.split(",") for row in rows]
    whole = [row for row in cells if len(row) == len(names)]
    return {name: [float(row[i] or "nan") for row in whole] for i, name in enumerate(names)} if header else {}


def success_curves(progress: Path) -> tuple[Figure, str]:
    """The picture, and what it mixes, in a sentence."""
    import numpy as np
    from matplotlib.figure import Figure

    from thalweg.planner.evaluation import pictures

    known = columns(progress)
    chosen = [name for name in list(_CURVES)[:2] if np.isfinite(known.get(name, [])).any()] or [list(_CURVES)[2]]
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    steps = np.array(known.get("time/total_timesteps", []))
    shares = {_CURVES[name]: np.array(known.get(name, np.full(len(steps), np.nan))) for name in chosen}
    pictures.draw_success(figure.subplots(), steps, shares)
    if len(chosen) > 1:
        return figure, "Goals nearby are what the agent is for; planners lead it from one to the next."
    return figure, "Far goals are mixed in, so it says little about the goals nearby that the agent is for."


def success_by_distance(summary: dict[str, dict[str, Any]]) -> Figure | None:
    """None where no env seed's true distance is known."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    axes = figure.subplots()
    for name, figures in summary.items():
        groups = figures["by_distance"]
        middles = [(group["from"] + group["to"]) / 2 for group in groups]
        if groups:
            axes.plot(middles, [group["success"] for group in groups], "-o", ms=4, alpha=0.8, label=name)
    if not axes.lines:
        return None
    axes.set(xlabel="true distance from start to goal [goal units]", ylabel="share of episodes", ylim=(-0.02, 1.05))
    axes.legend(fontsize=8, ncols=2)
    axes.grid(alpha=0.25)
    return figure


def _of_plan(view: View) -> str:
    seed = view.drive.episode.seed
    return (
        f"Env seed {seed}: {view}. First panel: the energy of a state that lies between start and goal, in nats; bright is low: "
        "likely on the way; the nodes are sampled from it. Second: the graph over these nodes, and the shortest path in it. "
        "Third: what the agent drove; the dashed line is the shortest path as the env knows it."
    )
