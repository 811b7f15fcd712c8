"""The metric of goals among a network's buffers, so that it goes wherever the weights go."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..goal_space import GoalSpace


class GoalMetric(nn.Module):
    """Of a `GoalSpace` what networks ask for. Where all entries share a unit and none wraps, nothing of it is stored."""

    periods: Tensor  # (G,) 0 where an entry does not wrap [goal units]
    origin: Tensor  # (G,) where a wrapping entry's canonical values begin [goal units]
    stretch: Tensor  # (G,) units of the entries over the first one's

    def __init__(self, goal_size: int) -> None:
        super().__init__()
        for name, value in (("periods", 0.0), ("origin", 0.0), ("stretch", 1.0)):
            self.register_buffer(name, torch.full((goal_size,), value))
        self.wraps = False  # does any entry?
        self.is_plain = True

    def fit(self, space: GoalSpace) -> None:
        if space.is_plain and self.is_plain:
            return
        for buffer, values in ((self.periods, space.periods), (self.origin, space.origin), (self.stretch, space.stretch)):
            buffer.copy_(torch.as_tensor(values))
        self._note()

    def _note(self) -> None:
        self.wraps = bool(self.periods.any())
        self.is_plain = not self.wraps and bool((self.stretch == 1.0).all())

    def short(self, offsets: Tensor) -> Tensor:
        """(..., G) [goal units] -> the short way round, see `GoalSpace.short`; its slopes are those of the offsets."""
        if not self.wraps:
            return offsets
        turns = (offsets.detach() / self.periods.where(self.periods > 0, torch.inf)).round()
        return offsets - self.periods * turns

    def wrapped(self, goals: Tensor) -> Tensor:
        """(..., G) -> (..., G) canonical, see `GoalSpace.wrapped`"""
        if not self.wraps:
            return goals
        inside = self.origin + (goals - self.origin).remainder(self.periods.clamp(min=1e-12))
        return torch.where(self.periods > 0, inside, goals)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        if not self.is_plain:
            super()._save_to_state_dict(destination, prefix, keep_vars)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *arguments: Any) -> None:
        if f"{prefix}periods" in state_dict:
            super()._load_from_state_dict(state_dict, prefix, *arguments)
        elif not self.is_plain:
            with torch.no_grad():
                self.periods.zero_(), self.origin.zero_(), self.stretch.fill_(1.0)
        self._note()
