"""`scripts.bench plan`: how long a plan takes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from thalweg.scripts.bench.common import RunOptions, faster, make_row
from thalweg.scripts.cli import progress_bar

_REPLAY_NODES = 1_000  # of the graph that SoRB builds


@dataclass(frozen=True, kw_only=True)
class PlanOptions(RunOptions):
    pairs: int = 500  # of start and goal


def bench_plan(options: PlanOptions) -> list[dict[str, Any]]:
    """Milliseconds of a whole plan (samples, distances, search), against a replay graph of 1,000 nodes built for each query."""
    import numpy as np
    import torch

    from thalweg.runs import load

    torch.set_num_threads(1)
    trained = load(options.run, progress=options.progress)
    planners = {"ours": trained.planner("energy", 100), "peer": trained.planner("replay", _REPLAY_NODES)}
    env = trained.make_env(difficulty=0.5)
    rng = np.random.default_rng(0)
    times: dict[str, list[float]] = {"ours": [], "peer": []}
    observation, _ = env.reset(seed=options.pairs)
    for planner in planners.values():  # a process' first plan takes some 30 ms more, while torch sets up
        planner.plan(observation["observation"], observation["desired_goal"], rng)
    with progress_bar(options.pairs, "plans", options.progress) as bar:
        for seed in range(options.pairs):
            observation, _ = env.reset(seed=seed)
            for who, planner in planners.items():
                began = time.perf_counter()
                planner.plan(observation["observation"], observation["desired_goal"], rng)
                times[who].append(1e3 * (time.perf_counter() - began))
            bar.update()
    env.close()
    row = make_row("plan, median", "ms", f"{_REPLAY_NODES} replay nodes", times)
    last = {who: float(np.quantile(values, 0.99)) for who, values in times.items()}
    worst = {"what": "plan, 99th percentile", "unit": "ms", **last, "against": row["against"], "repeats": {}}
    return [faster(row), {**worst, "ratio": last["peer"] / last["ours"]}]
