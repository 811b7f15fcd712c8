"""A run's replay without its training: relabelled batches for whatever is fitted afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from thalweg.planner.distances.distributional import Transitions

from ..checkpoint import restore_replay, stored_steps
from ..config import AgentConfig
from ..sac.sac import GoalSAC
from ..vec_env import BatchVecEnv


def replay_of(run: Path, config: AgentConfig, batch: Any, seed: int) -> Callable[[int], Transitions]:
    """A function that draws relabelled batches of a run's stored transitions; `batch` is the env that says what is reached.

    DamagedError if the run holds no replay, ValueError if it is of another env.
    """
    steps = stored_steps(run)
    model = GoalSAC(env=BatchVecEnv(batch), config=config, total_steps=steps, seed=seed)
    restore_replay(model, run)
    buffer = model.replay_buffer

    def sample(size: int) -> Transitions:
        drawn = buffer.sample(size)
        here, there = drawn.observations, drawn.next_observations
        return Transitions(
            here["observation"],
            here["achieved_goal"],
            drawn.actions,
            there["observation"],
            there["achieved_goal"],
            here["desired_goal"],
            drawn.dones[:, 0],
        )

    return sample
