"""What a training leaves behind."""

from __future__ import annotations

from .agent import GoalAgent
from .sac import GoalSAC


def trained_agent(model: GoalSAC) -> GoalAgent:
    return GoalAgent(model.policy, model.config.hidden, model.config.discount, model.layout)  # type: ignore[arg-type]
