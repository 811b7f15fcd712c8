"""Evaluate a run's planners, in this process or in several."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np

from .envs.guard import EnvError
from .envs.user_files import is_file, split
from .planner.errors import UsageError, check_kinds
from .planner.evaluation.evaluation_folder import EPISODES_AT_ONCE, evaluate_planners
from .planner.evaluation.setting import Follow, Setting
from .planner.evaluation.table import Table
from .planner.evaluation.workers import run_tasks
from .planner.goal_space import GoalSpace
from .planner.protocols import DistanceModel, GoalPolicy
from .planner.run.registry import DISTANCES, NO_PLANNER, PLANNERS, SAMPLERS, check_planner_names, part_of
from .planner.run.run import Run
from .planner.storage import named_folder, stored_digests
from .progress import bars, silent
from .runs import check_env_fits


def evaluate(
    run: Run,
    planners: Sequence[str] = (NO_PLANNER, "replay", "energy"),
    seeds: Sequence[int] = range(100),
    *,
    episode_steps: int | None = None,
    difficulty: float | None = None,
    nodes: int = 100,
    follow: Follow = "route",
    distance: str | None = None,
    env_kwargs: dict[str, Any] | None = None,
    out: str | Path | None = None,
    workers: int = 1,
    progress: bool = True,
) -> Table:
    """Run each planner on each env seed: the same agent, the same episodes, figures with intervals; print it to read it.

    `episode_steps`, `difficulty`: length of an episode, and the quantile beyond which pairs of start and goal are drawn, where
    the env knows that; what is left open is chosen so that planning can show, and the table says so. `follow`: along the clear
    path through a plan's links, or waypoint by waypoint. `distance`: by name, in place of the run's usual one. `out`: a folder
    for results.csv, summary.json and evaluation.json; a second call finishes what is missing. `workers`: processes, which import
    the program that asks for them: it needs `if __name__ == "__main__":`.

    UsageError for names that are unknown or not of this env; OtherResultsError if `out` holds rows of other settings;
    NotFiniteError at the first number that is not finite.
    """
    if not isinstance(run, Run):
        raise UsageError(f"evaluate takes a run, got {run!r}; thalweg.load reads its folder")
    names, seeds = _names(planners), _seeds(seeds)
    if distance is not None:
        part_of("distance", distance)
    check_kinds({"nodes": (nodes, int), "workers": (workers, int), "episode_steps": (episode_steps, int | None)})
    for option, value in (("nodes", nodes), ("workers", workers), ("episode-steps", episode_steps)):
        if value is not None and value < 1:
            raise UsageError(f"--{option} must be at least 1, got {value}")
    if follow not in get_args(Follow):
        raise UsageError(f"--follow must be one of {', '.join(get_args(Follow))}, got {follow!r}")
    if workers > 1:
        run.__reduce__()  # UsageError for what other processes cannot make, before any is started
    folder = None if out is None else named_folder(out)
    if difficulty is not None and not 0 <= difficulty <= 1:
        raise UsageError(f"--difficulty is a quantile from 0 to 1, got {difficulty}")
    options = own_env_options(run) | (env_kwargs or {})
    steps, share = options.pop("max_episode_steps", None), options.pop("difficulty", None)
    setting = Setting(
        nodes=nodes,
        distance=distance,
        follow=follow,
        episode_steps=episode_steps if episode_steps is not None else steps,
        difficulty=difficulty if difficulty is not None else share,
        env_kwargs=_as_json(options),
    )
    subject, tasks = EvaluatedRun(run), partial(run_tasks, workers=workers)
    with (bars if progress else silent)(run.env, len(names) * len(seeds)) as on_step:

        def count(rows: int) -> None:
            for _ in range(rows):
                on_step()

        return evaluate_planners(subject, names, seeds, setting, folder, tasks, count)


def _names(planners: Any) -> list[str]:
    if isinstance(planners, str) or not isinstance(planners, Iterable):
        raise UsageError(f"planners must be a list of names, got {planners!r}")
    names = list(planners)
    for name in names:
        if not isinstance(name, str):
            raise UsageError(f"planners: {name!r} is no name; name a class of your own by its file, path/to/file.py:Class")
    if not names:
        raise UsageError("planners names none; none, replay and energy are there, among others")
    check_planner_names(names)
    return names


def _seeds(seeds: Any) -> list[int]:
    """numpy's whole numbers, too."""
    if isinstance(seeds, str) or not isinstance(seeds, Iterable):
        raise UsageError(f"seeds must be a list of env seeds, such as range(100), got {seeds!r}")
    found = list(seeds)
    for seed in found:
        if not isinstance(seed, int | np.integer) or isinstance(seed, bool) or seed < 0:
            raise UsageError(f"seeds must be whole numbers from 0 on, got {seed!r}")
    if not found or len(set(found)) < len(found):
        raise UsageError(f"seeds must be at least one, and each named once, got {found[:20]}")
    return [int(seed) for seed in found]


