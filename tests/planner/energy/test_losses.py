import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from thalweg.planner.energy.losses import (
    contrastive_divergence_loss,
    energy_discrepancy_loss,
    hinge_loss,
    info_nce_loss,
    mixture_loss,
    ranking_nce_loss,
)

P = torch.tensor([0.4, 0.3, 0.2, 0.1])  # a world of four points: the data ...
Q = torch.tensor([0.1, 0.2, 0.3, 0.4])  # ... and the proposal


def discrepancy(positive, negative):
    """Every positive with all the negatives for its perturbed points."""
    return energy_discrepancy_loss(positive, negative[..., None, :].expand(*positive.shape, -1), 0.7)


LOSSES = {
    "hinge": lambda positive, negative: hinge_loss(positive, negative, 5.0),
    "infonce": info_nce_loss,
    "rnce": lambda positive, negative: ranking_nce_loss(positive, negative, positive.detach().cos(), negative.detach().sin()),
    "cd": lambda positive, negative: contrastive_divergence_loss(positive, negative, 0.0),
    "ed": discrepancy,
}


def weighed(positive, rest):
    """-log of the positive's share of the weights."""
    return -math.log(positive / (positive + sum(rest)))


def test_hinge_by_hand():
    """Margin 1; energies 1 and -1 against 1/2 and 3: (3/2 + 0) / 2 and 0."""
    assert hinge_loss(torch.tensor([1.0, -1.0]), torch.tensor([0.5, 3.0]), 1.0).tolist() == [0.75, 0.0]


def test_info_nce_by_hand():
    """Energies 1 and -1 against 2 and 3; positives are not contrasted with each other."""
    rest = [math.exp(-2), math.exp(-3)]
    loss = info_nce_loss(torch.tensor([1.0, -1.0]), torch.tensor([2.0, 3.0]))
    assert loss.tolist() == pytest.approx([weighed(math.exp(-1), rest), weighed(math.exp(1), rest)])


def test_ranking_nce_by_hand():
    """Energies 1 and 0 against 2 and 3, densities 1 and 2 against 1/2 and 1/4: weights e^-1 and 1/2 against 2 e^-2 and 4 e^-3."""
    densities = torch.tensor([1.0, 2.0]).log(), torch.tensor([0.5, 0.25]).log()
    loss = ranking_nce_loss(torch.tensor([1.0, 0.0]), torch.tensor([2.0, 3.0]), *densities)
    rest = [2 * math.exp(-2), 4 * math.exp(-3)]
    assert loss.tolist() == pytest.approx([weighed(math.exp(-1), rest), weighed(0.5, rest)])


def test_contrastive_divergence_by_hand():
    """Energies 2 and 0 against 1 and 3, whose squares are 5 in the mean."""
    loss = contrastive_divergence_loss(torch.tensor([2.0, 0.0]), torch.tensor([1.0, 3.0]), 0.5)
    assert loss.tolist() == [2 - 2 + 0.5 * (4 + 5), 0 - 2 + 0.5 * (0 + 5)]


@pytest.mark.parametrize("stabiliser", [0.0, 1.0, 3.0])
def test_energy_discrepancy_by_hand(stabiliser):
    """Each positive has perturbed points of its own: 1 against 0 and 2, 5 against 6 and 7."""
    loss = energy_discrepancy_loss(torch.tensor([1.0, 5.0]), torch.tensor([[0.0, 2.0], [6.0, 7.0]]), stabiliser)
    gaps = [(math.e + 1 / math.e) / 2, (math.exp(-1) + math.exp(-2)) / 2]
    assert loss.tolist() == pytest.approx([math.log(stabiliser / 2 + gap) for gap in gaps])


def test_the_stabiliser_bounds_what_can_be_gained_from_far_higher_points():
    """Its limit is log(w / M); without one the loss falls for ever, and the gradient is finite with both."""
    for stabiliser, expected in ((4.0, math.log(4 / 2)), (0.0, -1000.0)):
        positive = torch.tensor([0.0], requires_grad=True)
        loss = energy_discrepancy_loss(positive, torch.tensor([[1000.0, 1000.0]]), stabiliser)
        assert loss.item() == pytest.approx(expected)
        assert torch.autograd.grad(loss.sum(), positive)[0].item() == pytest.approx(0 if stabiliser else 1, abs=1e-4)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_falls_with_the_positive_and_rises_as_a_negative_falls(name):
    generator = torch.Generator().manual_seed(0)
    positive = torch.randn(3, generator=generator).requires_grad_(True)
    negative = torch.randn(4, generator=generator).requires_grad_(True)
    up, down = torch.autograd.grad(LOSSES[name](positive, negative).sum(), [positive, negative])
    assert (up > 0).all() and (down < 0).all()
    assert float(up.sum() + down.sum()) == pytest.approx(0, abs=1e-5)  # energies count by their differences


