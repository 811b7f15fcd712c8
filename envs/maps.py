"""The worlds drawn in ASCII, and random mazes."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import minimum_spanning_tree, shortest_path

Rows = tuple[str, ...]

_LONG_WAY = 240  # env steps, at least, between the farthest cells of a world that is not given a scale


def _drawn(text: str) -> Rows:
    return tuple(text.split())


FLAT = _drawn("""
#####
#...#
#...#
#...#
#####
""")
# One way round a long wall: two arms, two cells wide, that meet at the bottom.
U = ("#######", *("#..#..#",) * 13, "#.....#", "#.....#", "#######")
CROSS = _drawn("""
###########
####...####
####...####
####...####
#.........#
#.........#
#.........#
####...####
####...####
####...####
###########
""")
# The rooms of Sutton, Precup and Singh (1999).
FOUR_ROOMS = _drawn("""
#############
#.....#.....#
#.....#.....#
#...........#
#.....#.....#
#.....#.....#
##.####.....#
#.....###.###
#.....#.....#
#.....#.....#
#...........#
#.....#.....#
#############
""")
# Two rooms, and one long bent way between them.
TUNNEL = _drawn("""
###################
#.....#######.....#
#.....#...###.....#
#.....#.#.###.....#
#.......#...#.....#
#.....#####.......#
#.....#######.....#
###################
""")
# One trunk, eight twigs: a wrong turn costs the way back.
TREE = _drawn("""
#################
#.#.#.#.#.#.#.#.#
#.#.#.#.#.#.#.#.#
#.#.#.#.#.#.#.#.#
#...#...#...#...#
##.###.###.###.##
##.###.###.###.##
##.....###.....##
####.#######.####
####.#######.####
####.........####
########.########
########.########
########.########
#################
""")
# A chamber that is easy to enter and hard to leave: its mouth leads inwards.
FLY_TRAP = _drawn("""
#################
#...............#
#...............#
#..##########...#
#..#........#...#
#..#........#...#
#..#..#######...#
#..#............#
#..#..#######...#
#..#........#...#
#..#........#...#
#..##########...#
#...............#
#...............#
#################
""")
# Rows of pins, shifted: many ways, none of them straight.
GALTON = _drawn("""
#################
#...............#
#.#...#...#...#.#
#...............#
#...#...#...#...#
#...............#
#.#...#...#...#.#
#...............#
#...#...#...#...#
#...............#
#.#...#...#...#.#
#...............#
#...#...#...#...#
#...............#
#.#...#...#...#.#
#...............#
#################
""")
SPIRAL_5 = _drawn("""
#######
#.....#
#####.#
#...#.#
#.###.#
#.....#
#######
""")
SPIRAL_7 = _drawn("""
#########
#.......#
#######.#
#.....#.#
#.###.#.#
#.#...#.#
#.#####.#
#.......#
#########
""")
SPIRAL_9 = _drawn("""
###########
#.........#
#########.#
#.......#.#
#.#####.#.#
#.#...#.#.#
#.#.###.#.#
#.#.....#.#
#.#######.#
#.........#
###########
""")
SPIRAL_11 = _drawn("""
#############
#...........#
###########.#
#.........#.#
#.#######.#.#
#.#.....#.#.#
#.#.###.#.#.#
#.#.#...#.#.#
#.#.#####.#.#
#.#.......#.#
#.#########.#
#...........#
#############
""")
# Four bars from alternate sides: whoever wants to get across has to wind between them.
FOUR_WALLS = _drawn("""
######################
#....#......#........#
#....#......#........#
#....#......#........#
#....#......#........#
#....#......#........#
#....#...#..#...#....#
#....#...#..#...#....#
#....#...#..#...#....#
#....#...#..#...#....#
#....#...#..#...#....#
#....#...#..#...#....#
#....#...#..#...#....#
#....#...#..#...#....#
#....#...#..#...#....#
#....#...#..#...#....#
#........#......#....#
#........#......#....#
#........#......#....#
#........#......#....#
#........#......#....#
######################
""")
# random_maze(size=6, loops=1, maze_seed=1), kept as drawn
MAZE_6 = _drawn("""
#############
#...#.......#
###.###.###.#
#.....#.#.#.#
#.#.#.#.#.#.#
#.#.#...#...#
#.#####.#.###
#...#.......#
#.#####.#.###
#.....#.#...#
#.#######.#.#
#...#.....#.#
#############
""")
# random_maze(size=11, loops=6, maze_seed=3), kept as drawn
MAZE_11 = _drawn("""
#######################
#.#.#.....#.....#.....#
#.#.###.###.###.#.#.###
#.#.........#...#.....#
#.###.#.#####.#.#.###.#
#.#...#.....#.#.....#.#
#.#.#.#.###.#.#####.#.#
#.#.#...#.#.#.#.......#
#.#.#.#.#.###########.#
#...#.#.....#.#.......#
###.#.#.#####.#.#######
#.#.#.#...#.#...#...#.#
#.#.###.###.#.#.#.###.#
#...#...#.....#.#.....#
###.###.#.###########.#
#.....#.....#.#.#.....#
#.###.###.###.#.#.#.###
#.#.#.....#.#.#...#...#
###.#.###.#.#.#######.#
#.......#...#.........#
###.###.###.#.###.###.#
#.....#.......#.....#.#
#######################
""")
# random_maze(size=15, loops=10, maze_seed=2), kept as drawn
MAZE_15 = _drawn("""
###############################
#.....#...#.....#...#...#...#.#
###.###.###.#.#.#.#####.#.#.#.#
#.#...........#...........#.#.#
#.#.#.#.#################.###.#
#...#.....#...#...#.........#.#
###.#.###.#.#.#.###.#########.#
#.#.#.......#.....#...#.......#
#.###.#.#.###.#.#########.###.#
#.#...#.#...#.#.........#.#.#.#
#.###.#####.###.#.#####.###.#.#
#.......#.....#.#...#...#.#.#.#
#.#.###.#####.#.#######.#.#.#.#
#.#...#.#.#.........#.........#
#######.#.#.###.#############.#
#.....#.#.#...#.#...#.......#.#
#.#####.#.###.###.#.#.###.###.#
#...#.#.#.#.#.#.#.#.....#.#...#
###.#.#.#.#.#.#.#####.#####.#.#
#.#...#.........#.........#...#
#.###.#########.#.#.#.#####.#.#
#...#...#.#.#...#.#.#.......#.#
#.#####.#.#.#.###.#.#####.###.#
#...........#.#...#.....#.#...#
#.###.###.###.#####.###.#.###.#
#.#.......#.........#.......#.#
#####.###.#.#######.#####.###.#
#...#.#...#...#...#...#.......#
#.#.#.###.###.#.#.###.###.###.#
#.#.....#.......#.#.....#.#...#
###############################
""")

# Family -> drawing. Gymnasium ids are `PointMass<family>-v0`.
FAMILIES: dict[str, Rows] = {
    "Empty": FLAT,
    "U": U,
    "Cross": CROSS,
    "FourRooms": FOUR_ROOMS,
    "Spiral5": SPIRAL_5,
    "Spiral7": SPIRAL_7,
    "Spiral9": SPIRAL_9,
    "Spiral11": SPIRAL_11,
    "Maze6": MAZE_6,
    "Maze11": MAZE_11,
    "Maze15": MAZE_15,
    "Tunnel": TUNNEL,
    "Tree": TREE,
    "FlyTrap": FLY_TRAP,
    "Galton": GALTON,
}


@lru_cache(maxsize=64)
def random_maze(size: int, loops: int, maze_seed: int) -> Rows:
    """A maze of size x size cells with corridors one cell wide, drawn on (2 size + 1)^2 squares.

    A minimum spanning tree over random weights joins all cells (Kruskal's maze); `loops` more walls are then opened, so
    that there are several ways. ValueError if there are fewer walls to open.
    """
    if size < 2:
        raise ValueError(f"size must be at least 2 cells, got {size}")
    rng = np.random.default_rng(maze_seed)
    cells = np.arange(size * size).reshape(size, size)
    down = np.stack([cells[:-1].ravel(), cells[1:].ravel()], axis=1)
    across = np.stack([cells[:, :-1].ravel(), cells[:, 1:].ravel()], axis=1)
    pairs = np.concatenate([down, across])  # (E, 2) neighbouring cells
    weights = 1 + rng.permutation(len(pairs))  # all different, so the tree's weights name its edges
    tree = minimum_spanning_tree(coo_array((weights, pairs.T), shape=(cells.size, cells.size)))
    is_open = np.isin(weights, tree.data)
    shut = np.flatnonzero(~is_open)
    if not 0 <= loops <= len(shut):
        raise ValueError(f"loops must lie between 0 and the {len(shut)} walls of this maze, got {loops}")
    is_open[rng.choice(shut, size=loops, replace=False)] = True
    places = np.stack(np.unravel_index(pairs, (size, size)), axis=-1)  # (E, 2 cells, row and column)
    squares = np.full((2 * size + 1, 2 * size + 1), "#")
    squares[1::2, 1::2] = "."
    squares[tuple(places.sum(axis=1)[is_open].T + 1)] = "."  # half-way between the two cells
    return tuple("".join(row) for row in squares)


@lru_cache(maxsize=64)
def long_scale(rows: Rows) -> int:
    """Env steps per cell that put the farthest cells of a drawing at least 240 env steps apart, cell by cell."""
    is_free = np.array([[square == "." for square in row] for row in rows])
    if is_free.sum() == 1:
        return _LONG_WAY
    number = np.cumsum(is_free).reshape(is_free.shape) - 1
    down, across = is_free[:-1] & is_free[1:], is_free[:, :-1] & is_free[:, 1:]
    ends = (
        np.concatenate([number[:-1][down], number[:, :-1][across]]),
        np.concatenate([number[1:][down], number[:, 1:][across]]),
    )
    steps = shortest_path(coo_array((np.ones(len(ends[0])), ends), shape=(is_free.sum(),) * 2), directed=False, unweighted=True)
    return math.ceil(_LONG_WAY / max(1.0, steps[np.isfinite(steps)].max()))
