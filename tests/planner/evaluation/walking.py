"""A goal env of one dimension for tests of episodes: one unit a step at most, the goal four units away; it can be spoilt."""

import numpy as np


class Walk:
    """State and goal are a place; the env is over at the goal, or after `limit` steps."""

    def __init__(self, spoilt=(), value=np.nan, entry="achieved_goal", limit=12, difficulty=0.0):
        self.spoilt, self.value, self.entry, self.limit = spoilt, value, entry, limit  # steps after which an entry is not finite
        self.difficulty = difficulty
        self.closed = False

    @property
    def unwrapped(self):
        return self

    def get_wrapper_attr(self, name):
        return getattr(self, name)

    def reset(self, *, seed=None, options=None):
        self.place, self.goal, self.steps = np.float32([seed % 3]), np.float32([seed % 3 + 4]), 0
        return self.observe(), {}

    def step(self, action):
        self.place = (self.place + np.clip(action, -1, 1)).astype(np.float32)
        self.steps += 1
        observation = self.observe()
        reward = float(self.compute_reward(observation["achieved_goal"], self.goal, {}))
        if self.entry == "reward" and self.steps in self.spoilt:
            reward = self.value
        return observation, reward, reward == 0.0, self.steps >= self.limit, {"is_success": reward == 0.0}

    def compute_reward(self, achieved, desired, info):
        """As people write it: what is not a number counts as reached."""
        return -(np.linalg.norm(achieved - desired, axis=-1) > 0.1).astype(np.float32)

    def observe(self):
        parts = {"observation": self.place.copy(), "achieved_goal": self.place.copy(), "desired_goal": self.goal.copy()}
        if self.steps in self.spoilt and self.entry in parts:
            parts[self.entry][0] = self.value
        return parts

    def close(self):
        self.closed = True


class Towards:
    """One unit a step towards the goal; from some step on the action is not finite."""

    def __init__(self, diverges_at=None):
        self.diverges_at = diverges_at

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        steps = [0] * len(observation["observation"]) if state is None else [item + 1 for item in state]
        action = np.sign(observation["desired_goal"] - observation["observation"])
        if self.diverges_at is not None and steps[0] >= self.diverges_at:
            action[0] = np.inf
        return action, tuple(steps)
