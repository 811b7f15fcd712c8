"""`scripts.bench drive`: what plans are worth once driven, by the least number of env steps that any drive could take."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thalweg.planner.evaluation.setting import Follow
from thalweg.scripts.bench.common import RunsOptions
from thalweg.scripts.bench.planners import DIFFICULTY, EPISODE_STEPS
from thalweg.scripts.cli import UsageError, progress_bar

_NODES = 100
_DRIVEN: tuple[tuple[str, Follow], ...] = (("oracle", "route"), ("energy", "route"), ("energy", "waypoints"))


@dataclass(frozen=True, kw_only=True)
class DriveOptions(RunsOptions):
    pass


def bench_drive(options: DriveOptions) -> Iterator[dict[str, Any]]:
    """Env steps of the drives that arrive over the least possible, on each run's map; the same of their lengths."""
    for folder in options.runs:
        yield from _rows(folder, options)


def _rows(folder: Path, options: DriveOptions) -> Iterator[dict[str, Any]]:
    import numpy as np
    import torch

    from thalweg.envs.fastest_drives import FastestDrives
    from thalweg.envs.point_mass import PointMass
    from thalweg.planner.evaluation.evaluate import evaluate
    from thalweg.runs import load

    torch.set_num_threads(1)
    trained = load(folder, progress=options.progress).at(max_episode_steps=EPISODE_STEPS, difficulty=DIFFICULTY)
    env = trained.make_env()
    world = env.unwrapped
    if not isinstance(world, PointMass) or trained.maps.kind == "many":
        raise UsageError(f"{folder}: the fastest drives of {trained.env} are not known; name runs of one PointMass world")
    seeds, least = range(options.episodes), []
    try:
        fastest = FastestDrives(world)
        with progress_bar(len(seeds), f"{trained.env}, fastest drives", options.progress) as bar:
            for seed in seeds:
                observation, _ = env.reset(seed=seed)
                least.append(fastest.find(observation["achieved_goal"], observation["desired_goal"]))
                bar.update()
    except ValueError as error:
        raise UsageError(f"{folder}: {error}") from None
    finally:
        env.close()
    name = folder.resolve().name
    for planner, follow in _DRIVEN:
        policy = trained.policy(planner, _NODES, follow)
        episodes = evaluate(policy, trained.make_env, seeds, trained.env, planner)
        arrived = [(row, *best) for row, best in zip(episodes, least, strict=True) if row.success]
        common = {"against": "the fastest drives", "arrived": len(arrived), "of": len(seeds)}
        for unit, ours, peer in (
            ("env steps", [row.steps for row, *_ in arrived], [steps for _, steps, _ in arrived]),
            ("metres", [row.path_length for row, *_ in arrived], [length for *_, length in arrived]),
        ):
            row = {"what": f"{name}: {planner}, {follow}, {unit}", "unit": f"{unit}, mean"}
            if not arrived:
                yield {**row, "ours": None, "peer": None, "ratio": None, **common}
                continue
            mine, its = float(np.mean(ours)), float(np.mean(peer))
            yield {**row, "ours": mine, "peer": its, "ratio": mine / its, **common}
