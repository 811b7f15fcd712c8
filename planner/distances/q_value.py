"""Distances from a goal-conditioned critic (SoRB, arXiv:1906.05253)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..experience import Experience
from ..fitting import OnStep, ignore
from ..networks.stored import State, reading
from .batching import all_pairs, in_parts

Array = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class QValueDistanceConfig:
    discount: float  # the critic's
    max_steps: float = 120.0  # predictions beyond count as unreachable [env steps]
    pace: float = 1.0  # env steps that the agent takes for each that its critics expect, see `measured_pace`

    def __post_init__(self) -> None:
        if self.pace <= 0:
            raise ValueError(f"pace must be positive, got {self.pace}")
        if not 0 < self.discount < 1:
            raise ValueError(f"discount must lie in (0, 1), got {self.discount}")
        if self.max_steps <= 1:
            raise ValueError(f"max_steps must exceed 1, got {self.max_steps}")


@dataclass(frozen=True, eq=False)
class QValueDistance:
    """Expected env steps under the policy, by the mean return of K critics.

    Critics learn from the lower of two returns, so each alone is pessimistic already: in a maze of 15 cells the lower one took
    ways for 7.5 % longer than they were, the mean for 5.8 %. Against false short edges there is `EnsembleDistance`, of models
    that err in different places. The critics must hold plain returns: no entropy bonus. They are those of the policy that they
    learnt from, which acts with noise; `pace` is what is gained by acting without.
    """

    q_values: Callable[[Array, Array], Array]  # (B, S), (B, G) -> (K, B) returns of the policy's own action
    config: QValueDistanceConfig

    @classmethod
    def fit(cls, experience: Experience, config: QValueDistanceConfig | None = None, on_step: OnStep = ignore) -> QValueDistance:
        """The critics are the agent's own; what is measured is the pace, by drives to goals nearby (`World.drives_nearby`).

        ValueError if there is no agent with critics, or none of its drives can be had.
        """
        q_values, discount = _critics_of(experience)
        config = replace(config if config is not None else QValueDistanceConfig(discount=discount), pace=1.0)
        if experience.world is None:
            raise ValueError("the agent's pace cannot be measured: there is no env to drive in; take quasimetric")
        try:
            drives = experience.world.drives_nearby(experience)
        except ValueError as error:
            raise ValueError(f"the agent's pace cannot be measured: {error}") from None
        expected = cls(q_values, config).paired(drives.pairs.states, drives.pairs.goals)
        return cls(q_values, replace(config, pace=measured_pace(expected, drives.taken)))

    def state(self) -> State:
        """No weights, which are the agent's, and the settings; what `from_state` reads."""
        return {}, asdict(self.config)

    @classmethod
    def from_state(cls, tensors: Mapping[str, Tensor], settings: Mapping[str, Any], experience: Experience) -> QValueDistance:
        """OtherVersionError where the settings do not fit; ValueError if there is no agent with critics."""
        q_values, _ = _critics_of(experience)
        with reading("q_value distance"):
            config = QValueDistanceConfig(**settings)
        return cls(q_values, config)

    def pairwise(self, states: Array, goals: Array) -> Array:
        """(N, S), (M, G) -> (N, M) expected env steps, at least 1; inf where critics expect `max_steps` or more."""
        return all_pairs(self.paired, states, goals)

    def paired(self, states: Array, goals: Array) -> Array:
        """(B, S), (B, G) -> (B,)"""
        q = in_parts(lambda s, g: self.q_values(s, g).mean(axis=0), states, goals)
        steps = q_to_steps(q, self.config.discount, self.config.max_steps)
        paced = np.maximum(np.float32(self.config.pace) * steps, np.float32(1.0))
        return np.where(steps < self.config.max_steps, paced, np.float32(np.inf))


def _critics_of(experience: Experience) -> tuple[Callable[[Array, Array], Array], float]:
    """(B, S), (B, G) -> (K, B), and their discount."""
    agent: Any = experience.agent
    if getattr(agent, "q_values", None) is None or getattr(agent, "discount", None) is None:
        raise ValueError("the q_value distance asks an agent's critics, and there are none; take quasimetric")
    goal_of = experience.goal_of
    return lambda states, goals: agent.q_values(states, goal_of(states), goals), agent.discount


def measured_pace(predicted: Array, taken: Array) -> float:
    """(N,) env steps that critics expected of drives, (N,) that these took, inf for those that did not arrive -> the `pace`.

    Of half the drives that arrived less was expected, then, and of half more. 1 if none is known to have arrived.
    """
    known = np.isfinite(predicted) & np.isfinite(taken)
    return float(np.median(taken[known] / predicted[known])) if known.any() else 1.0


def q_to_steps(q: Array, discount: float, max_steps: float) -> Array:
    """Turn goal-conditioned returns into expected env steps; (...) -> (...) in [1, max_steps].

    Reward is -1 per step and 0 on the step that reaches the goal, where the episode ends, so a goal d steps away has
    q = -(1 - discount**(d - 1)) / (1 - discount); this inverts it. max_steps caps the inverse, which explodes near
    q = -1 / (1 - discount). q above 0 is critic error and counts as one step. ValueError unless 0 < discount < 1.
    """
    if not 0 < discount < 1:
        raise ValueError(f"discount must lie in (0, 1), got {discount}")
    remaining = np.clip(1 + (1 - discount) * np.asarray(q, dtype=np.float64), discount ** (max_steps - 1), 1.0)
    return np.asarray(1 + np.log(remaining) / np.log(discount), dtype=np.float32)
