"""Whatever acts towards a goal, as a GoalPolicy: models of stable-baselines3, controllers, plain functions."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import numpy as np
import torch
from numpy.typing import NDArray

from thalweg.planner.errors import UsageError
from thalweg.planner.protocols import GoalPolicy

from ..agent import GoalAgent, trained_agent
from ..sac.sac import GoalSAC

Array = NDArray[np.floating]
Observation = dict[str, Array]

_PARTS = ("observation", "achieved_goal", "desired_goal")


def goal_policy(agent: Any) -> GoalPolicy:
    """The agent as planners drive it; it is neither trained further nor altered.

    `agent`: a model of stable-baselines3 or sb3-contrib, a GoalSAC, anything with `predict`, or a function. Of `predict` the
    arguments after the observation may be missing, and it may return an action alone. What comes back has `q_values` and
    `discount` beside `predict`; both are None where the agent has no critics. UsageError for what cannot act.
    """
    if isinstance(agent, GoalSAC):
        return trained_agent(agent)
    if isinstance(agent, GoalAgent | CriticPolicy | ModelPolicy | ControllerPolicy):
        return agent
    predict = getattr(agent, "predict", None)
    if callable(predict) and hasattr(agent, "policy") and hasattr(agent, "observation_space"):
        has_critics = all(hasattr(agent.policy, name) for name in ("actor", "critic")) and hasattr(agent, "gamma")
        return CriticPolicy(agent) if has_critics else ModelPolicy(agent)
    if isinstance(agent, type) or not (callable(predict) or callable(agent)):
        raise UsageError(
            f"{_name(agent)} cannot act: give it predict(observation) -> action, or hand in a function from an observation, "
            "a dict with observation, achieved_goal and desired_goal, to an action"
        )
    return ControllerPolicy(predict if callable(predict) else agent, _name(agent))


IN_MEMORY = "in memory"  # how the mark of an agent begins that nobody can tell from another one later


def mark_of(agent: Any) -> str:
    """What tells an agent from others: the SHA-256 of a model's weights; of anything else a mark that no other object has."""
    weights = getattr(getattr(agent, "policy", None), "state_dict", None)
    if weights is None:
        return f"{IN_MEMORY}, {uuid4().hex}"
    digest = hashlib.sha256()
    for name, values in sorted(weights().items()):
        digest.update(name.encode() + values.cpu().numpy().tobytes())
    return digest.hexdigest()


