"""What a run leaves to learn from: every part's `fit` takes one `Experience`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .data.coverage import Coverage
from .data.dataset import Dataset
from .data.trajectories import GoalEntries, Trajectory
from .fitting import ignore
from .goal_space import GoalSpace
from .graph.stitched_paths import paths_in_maps, training_paths
from .many_maps.maps import ONE_MAP, Maps
from .protocols import DistanceModel, GoalPolicy, World

Array = NDArray[np.floating]

MAX_EDGE = 5.0  # the longest link of a plan, in links that the agent is sure of: used where nothing else closes a gap


class _Unmeasured:
    """Stands where a distance will be, while that is being fitted."""

    def pairwise(self, states: Array, goals: Array) -> Array:
        raise ValueError("no distance has been fitted to this experience yet; fit one and hand it in: replace(..., distance=...)")

    paired = pairwise


@dataclass(frozen=True, eq=False)
class Experience:
    """What was visited, how far apart that is, and how long the links are of which the agent is sure.

    A distance is fitted to one that has none yet, and all else to one that has it. Of `agent` and `world` a part says in its
    `fit` whether it needs them; a data set without an agent has neither.
    """

    data: Dataset
    seed: int  # of all that is learned from it
    distance: DistanceModel = field(default_factory=_Unmeasured)
    sure_edge: float = float("nan")  # env steps, see `evaluation.audit.sure_edge`
    maps: Maps = ONE_MAP  # one, or many that states end in a picture of
    agent: GoalPolicy | None = None
    world: World | None = None
    _paths: dict[str, tuple[Array, Array]] = field(default_factory=dict, init=False, repr=False)

    @property
    def trajectories(self) -> Sequence[Trajectory]:
        return self.data.trajectories

    @property
    def goal_of(self) -> GoalEntries:
        return self.data.goal_of

    @property
    def states(self) -> Array:
        """(M, S), all that were visited"""
        return self.data.states

    @property
    def clear_states(self) -> Array:
        """(K, S), those on no barrier: what nodes are drawn from"""
        return self.data.clear_states

    @property
    def goals(self) -> Array:
        """(M, G), what these states achieve"""
        return self.data.goals

    @property
    def space(self) -> GoalSpace:
        """The metric of goals: moves, the short way round."""
        return self.data.space

    @property
    def visited(self) -> Coverage:
        """Where a generated goal may lie; its rows are those of `states`."""
        return self.data.visited

    def lift(self, goals: Array) -> Array:
        """(N, G) -> (N, S), see `Dataset.lift`."""
        return self.data.lift(goals)

    def paths(self, on_step: Callable[[int], None] = ignore) -> tuple[Array, Array]:
        """Paths between visited goals (N, L, G) at equal arc lengths, and their weights (N,): see `training_paths`. What wraps
        goes on beyond its ends.

        The search takes seconds to minutes, once; `on_step(done)` is told of each of the `NUM_STEPS` of that. ValueError where
        no two visited states can be joined.
        """
        if "one" not in self._paths:
            rng = np.random.default_rng(self.seed)
            longest = MAX_EDGE * self.sure_edge
            self._paths["one"] = training_paths(
                self.trajectories, self.distance, self.goal_of, longest, self.sure_edge, rng, on_step, self.space
            )
        return self._paths["one"]

    def paths_in_maps(self) -> tuple[Array, Array]:
        """As `paths`, where maps are many: paths (N, L, 2), and the pictures of their maps (N, X Y)."""
        if "many" not in self._paths:
            rng = np.random.default_rng(self.seed)
            self._paths["many"] = paths_in_maps(self.trajectories, self.distance, self.goal_of, self.maps.pictured(), rng)
        return self._paths["many"]

    def picture(self, state: Array) -> Array:
        """(S,) -> (X Y,) what the state shows of its map; (0,) where there is but one."""
        return self.maps.picture(state)
