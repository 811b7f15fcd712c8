"""An agent that has come to rest short of its goal goes down the visited ways for a few steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

_STILL = 0.1  # of a typical move: who moves less in a step has come to rest
_FOR = 4  # env steps; with 1, 2, 4 and 8 of a maze's near goals 1.9, 1.4, 1.0 and 0.8 % were missed, and 5.1 % without
_EXPLAINED = 0.1  # share of the goal's moves that actions must explain, beside what the state does: a pushed object's are seldom


class Rest(NamedTuple):
    """What is carried on, per env."""

    place: Array  # (G,) what was achieved when it last acted
    left: int  # env steps for which it goes down the ways, this one included


def pull_of(states: Array, actions: Array, moves: Array) -> Array:
    """(N, S), (N, A), (N, G) -> (A, G): how far an action moves each entry of the goal in its own step, by least squares.

    0 for entries of which actions explain next to nothing: these are moved by other means than directly.
    """
    known = np.column_stack([states, np.ones(len(states))]).astype(np.float64)
    both = np.column_stack([known, actions])
    weights = np.linalg.lstsq(both, moves, rcond=None)[0]
    without = moves - known @ np.linalg.lstsq(known, moves, rcond=None)[0]
    left_over = ((moves - both @ weights) ** 2).sum(axis=0)
    explained = left_over <= (1 - _EXPLAINED) * (without**2).sum(axis=0)
    return np.where(explained, weights[-actions.shape[1] :], 0.0)


def carry_on(
    before: Sequence[Any] | None, episode_start: NDArray[np.bool_] | None, places: Array, moves: Array
) -> tuple[Rest, ...]:
    """What was carried on so far, and what is achieved now (B, G) -> what is carried on; `moves` (G,) are typical ones."""
    carried = []
    for row, place in enumerate(places):
        begins = before is None or before[row] is None or (episode_start is not None and episode_start[row])
        carried.append(Rest(place, 0) if begins else _gone_on(before[row], place, moves))  # type: ignore[index]
    return tuple(carried)


def _gone_on(last: Rest, place: Array, moves: Array) -> Rest:
    still = bool((np.abs(place - last.place) <= _STILL * moves).all())
    return Rest(place, _FOR if still else max(last.left - 1, 0))
