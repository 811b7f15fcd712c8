"""What an env knows of its own geometry: the truth that plans and distances are judged by, where there is any."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Truth:
    """Three methods that an env may have, each by itself and under these very names; None for one that it lacks.

    All are free of chance and of the episode that is going on, but for the map, where the env has many.
    """

    shortest_length: Callable[[Array, Array], Array] | None  # (N, G), (N, G) -> (N,) of the shortest path [goal units], or inf
    shortest_route: Callable[[Array, Array], Array] | None  # (G,), (G,) -> (K, G) its bends, ends included; ValueError if none
    shortest_steps: Callable[[Array, Array], Array] | None  # (N, S), (N, G) -> (N,) fewest env steps, inf where there is no path


NOTHING_KNOWN = Truth(None, None, None)


def truth_of(env: Any) -> Truth:
    """Of an env, however it is wrapped."""
    inner = getattr(env, "unwrapped", env)
    return Truth(*(getattr(inner, name, None) for name in ("shortest_length", "shortest_route", "shortest_steps")))
