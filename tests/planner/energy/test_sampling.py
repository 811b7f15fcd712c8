import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from thalweg.planner.energy.config import ProposalConfig, SamplingConfig
from thalweg.planner.energy.proposals import Proposal
from thalweg.planner.energy.sampling import descend, langevin, make_sampling, resample

METHODS = {
    "sir": SamplingConfig(method="sir", proposals=2_000),
    "langevin": SamplingConfig(method="langevin", langevin_steps=150),
    "metropolis": SamplingConfig(method="langevin", langevin_steps=150, metropolis=True),
    "descent": SamplingConfig(method="descent", descent_steps=40, descent_rate=0.004),
}
NOTHING = torch.zeros(1, 0)  # the one context of an unconditional energy
BOX = ProposalConfig(box=1.0, kernels=0.0, learned=0.0)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def bowl(points, context):
    """x^2 / 2 per entry: normal with variance T."""
    return points.square().sum(dim=-1) / 2


def bowl_at_context(points, context):
    """About the context, with sd 0.1 at temperature 1."""
    return 50 * (points - context[:, None]).square().sum(dim=-1)


def test_resampling_follows_the_weights_and_reports_what_they_are_worth():
    energies = -torch.log(torch.tensor([[0.5, 0.25, 0.25, 1e-12], [0.25, 0.25, 0.25, 0.25]]))
    indices, effective = resample(energies, torch.zeros(2, 4), 1.0, 100, seeded())
    assert torch.bincount(indices[0], minlength=4).tolist() == pytest.approx([50, 25, 25, 0], abs=1)
    assert torch.bincount(indices[1]).tolist() == pytest.approx([25] * 4, abs=1)
    assert effective.tolist() == pytest.approx([1 / (0.25 + 2 / 16) / 4, 1.0])


def test_the_proposals_density_is_divided_out():
    indices, effective = resample(torch.zeros(1, 2), torch.tensor([[0.8, 0.2]]).log(), 1.0, 100, seeded())
    assert torch.bincount(indices[0]).tolist() == pytest.approx([20, 80], abs=1)
    assert effective.tolist() == pytest.approx([1 / (0.04 + 0.64) / 2])


def test_temperature_divides_the_energy_alone():
    """Weights e^0 / 1 and e^-(log 3 / 0.5) / (1/9): 1 and 9 / 9."""
    indices, _ = resample(torch.tensor([[0.0, math.log(3)]]), torch.tensor([[1.0, 1 / 9]]).log(), 0.5, 100, seeded())
    assert torch.bincount(indices[0]).tolist() == pytest.approx([50, 50], abs=1)


@settings(deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 50), num_samples=st.integers(1, 200), sharpness=st.floats(0, 30))
def test_a_candidate_comes_as_often_as_its_weight_says_to_rounding(seed, count, num_samples, sharpness):
    generator = seeded(seed)
    energies, log_q = sharpness * torch.rand(2, count, generator=generator), torch.randn(2, count, generator=generator)
    indices, effective = resample(energies, log_q, 0.7, num_samples, generator)
    assert indices.shape == (2, num_samples)
    assert ((effective > 0) & (effective <= 1 + 1e-5)).all()
    weights = torch.softmax(-energies.double() / 0.7 - log_q.double(), dim=1)
    for row, weight in zip(indices, weights, strict=True):
        assert (torch.bincount(row, minlength=count) - num_samples * weight).abs().max() < 1 + 1e-3


def test_a_candidate_that_cannot_have_been_drawn_is_refused():
    with pytest.raises(ValueError, match="draw the candidates from the density"):
        resample(torch.zeros(1, 2), torch.tensor([[0.0, -math.inf]]), 1.0, 4, seeded())


@pytest.mark.parametrize("log_q", [0.0, -math.inf])
def test_a_candidate_of_infinite_energy_is_never_chosen(log_q):
    indices, effective = resample(torch.tensor([[math.inf, 0.0]]), torch.tensor([[log_q, 0.0]]), 1.0, 50, seeded())
    assert (indices == 1).all() and effective.tolist() == [0.5]


