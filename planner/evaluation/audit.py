"""Distances against what is known of them, and the agent on ways as long as one link of a plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ..data.points import spread_points
from ..data.trajectories import GoalEntries, Trajectory
from ..goal_space import GoalSpace
from ..many_maps.layout import Layout
from ..protocols import DistanceModel, GoalPolicy
from .episodes import Episode, run_episodes, spoken_name
from .results import wilson

Array = NDArray[np.floating]

_CANDIDATES = 200  # goals looked at for one drive
_NEXT_TO = 2.0  # env steps at the fastest within which a visited state counts as where the agent is
_PATIENCE, _SLACK = 3.0, 10  # a drive may take so many times its reference, and so many env steps more


@dataclass(frozen=True, eq=False)
class Pairs:
    """States and goals with the env steps from one to the other, as known from elsewhere."""

    states: Array  # (N, S)
    goals: Array  # (N, G)
    steps: Array  # (N,) inf = unreachable


def random_pairs(states: Array, goals: Array, num_pairs: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Random pairs of (N, S) and (M, G), repeated states and goals included -> (num_pairs, S), (num_pairs, G)."""
    return states[rng.integers(len(states), size=num_pairs)], goals[rng.integers(len(goals), size=num_pairs)]


def logged_pairs(trajectories: Sequence[Trajectory], num_pairs: int, rng: np.random.Generator) -> Pairs:
    """Pairs within one trajectory; the steps it took bound the distance from above."""
    parts = []
    for _ in range(num_pairs):
        trajectory = trajectories[int(rng.integers(len(trajectories)))]
        first, last = np.sort(rng.choice(len(trajectory), size=2, replace=False))
        parts.append((trajectory.states[first], trajectory.goals[last], last - first))
    states, goals, steps = zip(*parts, strict=True)
    return Pairs(np.stack(states), np.stack(goals), np.array(steps, dtype=np.float32))


def node_pairs(
    trajectories: Sequence[Trajectory],
    goal_of: GoalEntries,
    num_nodes: int,
    rng: np.random.Generator,
    space: GoalSpace | None = None,
) -> tuple[Array, Array]:
    """All ordered pairs of visited states spread by farthest-point sampling, as a graph's nodes are.

    -> states and goals (N (N - 1), ...). Such nodes sit along walls, where false short edges are; random pairs do not
    show them.
    """
    states = np.concatenate([trajectory.states for trajectory in trajectories])
    nodes = states[spread_points(goal_of(states), num_nodes, 20, rng, space)]
    rows, columns = np.nonzero(~np.eye(len(nodes), dtype=bool))
    return nodes[rows], goal_of(nodes)[columns]


def score(predicted: Array, true: Array, max_edge: float) -> dict[str, float | int | None]:
    """(N,), (N,) env steps -> how well they agree.

    `false_short_edge_rate`: the share of short edges (predicted <= max_edge) that are truly longer than 2 max_edge; None
    without any. Pairs whose true distance is 0 are left out of `median_relative_error`: None where it is infinite, as half
    the pairs are wrongly called unreachable, or wrongly not. `spearman` takes inf as the longest: None of values that are
    all alike. Both are None of no pairs.
    """
    away = true > 0
    with np.errstate(invalid="ignore"):  # inf - inf
        errors = np.abs(predicted[away] - true[away]) / np.where(np.isfinite(true[away]), true[away], 1.0)
    errors = np.where(predicted[away] == true[away], 0.0, errors)  # both unreachable: no error
    median = float(np.median(errors)) if len(errors) else np.inf
    short = predicted <= max_edge
    false = short & (true > 2 * max_edge)
    differ = all(len(np.unique(steps)) > 1 for steps in (predicted, true))
    return {
        "pairs": len(true),
        "spearman": float(stats.spearmanr(predicted, true).statistic) if differ else None,
        "median_relative_error": median if np.isfinite(median) else None,
        "short_edges": int(short.sum()),
        "false_short_edges": int(false.sum()),
        "false_short_edge_rate": float(false.sum() / short.sum()) if short.any() else None,
    }


def triangle_violation_rate(
    distance: DistanceModel, states: Array, goal_of: Callable[[Array], Array], num_triples: int, rng: np.random.Generator
) -> float:
    """The share of random triples with d(a, c) > d(a, b) + d(b, c), by more than rounding (0.1 %)."""
    a, b, c = (states[rng.integers(len(states), size=num_triples)] for _ in range(3))
    around = distance.paired(a, goal_of(b)) + distance.paired(b, goal_of(c))
    return float((distance.paired(a, goal_of(c)) > 1.001 * around).mean())


