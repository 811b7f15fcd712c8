"""A critic that says with what probability the goal is so many steps away (SoRB, arXiv:1906.05253, section 3.2)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..experience import Experience
from ..fitting import OnStep, adam, constant, descend, ignore, seeded
from ..goal_space import GoalSpace
from ..networks.place_features import FourierFeatures
from ..networks.stored import State, reading
from .batching import all_pairs, in_parts, tensor_of

Array = NDArray[np.floating]

_WAVES = 32  # of `FourierFeatures`


@dataclass(frozen=True, kw_only=True)
class DistributionalDistanceConfig:
    hidden: int = 128
    bins: int = 64  # one per env step; the last one holds all that is farther
    train_steps: int = 6_000
    batch_size: int = 256
    learning_rate: float = 1e-3
    tau: float = 0.01  # share of the network that goes into its target per update

    def __post_init__(self) -> None:
        for name in ("hidden", "train_steps", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.bins < 2:
            raise ValueError(f"bins must be at least 2, got {self.bins}")
        if self.learning_rate <= 0 or not 0 < self.tau <= 1:
            raise ValueError("learning_rate must be positive and tau lie in (0, 1]")


class Transitions(NamedTuple):
    """A batch of relabelled transitions, as a hindsight buffer samples them."""

    states: Tensor  # (B, S)
    places: Tensor  # (B, G), the goals that the states achieve
    actions: Tensor  # (B, A)
    next_states: Tensor  # (B, S)
    next_places: Tensor  # (B, G)
    goals: Tensor  # (B, G)
    arrived: Tensor  # (B,) 1 where the step reaches the goal


@dataclass(frozen=True, eq=False)
class DistributionalDistance:
    """Expected env steps under the policy, from a categorical distribution over steps.

    Where a return saturates with the discount, a distribution over undiscounted steps does not: its last bin absorbs.
    """

    network: _Network
    act: Callable[[Array, Array], Array]  # (B, S), (B, G) -> (B, A), the policy that the steps are counted under
    goal_of: Callable[[Array], Array]  # (..., S) -> (..., G)
    config: DistributionalDistanceConfig

    @classmethod
    def fit(
        cls, experience: Experience, config: DistributionalDistanceConfig | None = None, on_step: OnStep = ignore
    ) -> DistributionalDistance:
        """Evaluate the agent's policy on its own replay.

        ValueError if there is neither an agent nor a replay; DivergedError if the loss diverges.
        """
        config = config if config is not None else DistributionalDistanceConfig()
        act = _actions_of(experience)
        if experience.world is None:
            raise ValueError("the distributional distance learns from an agent's replay, and there is none; take quasimetric")
        with experience.world.replay() as sample, seeded(experience.seed):
            first: Transitions = sample(10_000)
            network = _Network(first.states.shape[1], first.goals.shape[1], first.actions.shape[1], config)
            network.fit(first, experience.space)
            _train(network, sample, act, config, on_step)
        return cls(network.eval().requires_grad_(False), act, experience.goal_of, config)

    @classmethod
    def steps_to_fit(cls, experience: Experience, config: DistributionalDistanceConfig | None = None) -> int:
        """Gradient steps of `fit`: how often it calls `on_step`."""
        return (config if config is not None else DistributionalDistanceConfig()).train_steps

    def pairwise(self, states: Array, goals: Array) -> Array:
        """(N, S), (M, G) -> (N, M) expected env steps in [1, bins]; inf where the last bin is the likeliest."""
        return all_pairs(self.paired, states, goals)

    def paired(self, states: Array, goals: Array) -> Array:
        """(B, S), (B, G) -> (B,)"""
        return in_parts(self._expected, states, goals)

    @torch.no_grad()
    def _expected(self, states: Array, goals: Array) -> Array:
        parts = (states, self.goal_of(states), self.act(states, goals), goals)
        chances = self.network(*(tensor_of(values) for values in parts)).softmax(dim=1)
        count = torch.arange(1, self.config.bins + 1, dtype=torch.float32)
        expected = (chances * count).sum(dim=1)
        expected[chances.argmax(dim=1) == self.config.bins - 1] = torch.inf
        return expected.numpy()

    def state(self) -> State:
        """Weights, and the settings with the sizes; what `from_state` reads."""
        return self.network.state_dict(), {**asdict(self.config), **self.network.sizes}

    @classmethod
    def from_state(
        cls, tensors: Mapping[str, Tensor], settings: Mapping[str, Any], experience: Experience
    ) -> DistributionalDistance:
        """OtherVersionError where they do not fit, as those of the first edition; ValueError if there is no agent."""
        act = _actions_of(experience)
        with reading("distributional distance"):
            own = dict(settings)
            sizes = {name: own.pop(name) for name in ("state_size", "goal_size", "action_size")}
            config = DistributionalDistanceConfig(**own)
            network = _Network(**sizes, config=config)
            network.load_state_dict(dict(tensors))
        return cls(network.eval().requires_grad_(False), act, experience.goal_of, config)


def _actions_of(experience: Experience) -> Callable[[Array, Array], Array]:
    """(B, S), (B, G) -> (B, A): what the agent does, without noise."""
    agent, goal_of = experience.agent, experience.goal_of
    if agent is None:
        raise ValueError("the distributional distance counts an agent's steps, and there is none; take quasimetric")

    def act(states: Array, goals: Array) -> Array:
        observation = {"observation": states, "achieved_goal": goal_of(states), "desired_goal": goals}
        return agent.predict(observation, deterministic=True)[0]

    return act


def _train(
    network: _Network,
    sample: Callable[[int], Transitions],
    act: Callable[[Array, Array], Array],
    config: DistributionalDistanceConfig,
    on_step: OnStep,
) -> None:
    target = copy.deepcopy(network)

    def loss(step: int) -> Tensor:
        batch = sample(config.batch_size)
        with torch.no_grad():
            actions = torch.as_tensor(act(batch.next_states.numpy(), batch.goals.numpy()))
            following = target(batch.next_states, batch.next_places, actions, batch.goals).softmax(dim=1)
            wanted = one_step_later(following, batch.arrived)
        logits = network(batch.states, batch.places, batch.actions, batch.goals)
        return -(wanted * logits.log_softmax(dim=1)).sum(dim=1).mean()

    @torch.no_grad()
    def follow(step: int) -> None:
        torch._foreach_lerp_(list(target.parameters()), list(network.parameters()), config.tau)

    optimizer, what = adam(network.parameters(), config.learning_rate), "the distributional distance"
    descend(optimizer, loss, config.train_steps, what=what, schedule=constant, after=follow, on_step=on_step)


def one_step_later(chances: Tensor, arrived: Tensor) -> Tensor:
    """Next state's (B, bins), (B,) -> this state's (B, bins): everything is one step farther, and 1 step on arrival.

    The last bin keeps what it has (SoRB, eq. 3).
    """
    later = torch.cat([torch.zeros_like(chances[:, :1]), chances[:, :-1]], dim=1)
    later[:, -1] += chances[:, -1]
    here = torch.zeros_like(chances)
    here[:, 0] = 1.0
    return torch.where(arrived[:, None] > 0, here, later)


class _Network(nn.Module):
    state_mean: Tensor  # (S,)
    state_scale: Tensor  # (S,)

    def __init__(self, state_size: int, goal_size: int, action_size: int, config: DistributionalDistanceConfig) -> None:
        super().__init__()
        self.sizes = {"state_size": state_size, "goal_size": goal_size, "action_size": action_size}
        self.places = FourierFeatures(goal_size, _WAVES)
        self.register_buffer("state_mean", torch.zeros(state_size))
        self.register_buffer("state_scale", torch.ones(state_size))
        self.layers = nn.Sequential(
            nn.Linear(state_size + action_size + goal_size + 2 * self.places.size, config.hidden),
            nn.ReLU(),
            nn.Linear(config.hidden, config.hidden),
            nn.ReLU(),
            nn.Linear(config.hidden, config.bins),
        )

    def fit(self, batch: Transitions, space: GoalSpace) -> None:
        scale = batch.states.std(dim=0)
        self.state_mean.copy_(batch.states.mean(dim=0))
        self.state_scale.copy_(torch.where(scale > 0, scale, torch.ones_like(scale)))
        moves = np.abs(space.offsets(batch.places.numpy(), batch.next_places.numpy()))
        self.places.fit(batch.places.numpy(), np.quantile(moves, 0.95, axis=0), space)

    def forward(self, states: Tensor, places: Tensor, actions: Tensor, goals: Tensor) -> Tensor:
        """(B, ...) each -> (B, bins) logits"""
        standard = (states - self.state_mean) / self.state_scale
        offset = torch.tanh(self.places.metric.short(goals - places) / self.places.range * 16)
        return self.layers(torch.cat([standard, actions, offset, self.places(places), self.places(goals)], dim=1))
