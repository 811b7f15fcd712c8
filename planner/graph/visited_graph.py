"""The graph of all visited states: steps that were taken, and near states that one can change over to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.spatial.distance import cdist

from ..data.trajectories import Trajectory
from ..goal_space import GoalSpace, GoalTree

Array = NDArray[np.floating]

_NEIGHBOURS = 8  # visited places that a place is joined to, at most
# where goals have many entries hardly any two trajectories pass within a step of each other: their places are joined over so many
# steps, or as far as so many of others are about most places if that is more, to random ones of a pool
_FAR, _NEAR_BY, _POOL = 4.0, 4, 4_096
_AT_ONCE = 512  # places: bounds memory


def visited_graph(
    data: Sequence[Trajectory], space: GoalSpace | None = None, barred: NDArray[np.bool_] | None = None
) -> csr_array:
    """All visited places (N), each joined to the next of its trajectory and to places within a move -> (N, N) env steps.

    Following a trajectory takes the steps it took. Going over to a place of another one within a move (within some, where goals
    have many entries) takes as much of a step as it is away: geodesics as in Isomap (Tenenbaum et al. 2000), directed where the
    trajectories are. But nobody goes over from where a barrier leads through, nor across one: `barred` (N,) says where they are.
    ValueError if nothing moves. Without a `space` the data's own.
    """
    places = np.concatenate([trajectory.goals for trajectory in data])
    space = space if space is not None else GoalSpace.fit([trajectory.goals for trajectory in data])
    if not space.moves:
        raise ValueError("no trajectory moves; there are no ways to learn")
    tree = space.tree(places)
    owners = np.repeat(np.arange(len(data)), [len(trajectory) for trajectory in data])
    gaps, near = _neighbours(tree, places, owners)
    rows, columns = np.nonzero(np.isfinite(gaps))
    if barred is not None and barred.any():
        others = near[rows, columns]
        clear = ~(barred[rows] | barred[others])
        clear[clear] = ~barred[tree.query(space.middle(places[rows[clear]], places[others[clear]]))[1]]
        rows, columns = rows[clear], columns[clear]
    hops = np.maximum(gaps[rows, columns], 1e-3)  # a stored 0 would be no edge
    ends = np.cumsum([len(trajectory) for trajectory in data]) - 1
    first = np.setdiff1d(np.arange(len(places)), ends)
    others = near[rows, columns]
    pairs = np.concatenate([rows * len(places) + others, others * len(places) + rows, first * len(places) + first + 1])
    pairs, kept = np.unique(pairs, return_index=True)  # of two edges the first, a hop, which is shorter than a step
    steps = np.concatenate([hops, hops, np.ones(len(first))])[kept]
    return coo_array((steps, np.divmod(pairs, len(places))), shape=(len(places), len(places))).tocsr()


def _neighbours(tree: GoalTree, places: Array, owners: NDArray[np.intp]) -> tuple[Array, NDArray[np.intp]]:
    """(N, K) how far the neighbours of each place are [moves], inf where there is none, and their rows; `owners` (N,) are
    trajectories.

    The nearest do wherever there are any within a move. Where those of other trajectories are farther, random ones do better:
    paths over nearest neighbours wind, since few of them happen to lie ahead (of a mass in four dimensions they were 2.3 times as
    long as need be, over random ones within four moves 1.35 times).
    """
    if tree.space.has_cells:
        count = min(_NEIGHBOURS + 1, tree.n)
        return tree.query(places, k=np.arange(2, count + 1), within=1.0)
    rng = np.random.default_rng(0)
    pool = rng.permutation(tree.n)[:_POOL]
    some = _gaps_to(pool, pool[:_AT_ONCE], places, owners, tree.space)
    fourth = np.sort(some, axis=1)[:, min(_NEAR_BY, len(pool)) - 1]
    known = fourth[np.isfinite(fourth)]
    reach = max(_FAR, float(np.median(known)) if len(known) else 0.0)
    parts = []
    for rows in np.array_split(np.arange(tree.n), -(-tree.n // _AT_ONCE)):
        gaps = _gaps_to(pool, rows, places, owners, tree.space)
        _, within = np.nonzero(gaps <= reach)
        counts = (gaps <= reach).sum(axis=1)
        first = np.cumsum(counts) - counts
        drawn = first[:, None] + (rng.random((len(rows), _NEIGHBOURS)) * counts[:, None]).astype(int)
        chosen = np.append(within, 0)[drawn.clip(max=len(within))]
        chosen[counts == 0] = gaps[counts == 0].argmin(axis=1)[:, None]  # an outlier has its nearest, however far
        parts.append((np.take_along_axis(gaps, chosen, axis=1), pool[chosen]))
    all_gaps, near = (np.concatenate(values) for values in zip(*parts, strict=True))
    return all_gaps, near


def _gaps_to(pool: NDArray[np.intp], rows: NDArray[np.intp], places: Array, owners: NDArray[np.intp], space: GoalSpace) -> Array:
    """(P,), (B,) rows of places -> (B, P) how far they are apart [moves]; inf along one trajectory."""
    if space.wraps:
        gaps = space.gap(places[rows, None], places[pool])
    else:  # the same in less time and memory
        gaps = cdist(space.flat(places[rows]), space.flat(places[pool])) / space.move
    return np.where(owners[rows, None] == owners[pool], np.inf, gaps)
