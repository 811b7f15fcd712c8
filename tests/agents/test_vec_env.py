"""Batches as stable-baselines3 sees them: the same as its own DummyVecEnv."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import TimeLimit
from stable_baselines3 import SAC
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import DummyVecEnv

import thalweg.envs  # noqa: F401
from thalweg.agents.vec_env import BatchVecEnv
from thalweg.envs.loading import load_batch

SAME_STEP = {"autoreset_mode": AutoresetMode.SAME_STEP}


def looped(name, num_envs):
    return gym.make_vec(name, num_envs=num_envs, vectorization_mode="sync", vector_kwargs=SAME_STEP)


@pytest.mark.parametrize("make", [load_batch, looped])
def test_a_batch_steps_as_sb3s_own_loop_does(make):
    """Through 120 steps of 50-step episodes: observations, rewards, endings, last observations, truncations."""
    ours, theirs = BatchVecEnv(make("PointMass-v0", 4)), DummyVecEnv([lambda: gym.make("PointMass-v0")] * 4)
    ours.seed(7)
    theirs.seed(7)
    seen = [(ours.reset(), theirs.reset())]
    rng, endings = np.random.default_rng(0), set()
    for _ in range(120):
        actions = rng.uniform(-1, 1, (4, 2)).astype(np.float32)
        mine, other = ours.step(actions), theirs.step(actions)
        seen.append((mine[0], other[0]))
        assert np.array_equal(mine[1], other[1]) and mine[1].dtype == np.float32 and np.array_equal(mine[2], other[2])
        for i in np.flatnonzero(mine[2]):
            endings.add(mine[3][i]["TimeLimit.truncated"])
            for key in ("TimeLimit.truncated", "is_success", "success"):
                assert mine[3][i][key] == other[3][i][key]
            last, other_last = (step[3][i]["terminal_observation"] for step in (mine, other))
            assert all(np.array_equal(last[key], other_last[key]) for key in last)
    assert True in endings
    for mine, other in seen:
        assert all(np.array_equal(mine[key], other[key]) for key in other)


@pytest.mark.parametrize("make", [load_batch, looped])
def test_methods_and_attributes_of_the_envs_are_reached(make):
    venv = BatchVecEnv(make("PointMass-v0", 3))
    rewards = venv.env_method("compute_reward", np.zeros((2, 2)), np.array([[0.0, 0.0], [1.0, 0.0]]), [{}, {}], indices=[1])
    assert rewards[0].tolist() == [0.0, -1.0]
    assert venv.get_attr("tolerance") == [0.1] * 3
    venv.set_attr("tolerance", 0.2)
    assert venv.get_attr("tolerance", indices=2) == [0.2]
    assert venv.env_is_wrapped(TimeLimit) == [make is looped] * 3
    venv.close()


def test_sb3_learns_and_evaluates_on_a_batch():
    venv = BatchVecEnv(load_batch("PointMass-v0", 8))
    model = SAC("MultiInputPolicy", venv, learning_starts=50, batch_size=8, policy_kwargs={"net_arch": [8]}, seed=0).learn(400)
    mean, _ = evaluate_policy(model, venv, n_eval_episodes=8, warn=False)
    assert -50 <= mean <= 0


def test_a_batch_that_resets_a_step_later_is_refused():
    with pytest.raises(ValueError, match="SAME_STEP"):
        BatchVecEnv(gym.make_vec("PointMass-v0", num_envs=2))
