"""Pictures of energies over the plane whose true curve is known; each function draws on the axes it is given."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..model import EnergyModel
from .curves import CurveDensity
from .recipes import NO_CONTEXT, Toy, curve_energies

Array = NDArray[np.floating]

_CURVE, _SAMPLE, _BORDER = "#d1495b", "#2f6db5", "#7a8292"
_LEVELS = np.arange(-1.0, 12.1, 0.5)  # about the curve's mean energy [nats]; what lies beyond looks alike
_RESOLUTION = 240
_BINS = 50
_FRAMES = 60  # at most, of a film
_MARGIN = 0.06  # of the curve's extent, on each side


def draw_plane(axes: Axes, model: EnergyModel, density: CurveDensity) -> ContourSet:
    """The energy over the plane, 0 being its mean along the curve; returns what `draw_scale` takes. All models share it."""
    (left, bottom), (right, top) = _frame(density)
    columns, rows = np.linspace(left, right, _RESOLUTION), np.linspace(bottom, top, _RESOLUTION)
    grid = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)
    level = model.energies(density.curve(), NO_CONTEXT).mean()
    plane = (model.energies(grid, NO_CONTEXT)[0] - level).reshape(_RESOLUTION, _RESOLUTION)
    filled = axes.contourf(columns, rows, plane, levels=_LEVELS, cmap="viridis_r", extend="both")
    draw_curve(axes, density)
    return filled


def draw_scale(axes: Axes | Sequence[Axes], filled: ContourSet) -> None:
    """The colour bar of the planes on these axes."""
    figure = filled.axes.get_figure()
    assert figure is not None
    figure.colorbar(filled, ax=axes, label="energy above the curve's mean [nats]", ticks=np.arange(0, 13, 2), pad=0.02)


def draw_curve(axes: Axes, density: CurveDensity) -> None:
    for branch in density.branches:
        axes.plot(*branch.T, color=_CURVE, lw=0.7)
    (left, bottom), (right, top) = _frame(density)
    axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")


def draw_profile(axes: Axes, toy: Toy) -> None:
    """The energy along the curve about its mean, on a scale of 1 nat up and down or more, so that what is flat looks flat."""
    energies = curve_energies(toy.model, toy.density)
    heights = energies - energies.mean()
    axes.plot((np.arange(len(heights)) + 0.5) / len(heights), heights, color=_SAMPLE, lw=1.2)
    reach = max(1.0, 1.1 * float(np.abs(heights).max()))
    axes.grid(axis="y", color="#e4e7ec", lw=0.8)
    _mark_branches(axes, toy.density)
    axes.set(xlim=(0, 1), ylim=(-reach, reach), xlabel="position along the curve", ylabel="energy about its mean [nats]")
    axes.set_title(f"FLAT {toy.metrics['flat']:.3f}   P2P {toy.metrics['p2p']:.2f} nats")


def draw_samples(axes: Axes, toy: Toy) -> None:
    draw_curve(axes, toy.density)
    axes.scatter(toy.samples[:, 0], toy.samples[:, 1], s=3, color=_SAMPLE, alpha=0.6, lw=0, zorder=3)


def draw_histogram(axes: Axes, toy: Toy) -> None:
    """Where on the curve the samples lie, against equal counts in each bin."""
    positions, _ = toy.density.project(toy.samples)
    axes.hist(positions, bins=_BINS, range=(0.0, 1.0), color=_SAMPLE, alpha=0.8)
    axes.axhline(len(positions) / _BINS, color=_CURVE, lw=1.2, label="uniform")
    _mark_branches(axes, toy.density)
    axes.set(xlim=(0, 1), ylim=(0, 1.2 * axes.get_ylim()[1]), xlabel="position along the curve", ylabel="samples per bin")
    kl, floor = toy.metrics["kl_uniform"], toy.metrics["kl_floor"]
    axes.set_title(f"KL {kl:.3f} (floor {floor:.3f}) nats   OVER {toy.metrics['over']:.2f}")
    axes.legend(loc="upper right", frameon=False)


def film_descent(model: EnergyModel, density: CurveDensity, trail: Sequence[Array]) -> list[NDArray[np.uint8]]:
    """Points (N, 2) at the start and after each step -> RGB frames over the energy plane: early steps all, late ones fewer."""
    figure = Figure(figsize=(4.6, 4.8), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots()
    draw_plane(axes, model, density)
    points = axes.scatter(trail[0][:, 0], trail[0][:, 1], s=14, color="white", edgecolor="black", linewidth=0.5, zorder=3)
    frames = []
    for step in np.unique((np.linspace(0, 1, _FRAMES) ** 2 * (len(trail) - 1)).astype(int)):
        points.set_offsets(trail[step])
        axes.set_title(f"descent, step {step} of {len(trail) - 1}")
        canvas.draw()
        frames.append(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    return frames


def _mark_branches(axes: Axes, density: CurveDensity) -> None:
    """A line where one branch ends and the next begins."""
    for border in np.cumsum(density.branch_shares())[:-1]:
        axes.axvline(border, color=_BORDER, lw=0.8, ls=":")


def _frame(density: CurveDensity) -> tuple[Array, Array]:
    points = np.concatenate(density.branches)
    low, high = points.min(axis=0), points.max(axis=0)
    margin = _MARGIN * float((high - low).max())
    return low - margin, high + margin
