"""`scripts.bench envs` and `truth`: env steps and true distances per second."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from thalweg.scripts.bench.common import BenchOptions, make_row
from thalweg.scripts.cli import progress_bar


@dataclass(frozen=True, kw_only=True)
class EnvsOptions(BenchOptions):
    num_envs: int = 1024  # of a batch
    repeats: int = 5  # of each measurement; the median counts


def bench_envs(options: EnvsOptions) -> Iterator[dict[str, Any]]:
    """Env steps per second of one batch, resets included, against gymnasium's loop over the same envs (without any)."""
    import gymnasium as gym
    import numpy as np

    import thalweg.envs  # noqa: F401 (registers ours)

    names = ("PointMass-v0", "PointMassU-v0", "PointMassFourRooms-v0", "PointMassMaze15-v0")
    with progress_bar(len(names), "envs", options.progress) as bar:
        for name in names:
            ours = gym.make_vec(name, num_envs=options.num_envs)
            peer = gym.make_vec(name, num_envs=options.num_envs, vectorization_mode="sync")
            pushes = np.random.default_rng(0).uniform(-1, 1, (50, options.num_envs, 2)).astype(np.float32)
            speeds: dict[str, list[float]] = {"ours": [], "peer": []}
            for _ in range(options.repeats):
                for key, batch, steps in (("ours", ours, 200), ("peer", peer, 10)):
                    batch.reset(seed=0)
                    began = time.perf_counter()
                    for i in range(steps):
                        batch.step(pushes[i % 50])
                    speeds[key].append(options.num_envs * steps / (time.perf_counter() - began))
            peer.close()
            yield make_row(f"{name}, {options.num_envs} envs", "env steps/s", "SyncVectorEnv", speeds)
            bar.update()


@dataclass(frozen=True, kw_only=True)
class TruthOptions(BenchOptions):
    repeats: int = 5  # of each measurement; the median counts


def bench_truth(options: TruthOptions) -> Iterator[dict[str, Any]]:
    """True distances per second, 10,000 pairs at once, against networkx on the whole visibility graph, pair by pair."""
    import networkx as nx
    import numpy as np

    from thalweg.envs.drawings import FAMILIES, long_scale
    from thalweg.envs.walls import WallMap

    names = ("FourRooms", "Galton", "Maze15")
    with progress_bar(len(names), "maps", options.progress) as bar:
        for name in names:
            paths = (world := WallMap(FAMILIES[name], long_scale(FAMILIES[name]) * 0.1)).paths
            starts, goals = (world.sample_free(10_000, np.random.default_rng(seed)) for seed in (0, 1))
            paths.length(starts, goals)  # what the cells may see is found once
            speeds: dict[str, list[float]] = {"ours": [], "peer": []}
            for repeat in range(options.repeats):
                began = time.perf_counter()
                paths.length(starts, goals)
                speeds["ours"].append(len(starts) / (time.perf_counter() - began))
                points = np.vstack([starts[repeat], goals[repeat], paths.corners])
                began = time.perf_counter()
                gaps = np.linalg.norm(points[:, None] - points, axis=-1)
                graph = nx.from_numpy_array(np.array([paths.sees(point, points) for point in points]) * gaps)
                nx.dijkstra_path_length(graph, 0, 1)
                speeds["peer"].append(1 / (time.perf_counter() - began))
            yield make_row(f"{name}, 10,000 pairs", "pairs/s", "networkx", speeds)
            bar.update()
