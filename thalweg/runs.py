"""Run folders: read back into a `Run`, with the env that they were trained in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from gymnasium import spaces

from .agents.agent import GoalAgent, load_agent, space_mismatches
from .agents.config import AgentConfig
from .agents.offline.replay import replay_of
from .envs.loading import EnvSource, GoalEnvs, as_goal_env
from .envs.trust import trusted_env
from .envs.user_files import load_from_file
from .planner.data.dataset import Dataset
from .planner.data.trajectories import stored_periods, unpack_trajectories
from .planner.errors import UsageError
from .planner.many_maps.maps import maps_of
from .planner.progress import say, silent
from .planner.run.run import Run
from .planner.storage import DamagedError, bytes_to_json, read_arrays, read_json, settings_from, stored_digests, verify
from .progress import bars

_MADE_OF = ("trajectories.npz", "checkpoint/policy.safetensors")  # what parts are fitted from


def load(
    folder: str | Path,
    env: EnvSource | None = None,
    *,
    agent: Any = None,
    trust_pickle: bool = False,
    progress: bool = True,
) -> Run:
    """Read and check a run folder.

    `env`: of a run that was trained on a factory or an env object, which no file can hold; of any other it takes the place of the
    env that the run names. `agent`, `trust_pickle`: as for `plan_with`, of a run that this made.

    DamagedError names the file that is missing or altered; UsageError what is missing here; EnvError an env of the run's that is
    a file which was never trained with here.
    """
    folder = Path(folder)
    verify(folder)
    stored = stored_digests(folder)
    made_of = {name: digest for name, digest in stored.items() if name in _MADE_OF}
    config = stored_config(folder)
    envs = envs_of(folder, config, env)
    shown = bars if progress else silent
    try:
        arrays = read_arrays(folder, "trajectories.npz")
        data = Dataset.of(unpack_trajectories(arrays), stored_periods(arrays))
    except ValueError as error:
        raise UsageError(f"{envs.name}: {error}") from None
    if config.get("agent") is None:
        if agent is None:
            raise UsageError(
                f"{folder} was made with an agent from elsewhere; hand it in: thalweg.load({str(folder)!r}"
                f"{'' if config.get('env_by_name', True) else ', env=...'}, agent=...), or --agent FILE.zip"
            )
        from .adoption import adopted
        from .agents.foreign import IN_MEMORY

        policy, maps, mark = adopted(agent, envs, trust_pickle)
        before = str(config.get("agent_mark", mark))
        if before != mark and not before.startswith(IN_MEMORY):
            say(f"{folder} was made with another agent; how long its links may be was measured with that one")
        return Run(
            folder,
            config,
            policy,
            envs,
            data,
            maps=maps,
            load_class=load_from_file,
            progress=shown,
            made_of=made_of,
            agent_mark=mark,
        )
    if agent is not None:
        raise UsageError(f"{folder} holds its own agent; leave --agent out")
    own = load_agent(folder)
    reload = (_loaded_once, (folder, envs.name, envs.kwargs_json())) if envs.by_name else None
    return Run(
        folder,
        config,
        own,
        envs,
        data,
        maps=maps_of(own.layout),
        open_replay=_replay_of(folder, config, envs),
        load_class=load_from_file,
        progress=shown,
        reload=reload,
        made_of=made_of,
    )


@lru_cache(maxsize=4)
def _loaded_once(folder: Path, env: str, env_kwargs: str) -> Run:
    """In a process that was handed a run: all tasks there share what is made of it."""
    torch.set_num_threads(1)
    return load(folder, as_goal_env(env, **json.loads(env_kwargs)), progress=False)


def _replay_of(folder: Path, config: dict[str, Any], envs: GoalEnvs) -> Any:
    @contextmanager
    def open_replay() -> Iterator[Callable[[int], Any]]:
        settings = settings_from(AgentConfig, config["agent"], f"{folder}: agent in config.json")
        batch = envs.batch(settings.num_envs)
        try:
            yield replay_of(folder, settings, batch, config["seed"])
        finally:
            batch.close()

    return open_replay


def stored_config(folder: Path) -> dict[str, Any]:
    """What a run was made with. DamagedError for anything else."""
    config = read_json(folder, "config.json")
    for name, kind in (("env", str), ("seed", int)):
        if not isinstance(config.get(name), kind):
            raise DamagedError(f"{folder}: config.json holds no {name}; restore it from a copy or train the run again")
    return config


def envs_of(folder: Path, config: dict[str, Any], env: EnvSource | None) -> GoalEnvs:
    """The env of a run: what the caller names, or what the run does. EnvError if that is code which was not trained with here."""
    if isinstance(env, GoalEnvs):
        return env
    kwargs = bytes_to_json(str(config.get("env_kwargs", "{}")).encode(), f"{folder}: env_kwargs in config.json")
    if not isinstance(kwargs, dict):
        raise DamagedError(f"{folder}: env_kwargs in config.json is no object; train the run again")
    if env is not None and not isinstance(env, str):
        return as_goal_env(env, **kwargs)
    if env is None and not config.get("env_by_name", True):
        raise UsageError(
            f"{folder} was trained on {config['env']}, an env made in Python, which no file can hold; hand it in: "
            "env=... from Python, --env path/to/file.py:NAME on the command line"
        )
    return as_goal_env(trusted_env(config["env"], folder, env), **kwargs)


def check_env_fits(run: Run) -> None:
    """UsageError if the env that is planned in is not one that the agent can be in."""
    if not isinstance(run.agent, GoalAgent):
        run.make_env().close()  # an agent from elsewhere was held against the env when it was handed in
        return
    stored = run.agent.policy.observation_space
    env = run.make_env()
    actual = env.observation_space
    env.close()
    differences = space_mismatches(stored, actual, "observation")
    mismatches = [line for line in differences if ": shape " in line]
    if run.maps.kind == "many" and not mismatches:  # a picture of another area would be looked at in the wrong cells
        assert isinstance(stored, spaces.Dict)  # for the type checker; the agent's own is one
        mismatches = space_mismatches(stored["desired_goal"], actual["desired_goal"], "desired_goal")
    if mismatches:
        raise UsageError(f"{run.env} with these --env-kwargs is not what the agent was trained in: {'; '.join(mismatches)}")
    if differences:  # it may do there all the same
        say(f"{run.env} is not just the env that the agent was trained in: {'; '.join(differences)}")
