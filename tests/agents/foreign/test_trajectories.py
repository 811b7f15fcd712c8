"""Episodes out of other people's buffers and logs: none is lost, and none joined to another."""

from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import SAC, HerReplayBuffer
from stable_baselines3.common.buffers import DictReplayBuffer
from stable_baselines3.common.env_util import make_vec_env

import thalweg.envs  # noqa: F401
from thalweg.agents.foreign import trajectories_of
from thalweg.agents.sac.sac import GoalSAC
from thalweg.planner.data.trajectories import Trajectory
from thalweg.planner.errors import UsageError

SPACE = spaces.Dict({key: spaces.Box(-1e3, 1e3, (1,)) for key in ("observation", "achieved_goal", "desired_goal")})


def walk(buffer, lengths, env_lag=(0, 100), timeouts=True):
    """Fill a buffer of two envs with episodes of so many steps: states count up within an episode, which begin at hundreds."""
    starts = [(episode, step, step == length - 1) for episode, length in enumerate(lengths) for step in range(length)]
    for episode, step, last in starts:
        before, after = (np.array([[1_000.0 * lag + 100 * episode + s] for lag in env_lag]) for s in (step, step + 1))
        observations = [{key: np.float32(values) for key in SPACE.spaces} for values in (before, after)]
        infos = [{"TimeLimit.truncated": timeouts and last}] * 2
        buffer.add(*observations, np.full((2, 1), step / 100), np.zeros(2), np.array([last] * 2), infos)


def buffer_of(size):
    return DictReplayBuffer(size * 2, SPACE, spaces.Box(0.0, 10.0, (1,)), device="cpu", n_envs=2)


def numbers(trajectories):
    return [trajectory.states[:, 0].tolist() for trajectory in trajectories]


@pytest.mark.parametrize("timeouts", [True, False])
def test_a_buffer_is_cut_where_episodes_end_and_the_unfinished_one_counts(timeouts):
    buffer = buffer_of(20)
    walk(buffer, [3, 4], timeouts=timeouts)
    walk(buffer, [2])
    buffer.dones[8] = buffer.timeouts[8] = False  # in progress
    found = trajectories_of(buffer)
    assert numbers(found[:3]) == [[0, 1, 2, 3], [100, 101, 102, 103, 104], [0, 1, 2]]
    assert [len(trajectory) for trajectory in found] == [4, 5, 3] * 2
    assert np.allclose(found[0].actions[:, 0], [5.0, 5.05, 5.1])  # the env's own, of 0 to 10
    assert all(np.array_equal(trajectory.states, trajectory.goals) for trajectory in found)


def test_a_buffer_that_has_wrapped_gives_what_is_left_in_its_order():
    buffer = buffer_of(8)
    walk(buffer, [5, 6])  # of 11 steps, 3 are overwritten
    assert numbers(trajectories_of(buffer)[:2]) == [[3, 4, 5], [100, 101, 102, 103, 104, 105, 106]]


def test_an_episode_that_was_broken_off_is_not_joined_to_the_next():
    """A second learn() resets the envs without an end in the buffer."""
    buffer = buffer_of(20)
    walk(buffer, [3])
    buffer.dones[2] = buffer.timeouts[2] = False
    walk(buffer, [3])
    assert [len(trajectory) for trajectory in trajectories_of(buffer)] == [4] * 4


