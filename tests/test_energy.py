import math

import numpy as np
import pytest
import torch

from planner.energy.config import EnergyConfig, SamplingConfig
from planner.energy.losses import hinge_loss, ranking_nce_loss
from planner.energy.model import EnergyModel
from planner.energy.proposals import Proposal, kernel_log_density, tube_log_density
from planner.energy.sampling import descend, resample
from planner.energy.train import fit_energy, point_at

SMALL = EnergyConfig(hidden=32, layers=2, train_steps=200, batch_size=64, num_negatives=16)


def straight_paths(count=400, seed=0):
    rng = np.random.default_rng(seed)
    ends = rng.random((2, count, 1, 2)).astype(np.float32)
    along = np.linspace(0, 1, 9, dtype=np.float32)[:, None]
    return ends[0] + along * (ends[1] - ends[0])


@pytest.fixture(scope="module")
def fitted():
    paths = straight_paths()
    return fit_energy(paths, np.ones(len(paths), np.float32), paths.reshape(-1, 2), SMALL, seed=0)


def test_ranking_nce_by_hand():
    """Energies 1 against 2 and 3, densities 1, 1/2 and 1/4: weights e^-1, 2 e^-2, 4 e^-3."""
    loss = ranking_nce_loss(
        torch.tensor([1.0]), torch.tensor([[2.0, 3.0]]), torch.tensor([0.0]), torch.tensor([[0.5, 0.25]]).log(), torch.ones(1)
    )
    weights = [math.exp(-1), 2 * math.exp(-2), 4 * math.exp(-3)]
    assert float(loss) == pytest.approx(-math.log(weights[0] / sum(weights)))


def test_losses_fall_when_the_positive_falls_and_weigh_their_rows():
    zero, negative = torch.zeros(2), torch.zeros(2, 4)
    weight = torch.tensor([1.0, 3.0])
    low, high = torch.tensor([-1.0, 0.0]), torch.tensor([1.0, 0.0])
    assert ranking_nce_loss(low, negative, zero, negative, weight) < ranking_nce_loss(high, negative, zero, negative, weight)
    assert float(hinge_loss(low, negative, weight, margin=1.0)) == pytest.approx((0 * 1 + 1 * 3) / 4)
    assert float(hinge_loss(high, negative, weight, margin=1.0)) == pytest.approx((2 * 1 + 1 * 3) / 4)


@pytest.mark.parametrize("goal", [(0.6, 0.3), (0.0, 0.0), (-0.9, 0.9)])
def test_proposal_densities_integrate_to_one(goal):
    axis = torch.linspace(-3, 3, 401, dtype=torch.float64)
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), dim=-1).reshape(-1, 2).float()
    cell = float(axis[1] - axis[0]) ** 2
    start, end = torch.zeros(2), torch.tensor(goal)
    centres = torch.tensor([[0.0, 0.5], [0.3, -0.2]])
    assert float(tube_log_density(grid, start, end, 0.15).exp().sum()) * cell == pytest.approx(1, abs=1e-3)
    assert float(kernel_log_density(grid, centres, 0.1).exp().sum()) * cell == pytest.approx(1, abs=1e-3)
    mixture = Proposal(centres).log_density(grid[None], start[None], end[None])
    assert float(mixture.exp().sum()) * cell == pytest.approx(1, abs=2e-2)


def test_proposals_are_drawn_from_their_own_density():
    """E_q[f / q] over the unit box is the integral of f, for f = 1 and f = x^2."""
    generator = torch.Generator().manual_seed(0)
    proposal = Proposal(torch.tensor([[0.0, 0.5], [0.3, -0.2]]))
    start, goal = torch.tensor([[-0.5, -0.5]]), torch.tensor([[0.5, 0.2]])
    drawn = proposal.sample(start, goal, 200_000, generator)
    inverse = torch.exp(-proposal.log_density(drawn, start, goal))[0]
    inside = (drawn[0].abs() <= 1).all(dim=1)
    assert float((inverse * inside).mean()) == pytest.approx(4.0, rel=0.02)
    assert float((inverse * inside * drawn[0, :, 0] ** 2).mean()) == pytest.approx(4 / 3, rel=0.04)


def test_resampling_follows_the_weights_and_reports_what_they_are_worth():
    energies = -torch.log(torch.tensor([[0.5, 0.25, 0.25, 1e-12], [0.25, 0.25, 0.25, 0.25]]))
    indices, effective = resample(energies, torch.zeros(2, 4), 1.0, 100, torch.Generator().manual_seed(0))
    assert torch.bincount(indices[0], minlength=4).tolist() == pytest.approx([50, 25, 25, 0], abs=1)
    assert effective.tolist() == pytest.approx([1 / (0.25 + 2 / 16) / 4, 1.0])


