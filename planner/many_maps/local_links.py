"""Places of a map that need never have been visited, and the links between them: what a local distance tells of a whole map."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.spatial import cKDTree

from ..data.trajectories import GoalEntries
from ..protocols import DistanceModel
from .layout import Layout

Array = NDArray[np.floating]

LINK = 5.0  # env steps: links so short are told without an error, and join random places in nearly all of a map
_PLACES = 2_000  # random ones, half of which may lie in walls


def links_of_map(
    state: Array,
    distance: DistanceModel,
    goal_of: GoalEntries,
    layout: Layout,
    longest: float,
    reach: float,
    rng: np.random.Generator,
) -> tuple[Array, csr_array]:
    """(S,) any state of the map -> states (N, S) at random places of it, and the env steps (N, N) of links of at most `longest`.

    Kept are places that the distance takes to be attainable, joined where they lie within `reach` [goal units] and their middle
    is attainable, too, so that ways may be drawn straight from place to place. Short links are the surest ones: what a chain of
    them says of a far pair may be believed more than what the distance says of it outright.
    """
    states = np.repeat(state[None], _PLACES, axis=0)
    states = goal_of.lift(rng.uniform(layout.low, layout.high, (_PLACES, 2)).astype(np.float32), states)
    states = states[np.isfinite(distance.paired(states, goal_of(states)))]
    places = goal_of(states)
    pairs = cKDTree(places).query_pairs(reach, output_type="ndarray")
    here, there = np.concatenate([pairs, pairs[:, ::-1]]).T
    steps = distance.paired(states[here], places[there])
    clear = np.isfinite(distance.paired(states[here], (places[here] + places[there]) / 2))
    near = (steps <= longest) & clear
    return states, csr_array((steps[near], (here[near], there[near])), shape=(len(states), len(states)))
