"""The options of all benchmarks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from thalweg.planner.evaluation.setting import Follow


@dataclass(frozen=True, kw_only=True)
class Options:
    name: tyro.conf.Positional[str]  # what to measure; a wrong name is answered with all there are
    out: Path  # for bench.json
    num_envs: int = 1024  # of a batch
    repeats: int = 5  # of each measurement; the median counts
    seeds: int = 5  # of `solve`, `parallel`, `valley`, `mixture`, `corridor`, `ways` and `trajectory`: trainings of each
    limit: float = 300.0  # of `solve`: seconds after which a training is given up, and counts so long
    run: Path | None = None  # of `energy`, `plan` and `graph`: a folder that scripts.train wrote
    runs: tuple[Path, ...] = ()  # of `planners`, `ablation` and `drive`: such folders
    pairs: int = 500  # of `energy` and `plan`: of start and goal
    episodes: int = 100  # of `planners`, `ablation` and `drive`: env seeds
    nodes: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)  # of `planners`: of each graph
    follow: Follow = "route"  # of `planners`: how plans are driven; `waypoints` leaves all to the sampled nodes
    workers: int = 1  # of `planners`: processes
    progress: bool = True
