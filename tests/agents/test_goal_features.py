"""What a network is told of a place."""

import numpy as np
import pytest
import torch

from thalweg.planner.networks.place_features import GridFeatures

STEP = 0.1  # so squares are 0.3, 0.6, 1.2 and 2.4 wide


def laid_out(width, goal_size=2):
    torch.manual_seed(0)
    grids = GridFeatures(goal_size, 3)
    grids.fit(np.array([[0.0] * goal_size, [width] * goal_size]), STEP)
    return grids


def corner_features(grids, grid, x, y):
    begins, per_side = int(grids.offsets[grid, 0]), int(grids.last[grid, 0]) + 1
    return grids.features[begins + x + y * per_side]


def test_at_a_corner_of_a_square_are_its_features_and_between_corners_their_mean():
    grids = laid_out(3.0)
    at_corner, mid_way = grids(grids.low + torch.tensor([[0.6, 0.9], [0.75, 0.9]]))
    assert torch.allclose(at_corner[:3], corner_features(grids, 0, 2, 3), atol=1e-6)
    assert torch.allclose(mid_way[:3], (corner_features(grids, 0, 2, 3) + corner_features(grids, 0, 3, 3)) / 2, atol=1e-6)
    assert torch.allclose(grids(grids.low + torch.tensor([0.6, 1.2]))[3:6], corner_features(grids, 1, 1, 2), atol=1e-6)


def test_what_is_learnt_of_a_place_changes_nothing_on_the_other_side_of_a_wall():
    grids = laid_out(3.0)
    (gradient,) = torch.autograd.grad(grids(torch.tensor([1.45, 1.0]))[:3].sum(), grids.features)
    with torch.no_grad():
        grids.features -= gradient
        before, after = laid_out(3.0), grids
        here, across = torch.tensor([[1.45, 1.0], [1.85, 1.0]])
        assert not torch.allclose(before(here), after(here))
        assert torch.equal(before(across), after(across))


def test_in_a_wide_world_squares_get_wider():
    assert laid_out(3.0).sides[0].tolist() == pytest.approx([0.3, 0.3])
    wide = laid_out(128.0)
    assert wide.sides[0].tolist() == pytest.approx([1.0, 1.0]) and wide.sides[3].tolist() == pytest.approx([8.0, 8.0])
    corner = wide(torch.tensor([128.0, 128.0]))
    assert torch.allclose(corner[:3], corner_features(wide, 0, 128, 128))
    assert torch.allclose(corner[-3:], corner_features(wide, 3, 16, 16)) and corner_features(wide, 3, 16, 16).equal(
        wide.features[-1]
    )
    assert torch.equal(wide(torch.tensor([200.0, 500.0])), corner)  # beyond is as at the border


def test_goals_of_many_entries_have_no_squares():
    grids = laid_out(3.0, goal_size=4)
    assert grids.size == 0 and grids(torch.zeros(5, 4)).shape == (5, 0)
    assert [values.shape for values in grids.with_slopes(torch.zeros(5, 4))] == [(5, 0), (5, 4, 0)]


def test_many_entries_cost_nothing_since_they_have_no_squares():
    grids = laid_out(3.0, goal_size=30)
    assert grids.size == 0 and grids(torch.zeros(5, 30)).shape == (5, 0)


@pytest.mark.parametrize("goal_size", [1, 2, 3, 4])
def test_squares_have_room_to_all_sides_and_say_what_lies_without(goal_size):
    """Of goals with up to three entries; in more there are none, and nothing lies without."""
    grids = GridFeatures(goal_size, 2)
    seen = np.random.default_rng(0).uniform(2, 3, (200, goal_size)).astype(np.float32)
    grids.fit(seen, 0.1)
    assert grids.contains(seen) and grids.contains(seen - 0.5) and grids.contains(seen + 0.5)
    assert grids.contains(seen + 10_000) == grids.contains(seen - 10_000) == (goal_size == 4)
