"""The worlds of Thalweg. Importing this package registers them with Gymnasium."""

import gymnasium as gym

from .point_mass import FLAT, U

# Training episodes last 50 steps in both; an evaluation sets its own length (`gym.make(..., max_episode_steps=400)`).
gym.register("PointMass-v0", "envs.point_mass:PointMass", max_episode_steps=50, kwargs={"rows": FLAT})
gym.register("PointMassU-v0", "envs.point_mass:PointMass", max_episode_steps=50, kwargs={"rows": U})
