"""Nodes from anywhere in the visited box: what every other sampler must beat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..experience import Experience
from ..fitting import OnStep, ignore

Array = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class BoxSamplerConfig:
    margin: float = 0.05  # on each side, as a share of the visited range

    def __post_init__(self) -> None:
        if self.margin < 0:
            raise ValueError(f"margin must not be negative, got {self.margin}")


@dataclass(frozen=True, eq=False)
class BoxSampler:
    """Uniform over the bounding box of visited states, walls and all; the same for every start and goal. Learns nothing."""

    low: Array  # (S,)
    high: Array  # (S,)
    experience: Experience

    @classmethod
    def fit(cls, experience: Experience, config: BoxSamplerConfig | None = None, on_step: OnStep = ignore) -> BoxSampler:
        config = config if config is not None else BoxSamplerConfig()
        low, high = experience.states.min(axis=0), experience.states.max(axis=0)
        pad = config.margin * (high - low)
        return cls(low - pad, high + pad, experience)

    def sample(self, state: Array, goal: Array, num_samples: int, rng: np.random.Generator) -> Array:
        states = rng.uniform(self.low, self.high, size=(num_samples, len(self.low))).astype(np.float32)
        space, goal_of = self.experience.space, self.experience.goal_of
        return goal_of.lift(space.wrapped(goal_of(states)), states) if space.wraps else states
