"""Nodes from the visited states that lie on no long way round (informed sampling, Gammell et al., arXiv:1404.2334)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..experience import Experience
from ..fitting import OnStep, ignore

Array = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class EllipseSamplerConfig:
    slack: float = 0.25  # a way through a node may be longer than the shortest by this share
    candidates: int = 2_000  # visited states looked at per draw: each costs two distances

    def __post_init__(self) -> None:
        if self.slack < 0 or self.candidates < 1:
            raise ValueError(f"slack must not be negative and candidates at least 1, got {self.slack} and {self.candidates}")


@dataclass(frozen=True, eq=False)
class EllipseSampler:
    """Visited states x with d(start, x) + d(x, goal) <= (1 + slack) d(start, goal), uniformly.

    In a straight-line distance these fill an ellipse about start and goal; in a learned one they lie along the way round the
    walls. Learns nothing beyond the distance. The slack must cover that distance's errors, too: a pessimistic ensemble knows
    near pairs only, so in the U world a way cut in two halves looked 15 to 20 % longer than in one, and with a slack of 0.1
    no node lay mid-way.
    """

    experience: Experience
    config: EllipseSamplerConfig = field(default_factory=EllipseSamplerConfig)

    @classmethod
    def fit(cls, experience: Experience, config: EllipseSamplerConfig | None = None, on_step: OnStep = ignore) -> EllipseSampler:
        return cls(experience, config if config is not None else EllipseSamplerConfig())

    def sample(self, state: Array, goal: Array, num_samples: int, rng: np.random.Generator) -> Array:
        """If fewer lie within the bound than are asked for, those of the shortest ways.

        The shortest way is the shorter of what the distance says outright and of the best through a candidate: the
        distance may call the goal unreachable, or farther than by a way round, only because it is far.
        """
        experience, distance = self.experience, self.experience.distance
        clear = experience.clear_states
        states = clear[rng.choice(len(clear), min(self.config.candidates, len(clear)), replace=False)]
        goals = experience.goal_of(states)
        ways = distance.pairwise(state[None], goals)[0] + distance.pairwise(states, goal[None])[:, 0]
        shortest = min(distance.paired(state[None], goal[None])[0], ways.min())
        return states[within_or_best(ways, (1 + self.config.slack) * shortest, num_samples, rng)]


def within_or_best(costs: Array, bound: float, num_samples: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """(N,) -> (num_samples,) indices of costs within the bound at random, or the least if these are too few.

    Indices repeat only where N itself is fewer.
    """
    within = np.flatnonzero(costs <= bound)
    if len(within) >= num_samples:
        return rng.choice(within, num_samples, replace=False)
    least = np.argsort(costs, kind="stable")
    return least[np.arange(num_samples) % len(least)]
