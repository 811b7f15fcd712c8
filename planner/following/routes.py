"""The way that a plan is driven: the shortest one that keeps clear of where nobody has been, near the plan's links."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from ..data.coverage import Coverage
from ..data.points import resample_by_arc_length
from ..data.trajectories import typical_turn
from ..experience import Experience
from ..goal_space import GoalSpace
from ..graph.search import trace
from .occupancy_grid import OccupancyGrid

Array = NDArray[np.floating]

_LEAST_AHEAD = 2.5  # typical moves: the agent has learnt (`AgentConfig.arrival_moves`) that what is 2 away may count as reached
_ENDS = 2.0  # how far start and waypoints may be from the nearest cell [typical moves]
_SPACING = 0.2  # of a route's points [typical moves]
_WINDOW = 15  # points ahead among which somebody's place on a route is looked for


@dataclass(frozen=True, kw_only=True)
class RouteConfig:
    # of the way in which the agent turns, `data.typical_turn` steps of typical moves
    clearance: float = 0.25  # what a route keeps from where nobody has been, if it can
    ahead: float = 0.7  # how far along the route the agent's goal is
    weight: float = 6.0  # a way with no clearance at all costs so many times its length more
    longer: float = 1.5  # a link's way may be so many times longer than the link is predicted to be ...
    wider: float = 3.0  # ... and so many env steps more

    def __post_init__(self) -> None:
        if not (self.clearance > 0 and self.weight >= 0 and self.ahead > 0):
            raise ValueError("clearance and ahead must be positive, weight not negative")
        if self.longer < 1 or self.wider < 0:
            raise ValueError(f"longer must be at least 1 and wider not negative, got {self.longer} and {self.wider}")


@dataclass(eq=False)
class Route:
    """A line that is driven along, and how far along it somebody is, who never goes back."""

    points: Array  # (P, G) at equal spacing [goal units]
    marks: NDArray[np.intp]  # (K,) indices of the points next to the plan's waypoints, and to the goal if it leads there
    look_ahead: float  # how far ahead the agent's goal is [typical moves]
    complete: bool = True  # it leads to the goal; else to the last waypoint that visits join to the start
    space: GoalSpace | None = None  # of the goals; without it an entry is as another
    at: int = 0  # the point next to where somebody is
    credited: int = 0  # where `progressed` was last so

    def follow(self, place: Array) -> None:
        """Somebody is at (G,) now."""
        window = self.points[self.at : self.at + _WINDOW]
        offsets = window - place if self.space is None else self.space.relative(window - place)
        self.at += int((offsets**2).sum(axis=1).argmin())

    def point_ahead(self) -> Array:
        """(G,)"""
        return self.points[min(self.at + round(self.look_ahead / _SPACING), len(self.points) - 1)]

    def passed(self) -> int:
        """The number of waypoints behind."""
        behind = int((self.marks <= self.at).sum())
        return min(behind, len(self.marks) - 1) if self.complete else behind

    def progressed(self) -> bool:
        """Has somebody come a typical move farther since this was last so? What it says, it says once."""
        if self.at < self.credited + 1 / _SPACING:
            return False
        self.credited = self.at
        return True

    def is_over(self) -> bool:
        """Is somebody where a route ends that does not lead to the goal?"""
        return not self.complete and self.at >= len(self.points) - round(1 / _SPACING)


@dataclass(frozen=True, eq=False)
class Routes:
    """Paths over cells in which the agent has been, or nearly.

    An agent that is handed one waypoint after the other heads for each as fast as it can, and is carried into the wall
    behind it: in a maze with corridors three steps wide a third of its steps touched a wall, and it took 1.3 times the
    least possible time, though it is within a twentieth of that on goals a few steps away. So its goal is a point a few steps
    ahead on a line (pure pursuit, Coulter 1992) that keeps off the walls; the more so the more slowly it turns.

    A plan says which way; its links are drives that may lead round corners. What a link's way may touch is the ellipse of
    all places over which the drive would not be much longer than predicted (informed sampling's, arXiv:1404.2334), and the
    route is the cheapest path through all of these, pulled straight where that costs less.
    """

    cells: OccupancyGrid
    move: float  # typical, of a step [units of the goals' first entry, as all that cells know]
    look_ahead: float  # how far ahead on a route the agent's goal is [typical moves]
    config: RouteConfig
    space: GoalSpace

    @classmethod
    def fit(cls, experience: Experience, config: RouteConfig | None = None) -> Routes | None:
        """None where goals have more than three entries or one that wraps, the world is too wide for so small cells, or nothing
        moves."""
        space = experience.space
        if not space.moves or space.wraps:
            return None
        turn, config = typical_turn(experience.trajectories, space), config if config is not None else RouteConfig()
        return cls.over(experience.visited, experience.goals.astype(np.float64), space.move, turn, config)

    @classmethod
    def over(cls, visited: Coverage, places: Array, move: float, turn: float, config: RouteConfig) -> Routes | None:
        """(M, G) visited places, a typical move [units of the first entry] and a typical turn [env steps]; None as in `fit`."""
        space = visited.space
        cells = OccupancyGrid.over(visited, space.relative(places), move, config.clearance * turn * move, config.weight)
        return None if cells is None else cls(cells, move, max(config.ahead * turn, _LEAST_AHEAD), config, space)

    def through(self, places: Array, steps: Array) -> Route | None:
        """(K + 1, G) start, waypoints and goal, (K,) predicted env steps from each to the next -> Route.

        To the last of these that cells near the links join to the start; None where there is none.
        """
        places = self.space.relative(places)
        near = self._near_links(places, steps)
        if len(near) == 0:
            return None
        next_cell = self.cells.tree.query(places, distance_upper_bound=_ENDS * self.move)[1]  # N: none
        next_to = np.searchsorted(near, next_cell).clip(max=len(near) - 1)
        found = near[next_to] == next_cell
        if not found[0]:
            return None
        lengths, before = dijkstra(self.cells.links[near][:, near], indices=next_to[0], return_predecessors=True)
        joined = [k for k in range(1, len(places)) if found[k] and np.isfinite(lengths[next_to[k]])]
        if not joined:
            return None
        line = self.cells.centres[near[trace(before, next_to[0], next_to[joined[-1]])]]
        line = np.vstack([places[:1], line[1:-1], places[joined[-1]]])
        points = self._spaced(self.cells.pulled_straight(self._spaced(line)))
        marks = cKDTree(points).query(places[1 : joined[-1] + 1])[1]
        marks[-1] = len(points) - 1
        marks, complete = np.maximum.accumulate(marks), joined[-1] == len(steps)
        return Route(self.space.absolute(points), marks, self.look_ahead, complete, self.space)

    def _spaced(self, line: Array) -> Array:
        """(P, G) -> (Q, G) points of it at equal spacing"""
        length = np.linalg.norm(np.diff(line, axis=0), axis=1).sum()
        return resample_by_arc_length(line, max(2, math.ceil(length / (_SPACING * self.move)) + 1))

    def _near_links(self, places: Array, steps: Array) -> NDArray[np.intp]:
        """-> indices of all cells in the ellipse of a link."""
        starts, ends = places[:-1], places[1:]
        straight = np.linalg.norm(ends - starts, axis=1) / self.move
        longest = (np.maximum(steps, straight) * self.config.longer + self.config.wider) * self.move
        near = np.zeros(len(self.cells.centres), dtype=bool)
        for start, end, most in zip(starts, ends, longest, strict=True):
            if most > 2 * self.cells.diameter:  # all cells, unless start or end is far from them
                return np.arange(len(self.cells.centres))
            cells = np.array(self.cells.tree.query_ball_point((start + end) / 2, most / 2), dtype=np.intp)
            centres = self.cells.centres[cells]
            by_way_of = np.linalg.norm(centres - start, axis=1) + np.linalg.norm(centres - end, axis=1)
            near[cells[by_way_of <= most]] = True
        return np.flatnonzero(near)
