"""Plans, tries and learns from what happened: the online loop of arXiv:1909.06878."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from thalweg.planner.energy.config import TransitionConfig
from thalweg.planner.energy.transition import TransitionEnergy
from thalweg.planner.planners.trajectory import TrajectoryPlanner, TrajectoryPlannerConfig

from .inverse_model import InverseModel

Array = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class TransitionLearnerConfig:
    random_steps: int = 1_000  # of random actions, before the first plan [env steps]
    first_updates: int = 600  # of the models, when these are over
    update_every: int = 500  # env steps
    updates: int = 100  # each time
    fresh_every: int = 2_500  # env steps, after which the energy is learned anew, from all that has happened
    fresh_updates: int = 2_000  # each time
    update_rate: float = 3e-3  # the learning rate at which each begins: from higher ones, what is known would suffer
    newest_share: float = 0.3  # of the transitions learned from: those since the last time
    random_share: float = 0.4  # of the actions, later: a step that nobody takes looks like one that cannot be taken
    look_ahead: int = 5  # places of a plan that may be skipped at a time
    patience: int = 12  # env steps without progress along a plan, before there is a new one; twice as many each time
    transitions: TransitionConfig = field(default_factory=TransitionConfig)
    planner: TrajectoryPlannerConfig = field(
        default_factory=lambda: TrajectoryPlannerConfig(restarts=2, perturbations=16, iterations=8)
    )

    def __post_init__(self) -> None:
        for name in (
            "random_steps",
            "first_updates",
            "update_every",
            "updates",
            "fresh_every",
            "fresh_updates",
            "look_ahead",
            "patience",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 <= self.random_share <= 1:
            raise ValueError(f"random_share must lie in [0, 1], got {self.random_share}")
        if not 0 <= self.newest_share < 1:
            raise ValueError(f"newest_share must lie in [0, 1), got {self.newest_share}")
        if self.transitions.stride != 1:
            raise ValueError("a plan is followed step by step: the transitions' stride must be 1")


class TransitionLearner:
    """Learns which steps are possible, and which action makes one, in an env whose state is the place (`achieved_goal`).

    It heads for the goals that the env draws. What lies beyond what it has seen counts as open, so it is tried; where a wall
    stops it, the steps that did not come about are negatives, and the next plan leads elsewhere. Reward is not looked at.
    """

    def __init__(self, env: gym.Env, config: TransitionLearnerConfig, seed: int) -> None:
        """ValueError for an env whose places or actions are not bounded."""
        self.config, self.seed = config, seed
        space: Any = env.observation_space
        self.bounds = space["achieved_goal"].low, space["achieved_goal"].high
        action: Any = env.action_space
        if not all(np.isfinite(edge).all() for edge in (*self.bounds, action.low, action.high)):
            raise ValueError("places and actions must be bounded; give the env's spaces finite bounds")
        self._env, self._rng = env, np.random.default_rng(seed)
        self._inverse = InverseModel(*self.bounds, action.low, action.high, seed)
        self._energy: TransitionEnergy | None = None
        self.before: list[Array] = []
        self.after: list[Array] = []
        self.actions: list[Array] = []

    @property
    def planner(self) -> TrajectoryPlanner:
        """With what has been learned so far. ValueError before the random actions are over."""
        if self._energy is None:
            raise ValueError("nothing has been learned yet; call learn with more steps than random_steps")
        return TrajectoryPlanner(self._energy, np.array(self.before), _same, _same, self.config.planner)

    def learn(self, total_steps: int, on_step: Callable[[Array], None], options: dict[str, Any] | None = None) -> None:
        """Act and learn for `total_steps` env steps; `on_step` is told each place, `options` go to every reset of the env."""
        driver: Driver | None = None
        observation: dict[str, Array] | None = None
        for step in range(total_steps):
            if observation is None:
                observation, _ = self._env.reset(seed=self.seed if step == 0 else None, options=options)
                driver = None
            place = observation["achieved_goal"]
            if self._energy is None or self._rng.random() < self.config.random_share:
                space: Any = self._env.action_space
                action = self._rng.uniform(space.low, space.high).astype(np.float32)
            else:
                driver = driver or self.driver(place, observation["desired_goal"], self._rng)
                action = driver.act(place)
            observation, _, terminated, truncated, _ = self._env.step(action)
            self._remember(place, observation["achieved_goal"], action)
            on_step(observation["achieved_goal"])
            if terminated or truncated:
                observation = None

    def driver(self, place: Array, goal: Array, rng: np.random.Generator) -> Driver:
        """(D,), (D,) -> what acts for one episode."""
        return Driver(self.planner, self._inverse, self.config, place, goal, rng)

    def _remember(self, place: Array, after: Array, action: Array) -> None:
        self.before.append(place)
        self.after.append(after)
        self.actions.append(action)
        count, config = len(self.before), self.config
        if count < config.random_steps:
            return
        if count % config.fresh_every == 0 or self._energy is None:
            self._learn_anew(config.fresh_updates if count >= config.fresh_every else config.first_updates)
        elif count % config.update_every == 0:
            before, reached, actions = (np.array(values)[self._rehearsed(count)] for values in self._happened)
            self._energy.update(before, reached, config.updates, self.seed + count, learning_rate=config.update_rate)
            self._inverse.update(before, reached, actions, config.updates, self.seed + count)

    @property
    def _happened(self) -> tuple[list[Array], list[Array], list[Array]]:
        return self.before, self.after, self.actions

    def _learn_anew(self, updates: int) -> None:
        """From scratch: an energy that goes on from what few steps had taught stays poor, however long it learns.

        By 20,000 random steps, with updates alone, 68 % of 50 goals were reached; by one fit to all of them, all. The same is
        told of classifiers (arXiv:1910.08475).
        """
        before, reached, actions = (np.array(values) for values in self._happened)
        steps = list(np.stack([before, reached], axis=1))
        config = replace(self.config.transitions, train_steps=updates)
        self._energy = TransitionEnergy.fit(steps, config, self.seed, bounds=self.bounds)
        self._inverse.update(before, reached, actions, self.config.first_updates, self.seed + len(before))

    def _rehearsed(self, count: int) -> NDArray[np.intp]:
        """Rows to learn from: all, and the newest so often that they are `newest_share` of the whole.

        How often a place is stepped from does not bear on what steps are likely there; and what a failed plan has shown counts
        for the next one.
        """
        share, newest = self.config.newest_share, min(self.config.update_every, count)
        repeats = round(share / (1 - share) * count / newest) if count > newest else 0
        return np.concatenate([np.arange(count), np.tile(np.arange(count - newest, count), repeats)])


class Driver:
    """Follows a sequence of places to a goal; a new one is planned when progress stops."""

    def __init__(
        self,
        planner: TrajectoryPlanner,
        inverse: InverseModel,
        config: TransitionLearnerConfig,
        place: Array,
        goal: Array,
        rng: np.random.Generator,
    ) -> None:
        self._planner, self._inverse, self._config = planner, inverse, config
        self._goal, self._rng = goal, rng
        self._patience = config.patience
        self._current = self._waited = 0
        self._plan(place)

    def act(self, place: Array) -> Array:
        """(D,) -> (A,)"""
        ahead = self.places[self._current : self._current + self._config.look_ahead + 1]
        passed = int(np.linalg.norm(ahead - place, axis=1).argmin())
        self._current += passed
        self._waited = 0 if passed else self._waited + 1
        if self._waited > self._patience:
            self._plan(place)
            self._patience *= 2
        target = self.places[min(self._current + 1, len(self.places) - 1)]
        return self._inverse.action(place, self._within_a_step(place, target))

    def _plan(self, place: Array) -> None:
        self.places = self._planner.best_sequence(place, self._goal, self._rng).places
        self._current = self._waited = 0

    def _within_a_step(self, place: Array, target: Array) -> Array:
        energy = self._planner.energy
        steps = float(np.linalg.norm((target - place) / energy.width.numpy())) / float(energy.pace)
        return place + (target - place) / max(steps, 1.0)


def _same(places: Array) -> Array:
    return places
