"""Nodes from the replay buffer, spread by how many steps apart they are (MSS, DHRL arXiv:2210.05150)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..experience import Experience
from ..fitting import OnStep, ignore

Array = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class SpreadSamplerConfig:
    candidates: int = 1_000  # visited states to choose from: a distance is asked once for each pair of them

    def __post_init__(self) -> None:
        if self.candidates < 1:
            raise ValueError(f"candidates must be at least 1, got {self.candidates}")


@dataclass(frozen=True, eq=False)
class SpreadSampler:
    """Visited states far from each other in env steps, so that a few of them reach everywhere; start and goal do not matter.

    Places on two sides of a thin wall are far apart so, and both sides get nodes. Two states are as far apart as the
    shorter way between them says: from a dead end (an ant on its back) all is far, but it is soon reached, and by the
    longer way it would be chosen first of all. Steps are asked for when fitted, so that a draw costs a few ms.
    """

    states: Array  # (C, S)
    steps: Array  # (C, C) env steps, symmetric

    @classmethod
    def fit(cls, experience: Experience, config: SpreadSamplerConfig | None = None, on_step: OnStep = ignore) -> SpreadSampler:
        config = config if config is not None else SpreadSamplerConfig()
        rng = np.random.default_rng(experience.seed)
        clear = experience.clear_states
        states = clear[rng.permutation(len(clear))[: config.candidates]]
        steps = experience.distance.pairwise(states, experience.goal_of(states))
        return cls(states, np.minimum(steps, steps.T))

    def sample(self, state: Array, goal: Array, num_samples: int, rng: np.random.Generator) -> Array:
        """Once every candidate has been chosen they come again, at random."""
        chosen = farthest_apart(self.steps, min(num_samples, len(self.states)), rng)
        again = rng.integers(len(self.states), size=num_samples - len(chosen))
        return self.states[np.concatenate([chosen, again])]


def farthest_apart(steps: Array, num_points: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """(N, N) symmetric distances -> (num_points,) different indices, each the farthest from all before it; a random first.

    inf, what no way joins, is farther than all else: of every island one is chosen before a second of any.
    """
    chosen = np.empty(num_points, dtype=np.intp)
    gaps = np.full(len(steps), np.inf, dtype=steps.dtype)
    for i in range(num_points):
        chosen[i] = rng.integers(len(steps)) if i == 0 else gaps.argmax()
        gaps = np.minimum(gaps, steps[chosen[i]])
        gaps[chosen[i]] = -1.0  # a distance to itself need not be 0, and others may be 0 away
    return chosen