@pytest.mark.parametrize(("rate", "temperature"), [(0.5, 0.5), (0.5, 2.0), (1.5, 0.5)])
def test_langevin_with_metropolis_leaves_the_distribution_whatever_the_step(rate, temperature):
    """4,000 chains of two entries from zero, steps of up to 1.5 of the curvature's inverse; the variance's error is 1.6 %."""
    ends = langevin(bowl, torch.zeros(1, 4_000, 2), NOTHING, 60, rate, (temperature, temperature), True, seeded())
    assert ends.mean(dim=(0, 1)).abs().max() < 0.08 * math.sqrt(temperature)
    assert float(ends.var()) == pytest.approx(temperature, rel=0.06)


@pytest.mark.parametrize(("rate", "steps"), [(0.02, 300), (0.5, 60)])
def test_langevin_alone_has_the_bias_of_its_step(rate, steps):
    """x' = (1 - rate) x + sqrt(2 rate T) noise has variance T / (1 - rate / 2): 1 % too much, and 33 %."""
    ends = langevin(bowl, torch.zeros(1, 4_000, 2), NOTHING, steps, rate, (0.5, 0.5), False, seeded())
    assert ends.mean(dim=(0, 1)).abs().max() < 0.06
    assert float(ends.var()) == pytest.approx(0.5 / (1 - rate / 2), rel=0.05)


def test_metropolis_keeps_the_shares_of_two_dips():
    """Dips of sd 0.2 about -0.5 and 0.5, weighed 1 to 3; chains begin in the shallow one."""

    def energy(points, context):
        parts = torch.stack([-((points - centre) ** 2) / 0.08 + math.log(share) for centre, share in ((-0.5, 1), (0.5, 3))])
        return -parts.logsumexp(dim=0).sum(dim=-1)

    ends = langevin(energy, torch.full((1, 2_000, 1), -0.5), NOTHING, 400, 0.06, (1.0, 1.0), True, seeded())
    assert float((ends > 0).float().mean()) == pytest.approx(0.75, abs=0.04)


def test_metropolis_never_goes_where_the_energy_is_infinite():
    def energy(points, context):
        return torch.where(points[..., 0] > 0, points[..., 0], torch.inf)

    ends = langevin(energy, torch.ones(1, 2_000, 1), NOTHING, 200, 0.2, (1.0, 1.0), True, seeded())
    assert (ends > 0).all() and float(ends.mean()) == pytest.approx(1.0, abs=0.1)  # an exponential's


def test_langevin_cools_from_the_first_temperature_to_the_last():
    """Energy of no slope: each step adds a variance of 2 rate T, and T falls 100, 10, 1."""

    def flat(points, context):
        return 0 * points.sum(dim=-1)

    ends = langevin(flat, torch.zeros(1, 20_000, 1), NOTHING, 3, 0.01, (100.0, 1.0), False, seeded())
    assert float(ends.var()) == pytest.approx(0.02 * 111, rel=0.03)


def test_descent_goes_down_a_bowl():
    """Steps of x - 0.1 2 x, kept one by one."""
    trail = descend(lambda x, context: x.square().sum(dim=-1), torch.ones(1, 3, 2), NOTHING, 10, 0.1, 0.0)
    assert len(trail) == 11
    for step, points in enumerate(trail):
        assert torch.allclose(points, torch.full((1, 3, 2), 0.8**step), atol=1e-6)


def test_points_that_have_arrived_rest_and_the_descent_is_over_with_the_last():
    """Steps are 0.2 x; shorter ones than 0.1 are not taken: each rests at its first place below 0.5, after at most 7 steps."""
    start = torch.tensor([[[2.0], [1.0], [0.4]]])
    trail = descend(lambda x, context: x.square().sum(dim=-1), start, NOTHING, 100, 0.1, 0.1)
    assert len(trail) == 1 + 7
    ends = [2 * 0.8**7, 0.8**4, 0.4]
    assert trail[-1].flatten().tolist() == pytest.approx(ends)
    assert trail[4].flatten().tolist() == pytest.approx([2 * 0.8**4, 0.8**4, 0.4])
    assert len(descend(lambda x, context: x.square().sum(dim=-1), start, NOTHING, 5, 0.1, 0.1)) == 1 + 5


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("num_samples", [1, 300])
def test_sampling_contract(name, num_samples):
    """Batched over contexts, all randomness from the generator; each context's samples lie in its own bowl."""
    context = torch.tensor([[-0.6, 0.2], [0.1, -0.3], [0.5, 0.7]])
    sampling, proposal = make_sampling(METHODS[name]), Proposal(2, 2, BOX, between=False, num_centres=0)
    draws = [sampling(bowl_at_context, proposal, context, num_samples, seeded(seed)) for seed in (0, 0, 1)]
    assert draws[0].points.shape == (3, num_samples, 2) and draws[0].points.dtype == torch.float32
    assert not draws[0].points.requires_grad
    assert torch.equal(draws[0].points, draws[1].points) and not torch.equal(draws[0].points, draws[2].points)
    assert (draws[0].points - context[:, None]).norm(dim=-1).mean() < 0.4
    assert (draws[0].points.mean(dim=1) - context).norm(dim=1).max() < (0.03 if num_samples > 1 else 0.5)
    assert (draws[0].effective is not None) == (name == "sir")


