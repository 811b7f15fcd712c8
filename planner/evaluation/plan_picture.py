"""The picture of one plan and its drive, for goals of any size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from . import pictures
from .pictures import Valley

Array = NDArray[np.floating]

_SERIES = 6  # entries of a goal that get a time series; what has more is shown by its first
_LEGEND = 0.9  # inches


@dataclass(frozen=True, eq=False, kw_only=True)
class PlanView:
    """All that is drawn; everything is told in goals."""

    title: str
    start: Array  # (G,)
    goal: Array  # (G,)
    waypoints: Array  # (K, G)
    times: Array  # (K + 1,) env steps after which the plan is at each waypoint, and at the goal
    trail: Array  # (T, G) driven, the start first
    nodes: Array  # (N, G)
    edges: NDArray[np.intp]  # (E, 2) as in `Plan`: 0 is the start, 1..N the nodes, N + 1 the goal
    low: Array  # (G,) the frame: what was visited, with the walls
    high: Array  # (G,)
    walls: Array | None = None  # (W, 2, 2) boxes in the first two entries
    route: Array | None = None  # (P, G) points along which the plan's links are driven
    shortest: Array | None = None  # (B, G) bends of the true shortest path
    valley: Valley | None = None


def draw_plan_view(view: PlanView) -> Figure:
    """Goals of one entry against time; of two as maps; of more as a map of the first two entries, and each against time."""
    size = len(view.goal)
    if size == 1:
        figure = Figure(figsize=(8, 4), layout="constrained")
        _draw_series(figure.subplots(), view, 0)
        return _finished(figure, view)
    if size == 2:
        return _draw_maps(view)
    shown = min(size, _SERIES)
    columns = 2 if shown > 3 else 1
    rows = -(-shown // columns)
    figure = Figure(figsize=(5.5 + 4.0 * columns, max(1.7 * rows + 1.2, 5.0)), layout="constrained")
    grid = figure.add_gridspec(rows, columns + 1, width_ratios=[1.3] + [1.0] * columns)
    plane = figure.add_subplot(grid[:, 0])
    _draw_graph(plane, view)
    pictures.draw_trail(plane, view.trail[:, :2])
    plane.set_title("the first two goal entries" + ("" if shown == size else f"; {size - shown} more are not shown"))
    plane.set_aspect("auto")  # their units may differ
    for entry in range(shown):
        axes = figure.add_subplot(grid[entry % rows, 1 + entry // rows])
        _draw_series(axes, view, entry)
    return _finished(figure, view)


def _draw_maps(view: PlanView) -> Figure:
    """The valley with its samples, the graph with its path, the drive."""
    rows, columns, size = pictures.panels(view.high - view.low, 3, _LEGEND)
    figure = Figure(figsize=size, layout="constrained")
    energy, graph, drive = figure.subplots(rows, columns, sharex=True, sharey=True).ravel()
    _draw_plane(energy, view, "sampled nodes")
    pictures.draw_nodes(energy, view.nodes)
    if view.valley is not None:
        energy.set_title("energy between start and goal", fontsize=10)
        bar = figure.colorbar(pictures.draw_valley(energy, view.valley), ax=energy, shrink=0.8, ticks=range(0, 13, 3))
        bar.set_label("energy above the lowest [nats]")
    _draw_graph(graph, view)
    _draw_plane(drive, view, "drive")
    pictures.draw_path(drive, view.waypoints, view.start, view.goal, view.route)
    pictures.draw_oracle(drive, view.shortest)
    pictures.draw_trail(drive, view.trail)
    for axes in (energy, graph, drive):
        axes.label_outer()
    return _finished(figure, view)


def _draw_plane(axes: Axes, view: PlanView, title: str) -> None:
    pictures.show_all(axes, view.low[:2], view.high[:2])
    pictures.draw_walls(axes, view.walls)
    pictures.draw_ends(axes, view.start[:2], view.goal[:2])
    pictures.name_axes(axes)
    axes.set_title(title, fontsize=10)


def _draw_graph(axes: Axes, view: PlanView) -> None:
    _draw_plane(axes, view, "graph")
    points = np.vstack([view.start, view.nodes, view.goal])[:, :2]
    left_out = pictures.draw_links(axes, points, view.edges)
    if left_out:
        axes.set_title(f"graph ({left_out:,} links more are not drawn)", fontsize=10)
    pictures.draw_nodes(axes, view.nodes[:, :2])
    route = None if view.route is None else view.route[:, :2]
    pictures.draw_path(axes, view.waypoints[:, :2], view.start[:2], view.goal[:2], route)


def _draw_series(axes: Axes, view: PlanView, entry: int) -> None:
    planned = np.concatenate([view.start[entry : entry + 1], view.waypoints[:, entry], view.goal[entry : entry + 1]])
    times = np.concatenate([[0.0], view.times])
    pictures.draw_against_time(axes, entry, view.trail[:, entry], times, planned, float(view.goal[entry]))


def _finished(figure: Figure, view: PlanView) -> Figure:
    """With its title, and one legend for all panels."""
    figure.suptitle(view.title, fontsize=11, wrap=True)
    entries: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    columns = max(2, min(len(entries), int(figure.get_figwidth() / 1.9)))
    figure.legend(list(entries.values()), list(entries), loc="outside lower center", ncols=columns, fontsize=8, frameon=False)
    return figure
