"""Agents, controllers and logs that come from elsewhere."""

from .collect import collect
from .load import load_foreign
from .policy import goal_policy
from .trajectories import trajectories_of

__all__ = ["collect", "goal_policy", "load_foreign", "trajectories_of"]
