"""Shortest ways over all that was visited, made into a metric that a network can tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..data.trajectories import Trajectory
from ..experience import Experience
from ..fitting import OnStep, adam, descend, ignore, seeded
from ..graph.visited_graph import visited_graph
from ..networks.place_features import FourierFeatures, GridFeatures
from ..networks.stored import State, reading, with_sizes
from .batching import in_parts
from .geodesic_pairs import GeodesicPairs

Array = NDArray[np.floating]

_FOR_EACH = 4  # places that a mark and a landmark of a gradient step are paired with
_NEAR = 4.0  # env steps: errors of nearer pairs count as if they were so far apart
_AT_ONCE = 2**18  # numbers of a distance matrix's differences: bounds memory, and stays within a core's cache


@dataclass(frozen=True, kw_only=True)
class QuasimetricDistanceConfig:
    hidden: int = 128
    groups: int = 16  # the distance is the largest of so many ...
    entries: int = 8  # ... one-sided city-block distances over so many entries
    waves: int = 128  # of `FourierFeatures`
    features: int = 8  # of each of the `GridFeatures`
    landmarks: int = 128  # visited places from and to which shortest ways through all others are searched, at most ...
    marks: int = 1_024  # ... and ways to and from what is within `reach`
    reach: float = 60.0  # env steps; beyond a link of a plan, so that what is behind a wall is told from what is near
    train_steps: int = 6_000  # at most: few places are learnt sooner
    batch_size: int = 256  # places of a gradient step, each in two pairs; rounded down to a multiple of 8, but not to 0
    learning_rate: float = 4e-3

    def __post_init__(self) -> None:
        for name in ("hidden", "groups", "entries", "waves", "features", "landmarks", "marks", "train_steps", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.learning_rate <= 0 or self.reach <= 0:
            raise ValueError(f"learning_rate and reach must be positive, got {self.learning_rate} and {self.reach}")

    def steps_for(self, num_places: int) -> int:
        """Gradient steps in which so many visited places are learnt."""
        return min(self.train_steps, 100 + num_places // 10)


class Quasimetric(nn.Module):
    """(..., G) places -> (..., groups, entries), such that `gap` of two of these is a distance."""

    def __init__(self, goal_size: int, config: QuasimetricDistanceConfig) -> None:
        super().__init__()
        self.shape = config.groups, config.entries
        self.waves = FourierFeatures(goal_size, config.waves)
        self.grids = GridFeatures(goal_size, config.features)
        self.layers = nn.Sequential(
            nn.Linear(self.waves.size + self.grids.size, config.hidden),
            nn.SiLU(),
            nn.Linear(config.hidden, config.hidden),
            nn.SiLU(),
            nn.Linear(config.hidden, config.groups * config.entries),
        )

    def forward(self, places: Tensor) -> Tensor:
        return self.layers(torch.cat([self.waves(places), self.grids(places)], dim=-1)).unflatten(-1, self.shape)

    def fit(self, places: Array, step_length: float) -> None:
        """Set where visited places (N, G) lie, for a typical step [goal units]."""
        self.waves.fit(places, step_length)
        self.grids.fit(places, step_length)

    @torch.no_grad()
    def with_slopes(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """(..., G) -> what `forward` gives, and how that changes with each entry of a place (..., groups, entries, G).

        Forward-mode differentiation: all directions are carried along with the values, and there is no graph of gradients.
        """
        waves, (grids, grid_slopes) = self.waves(places), self.grids.with_slopes(places)
        slopes = torch.cat([self.waves.slopes(waves), grid_slopes], dim=-1)  # (..., G, features)
        values = torch.cat([waves, grids], dim=-1)
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                slopes = slopes @ layer.weight.T
            else:
                slopes = torch.ops.aten.silu_backward(slopes, values[..., None, :].expand_as(slopes))
            values = layer(values)
        return values.unflatten(-1, self.shape), slopes.mT.unflatten(-2, self.shape)

    @staticmethod
    def gap(starts: Tensor, ends: Tensor) -> Tensor:
        """(..., groups, entries), (..., groups, entries) -> (...) env steps"""
        return Quasimetric._of_groups(starts, ends)[1].amax(dim=-1)

    @staticmethod
    def gap_and_slope(starts: Tensor, slopes: Tensor, ends: Tensor) -> tuple[Tensor, Tensor]:
        """As `gap`, and how it changes with each entry of the first place (..., G); `slopes` (..., groups, entries, G)."""
        ahead, of_groups = Quasimetric._of_groups(starts, ends)
        steps, group = of_groups.max(dim=-1)
        chosen = torch.arange(group.numel(), device=group.device), group.reshape(-1)
        counted = (ahead.reshape(-1, *ahead.shape[-2:])[chosen] > 0).to(slopes.dtype)  # (N, entries)
        slope = counted[:, None] @ slopes.reshape(-1, *slopes.shape[-3:])[chosen]  # (N, 1, G)
        return steps, slope.reshape(*group.shape, slopes.shape[-1])

    @staticmethod
    def _of_groups(starts: Tensor, ends: Tensor) -> tuple[Tensor, Tensor]:
        """One-sided differences (..., groups, entries), and their sums (..., groups)."""
        ahead = (starts - ends).relu_()  # fresh memory for another result would take longer than the arithmetic
        return ahead, ahead @ ahead.new_ones(ahead.shape[-1])  # a product is quicker than a sum of so few


@dataclass(frozen=True, eq=False)
class QuasimetricDistance:
    """d(s, g) = max_k sum_m relu(e_km(goal_of(s)) - e_km(g)): directed, and never longer than a way round by a third place.

    Each group of entries obeys the triangle inequality, and so does their maximum; with one entry per group and enough
    groups any quasimetric can be written so (each group is then the distance to one place). A state is embedded once, so
    N x N distances cost N + N network passes. It knows places, not velocities: of a state it sees what goal it achieves.

    What it learns (`visited_graph`) is measured, not bootstrapped: nothing in it can be a wormhole unless two places no
    more than a step apart have a wall between them. So it tells what a critic is worst at, which far pairs look near.
    """

    network: Quasimetric
    goal_of: Callable[[Array], Array]  # (..., S) -> (..., G)
    config: QuasimetricDistanceConfig

    @classmethod
    def fit(
        cls, experience: Experience, config: QuasimetricDistanceConfig | None = None, on_step: OnStep = ignore
    ) -> QuasimetricDistance:
        """ValueError if nothing moves; DivergedError if the loss diverges."""
        config = config if config is not None else QuasimetricDistanceConfig()
        network = fit_quasimetric(experience.trajectories, config, experience.seed, on_step, barred=experience.data.on_barrier)
        return cls(network, experience.goal_of, config)

    @classmethod
    def steps_to_fit(cls, experience: Experience, config: QuasimetricDistanceConfig | None = None) -> int:
        """Gradient steps of `fit`: how often it calls `on_step`."""
        return (config if config is not None else QuasimetricDistanceConfig()).steps_for(experience.data.num_states)

    @torch.inference_mode()
    def pairwise(self, states: Array, goals: Array) -> Array:
        """(N, S), (M, G) -> (N, M) env steps, at least 1."""
        starts, ends = self._embed(states, goals)
        rows = max(_AT_ONCE // max(ends.numel(), 1), 1)
        steps = [self.network.gap(part[:, None], ends) for part in starts.split(rows)]
        return torch.cat(steps).clamp(min=1.0).numpy()

    def paired(self, states: Array, goals: Array) -> Array:
        """(B, S), (B, G) -> (B,)"""
        return in_parts(self._paired, states, goals)

    @torch.inference_mode()
    def _paired(self, states: Array, goals: Array) -> Array:
        return self.network.gap(*self._embed(states, goals)).clamp(min=1.0).numpy()

    def _embed(self, states: Array, goals: Array) -> Sequence[Tensor]:
        """(N, S), (M, G) -> (N, groups, entries), (M, groups, entries) in one pass: of few places it takes as long as of many.

        A graph asks about start and nodes to nodes and goal: the nodes are embedded once.
        """
        starts = self.goal_of(states)
        if len(goals) and np.array_equal(starts[1:], goals[:-1]):
            embedded = self.network(torch.as_tensor(np.concatenate([starts, goals[-1:]]), dtype=torch.float32))
            return embedded[:-1], embedded[1:]
        places = torch.as_tensor(np.concatenate([starts, goals]), dtype=torch.float32)
        return self.network(places).split([len(states), len(goals)])

    def state(self) -> State:
        """Weights, and the settings with the size of a goal; what `from_state` reads."""
        return self.network.state_dict(), {**asdict(self.config), "goal_size": len(self.network.waves.low)}

    @classmethod
    def from_state(
        cls, tensors: Mapping[str, Tensor], settings: Mapping[str, Any], experience: Experience
    ) -> QuasimetricDistance:
        """OtherVersionError where they do not fit."""
        with reading("quasimetric distance"):
            own, sizes = with_sizes(settings, goal_size=experience.goals.shape[1])
            config = QuasimetricDistanceConfig(**own)
            network = Quasimetric(sizes["goal_size"], config)
            network.load_state_dict(dict(tensors))
        return cls(network.eval().requires_grad_(False), experience.goal_of, config)


def fit_quasimetric(
    data: Sequence[Trajectory],
    config: QuasimetricDistanceConfig,
    seed: int,
    on_step: OnStep = ignore,
    start: Quasimetric | None = None,
    barred: NDArray[np.bool_] | None = None,
) -> Quasimetric:
    """Learn the ways over all visited places, from random weights or from those of `start`; `barred`: see `visited_graph`.

    ValueError if nothing moves; DivergedError if the loss diverges.
    Where what was visited has grown beyond what `start` sees, all it knows is moved: still nearer than random weights.
    """
    rng = np.random.default_rng(seed)
    places = np.concatenate([trajectory.goals for trajectory in data])
    graph, step_length = visited_graph(data, barred=barred)
    ways = GeodesicPairs.search(graph, places, config.landmarks, config.marks, config.reach, rng, barred)
    with seeded(seed):
        network = Quasimetric(places.shape[1], config)
    if start is not None:
        network.load_state_dict(start.state_dict())
    if start is None or not start.grids.contains(places):
        network.fit(places, step_length)
    _train(network, places, ways, config, rng, on_step)
    return network.eval().requires_grad_(False)


def _train(
    network: Quasimetric,
    places: Array,
    ways: GeodesicPairs,
    config: QuasimetricDistanceConfig,
    rng: np.random.Generator,
    on_step: OnStep,
) -> None:
    """Relative errors count, a near pair's as much as a far one's.

    Half the pairs are near ones: without these, far pairs come to look near. A place is embedded once for a near pair and a far.
    Pairs that no way joins are left out. To have them look far instead was tried: places that nobody happened to connect then
    lie far from their neighbours, too, and in a maze of 15 cells as many goals were lost as were won.
    """
    points = torch.as_tensor(places.astype(np.float32))
    half = max(config.batch_size // (2 * _FOR_EACH), 1)  # of the rows of a step: ways from, and ways to

    def loss(step: int) -> Tensor:
        drawn, steps = ways.draw(half, _FOR_EACH, rng)
        embedded = network(points[drawn])  # (2 half, 2 + _FOR_EACH, groups, entries)
        marks, others = embedded[:, :2, None], embedded[:, None, 2:]
        gaps = torch.cat([network.gap(marks[:half], others[:half]), network.gap(others[half:], marks[half:])])
        true = torch.as_tensor(steps)
        joined = true.isfinite()
        errors = (gaps[joined] - true[joined]) / (true[joined] + _NEAR)
        return torch.nn.functional.smooth_l1_loss(errors, torch.zeros_like(errors), beta=0.1)

    optimizer = adam(network.parameters(), config.learning_rate)
    descend(optimizer, loss, config.steps_for(len(places)), what="the quasimetric distance", on_step=on_step)
