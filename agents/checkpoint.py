"""Training that can be broken off and taken up again, bit for bit.

A training is cut into legs of so many env steps. A leg begins with fresh episodes and with every generator seeded by
(seed, leg), whether the process is new or not; so between legs there is no hidden state, and what has been learnt,
stored and counted is all there is to save.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback

from thalweg.planner.storage import (
    arrays_to_bytes,
    as_damage,
    bytes_to_arrays,
    bytes_to_json,
    bytes_to_tensors,
    json_to_bytes,
    read_file,
    read_json,
    tensors_to_bytes,
)

from .agent import GoalAgent, agent_from, space_mismatches, trained_agent

if TYPE_CHECKING:
    from .sac.sac import GoalSAC

_OPTIMISERS, _COUNTERS = "checkpoint/optimisers.safetensors", "checkpoint/training.json"
REPLAY = "checkpoint/replay.npz"


class Segments(BaseCallback):
    """Begins a leg at the start of a training and after every `length` env steps; `on_end` is called at each leg's end."""

    def __init__(self, length: int, seed: int, on_end: Callable[[], None]) -> None:
        super().__init__()
        self.length = length
        self.seed = seed
        self.on_end = on_end

    def _on_training_start(self) -> None:
        self._begin()

    def _on_rollout_start(self) -> None:
        if self.model.num_timesteps >= self._next:
            self.on_end()
            self._begin()

    def _on_step(self) -> bool:
        return True

    def _begin(self) -> None:
        leg = self.model.num_timesteps // self.length
        self._next = (leg + 1) * self.length
        seed = int(np.random.SeedSequence([self.seed, leg]).generate_state(1)[0] >> 1)
        cast("GoalSAC", self.model).begin_episodes(seed)


def training_files(model: GoalSAC) -> dict[str, bytes]:
    """What `restore` reads, the agent's own files among it."""
    return learnt_files(model) | {REPLAY: arrays_to_bytes(model.replay_buffer.content(), compress=False)}


def learnt_files(model: GoalSAC) -> dict[str, bytes]:
    """What `restore_learnt` reads: all but the replay."""
    tensors = {"log_ent_coef": model.log_ent_coef.detach()}
    for name, optimiser in _optimisers(model).items():
        for index, values in optimiser.state_dict()["state"].items():
            tensors |= {f"{name}/{index}/{key}": torch.as_tensor(value) for key, value in values.items()}
    counters = {
        "num_timesteps": model.num_timesteps,
        "n_updates": model._n_updates,
        "episode_num": model._episode_num,
        "episodes": [[float(episode[key]) for key in ("r", "l", "t")] for episode in model.ep_info_buffer or ()],
        "successes": [bool(success) for success in model.ep_success_buffer or ()],
        "pursuits": model.pursuits.recent(),
    }
    return trained_agent(model).files() | {_OPTIMISERS: tensors_to_bytes(tensors), _COUNTERS: json_to_bytes(counters)}


def restore(model: GoalSAC, run: Path) -> None:
    """Put a run's training back into a fresh model of the same settings; `learn(..., reset_num_timesteps=False)` goes on.

    ValueError if the run's spaces are not the model's, its optimisers are of an earlier version, or its replay does not fit into
    the buffer; DamagedError if a file is missing or altered.
    """
    restore_replay(model, run)
    restore_learnt(model, partial(read_file, run), str(run))


def restore_learnt(model: GoalSAC, read: Callable[[str], bytes], where: str) -> None:
    """Networks, optimisers and counters, from files read by name; `where` is what an error names. Errors as `restore`."""
    agent = agent_from(read, where)
    _check_spaces(agent, model, where)
    with as_damage(f"{where}: checkpoint"):
        _restore_learnt(model, agent, bytes_to_tensors(read(_OPTIMISERS)), bytes_to_json(read(_COUNTERS)), where)


def _restore_learnt(model: GoalSAC, agent: GoalAgent, tensors: dict[str, torch.Tensor], counters: Any, where: str) -> None:
    model.policy.load_state_dict(agent.policy.state_dict())
    with torch.no_grad():
        model.log_ent_coef.copy_(tensors["log_ent_coef"])
    for name, optimiser in _optimisers(model).items():
        _restore_optimiser(name, optimiser, tensors, where)
    model.tensors_have_moved()
    model.num_timesteps, model._n_updates = counters["num_timesteps"], counters["n_updates"]
    model._episode_num = counters["episode_num"]
    # VecMonitor's returns are float32, and so are their averages
    episodes = [{"r": np.float32(r), "l": int(length), "t": t} for r, length, t in counters["episodes"]]
    model.restore_statistics(episodes, counters["successes"], counters.get("pursuits", {}))  # earlier versions kept none


def _restore_optimiser(name: str, optimiser: torch.optim.Optimizer, tensors: dict[str, torch.Tensor], where: str) -> None:
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, values in tensors.items():
        if key.startswith(f"{name}/"):
            _, index, entry = key.split("/")
            state.setdefault(int(index), {})[entry] = values
    shapes = [values.shape for group in optimiser.param_groups for values in group["params"]]
    if state and [state[index]["exp_avg"].shape for index in sorted(state)] != shapes:
        raise ValueError(f"the training in {where} is of an earlier version and cannot go on; train anew")
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def restore_replay(model: GoalSAC, run: Path) -> GoalAgent:
    """Put a run's stored transitions alone back into a fresh model, whatever its networks -> the run's agent.

    ValueError if the run's spaces are not the model's, or its replay does not fit into the buffer; DamagedError if a file is
    missing or altered.
    """
    read = partial(read_file, run)
    agent = agent_from(read, str(run))
    _check_spaces(agent, model, str(run))
    with as_damage(f"{run}: {REPLAY}"):
        model.replay_buffer.restore(bytes_to_arrays(read(REPLAY)))
    return agent


def _check_spaces(agent: GoalAgent, model: GoalSAC, where: str) -> None:
    mismatches = space_mismatches(agent.policy.observation_space, model.observation_space, "observation")
    mismatches += space_mismatches(agent.policy.action_space, model.action_space, "action")
    if mismatches:
        raise ValueError(f"the checkpoint in {where} is of another env: {'; '.join(mismatches)}")


def stored_steps(run: Path) -> int:
    """How many env steps a run has been trained for. DamagedError if it cannot be gone on with."""
    with as_damage(f"{run}: {_COUNTERS}", ValueError):
        return int(read_json(run, _COUNTERS)["num_timesteps"])


def _optimisers(model: GoalSAC) -> dict[str, Any]:
    return {"actor": model.actor.optimizer, "critic": model.critic.optimizer, "entropy": model.ent_coef_optimizer}
