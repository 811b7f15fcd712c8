"""`scripts.bench planners`: how many nodes each sampler needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg.planner.evaluation.setting import Follow
from thalweg.scripts.bench.common import RunsOptions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SAMPLERS = ("box", "replay", "spread", "ellipse", "cvae", "energy")
EPISODE_STEPS, DIFFICULTY = 400, 0.95
_SOLVED = 0.95  # success at which a number of nodes is enough
_COMPARED_AT = 32  # nodes at which samplers are compared seed by seed

Curves = dict[str, dict[int, dict[str, Any]]]  # sampler -> nodes -> figures of `planner.results.summarise`


@dataclass(frozen=True, kw_only=True)
class PlannersOptions(RunsOptions):
    nodes: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)  # of each graph
    follow: Follow = "route"  # how plans are driven; `waypoints` leaves all to the sampled nodes
    workers: int = 1  # processes


def bench_planners(options: PlannersOptions) -> list[dict[str, Any]]:
    """Success and detour against the number of nodes, for every sampler on each run's map; a second call goes on."""
    from thalweg.planner.evaluation.report import figure_to_png
    from thalweg.planner.storage import json_to_bytes, replace_file

    curves = {folder.resolve().name: _curves(folder, options) for folder in options.runs}
    replace_file(options.out / "curves.json", json_to_bytes(curves))
    replace_file(options.out / "curves.png", figure_to_png(draw(curves)))
    return [row for name, own in curves.items() for row in rows_of(name, own)]


def _curves(folder: Path, options: PlannersOptions) -> Curves:
    import torch

    from thalweg.evaluation import evaluate
    from thalweg.runs import load

    torch.set_num_threads(1)
    trained = load(folder, progress=options.progress)
    curves: Curves = {name: {} for name in SAMPLERS}
    for nodes in options.nodes:
        table = evaluate(
            trained,
            SAMPLERS,
            range(options.episodes),
            episode_steps=EPISODE_STEPS,
            difficulty=DIFFICULTY,
            nodes=nodes,
            follow=options.follow,
            out=options.out / folder.resolve().name / str(nodes),
            workers=options.workers,
            progress=options.progress,
        )
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


def rows_of(world: str, curves: Curves) -> list[dict[str, Any]]:
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