@pytest.mark.parametrize("name", LOSSES)
def test_dimensions_in_front_are_contexts_of_their_own(name):
    generator = torch.Generator().manual_seed(0)
    positive, negative = torch.randn(2, 5, 3, generator=generator), torch.randn(2, 5, 4, generator=generator)
    losses = LOSSES[name](positive, negative)
    assert losses.shape == (2, 5, 3)
    for i, j in itertools.product(range(2), range(5)):
        assert torch.allclose(losses[i, j], LOSSES[name](positive[i, j], negative[i, j]), atol=1e-6)


@settings(deadline=None)
@given(energy=st.floats(-50, 50), density=st.floats(-50, 50), seed=st.integers(0, 100))
def test_ranking_nce_ignores_what_all_energies_or_all_densities_share(energy, density, seed):
    generator = torch.Generator().manual_seed(seed)
    parts = [torch.randn(size, generator=generator, dtype=torch.float64) for size in (3, 4, 3, 4)]
    moved = [part + by for part, by in zip(parts, (energy, energy, density, density), strict=True)]
    assert torch.allclose(ranking_nce_loss(*moved), ranking_nce_loss(*parts), atol=1e-9)


def expected_loss(table, loss):
    """Of positives from P against two negatives from Q, over all 64 draws."""
    total = torch.zeros(())
    for i, j, k in itertools.product(range(4), repeat=3):
        total = total + P[i] * Q[j] * Q[k] * loss(torch.tensor([i]), torch.tensor([j, k]), table)[0]
    return total


def ranking(i, others, table):
    return ranking_nce_loss(table[i], table[others], Q[i].log(), Q[others].log())


def slope_at(table, loss):
    table = table.clone().requires_grad_(True)
    return torch.autograd.grad(expected_loss(table, loss), table)[0]


def test_ranking_nce_is_at_rest_at_minus_log_p_whatever_the_proposal():
    assert slope_at(5 - P.log(), ranking).abs().max() < 1e-6
    assert slope_at(torch.zeros(4), ranking).abs().max() > 0.05
    assert slope_at(Q.log() - P.log(), ranking).abs().max() > 0.05  # as it would be without the densities
    best = expected_loss(-P.log(), ranking)
    for entry in range(4):
        off = -P.log() + 0.5 * torch.eye(4)[entry]
        assert expected_loss(off, ranking) > best + 1e-3


def test_info_nce_is_at_rest_at_the_ratio_to_the_proposal():
    def loss(i, others, table):
        return info_nce_loss(table[i], table[others])

    assert slope_at(Q.log() - P.log() + 3, loss).abs().max() < 1e-6
    assert slope_at(-P.log(), loss).abs().max() > 0.05


def test_contrastive_divergence_has_the_gradient_of_the_likelihood():
    """Negatives from the model: p_data - p_model at every point; l2 adds 2 l2 E (p_data + p_model)."""
    model = torch.tensor([0.1, 0.2, 0.3, 0.4])
    for l2 in (0.0, 0.25):
        table = (-model.log()).requires_grad_(True)
        losses = [
            P[i] * model[j] * contrastive_divergence_loss(table[i : i + 1], table[j : j + 1], l2)[0]
            for i, j in itertools.product(range(4), repeat=2)
        ]
        (slope,) = torch.autograd.grad(torch.stack(losses).sum(), table)
        assert torch.allclose(slope, P - model + 2 * l2 * table * (P + model), atol=1e-6)


def test_a_mixture_of_one_is_the_mean():
    losses = torch.tensor([[[1.0], [3.0]], [[-2.0], [0.5]]])
    assert mixture_loss(losses, torch.zeros(2, 1)).tolist() == [2.0, -0.75]


def test_a_certain_prior_picks_its_latent():
    """Ways of two points: the first is of kind 0, the second of kind 1."""
    losses = torch.tensor([[[1.0, 9.0], [3.0, 9.0]], [[9.0, 5.0], [9.0, 6.0]]])
    assert mixture_loss(losses, torch.tensor([[1.0, 0.0], [0.0, 1.0]]).log()).tolist() == [2.0, 5.5]


def test_a_mixture_of_two_by_hand():
    """Two points of one way: -log(1/4 e^-(1 + 2) + 3/4 e^-(2 + 3)) / 2; each latent learns by its responsibility."""
    losses = torch.tensor([[[1.0, 2.0], [2.0, 3.0]]], requires_grad=True)
    loss = mixture_loss(losses, torch.tensor([[0.25, 0.75]]).log())
    parts = [0.25 * math.exp(-3), 0.75 * math.exp(-5)]
    assert loss.tolist() == pytest.approx([-math.log(sum(parts)) / 2])
    (slope,) = torch.autograd.grad(loss.sum(), losses)
    responsibilities = [part / sum(parts) / 2 for part in parts]
    assert slope[0].tolist() == [pytest.approx(responsibilities)] * 2  # all points of a way share them
