"""What ways through a picture cost: closed forms under a cost that is known, and that the learnt one is learnt."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from thalweg.envs.random_maze import random_maze
from thalweg.planner.many_maps.value_iteration import (
    _HASTE,
    _HIDDEN,
    _MOST,
    _WALL,
    PathFeatures,
    ValueMaps,
    cell_centres,
    cell_of,
)

WALL = 100.0  # what it costs here, more than any way round; a free square costs 1


class KnownCost(torch.nn.Module):
    def forward(self, pictures):
        return ((1 + (WALL - 1) * pictures).log() - _WALL * pictures) / _HASTE


def known(module):
    """The same value maps, their cost network replaced."""
    (module.maps if isinstance(module, PathFeatures) else module).cost = KnownCost()
    return module


def cheapest(picture, squares, wall=WALL):
    """(X, Y), K squares -> (K, X Y) cost from each to all."""
    index = np.arange(picture.size).reshape(picture.shape)
    pairs = np.concatenate(
        [np.stack([index[:-1].ravel(), index[1:].ravel()]), np.stack([index[:, :-1].ravel(), index[:, 1:].ravel()])], axis=1
    )
    here, there = np.concatenate([pairs, pairs[::-1]], axis=1)
    price = 1 + (wall - 1) * picture.ravel()  # of a step half is paid in either square
    return dijkstra(csr_array(((price[here] + price[there]) / 2, (here, there)), shape=(picture.size,) * 2), indices=squares)


def mazes(size, count):
    drawings = [random_maze(size, 3, seed) for seed in range(count)]
    return np.array([[[square == "#" for square in row] for row in drawing] for drawing in drawings], dtype=np.float32)


@settings(deadline=None, max_examples=100)
@given(
    picture=hnp.arrays(np.float32, st.tuples(st.integers(2, 9), st.integers(2, 9)), elements=st.sampled_from([0.0, 0.5, 1.0])),
    share=st.floats(0, 1, exclude_max=True),
)
def test_values_are_the_cheapest_ways(picture, share):
    squares = np.array([int(share * picture.size), 0])
    values = known(ValueMaps())(torch.as_tensor(picture)[None], torch.as_tensor(squares)[None])
    assert values.shape == (1, 2, *picture.shape)
    assert np.allclose(values[0].flatten(1).numpy(), cheapest(picture, squares), rtol=1e-4)


def test_in_mazes_every_value_is_exact():
    """8 x 8 cells, as in PointMassMazes-v0."""
    pictures = mazes(8, 6)
    squares = np.stack([np.flatnonzero(picture.ravel() == 0)[[0, -1]] for picture in pictures])
    told = known(ValueMaps())(torch.as_tensor(pictures), torch.as_tensor(squares)).flatten(2).numpy()
    costs = np.stack([cheapest(*scene) for scene in zip(pictures, squares, strict=True)])
    assert np.allclose(told, costs, rtol=1e-4) and costs[pictures.reshape(6, 1, -1).repeat(2, 1) == 0].max() > 30


def test_a_batch_is_its_pictures_one_by_one():
    maps, pictures = ValueMaps(), torch.as_tensor(mazes(3, 4))
    squares = torch.tensor([[8, 40], [8, 8], [10, 9], [40, 24]])
    alone = [maps(pictures[i : i + 1], squares[i : i + 1]) for i in range(4)]
    assert torch.allclose(maps(pictures, squares), torch.cat(alone), rtol=1e-5)


def test_the_gradient_reaches_what_costs_are_learnt_by():
    torch.manual_seed(0)
    maps = ValueMaps()
    maps(torch.as_tensor(mazes(3, 2)), torch.tensor([[8], [8]]))[:, 0, 5, 5].sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in maps.parameters())


def test_walls_are_dearer_before_anything_is_learnt():
    """Where the network has nothing to say, twenty times."""
    maps, picture, squares = ValueMaps(), mazes(3, 1)[0], np.array([8, 40])
    for parameter in maps.parameters():
        parameter.data.zero_()
    told = maps(torch.as_tensor(picture)[None], torch.as_tensor(squares)[None])[0].flatten(1).detach().numpy()
    assert np.allclose(told, cheapest(picture, squares, np.exp(3)), rtol=1e-4)


@pytest.mark.slow
def test_costs_are_learnt_from_ways():
    """100 steps, seed 0, over pictures with 2 x 2 blocks in the way: untrained, a wall costs a fifth of what it does here."""
    torch.manual_seed(0)
    maps, pictures = ValueMaps(), torch.zeros(4, 6, 6)
    for i, (x, y) in enumerate([(1, 1), (3, 3), (1, 3), (2, 2)]):
        pictures[i, x : x + 2, y : y + 2] = 1
    squares = torch.tensor([[0], [0], [0], [0]])
    wanted = known(ValueMaps())(pictures, squares)
    optimizer = torch.optim.Adam(maps.parameters(), lr=1e-2)

    def loss():
        return ((maps(pictures, squares).log1p() - wanted.log1p()) ** 2).mean()

    before = loss().item()
    for _ in range(100):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    assert loss().item() < 0.1 * before


@given(shape=st.tuples(st.integers(1, 20), st.integers(1, 20)))
def test_the_centre_of_each_square_lies_in_it(shape):
    centres = cell_centres(shape)
    index, within = cell_of(centres, shape)
    assert centres.shape == (shape[0] * shape[1], 2)
    assert index.tolist() == list(range(shape[0] * shape[1]))
    assert torch.allclose(within, torch.zeros_like(within), atol=1e-4)


@given(x=st.floats(-1, 1, width=32), y=st.floats(-1, 1, width=32))
def test_square_and_place_in_it_give_the_place_again(x, y):
    shape = (5, 3)
    index, within = cell_of(torch.tensor([x, y]), shape)
    assert within.abs().max() <= 1 + 1e-4
    again = cell_centres(shape)[index] + within / torch.tensor(shape)
    assert torch.allclose(again, torch.tensor([x, y]), atol=1e-5)


def test_squares_are_counted_along_the_second_axis_first_and_the_border_belongs_to_the_last_ones():
    places = torch.tensor([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0], [-9.0, 9.0]])
    assert cell_of(places, (4, 3))[0].tolist() == [0, 2, 9, 11, 2]


def features_between(picture, start, goal):
    """Of the squares (X, Y) of one picture, for ends at the centres of two."""
    ends = cell_centres(picture.shape)[[start, goal]]
    told = known(PathFeatures())(torch.as_tensor(picture)[None], ends[None])[0]
    assert told.shape == (picture.size, PathFeatures.size) and PathFeatures.size == 4 + _HIDDEN
    return told.detach().numpy()


@pytest.mark.parametrize("seed", range(4))
def test_a_detour_is_0_on_the_cheapest_ways_and_nowhere_else(seed):
    picture = mazes(8, seed + 1)[seed]
    start, goal = np.random.default_rng(seed).choice(np.flatnonzero(picture.ravel() == 0), size=2, replace=False)
    told = features_between(picture, start, goal)
    from_start, from_goal = cheapest(picture, np.array([start, goal]))
    free = picture.ravel() == 0
    dearer = from_start + from_goal - from_start[goal]
    on_way = free & (dearer < 0.5)
    assert on_way.sum() >= from_start[goal] + 1 > 2
    assert np.allclose(told[on_way, 1], 0, atol=1e-3) and (told[~on_way, 1] > 0.9).all()
    assert np.allclose(told[free, 1], dearer[free].clip(max=_MOST), atol=1e-3)
    assert np.allclose(told[free, 2], np.log1p(dearer[free]), atol=1e-3)
    assert np.allclose(told[:, 3], np.log1p(from_start[goal]), atol=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_the_share_of_the_way_runs_from_0_at_the_start_to_1_at_the_goal(seed):
    picture = mazes(8, seed + 1)[seed]
    start, goal = np.random.default_rng(seed).choice(np.flatnonzero(picture.ravel() == 0), size=2, replace=False)
    told = features_between(picture, start, goal)
    share, on_way = told[:, 0], (told[:, 1] < 0.5) & (picture.ravel() == 0)
    assert share.min() == share[start] == 0 and share.max() == share[goal] and share[goal] > 0.999
    from_start = cheapest(picture, np.array([start]))[0]
    assert np.allclose(share[on_way], from_start[on_way] / from_start[goal], atol=1e-3)


def test_from_a_square_to_itself_nothing_is_undefined():
    told = features_between(mazes(3, 1)[0], 8, 8)
    assert np.isfinite(told).all() and (told[:, 3] == 0).all() and told[8, :3].tolist() == [0, 0, 0]


def test_features_are_told_by_the_squares_of_the_ends_only():
    """The place within the square is for others to tell."""
    picture, centres = torch.as_tensor(mazes(3, 1)), cell_centres((7, 7))
    torch.manual_seed(0)
    ways, nudge = PathFeatures(), torch.tensor([[0.9, -0.9], [-0.9, 0.9]]) / 7
    ends = centres[[8, 40]]
    assert torch.equal(ways(picture, ends[None]), ways(picture, (ends + nudge)[None]))
    assert not torch.equal(ways(picture, ends[None]), ways(picture, centres[[9, 40]][None]))
