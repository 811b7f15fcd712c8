"""A trained agent without its training: acts, says returns, saves and loads. Loading needs no env."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Tensor

from thalweg.planner.many_maps.layout import Layout
from thalweg.planner.storage import (
    DamagedError,
    as_damage,
    bytes_to_json,
    bytes_to_tensors,
    json_to_bytes,
    read_file,
    tensors_to_bytes,
)

from .config import AgentConfig
from .sac.policy import GoalActorCritic, GoalCritic, network_settings
from .sac.stall_recovery import Rest

if TYPE_CHECKING:
    from .sac.sac import GoalSAC

Array = NDArray[np.floating]

_WEIGHTS, _SETTINGS = "checkpoint/policy.safetensors", "checkpoint/agent.json"
_FORMAT = 5  # of what the networks see; grows when old weights no longer fit


@dataclass(frozen=True, eq=False)
class GoalAgent:
    """A GoalPolicy with the critics that say how far a goal is."""

    policy: GoalActorCritic
    hidden: tuple[int, ...]
    discount: float
    layout: Layout | None = None  # of the maps' pictures, where states end in one

    @classmethod
    def blank(
        cls,
        observation_space: spaces.Dict,
        action_space: spaces.Box,
        hidden: tuple[int, ...],
        discount: float,
        layout: Layout | None = None,
    ) -> GoalAgent:
        """With random weights, for `load_agent`."""
        settings = network_settings(hidden, discount, spaces.flatdim(action_space), layout)
        policy = GoalActorCritic(observation_space, action_space, lambda _: 0.0, **settings)
        policy.set_training_mode(False)
        return cls(policy, hidden, discount, layout)

    def predict(
        self,
        observation: dict[str, Array],
        state: tuple[Any, ...] | None = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[Array, tuple[Rest, ...] | None]:
        """As GoalPolicy says; see `GoalActorCritic.predict`."""
        return self.policy.predict(observation, state, episode_start, deterministic)

    @torch.no_grad()
    def q_values(self, states: Array, achieved: Array, goals: Array) -> Array:
        """(B, S), the (B, G) goals they achieve, (B, G) -> (K, B) returns of the deterministic action, by each critic."""
        parts = {"observation": states, "achieved_goal": achieved, "desired_goal": goals}
        device = self.policy.device
        observation = {name: torch.as_tensor(np.asarray(values, np.float32), device=device) for name, values in parts.items()}
        actor, critic = self.policy.actor, self.policy.critic
        assert isinstance(critic, GoalCritic)  # for the type checker; the policy makes no other
        features = critic.features_extractor(observation)  # most of the work; the actor sees the same
        actions = torch.tanh(actor.mu(actor.latent_pi(features)))
        return torch.cat(critic.returns(features, actions), dim=1).T.cpu().numpy()

    def files(self) -> dict[str, bytes]:
        """What `load_agent` reads. FloatingPointError, naming the tensor, if a weight is not finite."""
        observation_space = self.policy.observation_space
        assert isinstance(observation_space, spaces.Dict)  # for the type checker; `blank` takes no other
        settings = {
            "format": _FORMAT,
            "observation_space": {name: _box_to_json(box) for name, box in observation_space.items()},
            "action_space": _box_to_json(self.policy.action_space),
            "hidden": list(self.hidden),
            "discount": self.discount,
            "layout": asdict(self.layout) if self.layout is not None else None,
        }
        return {_WEIGHTS: tensors_to_bytes(self.policy.state_dict()), _SETTINGS: json_to_bytes(settings)}


def trained_agent(model: GoalSAC) -> GoalAgent:
    """What a training leaves behind."""
    return GoalAgent(model.policy, model.config.hidden, model.config.discount, model.layout)


def load_agent(run: Path) -> GoalAgent:
    """The agent of a run folder. DamagedError if a file is missing or altered, or of another format."""
    return agent_from(partial(read_file, run), str(run))


def agent_from(read: Callable[[str], bytes], where: str) -> GoalAgent:
    """The agent whose `files` a function reads by name; `where` is what an error names. DamagedError as for `load_agent`."""
    with as_damage(f"{where}: {_SETTINGS} or {_WEIGHTS}", ValueError):
        settings = bytes_to_json(read(_SETTINGS), f"{where}: {_SETTINGS}")
        if settings.get("format") != _FORMAT:
            raise DamagedError(f"the agent in {where} was trained by another version of this project; train it again")
        observation_space = spaces.Dict({name: _box_from_json(box) for name, box in settings["observation_space"].items()})
        action_space = _box_from_json(settings["action_space"])
        layout = settings.get("layout")  # earlier versions knew none
        if layout is not None:
            layout = Layout(**{name: tuple(values) for name, values in layout.items()})
        weights = bytes_to_tensors(read(_WEIGHTS), f"{where}: {_WEIGHTS}")
        hidden = _checked_layers(settings, weights)
        agent = GoalAgent.blank(observation_space, action_space, hidden, settings["discount"], layout)
        agent.policy.load_state_dict(weights)
    return agent


def _checked_layers(settings: dict[str, Any], weights: dict[str, Tensor]) -> tuple[int, ...]:
    """Before any network is made of them: a stranger's file may ask for more than there is memory. ValueError if it does."""
    hidden = AgentConfig(hidden=tuple(settings["hidden"]), discount=settings["discount"]).hidden
    stored = sum(values.numel() for values in weights.values())
    if sum(ins * outs for ins, outs in pairwise(hidden)) > stored:
        raise ValueError("its layers have more weights than are stored")
    return hidden


def space_mismatches(stored: spaces.Space, actual: spaces.Space, name: str) -> list[str]:
    """What differs between two spaces, entry by entry; empty if they are equal."""
    if isinstance(stored, spaces.Dict) and isinstance(actual, spaces.Dict):
        keys = sorted({*stored.spaces, *actual.spaces})
        missing = [
            f"{key} is only in the {'checkpoint' if key in stored.spaces else 'env'}"
            for key in keys
            if not (key in stored.spaces and key in actual.spaces)
        ]
        both = [key for key in keys if key in stored.spaces and key in actual.spaces]
        return missing + [line for key in both for line in space_mismatches(stored[key], actual[key], key)]
    fields = ("shape", "dtype", "low", "high")
    for field in fields:
        theirs, ours = getattr(stored, field), getattr(actual, field)
        if not np.array_equal(theirs, ours):
            return [f"{name}: {field} {theirs} in the checkpoint, {ours} in the env"]
    return []


def _box_to_json(box: spaces.Space) -> dict[str, Any]:
    assert isinstance(box, spaces.Box)  # for the type checker; SAC admits no other
    return {"low": box.low.tolist(), "high": box.high.tolist(), "dtype": str(box.dtype)}


def _box_from_json(box: dict[str, Any]) -> spaces.Box:
    dtype = np.dtype(box["dtype"])
    return spaces.Box(np.array(box["low"], dtype), np.array(box["high"], dtype), dtype=dtype.type)
