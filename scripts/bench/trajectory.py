"""`scripts.bench trajectory`: plans by transition energies in the maze of four walls, from random steps alone and from tries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thalweg.scripts.bench.common import SeedsOptions
from thalweg.scripts.cli import progress_bar

if TYPE_CHECKING:
    from thalweg.agents.transitions.learner import TransitionLearner

ENV = "Particle-v0"
_CORNER = {"start": (-0.9, -0.9)}  # where every episode of exploring starts: all else has to be found
_CELLS = 20  # a side, by which it is told where the particle has been
_EVERY = 2_500  # env steps
_GOALS = 100
_TOTAL_STEPS = 20_000


@dataclass(frozen=True, kw_only=True)
class TrajectoryOptions(SeedsOptions):
    pass


def bench_trajectory(options: TrajectoryOptions) -> list[dict[str, Any]]:
    """Success from random transitions alone; success and share of the maze seen when exploring from a corner."""
    import torch

    torch.set_num_threads(1)
    with progress_bar(2 * options.seeds * _TOTAL_STEPS, "env steps", options.progress) as bar:
        learned = [trajectory_learning(seed, _TOTAL_STEPS, bar.update) for seed in range(options.seeds)]
        explored = [trajectory_exploring(seed, _TOTAL_STEPS, bar.update) for seed in range(options.seeds)]
    rows, goals = [], f"share of {_GOALS} goals"
    for i, steps in enumerate(learned[0]["steps"]):
        rows += [
            _row(f"success, {steps:,} random steps", goals, [trial["success"][i] for trial in learned], None),
            _row(f"success, {steps:,} steps explored", goals, [trial["success"][i] for trial in explored], None),
            _row(
                f"seen, {steps:,} steps explored",
                f"share of {_CELLS**2} cells",
                [trial["seen"][i] for trial in explored],
                [trial["seen_at_random"][i] for trial in explored],
            ),
        ]
    return rows


def _row(what: str, unit: str, ours: list[float], peer: list[float] | None) -> dict[str, Any]:
    import numpy as np

    middle, other = float(np.median(ours)), None if peer is None else float(np.median(peer))
    values = {"what": what, "unit": unit, "ours": middle, "peer": other, "ratio": middle / other if other else None}
    return {**values, "against": "random actions", "repeats": {"ours": ours, "peer": peer or []}}


def trajectory_learning(seed: int, total_steps: int, on_step: Callable[[], None] = lambda: None) -> dict[str, list[float]]:
    """Random actions alone, in the env's own episodes; every 2,500 env steps, the success of plans by what they taught.

    `success`: share of the env seeds 0 to 99 whose goal is reached, from their own starts.
    """
    return _measured({"random_share": 1.0}, None, seed, total_steps, on_step)[0]


def trajectory_exploring(seed: int, total_steps: int, on_step: Callable[[], None] = lambda: None) -> dict[str, list[float]]:
    """Plans are tried and learned from, every episode from one corner; every 2,500 env steps, how good it is by then.

    `success` as in `trajectory_learning`. `seen`, `seen_at_random`: share of 20 x 20 cells that were entered by then, by the
    learner and by random actions in the same episodes; a wall's cell counts when its face is touched.
    """
    values, places = _measured({}, _CORNER, seed, total_steps, on_step)
    by_chance = _random_places(total_steps, seed)
    values["seen"] = [seen_share(places[:steps]) for steps in map(int, values["steps"])]
    values["seen_at_random"] = [seen_share(by_chance[:steps]) for steps in map(int, values["steps"])]
    return values


def _measured(
    settings: dict[str, Any],
    start: dict[str, Any] | None,
    seed: int,
    total_steps: int,
    on_step: Callable[[], None],
) -> tuple[dict[str, list[float]], Any]:
    """What a learner of these settings reaches, and the (total_steps, 2) places that it passes."""
    import gymnasium as gym
    import numpy as np

    import thalweg.envs  # noqa: F401 (registers ours)
    from thalweg.agents.transitions.learner import TransitionLearner, TransitionLearnerConfig

    env = gym.make(ENV)
    learner = TransitionLearner(env, TransitionLearnerConfig(**settings), seed)
    places: list[Any] = []
    values: dict[str, list[float]] = {"steps": [], "success": []}

    def on_place(place: Any) -> None:
        places.append(place)
        on_step()
        if len(places) % _EVERY == 0:
            values["steps"].append(len(places))
            values["success"].append(_success(learner, range(_GOALS)))

    learner.learn(total_steps, on_place, start)
    env.close()
    return values, np.array(places)


def _success(learner: TransitionLearner, seeds: range) -> float:
    """Share of the seeds' goals that are reached, without learning."""
    import gymnasium as gym
    import numpy as np

    from thalweg.planner.evaluation.evaluate import evaluate

    rows = [row for seed in seeds for row in evaluate(Driven(learner, seed), lambda index: gym.make(ENV), [seed], ENV, "none")]
    return float(np.mean([row.success for row in rows]))


@dataclass(frozen=True, eq=False)
class Driven:
    """What a learner knows, as a policy for one episode at a time."""

    learner: TransitionLearner
    seed: int  # of what is drawn while planning

    def predict(self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False) -> Any:
        """(1, ...) -> the action (1, A), and the driver, which plans when it is first asked."""
        import numpy as np

        here, goal = observation["achieved_goal"][0], observation["desired_goal"][0]
        driver = state[0] if state is not None else self.learner.driver(here, goal, np.random.default_rng(self.seed))
        return driver.act(here)[None], (driver,)


def seen_share(places: Any) -> float:
    """(N, 2) in [-1, 1] -> share of the 20 x 20 cells that hold one."""
    import numpy as np

    cells = np.clip(((places + 1) / 2 * _CELLS).astype(int), 0, _CELLS - 1)
    return len(np.unique(cells, axis=0)) / _CELLS**2


def _random_places(total_steps: int, seed: int) -> Any:
    """(total_steps, 2), in episodes as the learner's."""
    import gymnasium as gym
    import numpy as np

    env = gym.make(ENV)
    env.action_space.seed(seed)
    places: list[Any] = []
    over = True
    while len(places) < total_steps:
        if over:
            env.reset(seed=None if places else seed, options=_CORNER)
        observation, _, terminated, truncated, _ = env.step(env.action_space.sample())
        places.append(observation["achieved_goal"])
        over = terminated or truncated
    env.close()
    return np.array(places)
