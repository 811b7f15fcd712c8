"""A run's env, as far as parts ask it anything: its truth, drives to goals nearby, the replay."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..evaluation.audit import Drives, drive, near_goals, predicted_goals
from ..experience import Experience
from ..progress import Progress, silent
from ..protocols import EnvMaker, GoalPolicy
from ..truth import NOTHING_KNOWN, Truth, truth_of

Array = NDArray[np.floating]

LONGEST_DRIVE, NUM_DRIVES = 24, 400  # env steps, drives: to goals nearby
_DRIVE_SEED = 500_000  # the first env seed: none that anybody evaluates on

Replay = Callable[[], AbstractContextManager[Callable[[int], Any]]]


@dataclass(frozen=True, eq=False)
class RunWorld:
    """The env of a run's training, in which it drives; the truth is that of the env that is planned in, which may be another."""

    envs: EnvMaker
    settings: dict[str, Any]  # of the env that is planned in, over those of the training
    agent: GoalPolicy
    open_replay: Replay | None = None
    progress: Progress = silent

    @property
    def shortest_steps(self) -> Callable[[Array, Array], Array] | None:
        return self._truth.shortest_steps

    @property
    def shortest_path(self) -> Callable[[Array, Array], Array] | None:
        return self._truth.shortest_route

    @cached_property
    def _truth(self) -> Truth:
        env = self.envs.make(**self.settings)
        truth = truth_of(env)
        if truth == NOTHING_KNOWN or self.envs.only_one:
            env.close()  # else it stays open: its map is asked
        return truth

    def drives_nearby(self, experience: Experience) -> Drives:
        """ValueError if there are none to drive to."""
        env = self.envs.make(max_episode_steps=4 * LONGEST_DRIVE)
        if experience.maps.kind == "one":
            choose_goal = near_goals(experience.trajectories, LONGEST_DRIVE, None, experience.space)
        else:
            choose_goal = predicted_goals(experience.distance, experience.maps.pictured(), LONGEST_DRIVE)
        try:
            with self.progress("drives to goals nearby", NUM_DRIVES) as on_step:
                return drive(self.agent, env, choose_goal, NUM_DRIVES, _DRIVE_SEED, on_step)
        finally:
            env.close()

    def replay(self) -> AbstractContextManager[Callable[[int], Any]]:
        if self.open_replay is None:
            raise ValueError("this agent was not trained here, so there is no replay to learn from; take quasimetric")
        return self.open_replay()
