"""Agents, controllers and logs that come from elsewhere."""

from .collect import collect
from .load import load_foreign
from .policy import IN_MEMORY, goal_policy, mark_of
from .trajectories import GoalOf, trajectories_of

__all__ = ["IN_MEMORY", "GoalOf", "collect", "goal_policy", "load_foreign", "mark_of", "trajectories_of"]
