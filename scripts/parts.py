"""Samplers, planners and policies by name, for a trained run: ours, or a class in a user's file."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from thalweg.envs.user_files import is_file
from thalweg.scripts.cli import DISTANCES, PLANNERS, Follow, UsageError

if TYPE_CHECKING:
    from thalweg.planner.planners.sampled_graph import GraphPlannerConfig
    from thalweg.planner.protocols import DistanceModel, GoalPolicy, Planner, StateSampler
    from thalweg.scripts.runs import Run

_OF_ONE_MAP = ("spread", "ellipse", "roadmap", "visited", "trajectory", "oracle")  # planners that know one map


def check_name(kind: str, name: str, known: tuple[str, ...]) -> None:
    """UsageError if it is neither one of ours nor a class in a file; nothing is loaded yet."""
    if name not in known and not is_file(name):
        raise UsageError(
            f"{kind} {name!r} is unknown; choose from {', '.join(known)}, or write path/to/file.py:NAME_OF_THE_CLASS"
        )


def check_planner_names(names: list[str]) -> None:
    """UsageError at the first that is unknown, or named twice."""
    for name in names:
        check_name("planner", name, PLANNERS)
    if len(set(names)) < len(names):
        raise UsageError(f"--planners {','.join(names)} names one planner twice; name each once")


def make_policy(
    trained: Run,
    name: str,
    num_nodes: int,
    distance: DistanceModel | None = None,
    env_kwargs: dict[str, Any] | None = None,
    follow: Follow = "route",
) -> GoalPolicy:
    """The agent alone (`none`), or the agent led by a planner. `env_kwargs`: of the env it is for, if not as the run's."""
    from thalweg.planner.following.subgoal_policy import SubgoalPolicy, SubgoalPolicyConfig

    if name == "none":
        return trained.agent
    distance = distance if distance is not None else make_distance(trained, trained.usual_distance)
    planner = make_planner(trained, name, num_nodes, distance, env_kwargs)
    sure = trained.sure_edge
    config = SubgoalPolicyConfig(reach=sure, direct=sure, arrival=min(SubgoalPolicyConfig.arrival, sure))
    routes = trained.routes if follow == "route" else None
    return SubgoalPolicy(trained.agent, planner, distance, trained.goal_of, config, routes)


def make_planner(
    trained: Run, name: str, num_nodes: int, distance: DistanceModel | None = None, env_kwargs: dict[str, Any] | None = None
) -> Planner:
    """UsageError where the run's experience is too little for what has to be learned from it."""
    from thalweg.planner.planners.sampled_graph import GraphPlanner, config_for

    check_name("planner", name, PLANNERS)
    if trained.layout is not None and name in _OF_ONE_MAP:
        raise UsageError(f"{trained.env} has many maps, and the {name} planner knows one; take none, box, replay, cvae or energy")
    if name == "oracle":
        return _oracle_planner(trained, trained.env_kwargs if env_kwargs is None else env_kwargs)
    links = config_for(trained.sure_edge, num_nodes)
    distance = distance if distance is not None else make_distance(trained, trained.usual_distance)
    try:
        if name == "trajectory":
            return _trajectory_planner(trained)
        if name == "visited":
            return _visited_planner(trained, links.stride)
        if name == "roadmap":
            return _roadmap_planner(trained, num_nodes, distance, links)
        return GraphPlanner(make_sampler(trained, name), distance, trained.goal_of, links, layout=trained.layout)
    except ValueError as error:
        raise UsageError(f"{trained.folder}: no {name} planner: {error}") from None


def make_sampler(trained: Run, name: str) -> StateSampler:
    """A sampler with what it has learned; one in a user's file is checked first."""
    from thalweg.planner.samplers import SAMPLERS

    if name == "energy":
        return trained.energy_sampler()
    if name == "cvae":
        return _cvae_sampler(trained)
    if name in SAMPLERS:
        return SAMPLERS[name].fit(trained.experience)
    from thalweg.planner.checks import check_sampler

    return _own(name, trained, "sampler", "fit(experience) and sample(state, goal, num_samples, rng)", check_sampler)


