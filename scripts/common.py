"""What all commands share: one clear line on bad input, seeds, envs, and a run folder turned into policies."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

if TYPE_CHECKING:
    from planner.graph_planner import GraphPlanner
    from planner.protocols import GoalPolicy


class UsageError(Exception):
    """Bad input; the message says what, where and how to mend it."""


def run(command: Callable[[Any], None], options: type) -> None:
    """Parse the command line and run; 2 on bad input and 130 on Ctrl-C, with one line and no traceback."""
    parsed: Any = tyro.cli(options, description=sys.modules[command.__module__].__doc__)
    try:
        command(parsed)
    except KeyboardInterrupt as interrupt:
        detail = f": {interrupt}" if str(interrupt) else ""
        print(f"interrupted{detail}", file=sys.stderr)
        raise SystemExit(130) from None
    except Exception as error:
        if not _is_bad_input(error):
            raise
        print("error:", " ".join(str(error).split()), file=sys.stderr)
        raise SystemExit(2) from None


def _is_bad_input(error: Exception) -> bool:
    known = ("UsageError", "DamagedError", "NotFiniteError", "NoPathError", "FloatingPointError", "EnvError")
    return type(error).__name__ in known  # by name: importing them all would import torch for nothing


def parse_seeds(text: str) -> list[int]:
    """`a:b` -> a..b-1; `1,5,9` -> those. UsageError for anything else."""
    try:
        if ":" in text:
            first, end = text.split(":")
            seeds = list(range(int(first), int(end)))
        else:
            seeds = [int(part) for part in text.split(",")]
    except ValueError:
        seeds = []
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise UsageError(f"--seeds {text!r} is not understood; write a:b (a < b) or 1,5,9, none negative, none twice")
    return seeds


def parse_env_kwargs(text: str) -> dict[str, Any]:
    """A JSON object -> keyword arguments of the env. UsageError for anything else."""
    import json

    try:
        kwargs = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"--env-kwargs {text!r} is no JSON ({error}); write for example '{{\"difficulty\": 0.5}}'") from None
    if not isinstance(kwargs, dict):
        raise UsageError(f"--env-kwargs {text!r} must be a JSON object, for example '{{\"difficulty\": 0.5}}'")
    return kwargs


PLANNERS = ("none", "replay", "energy")


@dataclass(frozen=True, eq=False)
class Run:
    """A trained run folder, verified."""

    folder: Path
    config: dict[str, Any]
    agent: Any  # agents.agent.GoalAgent
    goal_of: Any  # planner.data.GoalEntries
    trajectories: list[Any]

    @property
    def env(self) -> str:
        return self.config["env"]

    @property
    def env_kwargs(self) -> dict[str, Any]:
        return parse_env_kwargs(self.config.get("env_kwargs", "{}"))

    def distance(self) -> Any:
        from planner.distances.q_value import QValueDistance, QValueDistanceConfig

        def q_values(states: Any, goals: Any) -> Any:
            return self.agent.q_values(states, self.goal_of(states), goals)

        return QValueDistance(q_values, QValueDistanceConfig(discount=self.agent.discount))

    def energy_model(self) -> Any:
        import json

        from planner.energy.model import EnergyModel
        from planner.storage import bytes_to_tensors, read_file

        tensors = bytes_to_tensors(read_file(self.folder, "energy/model.safetensors"))
        return EnergyModel.from_tensors(tensors, json.loads(read_file(self.folder, "energy/config.json")))

    def planner(self, name: str, num_nodes: int) -> GraphPlanner:
        from planner.graph_planner import GraphPlanner, GraphPlannerConfig
        from planner.samplers.energy import EnergySampler
        from planner.samplers.replay import ReplaySampler

        if name == "energy":
            sampler: Any = EnergySampler.fit(self.trajectories, self.energy_model())
        else:
            sampler = ReplaySampler.fit(self.trajectories)
        return GraphPlanner(sampler, self.distance(), self.goal_of, GraphPlannerConfig(num_nodes=num_nodes))

    def policy(self, name: str, num_nodes: int) -> GoalPolicy:
        from planner.subgoal_policy import SubgoalPolicy, SubgoalPolicyConfig

        if name not in PLANNERS:
            raise UsageError(f"planner {name!r} is unknown; choose from {', '.join(PLANNERS)}")
        if name == "none":
            return self.agent
        planner = self.planner(name, num_nodes)
        return SubgoalPolicy(self.agent, planner, planner.distance, self.goal_of, SubgoalPolicyConfig())


def load_run(folder: Path) -> Run:
    """Read and check a run folder. DamagedError names the file that is missing or altered."""
    import json

    from agents.agent import load_agent
    from planner.data import GoalEntries, unpack_trajectories
    from planner.storage import bytes_to_arrays, read_file, verify

    verify(folder)
    config = json.loads(read_file(folder, "config.json"))
    trajectories = unpack_trajectories(bytes_to_arrays(read_file(folder, "trajectories.npz")))
    try:
        goal_of = GoalEntries.infer(trajectories)
    except ValueError as error:
        raise UsageError(f"{config['env']}: {error}") from None
    return Run(folder, config, load_agent(folder), goal_of, trajectories)
