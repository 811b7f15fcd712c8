"""Matrices in, plans out: a graph over sampled states and the shortest path through it."""

from __future__ import annotations

from collections.abc import Callable

import networkx as nx
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from ..plan import NoPathError, Plan

Array = NDArray[np.floating]
Search = Callable[[csr_array], list[int]]

START = 0  # the start's index in the graph; the nodes are 1..N and the goal N + 1


def link_steps(steps: Array, max_edge: float, keep_best: bool = True) -> Array:
    """(N + 1, N + 1) steps -> (N + 2, N + 2) steps of the graph's links, inf where there is none.

    Row 0 is the start and rows 1..N the nodes; columns 0..N-1 are the nodes and column N the goal. A link takes at most
    `max_edge` env steps and counts at least one; but with `keep_best` the shortest way out of a place and the shortest way into
    one are links however long they are (as in MSS and DHRL): where samples are few, a long link is better than none, and
    `edge_costs` sees to it that it serves only there. ValueError for a matrix that is not square.
    """
    if steps.ndim != 2 or steps.shape[0] != steps.shape[1]:
        raise ValueError(f"steps must be square, start and nodes by nodes and goal; got {steps.shape}")
    size = len(steps) + 1
    links = np.full((size, size), np.inf)
    links[:-1, 1:] = np.maximum(steps, 1.0)  # column j is graph node j + 1
    np.fill_diagonal(links, np.inf)
    within = links <= max_edge
    if not keep_best:
        return np.where(within, links, np.inf)
    places = np.arange(1, size)
    within[places - 1, links[:-1].argmin(axis=1)] = True
    within[links[:, 1:].argmin(axis=0), places] = True
    return np.where(within, links, np.inf)


def edge_costs(steps: Array, stride: float) -> Array:
    """(steps + 1) (1 + (steps / stride)^4), any shape: at the stride a link costs twice its steps, below little more.

    A link ends within the goal's tolerance of its node, but the next one starts at the node itself: each link looks
    about a step too cheap, so without the + 1 a zigzag of tiny links beats the straight way (plans on the flat world
    were 1.050 times the shortest path, with it 1.014). The second factor is a soft form of SoRB's cut-off: long links are
    both the likelier to be false and the likelier to be missed, so those beyond a stride serve only where nothing else
    closes a gap.
    """
    return (steps + 1.0) * (1.0 + (steps / stride) ** 4)


def shortest_plan(links: Array, nodes: Array, stride: float, search: Search) -> Plan:
    """The cheapest path from the start to the goal over `link_steps` as a Plan; NoPathError, with the numbers, without one."""
    linked = np.isfinite(links)
    rows, columns = np.nonzero(linked)  # row by row, as scipy keeps them
    ends = np.concatenate([[0], linked.sum(axis=1).cumsum()])
    costs = csr_array((edge_costs(links[rows, columns], stride), columns, ends), shape=links.shape)
    path = search(costs)
    if not path:
        raise NoPathError(
            f"no path from start to goal through {len(nodes)} nodes and {len(rows)} edges; "
            f"sample more nodes or allow longer edges"
        )
    edge_steps = links[path[:-1], path[1:]].astype(np.float32)
    return Plan(nodes[np.array(path[1:-1], dtype=np.intp) - 1], edge_steps, nodes, np.stack([rows, columns], axis=1))


def search_csgraph(costs: csr_array) -> list[int]:
    """(N, N) costs of a graph's edges -> the cheapest path from the first place to the last, by scipy; empty without one."""
    _, before = dijkstra(costs, indices=START, return_predecessors=True)
    last = costs.shape[0] - 1
    return trace(before, START, last) if before[last] >= 0 else []


def search_networkx(costs: csr_array) -> list[int]:
    """As `search_csgraph`, by networkx: the same answer, some ten times slower, most of it to build the graph."""
    graph = nx.from_scipy_sparse_array(costs, create_using=nx.DiGraph)
    try:
        return nx.shortest_path(graph, START, costs.shape[0] - 1, weight="weight")
    except nx.NetworkXNoPath:
        return []


def trace(before: NDArray[np.integer], start: int, end: int) -> list[int]:
    """Walk one row of scipy's predecessors back from `end` to `start`, which must lead there, and turn it round."""
    path = [end]
    while path[-1] != start:
        path.append(int(before[path[-1]]))
    return path[::-1]
