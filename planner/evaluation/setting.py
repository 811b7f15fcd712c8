"""What an episode of an evaluation depends on, and what is chosen where nothing is said: long enough, and far enough, to plan."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass, replace
from typing import Any, Literal

EPISODE_STEPS = 400  # of an episode, unless the env's own are longer
DIFFICULTY = 0.5  # the farther half of all pairs: near goals are reached without a plan

# how a plan is driven: along the clear way through its links, or one waypoint after the other
Follow = Literal["route", "waypoints"]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """All that an episode depends on but the run, its seed and its planner; a plain value, so that a process can be handed it."""

    nodes: int = 100  # of each graph
    distance: str | None = None  # by name; None: the run's usual one
    follow: Follow = "route"
    episode_steps: int | None = None  # env steps of an episode; None: chosen by `with_defaults`
    difficulty: float | None = None  # draw only pairs farther apart than this quantile; None likewise
    env_kwargs: str = "{}"  # of the env, as a JSON object, over those of the run

    def env_options(self) -> dict[str, Any]:
        """Keyword arguments of the env, over those of the run."""
        own = {"max_episode_steps": self.episode_steps, "difficulty": self.difficulty}
        return json.loads(self.env_kwargs) | {name: value for name, value in own.items() if value is not None}


def with_defaults(setting: Setting, env: Any) -> tuple[Setting, list[str]]:
    """The setting with what it leaves open chosen for such an env, and the options that were: `episode_steps`, `difficulty`.

    The training's own episodes are too short for far goals, and most pairs of start and goal are too near to need a plan. An
    env that was made with a difficulty keeps it.
    """
    chosen: dict[str, Any] = {}
    said = setting.env_options()
    if "max_episode_steps" not in said:
        chosen["episode_steps"] = max(EPISODE_STEPS, episode_limit(env) or 0)
    if "difficulty" not in said and takes_difficulty(env) and not getattr(env.unwrapped, "difficulty", 0.0):
        chosen["difficulty"] = DIFFICULTY
    return replace(setting, **chosen), list(chosen)


def takes_difficulty(env: Any) -> bool:
    """Whether the env's class has a keyword `difficulty`: it draws starts and goals by how far they are apart."""
    return "difficulty" in inspect.signature(type(env.unwrapped)).parameters


def episode_limit(env: Any) -> int | None:
    """The env steps after which its time limit truncates an episode; None without one."""
    while env is not None and env is not env.unwrapped:
        limit = vars(env).get("_max_episode_steps")
        if limit is not None:
            return int(limit)
        env = env.env
    return None