def own_env_options(run: Run) -> dict[str, Any]:
    """What a run's env is made with, beside what `config.json` says: rows of one setting must not pass for those of another."""
    trained = json.loads(run.config.get("env_kwargs", "{}"))
    given = {name: value for name, value in run.envs.kwargs.items() if name not in trained or trained[name] != value}
    return given | run.settings


def _as_json(options: dict[str, Any]) -> str:
    try:
        return json.dumps(options)
    except (TypeError, ValueError) as error:
        raise UsageError(f"options of the env must be what JSON can hold ({error}); hand in a function that makes it") from None


@dataclass(frozen=True)
class EvaluatedRun:
    """A run, as `planner.evaluation` asks for it."""

    run: Run

    @property
    def env(self) -> str:
        return self.run.env

    @property
    def space(self) -> GoalSpace:
        return self.run.data.space

    @property
    def usual_distance(self) -> str:
        return self.run.usual_distance

    @property
    def sure_edge(self) -> float:
        return self.run.sure_edge

    @property
    def at_once(self) -> int:
        """One where the training had one env at a time: perhaps there can be no second."""
        trained = self.run.config.get("agent")
        alone = isinstance(trained, dict) and trained.get("num_envs") == 1
        return 1 if alone or self.run.envs.only_one else EPISODES_AT_ONCE

    def policy(self, name: str, setting: Setting) -> GoalPolicy:
        if name == NO_PLANNER:  # runs without all that is fitted after the training, too
            return self.run.agent
        return self._at(setting).policy(name, setting.nodes, setting.follow, setting.distance)

    def distance(self, setting: Setting) -> DistanceModel:
        return self._at(setting).distance(setting.distance)

    def maker(self, setting: Setting) -> Callable[[int], Any]:
        """UsageError if the agent cannot be in such an env."""
        run = self._at(setting)
        try:
            run.once("fits", lambda: check_env_fits(run))
        except EnvError as error:
            if setting.difficulty is None or "does not know difficulty" not in str(error):
                raise
            raise UsageError(f"{self.env} knows no difficulty; leave --difficulty out") from None
        return run.make_env

    def parts(self, name: str, setting: Setting) -> dict[str, Any]:
        own = [self.env]
        if name == NO_PLANNER:
            return {"files": self._digests(["checkpoint/policy.safetensors"], own)}
        distance = setting.distance or self.usual_distance
        routed = setting.follow == "route" and self.run.routes is not None
        parts = {
            "sampler": None if name in PLANNERS else name,
            "distance": distance,  # of the planner and of the sampler alike
            "follow": "route" if routed else "waypoints",
            "sure_edge": self.sure_edge,
        }
        files = ["checkpoint/policy.safetensors", "links.json", *_files_of(distance), *_files_of(self.usual_distance)]
        if name in SAMPLERS:
            files += SAMPLERS.rows[name].files_under(distance, self.usual_distance)
        own += [distance, name]
        return {**parts, "files": self._digests(files, own)}

    def _at(self, setting: Setting) -> Run:
        return self.run.at(**setting.env_options())

    def _digests(self, files: Sequence[str], own: Sequence[str]) -> dict[str, str]:
        """The SHA-256 of files of the run that there are, and of the user's own."""
        stored = stored_digests(self.run.folder)
        digests = {name: stored[name] for name in files if name in stored}
        if self.run.agent_mark:
            digests["agent"] = self.run.agent_mark
        return digests | {name: hashlib.sha256(split(name)[0].read_bytes()).hexdigest() for name in own if is_file(name)}


def _files_of(distance: str) -> list[str]:
    """What a distance of ours is read from; of one that is made of others, what these are."""
    if distance not in DISTANCES:
        return []
    names = getattr(DISTANCES[distance], "parts", (distance,))
    return [file for name in names for file in DISTANCES.rows[name].files]
