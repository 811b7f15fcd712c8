"""The one episode loop: a policy in envs side by side, each to the end of its episode."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..finite import NotFiniteError, entry_not_finite
from ..protocols import GoalPolicy

Array = NDArray[np.floating]

_MEND_ENV = "mend the env (thalweg check_env says more) or leave this seed out; nothing of the episode was kept"
_MEND_POLICY = "the policy has diverged: train it again with a lower learning rate; nothing of the episode was kept"


@dataclass(eq=False)
class Episode:
    """One episode as it goes: what was seen last, what was passed, and what the policy carries on."""

    env: Any  # gymnasium's interface, a goal env
    name: str  # of the env, for messages
    seed: int
    observation: dict[str, Array]  # the last one
    trail: list[Array] = field(default_factory=list)  # (G,) achieved goals, that of the start first
    contacts: list[bool] = field(default_factory=list)  # whether a wall stopped each step, where the env says so
    carried: Any = None  # by the policy, for this env
    over: bool = False
    success: bool = False

    @classmethod
    def begin(cls, env: Any, name: str, seed: int, options: dict[str, Any] | None = None) -> Episode:
        """Reset the env. NotFiniteError if what it starts from is not finite."""
        observation, _ = env.reset(seed=seed) if options is None else env.reset(seed=seed, options=options)
        episode = cls(env, name, seed, observation, [observation["achieved_goal"]])
        episode.check(observation, "in reset", _MEND_ENV)
        return episode

    @property
    def steps(self) -> int:
        return len(self.trail) - 1

    def step(self, action: Array) -> None:
        """One env step. NotFiniteError if the action, or what the env makes of it, is not finite."""
        self.check({"action": action}, f"at step {self.steps + 1}", _MEND_POLICY)
        self.observation, reward, terminated, truncated, info = self.env.step(action)
        self.trail.append(self.observation["achieved_goal"])
        self.check({**self.observation, "reward": reward}, f"at step {self.steps}", _MEND_ENV)
        if "wall_contact" in info:
            self.contacts.append(bool(info["wall_contact"]))
        self.over = bool(terminated or truncated)
        self.success = self.over and bool(info.get("is_success", info.get("success", False)))

    def check(self, arrays: Mapping[str, Any], where: str, fix: str) -> None:
        """NotFiniteError that names env, seed, step and entry, unless all numbers are finite."""
        entry = entry_not_finite(arrays)
        if entry is not None:
            raise NotFiniteError(f"{self.name} (seed {self.seed}): {entry} {where}; {fix}")


def run_episodes(
    policy: GoalPolicy,
    episodes: Sequence[Episode],
    on_step: Callable[[Episode], None] = lambda episode: None,
    on_done: Callable[[Episode], None] = lambda episode: None,
) -> None:
    """Drive all that were begun to their ends, in one batch of observations; what is over leaves it.

    `on_step` is called for each before each of its env steps, when the policy has seen the observation: to film it, say.
    `on_done` is called for each when it is over. NotFiniteError at the first number that is not finite.
    """
    active = [episode for episode in episodes if not episode.over]
    first = True
    while active:
        batch = {key: np.stack([episode.observation[key] for episode in active]) for key in active[0].observation}
        carried = None if first or active[0].carried is None else tuple(episode.carried for episode in active)
        actions, after = policy.predict(batch, carried, np.full(len(active), first), deterministic=True)
        first = False
        for row, episode in enumerate(active):
            episode.carried = None if after is None else after[row]
            on_step(episode)
            episode.step(actions[row])
            if episode.over:
                on_done(episode)
        active = [episode for episode in active if not episode.over]


def spoken_name(env: Any) -> str:
    """The id that an env is registered by, else the name of its class."""
    spec = getattr(env.unwrapped, "spec", None)
    return spec.id if spec is not None else type(env.unwrapped).__name__
