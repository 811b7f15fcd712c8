"""What a planner gives: a chain of waypoints, with the graph it was found in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import BadInput

Array = NDArray[np.floating]


class NoPathError(BadInput):
    """The graph holds no path from the start to the goal."""


@dataclass(frozen=True, eq=False)
class Plan:
    """A chain of waypoints, with the graph it was found in (for pictures and audits)."""

    waypoints: Array  # (K, S), start and goal excluded; K = 0 means straight to the goal
    edge_steps: Array  # (K + 1,) predicted env steps of each link, the last one to the goal
    nodes: Array  # (N, S) all sampled states
    edges: NDArray[np.intp]  # (E, 2) rows [from, to]; 0 is the start, 1..N the nodes, N + 1 the goal

    def __repr__(self) -> str:
        return f"Plan({self.total_steps:.0f} steps over {len(self.waypoints)} waypoints, of {len(self.nodes)} nodes)"

    @property
    def total_steps(self) -> float:
        """Predicted env steps of the whole chain."""
        return float(self.edge_steps.sum())
