"""`as_goal_env`: every kind of env that can be handed in, what its options reach, and the 200 steps."""

import importlib.util
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.wrappers import TimeLimit

import thalweg.envs  # noqa: F401
from thalweg.envs.guard import EnvError
from thalweg.envs.loading import as_goal_env, env_maker, load_batch, load_env
from thalweg.envs.sources import raw_env


class Line(gym.Env):
    """A point on a line that is pushed along it."""

    made = 0

    def __init__(self, speed=0.1, name="", num_envs=0, task_id=0, index=0):
        type(self).made += 1
        self.arguments = {"speed": speed, "name": name, "num_envs": num_envs, "task_id": task_id, "index": index}
        box = spaces.Box(-2, 2, (1,), np.float32)
        self.observation_space = spaces.Dict(observation=box, achieved_goal=box, desired_goal=box)
        self.action_space = spaces.Box(-1, 1, (1,), np.float32)
        self.closed = False

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x = np.zeros(1, np.float32)
        self.goal = np.full(1, 1.5, np.float32)
        return self.seen(), {}

    def step(self, action):
        self.x = np.clip(self.x + self.arguments["speed"] * action, -2, 2).astype(np.float32)
        reward = float(self.compute_reward(self.x, self.goal, {}))
        return self.seen(), reward, reward == 0, False, {}

    def compute_reward(self, achieved, desired, info):
        return -(np.linalg.norm(achieved - desired, axis=-1) > 0.1).astype(np.float32)

    def seen(self):
        return {"observation": self.x.copy(), "achieved_goal": self.x.copy(), "desired_goal": self.goal.copy()}

    def close(self):
        self.closed = True


class ByItself(Line):
    """Ends its episodes after 300 steps, as highway-env's do."""

    def reset(self, **kwargs):
        self.steps = 0
        return super().reset(**kwargs)

    def step(self, action):
        self.steps += 1
        observation, reward, terminated, _, info = super().step(action)
        return observation, reward, terminated, self.steps >= 300, info


for _id, _class in {"LineWithoutLimit-v0": Line, "LineByItself-v0": ByItself}.items():
    if _id not in gym.registry:  # this file is loaded once more, as a user's
        gym.register(_id, _class)


def length(env):
    """Env steps of an episode in which nothing is done."""
    env.reset(seed=0)
    for step in range(1, 500):
        *_, truncated, _ = env.step(np.zeros(1, np.float32))
        if truncated:
            return step
    return None


def make_line(speed=0.1):
    return Line(speed)


@pytest.mark.parametrize(
    ("env", "name", "by_name", "only_one"),
    [
        ("PointMass-v0", "PointMass-v0", True, False),
        ("thalweg.envs:PointMass-v0", "thalweg.envs:PointMass-v0", True, False),
        (Line, "Line", False, False),
        (make_line, "make_line", False, False),
        (lambda: Line(), "<lambda>", False, False),
        (partial(Line, speed=0.2), "partial", False, False),
        (Line(), "Line", False, True),
    ],
)
def test_every_kind_of_env_makes_envs(env, name, by_name, only_one):
    envs = as_goal_env(env)
    assert (envs.name, envs.by_name, envs.only_one, envs.kwargs) == (name, by_name, only_one, {})
    assert as_goal_env(envs) is envs
    made = envs.make()
    observation, _ = made.reset(seed=0)
    assert observation["observation"].dtype == np.float32
    made.close()
    batch = envs.batch(1)
    assert batch.reset(seed=0)[0]["achieved_goal"].shape[0] == 1
    batch.close()
    again = envs()  # it is a factory itself
    assert again.reset(seed=0)[0].keys() == observation.keys()


def test_options_reach_a_factory_or_are_told_unknown():
    assert as_goal_env(make_line, speed=0.3).make().unwrapped.arguments["speed"] == 0.3
    assert as_goal_env(make_line, speed=0.3).make(speed=0.4).unwrapped.arguments["speed"] == 0.4
    assert as_goal_env(as_goal_env(make_line, speed=0.3), speed=0.5).kwargs == {"speed": 0.5}
    for env in (make_line, "LineWithoutLimit-v0"):
        with pytest.raises(EnvError, match=r"does not know difficulty; leave it out") as caught:
            as_goal_env(env).make(difficulty=0.5)
        assert len(str(caught.value)) < 120


