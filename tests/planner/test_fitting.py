"""The loop over gradient steps, on losses whose every step is known by hand."""

import numpy as np
import pytest
import torch

from thalweg.planner.fitting import DivergedError, adam, constant, counted_on, descend, seeded


def descent(weight, loss, steps, **more):
    return descend(torch.optim.SGD([weight], lr=0.1), loss, steps, what="the line", **more)


def test_steps_go_down_the_slope_and_are_told_with_the_loss_before_them():
    """(w - 1)^2 from 0 at a rate of 0.1: what is left shrinks to 0.8 of it each time."""
    weight, told, after = torch.zeros(1, requires_grad=True), [], []
    descent(
        weight,
        lambda step: (weight - 1).square().sum(),
        4,
        schedule=constant,
        after=after.append,
        on_step=lambda step, loss: told.append((step, loss)),
    )
    assert weight.item() == pytest.approx(1 - 0.8**4)
    assert [step for step, _ in told] == [1, 2, 3, 4] and after == [0, 1, 2, 3]
    assert [loss for _, loss in told] == pytest.approx([0.64**step for step in range(4)])


def test_the_rate_falls_to_nothing_along_a_cosine_unless_it_is_to_stay():
    """A slope of 1: the weight goes down by the sum of the rates, 0.1 (1 + cos(pi k / 4)) / 2 for k = 0..3."""
    falling, steady = torch.zeros(1, requires_grad=True), torch.zeros(1, requires_grad=True)
    descent(falling, lambda step: falling.sum(), 4)
    descent(steady, lambda step: steady.sum(), 4, schedule=constant)
    assert falling.item() == pytest.approx(-0.05 * (1 + np.cos(np.pi * np.arange(4) / 4)).sum())
    assert steady.item() == pytest.approx(-0.4)


def test_several_losses_are_added_up_and_the_first_is_told():
    weight, told = torch.ones(1, requires_grad=True), []
    losses = lambda step: (weight.sum(), 2 * weight.sum(), 3 * weight.sum())  # noqa: E731
    descent(weight, losses, 1, on_step=lambda step, loss: told.append(loss))
    assert weight.item() == pytest.approx(1 - 0.1 * 6) and told == [1.0]


def raises(step):
    raise FloatingPointError("the candidates have no density")


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        (lambda weight: weight.sum() * torch.nan, "the loss is nan"),
        (lambda weight: weight.sum() / 0, "the loss is inf"),
        (lambda weight: (0 * weight).sqrt().sum(), "the slope of the loss is not finite"),
        (lambda weight: 3e38 * weight.sum() * 2 - 3e38 * weight.sum(), "the loss is inf"),
        (raises, "the candidates have no density"),
    ],
)
def test_it_stops_at_the_very_step_that_is_no_number_and_the_weights_stay(wrong, found):
    weight, told, model = torch.ones(1, requires_grad=True), [], torch.nn.Identity()
    loss = lambda step: wrong(weight) if step == 2 else weight.square().sum()  # noqa: E731
    with pytest.raises(DivergedError, match=f"^the line: {found} at step 2; lower learning_rate$") as caught:
        descent(weight, loss, 9, schedule=constant, model=model, on_step=lambda step, loss: told.append(step))
    assert told == [1, 2] and weight.item() == pytest.approx(0.8**2)
    assert isinstance(caught.value, FloatingPointError) and caught.value.model is model


def test_a_last_step_that_leaves_no_numbers_is_noticed():
    weight = torch.ones(1, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=3e38)
    with pytest.raises(DivergedError, match="the weights are no longer finite at step 0; lower learning_rate"):
        descend(optimizer, lambda step: 10 * weight.sum(), 1, what="the line")


def test_an_optimizer_that_is_kept_keeps_its_momenta():
    once, twice = torch.ones(1, requires_grad=True), torch.ones(1, requires_grad=True)
    descend(adam([once], 0.1), lambda step: once.square().sum(), 6, what="once", schedule=constant)
    optimizer = adam([twice], 0.1)
    for steps in (2, 4):
        descend(optimizer, lambda step: twice.square().sum(), steps, what="twice", schedule=constant)
    assert torch.equal(once, twice)


def test_a_seed_fixes_what_is_drawn_and_other_draws_go_on_as_they_would():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with seeded(1):
        one = torch.rand(3)
    with seeded(1):
        same = torch.rand(3)
    with seeded(2):
        other = torch.rand(3)
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_a_fit_that_follows_another_counts_on():
    told = []
    counted_on(lambda step, loss: told.append((step, loss)), 10)(3, 0.5)
    assert told == [(13, 0.5)]
