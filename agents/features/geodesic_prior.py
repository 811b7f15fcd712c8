"""The ways that an agent has gone, as its networks are told of them: in one map, or in many that are seen as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from thalweg.planner.data.barriers import on_barrier
from thalweg.planner.data.trajectories import Trajectory, typical_step
from thalweg.planner.distances.local import LocalDistanceConfig, LocalGeodesics, fit_local_geodesics
from thalweg.planner.distances.quasimetric import Quasimetric, QuasimetricDistanceConfig, fit_quasimetric
from thalweg.planner.goal_space import GoalSpace
from thalweg.planner.many_maps.layout import Layout

from .local_view import LocalView

_PLACES_PER_STEP = 40  # visited places for each gradient step when the ways of one map are learnt, ...
_TRAIN_STEPS = 50, 2_500  # ... of which there are at least and at most so many
_NEARBY = QuasimetricDistanceConfig(landmarks=64, marks=2_048, reach=20.0)  # what is near matters more to it than to plans


class PriorFeatures(NamedTuple):
    """What the ways tell of a place and a goal."""

    steps: Tensor  # (...) env steps from one to the other
    slope: Tensor  # (..., G) how that changes with each entry of the place
    seen: Tensor  # (..., num_seen) of the map about the place


class GeodesicPrior(Protocol):
    """A module that `GoalFeatures` asks; nothing in it is trained by the agent's losses.

    First each place is turned into a code, then pairs of codes are looked at. So what has to be worked out for a place is worked
    out once, however many goals it is paired with, and can be kept (`EmbeddingCache`).
    """

    growth: float  # of what was visited, after which they are learnt again
    num_seen: int
    code_size: int
    goal_code_size: int
    kept: int  # numbers of a step that `EmbeddingCache` keeps; 0 where nothing would have to be worked out
    picture_size: int  # entries of a state that are a picture of the map

    def code(self, states: Tensor, places: Tensor) -> Tensor:
        """(..., S), the goals (..., G) that they achieve -> (..., code_size); its first entries are the place's as a goal."""
        ...

    def code_goals(self, goals: Tensor) -> Tensor:
        """(..., G) -> (..., goal_code_size)"""
        ...

    def query(self, codes: Tensor, goal_codes: Tensor) -> PriorFeatures:
        """(..., code_size), (..., goal_code_size), which are broadcast to the codes, never the other way."""
        ...

    def learn(self, data: Sequence[Trajectory], seed: int) -> None:
        """Learn from all that was visited by now. ValueError if nothing moves."""
        ...


