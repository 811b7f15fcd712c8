"""The plan of somebody who knows the map: what is left to a planner beyond it, only the agent can mend."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..data.points import resample_by_arc_length
from ..experience import Experience
from ..fitting import OnStep, ignore
from ..plan import NoPathError, Plan

Array = NDArray[np.floating]

_LINKS_PER_EDGE = 2.0  # waypoints lie half as far apart as the agent is sure of


@dataclass(frozen=True, eq=False)
class OraclePlanner:
    """Waypoints at equal spacing along the env's own shortest way; where nobody has been, the nearest visited state instead.

    So they may lie aside of the way, and unevenly, if the agent has seen little: see `Experience.lift`.
    """

    route: Callable[[Array, Array], Array]  # (G,), (G,) -> (K, G) bends of the way, ends included; ValueError without one
    experience: Experience

    @classmethod
    def fit(cls, experience: Experience, config: None = None, on_step: OnStep = ignore) -> OraclePlanner:
        """ValueError if the env does not know its shortest paths."""
        route = experience.world.shortest_path if experience.world is not None else None
        if route is None:
            raise ValueError("the env does not know its shortest paths: there is no oracle for it; leave it out")
        return cls(route, experience)

    @staticmethod
    def usual_config(experience: Experience, num_nodes: int = 100) -> None:
        """There is nothing to set."""

    def plan(self, state: Array, goal: Array, rng: np.random.Generator) -> Plan:
        """(S,), (G,) -> Plan; NoPathError where the map has no way."""
        start = self.experience.goal_of(state)
        try:
            bends = self.route(start, goal)
        except ValueError as error:
            raise NoPathError(f"the map has no way from {start.tolist()} to {goal.tolist()}: {error}") from None
        steps = float(self.experience.distance.paired(state[None], goal[None])[0])
        links = max(1, math.ceil(_LINKS_PER_EDGE * steps / self.experience.sure_edge)) if math.isfinite(steps) else len(bends)
        waypoints = self.experience.lift(resample_by_arc_length(bends, links + 1)[1:-1])
        states = np.vstack([state, waypoints]).astype(np.float32)
        targets = np.vstack([self.experience.goal_of(waypoints), goal]).astype(np.float32)
        chain = np.arange(links + 1)
        return Plan(
            waypoints, self.experience.distance.paired(states, targets), waypoints, np.stack([chain[:-1], chain[1:]], axis=1)
        )