def worst_edges(predicted: Array, pairs: Pairs, max_edge: float, count: int) -> list[dict[str, Any]]:
    """The short edges that are most wrong, worst first."""
    short = np.flatnonzero(predicted <= max_edge)
    order = short[np.argsort(predicted[short] - pairs.steps[short], kind="stable")][:count]
    return [
        {
            "state": pairs.states[i].tolist(),
            "goal": pairs.goals[i].tolist(),
            "predicted": float(predicted[i]),
            "true": float(pairs.steps[i]) if np.isfinite(pairs.steps[i]) else None,
        }
        for i in order
    ]


@dataclass(frozen=True, eq=False)
class Drives:
    """What the agent made of goals of its own choice of distance, one row per drive."""

    pairs: Pairs  # its steps are the reference: the map's lower bound, or an upper bound from a trajectory
    taken: Array  # (N,) env steps until the goal was reached; inf where it was not, in three times the reference and ten


def near_goals(
    trajectories: Sequence[Trajectory],
    max_steps: int,
    true_steps: Callable[[Array, Array], Array] | None,
    space: GoalSpace | None = None,
) -> Callable[[Array, Array, np.random.Generator], tuple[Array, float]]:
    """How a drive gets its goal: state (S,), its achieved goal (G,), rng -> goal (G,), reference steps in [1, max_steps].

    All distances are wished for alike. Where the truth is known, among visited places; else a place some steps on from the
    visited state that is nearest, so that it can be reached in about so many. Where nothing visited is near there is no
    goal: inf steps.
    """
    places = np.concatenate([trajectory.goals for trajectory in trajectories])
    space = space if space is not None else GoalSpace(places.shape[1])
    moves = np.concatenate([space.norms(space.short(np.diff(trajectory.goals, axis=0))) for trajectory in trajectories])
    longest_move = float(moves.max(initial=0.0))
    reach = max_steps * longest_move
    left = np.concatenate([np.arange(len(trajectory))[::-1] for trajectory in trajectories])  # steps to its end
    moving_on = np.flatnonzero(left > 0)

    def with_truth(state: Array, place: Array, rng: np.random.Generator) -> tuple[Array, float]:
        assert true_steps is not None
        some = places[rng.integers(len(places), size=50 * _CANDIDATES)]
        some = some[space.norms(space.offsets(place, some)) <= reach][:_CANDIDATES]
        if len(some) == 0:
            return place, np.inf
        steps = true_steps(np.repeat(state[None], len(some), axis=0), some)
        steps = np.where((steps >= 1) & (steps <= max_steps), steps, np.inf)
        best = int(np.abs(steps - rng.integers(1, max_steps + 1)).argmin())
        return some[best], float(steps[best])

    def along_a_trajectory(state: Array, place: Array, rng: np.random.Generator) -> tuple[Array, float]:
        some = rng.choice(moving_on, size=50 * _CANDIDATES) if len(moving_on) else moving_on
        gaps = space.norms(space.offsets(place, places[some]))
        if gaps.min(initial=np.inf) > _NEXT_TO * longest_move:
            return place, np.inf
        nearest = some[gaps.argmin()]
        steps = min(int(rng.integers(1, max_steps + 1)), int(left[nearest]))
        return places[nearest + steps], float(steps)

    return along_a_trajectory if true_steps is None else with_truth


def predicted_goals(
    distance: DistanceModel, layout: Layout, max_steps: int
) -> Callable[[Array, Array, np.random.Generator], tuple[Array, float]]:
    """As `near_goals`, where maps are many: anywhere in the state's map, and the reference is what the distance says.

    Little of each map has been visited, and what has been lies where the agent likes to be.
    """

    def choose(state: Array, place: Array, rng: np.random.Generator) -> tuple[Array, float]:
        some = rng.uniform(layout.low, layout.high, (_CANDIDATES, 2)).astype(np.float32)
        steps = distance.paired(np.repeat(state[None], _CANDIDATES, axis=0), some)
        best = int(np.abs(steps - rng.integers(1, max_steps + 1)).argmin())
        return some[best], float(steps[best])

    return choose