class ModelPolicy:
    """A model of stable-baselines3. Where it saw its observations normalised, it goes on to."""

    q_values: Any = None
    discount: float | None = None

    def __init__(self, model: Any) -> None:
        self._model = model
        self._vec_normalize = model.get_vec_normalize_env() if hasattr(model, "get_vec_normalize_env") else None

    def predict(
        self, observation: Observation, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[Array, None]:
        """As GoalPolicy says. A model with a memory of its own is refused, with a UsageError."""
        actions, after = self._model.predict(self._seen(observation), deterministic=deterministic)
        if after is not None:
            raise UsageError(f"{_name(self._model)} carries a memory on from step to step, which plans cannot drive")
        return np.asarray(actions, dtype=np.float32), None

    def _seen(self, observation: Observation) -> Observation:
        """What the model expects to see of it; a copy, where anything differs."""
        space = self._model.observation_space
        known = getattr(space, "spaces", {})
        observation = {key: np.asarray(values, known[key].dtype) for key, values in observation.items() if key in known}
        return observation if self._vec_normalize is None else self._vec_normalize.normalize_obs(observation)


class CriticPolicy(ModelPolicy):
    """A SAC, TD3, DDPG or TQC: its critics say how far a goal is.

    SAC's and TQC's returns hold an entropy bonus, so that distances read off them are short; where they differ much from what was
    driven, plan by what was visited (`--distance quasimetric`).
    """

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.discount = float(model.gamma)
        self.q_values = self._q_values

    @torch.no_grad()
    def _q_values(self, states: Array, achieved: Array, goals: Array) -> Array:
        """(B, S), the (B, G) goals they achieve, (B, G) -> (K, B) returns of the deterministic action, by each critic."""
        policy = self._model.policy
        policy.set_training_mode(False)
        seen = self._seen(dict(zip(_PARTS, (states, achieved, goals), strict=True)))
        observation, _ = policy.obs_to_tensor(seen)
        returns = policy.critic(observation, policy._predict(observation, deterministic=True))
        if isinstance(returns, torch.Tensor):  # (B, K, quantiles), of TQC
            return returns.mean(dim=-1).T.cpu().numpy()
        return torch.cat(returns, dim=1).T.cpu().numpy()


class ControllerPolicy:
    """A `predict`, or a function, of the user's: called with as many arguments as it takes.

    Whether it can be asked for many observations at once shows at the first batch: if that gives what its rows give one by one,
    it is asked for batches from then on, else row by row. One that remembers things without saying so cannot be driven in several
    envs at once.
    """

    q_values: Any = None
    discount: float | None = None

    def __init__(self, act: Callable[..., Any], name: str) -> None:
        self._act, self._name = act, name
        self._takes = _parameters(act)
        self._batched: bool | None = None  # not known yet

    def predict(
        self, observation: Observation, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[Array, Any]:
        """As GoalPolicy says. UsageError for what is no action."""
        if {"state", "episode_start", "deterministic"} <= self._takes:  # it promises all that a GoalPolicy does
            ask = {"state": state, "episode_start": episode_start, "deterministic": deterministic}
            answer = self._act(observation, **ask)
            actions, after = answer if isinstance(answer, tuple) and len(answer) == 2 else (answer, None)
            return self._numbers(actions), after
        ask = {"deterministic": deterministic} if "deterministic" in self._takes else {}
        if observation["observation"].ndim == 1:
            return self._answer(observation, **ask), None
        if self._batched:
            return self._answer(observation, **ask), None
        size = len(observation["observation"])
        rows = [self._answer({key: values[row] for key, values in observation.items()}, **ask) for row in range(size)]
        actions = np.stack(rows)
        if self._batched is None and size > 1:
            self._batched = self._gives_at_once(observation, actions, ask)
        return actions, None

    def _gives_at_once(self, observation: Observation, actions: Array, ask: dict[str, Any]) -> bool:
        try:
            at_once = self._answer(observation, **ask)
        except Exception:  # whatever a controller makes of what it was not written for
            return False
        return at_once.shape == actions.shape and np.allclose(at_once, actions, rtol=1e-5, atol=1e-6)

    def _answer(self, observation: Observation, **ask: Any) -> Array:
        """The actions as an array of their own."""
        answer = self._act({key: np.array(values) for key, values in observation.items()}, **ask)
        actions = answer[0] if isinstance(answer, tuple) and len(answer) == 2 and _is_state(answer[1]) else answer
        return self._numbers(actions)

    def _numbers(self, actions: Any) -> Array:
        try:
            if actions is None:  # numpy would make a number of it
                raise TypeError
            numbers = np.array(actions, dtype=np.float32)
        except (TypeError, ValueError):
            raise UsageError(f"{self._name} gave {type(actions).__name__}, no action; return numbers, one per entry") from None
        if numbers.ndim == 0:
            raise UsageError(f"{self._name} gave one number; return an array of shape (1,) where the action has one entry")
        return numbers


def _parameters(act: Callable[..., Any]) -> set[str]:
    """The names of what may be given by name."""
    try:
        parameters = inspect.signature(act).parameters.values()
    except (TypeError, ValueError):  # of compiled code
        return set()
    return {parameter.name for parameter in parameters if parameter.kind is not parameter.POSITIONAL_ONLY}


def _is_state(value: Any) -> bool:
    """Is it what `predict` carries on, not the second entry of an action?"""
    return value is None or isinstance(value, tuple)


def _name(agent: Any) -> str:
    return getattr(agent, "__name__", None) or type(agent).__name__
