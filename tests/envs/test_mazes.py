"""Many mazes in one env: which one a seed takes, and that the state shows it."""

from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

import thalweg.envs  # noqa: F401 (registers ours)
from thalweg.envs.checks import check_goal_env
from thalweg.envs.point_mass_world import least_length
from thalweg.envs.random_maze import random_maze
from thalweg.envs.walls import wall_map

NAME = "PointMassMazes-v0"
SMALL = {"size": 3, "loops": 1, "mazes": 4}


def small(**changes):
    return gym.make(NAME, **{**SMALL, **changes}).unwrapped


def picture_in(env, observation):
    return observation["observation"][4:].reshape(env.layout_shape)


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**31), first_maze=st.integers(0, 50), mazes=st.integers(1, 6))
def test_a_seed_takes_its_maze(seed, first_maze, mazes):
    env = small(first_maze=first_maze, mazes=mazes)
    observation, _ = env.reset(seed=seed)
    assert env.map.rows == random_maze(3, 1, first_maze + seed % mazes)
    assert np.array_equal(picture_in(env, observation), env.map.is_wall)


def test_the_picture_is_the_drawing_with_x_along_its_first_axis():
    env = small(size=2, loops=0)
    observation, _ = env.reset(seed=1)
    rows, picture = random_maze(2, 0, 1), picture_in(env, observation)
    assert env.layout_shape == picture.shape == (5, 5)
    for x in range(5):
        assert picture[x].tolist() == [float(row[x] == "#") for row in reversed(rows)]  # y grows from the bottom row
    assert not np.array_equal(picture, picture.T)  # or this would not tell the axes apart


def test_the_picture_shows_where_the_mass_can_be():
    env = small()
    for seed in range(4):
        observation, _ = env.reset(seed=seed)
        picture, points = picture_in(env, observation), np.random.default_rng(seed).uniform(0, env.map.size, (500, 2))
        x, y = np.floor(points / env.map.size * env.layout_shape).astype(int).T
        assert np.array_equal(picture[x, y] == 0, env.map.is_free(points))


def test_the_picture_stays_all_through_an_episode_and_lies_in_the_space():
    env = small()
    first, _ = env.reset(seed=2)
    assert first["observation"].dtype == np.float32 and env.observation_space.contains(first)
    places = []
    for _ in range(20):
        observation, *_ = env.step(np.array([1.0, 0.6]))
        assert np.array_equal(observation["observation"][4:], first["observation"][4:])
        assert env.observation_space.contains(observation)
        places.append(observation["achieved_goal"])
    assert np.ptp(places, axis=0).max() > 0.1  # it did move


def test_what_was_observed_is_not_altered_by_the_next_maze():
    env = small()
    kept, _ = env.reset(seed=0)
    before = kept["observation"].copy()
    env.reset(seed=1)
    assert np.array_equal(kept["observation"], before)


def test_a_reset_without_a_seed_draws_any_of_the_mazes_and_no_other():
    env = small(first_maze=7, mazes=3)
    env.reset(seed=0)
    seen = set()
    for _ in range(40):
        observation, _ = env.reset()
        assert np.array_equal(picture_in(env, observation), env.map.is_wall)
        seen.add(env.map.rows)
    assert seen == {random_maze(3, 1, number) for number in (7, 8, 9)}


def test_two_envs_of_one_seed_are_equal_bit_for_bit():
    """Over episodes: what is drawn without a seed follows from the last one."""

    def episodes():
        env = small()
        env.action_space.seed(3)
        for episode in range(6):
            observation, _ = env.reset(seed=5 if episode == 0 else None)
            yield np.concatenate(list(observation.values()))
            for _ in range(10):
                observation, *_ = env.step(env.action_space.sample())
                yield observation["observation"]

    for one, other in zip(episodes(), episodes(), strict=True):
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("difficulty", [0.0, 0.7])
def test_start_and_goal_are_free_and_as_far_apart_as_asked_in_their_own_maze(difficulty):
    env = small(difficulty=difficulty)
    for episode in range(40):
        observation, _ = env.reset(seed=episode if episode < 20 else None)
        start, goal = observation["achieved_goal"], observation["desired_goal"]
        assert env.map.is_free(env.map.settle(np.stack([start, goal]))).all()
        length = env.shortest_length(start[None], goal[None])[0]
        assert length >= least_length(env.map, difficulty) - 1e-4 and np.isfinite(length)


def test_the_quantile_of_a_difficulty_is_the_mazes_own():
    """Else the test above could not tell."""
    env = small()
    lengths = [least_length(wall_map(random_maze(3, 1, number), env.map.cell_size), 0.7) for number in range(4)]
    assert np.ptp(lengths) > 0.1


def test_the_option_of_one_reset_is_of_the_maze_drawn_by_it():
    env = small()
    for seed in range(8):
        observation, _ = env.reset(seed=seed, options={"difficulty": 0.9})
        length = env.shortest_length(observation["achieved_goal"][None], observation["desired_goal"][None])[0]
        assert length >= least_length(env.map, 0.9) - 1e-4


@pytest.mark.slow
def test_it_keeps_every_promise_of_a_goal_env():
    """The default is checked with the other envs."""
    assert check_goal_env(partial(gym.make, NAME, **SMALL, difficulty=0.5), steps=400) == []
    check_env(gym.make(NAME, **SMALL, first_maze=9, render_mode="rgb_array").unwrapped)


@pytest.mark.parametrize(
    ("changes", "word"),
    [({"mazes": 0}, "mazes must"), ({"first_maze": -1}, "first_maze"), ({"size": 1}, "size"), ({"loops": 99}, "loops")],
)
def test_mazes_that_cannot_be_are_refused_in_one_line(changes, word):
    with pytest.raises(ValueError, match=word) as refused:
        small(**changes)
    assert len(str(refused.value).splitlines()) == 1
