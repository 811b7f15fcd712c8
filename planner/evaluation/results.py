"""Rows of episodes: written as they come, read back, and summarised with intervals."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from scipy import stats

from ..storage import append

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


def folder_lock(folder: Path) -> FileLock:
    """Held while what an evaluation writes in a folder is read or written: other commands may be writing there, too.

    The same object for the same folder, so that who holds it may take it again. A process that dies lets go of it.
    """
    return FileLock(folder.resolve() / ".evaluation.lock", is_singleton=True)


class ResultsFile:
    """A results.csv that rows are added to one by one: what is written stays, whatever happens next.

    Several processes may add to one file: each reads under the lock what the others have added before it adds anything.
    """

    def __init__(self, path: Path) -> None:
        """ValueError if the file is there and holds something else.

        A line that was cut off while it was written is dropped, and so is the second row of one episode.
        """
        self.path = path
        self.rows: list[EpisodeRow] = []
        self._lock = folder_lock(path.parent)
        with self._lock:
            self._catch_up()

    def holds(self, planner: str, seed: int) -> bool:
        return (planner, seed) in self._known

    def add(self, rows: Iterable[EpisodeRow]) -> list[EpisodeRow]:
        """Append those that are not there yet, and return them as they will be read: with four decimals."""
        with self._lock:
            self._catch_up()
            new = {(row.planner, row.seed): row for row in rows if not self.holds(row.planner, row.seed)}
            lines = [_line(row) for row in new.values()]
            append(self.path, "".join(lines).encode())
        fresh = _parse(lines)
        self.rows += fresh
        self._known |= new.keys()
        return fresh

    def reread(self) -> list[EpisodeRow]:
        """All rows that are there now."""
        with self._lock:
            self._catch_up()
        return list(self.rows)

    def _catch_up(self) -> None:
        """Read the file as it is now, and mend it if it is not as it should be."""
        text = self.path.read_text() if self.path.exists() else None
        once: dict[tuple[str, int], EpisodeRow] = {}
        for row in _read(self.path, text) if text is not None else []:
            once.setdefault((row.planner, row.seed), row)
        self.rows, self._known = list(once.values()), set(once)
        if text is None or not text.endswith("\n") or text.count("\n") > len(self.rows) + 1:
            whole = self.path.with_suffix(".tmp")  # so that a kill while it is written loses nothing
            whole.write_text(rows_to_csv(self.rows))
            whole.replace(self.path)


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


def _read(path: Path, text: str) -> list[EpisodeRow]:
    lines = text.splitlines(keepends=True)
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
    """Rows -> planner -> figures. 95 % intervals: of success Wilson's, of all else bootstrap percentiles over seeds (fixed seed).

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
        "success_ci": wilson(int(success.sum()), len(rows)),
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
            "success_ci": wilson(sum(known[i].success for i in part), len(part)),
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


def wilson(successes: int, trials: int) -> list[float]:
    """-> [low, high]: Wilson's 95 % interval of a share (1927); it does not shrink to a point where all succeed, or none."""
    ends = stats.binomtest(successes, trials).proportion_ci(confidence_level=0.95, method="wilson")
    return [float(ends.low), float(ends.high)]


def interval(values: Array, statistic: Any = np.mean) -> list[float]:
    """(N,) -> [low, high]: 95 % bootstrap percentile interval of a statistic; a single point when all values agree."""
    if np.ptp(values) == 0:
        return [float(values[0])] * 2
    ends = stats.bootstrap(
        (values,), statistic, method="percentile", n_resamples=5_000, rng=np.random.default_rng(0)
    ).confidence_interval
    return [float(ends.low), float(ends.high)]
