"""Plan with an agent, or a controller, that was not trained here."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from .agents.env_layout import layout_in, periods_said_by
from .agents.foreign import GoalOf, collect, goal_policy, load_foreign, mark_of, trajectories_of
from .envs.loading import EnvSource, GoalEnvs, as_goal_env
from .envs.trust import remember
from .envs.user_files import load_from_file
from .planner.data.dataset import Dataset
from .planner.data.trajectories import Trajectory, pack_trajectories
from .planner.errors import UsageError
from .planner.many_maps.maps import Maps, maps_of
from .planner.protocols import GoalPolicy
from .planner.run.run import Run
from .planner.storage import arrays_to_bytes, json_to_bytes, named_folder, stored_digests, write_files
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
    goal_of: GoalOf | None = None,
    progress: bool = True,
) -> Run:
    """A run around an agent from elsewhere, which is not trained any further.

    `agent`: a stable-baselines3 model (SAC, TD3, DDPG, TQC), the zip that its `save` wrote (a pickle, so only with
    `trust_pickle`), anything with `predict`, or a function from an observation to an action. `env`: the goal env that it acts in,
    as for `train`. `data`: what to learn distances and energies from: trajectories, logs or a replay buffer, see
    `agents.foreign.trajectories_of`; without it the model's own replay buffer, or, if it has none, `steps` env steps that are
    driven now with noise on the actions. `goal_of`: which goals states (..., S) achieve, where the data does not say.
    `out`: a folder to keep the run in, as for `train`; `thalweg.load(out, env, agent=...)` reads it.

    UsageError for an agent of another env, data without goals, or a zip without trust.
    """
    envs = as_goal_env(env)
    shown = bars if progress else silent
    temporary = tempfile.TemporaryDirectory(prefix="thalweg-") if out is None else None
    folder = Path(temporary.name) if temporary is not None else named_folder(out)
    if (folder / "manifest.json").exists():
        raise UsageError(f"--out {folder} already holds a run; name another folder")
    if steps < 1:
        raise UsageError(f"--steps must be at least 1, got {steps}")
    agent = _read(agent, trust_pickle)
    policy = _fitting(agent, envs)
    maps = _maps_in(envs)
    source = data if data is not None else _replay_of(agent)
    if source is not None:
        trajectories = _as_seen_in(envs, trajectories_of(source, goal_of))
    else:
        with shown("drives to learn from", steps) as on_step:
            trajectories = collect(policy, envs.make, steps, seed, on_step=on_step)
    try:
        dataset = Dataset.of(trajectories, _periods_in(envs))
    except ValueError as error:
        raise UsageError(f"{envs.name}: {error}") from None
    _check_goals(dataset, envs)
    mark = mark_of(agent)
    config = {
        "env": envs.name,
        "env_by_name": envs.by_name,
        "env_kwargs": envs.kwargs_json(),
        "seed": seed,
        "agent": None,
        "agent_from": type(agent).__name__,
        "agent_mark": mark,
    }
    packed = arrays_to_bytes(pack_trajectories(trajectories, dataset.space.periods))
    write_files(folder, {"config.json": json_to_bytes(config), "trajectories.npz": packed})
    if envs.by_name:
        remember(envs.name)
    return Run(
        folder,
        config,
        policy,
        envs,
        dataset,
        maps=maps,
        load_class=load_from_file,
        progress=shown,
        made_of=stored_digests(folder),
        agent_mark=mark,
        _temporary=temporary,
    )


def adopted(agent: Any, envs: GoalEnvs, trust_pickle: bool = False) -> tuple[GoalPolicy, Maps, str]:
    """For `thalweg.load`: an agent from elsewhere as it acts in these envs, their maps, and what tells the agent from others.

    Errors as of `plan_with`.
    """
    agent = _read(agent, trust_pickle)
    return _fitting(agent, envs), _maps_in(envs), mark_of(agent)


def _maps_in(envs: GoalEnvs) -> Maps:
    """Of an agent from elsewhere nobody wrote down how many maps it was trained in: the env says."""
    env = envs.make()
    try:
        return maps_of(layout_in(env))
    except ValueError as error:  # its layout_shape is wrong
        raise UsageError(f"{envs.name}: {error}") from None
    finally:
        env.close()


def _periods_in(envs: GoalEnvs) -> tuple[float, ...] | None:
    """Of goals, as the env says; None where the data tells."""
    env = envs.make()
    try:
        return periods_said_by(env)
    finally:
        env.close()


def _replay_of(agent: Any) -> Any:
    """A model's own replay buffer; None where nothing is in it, as in one that was loaded."""
    replay = getattr(agent, "replay_buffer", None)
    return replay if replay is not None and replay.size() > 0 else None


