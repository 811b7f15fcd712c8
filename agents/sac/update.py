"""SAC's update (arXiv:1812.05905) with an entropy-free critic target: the same arithmetic with less work."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import torch
from numpy.typing import NDArray
from torch import Tensor

from ..replay.batch import HerSamples, Inputs
from .batched_mlp import stack_actor, stack_critics
from .cuda_graph import in_one_launch
from .policy import GoalActorCritic
from .tanh_normal import Draw, draw, gradient


class Entropy(NamedTuple):
    """How the bonus for it is weighed, and learnt."""

    log_weight: Tensor  # (1,)
    optimizer: torch.optim.Optimizer
    target: float


class Embeddings(Protocol):
    """What the ways tell of places."""

    def now(self, observations: dict[str, NDArray]) -> tuple[Tensor, Tensor]:
        """Embeddings of where all envs are (n_envs, code_size), and of their goals (n_envs, goal_code_size)."""
        ...

    def update(self, samples: HerSamples) -> None:
        """Take notice of what has been stored and learnt since, as far as these need it."""
        ...

    def forget(self) -> None:
        """Nothing that was worked out before counts any more."""
        ...

    def of(self, batch: Inputs) -> tuple[Tensor, Tensor]:
        """Embeddings of where each step began and ended (2, B, code_size), and of the goals (B, goal_code_size)."""
        ...


class SacUpdate:
    """In two halves, so that a loss that is not finite can be seen before it gets into a weight.

    What the features tell of a place is worked out once per place (`Embeddings`), networks of one shape run as one
    (`StackedNetworks`), no loss has a graph of gradients, and there are no weight gradients in the actor's pass. On a GPU, where
    at these sizes each of the hundred small operations costs its launch and nothing else, each half is one launch; learning
    rates, discount and tau are then what they were when it was recorded.
    """

    def __init__(
        self, policy: GoalActorCritic, codes: Embeddings, entropy: Entropy, discount: float, tau: float, dtype: torch.dtype
    ) -> None:
        actor = policy.actor
        self._extractor, self._codes, self._entropy = actor.features_extractor, codes, entropy
        both: Any = policy.critic, policy.critic_target
        self._critics, self._targets = (stack_critics(critic.q_networks, dtype) for critic in both)
        self._actor = stack_actor(actor.latent_pi, actor.mu, actor.log_std, dtype)
        for module, stack in ((policy.critic, self._critics), (actor, self._actor)):
            module.optimizer = type(module.optimizer)([stack.values], **module.optimizer.defaults)
        self._optimizers = policy.critic.optimizer, actor.optimizer
        self._by_log_weight = torch.zeros_like(entropy.log_weight.detach())
        self._discount, self._tau = discount, tau
        self.launch_anew()

    def launch_anew(self, at_once: bool = True) -> None:
        """Needed when tensors are not where they were: an optimiser has been loaded. Without `at_once` a GPU is handed the
        operations one by one."""
        self._first, self._second = self._gradients, self._steps
        if at_once and self._entropy.log_weight.device.type == "cuda":
            self._first, self._second = in_one_launch(self._gradients), in_one_launch(self._steps)

    def ask(self, codes: Embeddings) -> None:
        """Others from now on; `launch_anew` is needed then."""
        self._codes = codes

    def gradients(self, batch: Inputs) -> Tensor:
        """Of the critics, which are not changed yet -> their loss ()."""
        return self._first(*batch)

    def steps(self) -> dict[str, Tensor]:
        """Change critics, actor, the weight of entropy and the targets after the last `gradients` -> what is worth logging."""
        return self._second()

    @torch.inference_mode()
    def _gradients(self, *parts: Tensor) -> Tensor:
        batch = Inputs(*parts)
        size = len(batch.rewards)
        told = self._extractor.ways.query(*self._codes.of(batch))
        both = self._extractor.of(batch.states, batch.achieved, batch.desired, told)
        self._prior, next_prior = self._extractor.prior_return(both)
        both = both.to(self._actor.dtype)  # for all networks at once
        self._features, next_features = both

        drawn = draw(self._actor.forward(both.flatten(0, 1))[0].unflatten(0, both.shape[:2]))
        self._drawn = Draw(*(part[0] for part in drawn))
        next_q = next_prior + self._targets.forward(_side_by_side(next_features, drawn.actions[1])).amin(dim=0)
        target = batch.rewards + (1 - batch.dones) * self._discount * next_q  # (B, 1)
        # What has been done in so many steps can be done in so many: around a corner the policy's own return says nothing,
        # however good an action is, until all that follows is right.
        target = torch.maximum(target, least_return(batch.realised, self._discount))

        values = self._critics.forward(_side_by_side(self._features, batch.actions))  # (K, B, 1)
        errors = values - (target - self._prior)
        self._critics.backward(errors / size)  # of half the mean squared error, summed over the critics
        self._critic_loss = 0.5 * errors.square().mean(dim=1).sum()
        return self._critic_loss

    @torch.inference_mode()
    def _steps(self) -> dict[str, Tensor]:
        features, size = self._features, len(self._features)
        critic_optimizer, actor_optimizer = self._optimizers
        adam_step(critic_optimizer)

        log_weight, optimizer, target_entropy = self._entropy
        entropy_weight = log_weight.exp()
        log_prob = self._drawn.log_prob().mean()
        q_values = self._critics.forward(_side_by_side(features, self._drawn.actions))
        q, lowest = q_values.min(dim=0)
        by_q = torch.zeros_like(q_values).scatter_(0, lowest[None], -1 / size)
        by_actions = self._critics.backward(by_q, of_weights=False, of_inputs=self._drawn.actions.shape[1])
        assert by_actions is not None  # for the type checker
        self._actor.backward(gradient(self._drawn, by_actions, entropy_weight / size)[None])
        adam_step(actor_optimizer)

        # d/dx of -(x (log_prob + target_entropy)).mean()
        log_weight.grad = self._by_log_weight.copy_(-(log_prob + target_entropy))
        adam_step(optimizer)

        self._targets.values.lerp_(self._critics.values, self._tau)
        return {
            "critic_loss": self._critic_loss,
            "actor_loss": entropy_weight * log_prob - (self._prior + q).mean(),
            "ent_coef": entropy_weight,
        }


def _side_by_side(features: Tensor, actions: Tensor) -> Tensor:
    """(B, F), (B, A) -> (B, F + A) in the features' dtype"""
    return torch.cat([features, actions.to(features.dtype)], dim=1)


