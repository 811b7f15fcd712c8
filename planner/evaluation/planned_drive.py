"""One plan and the drive along it: what was promised, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..following.subgoal_policy import SubgoalPolicy
from ..plan import NoPathError, Plan
from ..protocols import PlanRecord
from .episodes import Episode, run_episodes

Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class PlannedDrive:
    plan: Plan
    start: Array  # (G,) achieved goal
    goal: Array  # (G,)
    predicted: float  # env steps from the start straight to the goal
    direct: float  # env steps up to which a goal is pursued without a plan
    episode: Episode  # over

    @property
    def needs_plan(self) -> bool:
        """Whether the goal is far enough that the drive began with the plan."""
        return self.predicted > self.direct

    @property
    def record(self) -> dict[str, int]:
        carried = self.episode.carried
        if not isinstance(carried, PlanRecord):
            return {"replans": 0, "failed_plans": 0}
        return {"replans": max(carried.replans, 0), "failed_plans": carried.failed_plans}

    def __str__(self) -> str:
        """In one line."""
        planned = f"planned {self.plan.total_steps:.0f} steps over {len(self.plan.waypoints)} waypoints"
        if not self.needs_plan:
            near = f"the goal is {self.predicted:.0f} steps away: up to {self.direct:.0f} no plan is needed"
            planned = f"{near} ({planned}, drawn, not followed)"
        if self.episode.success:
            driven = f"reached in {self.episode.steps} steps"
        else:
            short = np.linalg.norm(self.goal - self.episode.trail[-1])
            driven = f"NOT reached after {self.episode.steps} steps ({short:.2g} short)"
        counts = [f"{count} {name.replace('_', ' ')}" for name, count in self.record.items() if count]
        return "; ".join([planned, f"driven: {driven}", *counts])

    def to_json(self) -> dict[str, Any]:
        """What `plan.json` holds of it."""
        return {
            "waypoints": self.plan.waypoints.tolist(),
            "steps": self.plan.edge_steps.tolist(),
            "nodes": self.plan.nodes.tolist(),
            "edges": self.plan.edges.tolist(),
            "env": self.episode.name,
            "seed": self.episode.seed,
            "start": self.start.tolist(),
            "goal": self.goal.tolist(),
            "needs_plan": self.needs_plan,
            "trail": [place.tolist() for place in self.episode.trail],
            "reached": self.episode.success,
            "steps_taken": self.episode.steps,
            **self.record,
        }


def plan_and_drive(
    policy: SubgoalPolicy, episode: Episode, on_step: Callable[[Episode], None] = lambda episode: None
) -> PlannedDrive:
    """Plan from where the episode begins, then drive it to its end.

    The plan is the one that is driven, if the goal is not near enough to do without. `on_step` as in `run_episodes`. NoPathError
    without a path; NotFiniteError at the first number that is not finite.
    """
    state, goal = episode.observation["observation"], episode.observation["desired_goal"]
    start = episode.observation["achieved_goal"]
    predicted = float(policy.distance.pairwise(state[None], goal[None])[0, 0])
    try:
        plan = policy.planner.plan(state, goal, policy.rng_of(state, goal))
    except NoPathError as error:
        apart = "" if np.isfinite(predicted) else "; nobody ever got from there to here, as far as was seen in training"
        raise NoPathError(f"{episode.name} (seed {episode.seed}): {error}{apart}") from None
    run_episodes(policy, [episode], on_step)
    return PlannedDrive(plan, start, goal, predicted, policy.config.direct, episode)