def _read(agent: Any, trust_pickle: bool) -> Any:
    """A model whose file is named, with or without its .zip."""
    if not isinstance(agent, str | Path):
        return agent
    path = Path(agent)
    return load_foreign(path if path.is_file() else path.with_name(f"{path.name}.zip"), trust_pickle)


def _check_goals(data: Dataset, envs: GoalEnvs) -> None:
    """UsageError unless the goals that the data's states achieve are those that the env says."""
    env = envs.make()
    observation, _ = env.reset(seed=0)
    env.close()
    told, own = data.goal_of(observation["observation"]), observation["achieved_goal"]
    if not np.allclose(told, own, rtol=1e-3, atol=1e-4):
        raise UsageError(
            f"the data is of other goals than {envs.name}: there a state's goal is {own.tolist()}, by the data {told.tolist()}; "
            "give achieved_goal as the env does"
        )


def _fitting(agent: Any, envs: GoalEnvs) -> GoalPolicy:
    """The agent as it acts in these envs, whose observations may begin with the achieved goal where those it knows do not."""
    policy, theirs = goal_policy(agent), getattr(getattr(agent, "policy", agent), "observation_space", None)
    env = envs.make()
    try:
        ours: Any = env.observation_space
        goal_first = bool(env.get_wrapper_attr("goal_is_first"))
        policy = _of_these_spaces(agent, policy, theirs, ours, goal_first, envs.name)
        _check_action(policy, env, type(agent).__name__)
    finally:
        env.close()
    return policy


def _check_action(policy: GoalPolicy, env: Any, name: str) -> None:
    """UsageError for an action of other entries than the env's, which numpy might stretch to fit."""
    observation, _ = env.reset(seed=0)
    batch = {key: np.asarray(observation[key])[None] for key in ("observation", "achieved_goal", "desired_goal")}
    actions = np.asarray(policy.predict(batch, None, np.array([True]), deterministic=True)[0])
    if actions.shape != (1, *env.action_space.shape):
        asked = env.action_space.shape
        raise UsageError(f"the {name} gives actions of shape {actions.shape[1:]}, the env takes {asked}; is it of another env?")


def _of_these_spaces(agent: Any, policy: GoalPolicy, theirs: Any, ours: Any, goal_first: bool, env: str) -> GoalPolicy:
    bare = _WithoutAchieved(policy, ours["achieved_goal"].shape[0]) if goal_first else policy
    if theirs is None:
        return bare
    if not hasattr(theirs, "spaces") or not set(theirs.spaces) >= set(ours.spaces):
        raise UsageError(f"the {type(agent).__name__} was not trained on a goal env: its observations are {theirs}")
    sizes = {key: (theirs[key].shape, ours[key].shape) for key in ours.spaces}
    differ = [key for key, (own, its) in sizes.items() if own != its]
    if goal_first and differ == ["observation"]:
        (own,), (its,) = sizes["observation"]
        if own + ours["achieved_goal"].shape[0] == its:
            return bare
    for key in differ:
        own, its = sizes[key]
        raise UsageError(f"the {type(agent).__name__} is of another env: {key} has shape {own} there, {its} in {env}")
    return policy


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


def _as_seen_in(envs: GoalEnvs, trajectories: list[Trajectory]) -> list[Trajectory]:
    """Logs of an env as it was written, as they would be of these envs. UsageError if they are of another, or not finite."""
    env = envs.make()
    space: Any = env.observation_space
    goal_first = bool(env.get_wrapper_attr("goal_is_first"))
    env.close()
    state_size, goal_size = space["observation"].shape[0], space["achieved_goal"].shape[0]
    seen = []
    for own in trajectories:
        states = own.states
        if goal_first and states.shape[1] + goal_size == state_size:
            states = np.concatenate([own.goals, states], axis=1)
        if own.actions is not None and own.actions.shape[1:] != env.action_space.shape:
            there, here = own.actions.shape[1:], env.action_space.shape
            raise UsageError(f"the data is of another env: actions of shape {there}, {here} in {envs.name}")
        for key, values, size in (("observation", states, state_size), ("achieved_goal", own.goals, goal_size)):
            if values.shape[1] != size:
                raise UsageError(f"the data is of another env: {key}s of {values.shape[1]} entries, {size} in {envs.name}")
            if not np.isfinite(values).all():
                raise UsageError("the data holds values that are not finite; leave those trajectories out")
        seen.append(Trajectory(states, own.goals, own.actions))
    return seen
