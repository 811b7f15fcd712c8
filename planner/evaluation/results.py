"""Rows of episodes: written as they come, read back, and summarised with intervals."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.floating]

_BINS = 4  # of distance, with equally many env seeds in each


@dataclass(frozen=True, kw_only=True)
class EpisodeRow:
    """One line of results.csv."""

    env: str
    planner: str
    seed: int
    success: bool
    steps: int
    path_length: float  # travelled [goal units]
    oracle_length: float | None  # of the shortest way from start to goal; None where the env does not know it
    detour: float | None  # path_length over the shortest way between the two places it joins; None without success or oracle
    wall_contacts: int | None  # env steps in which a wall stopped the motion; None where the env does not say
    replans: int
    failed_plans: int  # searches that found no path: the agent headed for the goal itself
    plan_ms: float | None  # median over the episode's searches; None without one
    nodes: int


class ResultsFile:
    """A results.csv that rows are added to one by one: what is written stays, whatever happens next."""

    def __init__(self, path: Path) -> None:
        """ValueError if the file is there and holds something else; a line that was cut off while it was written is dropped."""
        self.path = path
        self.rows = _read(path) if path.exists() else []
        whole = path.with_suffix(".tmp")  # so that a kill while it is written loses nothing
        whole.write_text(rows_to_csv(self.rows))
        whole.replace(path)
        self._known = {(row.planner, row.seed) for row in self.rows}

    def holds(self, planner: str, seed: int) -> bool:
        return (planner, seed) in self._known

    def add(self, rows: Iterable[EpisodeRow]) -> list[EpisodeRow]:
        """Append those that are not there yet, and return them as they will be read: with four decimals."""
        lines = [_line(row) for row in rows if not self.holds(row.planner, row.seed)]
        with self.path.open("a") as stream:
            stream.writelines(lines)
        fresh = _parse(lines)
        self.rows += fresh
        self._known |= {(row.planner, row.seed) for row in fresh}
        return fresh


def rows_to_csv(rows: Sequence[EpisodeRow]) -> str:
    """Rows -> CSV text with a header; unknown values are empty."""
    return ",".join(field.name for field in fields(EpisodeRow)) + "\n" + "".join(_line(row) for row in rows)


def _line(row: EpisodeRow) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow([_cell(value) for value in asdict(row).values()])
    return line.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _read(path: Path) -> list[EpisodeRow]:
    lines = path.read_text().splitlines(keepends=True)
    if not lines or lines[0] != rows_to_csv([]):
        raise ValueError(f"{path} is no results.csv of this version; name another folder")
    try:
        return _parse([line for line in lines[1:] if line.endswith("\n")])
    except (TypeError, ValueError):
        raise ValueError(f"{path} holds a line that is no episode; mend it or name another folder") from None


def _parse(lines: Sequence[str]) -> list[EpisodeRow]:
    return [_row(cells) for cells in csv.DictReader(lines, fieldnames=[field.name for field in fields(EpisodeRow)])]


def _row(cells: dict[str, str]) -> EpisodeRow:
    def number(name: str) -> float | None:
        return float(cells[name]) if cells[name] else None

    return EpisodeRow(
        env=cells["env"],
        planner=cells["planner"],
        seed=int(cells["seed"]),
        success=bool(int(cells["success"])),
        steps=int(cells["steps"]),
        path_length=float(cells["path_length"]),
        oracle_length=number("oracle_length"),
        detour=number("detour"),
        wall_contacts=int(cells["wall_contacts"]) if cells["wall_contacts"] else None,
        replans=int(cells["replans"]),
        failed_plans=int(cells["failed_plans"]),
        plan_ms=number("plan_ms"),
        nodes=int(cells["nodes"]),
    )


def summarise(rows: Sequence[EpisodeRow]) -> dict[str, dict[str, Any]]:
    """Rows -> planner -> figures. Intervals are 95 % bootstrap percentiles over seeds (scipy, fixed seed).

    `steps_iqm` is the mean of the middle half over *all* episodes; a failed one counts with the steps it was given.
    `detour_mean` is over the successful episodes; `spl` is success weighted by path length (arXiv:1807.06757), 1 for shortest
    ways to all goals. `minus` holds, per other planner, the differences in success and in steps,
    paired by seed. `by_distance` is over env seeds in order of the true distance, equally many per bin.
    """
    by_planner: dict[str, dict[int, EpisodeRow]] = {}
    for row in rows:
        by_planner.setdefault(row.planner, {})[row.seed] = row
    return {
        name: _figures(list(own.values()))
        | {"minus": {other: _minus(own, its) for other, its in by_planner.items() if other != name and own.keys() == its.keys()}}
        for name, own in by_planner.items()
    }


def _figures(rows: list[EpisodeRow]) -> dict[str, Any]:
    success = np.array([row.success for row in rows], dtype=float)
    steps = np.array([row.steps for row in rows], dtype=float)
    shares = [float(row.success) / max(row.detour or 1.0, 1.0) for row in rows]
    measured = any(row.oracle_length is not None for row in rows)
    return {
        "episodes": len(rows),
        "success": float(success.mean()),
        "success_ci": interval(success),
        "steps_iqm": interquartile_mean(steps),
        "steps_iqm_ci": interval(steps, interquartile_mean),
        "spl": float(np.mean(shares)) if measured else None,
        "spl_ci": interval(np.array(shares)) if measured else None,
        "detour_mean": _mean([row.detour for row in rows]),
        "wall_contacts_mean": _mean([row.wall_contacts for row in rows]),
        "replans_mean": _mean([row.replans for row in rows]),
        "failed_plans_mean": _mean([row.failed_plans for row in rows]),
        "plan_ms_median": _quantile([row.plan_ms for row in rows], 0.5),
        "plan_ms_p99": _quantile([row.plan_ms for row in rows], 0.99),
        "nodes_max": max(row.nodes for row in rows),
        "by_distance": _by_distance(rows),
    }


def _minus(own: dict[int, EpisodeRow], its: dict[int, EpisodeRow]) -> dict[str, Any]:
    success = np.array([float(own[seed].success) - float(its[seed].success) for seed in own])
    steps = np.array([float(own[seed].steps - its[seed].steps) for seed in own])
    return {
        "success": float(success.mean()),
        "success_ci": interval(success),
        "steps": float(steps.mean()),
        "steps_ci": interval(steps),
    }


def _by_distance(rows: list[EpisodeRow]) -> list[dict[str, Any]]:
    known = sorted((row for row in rows if row.oracle_length is not None), key=lambda row: (row.oracle_length, row.seed))
    parts = np.array_split(np.arange(len(known)), min(_BINS, len(known)) or 1)
    return [
        {
            "from": known[part[0]].oracle_length,
            "to": known[part[-1]].oracle_length,
            "episodes": len(part),
            "success": float(np.mean([known[i].success for i in part])),
        }
        for part in parts
        if len(part)
    ]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _quantile(values: Sequence[float | None], share: float) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.quantile(known, share)) if known else None


def interquartile_mean(values: Array, axis: int = -1) -> Any:
    """(..., N) -> (...): the mean of the middle half."""
    means = stats.trim_mean(values, 0.25, axis=axis)
    return float(means) if np.ndim(means) == 0 else means


def interval(values: Array, statistic: Any = np.mean) -> list[float]:
    """(N,) -> [low, high]: 95 % bootstrap percentile interval of a statistic; a single point when all values agree."""
    if np.ptp(values) == 0:
        return [float(values[0])] * 2
    ends = stats.bootstrap(
        (values,), statistic, method="percentile", n_resamples=5_000, rng=np.random.default_rng(0)
    ).confidence_interval
    return [float(ends.low), float(ends.high)]
