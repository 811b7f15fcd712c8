"""Benchmarks: our figure, the peer's, and their ratio, measured in turn in one run.

Example: python -m scripts.bench envs --out runs/bench
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any, Union

import tyro

from thalweg.scripts.bench.ablation import AblationOptions, bench_ablation
from thalweg.scripts.bench.common import BenchOptions, check_options
from thalweg.scripts.bench.drive import DriveOptions, bench_drive
from thalweg.scripts.bench.energy import (
    CorridorOptions,
    EnergyOptions,
    MixtureOptions,
    TwoPathsOptions,
    ValleyOptions,
    bench_corridor,
    bench_energy,
    bench_mixture,
    bench_two_paths,
    bench_valley,
)
from thalweg.scripts.bench.envs import EnvsOptions, TruthOptions, bench_envs, bench_truth
from thalweg.scripts.bench.graph import GraphOptions, bench_graph
from thalweg.scripts.bench.planners import PlannersOptions, bench_planners
from thalweg.scripts.bench.plans import PlanOptions, bench_plan
from thalweg.scripts.bench.training import (
    AgentOptions,
    ParallelOptions,
    SolveOptions,
    bench_agent,
    bench_parallel,
    bench_solve,
)
from thalweg.scripts.bench.trajectory import TrajectoryOptions, bench_trajectory
from thalweg.scripts.cli import make_folder, run

Benchmark = Callable[[Any], Iterable[dict[str, Any]]]

BENCHES: dict[str, tuple[type[BenchOptions], Benchmark]] = {
    "envs": (EnvsOptions, bench_envs),
    "truth": (TruthOptions, bench_truth),
    "agent": (AgentOptions, bench_agent),
    "solve": (SolveOptions, bench_solve),
    "parallel": (ParallelOptions, bench_parallel),
    "energy": (EnergyOptions, bench_energy),
    "valley": (ValleyOptions, bench_valley),
    "mixture": (MixtureOptions, bench_mixture),
    "corridor": (CorridorOptions, bench_corridor),
    "ways": (TwoPathsOptions, bench_two_paths),
    "planners": (PlannersOptions, bench_planners),
    "plan": (PlanOptions, bench_plan),
    "ablation": (AblationOptions, bench_ablation),
    "drive": (DriveOptions, bench_drive),
    "graph": (GraphOptions, bench_graph),
    "trajectory": (TrajectoryOptions, bench_trajectory),
}
SUBCOMMANDS = tuple(BENCHES)
_KINDS = tuple(
    Annotated[kind, tyro.conf.subcommand(name, description=" ".join((measure.__doc__ or "").split()))]
    for name, (kind, measure) in BENCHES.items()
)
Options: Any = Union[_KINDS]  # noqa: UP007 (of a tuple)


def main(options: BenchOptions) -> None:
    name, measure = next((name, own) for name, (kind, own) in BENCHES.items() if kind is type(options))
    check_options(options)
    make_folder(options.out)

    from tqdm import tqdm

    from thalweg.planner.storage import json_to_bytes, replace_file

    figures: list[dict[str, Any]] = []
    for row in measure(options):
        figures.append(row)  # written as they come: what is cut off leaves what it has measured
        replace_file(options.out / "bench.json", json_to_bytes({"bench": name, **_hardware(), "rows": figures}))
        ratio = "" if row["ratio"] is None else f"{row['ratio']:>9.1f} x"
        tqdm.write(f"{row['what']:<32}{_figure(row['ours'])}{_figure(row['peer'])} {row['unit']}{ratio}")
    print(f"ours, peer ({figures[0]['against']}), ratio; {options.out}/bench.json")


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
