"""What is not finite is never at a goal: `norm(nan) > tolerance` is False, which would count as reached."""

import gymnasium as gym
import numpy as np
import pytest

import thalweg.envs  # noqa: F401
from thalweg.envs.adapter import GoalEnvAdapter, Traits
from thalweg.envs.goal_wrapper import GoalWrapper
from thalweg.envs.guard import EnvError
from thalweg.envs.loading import load_env


class Plane(gym.Env):
    observation_space = gym.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gym.spaces.Box(-1, 1, (2,), np.float32)


def wrapped():
    return GoalWrapper(Plane(), goal_of=lambda s: s, tolerance=0.1, sample_goal=lambda rng: np.zeros(2))


class AsPeopleWriteIt(GoalWrapper):
    def compute_reward(self, achieved_goal, desired_goal, info):
        return -(np.linalg.norm(achieved_goal - desired_goal, axis=-1) > self.tolerance).astype(np.float32)


def adapted():
    env = AsPeopleWriteIt(Plane(), goal_of=lambda s: s, tolerance=0.1, sample_goal=lambda rng: np.zeros(2))
    return GoalEnvAdapter(env, Traits(goal_in_state=True, best_reward=0.0))


MAKERS = [wrapped, adapted, lambda: gym.make("PointMass-v0"), lambda: gym.make("Particle-v0")]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_at_no_goal(make, bad):
    reward = make().get_wrapper_attr("compute_reward")
    places = np.float32([[0.5, 0.5], [bad, 0.5], [0.5, bad], [bad, bad]])
    goals = np.full((4, 2), 0.5, np.float32)
    with np.errstate(invalid="ignore"):
        assert reward(places, goals, [{}] * 4).tolist() == [0, -1, -1, -1]
        assert reward(goals, places, [{}] * 4).tolist() == [0, -1, -1, -1]
        assert reward(places, places, [{}] * 4).tolist() == [0, -1, -1, -1]


def test_an_env_that_is_not_finite_when_driven_at_random_is_refused(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import numpy as np\nfrom thalweg.envs.point_mass import PointMass\n\nclass Breaks(PointMass):\n"
        "    def _observe(self):\n        bad = np.nan if len(self._trail) == 4 else 1\n"
        "        return {key: value * bad for key, value in super()._observe().items()}\n"
    )
    with pytest.raises(EnvError, match=r"Breaks \(seed 0\): observation is not finite after 3 random steps; mend the env"):
        load_env(f"{tmp_path / 'mine.py'}:Breaks")
