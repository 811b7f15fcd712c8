"""Closed loop: follow the plan, advance, replan, time out."""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..goal_space import GoalSpace
from ..plan import NoPathError, Plan
from ..protocols import DistanceModel, GoalPolicy, Planner
from .routes import Route, Routes

Array = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class SubgoalPolicyConfig:
    reach: float = 16.0  # a waypoint is pursued at most this far ahead, when one is that near [env steps]
    arrival: float = 3.0  # a waypoint this near counts as reached: the next one is due however far [env steps]
    look_ahead: int = 3  # waypoints past the current one that may be taken instead
    direct: float = 16.0  # a goal predicted to be nearer is pursued without a plan [env steps]
    patience: float = 2.0  # times the predicted steps before an edge, or the way to the point ahead, counts as failed
    slack: int = 6  # env steps added to that
    shake: float = 0.5  # of the way to a subgoal that is late: the standard deviation by which it is shaken

    def __post_init__(self) -> None:
        if self.reach < 1 or not 0 <= self.direct < math.inf or self.patience <= 0:
            raise ValueError("reach must be at least 1, direct finite and not negative, patience positive")
        if self.shake < 0:
            raise ValueError(f"shake must not be negative, got {self.shake}")
        if self.look_ahead < 1 or self.slack < 0 or not 0 <= self.arrival <= self.reach:
            raise ValueError("look_ahead must be at least 1, slack not negative, arrival between 0 and reach")


@dataclass
class Pursuit:
    """What the policy carries on within one episode; a `PlanRecord` and a `PlanAhead` to those who watch."""

    rng: np.random.Generator
    targets: Array  # (K, G) subgoals, the last one the goal itself
    current: int = 0
    deadline: float = 0.0  # env steps left for the current subgoal
    late: float = 0.0  # the deadline's value at which it has taken what was predicted, and half the slack
    replans: int = -1  # the first plan is not one
    failed_plans: int = 0  # searches that found no path
    plan_ms: list[float] = field(default_factory=list)
    nodes: int = 0
    plan: Plan | None = None
    route: Route | None = None  # along which the plan is driven; without one waypoint by waypoint
    carried: Any = None  # what the agent carries on

    def subgoals_ahead(self) -> Array:
        """(K, G), the goal itself last"""
        return self.targets[self.current :]


