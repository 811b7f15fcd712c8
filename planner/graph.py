"""Matrices in, plans out: a graph over sampled states and the shortest path through it."""

from __future__ import annotations

import itertools

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from .data import NoPathError, Plan

Array = NDArray[np.floating]

START = 0  # the start's index in the graph; the nodes are 1..N and the goal N + 1


def build_graph(steps: Array, max_edge: float, stride: float) -> nx.DiGraph:
    """(N + 1, N + 1) steps -> directed graph with an edge wherever a link takes at most `max_edge` env steps.

    Row 0 is the start and rows 1..N the nodes; columns 0..N-1 are the nodes and column N the goal. Each edge has its
    `steps` and its `cost`, see `edge_costs`.
    """
    if steps.ndim != 2 or steps.shape[0] != steps.shape[1]:
        raise ValueError(f"steps must be square, start and nodes by nodes and goal; got {steps.shape}")
    rows, columns = np.nonzero(steps <= max_edge)
    targets = columns + 1  # column j is graph node j + 1
    proper = rows != targets
    rows, targets = rows[proper], targets[proper]
    lengths = np.maximum(steps[rows, targets - 1].astype(np.float64), 1.0)
    costs = edge_costs(lengths, stride)
    graph = nx.DiGraph()
    graph.add_nodes_from(range(len(steps) + 1))
    graph.add_edges_from(
        (int(row), int(target), {"steps": float(length), "cost": float(cost)})
        for row, target, length, cost in zip(rows, targets, lengths, costs, strict=True)
    )
    return graph


def edge_costs(steps: Array, stride: float) -> Array:
    """(steps + 1) (1 + (steps / stride)^4), any shape: at the stride a link costs twice its steps, below little more.

    A link ends within the goal's tolerance of its node, but the next one starts at the node itself: each link looks
    about a step too cheap, so without the + 1 a zigzag of tiny links beats the straight way (plans on the flat world
    were 1.050 times the shortest path, with it 1.014). The second factor is a soft form of SoRB's cut-off: long links are
    both the likelier to be false and the likelier to be missed, so those beyond a stride serve only where nothing else
    closes a gap.
    """
    return (steps + 1.0) * (1.0 + (steps / stride) ** 4)


def shortest_plan(graph: nx.DiGraph, nodes: Array) -> Plan:
    """The cheapest path from the start to the goal as a Plan. NoPathError, with the numbers, when there is none."""
    goal = graph.number_of_nodes() - 1
    try:
        path = nx.shortest_path(graph, START, goal, weight="cost")
    except nx.NetworkXNoPath:
        raise NoPathError(
            f"no path from start to goal through {len(nodes)} nodes and {graph.number_of_edges()} edges; "
            f"sample more nodes or allow longer edges"
        ) from None
    edge_steps = np.array([graph.edges[link]["steps"] for link in itertools.pairwise(path)], dtype=np.float32)
    edges = np.array(graph.edges, dtype=np.intp).reshape(-1, 2)
    return Plan(nodes[np.array(path[1:-1], dtype=np.intp) - 1], edge_steps, nodes, edges)