@pytest.mark.parametrize("room", [2_000, 150])
@pytest.mark.parametrize("buffer_class", [HerReplayBuffer, DictReplayBuffer])
def test_what_a_real_model_stored_is_what_was_driven(buffer_class, room):
    venv = make_vec_env("PointMass-v0", 2, env_kwargs={"max_episode_steps": 30})
    model = SAC(
        "MultiInputPolicy", venv, buffer_size=room, learning_starts=1_000, replay_buffer_class=buffer_class, seed=0, device="cpu"
    )
    found = trajectories_of(model.learn(210))
    held = min(210, room // 2 * 2)
    assert sum(len(trajectory) - 1 for trajectory in found) == held
    world = gym.make("PointMass-v0").unwrapped
    for trajectory in found:
        assert 2 <= len(trajectory) <= 31 and len(trajectory.actions) == len(trajectory) - 1
        assert np.array_equal(trajectory.states[:, :2], trajectory.goals)
        assert np.linalg.norm(np.diff(trajectory.goals, axis=0), axis=1).max() < 0.5 and world.tolerance < 0.5
    assert np.abs(np.concatenate([trajectory.actions for trajectory in found])).max() <= 1


def test_our_own_buffer_says_its_actions_too():
    model = GoalSAC("MultiInputPolicy", "PointMass-v0", learning_starts=1_000, seed=0).learn(120)
    found = trajectories_of(model)
    assert all(trajectory.actions.shape == (len(trajectory) - 1, 2) for trajectory in found)
    assert np.array_equal(found[0].actions[:5], model.replay_buffer.actions[:5, 0])


STATES = np.arange(8.0).reshape(4, 2)
GOALS, ACTIONS = STATES[:, :1], np.arange(3.0)[:, None]
WHOLE = {"observation": STATES, "achieved_goal": GOALS, "actions": ACTIONS}


@pytest.mark.parametrize(
    "episode",
    [
        WHOLE,
        {"observations": {"observation": STATES, "achieved_goal": GOALS, "desired_goal": GOALS}, "actions": ACTIONS},
        {"states": STATES, "goals": GOALS, "action": np.arange(4.0)[:, None]},  # one action too many: that of the end
        SimpleNamespace(observations={"observation": STATES, "achieved_goal": GOALS}, actions=ACTIONS),  # Minari's
        Trajectory(STATES, GOALS, ACTIONS),
    ],
    ids=["dict", "nested", "states", "Minari", "Trajectory"],
)
def test_logs_of_many_kinds_say_the_same(episode):
    (found,) = trajectories_of([episode])
    assert np.array_equal(found.states, STATES) and np.array_equal(found.goals, GOALS)
    assert np.array_equal(found.actions, ACTIONS)


def test_steps_one_by_one_and_bare_states_are_logs_too():
    steps = [{"observation": state, "achieved_goal": goal} for state, goal in zip(STATES, GOALS, strict=True)]
    bare = trajectories_of([STATES, STATES[:3]], goal_of=lambda states: states[..., :1])
    assert np.array_equal(trajectories_of([steps])[0].goals, GOALS)
    assert [len(trajectory) for trajectory in bare] == [4, 3] and np.array_equal(bare[0].goals, GOALS) and bare[0].actions is None


def test_a_data_set_is_asked_for_its_episodes():
    data = SimpleNamespace(iterate_episodes=lambda: iter([SimpleNamespace(observations=WHOLE, actions=ACTIONS)] * 3))
    assert len(trajectories_of(data)) == 3


def test_what_was_found_is_a_copy():
    states = STATES.astype(np.float32)
    (found,) = trajectories_of([{"observation": states, "achieved_goal": states[:, :1]}])
    states[:] = 9
    assert np.array_equal(found.states, STATES)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (3, "cannot be read from int"),
        ("logs.npz", "cannot be read from str"),
        (WHOLE, "cannot be read from dict"),
        ([], "no two states"),
        ([STATES[:1]], "which goals"),
        ([STATES], "which goals"),
        ([{"position": STATES}], "only position"),
        ([{**WHOLE, "achieved_goal": GOALS[:2]}], "4 states and 2 achieved goals"),
        ([{**WHOLE, "actions": ACTIONS[:1]}], "4 states and 1 actions"),
        ([WHOLE, {**WHOLE, "observation": STATES * np.nan}], "observation of episode 1 holds numbers that are not finite"),
        ([WHOLE, {**WHOLE, "observation": GOALS}], "different envs"),
        ([{**WHOLE, "observation": ["a", "b"]}], "no array of numbers"),
        ([{"observation": 3.0, "achieved_goal": 2.0}], "is no array"),
        (buffer_of(4), "no two states"),
    ],
)
def test_what_says_nothing_is_refused_in_one_line(source, words):
    with pytest.raises(UsageError, match=words) as refusal:
        trajectories_of(source)
    assert "\n" not in str(refusal.value)
