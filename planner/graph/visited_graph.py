"""The graph of all visited states: steps that were taken, and near states that one can change over to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.spatial import cKDTree

from ..data.trajectories import Trajectory, typical_step

Array = NDArray[np.floating]

_NEIGHBOURS = 8  # visited places that a place is joined to, at most


def visited_graph(
    data: Sequence[Trajectory], step_length: float | None = None, barred: NDArray[np.bool_] | None = None
) -> tuple[csr_array, float]:
    """All visited places (N), each joined to the next of its trajectory and to places within a step -> (N, N) env steps.

    Following a trajectory takes the steps it took. Going over to a place of another one within a typical step takes as
    much of a step as it is away: geodesics as in Isomap (Tenenbaum et al. 2000), directed where the
    trajectories are. But nobody goes over from where a barrier leads through, nor across one: `barred` (N,) says where they are.
    Also returns the typical step [goal units], which is `step_length` if that is given. ValueError if nothing
    moves.
    """
    places = np.concatenate([trajectory.goals for trajectory in data])
    step_length = typical_step(data) if step_length is None else step_length
    if step_length == 0:
        raise ValueError("no trajectory moves; there are no ways to learn")
    count = min(_NEIGHBOURS + 1, len(places))
    tree = cKDTree(places)
    gaps, near = tree.query(places, k=np.arange(2, count + 1), distance_upper_bound=step_length)
    rows, columns = np.nonzero(np.isfinite(gaps))
    if barred is not None and barred.any():
        others = near[rows, columns]
        clear = ~(barred[rows] | barred[others])
        clear[clear] = ~barred[tree.query((places[rows[clear]] + places[others[clear]]) / 2)[1]]
        rows, columns = rows[clear], columns[clear]
    hops = np.maximum(gaps[rows, columns] / step_length, 1e-3)  # a stored 0 would be no edge
    ends = np.cumsum([len(trajectory) for trajectory in data]) - 1
    first = np.setdiff1d(np.arange(len(places)), ends)
    others = near[rows, columns]
    pairs = np.concatenate([rows * len(places) + others, others * len(places) + rows, first * len(places) + first + 1])
    pairs, kept = np.unique(pairs, return_index=True)  # of two edges the first, a hop, which is shorter than a step
    steps = np.concatenate([hops, hops, np.ones(len(first))])[kept]
    return coo_array((steps, np.divmod(pairs, len(places))), shape=(len(places), len(places))).tocsr(), step_length
