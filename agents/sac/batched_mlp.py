"""Small networks of one shape run as one, forwards and backwards, in memory that is reused.

At these sizes an update is bound by the cost of calls, of graphs of gradients and of fresh memory as much as by
arithmetic. So networks side by side share one batched product per layer, gradients are written where the optimiser
looks for them, nothing is worked out that is not asked for, and no update allocates a large array.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class StackedNetworks:
    """K ReLU networks of one shape whose parameters have become parts of one vector, `values`, and their gradients of its `grad`.

    The networks stay what they are to everybody else: `state_dict` and `load_state_dict` work on these parts, in place. Only a
    move to another device would part the two. What changes all of them, as an optimiser does, has one tensor to change, not a
    dozen. `heads` are the last layers, side by side: one per output that a network has. Products are worked out in `dtype`, but
    for that of the outputs, and so are sums of gradients; `values` and `grad` stay in their own. ValueError unless all networks
    are Linear and ReLU in turn and of one shape.
    """

    def __init__(self, bodies: Sequence[nn.Sequential], heads: Sequence[Sequence[nn.Linear]], dtype: torch.dtype) -> None:
        networks = [[*([layer] for layer in _linear_layers(body)), own] for body, own in zip(bodies, heads, strict=True)]
        if len({tuple(part.weight.shape for layer in network for part in layer) for network in networks}) != 1:
            raise ValueError("networks of different shapes cannot be stacked")
        self.dtype = dtype
        layers = list(zip(*networks, strict=True))  # per layer of each network its parts, side by side
        weights = [torch.stack([torch.cat([part.weight.detach() for part in own]) for own in layer]) for layer in layers]
        biases = [torch.stack([torch.cat([part.bias.detach() for part in own]) for own in layer])[:, None] for layer in layers]
        self._shapes = [[values.shape for values in of_all] for of_all in (weights, biases)]
        self.values = torch.cat([values.reshape(-1) for values in (*weights, *biases)])
        self._gradient = torch.zeros_like(self.values)
        self._rounded = self.values.to(dtype)  # the very same tensor, if that is its own
        self._products = self._gradient.to(dtype)  # likewise
        own, by_own = self._parts(self.values), self._parts(self._gradient)
        self._last_weights, self._last_biases = own[0][-1], own[1][-1]
        self._weights, self._biases = self._parts(self._rounded)
        self._by_weights, self._by_biases = self._parts(self._products)
        self._memory: dict[int, list[Tensor]] = {}  # batch size -> activations (K, B, H) per hidden layer, then their gradients
        for layer, weight, bias, by_weight, by_bias in zip(layers, *own, *by_own, strict=True):
            for k, network in enumerate(layer):
                first = 0
                for part in network:
                    rows = slice(first, first + part.out_features)
                    part.weight.data, part.bias.data = weight[k, rows], bias[k, 0, rows]
                    part.weight.grad, part.bias.grad = by_weight[k, rows], by_bias[k, 0, rows]
                    first = rows.stop

    def _parts(self, vector: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Per layer the weights (K, out, in) and the biases (K, 1, out) in a vector like `values`."""
        weights, biases = self._shapes
        parts = vector.split([shape.numel() for shape in (*weights, *biases)])
        shaped = [part.view(shape) for part, shape in zip(parts, (*weights, *biases), strict=True)]
        return shaped[: len(weights)], shaped[len(weights) :]

    @torch.inference_mode()
    def forward(self, inputs: Tensor) -> Tensor:
        """(B, F) -> (K, B, outputs). The activations are kept for `backward`, until the next call of this size."""
        if self._rounded is not self.values:
            self._rounded.copy_(self.values)
        self._inputs = inputs.to(self.dtype).expand(len(self._last_biases), *inputs.shape)
        hidden = self._inputs
        for layer, memory in enumerate(self._activations(len(inputs))):
            hidden = torch.baddbmm(self._biases[layer], hidden, self._weights[layer].mT, out=memory).relu_()
        return torch.baddbmm(self._last_biases, hidden.to(self.values.dtype), self._last_weights.mT)

    @torch.inference_mode()
    def backward(self, gradient: Tensor, of_weights: bool = True, of_inputs: int = 0) -> Tensor | None:
        """(K, B, outputs), the loss's gradient by the last `forward`'s outputs -> (B, of_inputs) by so many last inputs.

        With `of_weights`, `values.grad` holds theirs afterwards. B may be fewer than there were: the first so many.
        """
        size = gradient.shape[1]
        kept = self._inputs, *self._activations(self._inputs.shape[1])
        activations, spare = [values[:, :size] for values in kept], self._gradients(size)
        gradient = gradient.to(self.dtype)
        for layer in reversed(range(len(self._weights))):
            if of_weights:
                torch.bmm(gradient.mT, activations[layer], out=self._by_weights[layer])
                torch.sum(gradient, dim=1, keepdim=True, out=self._by_biases[layer])
            if layer > 0:
                # of one output this is every product there is, and no sum of any
                multiply = torch.mul if gradient.shape[2] == 1 else torch.bmm
                below = multiply(gradient, self._weights[layer], out=spare[layer - 1])
                gradient = torch.ops.aten.threshold_backward.grad_input(below, activations[layer], 0, grad_input=below)
        if of_weights:
            if self._products is not self._gradient:
                self._gradient.copy_(self._products)
            self.values.grad = self._gradient
        return torch.bmm(gradient, self._weights[0][..., -of_inputs:]).sum(dim=0).to(self.values.dtype) if of_inputs else None

    def _activations(self, batch_size: int) -> list[Tensor]:
        return self._memory_for(batch_size)[: len(self._weights) - 1]

    def _gradients(self, batch_size: int) -> list[Tensor]:
        return self._memory_for(batch_size)[len(self._weights) - 1 :]

    def _memory_for(self, batch_size: int) -> list[Tensor]:
        if batch_size not in self._memory:
            shapes = [(len(bias), batch_size, bias.shape[2]) for bias in self._biases[:-1]]
            self._memory[batch_size] = [self.values.new_empty(shape, dtype=self.dtype) for shape in shapes * 2]
        return self._memory[batch_size]


def _linear_layers(body: nn.Sequential) -> list[nn.Linear]:
    kinds = [type(layer) for layer in body]
    if kinds != [nn.Linear, nn.ReLU] * (len(kinds) // 2):
        raise ValueError(f"only networks of Linear and ReLU in turn can be stacked, got {body}")
    return [layer for layer in body if isinstance(layer, nn.Linear)]


def stack_critics(q_networks: Sequence[nn.Sequential], dtype: torch.dtype) -> StackedNetworks:
    """The networks of an SB3 `ContinuousCritic`: outputs (K, B, 1)."""
    layers = [list(network) for network in q_networks]
    return StackedNetworks([nn.Sequential(*own[:-1]) for own in layers], [[own[-1]] for own in layers], dtype)  # type: ignore[list-item]


def stack_actor(latent: nn.Sequential, mean: nn.Linear, log_std: nn.Linear, dtype: torch.dtype) -> StackedNetworks:
    """The networks of an SB3 SAC `Actor`: outputs (1, B, 2 A), the means and then the log standard deviations."""
    return StackedNetworks([latent], [[mean, log_std]], dtype)
