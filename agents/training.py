"""What a training leaves behind: the agent, and the trajectories it has seen."""

from __future__ import annotations

import numpy as np

from planner.data import Trajectory

from .agent import GoalAgent
from .her_buffer import HerBuffer
from .sac import GoalSAC


def trained_agent(model: GoalSAC) -> GoalAgent:
    return GoalAgent(model.policy, model.config.hidden, model.config.discount)  # type: ignore[arg-type]


def stored_trajectories(buffer: HerBuffer) -> list[Trajectory]:
    """The buffer's episodes, cut where they were cut by its end, as trajectories of at least two states."""
    states, goals = buffer.stored("observation"), buffer.stored("achieved_goal")
    trajectories = []
    for env in range(buffer.n_envs):
        for first in np.unique(buffer.first_step[: len(states), env]):
            last = buffer.last_step[first, env]
            if last > first:
                part = slice(first, last + 1)
                trajectories.append(Trajectory(states[part, env].copy(), goals[part, env].copy()))
    return trajectories
