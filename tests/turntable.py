"""A turntable: goals are angles, cut at half a turn. And trajectories of it."""

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from thalweg.planner.data.trajectories import Trajectory

TURN = 2 * np.pi
SPEED, TOLERANCE = 0.1, 0.15  # rad a step, rad


def wrapped(angle):
    return (angle + np.pi) % TURN - np.pi


class Turntable(gym.Env):
    """Turned by up to 0.1 rad a step; the reward knows that the two ends of the scale are one."""

    max_episode_steps = 60
    goal_period = TURN
    tolerance = TOLERANCE

    def __init__(self):
        angle = spaces.Box(-np.pi, np.pi, (1,), np.float32)
        self.observation_space = spaces.Dict(
            observation=spaces.Box(-1.0, 1.0, (2,), np.float32), achieved_goal=angle, desired_goal=angle
        )
        self.action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.angle, self.goal = self.np_random.uniform(-np.pi, np.pi, 2)
        return self.seen(), {}

    def step(self, action):
        self.angle = wrapped(self.angle + SPEED * float(np.clip(action[0], -1, 1)))
        seen = self.seen()
        reward = float(self.compute_reward(seen["achieved_goal"], seen["desired_goal"], {}))
        return seen, reward, reward == 0, False, {"is_success": reward == 0}

    def compute_reward(self, achieved_goal, desired_goal, info):
        return -(np.abs(wrapped(achieved_goal - desired_goal))[..., 0] > self.tolerance).astype(np.float32)

    def seen(self):
        parts = {
            "observation": [np.cos(self.angle), np.sin(self.angle)],
            "achieved_goal": [self.angle],
            "desired_goal": [self.goal],
        }
        return {key: np.array(values, np.float32) for key, values in parts.items()}

    def shortest_length(self, starts, goals):
        return np.abs(wrapped(np.asarray(starts) - np.asarray(goals)))[..., 0]


class SilentTurntable(Turntable):
    """It says nothing of a period."""

    goal_period = 0.0


def turned(count=60, length=80, seed=0):
    """Trajectories that keep their direction for a while: states are angle, cosine and sine."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        speed = np.repeat(rng.uniform(-SPEED, SPEED, -(-length // 10)), 10)[:length]
        angles = wrapped(rng.uniform(-np.pi, np.pi) + np.cumsum(speed))[:, None].astype(np.float32)
        found.append(Trajectory(np.hstack([angles, np.cos(angles), np.sin(angles)]).astype(np.float32), angles))
    return found


class UntoldTurntable(Turntable):
    """It says nothing at all: what was seen tells."""

    goal_period = None
