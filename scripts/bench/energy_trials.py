"""Trials of energy models where the truth is known: what they give, and what is drawn from them. For `bench_energy`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from thalweg.planner.data.coverage import LINE_SLACK
from thalweg.planner.energy import metrics
from thalweg.planner.energy.between import BetweenModel
from thalweg.planner.energy.config import EnergyConfig, ProposalConfig, SamplingConfig
from thalweg.planner.energy.toys.paths import (
    CORRIDOR_ENERGY,
    HISTORICAL_VALLEY_ENERGY,
    HISTORICAL_VALLEY_SAMPLING,
    TWO_PATHS_ENERGY,
    VALLEY_ENERGY,
    Corridor,
    TwoPaths,
    straight_paths,
)
from thalweg.planner.energy.toys.recipes import NO_CONTEXT
from thalweg.planner.energy.train import fit_points
from thalweg.planner.run.run import Run
from thalweg.scripts.cli import UsageError

_SAMPLES = 100  # per query
_SHORTEST_VALLEY = 0.3  # between the two points of a pair; the square has side 1
_LONGEST_LINK = 0.25  # of the shortest way: what a chain of samples may be linked by
_FAITHFUL = SamplingConfig(temperature=1.0, proposals=1_024)
_LANGEVIN = SamplingConfig(method="langevin", langevin_steps=60, langevin_rate=5e-4)
_MIXTURE = ((0.5, (-1.5, 0.0), 0.4), (0.3, (1.0, 1.0), 0.3), (0.2, (0.5, -1.5), 0.6))  # share, mean, standard deviation


def between_quality(trained: Run, num_pairs: int, on_pair: Callable[[], None]) -> dict[str, dict[str, list[float]]]:
    """Of a run's energy model, per pair of env seeds 0, 1, ... in the farther half of pairs: what is drawn, ours and by Langevin.

    Links are measured on the map, so that it is the samples that are judged and not the distances.
    """
    from thalweg.planner.data.points import resample_by_arc_length

    sampler: Any = trained.sampler("energy")
    between: BetweenModel = sampler.model
    env = trained.make_env(difficulty=0.5)
    world: Any = env.unwrapped
    if not hasattr(world, "shortest_route"):
        raise UsageError(f"--run {trained.folder}: {trained.env} does not know its shortest ways; train a PointMass env")
    rng = np.random.default_rng(0)
    names = ("milliseconds", "line coverage", "detour", "saddle")
    values: dict[str, dict[str, list[float]]] = {name: {"ours": [], "peer": []} for name in names}
    for seed in range(num_pairs):
        observation, _ = env.reset(seed=seed)
        start, goal = observation["achieved_goal"], observation["desired_goal"]
        route = world.shortest_route(start, goal)
        for who, config in (("ours", SamplingConfig()), ("peer", _LANGEVIN)):
            began = time.perf_counter()
            samples = between.sample(start, goal, _SAMPLES, config, rng)
            values["milliseconds"][who].append(1e3 * (time.perf_counter() - began))
            values["line coverage"][who].append(metrics.line_coverage(samples, route))
            values["detour"][who].append(_detour(world, start, samples, goal))
        energies = between.path_energies(resample_by_arc_length(route, 101), start, goal, rng)
        values["saddle"]["ours"].append(float(metrics.saddle(energies)))
        on_pair()
    env.close()
    return values


def _detour(world: Any, start: Any, samples: Any, goal: Any) -> float:
    points = np.concatenate([start[None], samples, goal[None]]).astype(np.float64)
    here, there = (index.ravel() for index in np.indices((len(points), len(points))))
    costs = world.shortest_length(points[here], points[there]).reshape(len(points), -1)
    optimal = float(world.shortest_length(points[:1], points[-1:])[0])
    return metrics.detour(costs, _LONGEST_LINK * optimal, optimal)


def valley_quality(recipe: str, seed: int, num_pairs: int, on_step: Callable[[], None]) -> dict[str, float]:
    """Straight ways, driven slow, fast and slow: the energy along the line between two points, and what is drawn there.

    Recipes: `historical` (hinge loss, positives by time, plain descent), `by time` (ours, but for the positives), `ours`.
    """
    rng = np.random.default_rng(seed)
    paths = straight_paths(10_000, recipe != "ours", rng)
    config = HISTORICAL_VALLEY_ENERGY if recipe == "historical" else VALLEY_ENERGY
    sampling = HISTORICAL_VALLEY_SAMPLING if recipe == "historical" else SamplingConfig()
    weights = np.ones(len(paths), np.float32)
    between = BetweenModel.fit(paths, weights, paths.reshape(-1, 2), config, seed, lambda step, loss: on_step())
    saddles: list[float] = []
    coverages, detours = [], []
    while len(saddles) < num_pairs:
        start, goal = rng.random((2, 2)).astype(np.float32)
        if (length := float(np.linalg.norm(goal - start))) < _SHORTEST_VALLEY:
            continue
        line = start + np.linspace(0, 1, 101, dtype=np.float32)[:, None] * (goal - start)
        saddles.append(float(metrics.saddle(between.path_energies(line, start, goal, rng))))
        samples = between.sample(start, goal, _SAMPLES, sampling, rng)
        coverages.append(metrics.line_coverage(samples, line[[0, -1]]))
        points = np.concatenate([start[None], samples, goal[None]])
        costs = np.linalg.norm(points[:, None] - points, axis=-1)
        detours.append(metrics.detour(costs, _LONGEST_LINK * length, length))
    connected = metrics.connected_share(np.array(detours))
    return {"saddle": float(np.mean(saddles)), "coverage": float(np.mean(coverages)), "connected": connected}


def mixture_error(loss: str, seed: int) -> float:
    """Mean square error [nats^2] of -E - log Z against the log-density of a known mixture of normals, on 5,000 fresh samples."""
    rng = np.random.default_rng(seed)
    proposal = ProposalConfig(box=0.35, kernels=0.65, learned=0.0)
    config = EnergyConfig(
        loss=loss,  # type: ignore[arg-type]
        noise=0.0,
        train_steps=4_000,
        num_negatives=256,
        proposal=proposal,
    )
    model = fit_points(_mixture_sample(20_000, rng), None, None, config, seed)
    fresh = _mixture_sample(5_000, rng)
    per_unit = np.log((model.high - model.low).numpy() / 2).sum()  # log Z is of a density per visited half-range
    learned = -model.energies(fresh, NO_CONTEXT)[0] - model.log_partition(NO_CONTEXT, rng, 50_000)[0] - per_unit
    return float(np.square(learned - _mixture_log_density(fresh)).mean())


def _mixture_sample(count: int, rng: np.random.Generator) -> Any:
    shares, means, widths = (np.array(part) for part in zip(*_MIXTURE, strict=True))
    part = rng.choice(len(shares), size=count, p=shares)
    return (means[part] + widths[part, None] * rng.standard_normal((count, 2))).astype(np.float32)


def _mixture_log_density(points: Any) -> Any:
    shares, means, widths = (np.array(part) for part in zip(*_MIXTURE, strict=True))
    squares = np.square(points[:, None] - means).sum(axis=2) / (2 * widths**2)
    return np.logaddexp.reduce(np.log(shares / (2 * np.pi * widths**2)) - squares, axis=1)


def corridor_coverage(size: int, seed: int, on_step: Callable[[], None]) -> dict[str, float]:
    """k-NN coverage of what lies between ten pairs of ends, 1,000 points each: ours, and of true points by other true points."""
    rng = np.random.default_rng(seed)
    corridor = Corridor(size)
    paths = corridor.paths(*corridor.ends(20_000, rng), rng)
    visited = paths.reshape(-1, size)
    weights = np.ones(len(paths), np.float32)
    began = time.perf_counter()
    between = BetweenModel.fit(paths, weights, visited, CORRIDOR_ENERGY, seed, lambda step, loss: on_step())
    seconds = time.perf_counter() - began
    noise = CORRIDOR_ENERGY.noise * np.ptp(visited, axis=0)  # the model learns the way smeared by it
    covered: dict[str, list[float]] = {"ours": [], "truth": []}
    for along, offsets in zip(*corridor.ends(10, rng), strict=True):
        real, again = (
            corridor.between(along, offsets, 1_000, rng) + noise * rng.standard_normal((1_000, size)) for _ in range(2)
        )
        start, goal = corridor.paths(along[None], offsets[None], rng)[0, [0, -1]]
        drawn = between.sample_paths(start, goal, 4, 250, _FAITHFUL, rng).reshape(-1, size)
        covered["ours"].append(metrics.coverage(real, drawn))
        covered["truth"].append(metrics.coverage(real, again))
    return {name: float(np.mean(values)) for name, values in covered.items()} | {"seconds": seconds}


def two_paths(latents: int, seed: int, on_step: Callable[[], None]) -> dict[str, Any]:
    """What is drawn between the two sides of a disc when there is room for so many kinds of way: 400 ways of 25 points."""
    from dataclasses import replace

    from thalweg.planner.data.coverage import Coverage

    rng = np.random.default_rng(seed)
    world = TwoPaths()
    paths = world.paths(10_000, rng)
    visited = paths.reshape(-1, 2)
    config = replace(TWO_PATHS_ENERGY, latents=latents)
    weights = np.ones(len(paths), np.float32)
    between = BetweenModel.fit(paths, weights, visited, config, seed, lambda step, loss: on_step())
    ends = world.paths(40, rng)[:, [0, -1]]
    ways = np.concatenate([between.sample_paths(start, goal, 100, 25, _FAITHFUL, rng) for start, goal in ends])  # (4000, 25, 2)
    above = ways[:, 8:17, 1] > 0  # near the ends the side cannot be told
    open_points = ways[Coverage(visited).contains(ways, slack=LINE_SLACK)][:10_000]
    return {
        "share_error": abs(float(above.mean()) - float((paths[:, 16, 1] > 0).mean())),
        "one_side": float((above.all(axis=1) | ~above.any(axis=1)).mean()),
        "inside": int(world.inside(open_points).sum()),
        "gated": len(open_points),
        "ways": ways[:12],
    }
