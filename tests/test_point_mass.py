import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_env_sb3

import envs  # noqa: F401

OURS = [name for name, spec in gym.registry.items() if str(spec.entry_point).startswith("envs.")]


@pytest.mark.parametrize("name", OURS)
def test_env_contract(name):
    env = gym.make(name, render_mode="rgb_array").unwrapped
    check_env(env)
    check_env_sb3(env)


@pytest.mark.parametrize("name", OURS)
def test_a_seed_fixes_everything(name):
    def episode():
        env = gym.make(name)
        observation, _ = env.reset(seed=7)
        env.action_space.seed(7)
        seen = [observation["desired_goal"]]
        for _ in range(50):
            observation, *_ = env.step(env.action_space.sample())
            seen.append(observation["observation"])
        return np.concatenate(seen)

    assert np.array_equal(episode(), episode())


def test_the_mass_accelerates_to_full_speed_in_five_steps_and_brakes():
    env = gym.make("PointMassU-v0").unwrapped
    env.reset(seed=0, options={"start": (1.5, 14.0), "goal": (5.0, 14.0)})
    speeds = [env.step(np.array([0.0, -1.0]))[0]["observation"][3] for _ in range(7)]
    assert np.allclose(speeds, [-0.2, -0.4, -0.6, -0.8, -1.0, -1.0, -1.0])
    assert env.step(np.array([0.0, 1.0]))[0]["observation"][3] == pytest.approx(-0.8)


def test_arrival_pays_nothing_and_ends_the_episode():
    env = gym.make("PointMass-v0").unwrapped
    env.reset(seed=0, options={"start": (2.0, 2.0), "goal": (2.2, 2.0)})
    outcomes = [env.step(np.array([1.0, 0.0]))[1:] for _ in range(4)]
    arrived = next(i for i, outcome in enumerate(outcomes) if outcome[1])
    assert all(outcome[0] == -1.0 and not outcome[3]["is_success"] for outcome in outcomes[:arrived])
    assert outcomes[arrived][0] == 0.0 and outcomes[arrived][3] == {"is_success": True, "success": True}


def test_rewards_in_a_batch_are_those_one_by_one():
    env, rng = gym.make("PointMass-v0").unwrapped, np.random.default_rng(0)
    a = rng.random((200, 2)).astype(np.float32)
    b = a + rng.normal(0, 0.08, a.shape).astype(np.float32)
    batch = env.compute_reward(a, b, {})
    assert set(batch.tolist()) == {0.0, -1.0}
    assert batch.tolist() == [float(env.compute_reward(x, y, {})) for x, y in zip(a, b, strict=True)]


def test_half_of_the_u_worlds_pairs_are_farther_than_a_training_episode_reaches():
    env = gym.make("PointMassU-v0").unwrapped
    for seed in range(20):
        observation, _ = env.reset(seed=seed, options={"difficulty": 0.5})
        assert env.shortest_steps(observation["achieved_goal"], observation["desired_goal"])[0] >= 80


@pytest.mark.parametrize(
    ("goal", "word"), [((0.5, 0.5), "wall"), ((99, 0), "outside"), ((1.5,), "two finite"), ((np.nan, 1), "finite")]
)
def test_a_goal_in_the_wrong_place_is_refused(goal, word):
    with pytest.raises(ValueError, match=word):
        gym.make("PointMassU-v0").reset(options={"goal": goal})


def test_a_frame_shows_the_mass():
    env = gym.make("PointMass-v0", render_mode="rgb_array")
    env.reset(seed=0, options={"start": (1.5, 1.5), "goal": (3.5, 3.5)})
    frame = env.render()
    assert frame.dtype == np.uint8 and frame.shape == (400, 400, 3)
    here = frame[int(400 * (1 - 1.5 / 5)), int(400 * 1.5 / 5)]
    assert here[2] > here[0] + 50  # blue
