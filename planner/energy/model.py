"""The fitted energy model: network, units and proposal together, in env units from outside."""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .config import EnergyConfig, SamplingConfig
from .networks import BetweenEnergy
from .proposals import Proposal
from .sampling import descend, resample

Array = NDArray[np.floating]

_LEAST_EFFECTIVE = 5.0  # importance samples per stratum below which the draw stands on chance


@dataclass(frozen=True, eq=False)
class EnergyModel:
    """E(x | start, goal, u) over goal space: what lies at the fraction u of the way.

    Energies carry an offset of their own per condition: compare them within one (start, goal, u) only, or after
    `log_partition`.
    """

    network: BetweenEnergy
    proposal: Proposal
    low: Array  # (G,) least visited goal, env units
    high: Array  # (G,)
    config: EnergyConfig

    @torch.no_grad()
    def energies(self, points: Array, start: Array, goal: Array, fractions: Array) -> Array:
        """(N, G) points, (G,), (G,), (U,) fractions in [0, 1] -> (U, N) energies [nats]."""
        candidates, start_t, goal_t, fractions_t = self._batch(points, start, goal, fractions)
        return self.network(candidates, start_t, goal_t, fractions_t).numpy()

    @torch.no_grad()
    def sample(self, start: Array, goal: Array, num_samples: int, config: SamplingConfig, rng: np.random.Generator) -> Array:
        """(G,), (G,) -> (num_samples, G) from the fractions' strata, in equal numbers (to rounding), in random order."""
        generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
        strata = min(config.strata, num_samples)
        fractions = (torch.arange(strata) + torch.rand(strata, generator=generator)) / strata
        first, last = self.normalise(start)[None], self.normalise(goal)[None]
        pool = self.proposal.sample(first, last, config.proposals, generator)  # (1, P, G), shared by the strata
        start_t, goal_t = first.expand(strata, -1), last.expand(strata, -1)
        per_stratum = -(-num_samples // strata)
        if config.method == "sir":
            energies = self.network(pool.expand(strata, -1, -1), start_t, goal_t, fractions)
            log_density = self.proposal.log_density(pool, first, last).expand(strata, -1)
            indices, effective = resample(energies, log_density, config.temperature, per_stratum, generator)
            self._warn_if_starved(effective * config.proposals)
            drawn = pool[0][indices]
        else:
            seeds = pool[0, torch.randint(config.proposals, (strata, per_stratum), generator=generator)]
            with torch.enable_grad():
                drawn = descend(
                    lambda points: self.network(points, start_t, goal_t, fractions),
                    seeds,
                    config.descent_steps,
                    config.descent_rate,
                )
        kept = torch.randperm(strata * per_stratum, generator=generator)[:num_samples]
        return self.denormalise(drawn.reshape(-1, drawn.shape[-1])[kept])

    def normalise(self, goals: Array) -> Tensor:
        """Env units -> visited ranges, [-1, 1]."""
        return torch.as_tensor((2 * (goals - self.low) / (self.high - self.low) - 1).astype(np.float32))

    def denormalise(self, goals: Tensor) -> Array:
        return (self.low + (goals.numpy() + 1) / 2 * (self.high - self.low)).astype(np.float32)

    def tensors(self) -> dict[str, Tensor]:
        """All that must be saved beside `config`, by name."""
        own = {"low": torch.as_tensor(self.low), "high": torch.as_tensor(self.high), "visited": self.proposal.visited}
        return own | {f"network.{name}": values for name, values in self.network.state_dict().items()}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor], config: dict[str, Any]) -> EnergyModel:
        """The inverse of `tensors`, with `config` as `asdict` gave it. KeyError or RuntimeError where they do not fit."""
        settings = EnergyConfig(**config)
        low, high, visited = (tensors[name] for name in ("low", "high", "visited"))
        network = BetweenEnergy(len(low), settings.hidden, settings.layers)
        prefix = "network."
        network.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
        return cls(network.eval().requires_grad_(False), Proposal(visited), low.numpy(), high.numpy(), settings)

    def settings(self) -> dict[str, Any]:
        return asdict(self.config)

    def _batch(self, points: Array, start: Array, goal: Array, fractions: Array) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        count = len(fractions)
        start_t, goal_t = (self.normalise(end)[None].expand(count, -1) for end in (start, goal))
        candidates = self.normalise(points)[None].expand(count, -1, -1)
        return candidates, start_t, goal_t, torch.as_tensor(np.asarray(fractions, dtype=np.float32))

    @staticmethod
    def _warn_if_starved(effective: Tensor) -> None:
        least = float(effective.median())
        if least < _LEAST_EFFECTIVE:
            warnings.warn(
                f"only {least:.1f} effective importance samples per stratum; raise `proposals` or the temperature",
                stacklevel=3,
            )
