"""Fresh drives of whatever acts."""

import gymnasium as gym
import numpy as np
import pytest

import thalweg.envs  # noqa: F401
from thalweg.agents.foreign import collect, goal_policy
from thalweg.planner.finite import NotFiniteError


def head_for_it(observation):
    return np.clip(observation["desired_goal"] - observation["achieved_goal"], -1, 1)


def make_env():
    return gym.make("PointMassU-v0", max_episode_steps=60)


def test_drives_are_whole_episodes_with_their_actions_and_the_seed_fixes_them():
    told = []
    found = collect(goal_policy(head_for_it), make_env, 200, seed=3, on_step=told.append)
    steps = [len(trajectory) - 1 for trajectory in found]
    assert sum(steps) >= 200 > sum(steps[:-1]) and max(steps) <= 60 and told == np.cumsum(steps).tolist()
    assert all(trajectory.actions.shape == (len(trajectory) - 1, 2) for trajectory in found)
    assert all(np.array_equal(trajectory.states[:, :2], trajectory.goals) for trajectory in found)
    again, other = (collect(goal_policy(head_for_it), make_env, 200, seed=seed) for seed in (3, 4))
    assert all(np.array_equal(a.states, b.states) for a, b in zip(found, again, strict=True))
    assert not np.array_equal(found[0].states, other[0].states)


def test_noise_is_what_is_asked_for_and_stays_within_bounds():
    for noise, spread in ((0.0, 0.0), (0.5, 0.3)):
        found = collect(AT_REST, make_env, 120, seed=0, noise=noise)
        actions = np.concatenate([trajectory.actions for trajectory in found])
        assert actions.std() >= spread and np.abs(actions).max() <= 1 and (noise > 0 or not actions.any())


class _AtRest:
    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return np.zeros((len(observation["observation"]), 2), np.float32), None


AT_REST = _AtRest()


def test_places_visited_before_are_headed_for_as_well():
    goals = []

    def act(observation):
        goals.append(tuple(observation["desired_goal"].tolist()))
        return head_for_it(observation)

    found = collect(goal_policy(act), make_env, 600, seed=0)
    visited = {tuple(goal.tolist()) for trajectory in found for goal in trajectory.goals}
    share = np.mean([goal in visited for goal in goals])
    assert 0.2 < share < 0.9


def test_what_is_not_finite_ends_it():
    with pytest.raises(NotFiniteError, match="action"):
        collect(goal_policy(lambda observation: np.full(2, np.nan)), make_env, 100, seed=0)


def test_nothing_to_drive_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        collect(AT_REST, make_env, 0, seed=0)
