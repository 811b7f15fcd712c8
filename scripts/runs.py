"""A run folder turned into what it holds: agent, distances, energy model, experience."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg.scripts.cli import UsageError, parse_env_kwargs

if TYPE_CHECKING:
    from thalweg.planner.evaluation.audit import Drives
    from thalweg.planner.experience import Experience
    from thalweg.planner.following.routes import Routes
    from thalweg.planner.many_maps.layout import Layout

_LONGEST_DRIVE, _DRIVES, _DRIVE_SEED = 24, 400, 500_000  # env steps, drives, first env seed: to goals nearby
# In many maps there are no routes round corners (`planner/following/routes.py`). Of 60 far goals in unseen mazes 58 were
# reached with links of 6 steps, 57 with 9, 56 with 12, where drives of up to 13 were sure.
_WITHOUT_ROUTES = 0.5
ENSEMBLE = ("quasimetric", "q_value")  # each is sure where the other is not
_ASKED_WITHIN = 60.0  # env steps by the first: half as far again as the longest link


@dataclass(frozen=True, eq=False)
class Run:
    """A trained run folder, verified."""

    folder: Path
    config: dict[str, Any]
    agent: Any  # agents.agent.GoalAgent
    goal_of: Any  # planner.data.GoalEntries
    trajectories: list[Any]
    progress: bool = True  # show bars while something is fitted

    @property
    def env(self) -> str:
        return self.config["env"]

    @property
    def env_kwargs(self) -> dict[str, Any]:
        return parse_env_kwargs(self.config.get("env_kwargs", "{}"))

    @property
    def layout(self) -> Layout | None:
        """Of the picture in which states end, where the env has many maps."""
        return self.agent.layout

    @property
    def usual_distance(self) -> str:
        """The name of the distance that plans are made of."""
        return "quasimetric" if self.layout is None else "local"

    @property
    def sure_edge(self) -> float:
        """How long the links of this agent's plans should be [env steps], as measured after its training."""
        import json

        from thalweg.planner.storage import read_file

        return float(json.loads(read_file(self.folder, "links.json"))["sure_edge"])

    def measure_links(self) -> None:
        """Let the agent drive to goals nearby, and store how far it can be trusted. ValueError if there are none to drive to."""
        import numpy as np

        from thalweg.planner.evaluation.audit import sure_edge
        from thalweg.planner.storage import json_to_bytes, write_files

        drives = self._drives_nearby("links")
        predicted = self.distance().paired(drives.pairs.states, drives.pairs.goals)
        sure = float(sure_edge(predicted, np.isfinite(drives.taken)))
        if self.layout is not None:
            sure *= _WITHOUT_ROUTES
        write_files(self.folder, {"links.json": json_to_bytes({"sure_edge": sure, "drives": _DRIVES})})

    def _drives_nearby(self, what: str) -> Drives:
        from tqdm import tqdm

        from thalweg.envs.loading import load_env
        from thalweg.planner.evaluation.audit import drive, near_goals, told_goals

        env = load_env(self.env, **{**self.env_kwargs, "max_episode_steps": 4 * _LONGEST_DRIVE})
        if self.layout is None:
            choose_goal = near_goals(self.trajectories, _LONGEST_DRIVE, None)
        else:
            choose_goal = told_goals(self.distance(), self.layout, _LONGEST_DRIVE)
        try:
            with tqdm(total=_DRIVES, desc=what, disable=not self.progress) as bar:
                return drive(self.agent, env, choose_goal, _DRIVES, _DRIVE_SEED, bar.update)
        finally:
            env.close()

    def distance(self, name: str | None = None, env_kwargs: dict[str, Any] | None = None) -> Any:
        """A distance model by name, or the usual one; what has to be learned is, on its first use, and stored with the run.

        `env_kwargs`: of the env whose truth the oracle knows, if not as the run's.
        """
        from thalweg.planner.distances.ensemble import EnsembleDistance
        from thalweg.planner.distances.euclidean import EuclideanDistance
        from thalweg.planner.distances.oracle import OracleDistance

        name = self.usual_distance if name is None else name
        check_distance_for(self, name)
        if name == "ensemble":
            return EnsembleDistance([self.distance(part) for part in ENSEMBLE], _ASKED_WITHIN)
        if name == "q_value":
            return self._critics_distance()
        if name == "euclidean":
            return EuclideanDistance.fit(self._unmeasured)
        if name == "oracle":
            return OracleDistance(self._true_steps(self.env_kwargs if env_kwargs is None else env_kwargs))
        return self._learned_distance(name)

    def q_values(self, states: Any, goals: Any) -> Any:
        return self.agent.q_values(states, self.goal_of(states), goals)

    def act(self, states: Any, goals: Any) -> Any:
        """(B, S), (B, G) -> (B, A): the agent's action without noise."""
        observation = {"observation": states, "achieved_goal": self.goal_of(states), "desired_goal": goals}
        return self.agent.predict(observation, deterministic=True)[0]

    def _true_steps(self, env_kwargs: dict[str, Any]) -> Any:
        from thalweg.envs.loading import load_env

        true_steps = getattr(load_env(self.env, **env_kwargs).unwrapped, "shortest_steps", None)
        if true_steps is None:
            raise UsageError(f"{self.env} does not know its true distances: there is no oracle for it")
        return true_steps

    def _learned_distance(self, name: str) -> Any:
        import json

        from thalweg.planner.distances.distributional import DistributionalDistance
        from thalweg.planner.distances.local import LocalDistance
        from thalweg.planner.distances.quasimetric import QuasimetricDistance
        from thalweg.planner.networks.stored import OtherVersionError
        from thalweg.planner.storage import (
            bytes_to_tensors,
            json_to_bytes,
            read_file,
            stored_names,
            tensors_to_bytes,
            write_files,
        )

        weights, settings = f"distances/{name}.safetensors", f"distances/{name}.json"
        kinds = {"quasimetric": QuasimetricDistance, "local": LocalDistance, "distributional": DistributionalDistance}
        kind: Any = kinds[name]
        if weights not in stored_names(self.folder):
            fit = {"quasimetric": self._fit_quasimetric, "local": self._fit_local, "distributional": self._fit_distributional}
            model = fit[name]()
            tensors, written = model.state()
            write_files(self.folder, {weights: tensors_to_bytes(tensors), settings: json_to_bytes(written)})
            return model
        stored = bytes_to_tensors(read_file(self.folder, weights)), json.loads(read_file(self.folder, settings))
        try:
            return kind.from_state(*stored, self._unmeasured)
        except OtherVersionError as error:
            raise UsageError(f"{self.folder}: {error}") from None

    def _critics_distance(self) -> Any:
        import json
        from dataclasses import asdict, replace

        from thalweg.planner.distances.q_value import QValueDistance, QValueDistanceConfig, measured_pace
        from thalweg.planner.storage import json_to_bytes, read_file, stored_names, write_files

        settings = "distances/q_value.json"
        if settings not in stored_names(self.folder):
            config = QValueDistanceConfig(discount=self.agent.discount)
            try:
                drives = self._drives_nearby("pace")
            except ValueError as error:
                raise UsageError(f"{self.folder}: the agent's pace cannot be measured: {error}") from None
            expected = QValueDistance(self.q_values, config).paired(drives.pairs.states, drives.pairs.goals)
            config = replace(config, pace=measured_pace(expected, drives.taken))
            write_files(self.folder, {settings: json_to_bytes(asdict(config))})
        config = QValueDistanceConfig(**json.loads(read_file(self.folder, settings)))
        return QValueDistance(self.q_values, config)

    def _fit_quasimetric(self) -> Any:
        from tqdm import tqdm

        from thalweg.planner.distances.quasimetric import QuasimetricDistance, QuasimetricDistanceConfig

        config = QuasimetricDistanceConfig()
        train_steps = config.steps_for(sum(len(trajectory) for trajectory in self.trajectories))
        with tqdm(total=train_steps, desc="quasimetric distance", disable=not self.progress) as bar:
            return QuasimetricDistance.fit(self._unmeasured, config, lambda *_: bar.update())

    def _fit_local(self) -> Any:
        from tqdm import tqdm

        from thalweg.planner.distances.local import LocalDistance, LocalDistanceConfig

        assert self.layout is not None  # `check_distance_for` has seen to it
        config = LocalDistanceConfig()
        train_steps = config.rounds * config.steps_for(sum(len(trajectory) for trajectory in self.trajectories))
        with tqdm(total=train_steps, desc="local distance", disable=not self.progress) as bar:
            return LocalDistance.fit(self._unmeasured, config, lambda *_: bar.update())

    def _fit_distributional(self) -> Any:
        from dataclasses import replace
        from types import SimpleNamespace

        from tqdm import tqdm

        from thalweg.agents.config import AgentConfig
        from thalweg.agents.offline.replay import replay_of
        from thalweg.envs.loading import load_batch
        from thalweg.planner.distances.distributional import DistributionalDistance, DistributionalDistanceConfig

        config, settings = DistributionalDistanceConfig(), dict(self.config["agent"])
        agent = AgentConfig(**{**settings, "hidden": tuple(settings["hidden"])})
        batch = load_batch(self.env, agent.num_envs, **self.env_kwargs)
        try:
            sample = replay_of(self.folder, agent, batch, self.config["seed"])
            with tqdm(total=config.train_steps, desc="distributional distance", disable=not self.progress) as bar:
                experience = replace(self._unmeasured, world=SimpleNamespace(replay=lambda: sample))
                return DistributionalDistance.fit(experience, config, lambda *_: bar.update())
        finally:
            batch.close()

    def energy_sampler(self) -> Any:
        import json

        from thalweg.planner.networks.stored import OtherVersionError
        from thalweg.planner.samplers.energy import EnergySampler
        from thalweg.planner.storage import bytes_to_tensors, read_file

        tensors = bytes_to_tensors(read_file(self.folder, "energy/model.safetensors"))
        settings = json.loads(read_file(self.folder, "energy/config.json"))
        try:
            return EnergySampler.from_state(tensors, settings, self.experience)
        except OtherVersionError as error:
            raise UsageError(f"{self.folder}: {error}") from None

    def energy_model(self) -> Any:
        return self.energy_sampler().model

    @cached_property
    def _unmeasured(self) -> Experience:
        """What distances learn from."""
        from thalweg.planner.data.dataset import Dataset
        from thalweg.planner.experience import Experience

        data = Dataset(self.trajectories, self.goal_of)
        return Experience(data, self.config["seed"], layout=self.layout, agent=self.agent)

    @cached_property
    def experience(self) -> Experience:
        """What samplers learn from."""
        from dataclasses import replace

        return replace(self._unmeasured, distance=self.distance(), sure_edge=self.sure_edge)

    @cached_property
    def routes(self) -> Routes | None:
        """Ways that keep clear of walls. None in many maps, of which visits do not tell; and, with a line that says so, where
        goals have too many entries or the world is too wide."""
        from thalweg.planner.following.routes import Routes

        if self.layout is not None:
            return None
        routes = Routes.fit(self.experience)
        if routes is None:
            print(f"{self.env}: no routes over what was visited; plans are driven waypoint by waypoint", file=sys.stderr)
        return routes


