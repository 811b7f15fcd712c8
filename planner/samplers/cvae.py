"""Nodes imagined by a conditional variational autoencoder (HTM, arXiv:2002.12336)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..energy.between import point_at
from ..energy.model import generator_from
from ..experience import Experience
from ..fitting import OnStep, adam, descend, ignore, seeded
from ..networks.stored import State, reading, with_sizes
from .cvae_networks import Cvae, CvaeConfig, LayoutCvae
from .energy import unwrapped_goals

Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class CvaeSampler:
    """States that the decoder imagines between this start and this goal, all along the way.

    It generates goals; each becomes a full state by the remaining entries of the nearest visited state. The context is start and
    goal, and the map is what was learnt; where maps are many there is `LayoutCvaeSampler`.
    """

    model: Cvae
    experience: Experience
    config: CvaeConfig

    @classmethod
    def fit(cls, experience: Experience, config: CvaeConfig | None = None, on_step: OnStep = ignore) -> CvaeSampler:
        """Learn the points of `experience.paths` at uniform fractions of their lengths, paths drawn by their weights.

        ValueError where no two visited states can be joined; DivergedError if the loss diverges.
        """
        config = config if config is not None else CvaeConfig()
        with seeded(experience.seed):
            model = Cvae(experience.goals.shape[1], config)
        paths, weights = experience.paths()
        model.fit(unwrapped_goals(experience, paths), experience.space)
        goals = experience.space.beside(paths[:, 0], paths[:, -1])
        train(model, paths, goals, weights, np.zeros((len(paths), 0), np.float32), 1, config, experience.seed, on_step)
        return cls(model.eval().requires_grad_(False), experience, config)

    def sample(self, state: Array, goal: Array, num_samples: int, rng: np.random.Generator) -> Array:
        return imagined(self.model, self.experience, state, goal, num_samples, rng)

    @classmethod
    def steps_to_fit(cls, experience: Experience, config: CvaeConfig | None = None) -> int:
        """Gradient steps of `fit`: how often it calls `on_step`."""
        return (config if config is not None else CvaeConfig()).train_steps

    def state(self) -> State:
        """Weights, and the settings with the size of a goal; what `from_state` reads."""
        return self.model.state_dict(), {**asdict(self.config), "goal_size": self.experience.goals.shape[1]}

    @classmethod
    def from_state(cls, tensors: Mapping[str, Tensor], settings: Mapping[str, Any], experience: Experience) -> CvaeSampler:
        """OtherVersionError where they do not fit."""
        with reading("cvae sampler"):
            config, goal_size = stored_config(settings, experience)
            model = Cvae(goal_size, config)
            model.load_state_dict(dict(tensors))
        return cls(model.eval().requires_grad_(False), experience, config)


def imagined(
    model: Cvae | LayoutCvae, experience: Experience, state: Array, goal: Array, num_samples: int, rng: np.random.Generator
) -> Array:
    """(S,), (G,) -> (num_samples, S): what a fitted model imagines, lifted."""
    start = experience.space.wrapped(experience.goal_of(state))
    parts = start, experience.space.beside(start, goal), experience.picture(state)
    starts, goals, pictures = (torch.as_tensor(np.float32(part)).expand(num_samples, -1) for part in parts)
    return experience.lift(model.imagine(starts, goals, pictures, generator_from(rng)).numpy())


def stored_config(settings: Mapping[str, Any], experience: Experience) -> tuple[CvaeConfig, int]:
    """What `state` has stored: settings, and the size of a goal. KeyError if one is missing: weights might fit all the same."""
    own, sizes = with_sizes(settings, goal_size=experience.goals.shape[1])
    if missing := set(asdict(CvaeConfig())) - set(own):
        raise KeyError(f"no {', '.join(sorted(missing))}")
    return CvaeConfig(**own), sizes["goal_size"]


def train(
    model: Cvae | LayoutCvae,
    paths: Array,
    goals: Array,
    weights: Array,
    pictures: Array,
    per_path: int,
    config: CvaeConfig,
    seed: int,
    on_step: OnStep,
) -> None:
    """(N, L, G) paths, (N, G) where they lead, beside their starts, (N,) their weights, (N, X Y) the pictures of their
    maps; `per_path` points of each that is drawn."""
    points, ends = torch.as_tensor(paths, dtype=torch.float32), torch.as_tensor(goals, dtype=torch.float32)
    chances, seen = torch.as_tensor(weights), torch.as_tensor(pictures)
    generator = torch.Generator().manual_seed(seed)

    def loss(step: int) -> Tensor:
        row = torch.multinomial(chances, max(1, config.batch_size // per_path), replacement=True, generator=generator)
        row = row.repeat_interleave(per_path)
        ways = points[row]
        targets = point_at(ways, torch.rand(len(ways), generator=generator))
        return model.loss(targets, ways[:, 0], ends[row], seen[row], config.beta, generator)

    descend(adam(model.parameters(), config.learning_rate), loss, config.train_steps, what="the cvae sampler", on_step=on_step)
