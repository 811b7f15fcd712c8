"""The agent's settings, apart from the agent so that a command line can show them without importing torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from thalweg.planner.errors import check_numbers

_MOST = {"num_envs": 65_536, "batch_size": 2**20, "hidden": 65_536, "updates_per_step": 1_000, "relabel_horizon": 2**20}
_MOST_LAYERS = 100  # a file of 10,000 would take minutes to be refused


@dataclass(frozen=True, kw_only=True)
class AgentConfig:
    """Defaults of `thalweg train`; measured on the two point-mass worlds."""

    num_envs: int = 16  # envs that collect side by side
    updates_per_step: float = 0.25  # gradient updates per env step, to rounding: whole ones after 16 env steps or more
    warmup_steps: int = 2_000  # env steps of uniformly random actions before the first update
    batch_size: int = 256
    hidden: tuple[int, ...] = (128, 128)  # units per layer of actor and critics
    precision: Literal["float32", "bfloat16"] = "float32"  # of products in updates; the latter is quicker if networks are wide
    learning_rate: float = 1e-3
    discount: float = 0.98
    tau: float = 0.005  # share of the critics that goes into their targets per update
    relabel_horizon: int = 16  # hindsight goals come from the next so many steps [env steps]
    future_share: float = 0.4  # of a batch: goals achieved within the horizon
    nearby_share: float = 0.3  # of a batch: hard negatives, near in space whatever the way; the rest keeps the goal pursued
    arrival_moves: float = 2.0  # a sampled goal counts as reached within so many typical steps, where the env is more lenient
    practice_share: float = 0.8  # of the goals pursued while collecting: near ones, drawn from the buffer
    practice_steps: int = 50  # env steps after which a goal that is not reached gives way to another while collecting

    def __post_init__(self) -> None:
        check_numbers(self, _MOST)
        if not 1 <= len(self.hidden) <= _MOST_LAYERS:
            raise ValueError(f"hidden must be the units of 1 to {_MOST_LAYERS} layers, got {len(self.hidden)} layers")
        if min(self.hidden) < 1:
            raise ValueError(f"hidden must be at least 1 unit in each layer, got {self.hidden}")
        if not 0 < self.tau <= 1:
            raise ValueError(f"tau must lie in (0, 1], got {self.tau}")
        for name in ("num_envs", "warmup_steps", "batch_size", "relabel_horizon", "practice_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.precision not in ("float32", "bfloat16"):
            raise ValueError(f"precision must be float32 or bfloat16, got {self.precision}")
        if not 0 < self.discount < 1:
            raise ValueError(f"discount must lie in (0, 1), got {self.discount}")
        if self.arrival_moves < 0:
            raise ValueError(f"arrival_moves must not be negative, got {self.arrival_moves}")
        if self.updates_per_step <= 0 or self.learning_rate <= 0:
            raise ValueError("updates_per_step and learning_rate must be positive")
        for name in ("future_share", "nearby_share", "practice_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in [0, 1], got {getattr(self, name)}")
        if self.future_share + self.nearby_share > 1:
            raise ValueError("future_share and nearby_share are shares of one batch: their sum must not exceed 1")