@dataclass(frozen=True, eq=False)
class SubgoalPolicy:
    """Hands the agent one subgoal after the other; is itself a GoalPolicy.

    Where there is a route along the plan's links (`Routes`), the subgoal is a point a few steps ahead on it. Where there is
    none, it is the farthest of the next few waypoints within reach, never an earlier one; a waypoint that is reached gives way
    to the next however far that is, or an edge longer than the reach would never begin.

    What takes longer than predicted is tried with a shaken subgoal, since an agent that has come to rest against a corner
    would push against it for ever; what takes far longer leads to a new plan from where the agent is. When no path
    is found the agent heads for the goal itself, along a route if one as long as `direct` leads there, and a new search
    follows at the deadline; `Pursuit.failed_plans` counts those.
    """

    agent: GoalPolicy
    planner: Planner
    distance: DistanceModel
    goal_of: Callable[[Array], Array]  # (..., S) -> (..., G)
    config: SubgoalPolicyConfig
    routes: Routes | None = None  # without them plans are driven waypoint by waypoint
    seed: int = 0
    space: GoalSpace | None = None  # of the goals; without it an entry is as another, and none wraps

    def predict(
        self,
        observation: dict[str, Array],
        state: tuple[Any, ...] | None = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[Array, tuple[Pursuit, ...]]:
        """As GoalPolicy says. An episode's plan depends on its start, its goal and `seed` alone, not on its place in a batch."""
        single = observation["observation"].ndim == 1
        batch = {key: np.atleast_2d(values) for key, values in observation.items()}
        states, goals = batch["observation"], batch["desired_goal"]
        if state is None:
            episode_start = np.ones(len(states), dtype=bool)
        elif episode_start is None:
            episode_start = np.zeros(len(states), dtype=bool)
        pursuits = tuple(
            self._begin(states[i], goals[i]) if state is None or episode_start[i] else state[i] for i in range(len(states))
        )
        for pursuit, here, goal in zip(pursuits, states, goals, strict=True):
            if pursuit.deadline <= 0:
                self._replan(pursuit, here, goal)
            pursuit.deadline -= 1
        self._advance(pursuits, states)
        subgoals = self._subgoals(pursuits, states)
        carried = None if all(pursuit.carried is None for pursuit in pursuits) else tuple(p.carried for p in pursuits)
        heading = {**batch, "desired_goal": subgoals}
        actions, after = self.agent.predict(heading, carried, episode_start, deterministic)
        for row, pursuit in enumerate(pursuits):
            pursuit.carried = None if after is None else after[row]
        return (actions[0] if single else actions), pursuits

    def rng_of(self, state: Array, goal: Array) -> np.random.Generator:
        """(S,), (G,) -> what the first plan of an episode with this start and goal is drawn with."""
        place = zlib.crc32(np.concatenate([state, goal]).astype(np.float32).tobytes())
        return np.random.default_rng([self.seed, place])

    def _begin(self, state: Array, goal: Array) -> Pursuit:
        return Pursuit(self.rng_of(state, goal), goal[None])

    def _subgoals(self, pursuits: tuple[Pursuit, ...], states: Array) -> Array:
        """(B, S) -> (B, G): points ahead on routes, or current waypoints, and shaken where they are late."""
        here = self.goal_of(states)
        targets = [p.targets[p.current] if p.route is None else p.route.point_ahead() for p in pursuits]
        subgoals = np.stack(targets).astype(np.float32)
        for row, pursuit in enumerate(pursuits):
            if pursuit.deadline <= pursuit.late:
                space = self.space if self.space is not None else GoalSpace(subgoals.shape[1])
                way = self.config.shake * space.norms(space.offsets(here[row], subgoals[row])) * space.stretch
                subgoals[row] += way * pursuit.rng.standard_normal(subgoals.shape[1])
                subgoals[row] = space.wrapped(subgoals[row])
        return subgoals

    def _replan(self, pursuit: Pursuit, state: Array, goal: Array) -> None:
        straight = float(self.distance.pairwise(state[None], goal[None])[0, 0])
        pursuit.current, pursuit.targets, pursuit.plan = 0, goal[None], None
        pursuit.replans += 1
        steps = np.array([straight])
        began = time.perf_counter()
        if straight > self.config.direct:
            try:
                pursuit.plan = self.planner.plan(state, goal, pursuit.rng)
                pursuit.targets = np.vstack([self.goal_of(pursuit.plan.waypoints), goal])
                pursuit.nodes, steps = len(pursuit.plan.nodes), pursuit.plan.edge_steps
            except NoPathError:
                pursuit.failed_plans += 1
                steps = np.array([self.config.direct])
        pursuit.route = None
        if self.routes is not None:
            places = np.vstack([self.goal_of(state), pursuit.targets]).astype(np.float64)
            pursuit.route = self.routes.through(places, steps)
        if straight > self.config.direct:
            pursuit.plan_ms.append(1e3 * (time.perf_counter() - began))
        self._allow(pursuit, float(steps[0]) if pursuit.route is None else max(float(steps[0]), pursuit.route.look_ahead))

    def _advance(self, pursuits: tuple[Pursuit, ...], states: Array) -> None:
        others = []
        for row, (pursuit, place) in enumerate(zip(pursuits, self.goal_of(states), strict=True)):
            if pursuit.route is not None:
                self._advance_on(pursuit.route, pursuit, place)
            elif pursuit.current < len(pursuit.targets) - 1:
                others.append(row)
        if others:
            self._advance_by_distance([pursuits[row] for row in others], states[others])

    def _advance_on(self, route: Route, pursuit: Pursuit, place: Array) -> None:
        route.follow(place)
        if route.passed() > pursuit.current:
            pursuit.current = route.passed()
        if route.progressed():
            self._allow(pursuit, route.look_ahead)
        if route.is_over():
            pursuit.deadline = 0

    def _advance_by_distance(self, pursuits: list[Pursuit], states: Array) -> None:
        """Move each on to the farthest of its next waypoints within reach; all are asked about at once."""
        places = [range(p.current, min(p.current + self.config.look_ahead + 1, len(p.targets))) for p in pursuits]
        here = np.repeat(states, [len(own) for own in places], axis=0)
        there = np.concatenate([p.targets[own] for p, own in zip(pursuits, places, strict=True)]).astype(np.float32)
        distances = np.split(self.distance.paired(here, there), np.cumsum([len(own) for own in places])[:-1])
        for pursuit, steps in zip(pursuits, distances, strict=True):
            within = np.flatnonzero(steps <= self.config.reach)
            ahead = within[-1] if len(within) else 0
            if steps[0] <= self.config.arrival:
                ahead = max(ahead, 1)
            if ahead > 0:
                pursuit.current += int(ahead)
                self._allow(pursuit, float(steps[ahead]))

    def _allow(self, pursuit: Pursuit, steps: float) -> None:
        """Set the time for what is predicted to take so many env steps."""
        predicted = min(steps, 2 * self.config.direct)
        pursuit.deadline = self.config.patience * predicted + self.config.slack
        pursuit.late = (self.config.patience - 1) * predicted + self.config.slack / 2
