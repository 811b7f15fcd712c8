"""Benchmarks: our figure, the peer's, and their ratio, measured in turn in one run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from thalweg.scripts.bench.ablation import bench_ablation
from thalweg.scripts.bench.common import make_row, tick
from thalweg.scripts.bench.drive import bench_drive
from thalweg.scripts.bench.energy import bench_corridor, bench_energy, bench_mixture, bench_valley, bench_ways
from thalweg.scripts.bench.graph import bench_graph
from thalweg.scripts.bench.options import Options
from thalweg.scripts.bench.planners import bench_plan, bench_planners
from thalweg.scripts.bench.trajectory import bench_trajectory
from thalweg.scripts.cli import UsageError, make_folder, run


def main(options: Options) -> None:
    if options.name not in BENCHES:
        raise UsageError(f"there is no benchmark {options.name!r}; choose from {', '.join(BENCHES)}")
    for name in ("num_envs", "repeats", "seeds", "pairs", "episodes", "workers"):
        if getattr(options, name) < 1:
            raise UsageError(f"--{name.replace('_', '-')} must be at least 1, got {getattr(options, name)}")
    if not options.nodes or min(options.nodes) < 1:
        raise UsageError(f"--nodes must be numbers of at least 1, got {options.nodes}")

    if len({folder.resolve().name for folder in options.runs}) < len(options.runs):
        raise UsageError("--runs must have names that differ: rows and pictures are named after their folders")

    from tqdm import tqdm

    from thalweg.planner.storage import json_to_bytes, replace_file

    make_folder(options.out)
    figures: list[dict[str, Any]] = []
    for row in BENCHES[options.name](options):
        figures.append(row)  # written as they come: what is cut off leaves what it has measured
        replace_file(options.out / "bench.json", json_to_bytes({"bench": options.name, **_hardware(), "rows": figures}))
        ratio = "" if row["ratio"] is None else f"{row['ratio']:>9.1f} x"
        tqdm.write(f"{row['what']:<32}{_figure(row['ours'])}{_figure(row['peer'])} {row['unit']}{ratio}")
    print(f"ours, peer ({figures[0]['against']}), ratio; {options.out}/bench.json")


def bench_envs(options: Options) -> Iterator[dict[str, Any]]:
    """Env steps per second of one batch, resets included, against gymnasium's loop over the same envs (without any)."""
    import gymnasium as gym
    import numpy as np
    from tqdm import tqdm

    import thalweg.envs  # noqa: F401 (registers ours)

    names = ("PointMass-v0", "PointMassU-v0", "PointMassFourRooms-v0", "PointMassMaze15-v0")
    for name in tqdm(names, disable=not options.progress):
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


def bench_truth(options: Options) -> Iterator[dict[str, Any]]:
    """True distances per second, 10,000 pairs at once, against networkx on the whole visibility graph, pair by pair."""
    import networkx as nx
    import numpy as np
    from tqdm import tqdm

    from thalweg.envs.drawings import FAMILIES, long_scale
    from thalweg.envs.walls import WallMap

    for name in tqdm(("FourRooms", "Galton", "Maze15"), disable=not options.progress):
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


def bench_agent(options: Options) -> Iterator[dict[str, Any]]:
    """Training steps, hindsight batches and distance matrices per second, against stable-baselines3's SAC and HER; updates
    on a GPU, where there is one."""
    import torch

    from thalweg.scripts.bench import agent as agent

    for num_envs in (1, 16):
        ours, rounded, peer = agent.training_speed(num_envs, options.repeats)
        for precision, own in (("float32", ours), ("bfloat16", rounded)):
            what = f"training, {num_envs} env{'s' * (num_envs > 1)}, {precision}"
            yield make_row(what, "env steps/s", "stock SAC + HER", {"ours": own, "peer": peer})
    alone, at_once, peer = agent.sampling_speed(options.repeats)
    for how, own in (("", alone), (", 16 at once", at_once)):
        yield make_row(f"batches of 256 from 1,000,000{how}", "batches/s", "stock HER", {"ours": own, "peer": peer})
    yield make_row("1,000 x 1,000 distances", "matrices/s", "two-critic Q", agent.pairwise_speed(options.repeats))
    if torch.cuda.is_available():
        yield make_row("updates on the GPU, 256-256", "updates/s", "operation by operation", agent.gpu_speed(options.repeats))


def bench_solve(options: Options) -> Iterator[dict[str, Any]]:
    """Seconds of training until 95 % of the goals are reached, against stable-baselines3's SAC + HER at RL Zoo's settings."""
    import torch
    from tqdm import tqdm

    from thalweg.scripts.bench.agent import time_to_solve

    torch.set_num_threads(1)
    tasks: dict[str, float | None] = {"PointMass-v0": None, "PointMassFourRooms-v0": 20.0}
    with tqdm(total=2 * len(tasks) * options.seeds, disable=not options.progress) as bar:
        for env, within in tasks.items():
            seconds = time_to_solve(env, within, options.seeds, options.limit, lambda: tick(bar))
            row = make_row(env, "s to 95 %", "stock SAC + HER", seconds)
            yield {**row, "ratio": 1 / row["ratio"], "within": within, "limit": options.limit}


def bench_parallel(options: Options) -> Iterator[dict[str, Any]]:
    """The success of an agent that learns from 16 envs at once, against one that learns from a single env, as they learn."""
    import numpy as np
    import torch
    from scipy.stats import bootstrap
    from tqdm import tqdm

    from thalweg.scripts.bench.agent import success_while_learning

    torch.set_num_threads(1)
    with tqdm(total=2 * options.seeds, disable=not options.progress) as bar:
        many, one = (success_while_learning(count, options.seeds, lambda: tick(bar)) for count in (16, 1))
    for steps in many:
        both = np.array(many[steps]), np.array(one[steps])
        # percentiles, since all trainings may succeed alike
        difference = bootstrap(both, lambda a, b: a.mean() - b.mean(), vectorized=False, method="percentile")
        interval = [float(end) for end in difference.confidence_interval]
        row = make_row(f"after {steps:,} env steps", "success", "one env", {"ours": many[steps], "peer": one[steps]})
        yield {**row, "difference_interval": interval}


BENCHES: dict[str, Callable[[Options], Iterable[dict[str, Any]]]] = {
    "envs": bench_envs,
    "truth": bench_truth,
    "agent": bench_agent,
    "solve": bench_solve,
    "parallel": bench_parallel,
    "energy": bench_energy,
    "valley": bench_valley,
    "mixture": bench_mixture,
    "corridor": bench_corridor,
    "ways": bench_ways,
    "planners": bench_planners,
    "plan": bench_plan,
    "ablation": bench_ablation,
    "drive": bench_drive,
    "graph": bench_graph,
    "trajectory": bench_trajectory,
}


def _figure(value: float | None) -> str:
    if value is None:
        return f"{'-':>14}"
    return f"{value:>14,.0f}" if value >= 100 else f"{value:>14.4g}"


def _hardware() -> dict[str, Any]:
    import os
    import platform

    return {"machine": platform.machine(), "cpus": os.cpu_count(), "python": platform.python_version()}


if __name__ == "__main__":
    run(main, Options)
