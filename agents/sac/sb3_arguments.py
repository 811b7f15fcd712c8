"""The arguments that `stable_baselines3.SAC` takes, as settings of the agent; what has no meaning here is refused in one line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from ..config import AgentConfig
from .policy import GoalActorCritic

_FIELDS = {"learning_starts": "warmup_steps", "batch_size": "batch_size", "tau": "tau", "gamma": "discount"}
PASSED_ON = {"action_noise", "stats_window_size", "target_entropy", "tensorboard_log", "verbose"}
_REFUSED = {
    "replay_buffer_class": "its own buffer relabels goals and endings; leave it out",
    "replay_buffer_kwargs": "set relabel_horizon, future_share and nearby_share of AgentConfig instead",
    "optimize_memory_usage": "its buffer needs both observations of a step; leave it out",
    "n_steps": "returns of several steps are not goal-conditioned; leave it out",
    "use_sde": "it explores by practice goals; leave it out",
    "sde_sample_freq": "it explores by practice goals; leave it out",
    "use_sde_at_warmup": "it explores by practice goals; leave it out",
    "target_update_interval": "targets follow at every update; set tau instead",
}
_DEFAULTS = {"optimize_memory_usage": False, "n_steps": 1, "use_sde": False, "use_sde_at_warmup": False, "sde_sample_freq": -1}
_DEFAULTS |= {"target_update_interval": 1}


def settings_of(
    config: AgentConfig, num_envs: int, learning_rate: Any, policy_kwargs: Any, sb3: Mapping[str, Any]
) -> AgentConfig:
    """The settings with what the arguments of an SB3 user say otherwise; those left out, or None, change nothing.

    A learning rate may be a function of the progress that remains, 1 to 0. TypeError for an argument that nobody knows,
    ValueError, with the way, for one that has no meaning here.
    """
    _refuse({name: value for name, value in sb3.items() if value is not None and value != _DEFAULTS.get(name)})
    changes = {field: sb3[name] for name, field in _FIELDS.items() if sb3.get(name) is not None}
    if learning_rate is not None:
        changes["learning_rate"] = float(learning_rate(1.0) if callable(learning_rate) else learning_rate)
    if sb3.get("train_freq") is not None or sb3.get("gradient_steps") is not None:
        changes["updates_per_step"] = _updates_per_step(sb3.get("train_freq") or 1, sb3.get("gradient_steps") or 1, num_envs)
    if policy_kwargs:
        changes["hidden"] = _hidden(dict(policy_kwargs), config.hidden)
    return replace(config, **changes) if changes else config


def check_policy(policy: Any) -> None:
    """ValueError unless it is the one that there is."""
    if policy not in ("MultiInputPolicy", GoalActorCritic):
        raise ValueError(
            f'GoalSAC has one policy, "MultiInputPolicy", got {policy!r}; write GoalSAC("MultiInputPolicy", env), and set the '
            "networks' layers with policy_kwargs={'net_arch': [128, 128]}"
        )


def _refuse(given: Mapping[str, Any]) -> None:
    for name in given:
        if name in _REFUSED:
            raise ValueError(f"GoalSAC does not take {name}: {_REFUSED[name]}")
        if name not in {*_FIELDS, *PASSED_ON, "train_freq", "gradient_steps"}:
            fields = ", ".join(AgentConfig.__dataclass_fields__)
            raise TypeError(f"GoalSAC does not know {name}; other settings are given as config=AgentConfig(...): {fields}")


def _updates_per_step(train_freq: Any, gradient_steps: int, num_envs: int) -> float:
    """Updates per env step; SB3 counts steps of all envs, and -1 means as many updates as env steps."""
    every, unit = train_freq if isinstance(train_freq, tuple) else (train_freq, "step")
    if unit != "step" or every < 1:
        raise ValueError(f"train_freq must be a number of steps, got {train_freq!r}; or set updates_per_step of AgentConfig")
    return 1.0 if gradient_steps < 0 else gradient_steps / (every * num_envs)


def _hidden(policy_kwargs: dict[str, Any], usual: tuple[int, ...]) -> tuple[int, ...]:
    """Units per layer of actor and critics."""
    layers, activation = policy_kwargs.pop("net_arch", list(usual)), policy_kwargs.pop("activation_fn", nn.ReLU)
    if isinstance(layers, Mapping):
        own = [layers.get(name) for name in ("pi", "qf")]
        if own[0] != own[1] or own[0] is None:
            raise ValueError(f"policy_kwargs: actor and critics have the same layers here, got net_arch {layers}; give one list")
        layers = own[0]
    if activation is not nn.ReLU:
        raise ValueError(f"policy_kwargs: activation_fn is ReLU here, got {activation}; all networks run as one, so leave it out")
    if policy_kwargs:
        raise ValueError(
            f"policy_kwargs takes net_arch alone here, got {', '.join(policy_kwargs)}; the features are GoalSAC's own"
        )
    return tuple(int(width) for width in layers)
