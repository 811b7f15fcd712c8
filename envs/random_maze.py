"""Mazes drawn by a seed."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import minimum_spanning_tree

from .drawings import Rows


@lru_cache(maxsize=256)
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
