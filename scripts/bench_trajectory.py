"""`scripts.bench trajectory`: plans by transition energies, tried and learnt from, in the maze of four walls."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from scripts.bench_common import tick

if TYPE_CHECKING:
    from agents.transition_learner import TransitionLearner
    from scripts.bench import Options

ENV = "Particle-v0"
_CORNER = (-0.9, -0.9)  # where every episode of learning starts: all else has to be found
_CELLS = 20  # a side, by which it is told where the particle has been
_EVERY = 2_500  # env steps
_GOALS = 100
_TOTAL_STEPS = 20_000


def bench_trajectory(options: Options) -> list[dict[str, Any]]:
    """Success at goals not met in learning, and the share of the maze that has been seen, against random actions."""
    import torch
    from tqdm import tqdm

    torch.set_num_threads(1)
    with tqdm(total=options.seeds * _TOTAL_STEPS, disable=not options.progress) as bar:
        trials = [trajectory_learning(seed, _TOTAL_STEPS, lambda: tick(bar)) for seed in range(options.seeds)]
    rows = []
    for i, steps in enumerate(trials[0]["steps"]):
        for what, ours, peer in (("success", "success", None), ("seen", "seen", "seen_at_random")):
            both = {"ours": [trial[ours][i] for trial in trials], "peer": [trial[peer][i] for trial in trials] if peer else []}
            middle = {who: float(np.median(values)) if values else None for who, values in both.items()}
            ratio = middle["ours"] / middle["peer"] if middle["peer"] else None  # type: ignore[operator]
            unit = "of 100 goals" if peer is None else "of 400 cells"
            rows.append({"what": f"{what} after {steps:,} env steps", "unit": unit, **middle, "ratio": ratio})
            rows[-1] |= {"against": "random actions", "repeats": both}
    return rows


def trajectory_learning(
    seed: int, total_steps: int, on_step: Callable[[], None] = lambda: None, first_goal: int = 0
) -> dict[str, list[float]]:
    """Learn for `total_steps` env steps; every 2,500, how good it is by then.

    `success`: share of the env seeds first_goal to first_goal + 99 whose goal is reached, from their own starts. `seen`,
    `seen_at_random`: share of 20 x 20 cells that were entered by then, walls included, by the learner and by random actions.
    """
    import gymnasium as gym

    import envs  # noqa: F401 (registers ours)
    from agents.transition_learner import TransitionLearner, TransitionLearnerConfig

    env, judge = gym.make(ENV), gym.make(ENV)
    learner = TransitionLearner(env, TransitionLearnerConfig(), seed)
    random_places = _random_places(total_steps, seed)
    places: list[Any] = []
    values: dict[str, list[float]] = {"steps": [], "success": [], "seen": [], "seen_at_random": []}

    def on_place(place: Any) -> None:
        places.append(place)
        on_step()
        if len(places) % _EVERY == 0:
            values["steps"].append(len(places))
            values["success"].append(_success(learner, judge, range(first_goal, first_goal + _GOALS)))
            values["seen"].append(seen_share(np.array(places)))
            values["seen_at_random"].append(seen_share(random_places[: len(places)]))

    learner.learn(total_steps, on_place, {"start": _CORNER})
    return values


def seen_share(places: Any) -> float:
    """(N, 2) in [-1, 1] -> share of the 20 x 20 cells that hold one."""
    cells = np.clip(((places + 1) / 2 * _CELLS).astype(int), 0, _CELLS - 1)
    return len(np.unique(cells, axis=0)) / _CELLS**2


def _random_places(total_steps: int, seed: int) -> Any:
    """(total_steps, 2), in episodes as the learner's."""
    import gymnasium as gym

    env = gym.make(ENV)
    env.action_space.seed(seed)
    places: list[Any] = []
    over = True
    while len(places) < total_steps:
        if over:
            env.reset(seed=seed if not places else None, options={"start": _CORNER})
        observation, _, terminated, truncated, _ = env.step(env.action_space.sample())
        places.append(observation["achieved_goal"])
        over = terminated or truncated
    return np.array(places)


def _success(learner: TransitionLearner, env: Any, seeds: range) -> float:
    """Share of the seeds' goals that are reached, without learning."""
    reached = []
    for seed in seeds:
        observation, _ = env.reset(seed=seed)
        driver = learner.driver(observation["achieved_goal"], observation["desired_goal"], np.random.default_rng(seed))
        over = False
        while not over:
            observation, _, terminated, truncated, _ = env.step(driver.act(observation["achieved_goal"]))
            over = terminated or truncated
        reached.append(terminated)
    return float(np.mean(reached))
