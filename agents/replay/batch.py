"""A relabelled batch: as it is drawn, and as an update takes it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.floating]


class HerSamples(NamedTuple):
    """SB3's `DictReplayBufferSamples`, and what hindsight knows besides."""

    observations: dict[str, Tensor]
    actions: Tensor
    next_observations: dict[str, Tensor]
    dones: Tensor  # (B, 1)
    rewards: Tensor  # (B, 1)
    realised: Tensor  # (B, 1) env steps in which the goal was reached from here, once; inf where it is not known
    places: Tensor  # (2, B) numbers of the places before and after, see `HerBuffer.shared`
    goal_places: Tensor  # (R,) likewise, of the first goals of each batch, which were achieved; the others may never have been


class Inputs(NamedTuple):
    """A batch, each of whose places is before the step or after it."""

    states: Tensor  # (2, B, S)
    achieved: Tensor  # (2, B, G)
    desired: Tensor  # (B, G)
    actions: Tensor  # (B, A)
    rewards: Tensor  # (B, 1)
    dones: Tensor  # (B, 1)
    realised: Tensor  # (B, 1), places (2, B) and goal_places as in `HerSamples`
    places: Tensor
    goal_places: Tensor

    @classmethod
    def of(cls, samples: HerSamples, batches: int = 1) -> Iterator[Inputs]:
        """Those of each batch."""
        before, after = samples.observations, samples.next_observations
        states, achieved = (torch.stack([before[key], after[key]]) for key in ("observation", "achieved_goal"))
        alone = samples.actions, samples.rewards, samples.dones, samples.realised, samples.places, samples.goal_places
        all_at_once = cls(states, achieved, before["desired_goal"], *alone)
        of_two_places = {"states", "achieved", "places"}
        parts = (values.chunk(batches, dim=int(name in of_two_places)) for name, values in all_at_once._asdict().items())
        return itertools.starmap(cls, zip(*parts, strict=True))
