"""A whole sequence of places is optimised under a transition energy: the planner of arXiv:1909.06878."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..data.points import farthest_points, resample_by_arc_length
from ..energy.config import TransitionConfig
from ..energy.model import generator_from
from ..energy.transition import TransitionEnergy
from ..experience import Experience
from ..fitting import OnStep, ignore
from ..networks.stored import State, reading
from ..plan import NoPathError, Plan
from .sequence_optimisation import improve, roadmap_guesses, straight_guesses

Array = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class TrajectoryPlannerConfig:
    restarts: int = 4  # sequences optimised side by side: half of them from a roadmap, half from bent straight lines
    perturbations: int = 24  # of each sequence, per iteration
    iterations: int = 12
    noise: float = 0.3  # standard deviation of a perturbed step, at first [usual steps]
    window: int = 8  # links on each side of a place that its perturbations are weighed by
    nodes: int = 400  # of the roadmap; 0: straight lines alone
    neighbours: int = 10  # that each node is joined to
    visited_share: float = 0.5  # of the nodes; the others lie anywhere within the bounds
    slack: float = 1.1  # of the horizon, over the first guess's steps
    growth: float = 1.25  # of the horizon, if no sequence is possible
    rounds: int = 3  # horizons tried at most

    def __post_init__(self) -> None:
        for name in ("restarts", "perturbations", "iterations", "window", "neighbours", "rounds"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.nodes < 0 or not 0 <= self.visited_share <= 1:
            raise ValueError("nodes must not be negative, visited_share between 0 and 1")
        if self.noise <= 0 or min(self.slack, self.growth) < 1:
            raise ValueError("noise must be positive, slack and growth at least 1")


@dataclass(frozen=True, eq=False)
class GoalSequence:
    """Places from a start to a goal, and what their steps cost."""

    places: Array  # (H + 1, D)
    energies: Array  # (H,) [nats]
    tries: float  # env steps that it will take, see `TransitionEnergy.tries`
    is_possible: bool  # no step's energy is above the limit


@dataclass(frozen=True, eq=False)
class TrajectoryPlanner:
    """Optimises sequences of places under the sum of their steps' energies; a plan's waypoints are these places.

    From a straight line alone, noise does not get out of a U: so first guesses are the cheapest ways through a roadmap, whose
    links cost what their steps would.
    """

    energy: TransitionEnergy
    visited: Array  # (M, D) places
    goal_of: Callable[[Array], Array]  # (..., S) -> (..., D)
    lift: Callable[[Array], Array]  # (N, D) -> (N, S)
    config: TrajectoryPlannerConfig

    @classmethod
    def fit(
        cls,
        experience: Experience,
        config: TrajectoryPlannerConfig | None = None,
        on_step: OnStep = ignore,
        transitions: TransitionConfig | None = None,
    ) -> TrajectoryPlanner:
        """For a run's agent: steps are half as long as the links it is sure of, and nodes lie where it has been.

        The stride of `transitions` is set accordingly. ValueError and DivergedError as in `TransitionEnergy.fit`.
        """
        transitions = replace(
            transitions if transitions is not None else TransitionConfig(), stride=max(1, round(experience.sure_edge / 2))
        )
        goals = [trajectory.goals for trajectory in experience.trajectories]
        energy = TransitionEnergy.fit(goals, transitions, experience.seed, on_step)
        config = replace(config if config is not None else cls.usual_config(experience), visited_share=1.0)
        return cls._of(energy, experience, config)

    @staticmethod
    def usual_config(experience: Experience, num_nodes: int = 100) -> TrajectoryPlannerConfig:
        """Its roadmap is its own: the number of a graph's nodes says nothing about it."""
        return TrajectoryPlannerConfig(visited_share=1.0)

    @classmethod
    def steps_to_fit(cls, experience: Experience, config: TrajectoryPlannerConfig | None = None) -> int:
        """Gradient steps of `fit`: how often it calls `on_step`."""
        return TransitionConfig().train_steps

    def state(self) -> State:
        """Weights of the energy, and the settings of both; what `from_state` reads."""
        tensors, transitions = self.energy.state()
        return tensors, {"transitions": transitions, "planner": asdict(self.config)}

    @classmethod
    def from_state(cls, tensors: Mapping[str, Tensor], settings: Mapping[str, Any], experience: Experience) -> TrajectoryPlanner:
        """OtherVersionError where they do not fit."""
        with reading("trajectory planner"):
            energy = TransitionEnergy.from_state(tensors, settings["transitions"])
            config = TrajectoryPlannerConfig(**settings["planner"])
        return cls._of(energy, experience, config)

    @classmethod
    def _of(cls, energy: TransitionEnergy, experience: Experience, config: TrajectoryPlannerConfig) -> TrajectoryPlanner:
        return cls(energy, experience.goals, experience.goal_of, experience.lift, config)

    def plan(self, state: Array, goal: Array, rng: np.random.Generator) -> Plan:
        """(S,), (D,) -> Plan. NoPathError if the best sequence found holds a step that is not possible."""
        best = self.best_sequence(self.goal_of(state), goal, rng)
        if not best.is_possible:
            above = best.energies.max() - float(self.energy.limit)
            raise NoPathError(
                f"the best sequence found, of {len(best.energies)} steps, holds one {above:.1f} nats above what is possible; "
                f"allow more nodes, rounds or perturbations, or let the agent see more"
            )
        waypoints = self.lift(best.places[1:-1].astype(np.float32))
        edges = np.stack([np.arange(len(waypoints) + 1), np.arange(1, len(waypoints) + 2)], axis=1)
        steps = np.full(len(edges), self.energy.config.stride, dtype=np.float32)
        return Plan(waypoints, steps, waypoints, edges)

    def best_sequence(self, start: Array, goal: Array, rng: np.random.Generator) -> GoalSequence:
        """(D,), (D,) -> the best sequence found, possible or not. The horizon grows until one is, `rounds` times at most."""
        guesses = self._guesses(start, goal, rng)
        horizon = max(2, int(np.ceil(self.config.slack * self._steps_along(guesses[0]))))
        best = self._optimise(guesses, horizon, rng)
        for _ in range(self.config.rounds - 1):
            if best.is_possible:
                break
            horizon = int(np.ceil(self.config.growth * horizon))
            best = min(best, self._optimise([best.places, *guesses[1:]], horizon, rng), key=_rank)
        return best

    def _guesses(self, start: Array, goal: Array, rng: np.random.Generator) -> list[Array]:
        config = self.config
        if config.nodes == 0:
            return straight_guesses(start, goal, config.restarts, rng)
        count = -(-config.restarts // 2)
        found = roadmap_guesses(self.energy, start, goal, self._nodes(start, goal, rng), config.neighbours, count, rng)
        return found + straight_guesses(start, goal, config.restarts - count, rng)

    def _nodes(self, start: Array, goal: Array, rng: np.random.Generator) -> Array:
        """(nodes, D): visited places, spread evenly, and any within the bounds."""
        count = min(round(self.config.visited_share * self.config.nodes), len(self.visited))
        some = self.visited[rng.permutation(len(self.visited))[: 4 * count]]
        low = np.minimum(self.energy.low.numpy(), np.minimum(start, goal))
        high = np.maximum(self.energy.high.numpy(), np.maximum(start, goal))
        anywhere = rng.uniform(low, high, (round((1 - self.config.visited_share) * self.config.nodes), len(low)))
        spread = some[farthest_points(some / self.energy.width.numpy(), count, rng)] if count else some
        return np.concatenate([spread, anywhere])

    def _steps_along(self, places: Array) -> float:
        lengths = np.linalg.norm(np.diff(places, axis=0) / self.energy.width.numpy(), axis=1)
        return float(lengths.sum() / self.energy.pace)

    @torch.no_grad()
    def _optimise(self, guesses: list[Array], horizon: int, rng: np.random.Generator) -> GoalSequence:
        """Lines of any number of places -> the best sequence of `horizon` steps that comes of them, or is one of them."""
        config, energy = self.config, self.energy
        width = energy.width.numpy()
        even = [resample_by_arc_length(guess / width, horizon + 1) * width for guess in guesses]
        sequences = torch.as_tensor(np.stack(even), dtype=torch.float32)
        better = improve(
            lambda before, after: energy(before, after).clamp_min(energy.usual),  # what is done often is not to be preferred
            sequences,
            config.noise * energy.pace * energy.width,
            config.perturbations,
            config.iterations,
            config.window,
            generator_from(rng),
        )
        every = torch.cat([better, sequences])
        links = energy(every[:, :-1], every[:, 1:])
        ranked = [
            GoalSequence(places, own, float(energy.tries(own).sum()), bool((own <= float(energy.limit)).all()))
            for places, own in zip(every.numpy(), links.numpy(), strict=True)
        ]
        return min(ranked, key=_rank)


def _rank(sequence: GoalSequence) -> tuple[bool, float, float]:
    """Possible before cheap before likely."""
    return not sequence.is_possible, sequence.tries, float(sequence.energies.sum())
