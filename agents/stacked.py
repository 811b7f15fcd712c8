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
    """K ReLU networks of one shape whose parameters have become slices of (K, ...) tensors.

    The networks stay what they are to everybody else: optimisers, `state_dict` and `load_state_dict` work on the slices,
    in place. Only a move to another device would part the two. `heads` are the last layers, side by side: one per output
    that a network has. Products are worked out in `dtype`, but for that of the outputs; parameters and their gradients stay in
    their own. ValueError unless all networks are Linear and ReLU in turn and of one shape.
    """

    def __init__(self, bodies: Sequence[nn.Sequential], heads: Sequence[Sequence[nn.Linear]], dtype: torch.dtype) -> None:
        layers = [_linear_layers(body) for body in bodies]
        if len({tuple(layer.weight.shape for layer in [*body, *own]) for body, own in zip(layers, heads, strict=True)}) != 1:
            raise ValueError("networks of different shapes cannot be stacked")
        self._dtype = dtype
        self.weights: list[Tensor] = []  # (K, out, in) per layer
        self.biases: list[Tensor] = []  # (K, 1, out)
        self._weight_gradients: list[Tensor] = []
        self._factors: list[Tensor] = []  # the weights in `dtype`: the very same tensors, if it is theirs
        self._weight_products: list[Tensor] = []  # their gradients, likewise
        self._bias_gradients: list[Tensor] = []
        self._own_gradients: list[tuple[Tensor, Tensor]] = []  # of each parameter its slice
        for same in [[[layer] for layer in side] for side in zip(*layers, strict=True)] + [[list(own) for own in heads]]:
            self._stack(same)
        self._memory: dict[int, list[Tensor]] = {}  # batch size -> activations (K, B, H) per hidden layer, then their gradients

    def _stack(self, same: Sequence[Sequence[nn.Linear]]) -> None:
        """Move one layer of all networks into common tensors; layers side by side follow each other."""
        weight = torch.stack([torch.cat([part.weight.detach() for part in own]) for own in same])
        bias = torch.stack([torch.cat([part.bias.detach() for part in own]) for own in same])[:, None]
        gradients = torch.zeros_like(weight), torch.zeros_like(bias)
        for k, own in enumerate(same):
            first = 0
            for part in own:
                rows = slice(first, first + part.out_features)
                part.weight.data, part.bias.data = weight[k, rows], bias[k, 0, rows]
                self._own_gradients += [(part.weight, gradients[0][k, rows]), (part.bias, gradients[1][k, 0, rows])]
                first = rows.stop
        self.weights.append(weight)
        self.biases.append(bias)
        self._weight_gradients.append(gradients[0])
        self._factors.append(weight.to(self._dtype))
        self._weight_products.append(gradients[0].to(self._dtype))
        self._bias_gradients.append(gradients[1])

    @torch.no_grad()
    def forward(self, inputs: Tensor) -> Tensor:
        """(B, F) -> (K, B, outputs). The activations are kept for `backward`, until the next call of this size."""
        self._inputs = inputs.to(self._dtype).expand(len(self.biases[0]), *inputs.shape)
        for factor, weights in zip(self._factors, self.weights, strict=True):
            factor.copy_(weights)
        hidden = self._inputs
        for layer, memory in enumerate(self._activations(len(inputs))):
            bias = self.biases[layer].to(self._dtype)
            hidden = torch.baddbmm(bias, hidden, self._factors[layer].mT, out=memory).relu_()
        return torch.baddbmm(self.biases[-1], hidden.to(self.weights[-1].dtype), self.weights[-1].mT)

    @torch.no_grad()
    def backward(self, gradient: Tensor, of_weights: bool = True, of_inputs: int = 0) -> Tensor | None:
        """(K, B, outputs), the loss's gradient by the last `forward`'s outputs -> (B, of_inputs) by so many last inputs.

        With `of_weights`, the parameters' own `grad` holds theirs afterwards. B may be fewer than there were: the first so many.
        """
        size = gradient.shape[1]
        kept = self._inputs, *self._activations(self._inputs.shape[1])
        activations, spare = [values[:, :size] for values in kept], self._gradients(size)
        gradient = gradient.to(self._dtype)
        for layer in reversed(range(len(self.weights))):
            if of_weights:
                product = torch.bmm(gradient.mT, activations[layer], out=self._weight_products[layer])
                self._weight_gradients[layer].copy_(product)
                bias = self._bias_gradients[layer]
                torch.sum(gradient, dim=1, keepdim=True, dtype=bias.dtype, out=bias)
            if layer > 0:
                below = torch.bmm(gradient, self._factors[layer], out=spare[layer - 1])
                gradient = torch.ops.aten.threshold_backward.grad_input(below, activations[layer], 0, grad_input=below)
        if of_weights:
            for parameter, own in self._own_gradients:
                parameter.grad = own
        return torch.bmm(gradient, self._factors[0][..., -of_inputs:]).sum(dim=0).to(self.weights[0].dtype) if of_inputs else None

    def _activations(self, batch_size: int) -> list[Tensor]:
        return self._memory_for(batch_size)[: len(self.weights) - 1]

    def _gradients(self, batch_size: int) -> list[Tensor]:
        return self._memory_for(batch_size)[len(self.weights) - 1 :]

    def _memory_for(self, batch_size: int) -> list[Tensor]:
        if batch_size not in self._memory:
            widths = [bias.shape[2] for bias in self.biases[:-1]]
            like = self.weights[0]
            self._memory[batch_size] = [like.new_empty(len(like), batch_size, width, dtype=self._dtype) for width in widths * 2]
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