def test_a_factory_that_stumbles_over_an_argument_of_its_own_is_not_told_to_know_it():
    def broken():
        return Line(colour="red")

    with pytest.raises(EnvError, match=r"broken cannot be made: TypeError: .*colour"):
        as_goal_env(broken).make()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["name", "num_envs", "task_id", "index"])
def test_arguments_that_are_called_as_ours_reach_the_env(name):
    for env in (Line, "LineWithoutLimit-v0", f"{__file__}:Line"):
        assert load_env(env, **{name: 7}).unwrapped.arguments[name] == 7
        assert load_batch(env, 2, **{name: 7}).envs[1].unwrapped.arguments[name] == 7
        assert env_maker(env, **{name: 7})(1).unwrapped.arguments[name] == 7


def test_an_episode_has_200_steps_unless_the_env_ends_it_itself():
    assert length(raw_env("LineWithoutLimit-v0")) == length(load_env("LineWithoutLimit-v0")) == 200
    assert length(load_env("LineWithoutLimit-v0", max_episode_steps=7)) == 7
    assert length(load_env("LineByItself-v0")) == 300 and length(load_env("LineByItself-v0", max_episode_steps=7)) == 7
    assert length(load_env(lambda: gym.make("LineByItself-v0"))) == 300
    assert length(load_env(Line)) == length(load_env(Line())) == 200


def test_one_env_is_lent_again_and_again_and_never_closed():
    env = TimeLimit(Line(), 50)
    envs = as_goal_env(env)
    first = envs.make(max_episode_steps=9)
    assert first.unwrapped is env.unwrapped and length(first) == 9
    with pytest.raises(EnvError, match="a second env is asked for"):
        envs.make()
    first.close()
    assert not env.unwrapped.closed and env._max_episode_steps == 50
    second = envs.make()
    assert length(second) == 50
    del second  # whoever forgets to close it does not keep it for ever
    envs.make().close()
    with pytest.raises(EnvError, match="2 envs are asked for"):
        envs.batch(2)
    with pytest.raises(EnvError, match="made already; it takes no difficulty"):
        envs.make(difficulty=0.5)


def test_a_factory_that_gives_one_env_again_and_again_is_told():
    env = Line()
    with pytest.raises(EnvError, match="gives the same env twice"):
        as_goal_env(lambda: env).make()


def test_the_throwaway_env_is_made_once_for_all_envs_of_a_setting():
    Line.made = 0
    envs = as_goal_env(Line)
    for index in range(3):
        envs.make(index, max_episode_steps=10 + index)
    assert Line.made == 1 + 3
    envs.make(speed=0.2)
    assert Line.made == 1 + 3 + 2


@pytest.mark.parametrize(
    ("env", "word"),
    [
        (gym.make("Pendulum-v1"), r"Pendulum-v1 is no goal env: .* thalweg\.GoalWrapper\("),
        (lambda: gym.make("Pendulum-v1"), r"PendulumEnv is no goal env: .* thalweg\.GoalWrapper\("),
        (dict, "dict gives dict, no gymnasium.Env"),
        (3, "int is no env: give an id"),
    ],
)
def test_what_is_no_goal_env_is_told_in_one_line(env, word):
    with pytest.raises(EnvError, match=word) as caught:
        as_goal_env(env).make()
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.skipif(importlib.util.find_spec("ogbench") is None, reason="needs ogbench")
def test_an_ogbench_maze_from_a_factory_has_a_goal():
    load_env("pointmaze-medium-v0")  # imports ogbench
    env = load_env(lambda: gym.make("pointmaze-medium-v0"))
    assert env.reset(seed=0)[0]["desired_goal"].shape == (2,)
