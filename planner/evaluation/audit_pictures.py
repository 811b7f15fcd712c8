"""The pictures of an audit: how predictions lie against what is known, and the short edges that are most wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from . import pictures

Array = NDArray[np.floating]

_WORST = 10  # edges that are drawn
_DOTS = 3_000  # of what was visited
_LISTED = 1.6  # inches below a map, for the list of its edges


def draw_calibration(predictions: Mapping[str, Array], known: Array, max_edge: float, *, is_truth: bool) -> Figure:
    """Per distance its (N,) predictions against (N,) known env steps; see `pictures.draw_calibration`."""
    columns = min(len(predictions), 4)
    rows = -(-len(predictions) // columns)
    figure = Figure(figsize=(3.6 * columns, 3.8 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (name, predicted) in zip(panels, predictions.items(), strict=False):
        pictures.draw_calibration(axes, predicted, known, max_edge, is_truth=is_truth)
        axes.set_title(name)
    for axes in panels[len(predictions) :]:
        axes.axis("off")
    return figure


def draw_worst_edges(
    edges: Mapping[str, list[dict[str, Any]]],
    goal_of: Callable[[Array], Array],
    visited: Array,
    walls: Array | None,
    *,
    is_truth: bool,
) -> Figure:
    """Per distance the short edges (see `audit.worst_edges`) that are most wrong, over what was visited (M, 2)."""
    shown = visited if walls is None else np.concatenate([visited, walls.reshape(-1, 2)])
    low, high = shown.min(axis=0), shown.max(axis=0)
    rows, columns, size = pictures.panels(high - low, len(edges), _LISTED)
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(f"short edges that are most wrong; predicted / {'true' if is_truth else 'taken'} env steps", wrap=True)
    for axes, (name, worst) in zip(figure.subplots(rows, columns, squeeze=False).ravel(), edges.items(), strict=True):
        pictures.show_all(axes, low, high)
        axes.scatter(*visited[:: -(-len(visited) // _DOTS)].T, s=1, color="#c9ced6", lw=0, zorder=0)
        pictures.draw_walls(axes, walls)
        arrows = np.array([[goal_of(np.array(edge["state"])), np.array(edge["goal"])] for edge in worst[:_WORST]])
        pictures.draw_edges(axes, arrows.reshape(-1, 2, 2), low, high)
        pictures.name_axes(axes)
        listed = [f"{number}:  {_steps(edge)}" for number, edge in enumerate(worst[:_WORST], 1)]
        half = -(-len(listed) // 2)
        text = "\n".join("     ".join(pair) for pair in zip(listed[:half], [*listed[half:], ""], strict=False))
        axes.set_xlabel(f"{axes.get_xlabel()}\n\n{text}", fontsize=8)
        axes.set_title(name)
    return figure


def _steps(edge: dict[str, Any]) -> str:
    known = "unreachable" if edge["true"] is None else f"{edge['true']:.0f}"
    return f"{edge['predicted']:.0f} / {known}"
