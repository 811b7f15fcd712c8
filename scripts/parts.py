"""Samplers, planners and policies by name, for a trained run: ours, or a class in a user's file."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from scripts.common import PLANNERS, UsageError

if TYPE_CHECKING:
    from planner.protocols import DistanceModel, GoalPolicy, Planner, StateSampler
    from scripts.runs import Run


def check_planner_names(names: list[str]) -> None:
    """UsageError at the first that is neither one of ours nor a class in a file; nothing is loaded yet."""
    for name in names:
        if name not in PLANNERS and ".py:" not in name:
            raise UsageError(
                f"planner {name!r} is unknown; choose from {', '.join(PLANNERS)}, or write path/to/file.py:NAME_OF_THE_CLASS"
            )
    if len(set(names)) < len(names):
        raise UsageError(f"--planners {','.join(names)} names one planner twice; name each once")


def make_policy(trained: Run, name: str, num_nodes: int, distance: DistanceModel | None = None) -> GoalPolicy:
    """The agent alone (`none`), or the agent led by a planner."""
    from planner.guide import Guide
    from planner.subgoal_policy import SubgoalPolicy, SubgoalPolicyConfig

    if name == "none":
        return trained.agent
    distance = distance if distance is not None else trained.distance()
    planner = make_planner(trained, name, num_nodes, distance)
    config = SubgoalPolicyConfig(reach=trained.sure_edge, direct=trained.sure_edge)
    return SubgoalPolicy(trained.agent, planner, distance, trained.goal_of, config, Guide.fit(trained.experience))


def make_planner(trained: Run, name: str, num_nodes: int, distance: DistanceModel | None = None) -> Planner:
    from planner.graph_planner import GraphPlanner, config_for

    check_planner_names([name])
    if name == "oracle":
        return _oracle_planner(trained)
    if name == "trajectory":
        return _trajectory_planner(trained)
    links = config_for(trained.sure_edge, num_nodes)
    distance = distance if distance is not None else trained.distance()
    return GraphPlanner(make_sampler(trained, name), distance, trained.goal_of, links)


def make_sampler(trained: Run, name: str) -> StateSampler:
    """A sampler with what it has learned; one in a user's file is checked first."""
    from planner.samplers import SAMPLERS
    from planner.samplers.energy import EnergySampler

    if name == "energy":
        return EnergySampler(trained.energy_model(), trained.experience)
    if name == "cvae":
        return _cvae_sampler(trained)
    if name in SAMPLERS:
        return SAMPLERS[name].fit(trained.experience)
    from planner.checks import check_sampler

    return _own(name, trained, "sampler", "fit(experience) and sample(state, goal, num_samples, rng)", check_sampler)


def make_distance(trained: Run, name: str) -> DistanceModel:
    """A distance by name; one in a user's file is fitted and checked first."""
    from scripts.common import DISTANCES

    if name in DISTANCES:
        return trained.distance(name)
    if ".py:" not in name:
        raise UsageError(
            f"distance {name!r} is unknown; choose from {', '.join(DISTANCES)}, or write path/to/file.py:NAME_OF_THE_CLASS"
        )
    from planner.checks import check_distance

    return _own(name, trained, "distance", "fit(experience), pairwise and paired", check_distance)


def _own(name: str, trained: Run, kind: str, needs: str, check: Callable[[Any, Any], None]) -> Any:
    from envs.files import load_from_file
    from envs.guard import EnvError

    try:
        part = load_from_file(name).fit(trained.experience)
        check(part, trained.experience)
    except (EnvError, UsageError):
        raise
    except Exception as error:
        reason = str(error) if type(error).__name__ == "CheckError" else f"{type(error).__name__}: {error}"
        raise UsageError(f"{name} is no {kind}: {reason}; a {kind} has {needs} (docs/planners.md)") from error
    return part


def _oracle_planner(trained: Run) -> Planner:
    from envs.loading import load_env
    from planner.oracle_planner import OraclePlanner

    env = load_env(trained.env, **trained.env_kwargs)
    route = getattr(env.unwrapped, "shortest_route", None)
    if route is None:
        raise UsageError(f"{trained.env} does not know its shortest ways: there is no oracle for it; leave it out")
    return OraclePlanner(route, trained.experience)


def _cvae_sampler(trained: Run) -> Any:
    from planner.samplers.cvae import CvaeConfig, CvaeSampler

    config = CvaeConfig()

    def fit(on_step: Callable[..., None]) -> Any:
        return CvaeSampler.fit(trained.experience, config, on_step)

    return _stored(trained, "cvae", config.train_steps, fit, CvaeSampler.from_tensors)


def _trajectory_planner(trained: Run) -> Any:
    from planner.trajectory_planner import TrajectoryPlanner

    return TrajectoryPlanner.fit(trained.experience)


def _stored(trained: Run, name: str, steps: int, fit: Callable[..., Any], load: Callable[..., Any]) -> Any:
    """What has to be learned is, on its first use, and stored with the run."""
    from tqdm import tqdm

    from planner.storage import bytes_to_tensors, json_to_bytes, read_file, stored_names, tensors_to_bytes, write_files

    weights, settings = f"samplers/{name}.safetensors", f"samplers/{name}.json"
    if weights in stored_names(trained.folder):
        stored = json.loads(read_file(trained.folder, settings))
        return load(bytes_to_tensors(read_file(trained.folder, weights)), stored, trained.experience)
    with tqdm(total=steps, desc=f"{name} sampler", disable=not trained.progress) as bar:
        model = fit(lambda *_: bar.update())
    write_files(trained.folder, {weights: tensors_to_bytes(model.tensors()), settings: json_to_bytes(model.settings())})
    return model
