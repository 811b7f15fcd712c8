"""Walls without thickness: told by what was driven, and respected by all that asks which positions are joined."""

import numpy as np
import pytest
from scipy.sparse.csgraph import dijkstra

from thalweg.planner.data.barriers import on_barrier
from thalweg.planner.data.coverage import Coverage
from thalweg.planner.data.trajectories import Trajectory
from thalweg.planner.distances.geodesic_pairs import GeodesicPairs
from thalweg.planner.following.occupancy_grid import OccupancyGrid
from thalweg.planner.graph.visited_graph import visited_graph

MOVE, TOP = 0.02, 0.7  # of a step; where the pane at x = 0.5 ends


def walks(num_walks, seed=0, pane=True, size=2):
    """Walkers that turn slowly in the unit square (cube ...), stop at its border and at the pane, and slide along both."""
    rng = np.random.default_rng(seed)
    at, heading = rng.random((num_walks, size)), rng.standard_normal((num_walks, size))
    path = [at]
    for _ in range(50):
        heading = heading + 0.4 * rng.standard_normal(heading.shape)
        heading /= np.linalg.norm(heading, axis=1, keepdims=True)
        to = np.clip(at + MOVE * heading, 0, 1)
        if pane:
            share = np.divide(0.5 - at[:, 0], to[:, 0] - at[:, 0], out=np.zeros(num_walks), where=to[:, 0] != at[:, 0])
            height = at[:, 1] + share * (to[:, 1] - at[:, 1])
            stopped = ((at[:, 0] - 0.5) * (to[:, 0] - 0.5) <= 0) & (height < TOP)
            to[stopped, 0] = 0.5 + np.where(at[stopped, 0] < 0.5, -1e-6, 1e-6)
        at = to
        path.append(at)
    return [Trajectory(states, states) for states in np.stack(path, axis=1).astype(np.float32)]


@pytest.fixture(scope="module")
def parted():
    return walks(400)


@pytest.fixture(scope="module")
def barred(parted):
    return on_barrier(parted)


def goals_of(data):
    return np.concatenate([trajectory.goals for trajectory in data])


def test_a_pane_is_found_all_along_and_nothing_else(parted, barred):
    goals = goals_of(parted)
    on_it = (np.abs(goals[:, 0] - 0.5) < 1e-5) & (goals[:, 1] < TOP - 2 * MOVE)
    off_it = (np.abs(goals[:, 0] - 0.5) > MOVE) | (goals[:, 1] > TOP + MOVE)
    assert on_it.sum() > 500 and barred[on_it].mean() > 0.97
    assert off_it.sum() > 10_000 and barred[off_it].mean() < 0.005


def test_in_the_open_there_is_none():
    assert on_barrier(walks(400, pane=False)).mean() < 0.005


def test_a_thick_wall_is_none_since_nobody_was_on_its_other_side():
    """The same walkers, the right half of them moved aside by six steps."""
    data = [
        Trajectory(moved, moved)
        for goals in (trajectory.goals for trajectory in walks(400))
        if (goals[:, 1] < TOP).all()
        for moved in [goals + np.where(goals[:, :1] > 0.5, 6 * MOVE, 0.0) * np.array([1.0, 0.0])]
    ]
    assert on_barrier(data).mean() < 0.005


@pytest.mark.parametrize("data", [[Trajectory(np.zeros((5, 2)), np.zeros((5, 2)))], walks(3)], ids=["at rest", "three walks"])
def test_where_little_was_driven_nothing_is_said(data):
    assert not on_barrier(data).any()


def test_units_do_not_matter(parted, barred):
    scaled = [Trajectory(1_000 * trajectory.goals, 1_000 * trajectory.goals) for trajectory in parted]
    assert (on_barrier(scaled) != barred).mean() < 1e-3


@pytest.mark.parametrize("size", [1, 3, 6])
def test_goals_of_any_size_are_asked(size):
    assert on_barrier(walks(60, size=size, pane=False)).shape == (60 * 51,)


def test_nobody_goes_over_in_the_visited_graph(parted, barred):
    """From one side to the other it is the path round the end of the pane, not two steps."""
    goals = goals_of(parted)
    left, right = (int(np.linalg.norm(goals - at, axis=1).argmin()) for at in ([0.46, 0.3], [0.54, 0.3]))
    shortest = 2 * np.hypot(0.4, 0.04) / MOVE
    with_hops = visited_graph(parted)
    assert dijkstra(with_hops, indices=left)[right] < 0.3 * shortest
    without = visited_graph(parted, barred=barred)
    assert 0.9 * shortest < dijkstra(without, indices=left)[right] < 1.3 * shortest


def test_pairs_begin_and_end_off_barriers(parted, barred):
    graph = visited_graph(parted, barred=barred)
    rng = np.random.default_rng(0)
    pairs = GeodesicPairs.search(graph, goals_of(parted), 32, 64, 20.0, rng, barred)
    assert not barred[pairs.draw(200, 4, rng)[0]].any()


def test_lines_end_at_a_pane_and_pass_beside_it(parted, barred):
    goals = goals_of(parted)
    left, right = np.array([[0.4, 0.3], [0.3, 0.85]]), np.array([[0.6, 0.3], [0.7, 0.85]])
    assert Coverage(goals).contains_lines(left, right).tolist() == [True, True]
    assert Coverage(goals, barred).contains_lines(left, right).tolist() == [False, True]
    assert Coverage(goals, barred).contains(np.array([[0.5, 0.3]]))  # one may be there


def test_a_pane_is_a_wall_to_routes(parted, barred):
    goals = goals_of(parted).astype(np.float64)
    cells = OccupancyGrid.over(Coverage(goals, barred), goals, MOVE, 2 * MOVE, 6.0)
    heights = np.linspace(0.1, 0.6, 20)
    assert not cells.contains(np.column_stack([np.full(20, 0.5), heights])).any()
    assert cells.contains(np.column_stack([np.full(20, 0.4), heights])).mean() > 0.9


def test_routes_keep_off_the_end_of_a_pane_which_nobody_can_tell(parted, barred):
    """Beyond where it was told a barrier may go on for some steps: there it costs as much as beside a wall."""
    goals = goals_of(parted).astype(np.float64)
    cells, without = (
        OccupancyGrid.over(Coverage(goals, given), goals, MOVE, 2 * MOVE, 6.0) for given in (barred, np.zeros(len(goals), bool))
    )
    end = np.array([[[0.5, TOP - 0.5 * MOVE], [0.5, TOP - 0.4 * MOVE]]])
    far = np.array([[[0.5, TOP + 8 * MOVE], [0.5, TOP + 8.1 * MOVE]]])
    assert cells.contains(end).all() and cells.cost_of(end)[0] > 3 * without.cost_of(end)[0]
    assert cells.cost_of(far)[0] == pytest.approx(without.cost_of(far)[0])
