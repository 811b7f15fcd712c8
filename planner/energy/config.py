"""Settings of the energy models, apart from them so that a command line can show them without importing torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..errors import check_numbers

LossName = Literal["rnce", "infonce", "hinge", "cd", "ed"]
NegativesName = Literal["proposal", "mismatched", "hard", "langevin", "perturbed"]
MethodName = Literal["sir", "langevin", "descent"]

_MOST = {"hidden": 65_536, "layers": 100, "octaves": 24, "latents": 4_096, "components": 4_096, "members": 64}
_MOST |= {"batch_size": 2**20, "proposal_batch": 2**20, "num_negatives": 2**20, "proposals": 2**24}

NEGATIVES_OF: dict[str, tuple[str, ...]] = {
    "rnce": ("proposal", "hard"),  # those whose density is known
    "infonce": ("proposal", "mismatched", "hard", "langevin"),
    "hinge": ("proposal", "mismatched", "hard", "langevin"),
    "cd": ("langevin",),
    "ed": ("perturbed",),
}


@dataclass(frozen=True, kw_only=True)
class ProposalConfig:
    """Shares of the known densities that candidates are drawn from; see `proposals`."""

    box: float = 0.1  # uniform over the visited range and a little more: keeps the support whole
    kernels: float = 0.0  # around visited points: what a learned part cannot do without a context
    learned: float = 0.9  # a mixture of normals learnt beside the energy
    kernel_width: float = 0.1  # standard deviation [visited ranges, -1 to 1]
    components: int = 8  # of the learned mixture

    def __post_init__(self) -> None:
        check_numbers(self, _MOST)
        shares = (self.box, self.kernels, self.learned)
        if min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
            raise ValueError(f"box, kernels and learned are shares: none negative, their sum 1; got {shares}")
        if self.box == 0:
            raise ValueError("box must be positive: without it the proposal's density is zero somewhere")
        if self.kernel_width <= 0 or self.components < 1:
            raise ValueError("kernel_width must be positive, components at least 1")


@dataclass(frozen=True, kw_only=True)
class EnergyConfig:
    hidden: int = 128  # units per layer
    layers: int = 3
    octaves: int = 2  # sines and cosines of a candidate's place, of period 2, 1, ... visited half-ranges
    latents: int = 1  # values of the latent z: how many kinds of answer there are room for
    loss: LossName = "rnce"  # hinge is the historical choice; it does not calibrate
    negatives: NegativesName = "proposal"
    proposal: ProposalConfig = field(default_factory=ProposalConfig)
    train_steps: int = 2_500
    batch_size: int = 128  # positives per update
    proposal_batch: int = 512  # positives per update of the learned proposal
    points_per_way: int = 1  # of them from each way: those share one z
    num_negatives: int = 16  # per context
    learning_rate: float = 2e-3  # falls to 0 along a cosine
    noise: float = 0.02  # on positives, as a share of the visited range
    ema: float = 0.998  # the model kept is this moving average of the trained one
    flatness: float = 0.0  # weight of the variance of the positives' energies; without a context only
    margin: float = 1.0  # of hinge [energy]
    l2: float = 1.0  # of cd: weight of the squared energies
    stabiliser: float = 1.0  # of ed: w in its equation

    def __post_init__(self) -> None:
        check_numbers(self, _MOST)
        for name in (
            "hidden",
            "layers",
            "latents",
            "train_steps",
            "batch_size",
            "proposal_batch",
            "points_per_way",
            "num_negatives",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.loss not in NEGATIVES_OF:
            raise ValueError(f"loss must be one of {', '.join(NEGATIVES_OF)}, got {self.loss!r}")
        if self.negatives not in NEGATIVES_OF[self.loss]:
            raise ValueError(f"loss {self.loss} takes negatives {', '.join(NEGATIVES_OF[self.loss])}, got {self.negatives!r}")
        if self.batch_size % self.points_per_way:
            raise ValueError(f"points_per_way {self.points_per_way} must divide batch_size {self.batch_size}")
        if not 0 <= self.ema < 1:
            raise ValueError(f"ema must lie in [0, 1), got {self.ema}")
        if self.learning_rate <= 0 or self.margin <= 0:
            raise ValueError("learning_rate and margin must be positive")
        for name in ("octaves", "noise", "flatness", "l2", "stabiliser"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> EnergyConfig:
        """From what `asdict` gave, or JSON made of it. ValueError for settings of another version."""
        proposal = settings.get("proposal", {})
        if set(settings) != set(cls.__dataclass_fields__) or set(proposal) != set(ProposalConfig.__dataclass_fields__):
            raise ValueError("its energy model is of another version of this project; train it again")
        return cls(**{**settings, "proposal": ProposalConfig(**proposal)})


@dataclass(frozen=True, kw_only=True)
class EnergyArchitecture:
    """What an energy model is of; stored beside its settings."""

    size: int  # entries of a point
    context_size: int  # entries of a context
    between: bool = False  # a context is (start, goal, ..., u)
    centres: int = 0  # of the proposal's kernels
    features: int = 0  # learnt about each of the squares of start and goal; 0: there are no squares
    picture: tuple[int, int] | None = None  # of a map, in which a context ends

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> EnergyArchitecture:
        """From what `asdict` gave, or JSON made of it."""
        picture = settings["picture"]
        return cls(**{**settings, "picture": None if picture is None else (int(picture[0]), int(picture[1]))})


UNUSED_IN_MAPS = {"octaves", "latents", "proposal", "proposal_batch", "points_per_way", "noise"}
ENERGY_IN_MAPS = EnergyConfig(hidden=64, layers=2, num_negatives=64, train_steps=4_000, learning_rate=5e-3)  # the default there


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    method: MethodName = "sir"  # descent is the historical choice; it collapses into dips
    proposals: int = 12  # sir: candidates per context, at least; never fewer than twice the samples. Rare latents need more
    least_effective: float = 0.1  # sir: effective share of the candidates below which a draw warns; never below 1 of them
    temperature: float = 0.5  # 1 is faithful to the data, lower is sharper
    langevin_steps: int = 60
    langevin_rate: float = 0.01  # first step size; the noise is sqrt(2 rate T) [visited ranges, -1 to 1]
    metropolis: bool = False  # langevin: accept or reject each step, so that the step size leaves no bias
    descent_steps: int = 20
    descent_rate: float = 0.02  # step per unit of energy slope, in visited ranges
    tolerance: float = 0.0  # descent: a point whose step is shorter has arrived, and rests

    def __post_init__(self) -> None:
        check_numbers(self, _MOST)
        if self.method not in ("sir", "langevin", "descent"):
            raise ValueError(f"method must be sir, langevin or descent, got {self.method!r}")
        for name in ("proposals", "langevin_steps", "descent_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.temperature <= 0 or self.descent_rate <= 0 or self.langevin_rate <= 0:
            raise ValueError("temperature, langevin_rate and descent_rate must be positive")
        if self.tolerance < 0 or self.least_effective < 0:
            raise ValueError(f"tolerance and least_effective must not be negative: {self.tolerance}, {self.least_effective}")


@dataclass(frozen=True, kw_only=True)
class TransitionConfig:
    """Of the energy of a step; see `transition`."""

    stride: int = 1  # env steps between the two places of a transition
    hidden: int = 64  # units per layer
    layers: int = 3
    members: int = 2  # networks, of which the greater energy counts: a search finds any gap that one leaves in a wall
    octaves: int = 5  # sines and cosines of the place stepped from and to: walls are sharp
    train_steps: int = 3_000
    batch_size: int = 128  # transitions per update
    num_negatives: int = 16
    learning_rate: float = 1e-2  # falls to 0 along a cosine
    spread: float = 1.5  # the kernel's standard deviation [root mean squares of the observed steps]
    noise: float = 0.02  # on the places stepped to [kernel standard deviations]: against a wall they lie on its very face
    blur: float = 0.4  # on the places stepped from, likewise: just within a wall, too, it is known that no step leads on
    unseen: float = 0.05  # share of pretended transitions, by which steps are as usual where nobody has been
    level: float = 0.1  # weight of the squared log Z, which ranking alone leaves open
    ordinary: float = 0.8  # share of the transitions that cost one try
    likely: float = 0.98  # share of the transitions that count as possible

    def __post_init__(self) -> None:
        check_numbers(self, _MOST)
        for name in ("stride", "hidden", "layers", "members", "train_steps", "batch_size", "num_negatives"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.learning_rate <= 0 or self.spread <= 0:
            raise ValueError("learning_rate and spread must be positive")
        if min(self.octaves, self.noise, self.blur, self.level) < 0:
            raise ValueError("octaves, noise, blur and level must not be negative")
        if not (0 <= self.unseen < 1 and 0 < self.ordinary <= self.likely <= 1):
            raise ValueError("unseen must lie in [0, 1), ordinary in (0, 1], likely between ordinary and 1")
