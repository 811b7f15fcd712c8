"""The whole extension surface: what a sampler, a distance, a planner and a policy must offer. Nobody inherits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .plan import Plan

if TYPE_CHECKING:
    from .evaluation.audit import Drives
    from .experience import Experience

Array = NDArray[np.floating]


class StateSampler(Protocol):
    """Proposes states that may lie on the way from a state to a goal."""

    def sample(self, state: Array, goal: Array, num_samples: int, rng: np.random.Generator) -> Array:
        """(S,) state and (G,) goal, env units -> (num_samples, S). Unordered, repeats allowed; all randomness comes from rng."""
        ...


class DistanceModel(Protocol):
    """Says how many env steps apart a state and a goal are."""

    def pairwise(self, states: Array, goals: Array) -> Array:
        """(N, S), (M, G) -> (N, M) expected env steps. Directed; never NaN; inf means unreachable."""
        ...

    def paired(self, states: Array, goals: Array) -> Array:
        """(B, S), (B, G) -> (B,): from each state to its own goal, the same numbers as in `pairwise`."""
        ...


class Planner(Protocol):
    """Turns a state and a goal into a chain of waypoints."""

    def plan(self, state: Array, goal: Array, rng: np.random.Generator) -> Plan:
        """(S,), (G,) -> Plan. Raises NoPathError when there is none, never returns a bad plan."""
        ...


class World(Protocol):
    """What a run's env can be asked beside its episodes. What it does not know is None."""

    @property
    def shortest_steps(self) -> Callable[[Array, Array], Array] | None:
        """(N, S), (N, G) -> (N,) true env steps, inf where there is no path."""
        ...

    @property
    def shortest_path(self) -> Callable[[Array, Array], Array] | None:
        """(G,), (G,) -> (K, G) the bends of the true shortest path, ends included; ValueError without one."""
        ...

    def drives_nearby(self, experience: Experience) -> Drives:
        """The agent's drives to goals nearby, with the steps they took. ValueError if there are none to drive to."""
        ...

    def replay(self) -> AbstractContextManager[Callable[[int], Any]]:
        """Within: what draws relabelled batches of stored transitions, `distances.distributional.Transitions`, of a given size.

        ValueError if none were stored.
        """
        ...


class GoalPolicy(Protocol):
    """Acts towards a goal; the signature is that of stable-baselines3's `predict`, so its `evaluate_policy` runs it."""

    def predict(
        self,
        observation: dict[str, Array],
        state: tuple[Any, ...] | None = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[Array, tuple[Any, ...] | None]:
        """Dict observation of one env or of B envs -> actions (A,) or (B, A), and what is carried on, one item per env.

        `state` is what was carried on, None before anything was; so may be an item, of an env that has just begun.
        """
        ...


class EnvMaker(Protocol):
    """Makes a run's env, again and again; see `thalweg.as_goal_env`."""

    @property
    def name(self) -> str: ...

    @property
    def kwargs(self) -> dict[str, Any]:
        """Keyword arguments of the env."""
        ...

    @property
    def only_one(self) -> bool:
        """Is there but one env, so that no second can be made while it is open?"""
        ...

    def make(self, index: int = 0, **options: Any) -> Any:
        """One goal env. `options` go to the env over its own settings, but for `max_episode_steps`, the length of an episode."""
        ...


@runtime_checkable
class PlanRecord(Protocol):
    """What a policy that plans carries on for an env, if its plans are to be counted: read off when the episode is over."""

    replans: int  # plans after the first one
    failed_plans: int  # searches that found no path
    plan_ms: Sequence[float]  # of each search, failed ones included
    nodes: int  # of the graph that the last plan was found in; 0 before there is a plan


@runtime_checkable
class PlanAhead(Protocol):
    """What it carries on, if the plan is to be seen in the film of a drive."""

    plan: Plan | None  # the one that is followed; None where the goal is headed for without one

    def subgoals_ahead(self) -> Array:
        """(K, G), the goal itself last"""
        ...
