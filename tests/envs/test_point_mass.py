import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import label
from stable_baselines3.common.env_checker import check_env as check_env_sb3

import thalweg.envs  # noqa: F401
from thalweg.envs.drawings import FAMILIES
from thalweg.envs.frames import Overlay, gif_bytes
from thalweg.envs.random_maze import random_maze

OURS = [name for name, spec in gym.registry.items() if str(spec.entry_point).startswith("thalweg.envs.")]


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
    assert outcomes[arrived][0] == 0.0 and outcomes[arrived][3]["is_success"] and outcomes[arrived][3]["success"]


def test_rewards_in_a_batch_are_those_one_by_one():
    env, rng = gym.make("PointMass-v0").unwrapped, np.random.default_rng(0)
    a = rng.random((200, 2)).astype(np.float32)
    b = a + rng.normal(0, 0.08, a.shape).astype(np.float32)
    batch = env.compute_reward(a, b, {})
    assert set(batch.tolist()) == {0.0, -1.0}
    assert batch.tolist() == [float(env.compute_reward(x, y, {})) for x, y in zip(a, b, strict=True)]


@pytest.mark.slow
@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"Empty"}))
def test_the_farthest_pairs_of_a_walled_world_are_100_to_400_steps_apart(family):
    env = gym.make(f"PointMass{family}-v0", difficulty=0.95).unwrapped
    pairs = [env.reset(seed=seed)[0] for seed in range(20)]
    steps = env.shortest_steps(*(np.array([pair[key] for pair in pairs]) for key in ("observation", "desired_goal")))
    assert steps.min() >= 100 and steps.max() <= 400


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


def test_the_overlay_is_drawn_and_a_gif_moves(tmp_path):
    env = gym.make("PointMassFourRooms-v0", render_mode="rgb_array").unwrapped
    env.reset(seed=0)
    bare = env.render()
    ends = np.stack([env.map.sample_free(1, env.np_random)[0] for _ in range(2)])
    env.overlay = Overlay(ends, nodes=ends, edges=ends[None])
    overlaid = env.render()
    assert (bare != overlaid).any()
    (tmp_path / "two.gif").write_bytes(gif_bytes([bare, overlaid], 20))
    with Image.open(tmp_path / "two.gif") as image:
        assert image.n_frames == 2 and image.size == bare.shape[1::-1]


def test_a_human_window_opens(monkeypatch):
    """gymnasium's own window around our frames, on SDL's screenless driver."""
    pytest.importorskip("pygame")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    with pytest.warns(UserWarning, match="human"):
        env = gym.make("PointMass-v0", render_mode="human")
    env.reset(seed=0)
    env.step(env.action_space.sample())
    env.close()


@given(size=st.integers(2, 9), loops=st.integers(0, 1), maze_seed=st.integers(0, 2**31))
def test_a_random_maze_joins_its_cells_and_has_its_loops(size, loops, maze_seed):
    rows = random_maze(size, loops, maze_seed)
    assert rows == random_maze.__wrapped__(size, loops, maze_seed)
    is_free = np.array([[square == "." for square in row] for row in rows])
    assert is_free.shape == (2 * size + 1, 2 * size + 1) and label(is_free)[1] == 1
    doors = is_free.sum() - size * size
    assert doors == size * size - 1 + loops  # a tree has one door fewer than cells


@pytest.mark.parametrize(("settings", "word"), [({"size": 1}, "size"), ({"size": 3, "loops": 99}, "loops")])
def test_an_impossible_maze_is_refused(settings, word):
    with pytest.raises(ValueError, match=word):
        gym.make("PointMassRandomMaze-v0", **settings)


def assert_same(ours, theirs):
    """Bit for bit, through tuples, dicts and object arrays."""
    if isinstance(ours, tuple):
        for mine, other in zip(ours, theirs, strict=True):
            assert_same(mine, other)
    elif isinstance(ours, dict):
        assert set(ours) == set(theirs)
        for key in ours:
            assert_same(ours[key], theirs[key])
    elif isinstance(ours, np.ndarray) and ours.dtype == object:
        assert [item is None for item in ours] == [item is None for item in theirs]
        for mine, other in zip(ours, theirs, strict=True):
            if mine is not None:
                assert_same(mine, other)
    else:
        assert ours.dtype == theirs.dtype and np.array_equal(ours, theirs)


@pytest.mark.slow
@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
@pytest.mark.parametrize("name", ["PointMass-v0", "PointMassMaze15-v0", "PointMassRandomMaze-v0"])
def test_a_batch_is_single_envs_bit_for_bit(name, mode):
    batch = gym.make_vec(name, num_envs=64, autoreset_mode=mode)
    loop = gym.make_vec(name, num_envs=64, vectorization_mode="sync", vector_kwargs={"autoreset_mode": mode})
    assert_same(batch.reset(seed=3), loop.reset(seed=3))
    rng, drift = np.random.default_rng(0), np.random.default_rng(1).uniform(-1, 1, (64, 2))
    for _ in range(120):
        actions = (drift + rng.uniform(-1, 1, (64, 2))).astype(np.float32)
        assert_same(batch.step(actions), loop.step(actions))
    assert_same(batch.reset(options={"difficulty": 0.5}), loop.reset(options={"difficulty": 0.5}))


def test_a_thousand_envs_are_the_same_as_one():
    batch = gym.make_vec("PointMassFourRooms-v0", num_envs=1024)
    observations, _ = batch.reset(seed=0)
    alone = gym.make("PointMassFourRooms-v0")
    for i in (0, 511, 1023):
        single, _ = alone.reset(seed=i)
        assert_same(single, {key: values[i] for key, values in observations.items()})


@pytest.mark.parametrize(
    ("settings", "word"),
    [({"num_envs": 0}, "num_envs"), ({"max_episode_steps": 0}, "steps"), ({"difficulty": 1.0}, "difficulty")],
)
def test_an_impossible_batch_is_refused(settings, word):
    with pytest.raises(ValueError, match=word):
        gym.make_vec("PointMass-v0", **{"num_envs": 2, **settings})


def test_a_world_without_a_pair_far_enough_apart_says_so():
    with pytest.raises(ValueError, match="tolerance of 10"):
        gym.make("PointMass-v0", tolerance=10.0).reset(seed=0)


def test_a_step_says_whether_a_wall_stopped_it():
    """Against the right wall; alone and in a batch."""
    env = gym.make("PointMass-v0").unwrapped
    env.reset(seed=0, options={"start": (3.85, 2.0), "goal": (1.1, 2.0)})
    told = [env.step(np.array([1.0, 0.0]))[4]["wall_contact"] for _ in range(6)]
    assert told == [False, False, False, True, True, True]
    batch = gym.make_vec("PointMass-v0", num_envs=2, vectorization_mode="vector_entry_point")
    batch.reset(seed=0)
    infos = [batch.step(np.tile([1.0, 0.0], (2, 1)))[4] for _ in range(49)]
    assert not infos[0]["wall_contact"].any() and any(info["wall_contact"].any() for info in infos)
