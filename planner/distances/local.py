"""Distances between near places, told by the walls about them: learned in many maps, asked in others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree
from torch import Tensor, nn

from ..data.trajectories import GoalEntries, Trajectory, typical_step
from ..experience import Experience
from ..fitting import OnStep, adam, counted_on, descend, ignore, seeded
from ..goal_space import GoalSpace
from ..graph.visited_graph import visited_graph
from ..many_maps.layout import Layout, clearest, look_up
from ..many_maps.local_links import LINK, links_of_map
from ..networks.stored import State, reading
from .batching import tensor_of

Array = NDArray[np.floating]

_SOURCES, _PAIRS = 100, 12_000  # places of a map from which ways are searched; pairs of a map to learn from
_WALLED = 2.0  # times the way straight across all that is in reach: what a way counts at most, or where none is known
_NEAR = 4.0  # env steps: errors of nearer pairs count as if they were so far apart
_SURE = 0.99  # share of the visited places that tell where one may be
_WAVES = 3  # octaves of the offset from one place to the other
_ALONG = 17  # looks along the straight line: every half square or closer


@dataclass(frozen=True, kw_only=True)
class LocalDistanceConfig:
    reach: int = 4  # squares of the picture: places farther apart are not told
    hidden: int = 128
    quantile: float = 0.4  # of the ways that were gone between such places in such surroundings
    rounds: int = 2  # the first learns from visited places, each further one from the links of all places that the last one told
    train_steps: int = 6_000  # at most: few places are learnt sooner
    batch_size: int = 512  # pairs
    learning_rate: float = 2e-3

    def __post_init__(self) -> None:
        for name in ("reach", "hidden", "rounds", "train_steps", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 < self.quantile < 1 or self.learning_rate <= 0:
            raise ValueError(f"quantile must lie in (0, 1), learning_rate be positive; got {self.quantile}, {self.learning_rate}")

    def steps_for(self, num_places: int) -> int:
        """Gradient steps in which so many visited places are learnt."""
        return min(self.train_steps, 300 + num_places // 10)


class LocalGeodesics(nn.Module):
    """How many env steps lead from one place to another, by the offset and the part of the map's picture about the first.

    Nothing else of where they lie is seen, so that a corner is the same corner in every map.
    """

    pace: Tensor  # () env steps that all the reach takes at full speed
    most: Tensor  # () what the picture shows at visited places, at most
    around: Tensor  # (L, 2) the same, over the picture
    along: Tensor  # (_ALONG,) shares of the line
    looks: Tensor  # (L, 2) offsets at which the picture is looked at [reaches]

    def __init__(self, layout: Layout, config: LocalDistanceConfig) -> None:
        super().__init__()
        self.layout, self.config = layout, config
        self.reach = config.reach * layout.square
        ticks = torch.linspace(-1, 1, 4 * config.reach + 1)  # two looks a square: their slope shows where it begins
        self.register_buffer("looks", torch.cartesian_prod(ticks, ticks), persistent=False)
        around = layout.within(self.reach * self.looks) - layout.within(torch.zeros(2))
        self.register_buffer("around", around, persistent=False)
        self.register_buffer("pace", torch.ones(()))
        self.register_buffer("most", torch.ones(()))
        self.surroundings = nn.Linear(len(self.looks), config.hidden)
        self.register_buffer("along", torch.linspace(0, 1, _ALONG), persistent=False)
        self.line = nn.Linear(2 * (1 + 2 * _WAVES) + 1 + _ALONG, config.hidden)
        self.layers = nn.Sequential(nn.SiLU(), nn.Linear(config.hidden, config.hidden), nn.SiLU(), nn.Linear(config.hidden, 1))

    def see(self, pictures: Tensor, places: Tensor) -> Tensor:
        """(B, X, Y), (B, 2) -> (B, L): the picture about each place."""
        around = self.layout.within(places)[:, None] + self.around
        return look_up(pictures, around)

    def forward(self, pictures: Tensor, seen: Tensor, here: Tensor, there: Tensor) -> Tensor:
        """(B, X, Y), what `see` gives (B, L), and two places (B, 2) within reach -> (B,) env steps, below `far`."""
        near = (there - here) / self.reach
        length = near.norm(dim=-1)
        phases = (near[..., None] * (torch.pi / 2 * 2.0 ** torch.arange(_WAVES, device=near.device))).flatten(-2)
        ends = self.layout.within(torch.stack([here, there]))[:, :, None]
        between = look_up(pictures, torch.lerp(ends[0], ends[1], self.along[:, None]))
        line = self.line(torch.cat([near, phases.sin(), phases.cos(), length[..., None], between], dim=-1))
        detour = nn.functional.softplus(1 + self.layers(self.surroundings(seen) + line)[..., 0])
        return self.far * torch.tanh(self.pace * length * detour / self.far)  # a cut-off that leaves a slope

    def contains(self, pictures: Tensor, places: Tensor) -> Tensor:
        """(B, X, Y), (B, 2) -> (B,): does the picture show no more in the way there than where somebody has been?"""
        return clearest(pictures, self.layout.within(places)) <= self.most

    @property
    def far(self) -> Tensor:
        """() env steps: what a way counts at most"""
        return _WALLED * self.pace


@dataclass(frozen=True, eq=False)
class LocalDistance:
    """d(s, g) for places within `reach`, by what the state's picture of the map shows about it; inf for all others, and for goals
    where the picture shows more in the way than anywhere that was visited.

    A graph joins what is near, and what is near is alike in all maps: so the links of a graph in a map that nobody has seen can
    be told from maps that were. (HTM, arXiv:2002.12336, conditions its connectivity on a picture to the same end.)
    """

    network: LocalGeodesics
    goal_of: Callable[[Array], Array]  # (..., S) -> (..., G)

    @classmethod
    def fit(cls, experience: Experience, config: LocalDistanceConfig | None = None, on_step: OnStep = ignore) -> LocalDistance:
        """ValueError if nothing moves, or states show no picture of their map; DivergedError if the loss diverges."""
        config = config if config is not None else LocalDistanceConfig()
        network = fit_local_geodesics(experience.trajectories, experience.maps.pictured(), config, experience.seed, on_step)
        return cls(network, experience.goal_of)

    @classmethod
    def steps_to_fit(cls, experience: Experience, config: LocalDistanceConfig | None = None) -> int:
        """Gradient steps of `fit`, at most: how often it calls `on_step`."""
        config = config if config is not None else LocalDistanceConfig()
        return config.rounds * config.steps_for(experience.data.num_states)

    def pairwise(self, states: Array, goals: Array) -> Array:
        """(N, S), (M, G) -> (N, M) env steps, at least 1; inf beyond the reach. Only pairs within it are looked at."""
        apart = np.linalg.norm(goals[None] - self.goal_of(states)[:, None], axis=-1)
        rows, columns = np.nonzero(apart <= self.network.reach)
        steps = np.full((len(states), len(goals)), np.inf, dtype=np.float32)
        steps[rows, columns] = self._told(states, rows, goals[columns])
        return steps

    def paired(self, states: Array, goals: Array) -> Array:
        """(B, S), (B, G) -> (B,)"""
        near = np.flatnonzero(np.linalg.norm(goals - self.goal_of(states), axis=-1) <= self.network.reach)
        steps = np.full(len(states), np.inf, dtype=np.float32)
        steps[near] = self._told(states[near], np.arange(len(near)), goals[near])
        return steps

    @torch.no_grad()
    def _told(self, states: Array, rows: NDArray[np.intp], goals: Array) -> Array:
        """(N, S), (P,) which of them, (P, G) -> (P,): each state's surroundings are looked at once."""
        pictures = tensor_of(self.network.layout.pictures(states))
        here, there = tensor_of(self.goal_of(states)), tensor_of(goals)
        seen = self.network.see(pictures, here)
        steps = self.network(pictures[rows], seen[rows], here[rows], there).clamp(min=1.0)
        return torch.where(self.network.contains(pictures[rows], there), steps, torch.inf).numpy()

    def state(self) -> State:
        """Weights and settings; what `from_state` reads."""
        return self.network.state_dict(), asdict(self.network.config)

    @classmethod
    def from_state(cls, tensors: Mapping[str, Tensor], settings: Mapping[str, Any], experience: Experience) -> LocalDistance:
        """OtherVersionError where they do not fit; ValueError if states show no picture of their map."""
        layout = experience.maps.pictured()
        with reading("local distance"):
            network = LocalGeodesics(layout, LocalDistanceConfig(**settings))
            network.load_state_dict(dict(tensors))
        return cls(network.eval().requires_grad_(False), experience.goal_of)


