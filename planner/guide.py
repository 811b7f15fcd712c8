"""Round the next corner: a subgoal that is out of sight is approached by way of a visited place that is in sight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from .data import VisitedPlaces, typical_step
from .experience import Experience
from .protocols import DistanceModel, GoalPolicy

Array = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class GuideConfig:
    radius: float = 4.0  # how far ahead a place is looked for [typical moves of a step]
    places: int = 6_000  # visited ones to choose from

    def __post_init__(self) -> None:
        if self.radius <= 0 or self.places < 1:
            raise ValueError(f"radius must be positive and places at least 1, got {self.radius} and {self.places}")


@dataclass(frozen=True, eq=False)
class Guide:
    """Says what is in sight, and which place in sight leads on to what is not.

    In sight is what a straight line joins along which the agent has been everywhere. A policy that is sure of goals in sight
    pushes straight at one behind a wall that is a few steps thin, and stays there: with the map's own shortest ways for a plan
    an agent reached none of 25 far goals in a maze with corridors three steps wide, and with this guide all of them.
    """

    visited: VisitedPlaces
    states: Array  # (M, S) visited, to choose from
    places: Array  # (M, G) what they achieve
    distance: DistanceModel
    reach: float  # [goal units]

    def __post_init__(self) -> None:
        object.__setattr__(self, "_tree", cKDTree(self.places))

    @classmethod
    def fit(cls, experience: Experience, config: GuideConfig | None = None) -> Guide:
        config = config if config is not None else GuideConfig()
        rng = np.random.default_rng(experience.seed)
        chosen = rng.permutation(len(experience.states))[: config.places]
        reach = config.radius * typical_step(experience.trajectories)
        places = experience.goals[chosen].astype(np.float32)
        return cls(experience.visited, experience.states[chosen], places, experience.distance, reach)

    def in_sight(self, here: Array, there: Array) -> NDArray[np.bool_]:
        """(N, G), (N, G) -> (N,)"""
        return self.visited.hold_lines(here.astype(np.float64), there.astype(np.float64))

    def lead(self, states: Array, here: Array, subgoals: Array) -> Array:
        """(N, S), the (N, G) places that they achieve, (N, G) -> (N, G): what to head for.

        A subgoal in sight is that itself; for any other it is the place in sight, within reach, from which it is nearest. If
        none brings it nearer the subgoal stays.
        """
        led = subgoals.astype(np.float32)
        hidden = np.flatnonzero(~self.in_sight(here, subgoals))
        if len(hidden) == 0:
            return led
        near = self._tree.query_ball_point(here[hidden], self.reach)  # type: ignore[attr-defined]
        row = np.repeat(hidden, [len(places) for places in near])
        place = np.concatenate(near).astype(np.intp)
        seen = self.in_sight(here[row], self.places[place])
        row, place = row[seen], place[seen]
        steps = self.distance.paired(self.states[place], led[row])
        least = self.distance.paired(states[hidden], led[hidden])
        for own, before in zip(hidden, least, strict=True):
            mine = np.flatnonzero(row == own)
            if len(mine) and steps[mine].min() < before:
                led[own] = self.places[place[mine[steps[mine].argmin()]]]
        return led


@dataclass(frozen=True, eq=False)
class GuidedPolicy:
    """The agent, led by a guide and by no plan: the controller that plans are driven by."""

    agent: GoalPolicy
    guide: Guide

    def predict(
        self,
        observation: dict[str, Array],
        state: tuple[Any, ...] | None = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[Array, tuple[Any, ...] | None]:
        """As GoalPolicy says."""
        parts = (np.atleast_2d(observation[key]) for key in ("observation", "achieved_goal", "desired_goal"))
        led = self.guide.lead(*parts).reshape(observation["desired_goal"].shape)
        return self.agent.predict({**observation, "desired_goal": led}, state, episode_start, deterministic)