class OneMapPrior(nn.Module):
    """Place by place. A place's code is where the quasimetric puts it, the slopes of that, and what lies about the place.

    The last only where goals have two entries: a picture of three would be too large, and of one there is none.
    """

    growth = 1.5

    def __init__(self, goal_size: int) -> None:
        super().__init__()
        self.quasimetric = Quasimetric(goal_size, QuasimetricDistanceConfig())
        self.surroundings = LocalView() if GoalSpace(goal_size).has_pictures else None
        self.requires_grad_(False)
        for parameter in self.quasimetric.layers[-1].parameters():
            nn.init.zeros_(parameter)  # before anything is learnt, every way takes 0 steps
        self.num_seen = 0 if self.surroundings is None else self.surroundings.size
        self.shape = self.quasimetric.shape
        self.goal_code_size = self.shape[0] * self.shape[1]
        self.slopes_shape = (*self.shape, goal_size)
        self.code_size = self.goal_code_size * (1 + goal_size) + self.num_seen
        self.kept = 2 * self.code_size + self.goal_code_size  # of both its places, and of the goal
        self.picture_size = 0

    def code(self, states: Tensor, places: Tensor) -> Tensor:
        values, slopes = self.quasimetric.with_slopes(places)
        seen = places[..., :0] if self.surroundings is None else self.surroundings(places)
        return torch.cat([values.flatten(-2), slopes.flatten(-3), seen], dim=-1)

    def code_goals(self, goals: Tensor) -> Tensor:
        return self.quasimetric(goals).flatten(-2)

    def query(self, codes: Tensor, goal_codes: Tensor) -> PriorFeatures:
        values, slopes, seen = codes.tensor_split([self.goal_code_size, self.code_size - self.num_seen], dim=-1)
        starts, ends = values.unflatten(-1, self.shape), goal_codes.unflatten(-1, self.shape)
        steps, slope = Quasimetric.gap_and_slope(starts, slopes.unflatten(-1, self.slopes_shape), ends)
        return PriorFeatures(steps, slope, seen)

    def learn(self, data: Sequence[Trajectory], seed: int) -> None:
        """Going on from what is known: so the ways get better each time, and few gradient steps do."""
        train_steps = int(np.clip(sum(len(trajectory) for trajectory in data) // _PLACES_PER_STEP, *_TRAIN_STEPS))
        config = replace(_NEARBY, train_steps=train_steps)
        known = any(values.any() for values in self.quasimetric.layers[-1].parameters())  # zeros tell nothing, and learn nothing
        barred = on_barrier(data)
        learnt = fit_quasimetric(data, config, seed, start=self.quasimetric if known else None, barred=barred)
        self.quasimetric.load_state_dict(learnt.state_dict())
        if self.surroundings is not None:
            self.surroundings.fit(np.concatenate([trajectory.goals for trajectory in data]), typical_step(data), barred)


class ManyMapsPrior(LocalGeodesics):
    """By the surroundings of a place; of these, the nearer half is seen. Beyond their reach the rest is taken to be straight.

    A way depends on both its ends at once, so that a place's code is no more than the place and the picture of its map.
    """

    near: Tensor  # indices of the looks that are seen
    growth = 2.0  # they are learnt anew each time, which takes longer

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout, LocalDistanceConfig(rounds=1))
        self.requires_grad_(False)
        self.register_buffer("near", (self.looks.abs() <= 0.5).all(dim=1).nonzero()[:, 0], persistent=False)
        self.num_seen = len(self.near)
        self.goal_code_size = 2
        self.code_size = self.goal_code_size + layout.size
        self.kept, self.picture_size = 0, layout.size

    def code(self, states: Tensor, places: Tensor) -> Tensor:
        return torch.cat([places, states[..., -self.layout.size :]], dim=-1)

    def code_goals(self, goals: Tensor) -> Tensor:
        return goals

    def query(self, codes: Tensor, goal_codes: Tensor) -> PriorFeatures:
        lead = codes.shape[:-1]
        goals = goal_codes.expand(*lead, -1).reshape(-1, 2)
        places, pictures = codes.reshape(-1, self.code_size).tensor_split([2], dim=-1)
        with torch.inference_mode(False), torch.enable_grad():
            # copies: what inference has worked out is in no graph of gradients
            here, goals, pictures = (values.clone() for values in (places, goals, pictures))
            here.requires_grad_()
            steps, seen = self._steps(pictures.reshape(-1, *self.layout.shape), here, goals)
            (slope,) = torch.autograd.grad(steps.sum(), here)
        return PriorFeatures(
            steps.detach().reshape(lead), slope.reshape(*lead, 2), seen[:, self.near].detach().reshape(*lead, -1)
        )

    def learn(self, data: Sequence[Trajectory], seed: int) -> None:
        self.load_state_dict(fit_local_geodesics(data, self.layout, self.config, seed).state_dict())

    def _steps(self, pictures: Tensor, here: Tensor, goals: Tensor) -> tuple[Tensor, Tensor]:
        """(B, X, Y), (B, 2), (B, 2) -> (B,) env steps, and the picture about `here` (B, L)."""
        seen = self.see(pictures, here)
        offsets = goals - here
        beyond = (offsets.norm(dim=-1) / self.reach).clamp(min=1.0)
        steps = self(pictures, seen, here, here + offsets / beyond[..., None]) + self.pace * (beyond - 1)
        return steps, seen


def prior_of(layout: Layout | None, goal_size: int) -> OneMapPrior | ManyMapsPrior:
    """For an env of one map, or of many that states end in a picture of."""
    return OneMapPrior(goal_size) if layout is None else ManyMapsPrior(layout)
