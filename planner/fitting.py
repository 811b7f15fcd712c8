"""The one loop over gradient steps: progress, schedule, and a word where a loss is no number."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler

from .progress import ignore as ignore

Losses = Tensor | tuple[Tensor, ...]  # scalars; several are added up, and the first is the one that is told
Schedule = Callable[[Optimizer, int], LRScheduler | None]  # of an optimizer over so many steps
OnStep = Callable[[int, float], None]  # step, counted from 1, and its loss


class DivergedError(FloatingPointError):
    """Of a fit that is no number any more. The message says of what, at which step, and what mends it."""

    def __init__(self, what: str, step: int, found: str, model: nn.Module | None = None) -> None:
        """`what` was learned; `found`: the sentence about what is not finite; `model`, if any, holds the last finite weights."""
        super().__init__(f"{what}: {found} at step {step}; lower learning_rate")
        self.model = model


def adam(parameters: Iterable[Tensor], learning_rate: float) -> Optimizer:
    return torch.optim.Adam(parameters, lr=learning_rate, fused=True)


def cosine(optimizer: Optimizer, train_steps: int) -> LRScheduler:
    """From the learning rate to 0 along a cosine."""
    return CosineAnnealingLR(optimizer, train_steps)


def constant(optimizer: Optimizer, train_steps: int) -> None:
    """The learning rate stays."""


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """What torch draws within on the CPU, such as weights, is fixed by the seed; whoever asked goes on as it would have."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed GPUs, too
        yield


def descend(
    optimizer: Optimizer,
    loss: Callable[[int], Losses],
    train_steps: int,
    *,
    what: str,
    schedule: Schedule = cosine,
    model: nn.Module | None = None,
    after: Callable[[int], None] = ignore,
    on_step: OnStep = ignore,
) -> None:
    """Take so many steps down `loss(step)`, step 0 first; `after(step)` each, for averages, then `on_step(step + 1, loss)`.

    DivergedError at the very step where the loss or its slope is not finite, or where the loss raises a FloatingPointError; or if
    the weights are not finite in the end, or when `after` would take them in. `what` is learned, for the message; `model` goes
    with the error, and is to hold the last finite weights.
    """
    parameters = [own for group in optimizer.param_groups for own in group["params"]]
    rates = schedule(optimizer, train_steps)
    for step in range(train_steps):
        try:
            parts = loss(step)
        except FloatingPointError as error:  # the last step was finite, and too long
            raise DivergedError(what, step, str(error), model) from None
        told, *others = (parts,) if isinstance(parts, Tensor) else parts
        total = sum(others, start=told)
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        slopes = [own.grad for own in parameters if own.grad is not None]
        if not _finite(total.detach() + _size(slopes)):
            found = "the slope of the loss is not finite" if _finite(total) else f"the loss is {total.item():g}"
            raise DivergedError(what, step, found, model)
        optimizer.step()
        # else the next loss tells
        if (after is not ignore or step == train_steps - 1) and not _finite(_size(parameters)):
            raise DivergedError(what, step, "the weights are no longer finite", model)
        if rates is not None:
            rates.step()
        after(step)
        on_step(step + 1, told.item())


def counted_on(on_step: OnStep, before: int) -> OnStep:
    """For a fit that follows others of `before` steps in all."""
    return lambda step, loss: on_step(before + step, loss)


def _size(values: list[Tensor]) -> Tensor:
    """() the sum of the norms of all: not finite if one number is not, or a norm is beyond all numbers."""
    return torch.stack(torch._foreach_norm(values)).sum()


def _finite(value: Tensor) -> bool:
    return math.isfinite(value.item())
