"""What networks see of goals that wrap: nothing jumps at the seam, and nothing is stored where nothing wraps."""

import numpy as np
import pytest
import torch

from thalweg.planner.goal_space import GoalSpace
from thalweg.planner.networks.goal_metric import GoalMetric
from thalweg.planner.networks.place_features import FourierFeatures, GridFeatures

TURN = 2 * np.pi
SPACE = GoalSpace(2, units=(0.5, 0.1), periods=(0.0, TURN), origin=(0.0, -np.pi))


def fitted(features, space=SPACE):
    rng = np.random.default_rng(0)
    goals = np.column_stack([rng.uniform(0, 30, 500), rng.uniform(-np.pi, np.pi, 500)]).astype(np.float32)
    features.fit(goals, np.array(space.units), space)
    return features


@pytest.mark.parametrize("make", [lambda: FourierFeatures(2, 16), lambda: GridFeatures(2, 3)])
def test_features_are_the_same_a_turn_farther_and_differ_elsewhere(make):
    torch.manual_seed(0)
    features = fitted(make())
    goals = torch.rand(200, 2) * torch.tensor([30.0, TURN]) - torch.tensor([0.0, np.pi])
    turned = goals + torch.tensor([0.0, TURN])
    assert torch.allclose(features(goals), features(turned), atol=2e-3)
    beside = torch.tensor([[10.0, np.pi - 1e-4], [10.0, -np.pi + 1e-4]])
    assert torch.allclose(*features(beside), atol=1e-2)
    assert (features(goals) - features(goals + torch.tensor([0.0, np.pi]))).abs().amax(dim=1).min() > 1e-3


def test_the_first_wave_of_an_entry_goes_once_round():
    features = fitted(FourierFeatures(2, 16))
    goals = torch.tensor([[3.0, 0.7], [8.0, -2.0]])
    seen = features(goals)
    assert torch.allclose(seen[:, 2].abs(), (goals[:, 1] + np.pi).sin().abs(), atol=1e-6)
    assert seen[:, 1].tolist() == [0, 0]


def test_weights_carry_the_metric_and_old_ones_have_none():
    features, other = fitted(GridFeatures(2, 3)), GridFeatures(2, 3)
    assert {"metric.periods", "metric.origin", "metric.stretch"} <= set(features.state_dict())
    other.load_state_dict(features.state_dict())
    goals = torch.rand(20, 2) * 6
    assert other.metric.wraps and torch.equal(other(goals), features(goals))
    plain = GridFeatures(2, 3)
    assert set(plain.state_dict()) == {"low", "sides", "features"}
    other.load_state_dict(plain.state_dict())
    assert not other.metric.wraps and other.metric.is_plain and torch.equal(other(goals), plain(goals))


def test_offsets_go_the_short_way_round():
    metric = GoalMetric(2)
    offsets = torch.tensor([[5.0, 6.0], [-20.0, -4.0]])
    assert torch.equal(metric.short(offsets), offsets)
    metric.fit(SPACE)
    expected = torch.tensor([[5.0, 6.0 - TURN], [-20.0, TURN - 4.0]])
    assert torch.allclose(metric.short(offsets), expected)
    assert np.allclose(metric.wrapped(offsets).numpy(), SPACE.wrapped(offsets.numpy()), atol=1e-6)
