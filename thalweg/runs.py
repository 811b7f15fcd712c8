"""Run folders: read back into a `Run`, with the env that they were trained in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium as gym

from .agents.agent import load_agent, space_mismatches
from .agents.config import AgentConfig
from .agents.offline.replay import replay_of
from .envs.loading import GoalEnvs, as_goal_env
from .envs.user_files import load_from_file
from .planner.data.dataset import Dataset
from .planner.data.trajectories import unpack_trajectories
from .planner.errors import UsageError
from .planner.protocols import GoalPolicy
from .planner.run.run import Run
from .planner.storage import DamagedError, bytes_to_arrays, read_file, verify
from .progress import bars, silent

EnvSource = str | Callable[..., gym.Env] | gym.Env | GoalEnvs


def load(folder: str | Path, env: EnvSource | None = None, *, agent: GoalPolicy | None = None, progress: bool = True) -> Run:
    """Read and check a run folder.

    `env`: of a run that was trained on a factory or an env object, which no file can hold; of any other it takes the place of the
    env that the run names. `agent`: of a run that `plan_with` made with an agent from elsewhere.

    DamagedError names the file that is missing or altered; UsageError what is missing here.
    """
    folder = Path(folder)
    verify(folder)
    config = stored_config(folder)
    envs = envs_of(folder, config, env)
    try:
        data = Dataset.of(unpack_trajectories(bytes_to_arrays(read_file(folder, "trajectories.npz"))))
    except ValueError as error:
        raise UsageError(f"{envs.name}: {error}") from None
    shown = bars if progress else silent
    if config.get("agent") is None:
        if agent is None:
            raise UsageError(f"{folder} was made with an agent from elsewhere; hand it in: load({str(folder)!r}, agent=...)")
        return Run(folder, config, agent, envs, data, load_class=load_from_file, progress=shown)
    own = load_agent(folder)

    @contextmanager
    def open_replay() -> Iterator[Callable[[int], Any]]:
        settings = {**config["agent"], "hidden": tuple(config["agent"]["hidden"])}
        batch = envs.batch(config["agent"]["num_envs"])
        try:
            yield replay_of(folder, AgentConfig(**settings), batch, config["seed"])
        finally:
            batch.close()

    return Run(
        folder, config, own, envs, data, layout=own.layout, open_replay=open_replay, load_class=load_from_file, progress=shown
    )


def stored_config(folder: Path) -> dict[str, Any]:
    """What a run was made with. DamagedError for anything else."""
    try:
        config = json.loads(read_file(folder, "config.json"))
    except ValueError:
        raise DamagedError(f"{folder}: its config.json is no JSON; restore it from a copy or train the run again") from None
    if not isinstance(config, dict) or not isinstance(config.get("env"), str):
        raise DamagedError(f"{folder}: its config.json names no env; restore it from a copy or train the run again")
    return config


def envs_of(folder: Path, config: dict[str, Any], env: EnvSource | None) -> GoalEnvs:
    """The env of a run: what the caller names, or what the run names."""
    kwargs = json.loads(config.get("env_kwargs", "{}"))
    if env is not None:
        return as_goal_env(env) if isinstance(env, GoalEnvs) else as_goal_env(env, **kwargs)
    if not config.get("env_by_name", True):
        raise UsageError(
            f"{folder} was trained on {config['env']}, an env made in Python, which no file can hold; hand it in: "
            f"thalweg.load({str(folder)!r}, env=...), or --env path/to/file.py:NAME"
        )
    return as_goal_env(config["env"], **kwargs)


def check_env_fits(run: Run) -> None:
    """UsageError if the env that is planned in is not one that the agent can be in."""
    policy = getattr(run.agent, "policy", None)
    stored = getattr(policy, "observation_space", None)
    if stored is None:
        return  # an agent from elsewhere says nothing of it
    env = run.make_env()
    actual = env.observation_space
    env.close()
    mismatches = [line for line in space_mismatches(stored, actual, "observation") if ": shape " in line]
    if run.layout is not None and not mismatches:  # a picture of another area would be looked at in the wrong cells
        mismatches = space_mismatches(stored["desired_goal"], actual["desired_goal"], "desired_goal")
    if mismatches:
        raise UsageError(f"{run.env} with these --env-kwargs is not what the agent was trained in: {'; '.join(mismatches)}")
