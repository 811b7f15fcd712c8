"""One map, or many that are told apart by pictures: chosen once, where an env is read, and asked ever after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from .layout import Layout

Array = NDArray[np.floating]

Kind = Literal["one", "many"]


class Maps(Protocol):
    """What depends on the number of an env's maps."""

    @property
    def kind(self) -> Kind: ...

    @property
    def link_share(self) -> float:
        """Of the steps that an agent is sure of, how many a link of a plan may take."""
        ...

    def pictured(self) -> Layout:
        """Where states end in a picture. ValueError where they do not."""
        ...

    def picture(self, state: Array) -> Array:
        """(S,) -> (X Y,) what the state shows of its map; (0,) where there is but one."""
        ...

    def moved_to(self, states: Array, state: Array) -> Array:
        """(N, S), (S,) -> (N, S): the states as they would be in the map of `state`."""
        ...


@dataclass(frozen=True)
class OneMap:
    """What was visited tells of the map."""

    kind: ClassVar[Kind] = "one"
    link_share: ClassVar[float] = 1.0

    def pictured(self) -> Layout:
        raise ValueError("the env shows no picture of its map")

    def picture(self, state: Array) -> Array:
        return state[:0]

    def moved_to(self, states: Array, state: Array) -> Array:
        return states


ONE_MAP = OneMap()


@dataclass(frozen=True)
class PicturedMaps:
    """States end in a picture of their map, of which little may have been visited."""

    layout: Layout
    kind: ClassVar[Kind] = "many"
    # There are no routes round corners. Of 60 far goals in unseen mazes 58 were reached with links of 6 steps, 57 with 9, 56 with
    # 12, where drives of up to 13 were sure.
    link_share: ClassVar[float] = 0.5

    def pictured(self) -> Layout:
        return self.layout

    def picture(self, state: Array) -> Array:
        return self.layout.pictures(state).ravel()

    def moved_to(self, states: Array, state: Array) -> Array:
        return self.layout.moved_to(states, state)


def maps_of(layout: Layout | None) -> Maps:
    """By what an env says of itself, or an agent of its training."""
    return ONE_MAP if layout is None else PicturedMaps(layout)
