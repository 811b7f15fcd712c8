"""What pictures of plans and runs are made of; each function draws on the axes it is given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.contour import QuadContourSet
from numpy.typing import NDArray

from ..energy.between import BetweenModel

Array = NDArray[np.floating]

START, GOAL, PATH, WALL, LINK, TRUTH = "#2f6db5", "#d1495b", "#e9a03b", "#3b4252", "#5c6773", "#1d7f63"
_DEEP = 12.0  # nats: what lies higher above the floor of a valley is all alike
_MANY_LINKS = 1_500  # drawn at most; more are a carpet
_SQUARE, _TALLEST, _WIDE = 4.2, 7.0, 9.0  # inches: a square panel's side, a panel's height, a column of panels' width
_SLIM, _BROAD = 0.2, 1.6  # width over height of a panel: at least, and from where panels lie above each other


@dataclass(frozen=True, eq=False)
class Valley:
    """The energy over a plane of goals, at every pair of a column and a row."""

    columns: Array  # (R,) first entry of the goals
    rows: Array  # (R,) second entry
    energies: Array  # (R, R) [nats], row by row


def energy_valley(between: BetweenModel, start: Array, goal: Array, picture: Array, resolution: int = 80) -> Valley:
    """The energy valley from start to goal (2-D goals): -log of the density of the whole path, see `path_energies`.

    `picture`: of the map, as `Experience.picture` gives it.
    """
    low, high = between.model.low.numpy(), between.model.high.numpy()
    columns, rows = (np.linspace(low[i], high[i], resolution) for i in (0, 1))
    grid = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)
    energies = between.path_energies(grid, start, goal, np.random.default_rng(0), picture=picture)
    return Valley(columns, rows, energies.reshape(resolution, resolution))


def panels(extent: Array, count: int, header: float = 0.0) -> tuple[int, int, tuple[float, float]]:
    """Rows, columns and size [inches] of a figure of `count` maps of this (2,) extent, so that little of it stays white.

    `header`: inches beside the maps, for titles and a legend.
    """
    aspect = float(np.clip(extent[0] / max(float(extent[1]), 1e-9), _SLIM, 1 / _SLIM))
    if aspect > _BROAD:
        return count, 1, (_WIDE, count * (_WIDE / aspect + 0.6) + header)
    height = min(_SQUARE / aspect**0.5, _TALLEST)
    return 1, count, (count * (height * aspect + 0.3) + 1.4, height + 0.6 + header)


def draw_walls(axes: Axes, walls: Array | None) -> None:
    """Boxes (W, 2, 2) [low, high], where the env knows any; one without width is drawn as a line."""
    label: str | None = "wall"
    for low, high in walls if walls is not None else ():
        x, y = [low[0], high[0], high[0], low[0]], [low[1], low[1], high[1], high[1]]
        axes.fill(x, y, color=WALL, lw=0 if (high > low).all() else 2, zorder=2, label=label)
        label = None  # once in a legend


def show_all(axes: Axes, low: Array, high: Array) -> None:
    """The same frame for every picture of a world: (2,) corners, with a margin."""
    margin = 0.03 * max(float((high - low).max()), 1e-6)
    axes.set(xlim=(low[0] - margin, high[0] + margin), ylim=(low[1] - margin, high[1] + margin), aspect="equal")


def name_axes(axes: Axes, first: int = 0, second: int = 1) -> None:
    axes.set(xlabel=f"goal entry {first} [goal units]", ylabel=f"goal entry {second} [goal units]")


def draw_ends(axes: Axes, start: Array, goal: Array) -> None:
    """(2,) each"""
    axes.plot(*start, "o", color=START, ms=8, zorder=6, label="start")
    axes.plot(*goal, "*", color=GOAL, ms=13, zorder=6, label="goal")


def draw_oracle(axes: Axes, route: Array | None) -> None:
    """The (K, 2) bends of the true shortest path, where the env knows it."""
    if route is not None:
        axes.plot(*route.T, "--", color=TRUTH, lw=1.4, zorder=5.5, label="shortest path, as the env knows it")


def draw_valley(axes: Axes, valley: Valley) -> QuadContourSet:
    """Filled contours, for a colour bar: bright is low."""
    above = valley.energies - valley.energies.min()
    levels = np.linspace(0, _DEEP, 25)
    return axes.contourf(valley.columns, valley.rows, above, levels=levels, cmap="viridis_r", extend="max", zorder=0)


def draw_nodes(axes: Axes, nodes: Array) -> None:
    """(N, 2)"""
    size = float(np.clip(900 / max(len(nodes), 1), 1.5, 9))
    axes.scatter(nodes[:, 0], nodes[:, 1], s=size, color="white", edgecolor="#333", linewidth=0.5, zorder=4, label="sampled node")


def draw_links(axes: Axes, points: Array, edges: NDArray[np.intp]) -> int:
    """The graph's (E, 2) edges between (N, 2) points, each pair once, thinner the more there are -> how many were left out."""
    pairs = np.unique(np.sort(edges, axis=1), axis=0)
    shown = pairs[:: -(-len(pairs) // _MANY_LINKS) or 1]
    alpha = float(np.clip(150 / max(len(shown), 1), 0.1, 0.7))
    lines = LineCollection(list(points[shown]), colors=LINK, linewidths=0.5, alpha=alpha, zorder=1)
    axes.add_collection(lines)
    axes.plot([], [], color=LINK, lw=0.8, label="link of the graph")
    return len(pairs) - len(shown)


def draw_path(axes: Axes, waypoints: Array, start: Array, goal: Array, route: Array | None = None) -> None:
    """(K, 2), (2,), (2,), and the (P, 2) points of the route along which the plan's links are driven, where there is one.

    Without a route links are drawn straight, which their drives need not be.
    """
    points = np.vstack([start, waypoints, goal])
    if route is None:
        axes.plot(*points.T, "-o", color=PATH, ms=4, lw=2, zorder=5, label="plan: waypoints")
        return
    axes.plot(*route.T, color=PATH, lw=2, zorder=5, label="plan: route along its links")
    axes.plot(*points.T, "o", color=PATH, ms=4, zorder=5, label="plan: waypoints")


def draw_trail(axes: Axes, trail: Array) -> None:
    """(T, 2)"""
    axes.plot(*trail.T, color=START, lw=1.6, zorder=5, label="driven")


def draw_against_time(axes: Axes, entry: int, trail: Array, times: Array, subgoals: Array, goal: float) -> None:
    """One entry of the goal: driven (T,) step by step, and the plan's (K,) subgoals at their (K,) predicted times [env steps]."""
    axes.axhline(goal, color=GOAL, lw=1, ls=":", zorder=2, label="goal")
    axes.step(times, subgoals, "-o", where="post", color=PATH, ms=4, lw=1.5, zorder=4, label="plan: waypoints")
    axes.plot(trail, color=START, lw=1.6, zorder=5, label="driven")
    axes.set(xlabel="env steps", ylabel=f"goal entry {entry}\n[goal units]")


def draw_success(axes: Axes, steps: Array, shares: dict[str, Array]) -> None:
    """Shares of episodes that reached their goal, (N,) each by its name, against the env steps (N,) of the training."""
    for colour, (name, share) in zip((START, PATH, TRUTH), shares.items(), strict=False):
        axes.plot(steps, share, color=colour, label=name)
    axes.set(xlabel="env steps of training", ylabel="share of episodes that reached their goal", ylim=(0, 1.02))
    axes.legend(loc="lower right", fontsize=8)
    axes.grid(alpha=0.25)


def draw_calibration(axes: Axes, predicted: Array, known: Array, max_edge: float, *, is_truth: bool) -> None:
    """Predicted against known env steps, (N,) each; pairs that one of them calls unreachable are left out.

    What is known is the truth, or the steps that a logged trajectory took, which bound it from above: right predictions then lie
    on the line or below it.
    """
    shown = np.isfinite(predicted) & np.isfinite(known)
    axes.scatter(known[shown], predicted[shown], s=2, alpha=0.3, color=START, lw=0)
    top = float(max(known[shown].max(initial=1.0), predicted[shown].max(initial=1.0)))
    axes.plot([0, top], [0, top], color="#7a8292", lw=1, label="predicted = known")
    if is_truth and 2 * max_edge < top:
        axes.fill_between([2 * max_edge, top], 0, max_edge, color=GOAL, alpha=0.15, lw=0, label="false short edges")
    if not is_truth:
        axes.fill_between([0, top], [0, top], top, color=GOAL, alpha=0.1, lw=0, label="surely too long")
    bound = "true env steps" if is_truth else "env steps along logged trajectories:\nan upper bound of the true ones"
    axes.set(xlim=(0, top), ylim=(0, top), xlabel=bound, ylabel="predicted env steps")
    axes.legend(loc="upper left", fontsize=7)


def draw_edges(axes: Axes, edges: Array, low: Array, high: Array) -> None:
    """(E, 2, 2) arrows from start to end, numbered from 1 in their order, within (2,) corners; no number covers another."""
    labels = spread_labels(edges.mean(axis=1), 0.04 * float((high - low).max()), low, high)
    for number, ((start, end), place) in enumerate(zip(edges, labels, strict=True), 1):
        axes.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": GOAL, "shrinkA": 0, "shrinkB": 0}, zorder=5)
        line = {"arrowstyle": "-", "color": "#999", "lw": 0.5}
        middle, paper = (start + end) / 2, {"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.8}
        axes.annotate(str(number), middle, place, arrowprops=line, fontsize=7, ha="center", va="center", bbox=paper, zorder=6)


def spread_labels(points: Array, gap: float, low: Array, high: Array) -> Array:
    """(N, 2) points -> (N, 2) places for their labels: as near as may be, no two nearer than `gap`, within (2,) corners.

    ValueError if the corners leave too little room for so many.
    """
    angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    radii = np.arange(0.5, 2 + 2 * float((high - low).max()) / gap, 0.5) * gap
    spots = np.concatenate([radius * circle for radius in radii])  # nearest first
    placed = np.empty((0, 2))
    for point in points:
        free = point + spots
        free = free[((free >= low) & (free <= high)).all(axis=1)]
        free = free[(np.linalg.norm(free[:, None] - placed, axis=-1) >= gap).all(axis=1)]
        if not len(free):
            raise ValueError(f"no room for {len(points)} labels {gap:g} apart between {low.tolist()} and {high.tolist()}")
        placed = np.vstack([placed, free[0]])
    return placed
