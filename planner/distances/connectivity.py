"""How well two places are connected, by a score learnt against imagined nodes (HTM, arXiv:2002.12336)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..energy.model import generator_from
from ..experience import Experience
from ..fitting import OnStep, adam, counted_on, descend, ignore, seeded
from ..networks.mlp import mlp
from ..networks.place_features import FourierFeatures
from ..networks.stored import State, reading
from ..samplers.cvae import CvaeSampler
from ..samplers.cvae_networks import CvaeConfig
from .batching import tensor_of

Array = NDArray[np.floating]

_NODES = 20_000  # imagined or visited, before training, which draws from them
_TRIES = 64  # nodes among which one nearby is looked for
_MEASURED = 4_096  # pairs by which a weight is told in steps
_STRAIGHT = 0.9  # quantile of their weights: those that get far in so many steps; the rest explore


@dataclass(frozen=True, kw_only=True)
class ConnectivityDistanceConfig:
    within: int = 16  # env steps: places that a trajectory joins so soon are connected
    negatives: int = 50  # per anchor, beside the places that others of its batch reach
    hidden: int = 128
    entries: int = 32  # of the two embeddings
    waves: int = 64  # of `FourierFeatures`
    train_steps: int = 1_500
    batch_size: int = 64  # anchors
    learning_rate: float = 2e-3  # falls to 0 along a cosine
    sampler: CvaeConfig = field(default_factory=CvaeConfig)  # of the one that imagines nodes

    def __post_init__(self) -> None:
        for name in ("within", "negatives", "hidden", "entries", "waves", "train_steps", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.learning_rate <= 0:
            raise ValueError(f"learning_rate must be positive, got {self.learning_rate}")


class Connectivity(nn.Module):
    """f(x, y) = bias(y) - |a(x) - b(y)|^2: high where y is soon reached from x. Two embeddings, so it may be one-way."""

    log_weights: Tensor  # (within,): of places 1, 2, ... env steps apart, never falling

    def __init__(self, goal_size: int, config: ConnectivityDistanceConfig) -> None:
        super().__init__()
        self.places = FourierFeatures(goal_size, config.waves)
        self.leave = mlp(self.places.size, config.hidden, 2, config.entries)
        self.arrive = mlp(self.places.size, config.hidden, 2, config.entries + 1)
        self.register_buffer("log_weights", torch.zeros(config.within))

    def score(self, starts: Tensor, ends: Tensor) -> Tensor:
        """(..., N, G), (..., M, G) -> (..., N, M)"""
        left, arrived = self.leave(self.places(starts)), self.arrive(self.places(ends))
        to, bias = arrived[..., :-1], arrived[..., -1]
        gaps = (left**2).sum(dim=-1)[..., None] + (to**2).sum(dim=-1)[..., None, :] - 2 * left @ to.mT
        return bias[..., None, :] - gaps

    def log_weight(self, starts: Tensor, ends: Tensor) -> Tensor:
        """(..., N, G), (..., M, G) -> (..., N, M): how much lower than f(x, x) f(x, y) is [nats]."""
        stay = self.score(starts[..., None, :], starts[..., None, :])[..., 0]
        return stay - self.score(starts, ends)


@dataclass(frozen=True, eq=False)
class ConnectivityDistance:
    """HTM's edge weight, 1 / softmax of a contrastive score, told in env steps; far pairs are not connected: inf.

    The score f is trained to pick, among imagined nodes and visited places (see `_nodes`), the place that a trajectory reaches
    within some steps; at best it is log p(y | x) - log p_negative(y | x) and an offset per x. HTM divides exp f by its sum over
    the graph's nodes, by which the weight of a pair depends on what else is in the graph; here it is divided by that of
    staying, which cancels the offset as well: weight = exp(f(x, x) - f(x, y)). How great weights become in 1, 2, ... `within`
    steps along trajectories makes steps of it, and what is greater than the last is inf: so it knows near pairs only, and plan
    links must be no longer. It knows places, not velocities: of a state it sees what goal it achieves.
    """

    network: Connectivity
    goal_of: Callable[[Array], Array]  # (..., S) -> (..., G)
    config: ConnectivityDistanceConfig

    @classmethod
    def fit(
        cls, experience: Experience, config: ConnectivityDistanceConfig | None = None, on_step: OnStep = ignore
    ) -> ConnectivityDistance:
        """Learns a `CvaeSampler` first, for the imagined nodes, from `experience.paths`: it needs another distance.

        ValueError if no trajectory has two states, or no two states can be joined; DivergedError if a loss diverges.
        """
        config = config if config is not None else ConnectivityDistanceConfig()
        pairs = _Successors(experience, config.within)
        sampler = CvaeSampler.fit(experience, config.sampler, on_step)
        rng = np.random.default_rng(experience.seed)
        with seeded(experience.seed):
            network = Connectivity(experience.goals.shape[1], config)
        network.places.fit(experience.goals, np.array(experience.space.units), experience.space)
        _train(network, sampler, pairs, config, rng, counted_on(on_step, config.sampler.train_steps))
        network.eval().requires_grad_(False)
        network.log_weights.copy_(_log_weights(network, pairs, config.within, rng))
        return cls(network, experience.goal_of, config)

    @classmethod
    def steps_to_fit(cls, experience: Experience, config: ConnectivityDistanceConfig | None = None) -> int:
        """Gradient steps of `fit`: how often it calls `on_step`."""
        config = config if config is not None else ConnectivityDistanceConfig()
        return config.sampler.train_steps + config.train_steps

    @torch.no_grad()
    def pairwise(self, states: Array, goals: Array) -> Array:
        """(N, S), (M, G) -> (N, M) env steps, 1 to `within`, or inf."""
        return self._steps(self.network.log_weight(tensor_of(self.goal_of(states)), tensor_of(goals)))

    @torch.no_grad()
    def paired(self, states: Array, goals: Array) -> Array:
        """(B, S), (B, G) -> (B,)"""
        return self._steps(self.network.log_weight(tensor_of(self.goal_of(states))[:, None], tensor_of(goals)[:, None])[:, 0, 0])

    def _steps(self, log_weights: Tensor) -> Array:
        known = self.network.log_weights.numpy()
        return np.interp(log_weights.numpy(), known, np.arange(1, len(known) + 1), right=np.inf).astype(np.float32)

    def state(self) -> State:
        """Weights, and the settings with the size of a goal; what `from_state` reads."""
        return self.network.state_dict(), {**asdict(self.config), "goal_size": len(self.network.places.low)}

    @classmethod
    def from_state(
        cls, tensors: Mapping[str, Tensor], settings: Mapping[str, Any], experience: Experience
    ) -> ConnectivityDistance:
        """OtherVersionError where they do not fit."""
        with reading("connectivity distance"):
            own = dict(settings)
            size, sampler = own.pop("goal_size"), CvaeConfig(**own.pop("sampler"))
            config = ConnectivityDistanceConfig(**own, sampler=sampler)
            network = Connectivity(size, config)
            network.load_state_dict(dict(tensors))
        return cls(network.eval().requires_grad_(False), experience.goal_of, config)


class _Successors:
    """Visited places, and those that their trajectories reach next."""

    def __init__(self, experience: Experience, within: int) -> None:
        lengths = np.array([len(trajectory) for trajectory in experience.trajectories])
        self.remaining = np.concatenate([np.arange(length)[::-1] for length in lengths]).clip(max=within)  # (M,) steps
        self.first = np.flatnonzero(self.remaining)
        if len(self.first) == 0:
            raise ValueError("no trajectory has two states; there is nothing to connect")
        self.goals = experience.goals
        far = np.flatnonzero(self.remaining == self.remaining.max())
        self.space = experience.space
        self.reach = float(self.space.gap(self.goals[far], self.goals[far + self.remaining.max()]).max())  # moves

    def after(self, rows: NDArray[np.intp], rng: np.random.Generator) -> Array:
        """(B,) -> (B, G): what is reached from there, up to `within` steps on."""
        return self.goals[rows + rng.integers(1, self.remaining[rows] + 1)]


def _train(
    network: Connectivity,
    sampler: CvaeSampler,
    pairs: _Successors,
    config: ConnectivityDistanceConfig,
    rng: np.random.Generator,
    on_step: OnStep,
) -> None:
    nodes = _nodes(sampler, pairs, rng)

    def loss(step: int) -> Tensor:
        rows = rng.choice(pairs.first, size=config.batch_size)
        anchors = pairs.goals[rows]
        negatives = _some_nearby(nodes, anchors, config.negatives, pairs, rng)
        starts, positives = tensor_of(anchors), tensor_of(pairs.after(rows, rng))
        scores = network.score(starts, positives)  # (B, B): those of other anchors serve as negatives, too
        drawn = network.score(starts[:, None], tensor_of(negatives))[:, 0]  # (B, negatives)
        return torch.nn.functional.cross_entropy(torch.cat([scores, drawn], dim=1), torch.arange(len(rows)))

    optimizer = adam(network.parameters(), config.learning_rate)
    descend(optimizer, loss, config.train_steps, what="the connectivity distance", on_step=on_step)


def _nodes(sampler: CvaeSampler, pairs: _Successors, rng: np.random.Generator) -> Array:
    """-> (N, G): half imagined, one each for as many starts and goals, half visited.

    A graph's start and goal are visited, and so is what stands in for a node imagined in a wall. Nothing is imagined at the
    foot of a wall, where an agent often is: with imagined negatives alone 2 % of the far pairs in the U world looked connected,
    with both, and the places that other anchors reach, 0.2 %.
    """
    goals, space = pairs.goals, pairs.space
    starts, ends, visited = (goals[rng.integers(len(goals), size=_NODES // 2)] for _ in range(3))
    starts = space.wrapped(starts)
    ends = space.beside(starts, ends)
    imagined = sampler.model.imagine(tensor_of(starts), tensor_of(ends), tensor_of(starts[:, :0]), generator_from(rng)).numpy()
    return np.concatenate([space.wrapped(imagined), visited])


def _some_nearby(nodes: Array, anchors: Array, count: int, pairs: _Successors, rng: np.random.Generator) -> Array:
    """(N, G), (B, G) -> (B, count, G) nodes: every other one is within reach of its anchor, if one of 64 tried is.

    As the crow flies: across a wall is where a false connection would be, and nodes from anywhere are hardly ever there.
    All within reach are alike; were the nearest preferred, nothing would look less connected than an anchor with itself.
    """
    tried = nodes[rng.integers(len(nodes), size=(len(anchors), count, _TRIES))]
    near = pairs.space.gap(anchors[:, None, None], tried) <= pairs.reach
    first = np.where(np.arange(count) % 2 == 0, near.argmax(axis=2), 0)
    return np.take_along_axis(tried, first[..., None, None], axis=2)[:, :, 0]


@torch.no_grad()
def _log_weights(network: Connectivity, pairs: _Successors, within: int, rng: np.random.Generator) -> Tensor:
    """(within,): what the log-weight of places 1, 2, ... steps apart on a trajectory comes to, where that goes straight."""
    known = []
    for steps in range(1, within + 1):
        rows = np.flatnonzero(pairs.remaining >= steps)
        if len(rows) == 0:  # no trajectory is so long
            break
        rows = rng.choice(rows, size=_MEASURED)
        weights = network.log_weight(tensor_of(pairs.goals[rows])[:, None], tensor_of(pairs.goals[rows + steps])[:, None])
        known.append(float(weights.quantile(_STRAIGHT)))
    return torch.as_tensor(np.maximum.accumulate(known + known[-1:] * (within - len(known))))