def test_the_proposals_density_is_divided_out():
    indices, _ = resample(torch.zeros(1, 2), torch.tensor([[0.8, 0.2]]).log(), 1.0, 100, torch.Generator().manual_seed(0))
    assert torch.bincount(indices[0]).tolist() == pytest.approx([20, 80], abs=1)


def test_descent_goes_down_a_bowl():
    points = descend(lambda x: x.square().sum(dim=-1), torch.ones(1, 3, 2), steps=10, rate=0.1)
    assert torch.allclose(points, torch.full((1, 3, 2), 0.8**10), atol=1e-6)


def test_point_at_is_linear_between_points():
    path = torch.tensor([[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]]).expand(4, -1, -1)
    places = point_at(path, torch.tensor([0.0, 0.25, 0.75, 1.0]))
    assert places.tolist() == [[0, 0], [0.5, 0], [1, 0.5], [1, 1]]


@pytest.mark.parametrize("loss", ["ranking_nce", "hinge"])
def test_the_middle_of_the_way_lies_lower_than_beside_it(loss):
    paths = straight_paths()
    config = EnergyConfig(hidden=32, layers=2, train_steps=300, batch_size=64, num_negatives=16, loss=loss)
    model = fit_energy(paths, np.ones(len(paths), np.float32), paths.reshape(-1, 2), config, seed=0)
    start, goal = np.array([0.1, 0.2]), np.array([0.9, 0.8])
    points = np.array([[0.5, 0.5], [0.2, 0.8], [0.8, 0.2], [0.1, 0.2]])
    energies = model.energies(points, start, goal, np.array([0.5]))[0]
    assert energies[0] < energies[1:].min() - 0.5


def test_samples_lie_along_the_way():
    """800 steps of a small network. Untrained, the samples lie 0.2 off the line in the median."""
    paths = straight_paths(4_000)
    config = EnergyConfig(hidden=64, layers=2, train_steps=800, batch_size=64, num_negatives=16)
    model = fit_energy(paths, np.ones(len(paths), np.float32), paths.reshape(-1, 2), config, seed=0)
    samples = model.sample(np.array([0.2, 0.2]), np.array([0.8, 0.8]), 100, SamplingConfig(), np.random.default_rng(0))
    assert samples.shape == (100, 2) and samples.dtype == np.float32
    assert np.median(np.abs(samples[:, 0] - samples[:, 1]) / np.sqrt(2)) < 0.08
    assert np.histogram(samples.mean(axis=1), [0.2, 0.32, 0.44, 0.56, 0.72])[0].min() >= 10


def test_a_fit_is_fixed_by_its_seed_and_survives_saving(fitted):
    paths = straight_paths()
    again = fit_energy(paths, np.ones(len(paths), np.float32), paths.reshape(-1, 2), SMALL, seed=0)
    loaded = EnergyModel.from_tensors(fitted.tensors(), fitted.settings())
    points, end = np.random.default_rng(0).random((20, 2)), np.array([0.5, 0.1])
    reference = fitted.energies(points, end, end + 0.3, np.array([0.2, 0.7]))
    for model in (again, loaded):
        assert np.array_equal(model.energies(points, end, end + 0.3, np.array([0.2, 0.7])), reference)


def test_starved_sampling_warns_with_the_number(fitted):
    config = SamplingConfig(proposals=8, temperature=0.05)
    with pytest.warns(UserWarning, match="effective importance samples"):
        fitted.sample(np.array([0.1, 0.1]), np.array([0.9, 0.9]), 20, config, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda p, w, v: (p[:0], w[:0], v), "paths"),
        (lambda p, w, v: (p, w[:-1], v), "weights"),
        (lambda p, w, v: (p, w, v[:, :1]), "visited"),
        (lambda p, w, v: (np.where(p > 0.9, np.nan, p), w, v), "paths must be finite"),
        (lambda p, w, v: (p, -w, v), "negative"),
    ],
)
def test_bad_data_is_refused_by_name(change, word):
    paths = straight_paths(20)
    with pytest.raises(ValueError, match=word):
        fit_energy(*change(paths, np.ones(20, np.float32), paths.reshape(-1, 2)), SMALL, seed=0)
