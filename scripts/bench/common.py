"""What the benchmarks share: where they write, rows, and what is asked of runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thalweg.scripts.cli import MOST_NODES, MOST_WORKERS, UsageError, check_ranges

_RANGES: dict[str, tuple[float, float]] = {
    "num_envs": (1, 65_536),
    "repeats": (1, 10_000),
    "seeds": (1, 10_000),
    "limit": (1, 1e7),
    "pairs": (1, 1_000_000),
    "episodes": (1, 1_000_000),
    "nodes": (1, MOST_NODES),
    "workers": (1, MOST_WORKERS),
}


@dataclass(frozen=True, kw_only=True)
class BenchOptions:
    """Of every benchmark."""

    out: Path  # for bench.json
    progress: bool = True


@dataclass(frozen=True, kw_only=True)
class SeedsOptions(BenchOptions):
    seeds: int = 5  # trainings of each; the median counts


@dataclass(frozen=True, kw_only=True)
class RunOptions(BenchOptions):
    run: Path  # a folder that thalweg train wrote


@dataclass(frozen=True, kw_only=True)
class RunsOptions(BenchOptions):
    runs: tuple[Path, ...]  # folders that thalweg train wrote
    episodes: int = 100  # env seeds


def check_options(options: BenchOptions) -> None:
    """UsageError for numbers out of range, and for runs that are none or cannot be told apart."""
    check_ranges(options, **{name: ends for name, ends in _RANGES.items() if hasattr(options, name)})
    if not getattr(options, "nodes", True):
        raise UsageError("--nodes names no number; give at least one")
    if isinstance(options, RunsOptions):
        if not options.runs:
            raise UsageError("--runs names no folder; name some that thalweg train wrote")
        if len({folder.resolve().name for folder in options.runs}) < len(options.runs):
            raise UsageError("--runs must have names that differ: rows and pictures are named after their folders")


def make_row(what: str, unit: str, against: str, values: dict[str, list[float]]) -> dict[str, Any]:
    import numpy as np

    ours, peer = float(np.median(values["ours"])), float(np.median(values["peer"]))
    ratio = ours / peer if peer else None
    return {"what": what, "unit": unit, "ours": ours, "peer": peer, "ratio": ratio, "against": against, "repeats": values}


def faster(row: dict[str, Any]) -> dict[str, Any]:
    """Of times the ratio says how many times ours is the shorter one."""
    return {**row, "ratio": 1 / row["ratio"]}


def success_of(policy: Any, env: str, seeds: Sequence[int]) -> float:
    """Share of the env seeds whose goal the policy reaches."""
    import numpy as np

    from thalweg.envs.loading import env_maker
    from thalweg.planner.evaluation.evaluate import evaluate

    return float(np.mean([row.success for row in evaluate(policy, env_maker(env), seeds, env, "none")]))
