"""Fit an energy to a curve in the plane whose truth is known, draw from it, and score and draw both.

Example: python -m scripts.toy --density pinwheel --out runs/toy
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from thalweg.planner.energy.config import LossName, NegativesName
from thalweg.scripts.cli import UsageError, check_ranges, make_folder, progress_bar, run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from thalweg.planner.energy.config import EnergyConfig, SamplingConfig
    from thalweg.planner.energy.toys.recipes import Toy

_SWEPT = {"width": "hidden", "depth": "layers"}
_SIZES = ("hidden", "layers", "train_steps")  # that the historical recipe can take, too
_ALTERED = (*_SIZES, "learning_rate", "flatness")
_SHOWN = {"flat": "FLAT", "p2p": "P2P", "kl_uniform": "KL", "kl_floor": "(floor)", "over": "OVER", "empty": "EMPTY", "on": "ON"}
_SHOWN |= {"coverage": "coverage", "branch_share_error": "branches", "train_seconds": "seconds"}


@dataclass(frozen=True, kw_only=True)
class Options:
    out: Path  # for metrics.json, energy.png and samples.png
    density: Literal["spiral", "parabolas", "swiss_roll", "pinwheel", "moons", "rings"] = "spiral"
    loss: LossName = "rnce"
    negatives: NegativesName | None = None  # by default proposal, with cd langevin, with ed perturbed
    sampling: Literal["sir", "langevin", "descent"] = "sir"
    seed: int = 0
    num_points: int = 10_000  # to train on
    uniform: bool = False  # they are even along the curve; by default up to 7.4 times denser here than there
    hidden: int | None = None  # units per layer; by default the recipe's, 128
    layers: int | None = None  # by default the recipe's, 3
    train_steps: int | None = None  # by default the recipe's, 4,000, with Langevin negatives 2,000
    learning_rate: float | None = None  # by default the recipe's, 2e-3, for cd 1e-3
    flatness: float | None = None  # weight of the energy's variance along the curve; by default the recipe's, 10, for hinge 0
    temperature: float | None = None  # of sampling; by default the recipe's, 1
    # a model for each width or depth, as in: --sweep width 16,32,64,128
    sweep: Annotated[tuple[str, str] | None, tyro.conf.arg(metavar="{width,depth} SIZES")] = None
    compare: bool = False  # beside it the historical recipe: hinge, one uniform proposal, plain descent
    gif: bool = False  # film a descent as descent.gif; done anyway where it is what is sampled by
    progress: bool = True


def main(options: Options) -> None:
    energy, sampling = _recipe(options)
    sizes = _sizes(*options.sweep) if options.sweep is not None else []
    make_folder(options.out)
    import torch

    torch.set_num_threads(1)
    if options.sweep is not None:
        _sweep(options, options.sweep[0], sizes, energy, sampling)
    elif options.compare:
        _compare(options, energy, sampling)
    else:
        _single(options, energy, sampling)


def _recipe(options: Options) -> tuple[EnergyConfig, SamplingConfig]:
    """What is asked for, checked."""
    check_ranges(options, num_points=(2, 10_000_000), seed=(0, 2**32 - 1))
    if options.sweep is not None and options.compare:
        raise UsageError("--sweep and --compare are two commands; leave one out")
    if options.gif and (options.sweep is not None or options.compare):
        raise UsageError("--gif films one model; leave out --sweep and --compare")
    from thalweg.planner.energy.toys.recipes import SAMPLINGS, toy_energy

    sampling = SAMPLINGS[options.sampling]
    try:
        energy = _altered(toy_energy(options.loss, options.negatives), **{name: getattr(options, name) for name in _ALTERED})
        return energy, _altered(sampling, temperature=options.temperature)
    except ValueError as error:
        raise UsageError(f"--{error}".replace("_", "-")) from None


def _altered(settings: Any, **changes: Any) -> Any:
    """With the changes that are not None."""
    return replace(settings, **{name: value for name, value in changes.items() if value is not None})


def _single(options: Options, energy: EnergyConfig, sampling: SamplingConfig) -> None:
    from matplotlib.figure import Figure

    from thalweg.planner.energy.toys import pictures

    toy = _run(options, energy, sampling, options.density)
    plane = Figure(figsize=(12.5, 5), layout="compressed")
    left, right = plane.subplots(1, 2)
    pictures.draw_scale(left, pictures.draw_plane(left, toy.model, toy.density))
    left.set_title(f"{options.density}: energy")
    pictures.draw_profile(right, toy)
    drawn = Figure(figsize=(12, 5), layout="compressed")
    left, right = drawn.subplots(1, 2)
    pictures.draw_samples(left, toy)
    left.set_title(f"{len(toy.samples):,} samples by {options.sampling}, {toy.metrics['on']:.1%} within 0.2 of the curve")
    pictures.draw_histogram(right, toy)
    _write(options.out, "metrics.json", toy.metrics | {"settings": _settings(options, energy, sampling)})
    _draw(options.out, {"energy.png": plane, "samples.png": drawn})
    filmed = options.gif or sampling.method == "descent"
    if filmed:
        _film(options, toy, sampling)
    print(table({f"{energy.loss}, {energy.negatives}, {sampling.method}": toy}))
    print(f"{options.out}/metrics.json, energy.png, samples.png{', descent.gif' if filmed else ''}")


def _sweep(options: Options, name: str, sizes: list[int], energy: EnergyConfig, sampling: SamplingConfig) -> None:
    """One model per width or depth, all of the same points and seed."""
    from matplotlib.figure import Figure

    from thalweg.planner.energy.toys import pictures

    toys = {}
    for size in sizes:
        toys[f"{name} {size}"] = _run(options, _altered(energy, **{_SWEPT[name]: size}), sampling, f"{name} {size}")
    figure = Figure(figsize=(4.2 * len(toys), 4.9), layout="compressed")
    axes = figure.subplots(1, len(toys), squeeze=False)[0]
    for one, (title, toy) in zip(axes, toys.items(), strict=True):
        filled = pictures.draw_plane(one, toy.model, toy.density)
        one.set_title(title)
        one.set_xlabel(f"FLAT {toy.metrics['flat']:.3f}   KL {toy.metrics['kl_uniform']:.3f} nats")
    pictures.draw_scale(axes, filled)
    rows = [{name: size} | toy.metrics for size, toy in zip(sizes, toys.values(), strict=True)]
    _write(options.out, "sweep.json", {"rows": rows, "settings": _settings(options, energy, sampling)})
    _draw(options.out, {"sweep.png": figure})
    print(table(toys))
    print(f"{options.out}/sweep.json, sweep.png")


def _sizes(name: str, text: str) -> list[int]:
    """`16,32` -> [16, 32]. UsageError for another name than those in `_SWEPT`, or for anything but sizes."""
    if name not in _SWEPT:
        raise UsageError(f"--sweep {name!r} is unknown; choose from {', '.join(_SWEPT)}")
    try:
        sizes = [int(part) for part in text.split(",")]
    except ValueError:
        sizes = []
    if not sizes or min(sizes) < 1 or len(set(sizes)) < len(sizes):
        raise UsageError(f"--sweep {name} {text!r} is not understood; write 16,32,64, none below 1, none twice")
    return sizes


def _compare(options: Options, energy: EnergyConfig, sampling: SamplingConfig) -> None:
    from matplotlib.figure import Figure

    from thalweg.planner.energy.toys import pictures
    from thalweg.planner.energy.toys.recipes import HISTORICAL_ENERGY, HISTORICAL_SAMPLING

    historical = _altered(HISTORICAL_ENERGY, **{name: getattr(options, name) for name in _SIZES})
    recipes = {"historical": (historical, HISTORICAL_SAMPLING), "ours": (energy, sampling)}
    toys = {name: _run(options, *recipe, name) for name, recipe in recipes.items()}
    figure = Figure(figsize=(15, 9), layout="compressed")
    for axes, (name, toy) in zip(figure.subplots(2, 3), toys.items(), strict=True):
        pictures.draw_scale(axes[0], pictures.draw_plane(axes[0], toy.model, toy.density))
        axes[0].set_title(f"{name}: energy, FLAT {toy.metrics['flat']:.3f}   P2P {toy.metrics['p2p']:.2f}")
        pictures.draw_samples(axes[1], toy)
        axes[1].set_title(f"{recipes[name][1].method}: {toy.metrics['on']:.1%} within 0.2 of the curve")
        pictures.draw_histogram(axes[2], toy)
    content = {name: toys[name].metrics | {"settings": _settings(options, *recipes[name])} for name in toys}
    _write(options.out, "compare.json", content)
    _draw(options.out, {"compare.png": figure})
    print(table(toys))
    print(f"{options.out}/compare.json, compare.png")


def _run(options: Options, energy: EnergyConfig, sampling: SamplingConfig, title: str) -> Toy:
    from thalweg.planner.energy.toys.curves import DENSITIES
    from thalweg.planner.energy.toys.recipes import run_toy

    density = DENSITIES[options.density]()
    with progress_bar(energy.train_steps, title, options.progress) as bar:
        try:
            return run_toy(
                density, energy, sampling, options.num_points, options.uniform, options.seed, lambda step, loss: bar.update()
            )
        except ValueError as error:
            raise UsageError(f"--density {options.density} --num-points {options.num_points}: {error}") from None


def _film(options: Options, toy: Toy, sampling: SamplingConfig) -> None:
    """Points moving down from the proposal, as many as can be told apart."""
    import torch

    from thalweg.envs.frames import gif_bytes
    from thalweg.planner.energy.sampling import descend
    from thalweg.planner.energy.toys.pictures import film_descent
    from thalweg.planner.energy.toys.recipes import NO_CONTEXT, SAMPLINGS
    from thalweg.planner.storage import replace_file

    config = sampling if sampling.method == "descent" else SAMPLINGS["descent"]
    model, context = toy.model, toy.model.see(NO_CONTEXT)
    begin = model.proposal.sample(context, 400, torch.Generator().manual_seed(options.seed))
    trail = descend(model.energy, begin, context, config.descent_steps, config.descent_rate, config.tolerance)
    frames = film_descent(model, toy.density, [model.denormalise(points[0]) for points in trail])
    film = gif_bytes([*frames, *[frames[-1]] * 10], 10)  # rests for a second
    replace_file(options.out / "descent.gif", film)


def _settings(options: Options, energy: EnergyConfig, sampling: SamplingConfig) -> dict[str, Any]:
    data = {name: getattr(options, name) for name in ("density", "seed", "num_points", "uniform")}
    return data | {"energy": asdict(energy), "sampling": asdict(sampling)}


def _write(folder: Path, name: str, content: dict[str, Any]) -> None:
    from thalweg.planner.storage import json_to_bytes, replace_file

    replace_file(folder / name, json_to_bytes(content))


def _draw(folder: Path, figures: dict[str, Figure]) -> None:
    from thalweg.planner.evaluation.report import figure_to_png
    from thalweg.planner.storage import replace_file

    for name, figure in figures.items():
        replace_file(folder / name, figure_to_png(figure))


def table(toys: dict[str, Toy]) -> str:
    """The metrics as lines of text."""
    lines = [f"{'':<24}" + "".join(f"{label:>10}" for label in _SHOWN.values())]
    for title, toy in toys.items():
        lines.append(f"{title:<24}" + "".join(f"{toy.metrics[name]:>10.3f}" for name in _SHOWN))
    return "\n".join(lines)


if __name__ == "__main__":
    run(main, Options)
