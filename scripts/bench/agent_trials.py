"""Trials of our agent and of stable-baselines3's own SAC + HER: speed, and success while they learn. For `training`."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

import thalweg.envs  # noqa: F401 (registers ours)
from thalweg.scripts.bench.common import success_of

_STORED = 1_000_000  # transitions
_TIMED = 320  # env steps of a measurement of speed
_CHECK_EVERY = 500  # env steps between two looks at the success, whose time does not count
_SOLVED = 0.95
_CURVE = (2_080, 2_160, 2_320, 2_640)  # env steps, multiples of 16; the first 2,000 are random


def training_speed(num_envs: int, repeats: int) -> tuple[list[float], ...]:
    """Env steps per second with one update each, networks 256-256, batches of 256, so many envs side by side, two threads: ours,
    ours with products in bfloat16, the peer."""
    from thalweg.agents.sac.sac import STEPS_IN_A_ROW

    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        in_a_row = max(1, STEPS_IN_A_ROW // num_envs)  # for the peer, too: it is quicker so than with an update after each step
        models = [
            *(_our_agent("PointMass-v0", num_envs, (256, 256), 1.0, 100_000, 0, precision=p) for p in ("float32", "bfloat16")),
            _stock("PointMass-v0", [256, 256], 0, num_envs, in_a_row),
        ]
        speeds: list[list[float]] = [[] for _ in models]
        for model in models:
            model.learn(2_112)  # past the random steps
        for _ in range(repeats):
            for model, own in zip(models, speeds, strict=True):
                began = time.perf_counter()
                model.learn(_TIMED, reset_num_timesteps=False)
                own.append(_TIMED / (time.perf_counter() - began))
        return tuple(speeds)
    finally:
        torch.set_num_threads(threads)


def gpu_speed(repeats: int) -> dict[str, list[float]]:
    """Updates per second on a GPU, eight at a time, batches included: each in two launches, against operation by operation."""
    models = {name: _our_agent("PointMassU-v0", 16, (256, 256), 0.5, 20_000, 0, device="cuda") for name in ("ours", "peer")}
    models["peer"]._sac_update.launch_anew(at_once=False)
    for model in models.values():
        model.learn(4_000)
    speeds = _in_turn({name: partial(model.train, 8, 256) for name, model in models.items()}, repeats, at_once=50)
    return {name: [8 * speed for speed in values] for name, values in speeds.items()}


def sampling_speed(repeats: int) -> tuple[list[float], ...]:
    """Batches of 256 per second out of a million stored transitions in episodes of 50 steps: one at a time, sixteen at once as
    our training with one update per env step draws them, the peer's."""
    ours = _our_agent("PointMass-v0", 16, (8,), 1.0, _STORED - 16, 0).replay_buffer  # which has room for a step of all envs more
    peer: Any = _stock("PointMass-v0", [8], 0, num_envs=16).replay_buffer
    rng = np.random.default_rng(0)
    rows = ours.buffer_size
    starts = (np.arange(rows) // 50 * 50)[:, None].repeat(16, axis=1)
    ends = np.minimum(starts + 49, rows - 1)
    for buffer in (ours, peer):
        for part in (buffer.observations, buffer.next_observations):
            for values in part.values():
                values[:] = rng.uniform(0, 3, values.shape)
        buffer.pos, buffer.full = 0, True
    ours.first_step[:], ours.last_step[:] = starts, ends
    peer.ep_start[:], peer.ep_length[:] = starts, ends - starts + 1
    calls = {"one": lambda: ours.sample(256), "all": lambda: ours.sample(256, batches=16), "peer": lambda: peer.sample(256)}
    speeds = _in_turn(calls, repeats)
    return speeds["one"], [16 * speed for speed in speeds["all"]], speeds["peer"]


def pairwise_speed(repeats: int) -> dict[str, list[float]]:
    """Distances of 1,000 states to 1,000 goals per second: the quasimetric against two critics of 256-256."""
    from thalweg.agents.agent import trained_agent
    from thalweg.planner.data.dataset import Dataset
    from thalweg.planner.data.trajectories import GoalEntries, Trajectory
    from thalweg.planner.distances.q_value import QValueDistance, QValueDistanceConfig
    from thalweg.planner.distances.quasimetric import QuasimetricDistance, QuasimetricDistanceConfig
    from thalweg.planner.experience import Experience

    rng, goal_of = np.random.default_rng(0), GoalEntries((0, 1))
    states = rng.uniform(0, 3, (1_000, 4)).astype(np.float32)
    agent = trained_agent(_our_agent("PointMass-v0", 1, (256, 256), 1.0, 1_000, 0))
    critics = QValueDistance(lambda s, g: agent.q_values(s, goal_of(s), g), QValueDistanceConfig(discount=agent.discount))
    walk = Trajectory(states, goal_of(states))
    metric = QuasimetricDistance.fit(Experience(Dataset([walk], goal_of), seed=0), QuasimetricDistanceConfig(train_steps=1))
    goals = goal_of(states)
    calls = {"ours": lambda: metric.pairwise(states, goals), "peer": lambda: critics.pairwise(states, goals)}
    return _in_turn(calls, repeats, at_once=1)


def time_to_solve(
    env: str, within: float | None, seeds: int, limit: float, on_done: Callable[[], None]
) -> dict[str, list[float]]:
    """Per training seed the seconds of training until 95 % of 100 held-out goals are reached; `limit` where they are not.

    `within`: only goals so many true steps away or nearer. RL Zoo has no settings for such envs; these are its own for
    FetchReach, the nearest of its tasks: networks 64-64, discount 0.95, learning rate 1e-3, four hindsight goals.
    """
    from thalweg.agents.config import AgentConfig

    goals, usual = _goals(env, within), AgentConfig()
    ours = usual.num_envs, usual.hidden, usual.updates_per_step
    seconds: dict[str, list[float]] = {"ours": [], "peer": []}
    for seed in range(seeds):
        for name in seconds:
            agent = _our_agent(env, *ours, 200_000, seed) if name == "ours" else _stock(env, [64, 64], seed)
            seconds[name].append(_solve(agent, env, goals, limit))
            on_done()
    return seconds


def success_while_learning(num_envs: int, seeds: int, on_done: Callable[[], None]) -> dict[int, list[float]]:
    """Env steps -> per training seed the success on `PointMass-v0`, one update per env step whatever the number of envs."""
    goals = _goals("PointMass-v0", None)
    curves: dict[int, list[float]] = {steps: [] for steps in _CURVE}
    for seed in range(seeds):
        agent = _our_agent("PointMass-v0", num_envs, (128, 128), 1.0, max(_CURVE), seed)
        for steps in _CURVE:
            agent.learn(steps - agent.num_timesteps, reset_num_timesteps=False)
            curves[steps].append(success_of(agent, "PointMass-v0", goals))
        on_done()
    return curves


def _our_agent(
    env: str,
    num_envs: int,
    hidden: tuple[int, ...],
    updates: float,
    steps: int,
    seed: int,
    device: str = "cpu",
    precision: Any = "float32",
) -> Any:
    from stable_baselines3.common.logger import Logger

    from thalweg.agents.config import AgentConfig
    from thalweg.agents.sac.sac import GoalSAC
    from thalweg.agents.vec_env import BatchVecEnv
    from thalweg.envs.loading import load_batch

    config = AgentConfig(num_envs=num_envs, hidden=hidden, updates_per_step=updates, precision=precision)
    model = GoalSAC(env=BatchVecEnv(load_batch(env, num_envs)), config=config, total_steps=steps, seed=seed, device=device)
    model.set_logger(Logger(None, []))
    return model


def _stock(env: str, net_arch: list[int], seed: int, num_envs: int = 1, steps_in_a_row: int = 1) -> Any:
    from stable_baselines3 import SAC, HerReplayBuffer
    from stable_baselines3.common.logger import Logger

    from thalweg.agents.vec_env import BatchVecEnv
    from thalweg.envs.loading import load_batch

    model = SAC(
        "MultiInputPolicy",
        BatchVecEnv(load_batch(env, num_envs)),
        learning_rate=1e-3,
        buffer_size=_STORED,
        learning_starts=1_000,
        batch_size=256,
        train_freq=steps_in_a_row,
        gradient_steps=-1,  # one update per env step, however many
        gamma=0.95,
        replay_buffer_class=HerReplayBuffer,
        replay_buffer_kwargs={"n_sampled_goal": 4, "goal_selection_strategy": "future"},
        policy_kwargs={"net_arch": net_arch},
        seed=seed,
        device="cpu",
    )
    model.set_logger(Logger(None, []))
    return model


def _in_turn(calls: dict[str, Callable[[], Any]], repeats: int, at_once: int = 20) -> dict[str, list[float]]:
    """Calls per second of each, `at_once` in a row, in turn."""
    speeds: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(repeats):
        for name, call in calls.items():
            began = time.perf_counter()
            for _ in range(at_once):
                call()
            speeds[name].append(at_once / (time.perf_counter() - began))
    return speeds


def _goals(name: str, within: float | None) -> list[int]:
    """The env seeds of a hundred held-out starts and goals."""
    from thalweg.envs.loading import load_env

    env = load_env(name)
    true_steps = getattr(env.unwrapped, "shortest_steps")  # noqa: B009 (only our worlds have it)
    seeds: list[int] = []
    seed = 20_000
    while len(seeds) < 100:
        observation, _ = env.reset(seed=seed)
        goal = observation["desired_goal"]
        if within is None or true_steps(observation["observation"][None], goal[None])[0] <= within:
            seeds.append(seed)
        seed += 1
    env.close()
    return seeds


def _solve(model: Any, env: str, seeds: list[int], limit: float) -> float:
    seconds = 0.0
    while seconds < limit:
        began = time.perf_counter()
        model.learn(_CHECK_EVERY, reset_num_timesteps=False)
        seconds += time.perf_counter() - began
        if success_of(model, env, seeds) >= _SOLVED:
            return seconds
    return limit
