"""The worlds of Thalweg. Importing this package registers them with Gymnasium."""

from typing import Any

import gymnasium as gym

from .maps import FAMILIES, FLAT


def _register(name: str, single: str, vector: str, **kwargs: Any) -> None:
    # Training episodes last 50 steps; an evaluation sets its own length (`gym.make(..., max_episode_steps=400)`).
    gym.register(
        f"PointMass{name}-v0",
        f"envs.point_mass:{single}",
        vector_entry_point=f"envs.point_mass_vector:{vector}",
        max_episode_steps=50,
        kwargs=kwargs,
    )


_register("", "PointMass", "PointMassVector", rows=FLAT, scale=10)
for _family, _rows in FAMILIES.items():
    _scale = {"scale": 10} if _family == "U" else {}  # the main job's world is as it was measured
    _register(_family, "PointMass", "PointMassVector", rows=_rows, **_scale)
_register("RandomMaze", "random_maze_env", "random_maze_vector")
gym.register("PointMassMazes-v0", "envs.mazes:PointMassMazes", max_episode_steps=50)
gym.register("Particle-v0", "envs.particle:Particle", max_episode_steps=300)
