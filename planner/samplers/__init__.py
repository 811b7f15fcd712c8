"""Where a graph's nodes come from. Each has `fit(experience)` and `sample`; a line here gives it its short name."""

from typing import Any

from .energy import EnergySampler
from .replay import ReplaySampler

SAMPLERS: dict[str, Any] = {
    "replay": ReplaySampler,
    "energy": EnergySampler,
}
