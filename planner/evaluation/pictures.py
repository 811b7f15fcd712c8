"""Pictures of plans and runs; each function draws on the axes it is given."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from numpy.typing import NDArray

from ..energy.between import BetweenModel
from ..plan import Plan

Array = NDArray[np.floating]

_START, _GOAL, _PATH = "#2f6db5", "#d1495b", "#e9a03b"


def draw_walls(axes: Axes, walls: Array | None) -> None:
    """Boxes (W, 2, 2) [low, high], where the env knows any."""
    for low, high in walls if walls is not None else ():
        axes.fill([low[0], high[0], high[0], low[0]], [low[1], low[1], high[1], high[1]], color="#3b4252", lw=0, zorder=2)


def show_all(axes: Axes, points: Array) -> None:
    """The same frame for every picture of a world: all (N, 2) points, with a margin."""
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.03 * max(float((high - low).max()), 1e-6)
    axes.set(xlim=(low[0] - margin, high[0] + margin), ylim=(low[1] - margin, high[1] + margin))


def draw_ends(axes: Axes, start: Array, goal: Array) -> None:
    axes.plot(*start, "o", color=_START, ms=8, zorder=6, label="start")
    axes.plot(*goal, "*", color=_GOAL, ms=13, zorder=6, label="goal")
    axes.set_aspect("equal")


def draw_oracle(axes: Axes, route: Array | None) -> None:
    """The (K, 2) bends of the true shortest way, where the env knows it."""
    if route is not None:
        axes.plot(*route.T, "--", color="#7a8292", lw=1.2, zorder=3, label="shortest way")


def draw_valley(axes: Axes, between: BetweenModel, start: Array, goal: Array, picture: Array, resolution: int = 80) -> None:
    """The energy valley from start to goal (2-D goals): -log of the density of all the way, see `way_energies`.

    `picture`: of the map, as `Experience.picture` gives it.
    """
    low, high = between.model.low.numpy(), between.model.high.numpy()
    columns, rows = (np.linspace(low[i], high[i], resolution) for i in (0, 1))
    grid = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)
    valley = between.way_energies(grid, start, goal, np.random.default_rng(0), picture=picture).reshape(resolution, resolution)
    drawn = np.minimum(valley, valley.min() + 12)
    axes.contourf(columns, rows, drawn, levels=24, cmap="viridis_r", zorder=0)


def draw_graph(axes: Axes, plan: Plan, places: Array, start: Array, goal: Array) -> None:
    """The nodes, at (N, 2) places, with the edges between them."""
    points = np.vstack([start, places, goal])
    axes.add_collection(LineCollection(list(points[plan.edges]), colors="#9aa5b1", linewidths=0.25, alpha=0.5, zorder=1))
    axes.scatter(places[:, 0], places[:, 1], s=9, color="white", edgecolor="#333", linewidth=0.5, zorder=4)


def draw_path(axes: Axes, waypoints: Array, start: Array, goal: Array) -> None:
    axes.plot(*np.vstack([start, waypoints, goal]).T, "-o", color=_PATH, ms=4, lw=2, zorder=5, label="plan")


def draw_trail(axes: Axes, trail: Sequence[Array]) -> None:
    axes.plot(*np.array(trail).T, color=_START, lw=1.6, zorder=5, label="driven")


def draw_curves(axes: Axes, steps: Array, success: Array, title: str) -> None:
    axes.plot(steps, success, color=_START)
    axes.set(xlabel="env steps", ylabel="success while training", ylim=(0, 1.02), title=title)


def draw_calibration(axes: Axes, predicted: Array, true: Array, max_edge: float, title: str) -> None:
    """Predicted against true env steps, (N,) each; pairs that one of them calls unreachable are left out."""
    shown = np.isfinite(predicted) & np.isfinite(true)
    axes.scatter(true[shown], predicted[shown], s=2, alpha=0.3, color=_START, lw=0)
    top = float(max(true[shown].max(initial=1.0), predicted[shown].max(initial=1.0)))
    axes.plot([0, top], [0, top], color="#7a8292", lw=1)
    axes.axhspan(0, max_edge, xmin=min(2 * max_edge / top, 1.0), color=_GOAL, alpha=0.15, lw=0)
    axes.set(xlim=(0, top), ylim=(0, top), xlabel="true env steps", ylabel="predicted", title=f"{title}; red: false short edges")


def draw_edge(axes: Axes, start: Array, end: Array, label: str) -> None:
    (x, y), (to_x, to_y) = start, end
    axes.annotate("", (to_x, to_y), (x, y), arrowprops={"arrowstyle": "->", "color": _GOAL}, zorder=5)
    axes.annotate(label, ((x + to_x) / 2, (y + to_y) / 2), fontsize=6, zorder=6)
