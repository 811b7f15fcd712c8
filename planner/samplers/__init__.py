"""Where a graph's nodes come from. Each has `fit` and `sample`; a line here gives it its short name."""

from typing import Any

from .box import BoxSampler
from .cvae import CvaeSampler
from .ellipse import EllipseSampler
from .energy import EnergySampler
from .replay import ReplaySampler
from .spread import SpreadSampler

SAMPLERS: dict[str, Any] = {
    "box": BoxSampler,
    "replay": ReplaySampler,
    "spread": SpreadSampler,
    "ellipse": EllipseSampler,
    "cvae": CvaeSampler,
    "energy": EnergySampler,
}
