"""What training learnt, goal by goal: how many of those that were pursued while collecting were reached."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]

_RECENT = 500  # pursuits of each kind that are remembered


class Pursuits:
    """The last outcomes of pursuing practice goals, which are near, apart from those of pursuing the env's own.

    One rate over both says little: it falls when more of the far goals are tried, however well the near ones go. The agent acts
    with noise here; evaluated without, it arrives more often.
    """

    def __init__(self) -> None:
        self.near: deque[bool] = deque(maxlen=_RECENT)  # practice goals
        self.own: deque[bool] = deque(maxlen=_RECENT)  # the env's own goals

    def note(self, practising: Flags, reached: Flags) -> None:
        """(B,), (B,): pursuits that have ended, of practice goals or the env's own; were the goals reached?"""
        for near, arrived in zip(practising.tolist(), reached.tolist(), strict=True):
            (self.near if near else self.own).append(arrived)

    def recent(self) -> dict[str, list[bool]]:
        return {"near": list(self.near), "own": list(self.own)}

    def restore(self, recent: Mapping[str, Iterable[bool]]) -> None:
        """What `recent` gave."""
        for name, outcomes in self.rows():
            outcomes.clear()
            outcomes.extend(recent.get(name, ()))

    def rows(self) -> tuple[tuple[str, deque[bool]], ...]:
        return ("near", self.near), ("own", self.own)

    def __str__(self) -> str:
        near, own = (
            f"{np.mean(outcomes):.2f} (last {len(outcomes)})" if outcomes else "not known (none pursued)"
            for _, outcomes in self.rows()
        )
        return f"success while training: on near goals {near}, on the env's own {own}"
