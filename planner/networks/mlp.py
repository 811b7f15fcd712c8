"""The one multilayer perceptron that everything learned here is made of."""

from __future__ import annotations

import itertools

from torch import nn


def mlp(inputs: int, hidden: int, layers: int, outputs: int) -> nn.Sequential:
    sizes = [inputs, *[hidden] * layers]
    blocks = [part for pair in itertools.pairwise(sizes) for part in (nn.Linear(*pair), nn.SiLU())]
    return nn.Sequential(*blocks, nn.Linear(sizes[-1], outputs))
