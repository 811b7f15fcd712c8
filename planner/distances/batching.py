"""Every state with every goal, for models that are asked row by row; and arrays as networks take them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.floating]

_ROWS_AT_ONCE = 4096  # bounds memory, and keeps the activations of a 256-unit layer within a core's cache


def in_parts(paired: Callable[[Array, Array], Array], states: Array, goals: Array) -> Array:
    """(B, S), (B, G) -> (B,): `paired` asked of a few thousand rows at once."""
    steps = np.empty(len(states), dtype=np.float32)
    for i in range(0, len(states), _ROWS_AT_ONCE):
        part = slice(i, i + _ROWS_AT_ONCE)
        steps[part] = paired(states[part], goals[part])
    return steps


def all_pairs(paired: Callable[[Array, Array], Array], states: Array, goals: Array) -> Array:
    """(N, S), (M, G) -> (N, M): `paired` of every state with every goal."""
    rows, columns = (index.ravel() for index in np.indices((len(states), len(goals))))
    return paired(states[rows], goals[columns]).reshape(len(states), len(goals))


def tensor_of(values: Array) -> Tensor:
    """(...) -> (...) float32. A copy only where rows run backwards, which torch does not take."""
    array = np.asarray(values, dtype=np.float32)
    return torch.as_tensor(array.copy() if min(array.strides, default=0) < 0 else array)
