"""Costs near walls, links that jump none, gaps between visits that are none, and lines pulled straight."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components

from thalweg.planner.data.coverage import Coverage
from thalweg.planner.following.occupancy_grid import OccupancyGrid

MOVE, CLEARANCE = 0.1, 0.08


def grid(*sides, spacing=0.02):
    axes = [np.arange(0, side + 1e-9, spacing) for side in sides]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(sides))


def cells(places, weight=6.0):
    found = OccupancyGrid.over(Coverage(places), places, MOVE, CLEARANCE, weight)
    assert found is not None
    return found


def free_at(own, *places):
    return own.free[tuple(np.rint((np.array(places) - own.low) / own.side).astype(int).T)].tolist()


def barrier(gap=()):
    """Nine by nine cells of which the middle column is a wall, but for a gap."""
    costs = np.ones((9, 9))
    costs[:, 4] = 1e6
    costs[list(gap), 4] = 1
    return OccupancyGrid(costs, np.zeros(2), 1.0)


def test_no_link_jumps_a_wall_one_square_thick():
    assert connected_components(barrier().links)[0] == 2
    assert connected_components(barrier(gap=[3]).links)[0] == 1
    costs = np.ones((9, 9))
    costs[np.arange(9), 8 - np.arange(9)] = 1e6
    assert connected_components(OccupancyGrid(costs, np.zeros(2), 1.0).links)[0] == 2


def test_the_nearer_to_a_wall_the_dearer():
    own = cells(grid(1, 1))
    middle = own.costs[len(own.costs) // 2]
    free = middle[middle < 1e6]
    assert free[len(free) // 2] == 1 and 5 < free[0] <= 7
    assert (np.diff(free[: len(free) // 2]) <= 1e-9).all()


def beside(*places):
    """Each one unit farther east than the one before."""
    return np.concatenate([own + np.array([east, 0.0]) for east, own in enumerate(places)])


SPARSE_EAST = beside(grid(1, 1), grid(1, 1, spacing=0.12))  # densely visited in the west, seldom in the east


def test_gaps_between_sparse_visits_are_no_walls():
    """With one measure for all places there are cells of nowhere between visits 0.12 apart."""
    own = cells(SPARSE_EAST)
    inside = own.centres[(own.centres > 0.2).all(axis=1) & (own.centres < [1.8, 0.8]).all(axis=1)]
    wanted = int(np.prod(np.floor(np.array([1.6, 0.6]) / own.side)))
    assert len(inside) >= wanted
    assert Coverage(SPARSE_EAST).contains(inside, slack=2).mean() < 0.9  # the bound bites: these were walls
    east = own.costs[tuple(np.rint((inside[inside[:, 0] > 1.4] - own.low) / own.side).astype(int).T)]
    assert east.max() == 1


def test_what_sparse_visits_tell_does_not_reach_into_walls():
    """The border where visits are sparse lies no farther from them than where they are dense, on all sides, and is closed."""
    own = cells(SPARSE_EAST)
    west, east = (own.centres[abs(own.centres[:, 0] - x) < 0.1, 1] for x in (0.5, 1.5))
    for dense, sparse in ((west.max() - 1, east.max() - 0.96), (-west.min(), -east.min())):  # 0.96: the east's last visits
        assert 0 < dense < 0.1 and abs(sparse - dense) <= own.side
    assert own.centres[:, 0].max() - 1.96 < 0.1
    assert not any(own.free[edge].any() for edge in (0, -1, (slice(None), 0), (slice(None), -1)))


def test_an_island_amid_dense_visits_stays_one():
    places = grid(1, 1)
    own = cells(places[np.linalg.norm(places - 0.5, axis=1) > 0.12])
    assert free_at(own, (0.5, 0.5), (0.5, 0.8)) == [False, True]


def test_visits_farther_apart_than_a_stride_do_not_join():
    """A gap seven moves wide is a wall, however few the visits are on both sides of it."""
    places = grid(0.6, 1, spacing=0.2)
    own = cells(beside(grid(1, 1), places + np.array([0.3, 0]), places + np.array([0.6, 0])))
    assert free_at(own, (1.6, 0.5), (1.7, 0.5), (2.25, 0.5)) == [True, True, False]


def wiggly(own, points=200):
    line = np.linspace([0.2, 0.3], [1.8, 1.2], points)
    return line + 0.1 * np.sin(np.linspace(0, 6 * np.pi, points))[:, None] * [-0.5, 1]


def test_in_the_open_a_line_is_pulled_straight():
    own = cells(grid(2, 2))
    line = wiggly(own)
    pulled = own.pulled_straight(line)
    straight = np.linalg.norm(line[-1] - line[0])
    assert np.linalg.norm(np.diff(pulled, axis=0), axis=1).sum() == pytest.approx(straight, rel=1e-6)
    assert (pulled[[0, -1]] == line[[0, -1]]).all() and len(pulled) == len(line)


def test_round_a_corner_it_stays_where_it_costs_less():
    own = barrier(gap=[8])
    line = np.concatenate([np.linspace([0, 1], [8, 1], 60), np.linspace([8, 1], [8, 7], 50), np.linspace([8, 7], [0, 7], 60)])
    pulled = own.pulled_straight(line)
    assert own.cost_of(pulled) < own.cost_of(line)
    crossing = pulled[abs(pulled[:, 1] - 4) < 0.5]
    assert len(crossing) and crossing[:, 0].min() > 7.4


def test_a_line_that_clips_a_wall_is_not_pulled_through_it():
    own = barrier(gap=[8])
    corners = np.array([[0, 4], [1, 3], [8, 3], [8, 5], [0, 5]])  # it begins in the wall
    line = np.concatenate([np.linspace(a, b, 40) for a, b in itertools.pairwise(corners)])
    pulled = own.pulled_straight(line)
    inside = pulled[np.abs(pulled[:, 1] - 4) < 0.4]
    assert ((inside[:, 0] > 7.4) | (np.linalg.norm(inside - line[0], axis=1) < 1.2)).all() and len(inside) >= 2


@given(st.integers(2, 300), st.integers(0, 2**16))
@settings(max_examples=60, deadline=None)
def test_pulling_never_costs(points, seed):
    own = barrier(gap=[3, 8])
    line = np.cumsum(np.random.default_rng(seed).normal(0, 0.3, (points, 2)), axis=0) + 4
    assert own.cost_of(own.pulled_straight(line)) <= own.cost_of(line) * (1 + 1e-9)


@pytest.mark.slow
def test_it_is_the_same_in_space_and_on_a_line():
    for sides in ((0.6, 0.6, 0.6), (2.0,)):
        own = cells(grid(*sides, spacing=0.03))
        line = np.linspace(np.full(len(sides), 0.1), np.full(len(sides), 0.5), 60)
        bent = line + 0.05 * np.sin(np.linspace(0, np.pi, 60))[:, None] * (np.arange(len(sides)) == 0)
        pulled = own.pulled_straight(bent)
        assert np.linalg.norm(np.diff(pulled, axis=0), axis=1).sum() == pytest.approx(0.4 * np.sqrt(len(sides)), rel=0.01)
