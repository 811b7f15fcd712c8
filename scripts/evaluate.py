"""Evaluate planners on env seeds: the same agent, the same episodes, figures with intervals."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg.scripts.cli import DISTANCES, Follow, UsageError, make_folder, parse_env_kwargs, parse_seeds, run
from thalweg.scripts.parts import check_name, check_planner_names
from thalweg.scripts.runs import check_env_fits

if TYPE_CHECKING:
    from thalweg.planner.evaluation.results import EpisodeRow
    from thalweg.planner.protocols import GoalPolicy
    from thalweg.scripts.runs import Run

_CHUNK = 25  # episodes side by side; the same ones in a second call, since a batch's size shows in the last bits of its actions
_LEARNED = (
    "checkpoint/policy",
    "energy/model",
    "distances/quasimetric",
    "distances/local",
    "samplers/cvae",
)  # what planners are made of
_OF_A_RUN = ("links.json", *(f"{name}.safetensors" for name in _LEARNED))


@dataclass(frozen=True, kw_only=True)
class Options:
    run: Path  # a folder that scripts.train wrote
    out: Path  # for results.csv and summary.json; a second call with the same settings finishes what is missing
    planners: str = "none,replay,energy"  # also box, spread, ellipse, cvae, roadmap, visited, trajectory, oracle, my.py:MySampler
    distance: str | None = None  # a name of scripts.audit, or my.py:MyDistance; else quasimetric, or local in many maps
    seeds: str = "0:100"  # a:b or 1,5,9
    nodes: int = 100  # of each graph
    follow: Follow = "route"  # drive the clear way along a plan's links, or (always where maps are many) waypoint by waypoint
    episode_steps: int | None = None  # length of an episode; by default the env's own
    difficulty: float | None = None  # draw only pairs farther apart than this quantile, where the env knows it
    env_kwargs: str = "{}"  # of the env, as JSON, over those of the run: '{"task_id": 3}'
    workers: int = 1  # processes
    progress: bool = True


def main(options: Options) -> None:
    seeds, names = parse_seeds(options.seeds), options.planners.split(",")
    check_planner_names(names)
    if options.distance is not None:
        check_name("distance", options.distance, DISTANCES)
    parse_env_kwargs(options.env_kwargs)
    if options.episode_steps is not None and options.episode_steps < 1:
        raise UsageError(f"--episode-steps must be at least 1, got {options.episode_steps}")
    if options.nodes < 1 or options.workers < 1:
        raise UsageError(f"--nodes and --workers must be at least 1, got {options.nodes} and {options.workers}")

    from thalweg.planner.evaluation.results import summarise
    from thalweg.planner.storage import json_to_bytes

    make_folder(options.out)
    setting = Setting.of(options)
    for name in names:
        setting.policy(name)  # what has to be learned is, once, and what is wrong shows before anything is run
    check_env_fits(setting.trained, setting.env_settings())
    rows = evaluate_all(options.out, setting, names, seeds, options.workers, options.progress)
    order = {name: place for place, name in enumerate(names)}
    summary = summarise(sorted(rows, key=lambda row: (order[row.planner], row.seed)))
    (options.out / "summary.json").write_bytes(json_to_bytes(summary))
    print(table(setting.trained.env, summary))


@dataclass(frozen=True, kw_only=True)
class Setting:
    """All that an episode depends on but its seed and its planner; a plain value, so that a process can be handed it."""

    run: str
    nodes: int
    distance: str
    follow: Follow
    episode_steps: int | None
    difficulty: float | None
    env_kwargs: str
    progress: bool = field(default=False, compare=False)  # show bars while something is fitted; no part of the setting

    @classmethod
    def of(cls, options: Options) -> Setting:
        own = {name: getattr(options, name) for name in cls.__dataclass_fields__}
        own["distance"] = own["distance"] or _trained(str(options.run), options.progress).usual_distance
        return cls(**{**own, "run": str(options.run)})

    @property
    def trained(self) -> Run:
        return _trained(self.run, self.progress)

    def policy(self, name: str) -> GoalPolicy:
        return _policy(self, name)

    def env_settings(self) -> dict[str, Any]:
        own = {"max_episode_steps": self.episode_steps, "difficulty": self.difficulty}
        known = {name: value for name, value in own.items() if value is not None}
        return self.trained.env_kwargs | parse_env_kwargs(self.env_kwargs) | known


@lru_cache(maxsize=4)
def _trained(folder: str, progress: bool) -> Run:
    import torch

    import thalweg.envs  # noqa: F401 (registers ours)
    from thalweg.scripts.runs import load_run

    torch.set_num_threads(1)
    return load_run(Path(folder), progress)


@lru_cache(maxsize=64)
def _policy(setting: Setting, name: str) -> GoalPolicy:
    from thalweg.scripts.parts import make_policy

    if name == "none":  # runs without all that is fitted after the training, too
        return setting.trained.agent
    return make_policy(setting.trained, name, setting.nodes, _distance(setting), setting.env_settings(), setting.follow)


@lru_cache(maxsize=4)
def _distance(setting: Setting) -> Any:
    from thalweg.scripts.parts import make_distance

    return make_distance(setting.trained, setting.distance, setting.env_settings())


Task = tuple[Setting, str, tuple[int, ...]]  # a planner and the seeds of one chunk


def evaluate_all(
    out: Path, setting: Setting, names: Sequence[str], seeds: Sequence[int], workers: int, progress: bool
) -> list[EpisodeRow]:
    """Run each planner on each seed and return the rows; those in `out` already are not run again.

    UsageError if `out` holds rows of other settings.
    """
    from tqdm import tqdm

    from thalweg.planner.evaluation.results import ResultsFile
    from thalweg.scripts.workers import run_tasks

    make_folder(out)
    _check_settings(out, setting, names)
    try:
        results = ResultsFile(out / "results.csv")
    except ValueError as error:
        raise UsageError(str(error)) from None
    chunks = [tuple(seeds[i : i + _CHUNK]) for i in range(0, len(seeds), _CHUNK)]
    missing: list[Task] = [
        (setting, name, chunk) for name in names for chunk in chunks if not all(results.holds(name, seed) for seed in chunk)
    ]
    total, done = len(names) * len(seeds), sum(results.holds(name, seed) for name in names for seed in seeds)
    with tqdm(total=total, initial=done, desc=setting.trained.env, unit="episode", disable=not progress) as bar:
        for _, rows in run_tasks(_run_chunk, missing, workers):
            bar.update(len(results.add(rows)))
    asked = set(seeds)
    return [row for row in results.rows if row.planner in names and row.seed in asked]


def _run_chunk(task: Task) -> list[EpisodeRow]:
    from thalweg.envs.loading import env_maker
    from thalweg.planner.evaluation.evaluate import evaluate

    setting, name, seeds = task
    env = setting.trained.env
    return evaluate(setting.policy(name), env_maker(env, **setting.env_settings()), seeds, env, name)


def _check_settings(out: Path, setting: Setting, names: Sequence[str]) -> None:
    """What is added to a results.csv must be comparable with what is there: the same task, run and files, as they are now."""
    from thalweg.planner.storage import json_to_bytes

    own = {name: value for name, value in asdict(setting).items() if name not in ("progress", "run")}
    task = {**own, "files": _digests(setting, names)}
    path = out / "evaluation.json"
    try:
        before = json.loads(path.read_text()) if (out / "results.csv").exists() else task
    except (OSError, ValueError):
        raise UsageError(f"{out} holds results, but nothing says of what (evaluation.json); name another --out") from None
    files = {**before.get("files", {}), **task["files"]}  # of planners that were evaluated before, too
    differs = sorted(name for name in own if own[name] != before.get(name))
    differs += sorted(name for name, digest in before.get("files", {}).items() if files[name] != digest)
    if differs:
        raise UsageError(f"{out} holds results with other {', '.join(differs)}; name another --out, or remove it")
    whole = path.with_suffix(".tmp")  # so that a kill while it is written loses nothing
    whole.write_bytes(json_to_bytes({**own, "files": files}))
    whole.replace(path)


def _digests(setting: Setting, names: Sequence[str]) -> dict[str, str]:
    """The SHA-256 of what the planners are made of: files of the run, and the user's own."""
    import hashlib

    from thalweg.envs.user_files import is_file, split
    from thalweg.planner.storage import stored_digests

    stored = stored_digests(setting.trained.folder)
    digests = {name: stored[name] for name in _OF_A_RUN if name in stored}
    own = [name for name in (*names, setting.distance, setting.trained.env) if is_file(name)]
    return digests | {name: hashlib.sha256(split(name)[0].read_bytes()).hexdigest() for name in own}


def table(env: str, summary: dict[str, dict[str, Any]]) -> str:
    """The summary as lines of text."""
    head = f"{env:<22}{'success':>9}{'95 % interval':>16}{'steps':>8}{'detour':>8}{'contacts':>10}{'replans':>9}{'plan ms':>9}"
    lines = [head]
    for name, figures in summary.items():
        low, high = figures["success_ci"]
        lines.append(
            f"  {name[-20:]:<20}{figures['success']:>9.2f}{f'{low:.2f} to {high:.2f}':>16}{figures['steps_iqm']:>8.1f}"
            f"{_number(figures['detour_mean'], 3):>8}{_number(figures['wall_contacts_mean'], 1):>10}"
            f"{figures['replans_mean']:>9.2f}{_number(figures['plan_ms_median'], 1):>9}"
        )
    return "\n".join(lines)


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


if __name__ == "__main__":
    run(main, Options)
