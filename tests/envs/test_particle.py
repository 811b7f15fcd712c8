import gymnasium as gym
import numpy as np
import pytest

import thalweg.envs  # noqa: F401
from thalweg.envs.walls_of import walls_of


def make(**settings):
    return gym.make("Particle-v0", **settings).unwrapped


def test_a_step_is_the_action_times_a_twentieth():
    env = make()
    env.reset(seed=0, options={"start": (-0.9, 0.0), "goal": (0.9, 0.9)})
    observation, reward, terminated, truncated, info = env.step(np.array([0.5, -3.0]))
    assert observation["observation"] == pytest.approx([-0.875, -0.05]) and reward == -1.0
    assert not terminated and not truncated and info == {"is_success": False, "success": False, "wall_contact": False}
    assert np.array_equal(observation["observation"], observation["achieved_goal"])


def test_a_wall_stops_the_particle_which_slides_along_it():
    env = make()
    env.reset(seed=0, options={"start": (-0.62, 0.0), "goal": (0.9, 0.9)})
    infos = []
    for _ in range(3):
        observation, *_, info = env.step(np.array([1.0, 1.0]))
        infos.append(info)
    assert observation["observation"] == pytest.approx([-0.6, 0.15])
    assert all(info["wall_contact"] is True for info in infos)
    assert env.step(np.array([-1.0, 0.0]))[4]["wall_contact"] is False


def test_the_square_ends_at_its_border():
    env = make()
    env.reset(seed=0, options={"start": (-0.98, -0.98), "goal": (0.9, 0.9)})
    for _ in range(3):
        observation, *_, info = env.step(np.array([-1.0, -1.0]))
    assert observation["observation"].tolist() == [-1.0, -1.0] and info["wall_contact"] is True


def test_arrival_pays_nothing_and_ends_the_episode():
    env = make()
    env.reset(seed=0, options={"start": (-0.9, 0.0), "goal": (-0.9, 0.12)})
    outcomes = [env.step(np.array([0.0, 1.0]))[1:] for _ in range(2)]
    assert outcomes[0][:2] == (-1.0, False) and outcomes[1][:2] == (0.0, True) and outcomes[1][3]["is_success"]


def test_it_has_to_wind_between_the_walls():
    """From the lower left to the lower right corner: under the first wall, over the second, ..."""
    env = make()
    ends = np.array([[-0.9, -0.9]]), np.array([[0.9, -0.9]])
    assert env.shortest_length(*ends)[0] > 4.5
    route = env.shortest_route(ends[0][0], ends[1][0])
    assert len(route) >= 8 and route[0] == pytest.approx(ends[0][0]) and route[-1] == pytest.approx(ends[1][0])
    assert env.shortest_steps(*ends)[0] == np.ceil((env.shortest_length(*ends)[0] - 0.05) / (0.05 * np.sqrt(2)))


def test_the_walls_are_those_that_stop():
    walls = walls_of(gym.make("Particle-v0"))
    inner = walls[(np.abs(walls) < 1.05).all(axis=1).any(axis=1)]
    assert {round(float(low), 2) for low in inner[:, 0, 0]} >= {-0.6, -0.2, 0.1, 0.5}


@pytest.mark.parametrize(("place", "word"), [((-0.55, 0.0), "wall"), ((2, 0), "outside"), ((0.0,), "two finite")])
def test_a_start_in_the_wrong_place_is_refused(place, word):
    with pytest.raises(ValueError, match=word):
        make().reset(options={"start": place})


def test_difficulty_draws_far_pairs():
    env = make(difficulty=0.8)
    pairs = [env.reset(seed=seed)[0] for seed in range(10)]
    lengths = env.shortest_length(*(np.array([pair[key] for pair in pairs]) for key in ("achieved_goal", "desired_goal")))
    assert lengths.min() > 2.0
