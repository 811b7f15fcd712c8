import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.vec_env import DummyVecEnv

import envs  # noqa: F401
from agents.her_buffer import HerBuffer


def fill(buffer, venv, count, seed=0):
    rng, observations = np.random.default_rng(seed), venv.reset()
    for _ in range(count):
        actions = rng.uniform(-1, 1, (venv.num_envs, 2)).astype(np.float32)
        following, rewards, dones, infos = venv.step(actions)
        stored = {key: values.copy() for key, values in following.items()}
        for i in np.flatnonzero(dones):
            for key in stored:
                stored[key][i] = infos[i]["terminal_observation"][key]
        buffer.add(observations, stored, actions, rewards, dones, infos)
        observations = following


def make(size=4_000, future=0.5, nearby=0.3, tolerance=0.1):
    venv = DummyVecEnv([lambda: gym.make("PointMass-v0", tolerance=tolerance)] * 4)
    venv.seed(0)
    spaces = venv.observation_space, venv.action_space
    buffer = HerBuffer(
        size, *spaces, env=venv, relabel_horizon=8, future_share=future, nearby_share=nearby, device="cpu", n_envs=4
    )
    buffer.seed(0)
    return buffer, venv


@pytest.mark.parametrize("size", [4_000, 400])  # the second one wraps
def test_a_sample_ends_exactly_where_its_own_goal_is_reached(size):
    buffer, venv = make(size)
    fill(buffer, venv, 300)
    batch = buffer.sample(2_000)
    goals = batch.observations["desired_goal"]
    reached = ((batch.next_observations["achieved_goal"] - goals).norm(dim=1) <= 0.1).float()[:, None]
    assert (batch.dones == reached).all() and (batch.rewards == reached - 1).all()
    assert 0.05 < float(reached.mean()) < 0.95
    assert (goals == batch.next_observations["desired_goal"]).all()


def test_future_goals_come_from_the_same_episode_within_the_horizon():
    buffer, venv = make()
    fill(buffer, venv, 120)  # episodes of 50: the last one is in progress
    for env in range(4):
        for step in range(120):
            goals, taken = buffer.future_goals(np.full(40, step), np.full(40, env))
            last = buffer.last_step[step, env]
            after = buffer.next_observations["achieved_goal"][step : min(step + 7, last) + 1, env]
            allowed = np.vstack([buffer.observations["achieved_goal"][step, env], after])  # where it is, too
            assert all((goal == allowed).all(axis=1).any() for goal in goals)
            known = np.isfinite(taken)
            assert np.array_equal(goals[known], allowed[taken[known].astype(int)])
            assert buffer.first_step[step, env] <= step <= last and last - buffer.first_step[step, env] < 50
    assert (buffer.last_step[119] == 119).all()  # in progress, yet it can be sampled


def test_hard_negatives_are_near_in_space():
    buffer, venv = make()
    fill(buffer, venv, 200)
    achieved = buffer.stored("achieved_goal").reshape(-1, 2)[:500]
    gaps = np.linalg.norm(buffer.nearby_goals(achieved) - achieved, axis=1)
    rng = np.random.default_rng(0)
    random_gaps = np.linalg.norm(achieved[rng.permutation(500)] - achieved, axis=1)
    assert np.median(gaps) < 0.4 * np.median(random_gaps)


def test_practice_goals_are_near_and_not_where_the_agent_stands():
    buffer, venv = make()
    fill(buffer, venv, 300)
    achieved = buffer.stored("achieved_goal")[:50].reshape(-1, 2)
    gaps = np.linalg.norm(buffer.practice_goals(achieved) - achieved, axis=1)
    assert 0 < np.median(gaps) < 0.8


def test_practice_goals_lie_on_this_side_of_a_thin_wall():
    """Ten corridors, 0.1 apart: the nearest of a few random stored states was in another one every third time."""
    buffer, _ = make(4_000)
    lanes = np.repeat(np.arange(10), 100)  # 100 steps along each, by each of the 4 envs
    along = np.random.default_rng(0).uniform(0, 3, (1_000, 4))
    for values in (buffer.observations, buffer.next_observations):
        values["achieved_goal"][:] = np.stack([along, np.tile(0.1 * lanes[:, None], 4)], axis=-1)
    buffer.full, buffer.last_step[:] = True, (100 * lanes + 99)[:, None]
    here = buffer.observations["achieved_goal"][:, 0]
    goals = buffer.practice_goals(here)
    assert (np.abs(goals[:, 1] - here[:, 1]) < 0.01).mean() > 0.95


def test_a_lenient_goal_test_is_shrunk_to_two_steps_and_a_strict_one_is_kept():
    for tolerance in (0.1, 1.5):
        buffer, venv = make(tolerance=tolerance)
        fill(buffer, venv, 200)
        moves = np.linalg.norm(buffer.next_observations["achieved_goal"] - buffer.observations["achieved_goal"], axis=-1)[:200]
        two_steps = 2 * np.quantile(moves, 0.95)
        buffer.fit_arrival(2.0)
        radius = tolerance / buffer.arrival_scale
        if tolerance == 0.1:
            assert buffer.arrival_scale == 1.0
        else:
            assert radius == pytest.approx(two_steps, rel=0.07)  # scales are tried 6 % apart
        goals = np.zeros((2, 2), dtype=np.float32)
        offsets = np.array([[0.99 * radius, 0], [0, 1.01 * radius]], dtype=np.float32)
        assert buffer.rewards_for(goals + offsets, goals).tolist() == [0.0, -1.0]


def test_the_goal_test_of_the_env_can_be_kept():
    buffer, venv = make(tolerance=1.5)
    fill(buffer, venv, 50)
    buffer.fit_arrival(0.0)
    assert buffer.arrival_scale == 1.0


def test_a_goal_that_seldom_moves_does_not_shrink_its_test():
    """An object that is pushed now and then: 95 % of the steps do not move it, and passed every scale there is."""
    buffer, venv = make(tolerance=1.5)
    fill(buffer, venv, 200)
    still = np.random.default_rng(0).random((200, 4)) < 0.97
    buffer.next_observations["achieved_goal"][:200][still] = buffer.observations["achieved_goal"][:200][still]
    buffer.fit_arrival(2.0)
    assert buffer.arrival_scale == 1.0
