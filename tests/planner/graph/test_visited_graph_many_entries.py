"""The graph of visited positions where goals have so many entries that trajectories hardly ever meet."""

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components, dijkstra

from thalweg.planner.data.trajectories import Trajectory, typical_step
from thalweg.planner.graph.visited_graph import visited_graph


def walks(size, count=300, length=40, seed=0):
    rng = np.random.default_rng(seed)
    at, speed = rng.uniform(-1, 1, (count, size)), rng.normal(0, 0.02, (count, size))
    path = [at]
    for _ in range(length):
        speed = np.clip(speed + rng.normal(0, 0.01, speed.shape), -0.05, 0.05)
        at = np.clip(at + speed, -1, 1)
        path.append(at)
    return [Trajectory(states, states) for states in np.stack(path, axis=1).astype(np.float32)]


@pytest.mark.parametrize("size", [4, 7, 12])
def test_all_is_joined_and_paths_are_not_much_longer_than_straight_lines(size):
    """Of trajectories that never come within a step of each other; steps of full speed along the line are the least."""
    data = walks(size)
    goals = np.concatenate([trajectory.goals for trajectory in data])
    graph, step = visited_graph(data), typical_step(data)
    _, part = connected_components(graph, directed=False)
    assert np.bincount(part).max() > 0.98 * len(goals)
    sources, ends = np.arange(0, 3_000, 1_000), np.arange(500, len(goals), 1_000)
    straight = np.linalg.norm(goals[sources, None] - goals[ends], axis=-1) / step
    longer = dijkstra(graph, indices=sources)[:, ends] / straight
    assert np.median(longer[np.isfinite(longer)]) < 3.0 and np.isfinite(longer).mean() > 0.95


def test_it_is_the_same_each_time():
    first, second = (visited_graph(walks(5, count=40)) for _ in range(2))
    assert (first != second).nnz == 0


def test_one_trajectory_alone_is_its_own_path():
    data = walks(6, count=1)
    graph = visited_graph(data)
    assert graph.nnz == len(data[0]) - 1


def test_in_the_plane_positions_are_joined_within_a_step_alone():
    data = walks(2)
    graph = visited_graph(data).tocoo()
    goals = np.concatenate([trajectory.goals for trajectory in data])
    gaps = np.linalg.norm(goals[graph.row] - goals[graph.col], axis=1)
    assert gaps[np.abs(graph.row - graph.col) > 1].max() <= typical_step(data) * (1 + 1e-6)
