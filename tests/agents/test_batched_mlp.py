"""Networks run as one give the numbers and the gradients of the networks themselves."""

import copy
import itertools

import pytest
import torch
from stable_baselines3.common.distributions import SquashedDiagGaussianDistribution
from torch import nn

from thalweg.agents.sac.batched_mlp import StackedNetworks, stack_actor, stack_critics
from thalweg.agents.sac.tanh_normal import draw, gradient
from thalweg.agents.sac.update import adam_step


def body(*widths):
    return [layer for pair in itertools.pairwise(widths) for layer in (nn.Linear(*pair), nn.ReLU())]


@pytest.fixture
def critics():
    torch.manual_seed(0)
    return [nn.Sequential(*body(5, 16, 8), nn.Linear(8, 1)) for _ in range(3)]


def test_stacked_critics_give_the_outputs_and_gradients_of_each(critics):
    inputs, weights = torch.randn(32, 5, requires_grad=True), torch.randn(3, 32, 1)
    expected = torch.stack([critic(inputs) for critic in critics])
    parameters = [parameter for critic in critics for parameter in critic.parameters()]
    *by_parameters, by_inputs = torch.autograd.grad((weights * expected).sum(), [*parameters, inputs])
    stacked = stack_critics(critics, torch.float32)
    assert torch.allclose(stacked.forward(inputs.detach()), expected, atol=1e-6)
    assert torch.allclose(stacked.backward(weights, of_inputs=5), by_inputs, atol=1e-5)
    assert all(torch.allclose(p.grad, own, atol=1e-4) for p, own in zip(parameters, by_parameters, strict=True))


def test_gradients_can_be_of_the_first_rows_only(critics):
    """The actor runs once for what is before a step and after it, and learns from the former."""
    stacked = stack_critics(critics, torch.float32)
    inputs, weights = torch.randn(12, 5), torch.randn(3, 5, 1)
    stacked.forward(inputs[:5])
    by_inputs = stacked.backward(weights, of_inputs=5)
    by_parameters = [parameter.grad.clone() for parameter in critics[1].parameters()]
    stacked.forward(inputs)
    assert torch.allclose(stacked.backward(weights, of_inputs=5), by_inputs, atol=1e-6)
    assert all(torch.allclose(p.grad, own, atol=1e-6) for p, own in zip(critics[1].parameters(), by_parameters, strict=True))


def test_gradients_can_be_of_the_last_inputs_only(critics):
    stacked = stack_critics(critics, torch.float32)
    stacked.forward(torch.randn(4, 5))
    weights = torch.randn(3, 4, 1)
    assert torch.allclose(stacked.backward(weights, of_inputs=2), stacked.backward(weights, of_inputs=5)[:, 3:], atol=1e-6)
    assert stacked.backward(weights) is None


def test_gradients_of_the_inputs_alone_leave_those_of_the_weights(critics):
    stacked = stack_critics(critics, torch.float32)
    inputs = torch.randn(4, 5)
    stacked.forward(inputs)
    stacked.backward(torch.ones(3, 4, 1))
    before = [parameter.grad.clone() for parameter in critics[0].parameters()]
    stacked.forward(inputs + 1)
    stacked.backward(torch.ones(3, 4, 1), of_weights=False, of_inputs=2)
    assert all(torch.equal(p.grad, old) for p, old in zip(critics[0].parameters(), before, strict=True))