def fit_local_geodesics(
    data: Sequence[Trajectory],
    layout: Layout,
    config: LocalDistanceConfig,
    seed: int,
    on_step: OnStep = ignore,
) -> LocalGeodesics:
    """Learn from the shortest ways over what was visited in each map. ValueError if nothing moves, DivergedError as in `descend`.

    Few places of a map are visited, and ways over them are longer than need be, or not known at all. But surroundings repeat
    from map to map: among all ways gone in the like of them, a low quantile is a way well gone (quantile regression; Koenker
    & Bassett 1978). Across a wall nobody ever went, and any quantile is far.
    """
    rng = np.random.default_rng(seed)
    step_length = typical_step(data)
    if step_length == 0:
        raise ValueError("no trajectory moves; there are no ways to learn")
    with seeded(seed):
        network = LocalGeodesics(layout, config)
    network.pace.fill_(network.reach / step_length)
    states, places = (np.concatenate([getattr(trajectory, part) for trajectory in data]) for part in ("states", "goals"))
    shown = clearest(torch.as_tensor(layout.pictures(states)), layout.within(torch.as_tensor(places)))
    network.most.fill_(float(np.quantile(shown.numpy(), _SURE)))
    groups = layout.groups(data)
    pictures = np.stack([layout.pictures(group[0].states[0]) for group in groups])
    train_steps = config.steps_for(len(places))
    for past in range(config.rounds):
        ways = [
            _visited_ways(group, step_length) if past == 0 else _told_ways(picture, network, step_length, rng)
            for group, picture in zip(groups, pictures, strict=True)
        ]
        pairs = [_near_pairs(places, graph, network.reach, float(network.far), rng) for places, graph in ways if graph.nnz]
        if not pairs:  # nothing near is told to be near: there is nothing to put together
            break
        maps = np.repeat(np.flatnonzero([graph.nnz > 0 for _, graph in ways]), [len(steps) for _, _, steps in pairs])
        here, there, steps = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
        _train(network, (pictures, maps, here, there, steps), train_steps, rng, counted_on(on_step, past * train_steps))
    return network.eval().requires_grad_(False)


