"""The worlds of Thalweg. Importing this package registers them with Gymnasium.

Since its 1.0 Gymnasium reads no entry points of other packages; `gym.make("thalweg.envs:PointMassU-v0")` needs no import.
"""

from typing import Any

from gymnasium.envs.registration import register, registry

from .drawings import FAMILIES, FLAT
from .panes import PANES, ROOM


def _register(name: str, entry_point: str, **kwargs: Any) -> None:
    if name not in registry:
        register(name, f"thalweg.envs.{entry_point}", **kwargs)


def _register_point_mass(name: str, single: str, vector: str, **kwargs: Any) -> None:
    # Training episodes last 50 steps; an evaluation sets its own length (`gym.make(..., max_episode_steps=400)`).
    _register(
        f"PointMass{name}-v0",
        f"point_mass:{single}",
        vector_entry_point=f"thalweg.envs.point_mass_vector:{vector}",
        max_episode_steps=50,
        kwargs=kwargs,
    )


_register_point_mass("", "PointMass", "PointMassVector", rows=FLAT, scale=10)
for _family, _rows in FAMILIES.items():
    _scale = {"scale": 10} if _family == "U" else {}  # the main job's world is as it was measured
    _register_point_mass(_family, "PointMass", "PointMassVector", rows=_rows, **_scale)
_register_point_mass("Panes", "PointMass", "PointMassVector", rows=ROOM, scale=10, panes=PANES)
_register_point_mass("RandomMaze", "random_maze_env", "random_maze_vector")
_register("PointMassMazes-v0", "mazes:PointMassMazes", max_episode_steps=50)
_register("Particle-v0", "particle:Particle", max_episode_steps=300)
