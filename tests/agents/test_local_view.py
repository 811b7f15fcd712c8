"""What an agent sees of walls that nobody told it of."""

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from thalweg.agents.features.geodesic_prior import OneMapPrior
from thalweg.agents.features.local_view import LocalView
from thalweg.planner.data.coverage import Coverage
from thalweg.planner.many_maps.layout import Layout, look_up

MOVE = 0.1


def corridors(seed=0, density=40):
    """An L of corridors, 3 and 2 moves wide, about a block; `density` places in a square of a move's side."""
    places = np.random.default_rng(seed).uniform(0, 1, (int(density / MOVE**2), 2))
    return places[(places[:, 0] < 0.3) | (places[:, 1] < 0.2)].astype(np.float32)


@pytest.fixture(scope="module")
def surroundings():
    made = LocalView()
    made.fit(corridors(), MOVE)
    return made


def test_before_a_fit_nothing_is_seen():
    assert LocalView()(torch.rand(3, 2)).tolist() == [[0] * (25 + 81)] * 3


def test_each_look_says_how_far_beyond_the_usual_gap_somebody_has_been(surroundings):
    """Against the nearest visited place itself; the world is 10 moves wide, a square of the picture a 20th of one."""
    here = torch.as_tensor(np.random.default_rng(1).uniform(-0.1, 1.1, (40, 2)).astype(np.float32))
    points = here[:, None] + MOVE * surroundings.looks
    gaps = cKDTree(corridors()).query(points.numpy())[0]
    exact = np.clip((gaps - Coverage(corridors()).within) / MOVE, 0.0, 1.0)
    assert np.abs(surroundings(here).numpy() - exact).max() < 0.1
    assert 0.2 < (exact == 1).mean() < 0.8 and (exact == 0).mean() > 0.05


def test_looks_lie_where_a_layout_of_the_same_corners_has_them(surroundings):
    """Both say it in a way of their own: the one with tensors, the other without a copy to a GPU."""
    layout = Layout(tuple(surroundings.gaps.shape), tuple(surroundings.low.tolist()), tuple(surroundings.high.tolist()))
    here = torch.rand(40, 2)
    points = here[:, None] + MOVE * surroundings.looks
    expected = look_up(surroundings.gaps[None], layout.within(points).reshape(1, -1, 2)).reshape(40, -1)
    assert torch.allclose(surroundings(here), expected, atol=1e-4) and expected.std() > 0.1


def test_where_places_were_visited_the_chance_gaps_between_them_do_not_show(surroundings):
    inside = torch.as_tensor(np.random.default_rng(2).uniform([0.05, 0.05], [0.25, 0.95], (500, 2)).astype(np.float32))
    assert (surroundings(inside)[:, 12] == 0).float().mean() > 0.99  # the look at the place itself


def test_a_corner_looks_the_same_elsewhere(surroundings):
    moved = LocalView()
    moved.fit(corridors() + np.float32([5, -3]), MOVE)
    here = torch.as_tensor(corridors()[:50])
    assert torch.allclose(moved(here + torch.tensor([5.0, -3.0])), surroundings(here), atol=0.05)


def test_both_sides_of_a_walls_end_differ_within_a_fraction_of_a_step(surroundings):
    """On either side of the edge of a block: the one is stopped by it, the other passes."""
    stopped, free = surroundings(torch.tensor([[0.28, 0.245], [0.28, 0.195]]))
    ahead = ((surroundings.looks - torch.tensor([1.0, 0.0])).norm(dim=1) < 1e-6).nonzero()[0]
    assert stopped[ahead] - free[ahead] > 0.1


def test_where_visits_are_sparse_their_gaps_are_wider():
    """Places in a line, a move apart: the eighth neighbour is 4 moves away. So 2.5 moves off the line is usual, 4.5 half a move
    more than that."""
    line = np.stack([np.arange(100) * MOVE, np.zeros(100)], axis=1).astype(np.float32)
    made = LocalView()
    made.fit(line, MOVE)
    off = made(torch.tensor([[5.0, 0.25], [5.0, 0.45], [5.0, 0.55]]))[:, 12]  # the look at the place itself
    assert off.tolist() == pytest.approx([0.0, 0.5, 1.0], abs=0.05)


def test_a_world_a_hundred_moves_wide_is_seen_sharply():
    """Walls and corridors 3 moves wide; a square of the picture is 0.4 moves wide."""
    places = np.random.default_rng(0).uniform(0, 10, (100_000, 2)).astype(np.float32)
    places = places[places[:, 0] % 0.6 < 0.3]
    made = LocalView()
    made.fit(places, MOVE)
    here = torch.as_tensor(np.random.default_rng(1).uniform(1, 9, (2_000, 2)).astype(np.float32))
    shown, place = made(here)[:, 12].numpy(), here[:, 0].numpy() % 0.6  # the look at the place itself
    edge = np.minimum(np.abs(place - 0.3), np.minimum(place, 0.6 - place)) / MOVE
    free = place < 0.3
    assert shown[free & (edge > 0.5)].max() < 0.05 and shown[~free & (edge > 1.3)].min() > 0.6


def test_beyond_all_that_was_visited_nobody_has_been(surroundings):
    assert (surroundings(torch.tensor([[5.0, 5.0], [-9.0, 0.5]])) == 1).all()


def test_in_one_map_what_lies_about_a_place_is_in_its_code_and_what_is_told():
    ways = OneMapPrior(2)
    ways.surroundings.fit(corridors(), MOVE)
    here = torch.rand(2, 3, 2)
    codes = ways.code(torch.zeros(2, 3, 4), here)
    told = ways.query(codes, ways.code_goals(torch.rand(3, 2)))
    assert codes.shape == (2, 3, ways.code_size)
    assert told.seen.shape == (2, 3, ways.num_seen) and torch.equal(told.seen, ways.surroundings(here))


def test_where_goals_are_no_plane_nothing_is_seen():
    ways = OneMapPrior(3)
    told = ways.query(ways.code(torch.zeros(5, 7), torch.rand(5, 3)), ways.code_goals(torch.rand(5, 3)))
    assert told.seen.shape == (5, 0) == (5, ways.num_seen)
