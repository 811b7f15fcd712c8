"""Which map each stored step was in, by number: goals of another map may lie in a wall."""

from __future__ import annotations

from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from thalweg.planner.many_maps.layout import Layout

Array = NDArray[np.floating]


class MapNumbers(Protocol):
    @property
    def many(self) -> bool:
        """Can there be more than one?"""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """What a stored replay holds of them."""
        ...

    def of(self, states: Array) -> NDArray[np.int64]:
        """(B, S) -> (B,): the number of each state's map; a new one for a map that is new."""
        ...

    def restore(self, numbers: NDArray[np.int64], states: Array) -> None:
        """(K,) numbers that were given before, each with a state (K, S) of its map."""
        ...


class OneMapNumber:
    """All steps are in map 0."""

    many: ClassVar[bool] = False
    columns: ClassVar[tuple[str, ...]] = ()

    def of(self, states: Array) -> NDArray[np.int64]:
        return np.zeros(len(states), dtype=np.int64)

    def restore(self, numbers: NDArray[np.int64], states: Array) -> None:
        pass


class PictureNumbers:
    """Maps are told apart by the pictures in which states end."""

    many: ClassVar[bool] = True
    columns: ClassVar[tuple[str, ...]] = ("maps",)

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._known: dict[bytes, int] = {}
        self._next = 0

    def of(self, states: Array) -> NDArray[np.int64]:
        keys = self._layout.keys(states)
        for key in keys:
            if key not in self._known:
                self._known[key], self._next = self._next, self._next + 1
        return np.array([self._known[key] for key in keys])

    def restore(self, numbers: NDArray[np.int64], states: Array) -> None:
        self._known = dict(zip(self._layout.keys(states), numbers.tolist(), strict=True))
        self._next = int(numbers.max(initial=-1)) + 1


def map_numbers_of(layout: Layout | None) -> MapNumbers:
    return OneMapNumber() if layout is None else PictureNumbers(layout)
