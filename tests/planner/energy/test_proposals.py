import math
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import distributions

from thalweg.planner.energy.config import ProposalConfig
from thalweg.planner.energy.networks import split_between
from thalweg.planner.energy.proposals import Box, Kernels, NormalMixture, PartGiven, Proposal, kernel_log_density

CELL = 0.02  # the box ends between two cells, at 1.1
AXIS = torch.arange(-3 + CELL / 2, 3, CELL)
GRID = torch.stack(torch.meshgrid(AXIS, AXIS, indexing="ij"), dim=-1).reshape(-1, 2)
CONTEXT = torch.tensor([[-0.5, -0.4, 0.6, 0.3, 0.1], [0.4, 0.4, 0.4, 0.4, -0.6]])  # start, goal, fraction; the second stays
CENTRES = torch.tensor([[0.0, 0.5], [0.3, -0.2], [-0.6, -0.6]])
ALL = ProposalConfig(box=0.1, kernels=0.4, learned=0.5, kernel_width=0.15, components=3)


def spread(module):
    """Seeded weights, far from each other: so is what the network gives."""
    generator = torch.Generator().manual_seed(1)
    for parameter in module.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * (1.5 / math.sqrt(parameter.shape[-1]))
    return module


def kernels():
    part = Kernels(3, 2, 0.15)
    part.centres.copy_(CENTRES)
    return part


def whole(config=ALL):
    proposal = spread(Proposal(2, 5, config, between=True, num_centres=3))
    proposal.parts["kernels"].centres.copy_(CENTRES)
    return proposal


PARTS = {
    "box": lambda: Box(2),
    "kernels": kernels,
    "learned": lambda: spread(NormalMixture(2, 5, 3, between=False)),
    "learned between": lambda: spread(NormalMixture(2, 5, 3, between=True)),
    "all": whole,
}


@pytest.fixture(scope="module", params=PARTS)
def part(request):
    return PARTS[request.param]().requires_grad_(False)


def given_context(part):
    """Its draws and its log-density in both contexts."""
    if isinstance(part, NormalMixture):
        return part.given(CONTEXT).sample, part.given(CONTEXT).log_density
    if isinstance(part, Proposal):
        return part.given(CONTEXT).sample, lambda points: part.given(CONTEXT).weigh(points)[0]
    return partial(part.sample, CONTEXT), partial(part.log_density, context=CONTEXT)


def test_densities_integrate_to_one(part):
    masses = given_context(part)[1](GRID.expand(2, -1, -1)).exp().sum(dim=1) * CELL**2
    assert masses.tolist() == pytest.approx([1, 1], abs=2e-3)


def test_draws_follow_the_density(part):
    """Shares of 40,000 draws in cells of half a unit, for both contexts; the sampling error is at most 0.0025."""
    sample, log_density = given_context(part)
    drawn = sample(40_000, torch.Generator().manual_seed(0))
    density = log_density(GRID.expand(2, -1, -1)).exp().numpy() * CELL**2
    edges = [np.arange(-3, 3.1, 0.5)] * 2
    for points, weights in zip(drawn.numpy(), density, strict=True):
        expected = np.histogramdd(GRID.numpy(), edges, weights=weights)[0]
        assert np.abs(np.histogramdd(points, edges)[0] / len(points) - expected).max() < 0.01


def test_importance_weights_estimate_integrals():
    """E_q[f / q] over visited ranges is the integral of f: 4 for f = 1 and 4/3 for f = x^2."""
    proposal = whole().requires_grad_(False)
    drawn = proposal.sample(CONTEXT, 100_000, torch.Generator().manual_seed(0))
    inverse = torch.exp(-proposal.given(CONTEXT).weigh(drawn)[0]) * (drawn.abs() <= 1).all(dim=-1)
    assert inverse.mean(dim=1).tolist() == pytest.approx([4, 4], rel=0.02)
    assert (inverse * drawn[..., 0] ** 2).mean(dim=1).tolist() == pytest.approx([4 / 3] * 2, rel=0.04)


def test_what_is_asked_once_is_what_is_asked_each_time():
    """Samples, log-densities and the base, which is the learned part's energy, level from 12 nats on."""
    proposal = whole().requires_grad_(False)
    given = proposal.given(CONTEXT)
    drawn = given.sample(500, torch.Generator().manual_seed(0))
    assert torch.equal(drawn, proposal.sample(CONTEXT, 500, torch.Generator().manual_seed(0)))
    points = torch.cat([drawn, torch.full((2, 1, 2), 40.0)], dim=1)
    log_density, base = given.weigh(points)
    assert torch.equal(log_density, proposal.given(CONTEXT).weigh(points)[0]) and torch.equal(base, given.base(points))
    learned = proposal.learned.given(CONTEXT).log_density(points)
    near = learned > -5
    assert near.sum() > 500 and torch.allclose(base[near], -learned[near], atol=1e-3)
    assert base[:, -1].tolist() == pytest.approx([12, 12])
    free = ProposalConfig(box=1, learned=0)
    assert Proposal(2, 5, free, between=True, num_centres=0).given(CONTEXT).base(points).abs().max() == 0


@pytest.mark.parametrize("name", ["learned", "learned between"])
def test_a_mixture_of_normals_is_torchs(name):
    part = PARTS[name]().requires_grad_(False)
    mixture = part.given(CONTEXT)
    shares, means, widths = mixture.shares, mixture.means, mixture.widths
    normals = distributions.Independent(distributions.Normal(means, widths.exp()), 1)
    reference = distributions.MixtureSameFamily(distributions.Categorical(logits=shares), normals)
    points = GRID[::997]
    expected = reference.log_prob(points[:, None].expand(-1, 2, -1)).T
    assert torch.allclose(mixture.log_density(points.expand(2, -1, -1)), expected, rtol=1e-4, atol=1e-3)
    assert np.ptp(means.numpy(), axis=1).max() > 0.2  # the parts differ