def test_the_networks_and_the_stack_stay_one(critics):
    """An optimiser's step and a loaded state_dict reach both, and cleared gradients come back."""
    stacked = stack_critics(critics, torch.float32)
    inputs = torch.randn(7, 5)
    optimizer = torch.optim.Adam([stacked.values], lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()  # to None
        before = stacked.forward(inputs).clone()
        stacked.backward(torch.ones(3, 7, 1))
        optimizer.step()
    after = stacked.forward(inputs)
    assert not torch.allclose(after, before)
    assert torch.allclose(after, torch.stack([critic(inputs) for critic in critics]), atol=1e-6)
    critics[1].load_state_dict(critics[0].state_dict())
    assert torch.equal(stacked.forward(inputs)[1], stacked.forward(inputs)[0])


def test_products_in_bfloat16_are_nearly_those_in_float32_and_change_float32_parameters(critics):
    """Its numbers are off by up to 0.4 %, and what is near 0 may fall on the other side."""
    inputs, weights = torch.randn(256, 5), torch.rand(3, 256, 1)
    parameters = [parameter for critic in critics for parameter in critic.parameters()]
    results = []
    for dtype in (torch.float32, torch.bfloat16):
        stacked = stack_critics(critics, dtype)
        outputs = stacked.forward(inputs)
        by_inputs = stacked.backward(weights, of_inputs=5)
        results.append([outputs, by_inputs, *(parameter.grad.clone() for parameter in parameters)])
    assert all(parameter.dtype == parameter.grad.dtype == torch.float32 for parameter in parameters)
    for exact, rounded in zip(*results, strict=True):
        assert rounded.dtype == torch.float32 and 0 < (rounded - exact).norm() < 0.1 * exact.norm()


def test_networks_of_other_kinds_are_refused(critics):
    with pytest.raises(ValueError, match="Linear and ReLU"):
        stack_critics([nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1))], torch.float32)
    with pytest.raises(ValueError, match="different shapes"):
        StackedNetworks([critics[0][:-1], nn.Sequential(*body(5, 16, 9))], [[critics[0][-1]], [nn.Linear(9, 1)]], torch.float32)


def test_a_squashed_sample_has_stable_baselines3s_density():
    outputs = torch.randn(64, 6) * 2
    torch.manual_seed(1)
    drawn = draw(outputs)
    torch.manual_seed(1)
    actions, log_prob = SquashedDiagGaussianDistribution(3).log_prob_from_params(outputs[:, :3], outputs[:, 3:].clamp(-20, 2))
    assert torch.allclose(drawn.actions, actions, atol=1e-6)
    assert torch.allclose(drawn.log_prob(), log_prob, atol=1e-3)  # theirs inverts the tanh where it was not kept


def test_the_gradient_through_a_squashed_sample_is_autograds():
    torch.manual_seed(0)
    latent, mean, log_std = nn.Sequential(*body(4, 16, 16)), nn.Linear(16, 2), nn.Linear(16, 2)
    log_std.bias.data[0] = 3.0  # beyond the clamp
    inputs, by_actions = torch.randn(50, 4).double(), torch.randn(50, 2).double()
    for module in (latent, mean, log_std):
        module.double()
    parameters = [p for module in (latent, mean, log_std) for p in module.parameters()]
    hidden = latent(inputs)
    torch.manual_seed(1)
    drawn = draw(torch.cat([mean(hidden), log_std(hidden)], dim=1))
    expected = torch.autograd.grad((by_actions * drawn.actions).sum() + 0.3 * drawn.log_prob().sum(), parameters)
    actor = stack_actor(latent, mean, log_std, torch.float64)
    torch.manual_seed(1)
    drawn = draw(actor.forward(inputs)[0])
    actor.backward(gradient(drawn, by_actions, 0.3)[None])
    assert all(torch.allclose(p.grad, own, atol=1e-9) for p, own in zip(parameters, expected, strict=True))


def test_a_step_of_adam_is_torchs():
    """Settings and moments are the optimiser's own: a learning rate changed, a state loaded."""
    torch.manual_seed(0)
    mine, theirs = (torch.optim.Adam([torch.ones(50)], lr=0.1, fused=True) for _ in range(2))
    for i in range(6):
        if i == 3:
            mine.load_state_dict(copy.deepcopy(theirs.state_dict()))  # or they would share their moments
        for optimizer, step in ((mine, adam_step), (theirs, torch.optim.Adam.step)):
            torch.manual_seed(i)
            (group,) = optimizer.param_groups
            group["lr"] = 0.1 / (i + 1)
            group["params"][0].grad = torch.randn(50)
            step(optimizer)
        assert torch.equal(mine.param_groups[0]["params"][0], theirs.param_groups[0]["params"][0])
    assert float(mine.state[mine.param_groups[0]["params"][0]]["step"]) == 6