def drive(
    policy: GoalPolicy,
    env: Any,
    choose_goal: Callable[[Array, Array, np.random.Generator], tuple[Array, float]],
    num_drives: int,
    seed: int,
    on_done: Callable[[], None] = lambda: None,
) -> Drives:
    """Run the agent from env seeds `seed`, `seed + 1`, ... to goals chosen for each, in any goal env.

    The goal is put into the observation, and reached is what the env's own `compute_reward` says. An episode that ends
    before, since the env's own goal lay on the way, tells nothing and is left out: the next seed takes its place. ValueError
    if hardly any episode can be driven; NotFiniteError at the first number that is not finite.
    """
    rows: list[tuple[Array, Array, float, float]] = []
    first, name = seed, spoken_name(env)
    while len(rows) < num_drives:
        if seed - first > 20 * (num_drives + 10):
            raise ValueError(f"only {len(rows)} of {seed - first} episodes could be driven to a goal near the start")
        rng = np.random.default_rng(seed)
        episode = Episode.begin(env, name, seed)
        seed += 1
        state, place = episode.observation["observation"], episode.observation["achieved_goal"]
        goal, reference = choose_goal(state, place, rng)
        if not np.isfinite(reference):
            continue  # nothing visited lies near
        taken = _drive_one(policy, episode, goal, int(_PATIENCE * reference + _SLACK))
        if taken is not None:
            rows.append((state, goal, reference, taken))
            on_done()
    states, goals, references, taken_steps = zip(*rows, strict=True)
    pairs = Pairs(np.stack(states), np.stack(goals), np.array(references, dtype=np.float32))
    return Drives(pairs, np.array(taken_steps, dtype=np.float32))


class _ToOtherGoal:
    """An env that is under way, but to another goal, within so many env steps."""

    def __init__(self, env: Any, goal: Array, limit: int) -> None:
        self.env, self.goal, self.left = env, goal, limit
        self.ended = False  # by the env itself, short of this goal
        self._reward = env.get_wrapper_attr("compute_reward")

    def step(self, action: Array) -> tuple[dict[str, Array], Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, _ = self.env.step(action)
        reached = bool(self._reward(observation["achieved_goal"][None], self.goal[None], [{}])[0] == 0.0)
        self.ended = not reached and bool(terminated or truncated)
        self.left -= 1
        return {**observation, "desired_goal": self.goal}, reward, reached, self.ended or self.left == 0, {"is_success": reached}


def _drive_one(policy: GoalPolicy, episode: Episode, goal: Array, limit: int) -> float | None:
    """Env steps to the goal, inf if it was not reached within the limit, None if the env ended before."""
    env = _ToOtherGoal(episode.env, goal, limit)
    driven = replace(episode, env=env, observation={**episode.observation, "desired_goal": goal})
    run_episodes(policy, [driven])
    if env.ended:
        return None
    return float(driven.steps) if driven.success else np.inf


def success_by_distance(drives: Drives, width: int, max_steps: int) -> list[dict[str, Any]]:
    """One row per bin of `width` env steps that holds a drive: from, to (included), drives, success and its Wilson interval."""
    rows: list[dict[str, Any]] = []
    for low in range(0, max_steps, width):
        inside = (drives.pairs.steps > low) & (drives.pairs.steps <= low + width)
        if inside.any():
            reached, drives_inside = int(np.isfinite(drives.taken[inside]).sum()), int(inside.sum())
            row = {"from": low + 1, "to": low + width, "drives": drives_inside, "success": reached / drives_inside}
            rows.append({**row, "success_ci": wilson(reached, drives_inside)})
    return rows


def longest_sure_edge(rows: Sequence[dict[str, Any]], success: float = 0.99) -> int:
    """The far end of the last bin before success first falls short; 0 if the first one does."""
    sure = 0
    for row in rows:
        if row["success"] < success:
            break
        sure = int(row["to"])
    return sure


def sure_edge(predicted: Array, reached: NDArray[np.bool_], least: int = 4, most: int = 16, success: float = 0.98) -> int:
    """(N,) predicted env steps of drives and whether they arrived -> how long the links of a plan should be [env steps].

    A plan is a chain: its success is that of a link to the power of their number. So links are as long as drives succeed,
    within reason: below `least` steps a graph of affordable size falls apart, above `most` nothing is gained.
    """
    for length in range(most, least, -1):
        short = predicted <= length
        if short.any() and reached[short].mean() >= success:
            return length
    return least