def test_kernels_are_normals_round_visited_points():
    points = GRID[::997].reshape(-1, 1, 2)
    normals = distributions.Independent(distributions.Normal(CENTRES, 0.15), 1).log_prob(points[..., None, :])
    expected = torch.logsumexp(normals, dim=-1) - math.log(3)
    assert torch.allclose(kernel_log_density(points, CENTRES, 0.15), expected, rtol=1e-4, atol=1e-3)


def test_the_whole_density_is_never_zero_inside_the_box_and_zero_outside_where_there_is_only_the_box():
    edge = torch.tensor([[[1.09, -1.09], [1.11, 0.0]]]).expand(2, -1, -1)
    assert whole().given(CONTEXT).weigh(edge)[0].isfinite().all()
    box = Proposal(2, 0, ProposalConfig(box=1.0, kernels=0, learned=0), between=False, num_centres=0)
    assert box.given(torch.zeros(1, 0)).weigh(edge[:1])[0][0].tolist() == pytest.approx([-2 * math.log(2.2), -math.inf])


def counted(proposal, num_samples, seed):
    """How many points each part is asked for, by name; and how many come."""
    asked = dict.fromkeys(proposal.parts, 0)

    def listen(name, part):
        def sample(context, num, generator):
            asked[name] = num
            return torch.zeros(len(context), num, 1)

        part.sample = sample
        if name == "learned":
            part.given = lambda context: PartGiven(part, context)

    for name, part in proposal.parts.items():
        listen(name, part)
    drawn = proposal.sample(torch.zeros(2, 3), num_samples, torch.Generator().manual_seed(seed))
    return asked, drawn.shape[1]


def proposal_of(box, kernels, learned):
    config = ProposalConfig(box=box, kernels=kernels, learned=learned)
    return Proposal(1, 3, config, between=True, num_centres=3)


@settings(deadline=None)
@given(
    raw=st.tuples(st.floats(0.01, 1), *[st.floats(0, 1) | st.floats(0, 1e-6)] * 2),
    num_samples=st.integers(1, 5_000),
    seed=st.integers(0, 1_000),
)
@example(raw=(0.5, 0.5, 0.0), num_samples=100_000, seed=326)  # the offset is 1 - 2^-9
@example(raw=(0.6, 0.4000009, 1e-8), num_samples=4_096, seed=326)  # the second share ends beyond 1
def test_every_part_gives_its_share_and_all_give_as_many_as_asked_for(raw, num_samples, seed):
    total = sum(raw) if abs(sum(raw) - 1) > 1e-6 else 1.0
    shares = dict(zip(("box", "kernels", "learned"), (part / total for part in raw), strict=True))
    asked, come = counted(proposal_of(**shares), num_samples, seed)
    assert come == sum(asked.values()) == num_samples
    assert set(asked) == {name for name, share in shares.items() if share > 0}
    assert all(abs(number - shares[name] * num_samples) < 1.01 for name, number in asked.items())


def test_a_part_comes_as_often_as_its_share_even_one_by_one():
    """1,000 draws of one point; the sampling error of a share is at most 0.015."""
    proposal = proposal_of(0.1, 0.2, 0.7)
    asked = [counted(proposal, 1, seed)[0] for seed in range(1_000)]
    shares = {name: np.mean([each[name] for each in asked]) for name in proposal.parts}
    assert shares == pytest.approx({"box": 0.1, "kernels": 0.2, "learned": 0.7}, abs=0.05)


def test_learned_means_run_from_the_start_to_the_goal():
    mixture = spread(NormalMixture(2, 5, 4, between=True))
    ends = torch.tensor([[-0.537, 0.211, 0.713, -0.0919]])
    for fraction, end in ((-1.0, ends[:, :2]), (1.0, ends[:, 2:])):
        means = mixture.given(torch.cat([ends, torch.tensor([[fraction]])], dim=1)).means
        assert torch.equal(means, end[:, None].expand(-1, 4, -1))  # exactly
    means = mixture.given(torch.cat([ends, torch.zeros(1, 1)], dim=1)).means
    assert (means[0] - (ends[0, :2] + ends[0, 2:]) / 2).norm(dim=1).min() > 0.1  # and where they like in between


def test_a_context_splits_into_its_ends_and_the_fraction():
    start, goal, fraction = split_between(CONTEXT, 2)
    assert torch.equal(start, CONTEXT[:, :2]) and torch.equal(goal, CONTEXT[:, 2:4])
    assert fraction.tolist() == [[pytest.approx(0.55)], [pytest.approx(0.2)]]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"box": 0.3}, "sum 1"),
        ({"learned": -0.1, "kernels": 1.0}, "none negative"),
        ({"box": 0.0, "kernels": 0.1}, "box must be positive"),
        ({"kernel_width": 0.0}, "kernel_width"),
        ({"components": 0}, "components"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(change, word):
    with pytest.raises(ValueError, match=word):
        ProposalConfig(**change)


def test_a_part_that_the_context_cannot_serve_is_refused():
    with pytest.raises(ValueError, match=r"proposal\.learned to 0"):
        Proposal(2, 0, ProposalConfig(), between=False, num_centres=0)
