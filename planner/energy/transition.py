"""How unlikely a step is: the transition energy of arXiv:1909.06878, calibrated."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor, nn

from ..fitting import OnStep, adam, descend, ignore, seeded
from ..networks.mlp import mlp
from ..networks.stored import State, reading
from .config import TransitionConfig
from .losses import info_nce_loss
from .train import check_finite

Array = NDArray[np.floating]

_ASIDE = 2.0  # usual steps: nothing is pretended so near a visited place
_PRETENDED = 2_000  # places that pretended steps start from, before those near visited ones are dropped
_HOPELESS = 12.0  # nats above the usual: so many tries are as good as infinitely many
_REACH = 4.0  # kernel standard deviations: the network sees longer steps as this long, so that the kernel alone tells there


class TransitionEnergy(nn.Module):
    """E(x, x') = -log p(x' | x) [nats], p a density per kernel volume: comparable between all x.

    The kernel q(x' | x) is normal about x, as wide as the observed steps. Negatives are drawn from it, so ranking noise
    contrastive estimation (arXiv:1809.01812, eq. 5) learns f = log q - log p + const(x), and E = f - log q. A small weight on
    (log Z)^2 closes the constant. In Du et al. contrastive divergence leaves energies within +-0.5, which their planner
    multiplies by 10^4; these are nats, and are taken as they are.

    Where nobody has been, steps are as everywhere: a share of the transitions is pretended, from anywhere within the bounds. So
    the unknown may be planned through, and a wall is what was tried and not passed.
    """

    frequencies: Tensor  # (octaves,)
    low: Tensor  # (D,) of the bounds, env units
    high: Tensor  # (D,)
    width: Tensor  # (D,) the kernel's standard deviations, env units
    pace: Tensor  # () a usual step's length [kernel standard deviations]
    usual: Tensor  # () an ordinary step's energy at most [nats]
    limit: Tensor  # () a possible step's energy at most [nats]

    def __init__(self, size: int, config: TransitionConfig) -> None:
        super().__init__()
        self.config = config
        inputs = size * (3 + 4 * config.octaves)
        self.members = nn.ModuleList(mlp(inputs, config.hidden, config.layers, 1) for _ in range(config.members))
        self.register_buffer("frequencies", torch.pi * 2.0 ** torch.arange(config.octaves), persistent=False)
        for name, value in (("low", -1.0), ("high", 1.0), ("width", 1.0)):
            self.register_buffer(name, torch.full((size,), value))
        for name in ("pace", "usual", "limit"):
            self.register_buffer(name, torch.tensor(1.0))

    @classmethod
    def fit(
        cls,
        trajectories: Sequence[Array],
        config: TransitionConfig,
        seed: int,
        on_step: OnStep = ignore,
        bounds: tuple[Array, Array] | None = None,
    ) -> TransitionEnergy:
        """Learn from trajectories (T + 1, D) of places. `bounds`: the least and the greatest place; by default as visited.

        ValueError for non-finite data, or if nothing moves; DivergedError if the loss diverges.
        """
        before, after = transitions_of(trajectories, config.stride)
        with seeded(seed):
            model = cls(before.shape[1], config)
        model._set_units(before, after, bounds)
        model.update(before, after, config.train_steps, seed, on_step)
        return model

    def update(
        self,
        before: Array,
        after: Array,
        train_steps: int,
        seed: int,
        on_step: OnStep = ignore,
        learning_rate: float | None = None,
    ) -> None:
        """Learn on from transitions (N, D) -> (N, D), old and new; units stay. If the loss diverges, parameters stay, too."""
        rate = learning_rate if learning_rate is not None else self.config.learning_rate
        config = replace(self.config, train_steps=train_steps, learning_rate=rate)
        check_finite(before=before, after=after)
        data = torch.as_tensor(np.asarray(before, np.float32)), torch.as_tensor(np.asarray(after, np.float32))
        unseen = torch.as_tensor(self.unseen_places(before, _PRETENDED, np.random.default_rng(seed)))
        learner = copy.deepcopy(self)
        _train(learner, self, *data, unseen, config, seed, on_step)
        self.load_state_dict(learner.state_dict())
        self.requires_grad_(False)
        some = torch.randperm(len(before), generator=torch.Generator().manual_seed(seed))[:10_000]
        energies = self(data[0][some], data[1][some])
        self.usual.fill_(torch.quantile(energies, self.config.ordinary))
        self.limit.fill_(torch.quantile(energies, self.config.likely))

    def state(self) -> State:
        """Weights, and the settings with the number of a place's entries; what `from_state` reads."""
        return self.state_dict(), {**asdict(self.config), "size": len(self.low)}

    @classmethod
    def from_state(cls, tensors: Mapping[str, Tensor], settings: Mapping[str, Any]) -> TransitionEnergy:
        """OtherVersionError where they do not fit."""
        with reading("transition energy"):
            own = dict(settings)
            model = cls(own.pop("size"), TransitionConfig(**own))
            model.load_state_dict(dict(tensors))
        return model.requires_grad_(False)

    def forward(self, before: Tensor, after: Tensor) -> Tensor:
        """(..., D), (..., D) in env units -> (...) energies [nats]."""
        return self.relative(before, after) - self.log_kernel(before, after)

    def relative(self, before: Tensor, after: Tensor) -> Tensor:
        """(..., D), (..., D) -> (...): f, the energy above that of the kernel; of the member that gives most."""
        return self.each(before, after).amax(dim=0)

    def each(self, before: Tensor, after: Tensor) -> Tensor:
        """(..., D), (..., D) -> (M, ...): f by each member."""
        middle = (self.high + self.low) / 2
        places = torch.stack([before, after], dim=-2).sub(middle) / ((self.high - self.low) / 2)  # (..., 2, D)
        phases = (places[..., None] * self.frequencies).flatten(-3)
        moved = ((after - before) / self.width).clamp(-_REACH, _REACH)
        seen = torch.cat([places.flatten(-2), phases.sin(), phases.cos(), moved], dim=-1)
        return torch.stack([member(seen)[..., 0] for member in self.members])

    def log_kernel(self, before: Tensor, after: Tensor) -> Tensor:
        """(..., D), (..., D) -> (...): log q(x' | x), a density per kernel volume (the product of the widths)."""
        moved = (after - before) / self.width
        return -0.5 * (moved.square() + np.log(2 * np.pi)).sum(dim=-1)

    @torch.no_grad()
    def energies(self, before: Array, after: Array) -> Array:
        """(..., D), (..., D) -> (...) energies [nats]."""
        places = (torch.as_tensor(np.asarray(points, np.float32)) for points in (before, after))
        return self(*places).numpy()

    def tries(self, energies: Array) -> Array:
        """(...) -> (...), at least 1: how often a step must be tried. One e times as unlikely as usual takes e times as many."""
        return np.exp(np.clip(energies - float(self.usual), 0.0, _HOPELESS))

    def unseen_places(self, visited: Array, count: int, rng: np.random.Generator) -> Array:
        """(M, D) -> up to `count` places (K, D), anywhere within the bounds but two usual steps from a visited one.

        Those may be unseen because a wall is there: were steps pretended there too, a plan that gets a little way into a wall,
        where the energy is not sharp, would have open country before it.
        """
        width = self.width.numpy()
        places = rng.uniform(self.low.numpy(), self.high.numpy(), (count, len(width))).astype(np.float32)
        gaps = cKDTree(visited / width).query(places / width, distance_upper_bound=_ASIDE * float(self.pace))[0]
        return places[np.isinf(gaps)]

    def _set_units(self, before: Array, after: Array, bounds: tuple[Array, Array] | None) -> None:
        moved = after - before
        if not moved.any():
            raise ValueError("no trajectory moves; there are no steps to learn")
        low, high = bounds if bounds is not None else (before.min(axis=0), before.max(axis=0))
        width = self.config.spread * np.sqrt(np.square(moved).mean(axis=0))
        width = np.maximum(width, 1e-6 * width.max())  # of an entry that never varies
        for name, values in (("low", low), ("high", np.where(high > low, high, low + 1.0)), ("width", width)):
            getattr(self, name).copy_(torch.as_tensor(values))
        self.pace.fill_(_usual_length(np.linalg.norm(moved / width, axis=1)))


def _usual_length(lengths: Array) -> float:
    """(N,), not all 0 -> their upper quartile; of those above 0, where what moves seldom does."""
    return float(np.quantile(lengths, 0.75)) or float(np.quantile(lengths[lengths > 0], 0.75))


def transitions_of(trajectories: Sequence[Array], stride: int) -> tuple[Array, Array]:
    """Trajectories (T + 1, D) -> (N, D), (N, D): all places, and those `stride` env steps later. ValueError if there are none."""
    before = [places[:-stride] for places in trajectories if len(places) > stride]
    after = [places[stride:] for places in trajectories if len(places) > stride]
    if not before:
        raise ValueError(f"no trajectory is {stride} env steps long; there are no transitions to learn from")
    check_finite(places=np.concatenate([*before, *after]))
    return np.concatenate(before), np.concatenate(after)


def _train(
    learner: TransitionEnergy,
    kept: TransitionEnergy,
    before: Tensor,
    after: Tensor,
    unseen: Tensor,
    config: TransitionConfig,
    seed: int,
    on_step: OnStep,
) -> None:
    """Train `learner`; DivergedError, with `kept` as it is, if the loss is no number."""
    generator = torch.Generator().manual_seed(seed)

    def loss(step: int) -> Tensor:
        start, moved = _draw(before, after, unseen, config, generator)
        return transition_loss(learner, start, moved, config, generator)

    optimizer = adam(learner.requires_grad_(True).parameters(), config.learning_rate)
    descend(optimizer, loss, config.train_steps, what="the transition energy", model=kept, on_step=on_step)


def transition_loss(
    model: TransitionEnergy, start: Tensor, moved: Tensor, config: TransitionConfig, generator: torch.Generator
) -> Tensor:
    """(B, D) places and (B, D) the steps made there -> scalar."""
    width = model.width
    aside = config.blur * width * torch.randn(start.shape, generator=generator)
    start, moved = start + aside, moved - aside
    noisy = moved + config.noise * width * torch.randn(moved.shape, generator=generator)
    drawn = width * torch.randn(len(start), config.num_negatives, len(width), generator=generator)
    steps = torch.cat([noisy[:, None], drawn], dim=1)
    relative = model.each(start[:, None].expand_as(steps), start[:, None] + steps)  # log q cancels: E + log q = f
    positive, negative = relative[..., :1], relative[..., 1:]  # (M, B, 1), (M, B, N)
    log_partition = torch.logsumexp(-negative, dim=-1) - np.log(config.num_negatives)
    losses = info_nce_loss(positive, negative)[..., 0] + config.level * log_partition.square()
    return losses.mean(dim=1).sum()


def _draw(
    before: Tensor, after: Tensor, unseen: Tensor, config: TransitionConfig, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Places (B, D) and steps (B, D): observed ones, and those pretended where nobody has been."""
    row = torch.randint(len(before), (config.batch_size,), generator=generator)
    start, moved = before[row], after[row] - before[row]
    if len(unseen) == 0:
        return start, moved
    pretended = torch.rand(len(row), 1, generator=generator) < config.unseen * len(unseen) / _PRETENDED
    anywhere = unseen[torch.randint(len(unseen), (len(row),), generator=generator)]
    return torch.where(pretended, anywhere, start), moved
