"""Planners on env seeds: what is there already is kept, what is missing is run, and all of it is of one setting."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..errors import BadInput
from ..goal_space import GoalSpace
from ..protocols import DistanceModel, GoalPolicy
from ..storage import json_to_bytes, replace_file
from .episodes import Episode
from .evaluate import evaluate
from .results import EpisodeRow, ResultsFile, folder_lock, summarise
from .setting import Setting, with_defaults
from .table import Table, remark_on_defaults, remark_on_unreachable, remarks_on_planning

EPISODES_AT_ONCE = (
    25  # episodes side by side; the same ones in a second call, since a batch's size shows in the last bits of its actions
)


class OtherResultsError(BadInput):
    """A folder holds results that new ones must not be mixed with; the message says which, and what to do."""


class EvaluatedRun(Protocol):
    """What is asked of a run. A plain value where the episodes are run by other processes."""

    @property
    def env(self) -> str:
        """The env's name, as it stands in the rows."""
        ...

    @property
    def space(self) -> GoalSpace:
        """The metric of its goals."""
        ...

    @property
    def usual_distance(self) -> str:
        """The name of the distance that its plans are made of, if nothing else is asked for."""
        ...

    @property
    def sure_edge(self) -> float:
        """Goals up to here are pursued without a plan [env steps]."""
        ...

    @property
    def at_once(self) -> int:
        """Episodes that are run side by side: `EPISODES_AT_ONCE`, or 1 where there is but one env."""
        ...

    def policy(self, name: str, setting: Setting) -> GoalPolicy:
        """`none`, the bare agent, or the agent led by a planner."""
        ...

    def distance(self, setting: Setting) -> DistanceModel:
        """The distance that goals are judged by."""
        ...

    def maker(self, setting: Setting) -> Callable[[int], Any]:
        """What makes the env with the setting's options, index by index."""
        ...

    def parts(self, name: str, setting: Setting) -> dict[str, Any]:
        """What the policy is made of, for `evaluation.json`; under `files` the SHA-256 of each file that it was read from."""
        ...


Task = tuple[EvaluatedRun, Setting, str, tuple[int, ...]]  # a planner and the seeds of one chunk


def in_turn(function: Callable[[Task], list[EpisodeRow]], tasks: Sequence[Task]) -> Iterator[tuple[Task, list[EpisodeRow]]]:
    """The tasks in this process, one after the other."""
    for task in tasks:
        yield task, function(task)


def evaluate_planners(
    run: EvaluatedRun,
    planners: Sequence[str],
    seeds: Sequence[int],
    setting: Setting | None = None,
    out: Path | None = None,
    run_tasks: Callable[..., Iterable[tuple[Task, list[EpisodeRow]]]] = in_turn,
    on_rows: Callable[[int], None] = lambda count: None,
) -> Table:
    """Run each planner on each seed: the same agent, the same episodes, figures with intervals.

    What the setting leaves open is chosen (`setting.with_defaults`), and the table says so. With `out`, rows are kept in its
    `results.csv` as they come, those of the same planners and seeds that are there already are not run again, and
    `evaluation.json` and `summary.json` are written beside them; several processes may do so at once. `on_rows` is told how
    many rows are new. OtherResultsError if `out` holds rows of other settings; NotFiniteError at the first number that is not
    finite, of whose episode no row is left.
    """
    setting = setting if setting is not None else Setting()
    setting = replace(setting, distance=setting.distance if setting.distance is not None else run.usual_distance)
    setting, chosen = settled(run, setting)
    for name in planners:
        run.policy(name, setting)  # what has to be learned is, once, and what is wrong shows before anything is run
    folder = None if out is None else EvaluationFolder.open(out, run, setting, planners, chosen)
    kept = [] if folder is None else folder.rows_of(planners, seeds)
    on_rows(len(kept))
    for _, rows in run_tasks(run_chunk, _missing(run, setting, planners, seeds, kept)):
        rows = rows if folder is None else folder.results.add(rows)
        kept += rows
        on_rows(len(rows))
    if folder is not None:
        kept = folder.rows_of(planners, seeds)  # other commands may have run some of them
    order = {name: place for place, name in enumerate(planners)}
    kept.sort(key=lambda row: (order[row.planner], row.seed))
    table = Table(run.env, summarise(kept), kept, _remarks(run, setting, chosen, seeds, kept))
    if folder is not None:
        folder.write_summary(planners)
    return table


def run_chunk(task: Task) -> list[EpisodeRow]:
    """One planner's episodes of one chunk of seeds."""
    run, setting, name, seeds = task
    return evaluate(run.policy(name, setting), run.maker(setting), seeds, run.env, name, space=run.space)


