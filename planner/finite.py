"""What is not finite is never learned from and never counted: it ends the command, with one line."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from .errors import BadInput


class NotFiniteError(BadInput):
    """An observation, a reward, an action or a loss is NaN or infinite; the message says which, where and what to mend."""


def entry_not_finite(arrays: Mapping[str, ArrayLike]) -> str | None:
    """The first entry of these arrays, of any shapes, that is NaN or infinite, as `achieved_goal[1] is nan`; else None."""
    for name, values in arrays.items():
        numbers = np.asarray(values)
        bad = ~np.isfinite(numbers)
        if bad.any():
            place = ", ".join(str(index) for index in np.argwhere(bad)[0])
            return f"{name}{f'[{place}]' if place else ''} is {numbers[bad][0]}"
    return None
