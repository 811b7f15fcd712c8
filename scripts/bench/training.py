"""`scripts.bench agent`, `solve` and `parallel`: our agent against stable-baselines3's own, by what `agent_trials` measures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from thalweg.scripts.bench.common import BenchOptions, SeedsOptions, faster, make_row
from thalweg.scripts.cli import progress_bar


@dataclass(frozen=True, kw_only=True)
class AgentOptions(BenchOptions):
    repeats: int = 5  # of each measurement; the median counts


def bench_agent(options: AgentOptions) -> Iterator[dict[str, Any]]:
    """Training steps, hindsight batches and distance matrices per second, against stable-baselines3's SAC and HER; updates
    on a GPU, where there is one."""
    import torch

    from thalweg.scripts.bench import agent_trials as agent

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


@dataclass(frozen=True, kw_only=True)
class SolveOptions(SeedsOptions):
    limit: float = 300.0  # seconds after which a training is given up, and counts so long


def bench_solve(options: SolveOptions) -> Iterator[dict[str, Any]]:
    """Seconds of training until 95 % of the goals are reached, against stable-baselines3's SAC + HER at RL Zoo's settings."""
    import torch

    from thalweg.scripts.bench.agent_trials import time_to_solve

    torch.set_num_threads(1)
    tasks: dict[str, float | None] = {"PointMass-v0": None, "PointMassFourRooms-v0": 20.0}
    with progress_bar(2 * len(tasks) * options.seeds, "trainings", options.progress) as bar:
        for env, within in tasks.items():
            seconds = time_to_solve(env, within, options.seeds, options.limit, bar.update)
            row = make_row(env, "s to 95 %", "stock SAC + HER", seconds)
            yield {**faster(row), "within": within, "limit": options.limit}


@dataclass(frozen=True, kw_only=True)
class ParallelOptions(SeedsOptions):
    pass


def bench_parallel(options: ParallelOptions) -> Iterator[dict[str, Any]]:
    """The success of an agent that learns from 16 envs at once, against one that learns from a single env, as they learn."""
    import numpy as np
    import torch
    from scipy.stats import bootstrap

    from thalweg.scripts.bench.agent_trials import success_while_learning

    torch.set_num_threads(1)
    with progress_bar(2 * options.seeds, "trainings", options.progress) as bar:
        many, one = (success_while_learning(count, options.seeds, bar.update) for count in (16, 1))
    for steps in many:
        both = np.array(many[steps]), np.array(one[steps])
        # percentiles, since all trainings may succeed alike
        difference = bootstrap(both, lambda a, b: a.mean() - b.mean(), vectorized=False, method="percentile")
        interval = [float(end) for end in difference.confidence_interval]
        row = make_row(f"after {steps:,} env steps", "success", "one env", {"ours": many[steps], "peer": one[steps]})
        yield {**row, "difference_interval": interval}
