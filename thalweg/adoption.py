"""Plan with an agent, or a controller, that was not trained here."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from .agents.foreign import collect, goal_policy, load_foreign, trajectories_of
from .envs.loading import EnvSource, GoalEnvs, as_goal_env
from .envs.user_files import load_from_file
from .planner.data.dataset import Dataset
from .planner.data.trajectories import Trajectory, pack_trajectories
from .planner.errors import UsageError
from .planner.protocols import GoalPolicy
from .planner.run.run import Run
from .planner.storage import arrays_to_bytes, json_to_bytes, write_files
from .progress import bars, silent


def plan_with(
    agent: Any,
    env: EnvSource,
    data: Any = None,
    *,
    out: str | Path | None = None,
    steps: int = 10_000,
    seed: int = 0,
    trust_pickle: bool = False,
    progress: bool = True,
) -> Run:
    """A run around an agent from elsewhere, which is not trained any further.

    `agent`: a stable-baselines3 model (SAC, TD3, DDPG, TQC), the zip that its `save` wrote (a pickle, so only with
    `trust_pickle`), anything with `predict`, or a function from an observation to an action. `env`: the goal env that it acts in,
    as for `train`. `data`: what to learn distances and energies from: trajectories, logs or a replay buffer, see
    `agents.foreign.trajectories_of`; without it the model's own replay buffer, or, if it has none, `steps` env steps that are
    driven now with noise on the actions.
    `out`: a folder to keep the run in, as for `train`; `thalweg.load(out, env, agent=...)` reads it.

    UsageError for an agent of another env, data without goals, or a zip without trust.
    """
    envs = as_goal_env(env)
    shown = bars if progress else silent
    if isinstance(agent, str | Path):
        agent = load_foreign(Path(agent), trust_pickle)
    policy, achieved_first = _fitting(agent, envs)
    source = data if data is not None else getattr(agent, "replay_buffer", None)
    if source is not None:
        trajectories = trajectories_of(source)
        if achieved_first:
            trajectories = [_with_achieved_first(trajectory) for trajectory in trajectories]
    else:
        with shown("drives to learn from", steps) as on_step:
            trajectories = collect(policy, envs.make, steps, seed, on_step=on_step)
    try:
        dataset = Dataset.of(trajectories)
    except ValueError as error:
        raise UsageError(f"{envs.name}: {error}") from None
    _check_sizes(dataset, envs)
    temporary = tempfile.TemporaryDirectory(prefix="thalweg-") if out is None else None
    folder = Path(temporary.name if temporary is not None else out)  # type: ignore[arg-type]
    if (folder / "manifest.json").exists():
        raise UsageError(f"{folder} already holds a run; name another folder")
    config = {
        "env": envs.name,
        "env_by_name": envs.by_name,
        "env_kwargs": json.dumps(envs.kwargs),
        "seed": seed,
        "agent": None,
        "agent_from": type(agent).__name__,
    }
    write_files(
        folder,
        {"config.json": json_to_bytes(config), "trajectories.npz": arrays_to_bytes(pack_trajectories(trajectories))},
    )
    return Run(folder, config, policy, envs, dataset, load_class=load_from_file, progress=shown, _temporary=temporary)


def adopted(agent: Any, envs: GoalEnvs) -> GoalPolicy:
    """An agent from elsewhere, as it acts in the envs of `thalweg.load`."""
    return _fitting(agent, envs)[0]


def _fitting(agent: Any, envs: GoalEnvs) -> tuple[GoalPolicy, bool]:
    """The agent as a GoalPolicy, and whether envs here put the achieved goal before the observations that it knows."""
    policy = goal_policy(agent)
    theirs = getattr(agent, "observation_space", None)
    if theirs is None:
        return policy, False
    env = envs.make()
    ours: Any = env.observation_space
    env.close()
    if not hasattr(theirs, "spaces") or "desired_goal" not in theirs.spaces:
        raise UsageError(f"the {type(agent).__name__} was not trained on a goal env: its observations are {theirs}")
    sizes = {key: (theirs[key].shape, ours[key].shape) for key in ("observation", "achieved_goal", "desired_goal")}
    size = ours["achieved_goal"].shape[0]
    if sizes["observation"][1] == (sizes["observation"][0][0] + size,) and sizes["desired_goal"][0] == sizes["desired_goal"][1]:
        return _WithoutAchieved(policy, size), True
    for key, (own, its) in sizes.items():
        if own != its:
            raise UsageError(f"the {type(agent).__name__} is of another env: {key} has shape {own} there, {its} in {envs.name}")
    return policy, False


class _WithoutAchieved:
    """Takes the achieved goal off again that `GoalEnvAdapter` has put in front of the observation."""

    def __init__(self, policy: GoalPolicy, size: int) -> None:
        self._policy, self._size = policy, size
        self.discount = getattr(policy, "discount", None)

    def predict(self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False) -> Any:
        bare = {**observation, "observation": observation["observation"][..., self._size :]}
        return self._policy.predict(bare, state, episode_start, deterministic)

    def q_values(self, states: Any, achieved: Any, goals: Any) -> Any:
        return self._policy.q_values(states[:, self._size :], achieved, goals)  # type: ignore[attr-defined]


def _with_achieved_first(trajectory: Trajectory) -> Trajectory:
    states = np.concatenate([trajectory.goals, trajectory.states], axis=1)
    return Trajectory(states, trajectory.goals, trajectory.actions)


def _check_sizes(data: Dataset, envs: GoalEnvs) -> None:
    env = envs.make()
    space: Any = env.observation_space
    env.close()
    for key, values in (("observation", data.states), ("achieved_goal", data.goals)):
        if values.shape[1:] != space[key].shape:
            raise UsageError(
                f"the data is of another env: its {key}s have shape {values.shape[1:]}, those of {envs.name} {space[key].shape}"
            )
    if not (np.isfinite(data.states).all() and np.isfinite(data.goals).all()):
        raise UsageError("the data holds values that are not finite; leave those trajectories out")