def settled(run: EvaluatedRun, setting: Setting) -> tuple[Setting, list[str]]:
    """The setting with what it leaves open chosen for the run's env, and what was: see `setting.with_defaults`."""
    env = run.maker(setting)(0)
    try:
        whole, chosen = with_defaults(setting, env)
    finally:
        env.close()
    if "difficulty" in chosen:
        try:
            run.maker(whole)
        except Exception:  # whatever it is, it is raised again below if it is not the difficulty: a factory may take none
            whole, chosen = replace(whole, difficulty=None), [name for name in chosen if name != "difficulty"]
    return whole, chosen


def _missing(
    run: EvaluatedRun, setting: Setting, planners: Sequence[str], seeds: Sequence[int], kept: Sequence[EpisodeRow]
) -> list[Task]:
    done = {(row.planner, row.seed) for row in kept}
    chunks = [tuple(seeds[i : i + run.at_once]) for i in range(0, len(seeds), run.at_once)]
    return [(run, setting, name, chunk) for name in planners for chunk in chunks if not {(name, seed) for seed in chunk} <= done]


def _remarks(
    run: EvaluatedRun, setting: Setting, chosen: Sequence[str], seeds: Sequence[int], rows: Sequence[EpisodeRow]
) -> list[str]:
    remarks = remark_on_defaults(setting.episode_steps, setting.difficulty, chosen)
    if all(row.planner == "none" for row in rows):
        return remarks
    remarks += remarks_on_planning(rows, run.sure_edge)
    if any(row.failed_plans for row in rows):
        remarks += remark_on_unreachable(_unreachable(run, setting, seeds), len(seeds))
    return remarks


def _unreachable(run: EvaluatedRun, setting: Setting, seeds: Sequence[int]) -> int:
    """The number of episodes that begin where no way to their goal is known."""
    env = run.maker(setting)(0)
    try:
        starts = [Episode.begin(env, run.env, seed).observation for seed in seeds]
    finally:
        env.close()
    states, goals = (np.stack([start[key] for start in starts]) for key in ("observation", "desired_goal"))
    return int(np.isinf(run.distance(setting).paired(states, goals)).sum())


@dataclass(frozen=True, eq=False)
class EvaluationFolder:
    """`results.csv`, and beside it `evaluation.json`, which says of what, and `summary.json`."""

    path: Path
    results: ResultsFile

    @classmethod
    def open(
        cls, path: Path, run: EvaluatedRun, setting: Setting, planners: Sequence[str], chosen: Sequence[str]
    ) -> EvaluationFolder:
        """OtherResultsError unless what will be added is comparable with what is there: the same task, run and files, as they
        are now."""
        path.mkdir(parents=True, exist_ok=True)
        parts = {name: run.parts(name, setting) for name in planners}
        with folder_lock(path):
            before = _before(path)
            content = _joined(path, before, {**asdict(setting), "env": run.env, "chosen": list(chosen)}, parts)
            replace_file(path / "evaluation.json", json_to_bytes(content))
            try:
                return cls(path, ResultsFile(path / "results.csv"))
            except ValueError as error:
                raise OtherResultsError(str(error)) from None

    def rows_of(self, planners: Sequence[str], seeds: Sequence[int]) -> list[EpisodeRow]:
        """Those rows that are there."""
        asked = set(seeds)
        return [row for row in self.results.rows if row.planner in planners and row.seed in asked]

    def write_summary(self, planners: Sequence[str]) -> None:
        """Of all rows that are there, whichever command ran them; these planners first."""
        with folder_lock(self.path):
            rows = self.results.reread()
            names = dict.fromkeys([*planners, *sorted({row.planner for row in rows})])
            order = {name: place for place, name in enumerate(names)}
            rows.sort(key=lambda row: (order[row.planner], row.seed))
            replace_file(self.path / "summary.json", json_to_bytes(summarise(rows)))


def _before(path: Path) -> dict[str, Any] | None:
    """What `evaluation.json` says of the results that are there; None if there are none."""
    if not (path / "results.csv").exists():
        return None
    try:
        return dict(json.loads((path / "evaluation.json").read_text()))
    except (OSError, ValueError, TypeError):
        raise OtherResultsError(f"{path} holds results, but nothing says of what (evaluation.json); name another --out") from None


def _joined(
    path: Path, before: Mapping[str, Any] | None, own: dict[str, Any], parts: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """What `evaluation.json` shall say: of the planners that were evaluated before, too."""
    files = {name: digest for part in parts.values() for name, digest in part.get("files", {}).items()}
    if before is None:
        return {**own, "files": files, "planners": parts}
    differs = [name for name in own if name != "chosen" and own[name] != before.get(name, own[name] if name == "env" else None)]
    stored = before.get("files", {})
    differs += [name for name, digest in stored.items() if files.get(name, digest) != digest]
    if differs:
        raise OtherResultsError(f"{path} holds results with other {', '.join(sorted(differs))}; name another --out, or remove it")
    return {**own, "files": stored | files, "planners": {**before.get("planners", {}), **parts}}
