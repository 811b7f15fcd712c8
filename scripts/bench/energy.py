"""`scripts.bench energy`, `valley`, `mixture`, `corridor` and `ways`: rows of what `energy_trials` measures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from thalweg.scripts.bench.common import RunOptions, SeedsOptions, faster, make_row
from thalweg.scripts.cli import progress_bar


@dataclass(frozen=True, kw_only=True)
class EnergyOptions(RunOptions):
    pairs: int = 500  # of start and goal


def bench_energy(options: EnergyOptions) -> list[dict[str, Any]]:
    """What a run's energy model draws between start and goal, against 60 Langevin steps on the same network."""
    import numpy as np
    import torch

    from thalweg.runs import load
    from thalweg.scripts.bench.energy_trials import between_quality

    torch.set_num_threads(1)
    trained = load(options.run, progress=options.progress)
    with progress_bar(options.pairs, "pairs", options.progress) as bar:
        values = between_quality(trained, options.pairs, bar.update)
    peer = "60 Langevin steps"
    rows = [faster(make_row("100 samples, median", "ms", peer, values["milliseconds"]))]
    coverage, detours = values["line coverage"], values["detour"]
    figures: dict[str, tuple[dict[str, list[float]], Callable[[Any], float], str]] = {
        "line coverage, mean": (coverage, np.mean, "of 10 cells"),
        "detour, mean": (detours, lambda values: 100 * (np.mean(values[np.isfinite(values)]) - 1), "% over the shortest"),
        "detour, 95th percentile": (
            detours,
            lambda values: 100 * (np.quantile(values[np.isfinite(values)], 0.95) - 1),
            "% over the shortest",
        ),
        "connected": (detours, lambda values: np.isfinite(values).mean(), "of pairs"),
        "saddle, median": (values["saddle"], np.median, "nats"),
        "saddle, mean": (values["saddle"], np.mean, "nats"),
    }
    for what, (own, figure, unit) in figures.items():
        both = {who: float(figure(np.array(own[who]))) if own[who] else None for who in ("ours", "peer")}
        rows.append({"what": what, "unit": unit, **both, "ratio": None, "against": peer, "repeats": {}})
    return rows


@dataclass(frozen=True, kw_only=True)
class ValleyOptions(SeedsOptions):
    pass


def bench_valley(options: ValleyOptions) -> list[dict[str, Any]]:
    """The valley between two points, against the historical recipe: hinge loss, positives by time, plain descent."""
    import torch

    from thalweg.planner.energy.toys.paths import VALLEY_ENERGY
    from thalweg.scripts.bench.energy_trials import valley_quality

    torch.set_num_threads(1)
    recipes = ("historical", "by time", "ours")
    trials: dict[str, list[dict[str, float]]] = {recipe: [] for recipe in recipes}
    with progress_bar(len(recipes) * options.seeds * VALLEY_ENERGY.train_steps, "training", options.progress) as bar:
        for recipe in recipes:
            trials[recipe] = [valley_quality(recipe, seed, 100, bar.update) for seed in range(options.seeds)]
    rows = []
    for peer in ("historical", "by time"):
        for key, unit in (("saddle", "nats"), ("coverage", "of 10 cells"), ("connected", "of pairs")):
            both = {"ours": [trial[key] for trial in trials["ours"]], "peer": [trial[key] for trial in trials[peer]]}
            rows.append({**make_row(f"{key}, against {peer}", unit, "the recipe named", both), "ratio": None})
    return rows


@dataclass(frozen=True, kw_only=True)
class MixtureOptions(SeedsOptions):
    pass


def bench_mixture(options: MixtureOptions) -> list[dict[str, Any]]:
    """Square error of -E against a known log-density, ranking NCE against InfoNCE with the same negatives."""
    import torch

    from thalweg.scripts.bench.energy_trials import mixture_error

    torch.set_num_threads(1)
    errors: dict[str, list[float]] = {"ours": [], "peer": []}
    with progress_bar(2 * options.seeds, "training", options.progress) as bar:
        for seed in range(options.seeds):
            for who, loss in (("ours", "rnce"), ("peer", "infonce")):
                errors[who].append(mixture_error(loss, seed))
                bar.update()
    return [make_row("error of -E, known mixture", "nats^2", "InfoNCE", errors)]


@dataclass(frozen=True, kw_only=True)
class CorridorOptions(SeedsOptions):
    pass


def bench_corridor(options: CorridorOptions) -> list[dict[str, Any]]:
    """k-NN coverage of what lies between two places of a corridor, against that of other true points, by dimension."""
    import torch

    from thalweg.planner.energy.toys.paths import CORRIDOR_ENERGY
    from thalweg.scripts.bench.energy_trials import corridor_coverage

    torch.set_num_threads(1)
    sizes = (2, 4, 8, 16)
    rows = []
    with progress_bar(len(sizes) * options.seeds * CORRIDOR_ENERGY.train_steps, "training", options.progress) as bar:
        for size in sizes:
            trials = [corridor_coverage(size, seed, bar.update) for seed in range(options.seeds)]
            values = {"ours": [trial["ours"] for trial in trials], "peer": [trial["truth"] for trial in trials]}
            row = make_row(f"{size} dimensions", "coverage", "true samples", values)
            rows.append({**row, "train_seconds": [trial["seconds"] for trial in trials]})
    return rows


@dataclass(frozen=True, kw_only=True)
class TwoPathsOptions(SeedsOptions):
    pass


def bench_two_paths(options: TwoPathsOptions) -> list[dict[str, Any]]:
    """Two ways round a disc: drawn with a latent variable, against without."""
    import torch

    from thalweg.planner.energy.toys.paths import TWO_PATHS_ENERGY
    from thalweg.planner.evaluation.report import figure_to_png
    from thalweg.planner.storage import replace_file
    from thalweg.scripts.bench.energy_trials import two_paths

    torch.set_num_threads(1)
    kinds = {"ours": TWO_PATHS_ENERGY.latents, "peer": 1}
    with progress_bar(2 * options.seeds * TWO_PATHS_ENERGY.train_steps, "training", options.progress) as bar:
        trials = {who: [two_paths(latents, seed, bar.update) for seed in range(options.seeds)] for who, latents in kinds.items()}
    replace_file(options.out / "ways.png", figure_to_png(_draw_paths({who: own[0]["ways"] for who, own in trials.items()})))
    rows = []
    for key, what, unit in (
        ("one_side", "ways that keep to one side", "of ways"),
        ("share_error", "error of the share above", "of points"),
        ("inside", "inside the disc, past the gate", "of 10,000"),
    ):
        both = {who: [float(trial[key]) for trial in own] for who, own in trials.items()}
        rows.append({**make_row(what, unit, "no latent", both), "ratio": None})
    return rows


def _draw_paths(ways: dict[str, Any]) -> Any:
    """The ways of the first seed, each in a colour of its own."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Circle

    from thalweg.planner.energy.toys.paths import TwoPaths

    figure = Figure(figsize=(10, 4.6), layout="compressed")
    titles = {"ours": "E(x, y, z): one z per way", "peer": "E(x, y): each point takes a side of its own"}
    for axes, (who, own) in zip(figure.subplots(1, 2), ways.items(), strict=True):
        axes.add_patch(Circle((0, 0), TwoPaths().radius, color="#3b4252", lw=0))
        for way in own:
            axes.plot(*way.T, "-o", ms=2.5, lw=0.8, alpha=0.8)
        axes.set(aspect="equal", title=titles[who], xlim=(-1.15, 1.15), ylim=(-0.95, 0.95))
    return figure
