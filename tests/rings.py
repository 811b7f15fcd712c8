"""Small maps in which the way is known: a ring of corridors, closed by a wall on one of two sides, so one way round is left."""

import itertools

import numpy as np
from straight import Straight

from thalweg.planner.data.dataset import Dataset
from thalweg.planner.data.points import resample_by_arc_length
from thalweg.planner.data.trajectories import GoalEntries, Trajectory
from thalweg.planner.experience import Experience
from thalweg.planner.many_maps.layout import Layout
from thalweg.planner.many_maps.maps import PicturedMaps

LAYOUT = Layout((7, 7), (0.0, 0.0), (7.0, 7.0))  # a square is a unit
MAPS = list(itertools.product((1, 2), (4, 5), (1, 2), (4, 5), (0, 1), (3,)))  # left, right, low, high, which is shut, and where
_SPLIT = np.random.default_rng(0).permutation(len(MAPS))
TRAINED, OTHERS = ([MAPS[i] for i in part] for part in (_SPLIT[:24], _SPLIT[24:]))


def picture_of(ring):
    """(7, 7): 1 for wall; the first axis is x."""
    left, right, low, high, shut, where = ring
    picture = np.ones((7, 7), dtype=np.float32)
    picture[left : right + 1, low : high + 1] = 0
    picture[left + 1 : right, low + 1 : high] = 1
    picture[where, (low, high)[shut]] = 1
    return picture


def ends_of(ring):
    """Start and goal: half way up the left and the right corridor."""
    left, right, low, high, *_ = ring
    return np.array([[left, (low + high) / 2], [right, (low + high) / 2]], dtype=np.float32) + 0.5


def corridors_of(ring):
    """The way through the open corridor, and the like of it through the one that is shut: (129, 2) each."""
    left, right, low, high, shut, _ = ring
    start, goal = ends_of(ring)
    sides = (high, low) if shut == 0 else (low, high)
    corners = [np.array([[left, side], [right, side]]) + 0.5 for side in sides]
    return [resample_by_arc_length(np.vstack([start, *corner, goal]), 129) for corner in corners]


def paths_of(rings):
    """What a model learns from: ways (N, 129, 2) and pictures (N, 49), each ring there and back."""
    ways = [corridors_of(ring)[0] for ring in rings]
    pictures = np.stack([picture_of(ring).ravel() for ring in rings])
    return np.concatenate([np.stack(ways), np.stack(ways)[:, ::-1]]), np.concatenate([pictures, pictures])


def state_in(ring, place):
    """(2,) -> (S,): a place, a velocity, and the picture."""
    return np.concatenate([place, [0.5, -0.5], picture_of(ring).ravel()]).astype(np.float32)


def ring_experience(rings):
    """One trajectory along the open corridor of each map; what is stitched in maps is what `paths_of` says."""
    data = []
    for ring in rings:
        way = corridors_of(ring)[0]
        data.append(Trajectory(np.stack([state_in(ring, place) for place in way]), way))
    experience = Experience(
        Dataset(data, GoalEntries((0, 1))), seed=0, distance=Straight(), sure_edge=4.0, maps=PicturedMaps(LAYOUT)
    )
    experience._paths["many"] = paths_of(rings)
    return experience