def _visited_ways(group: Sequence[Trajectory], step_length: float) -> tuple[Array, csr_array]:
    space = GoalSpace(2, units=(step_length, step_length))  # of a picture both entries are of one kind
    return np.concatenate([trajectory.goals for trajectory in group]), visited_graph(group, space)


def _told_ways(picture: Array, network: LocalGeodesics, step_length: float, rng: np.random.Generator) -> tuple[Array, csr_array]:
    """Places all over a map, and the links between them of which the network can be surest."""
    goal_of = GoalEntries((0, 1))
    state = np.concatenate([np.zeros(2, np.float32), picture.ravel()])
    links = links_of_map(state, LocalDistance(network, goal_of), goal_of, network.layout, LINK, LINK * step_length, rng)
    return goal_of(links[0]), links[1]


def _near_pairs(
    places: Array, graph: csr_array, reach: float, limit: float, rng: np.random.Generator
) -> tuple[Array, Array, Array]:
    """Places of one map within reach of each other, (P, G), (P, G), and the env steps between them (P,), at most `limit`."""
    sources = rng.permutation(len(places))[:_SOURCES]
    near = cKDTree(places).query_ball_point(places[sources], reach)
    row = np.repeat(np.arange(len(sources)), [len(others) for others in near])
    other = np.concatenate(near).astype(np.intp)
    kept = rng.permutation(len(row))[:_PAIRS]
    row, other = row[kept], other[kept]
    steps = np.minimum(dijkstra(graph, indices=sources, limit=limit), limit)[row, other]
    return places[sources[row]], places[other], steps.astype(np.float32)


def _train(
    network: LocalGeodesics,
    pairs: tuple[Array, NDArray[np.intp], Array, Array, Array],
    train_steps: int,
    rng: np.random.Generator,
    on_step: OnStep,
) -> None:
    config = network.config
    pictures, maps, here, there, steps = (torch.as_tensor(part) for part in pairs)

    def loss(step: int) -> Tensor:
        rows = torch.as_tensor(rng.integers(len(steps), size=config.batch_size))
        own = pictures[maps[rows]]
        told = network(own, network.see(own, here[rows]), here[rows], there[rows])
        errors = (told - steps[rows]) / (steps[rows] + _NEAR)
        return torch.maximum((1 - config.quantile) * errors, -config.quantile * errors).mean()

    descend(adam(network.parameters(), config.learning_rate), loss, train_steps, what="the local distance", on_step=on_step)