def test_resampling_is_faithful_at_its_temperature():
    """sd 0.1 sqrt(T), from the uniform box; its effective share is 4 pi s^2 / 2.2^2 with s the sd."""
    for temperature in (1.0, 0.5):
        config = SamplingConfig(proposals=50_000, temperature=temperature)
        sampling, proposal = make_sampling(config), Proposal(2, 2, BOX, between=False, num_centres=0)
        drawn = sampling(bowl_at_context, proposal, torch.tensor([[0.3, -0.2]]), 5_000, seeded())
        assert drawn.points.var(dim=1)[0].tolist() == pytest.approx([0.01 * temperature] * 2, rel=0.1)
        assert float(drawn.effective) == pytest.approx(4 * math.pi * 0.01 * temperature / 2.2**2, rel=0.1)


def test_resampling_takes_at_least_twice_as_many_candidates_as_samples():
    """A flat energy: all candidates weigh alike, so no two samples are the same point."""
    sampling, proposal = make_sampling(SamplingConfig(proposals=8)), Proposal(2, 2, BOX, between=False, num_centres=0)
    drawn = sampling(lambda points, context: points.new_zeros(points.shape[:2]), proposal, torch.zeros(1, 2), 200, seeded())
    assert len(drawn.points[0].unique(dim=0)) == 200


@pytest.mark.parametrize(("name", "share"), [("sir", 1 - math.exp(-1)), ("descent", 0.92)])
def test_an_energy_is_relative_to_the_learned_part(name, share):
    """A network that says nothing leaves what was learned: here a normal about (-0.4, 0.3), of sd 0.1. So many lie within 0.1 of
    its mean: by resampling at temperature 0.5 as of a normal of half the variance, by descent all that do not begin far off.
    """
    config = ProposalConfig(box=0.1, kernels=0, learned=0.9, components=1)
    proposal = Proposal(2, 2, config, between=False, num_centres=0)
    last = proposal.learned.network[-1]
    width = (math.log(0.1) - math.log(0.003)) / (math.log(1.0) - math.log(0.003))
    last.weight.data.zero_()
    last.bias.data = torch.tensor([0.0, -0.4, 0.3, *[math.log(width / (1 - width))] * 2])
    proposal.requires_grad_(False)
    drawn = make_sampling(METHODS[name])(lambda x, context: 0 * x.sum(dim=-1), proposal, torch.zeros(1, 2), 1_000, seeded())
    off = (drawn.points[0] - torch.tensor([-0.4, 0.3])).norm(dim=1)
    assert float((off < 0.1).float().mean()) == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize("metropolis", [True, False])
def test_langevin_samples_end_at_their_temperature(metropolis):
    """The chains cool, so their variance lags by 6 %; without metropolis the step adds a bias of 2.6 %."""
    config = SamplingConfig(method="langevin", langevin_steps=400, langevin_rate=5e-4, temperature=0.5, metropolis=metropolis)
    proposal = Proposal(2, 2, BOX, between=False, num_centres=0)
    drawn = make_sampling(config)(bowl_at_context, proposal, torch.tensor([[0.3, -0.2]]), 4_000, seeded())
    assert float(drawn.points.var(dim=1).mean()) == pytest.approx(0.005, rel=0.12)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"method": "gibbs"}, "sir, langevin or descent, got 'gibbs'"),
        ({"proposals": 0}, "proposals must be at least 1"),
        ({"langevin_steps": 0}, "langevin_steps"),
        ({"descent_steps": -1}, "descent_steps"),
        ({"temperature": 0.0}, "temperature"),
        ({"langevin_rate": -0.1}, "langevin_rate"),
        ({"descent_rate": 0.0}, "descent_rate"),
        ({"tolerance": -1e-3}, "tolerance"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(change, word):
    with pytest.raises(ValueError, match=word):
        SamplingConfig(**change)
