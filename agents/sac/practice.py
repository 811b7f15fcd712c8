"""Which goals are pursued while collecting: near ones from the buffer, mostly, in place of the env's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import AgentConfig
from ..replay.her_buffer import HerBuffer
from .pursuits import Pursuits

Array = NDArray[np.floating]
Flags = NDArray[np.bool_]


class Practice:
    """Per env a practice goal, or its own. How the pursuits end is noted in `pursuits`."""

    def __init__(self, buffer: HerBuffer, config: AgentConfig, num_envs: int) -> None:
        self._buffer, self._config = buffer, config
        self.pursuits = Pursuits()
        self._goals: Array | None = None  # (n_envs, G) to practise; None before the first
        self._practising = np.zeros(num_envs, dtype=bool)
        self._pursued_for = np.zeros(num_envs, dtype=np.int64)  # env steps since the goal was drawn
        self._noted = np.zeros(num_envs, dtype=bool)  # that the goal was reached, in envs whose episodes go on there

    @property
    def practising(self) -> Flags:
        """(n_envs,): which of the goals pursued are practice goals."""
        return self._practising

    def break_off(self) -> None:
        """No episode goes on."""
        self._goals = None
        self._practising[:] = False
        self._pursued_for[:] = 0

    def pursued(self, observations: dict[str, Array], starts: Flags) -> Array:
        """What all envs see, and which of their episodes (n_envs,) begin there -> the goals to pursue (n_envs, G).

        Drawn anew at each episode's start, on arrival, and when one has been pursued for long: in episodes of hundreds of
        steps an agent that cannot reach its goal yet would stand at a wall for most of its training.
        """
        achieved, own = observations["achieved_goal"], observations["desired_goal"]
        if self._goals is None:
            self._goals = own.copy()
            fresh = np.ones(len(own), dtype=bool)
        else:
            goals = np.where(self._practising[:, None], self._goals, own)
            reached = self._buffer.goal_test.rewards(achieved, goals) == 0.0
            given_up = self._pursued_for >= self._config.practice_steps
            fresh = (self._practising & reached) | starts | given_up
            self._note(~starts & (reached | given_up), reached)
        if fresh.any():
            self._draw(fresh, observations)
        self._pursued_for += 1
        return np.where(self._practising[:, None], self._goals, own)

    def end_episodes(self, dones: Flags, infos: Sequence[dict[str, Any]]) -> None:
        """Note how the pursuits ended whose episodes have: (n_envs,), and what the envs say of it.

        One that ends so early that a near goal, too, might have been missed says nothing.
        """
        if self._goals is None or not dones.any():
            return
        reached = np.zeros(len(dones), dtype=bool)
        for env in np.flatnonzero(dones).tolist():
            if self._practising[env]:
                last = infos[env].get("terminal_observation")
                if last is not None:
                    there = np.asarray(last["achieved_goal"])[None]
                    reached[env] = self._buffer.goal_test.rewards(there, self._goals[env : env + 1])[0] == 0.0
            else:
                reached[env] = infos[env].get("is_success", not infos[env].get("TimeLimit.truncated", False))
        self._note(dones & (reached | (self._pursued_for > self._config.relabel_horizon)), reached)

    def _draw(self, fresh: Flags, observations: dict[str, Array]) -> None:
        assert self._goals is not None  # for the type checker
        maps = self._buffer.map_numbers.of(observations["observation"][fresh])
        practised = self._buffer.rng.random(fresh.sum()) < self._config.practice_share
        self._goals[fresh], known = self._buffer.practice_goals(observations["achieved_goal"][fresh], maps)
        self._practising[fresh] = practised & known
        self._pursued_for[fresh] = 0
        self._noted[fresh] = False

    def _note(self, ended: Flags, reached: Flags) -> None:
        ended = ended & ~self._noted
        self.pursuits.note(self._practising[ended], reached[ended])
        self._noted |= ended
