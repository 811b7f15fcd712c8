"""Settings of the energy model, apart from it so that a command line can show them without importing torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class EnergyConfig:
    hidden: int = 128  # units per layer
    layers: int = 3
    loss: Literal["ranking_nce", "hinge"] = "ranking_nce"  # hinge is the historical choice; it does not calibrate
    train_steps: int = 2_500
    batch_size: int = 128
    num_negatives: int = 32  # per positive
    learning_rate: float = 2e-3  # falls to 0 along a cosine
    noise: float = 0.02  # on positives, as a share of the visited range
    ema: float = 0.998  # the model kept is this moving average of the trained one
    margin: float = 1.0  # of the hinge loss [energy]

    def __post_init__(self) -> None:
        for name in ("hidden", "layers", "train_steps", "batch_size", "num_negatives"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.loss not in ("ranking_nce", "hinge"):
            raise ValueError(f"loss must be ranking_nce or hinge, got {self.loss!r}")
        if not 0 <= self.ema < 1:
            raise ValueError(f"ema must lie in [0, 1), got {self.ema}")
        if self.learning_rate <= 0 or self.noise < 0 or self.margin <= 0:
            raise ValueError("learning_rate and margin must be positive, noise must not be negative")


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    method: Literal["sir", "descent"] = "sir"  # descent is the historical choice; it collapses into dips
    strata: int = 25  # fractions of the way at which states are drawn
    proposals: int = 1_024  # candidates per query, shared by the strata
    temperature: float = 0.5  # 1 is faithful to the data, lower is sharper
    descent_steps: int = 20
    descent_rate: float = 0.02  # step per unit of energy slope, in visited ranges

    def __post_init__(self) -> None:
        if self.method not in ("sir", "descent"):
            raise ValueError(f"method must be sir or descent, got {self.method!r}")
        for name in ("strata", "proposals", "descent_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.temperature <= 0 or self.descent_rate <= 0:
            raise ValueError("temperature and descent_rate must be positive")