def least_return(steps: Tensor, discount: float) -> Tensor:
    """Env steps in which a goal was once reached -> a return no optimal one is below; any shape, -inf for inf.

    -1 per step and 0 on the last one: -(1 - discount^(steps - 1)) / (1 - discount) (optimality tightening, arXiv:1611.01606,
    with hindsight's goals). It holds where the env is deterministic, and is optimistic where it is not.
    """
    return ((discount ** (steps - 1) - 1) / (1 - discount)).masked_fill_(steps == torch.inf, -torch.inf)


def adam_step(optimizer: torch.optim.Optimizer) -> None:
    """`step` of a fused Adam of one tensor, without amsgrad: the same arithmetic. It takes a third of the time, since what
    there is to step is not looked for anew (hooks, groups, devices)."""
    (group,) = optimizer.param_groups
    (values,) = group["params"]
    state = optimizer.state[values]
    if not state:
        with torch.inference_mode(False):  # what it keeps may be used by others, too
            optimizer.step()
        return
    state["step"] += 1
    torch._fused_adam_(
        [values],
        [values.grad],
        [state["exp_avg"]],
        [state["exp_avg_sq"]],
        [],
        [state["step"]],
        lr=group["lr"],
        beta1=group["betas"][0],
        beta2=group["betas"][1],
        weight_decay=group["weight_decay"],
        eps=group["eps"],
        amsgrad=False,
        maximize=False,
    )
