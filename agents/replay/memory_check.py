"""Will the replay fit into this machine's memory?"""

from __future__ import annotations

import os

import torch
from gymnasium import spaces

from thalweg.planner.errors import BadInput


class ReplayMemoryError(BadInput):
    """The replay buffer would not fit into this machine's memory."""


def check_memory(
    observation_space: spaces.Space, action_space: spaces.Space, buffer_size: int, kept: int, device: torch.device
) -> None:
    """ReplayMemoryError, with the number of bytes, if a buffer of so many transitions exceeds the memory there is.

    `kept`: numbers that `EmbeddingCache` keeps of a transition, where the agent is trained.

    Asked before the start, since arrays take their memory only as they fill, hours later.
    """
    observation = sum(box.dtype.itemsize * spaces.flatdim(box) for box in observation_space.values())  # type: ignore[attr-defined]
    others = 4 * spaces.flatdim(action_space) + 3 * 4 + 3 * 8  # reward, done, time-out; first and last step of the episode, map
    steps, codes = buffer_size * (2 * observation + others), buffer_size * 4 * kept
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if device.type == "cuda":
        _check(buffer_size, codes, torch.cuda.mem_get_info(device)[0], "free on the GPU are")
    else:
        steps += codes
    _check(buffer_size, steps, physical, "this machine has")


def _check(buffer_size: int, needed: int, there: int, where: str) -> None:
    if needed > there:
        raise ReplayMemoryError(
            f"a replay buffer of {buffer_size} steps needs {needed} bytes, {where} {there}; train for fewer steps"
        )
