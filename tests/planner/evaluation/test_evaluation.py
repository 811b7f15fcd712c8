import gymnasium as gym
import numpy as np

import thalweg.envs  # noqa: F401
from thalweg.planner.evaluation.evaluate import evaluate


class Straight:
    """Pushes straight at the goal."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        way = observation["desired_goal"] - observation["achieved_goal"]
        return way / np.linalg.norm(way, axis=-1, keepdims=True) - observation["observation"][:, 2:], None


def test_the_same_seeds_are_the_same_episodes_in_any_order():
    def make(index):
        return gym.make("PointMass-v0")

    rows = evaluate(Straight(), make, [5, 6, 7], "PointMass-v0", "straight")
    assert rows[::-1] == evaluate(Straight(), make, [7, 6, 5], "PointMass-v0", "straight")
    assert rows[1:2] == evaluate(Straight(), make, [6], "PointMass-v0", "straight")
    assert all(r.success and 1.0 <= r.detour < 1.05 and r.path_length <= r.oracle_length + 1e-6 for r in rows)


def test_wall_contacts_are_counted_where_the_env_tells_of_them():
    class Pushes(Straight):
        def predict(self, observation, state=None, episode_start=None, deterministic=False):
            return np.tile([1.0, 0.0], (len(observation["achieved_goal"]), 1)), None

    (pushed,) = evaluate(Pushes(), lambda index: gym.make("PointMass-v0"), [5], "PointMass-v0", "pushes")
    assert pushed.steps == 50 and 10 < pushed.wall_contacts < 50
    silent = gym.wrappers.TransformObservation(gym.make("PointMass-v0"), lambda o: o, None)
    silent.step = lambda action: (*gym.Wrapper.step(silent, action)[:4], {"success": False})
    (row,) = evaluate(Straight(), lambda index: silent, [5], "PointMass-v0", "straight")
    assert row.wall_contacts is None