def make_distance(trained: Run, name: str, env_kwargs: dict[str, Any] | None = None) -> DistanceModel:
    """A distance by name; one in a user's file is fitted and checked first. `env_kwargs` as in `make_policy`.

    What is learned is asked only where a way is known.
    """
    from dataclasses import replace

    from thalweg.planner.distances.joined import JoinedDistance

    check_name("distance", name, DISTANCES)
    if name in ("oracle", "euclidean") or (name in DISTANCES and trained.layout is not None):
        return trained.distance(name, env_kwargs)
    if name in DISTANCES:
        return JoinedDistance.fit(replace(trained.experience, distance=trained.distance(name)))
    from thalweg.planner.checks import check_distance

    return _own(name, trained, "distance", "fit(experience), pairwise and paired", check_distance)


def _own(name: str, trained: Run, kind: str, needs: str, check: Callable[[Any, Any], None]) -> Any:
    from thalweg.envs.guard import EnvError
    from thalweg.envs.user_files import load_from_file
    from thalweg.planner.checks import CheckError

    experience = trained.experience
    try:
        part = load_from_file(name).fit(experience)
        check(part, experience)
    except (EnvError, UsageError):
        raise
    except Exception as error:
        reason = str(error) if isinstance(error, CheckError) else f"{type(error).__name__}: {error}"
        raise UsageError(f"{name} is no {kind}: {reason}; a {kind} has {needs} (docs/planners.md)") from error
    return part


def _oracle_planner(trained: Run, env_kwargs: dict[str, Any]) -> Planner:
    from thalweg.envs.loading import load_env
    from thalweg.planner.planners.oracle import OraclePlanner

    env = load_env(trained.env, **env_kwargs)  # stays open: its map is asked
    route = getattr(env.unwrapped, "shortest_route", None)
    if route is None:
        raise UsageError(f"{trained.env} does not know its shortest ways: there is no oracle for it; leave it out")
    return OraclePlanner(route, trained.experience)


def _cvae_sampler(trained: Run) -> Any:
    from thalweg.planner.samplers.cvae import CVAE_IN_MAPS, CvaeConfig, CvaeSampler

    config = CvaeConfig() if trained.layout is None else CVAE_IN_MAPS

    def fit(on_step: Callable[..., None]) -> Any:
        return CvaeSampler.fit(trained.experience, config, on_step)

    return _stored(trained, "cvae", config.train_steps, fit, CvaeSampler.from_state)


def _trajectory_planner(trained: Run) -> Any:
    from tqdm import tqdm

    from thalweg.planner.planners.trajectory import TrajectoryPlanner

    with tqdm(desc="transition energy", disable=not trained.progress) as bar:
        return TrajectoryPlanner.fit(trained.experience, on_step=lambda step, loss: bar.update())


def _visited_planner(trained: Run, stride: float) -> Planner:
    import numpy as np

    from thalweg.planner.planners.visited import VisitedPlanner, VisitedPlannerConfig

    experience = trained.experience
    rng = np.random.default_rng(experience.seed)
    return VisitedPlanner.build(experience.trajectories, trained.goal_of, VisitedPlannerConfig(stride=stride), rng)


def _roadmap_planner(trained: Run, num_nodes: int, distance: DistanceModel, links: GraphPlannerConfig) -> Planner:
    import numpy as np

    from thalweg.planner.planners.roadmap import RoadmapConfig, RoadmapPlanner, spread_nodes

    nodes = spread_nodes(trained.experience, num_nodes, np.random.default_rng(trained.experience.seed))
    return RoadmapPlanner.build(nodes, distance, trained.goal_of, RoadmapConfig(stride=links.stride, max_edge=links.max_edge))


def _stored(trained: Run, name: str, steps: int, fit: Callable[..., Any], load: Callable[..., Any]) -> Any:
    """What has to be learned is, on its first use, and stored with the run."""
    from tqdm import tqdm

    from thalweg.planner.networks.stored import OtherVersionError
    from thalweg.planner.storage import bytes_to_tensors, json_to_bytes, read_file, stored_names, tensors_to_bytes, write_files

    weights, settings = f"samplers/{name}.safetensors", f"samplers/{name}.json"
    if weights in stored_names(trained.folder):
        stored = json.loads(read_file(trained.folder, settings))
        try:
            return load(bytes_to_tensors(read_file(trained.folder, weights)), stored, trained.experience)
        except OtherVersionError as error:
            raise UsageError(f"{trained.folder}: {error}") from None
    with tqdm(total=steps, desc=f"{name} sampler", disable=not trained.progress) as bar:
        model = fit(lambda *_: bar.update())
    tensors, written = model.state()
    write_files(trained.folder, {weights: tensors_to_bytes(tensors), settings: json_to_bytes(written)})
    return model
