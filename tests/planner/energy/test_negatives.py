import itertools
import math

import numpy as np
import pytest
import torch

from thalweg.planner.energy import negatives
from thalweg.planner.energy.config import NEGATIVES_OF, EnergyConfig, ProposalConfig
from thalweg.planner.energy.losses import energy_discrepancy_loss
from thalweg.planner.energy.negatives import make_negatives
from thalweg.planner.energy.proposals import Proposal
from thalweg.planner.energy.train import Batch, energy_loss, make_model

LOSS_OF = {name: loss for loss, names in NEGATIVES_OF.items() for name in names}  # one that takes them
PAIRS = [(loss, name) for loss, names in NEGATIVES_OF.items() for name in names]
LINE = ProposalConfig(box=0.5, kernels=0.5, learned=0.0, kernel_width=0.2)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def bowl(candidates, context):
    """About the middle of start and goal."""
    middle = (context[:, :2] + context[:, 2:4]) / 2
    return 2 * (candidates - middle[:, None]).square().sum(dim=-1)


@pytest.fixture
def scene():
    """Six contexts of three positives, each at its own place, and a proposal of all parts but the kernels."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        proposal = Proposal(2, 5, ProposalConfig(), between=True, num_centres=0)
    context = torch.rand(6, 5, generator=seeded()) * 2 - 1
    return torch.rand(6, 3, 2, generator=seeded(1)) * 2 - 1, context, proposal


def drawn_by(name, scene, num, seed=0, energy=bowl):
    positive, context, proposal = scene
    config = EnergyConfig(loss=LOSS_OF[name], negatives=name)
    return make_negatives(config, proposal).draw(positive, context, num, energy, seeded(seed))


@pytest.mark.parametrize("name", LOSS_OF)
@pytest.mark.parametrize("num", [1, 7])
def test_negatives_contract(name, num, scene):
    drawn = drawn_by(name, scene, num)
    assert drawn.points.shape[0] == 6 and drawn.points.shape[2] == 2 and drawn.points.dtype == torch.float32
    assert drawn.points.shape[1] == num or (name == "perturbed" and drawn.points.shape[1] % 3 == 0)
    assert drawn.points.isfinite().all() and not drawn.points.requires_grad
    assert torch.equal(drawn.points, drawn_by(name, scene, num).points)
    assert not torch.equal(drawn.points, drawn_by(name, scene, num, seed=1).points)


@pytest.mark.parametrize("name", LOSS_OF)
def test_densities_come_with_those_negatives_that_ranking_nce_takes(name, scene):
    drawn = drawn_by(name, scene, 7)
    if name in NEGATIVES_OF["rnce"]:
        assert drawn.log_density.shape == (6, 7) and drawn.positive_log_density.shape == (6, 3)
        assert drawn.log_density.isfinite().all() and not drawn.log_density.requires_grad
        assert not drawn.positive_log_density.requires_grad
    else:
        assert drawn.log_density is None and drawn.positive_log_density is None


@pytest.mark.parametrize(("loss", "name"), PAIRS)
@pytest.mark.parametrize("latents", [1, 2])
def test_every_loss_teaches_the_network_with_each_of_its_negatives(loss, name, latents, scene):
    positive, context, _ = scene
    config = EnergyConfig(hidden=8, layers=2, latents=latents, points_per_way=3, batch_size=18, loss=loss, negatives=name)
    places = np.zeros((2, 2)), np.zeros((2, 5))
    model = make_model(2, 5, *places, config, between=True, seed=0).requires_grad_(True)
    drawn = make_negatives(config, model.proposal).draw(positive, context, 7, model.energy, seeded())
    value = energy_loss(model, Batch(positive, context), drawn, None)
    value.backward()
    assert value.isfinite() and value.shape == ()
    assert all(own.grad is not None and own.grad.isfinite().all() for own in model.network.parameters())
    assert any(own.grad.abs().max() > 1e-5 for own in model.network.layers.parameters())
    assert all(own.grad is None for own in model.proposal.parameters())  # the proposal learns from positives alone


@pytest.mark.parametrize(
    ("loss", "name"), [(loss, name) for loss in NEGATIVES_OF for name in LOSS_OF if name not in NEGATIVES_OF[loss]]
)
def test_other_pairs_are_refused_with_both_names(loss, name):
    with pytest.raises(ValueError, match=rf"loss {loss} .*'{name}'"):
        EnergyConfig(loss=loss, negatives=name)


def test_proposals_carry_their_own_density(scene):
    positive, context, proposal = scene
    drawn = drawn_by("proposal", scene, 7)
    assert torch.allclose(drawn.log_density, proposal.given(context).weigh(drawn.points)[0])
    assert torch.allclose(drawn.positive_log_density, proposal.given(context).weigh(positive)[0])


def test_mismatched_negatives_are_positives_of_all_other_contexts(scene):
    positive, _, _ = scene
    points = drawn_by("mismatched", scene, 300).points
    same = (points[:, :, None, None] == positive).all(dim=-1)  # (context, negative, its context, which of its positives)
    assert (same.sum(dim=(2, 3)) == 1).all()
    counts = same.sum(dim=1)
    for row in range(6):
        assert counts[row, row].sum() == 0
        others = torch.cat([counts[row, :row], counts[row, row + 1 :]])
        assert others.min() > 5 and others.max() < 40  # 20 of each on average


def test_mismatched_negatives_need_two_contexts(scene):
    positive, context, proposal = scene
    with pytest.raises(ValueError, match="take proposal"):
        drawn_by("mismatched", (positive[:1], context[:1], proposal), 4)


def test_hard_negatives_are_likelier_than_the_proposals(scene):
    """Where the model is narrower than the proposal, as it is to become."""

    def narrow(candidates, context):
        return 20 * bowl(candidates, context)

    draws = [drawn_by(name, scene, 500, energy=narrow) for name in ("hard", "proposal")]
    hard, proposed = (narrow(drawn.points, scene[1]).mean(dim=1) for drawn in draws)
    assert (hard < 0.5 * proposed).all()


def test_hard_negatives_carry_the_mean_of_proposal_and_model_as_positives_do(scene):
    positive, context, proposal = scene
    drawn = drawn_by("hard", scene, 7)
    points = torch.cat([positive, drawn.points], dim=1)
    carried = torch.cat([drawn.positive_log_density, drawn.log_density], dim=1)
    offset = carried - (proposal.given(context).weigh(points)[0] - bowl(points, context)) / 2
    assert torch.allclose(offset, offset[:, :1].expand_as(offset), atol=1e-5)  # one constant per context


@pytest.mark.parametrize("name", ["proposal", "hard"])
def test_the_carried_density_gives_the_partition_function(name):
    """Z of a normal with sd 1/2 about 0.3 over the box, self-normalised: the sum of exp(-E) / r over that of q / r."""

    def energy(candidates, context):
        return 2 * (candidates[..., 0] - 0.3).square()

    proposal = Proposal(1, 0, LINE, between=False, num_centres=2)
    proposal.parts["kernels"].centres.copy_(torch.tensor([[-0.5], [0.1]]))
    context = torch.zeros(1, 0)
    drawn = drawn_by(name, (torch.zeros(1, 1, 1), context, proposal), 40_000, energy=energy)
    inverse = torch.exp(-drawn.log_density + drawn.log_density.mean())
    held = (drawn.points.abs() <= 1.1)[..., 0]
    ratio = (inverse * torch.exp(-energy(drawn.points, context)) * held).sum()
    estimate = ratio / (inverse * proposal.given(context).weigh(drawn.points)[0].exp()).sum()
    normal = torch.distributions.Normal(0.3, 0.5)
    inside = float(normal.cdf(torch.tensor(1.1)) - normal.cdf(torch.tensor(-1.1)))
    assert float(estimate) == pytest.approx(0.5 * math.sqrt(2 * math.pi) * inside, rel=0.02)


def test_chains_go_on_from_where_earlier_ones_ended(monkeypatch, scene):
    """A chain that only adds 10 shows how often each point has been through one; one in twenty begins anew."""
    monkeypatch.setattr(negatives, "langevin", lambda energy, points, *rest: points + 10)
    positive, context, proposal = scene
    chains = make_negatives(EnergyConfig(loss="cd", negatives="langevin"), proposal)
    generator = seeded()
    ages = [(chains.draw(positive, context, 2_000, bowl, generator).points[..., 0] / 10).round() for _ in range(8)]
    assert (ages[0] == 1).all()
    assert [int(age.max()) for age in ages] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert float((ages[1] == 1).float().mean()) == pytest.approx(0.05 + 0.95 * math.exp(-1.2), abs=0.02)
    means = [float(age.mean()) for age in ages]
    assert all(later > earlier + 0.3 for earlier, later in itertools.pairwise(means))


def test_chains_that_go_on_arrive_where_one_alone_does_not():
    """A bowl about 0.8, from zero: one chain leaves r = 0.98^20 of the way, and in the end 0.05 r / (1 - 0.95 r) is left."""

    def energy(candidates, context):
        return 5 * (candidates - 0.8).square().sum(dim=-1)

    config = ProposalConfig(box=1e-6, kernels=1 - 1e-6, learned=0.0, kernel_width=0.01)
    chains = make_negatives(EnergyConfig(loss="cd", negatives="langevin"), Proposal(1, 0, config, False, 1))
    generator, positive, context = seeded(), torch.zeros(1, 1, 1), torch.zeros(1, 0)
    means = [float(chains.draw(positive, context, 5_000, energy, generator).points.mean()) for _ in range(30)]
    left = 0.98**20
    assert means[0] == pytest.approx(0.8 * (1 - left), abs=0.02)
    assert means[-1] == pytest.approx(0.8 * (1 - 0.05 * left / (1 - 0.95 * left)), abs=0.03)


def test_perturbed_points_lie_round_their_own_positive_smeared_twice():
    """(B, P M, D): the M points of the first positive come first. Each positive moves by sd 0.1, and its points by as much."""
    positive = 100 * torch.arange(2 * 400.0).reshape(2, 400, 1)
    context = torch.zeros(2, 0)
    draws = make_negatives(EnergyConfig(loss="ed", negatives="perturbed"), Proposal(1, 0, LINE, False, 1))
    points = draws.draw(positive, context, 3, bowl, seeded()).points.unflatten(1, (400, -1))
    off = (points - positive[:, :, None])[..., 0].double()
    assert off.abs().max() < 1
    spread = off.var(dim=2).mean()
    assert float(spread) == pytest.approx(0.01, rel=0.1)
    assert float(off.mean(dim=2).var() - spread / off.shape[2]) == pytest.approx(0.01, rel=0.2)


def test_each_positive_is_compared_with_its_own_perturbed_points():
    """The energy loss of two positives is the mean of those of each alone with its own points."""
    config = EnergyConfig(hidden=8, layers=1, loss="ed", negatives="perturbed", proposal=LINE)
    model = make_model(1, 0, np.zeros((1, 1)), np.zeros((1, 0)), config, between=False, seed=0)
    positive, context = torch.tensor([[[-0.6], [0.7]]]), torch.zeros(1, 0)
    drawn = make_negatives(config, model.proposal).draw(positive, context, 16, model.energy, seeded())
    high, low = model.energy(positive, context)[0], model.energy(drawn.points, context)[0]
    each = [energy_discrepancy_loss(high[i], low[16 * i : 16 * (i + 1)], 1.0) for i in (0, 1)]
    assert float(energy_loss(model, Batch(positive, context), drawn, None)) == pytest.approx(float(sum(each) / 2), rel=1e-5)