def check_distance_for(trained: Run, name: str) -> None:
    """UsageError for a distance that is of one map where there are many, or the other way round."""
    if name == "local" and trained.layout is None:
        raise UsageError(f"{trained.env} shows no picture of its map, which the local distance needs; take another")
    if trained.layout is not None and name in ("quasimetric", "ensemble", "distributional", "oracle"):
        raise UsageError(f"{trained.env} has many maps, and the {name} distance knows one; take local, q_value or euclidean")


def check_env_fits(trained: Run, settings: dict[str, Any]) -> None:
    """UsageError if the env with these settings is not one that the agent can be in."""
    from gymnasium import spaces

    from thalweg.agents.agent import space_mismatches
    from thalweg.envs.loading import load_env

    env = load_env(trained.env, **settings)
    stored, actual = trained.agent.policy.observation_space, env.observation_space
    env.close()
    mismatches = [line for line in space_mismatches(stored, actual, "observation") if ": shape " in line]
    if trained.layout is not None and not mismatches:  # a picture of another area would be looked at in the wrong squares
        assert isinstance(actual, spaces.Dict)  # for the type checker; the guard admits no other
        mismatches = space_mismatches(stored["desired_goal"], actual["desired_goal"], "desired_goal")
    if mismatches:
        raise UsageError(f"{trained.env} with these --env-kwargs is not what the agent was trained in: {'; '.join(mismatches)}")


def load_run(folder: Path, progress: bool = True) -> Run:
    """Read and check a run folder. DamagedError names the file that is missing or altered."""
    import json

    from thalweg.agents.agent import load_agent
    from thalweg.planner.data.trajectories import GoalEntries, unpack_trajectories
    from thalweg.planner.storage import bytes_to_arrays, read_file, verify

    verify(folder)
    config = json.loads(read_file(folder, "config.json"))
    trajectories = unpack_trajectories(bytes_to_arrays(read_file(folder, "trajectories.npz")))
    try:
        goal_of = GoalEntries.infer(trajectories)
    except ValueError as error:
        raise UsageError(f"{config['env']}: {error}") from None
    return Run(folder, config, load_agent(folder), goal_of, trajectories, progress)
