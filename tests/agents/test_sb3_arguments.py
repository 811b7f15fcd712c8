"""GoalSAC takes what a user of stable-baselines3 types, or says in one line what to type instead."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor, VecNormalize
from torch import nn

import thalweg.envs  # noqa: F401
from thalweg.agents.config import AgentConfig
from thalweg.agents.sac.sac import GoalSAC

pytestmark = pytest.mark.usefixtures("quick_ways")

SMALL = {"learning_starts": 64, "batch_size": 16, "policy_kwargs": {"net_arch": [16, 16]}, "seed": 0}


def test_a_plain_env_and_the_usual_arguments_train():
    model = GoalSAC("MultiInputPolicy", gym.make("PointMass-v0"), 3e-4, gamma=0.95, tau=0.01, verbose=0, device="cpu", **SMALL)
    assert model.config == AgentConfig(
        num_envs=1, learning_rate=3e-4, discount=0.95, tau=0.01, warmup_steps=64, batch_size=16, hidden=(16, 16)
    )
    assert model.learn(160).num_timesteps == 160 and model._n_updates == 24
    assert len(model.ep_info_buffer) > 0  # it is monitored
    assert [layer.out_features for layer in model.actor.latent_pi if isinstance(layer, nn.Linear)] == [16, 16]


@pytest.mark.parametrize(
    "make_env",
    [
        lambda: "PointMass-v0",
        lambda: make_vec_env("PointMass-v0", 2),
        lambda: gym.make_vec("PointMass-v0", num_envs=2, autoreset_mode=gym.vector.AutoresetMode.SAME_STEP),
    ],
    ids=["id", "VecEnv", "VectorEnv"],
)
def test_an_env_may_come_as_an_id_or_as_many(make_env):
    assert GoalSAC("MultiInputPolicy", make_env(), **SMALL).learn(96).num_timesteps == 96


def test_a_schedule_of_learning_rates_is_followed():
    model = GoalSAC("MultiInputPolicy", "PointMass-v0", lambda remaining: 1e-3 * remaining, **SMALL).learn(160)
    (group,) = model.actor.optimizer.param_groups
    assert group["lr"] == pytest.approx(1e-3 * model._current_progress_remaining) and group["lr"] < 2e-4


@pytest.mark.parametrize(
    ("given", "updates"),
    [
        ({"train_freq": 1, "gradient_steps": 1}, 1.0),
        ({"train_freq": 4}, 0.25),
        ({"train_freq": (2, "step"), "gradient_steps": 3}, 1.5),
        ({"gradient_steps": -1}, 1.0),
    ],
)
def test_how_often_to_train_is_a_rate(given, updates):
    assert GoalSAC("MultiInputPolicy", "PointMass-v0", **given, **SMALL).config.updates_per_step == updates


def test_the_rate_is_per_step_of_one_env():
    config = GoalSAC("MultiInputPolicy", make_vec_env("PointMass-v0", 4), train_freq=1, gradient_steps=2, **SMALL).config
    assert config.updates_per_step == 0.5


@pytest.mark.slow
def test_the_weight_of_entropy_may_be_fixed():
    fixed = GoalSAC("MultiInputPolicy", "PointMass-v0", ent_coef=0.03, **SMALL).learn(128)
    learnt = GoalSAC("MultiInputPolicy", "PointMass-v0", ent_coef="auto_0.03", **SMALL).learn(128)
    assert fixed._n_updates == learnt._n_updates == 16
    weights = [model.log_ent_coef.detach().exp().item() for model in (fixed, learnt)]
    assert weights[0] == pytest.approx(0.03) and weights[1] != pytest.approx(0.03, rel=1e-4)


@pytest.mark.slow
def test_without_a_number_of_steps_the_replay_grows_with_each_learning():
    model = GoalSAC("MultiInputPolicy", "PointMass-v0", **SMALL)
    assert model.replay_buffer.buffer_size < 100
    model.learn(160)
    before = model.replay_buffer.stored("observation").copy()
    model.learn(160, reset_num_timesteps=False)
    assert model.replay_buffer.num_stored == 320 and not model.replay_buffer.full
    assert np.array_equal(model.replay_buffer.stored("observation")[:160], before)


@pytest.mark.slow
def test_a_replay_that_grew_trains_as_one_that_was_large_from_the_start():
    config = AgentConfig(num_envs=1, warmup_steps=64, batch_size=16, hidden=(16,))

    def trained(room):
        model = GoalSAC(env="PointMass-v0", config=config, total_steps=room, seed=0)
        return model.learn(160).learn(128).policy.state_dict()

    grown, large = trained(None), trained(512)
    assert all(torch.equal(values, large[name]) for name, values in grown.items())


def test_a_replay_of_a_given_size_keeps_it():
    model = GoalSAC("MultiInputPolicy", "PointMass-v0", buffer_size=100, **SMALL).learn(160)
    assert model.replay_buffer.buffer_size == 100 and model.replay_buffer.full


class Dense(gym.Wrapper):
    def compute_reward(self, achieved_goal, desired_goal, info):
        return -np.linalg.norm(achieved_goal - desired_goal, axis=-1)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"policy": "MlpPolicy"}, 'one policy, "MultiInputPolicy"'),
        ({"env": gym.make("Pendulum-v1")}, "no goal env.*GoalWrapper"),
        ({"env": 3}, "needs a gymnasium goal env"),
        ({"env": None}, "needs a gymnasium goal env"),
        ({"env": Dense(gym.make("PointMass-v0"))}, "not sparse"),
        ({"env": VecNormalize(DummyVecEnv([lambda: gym.make("PointMass-v0")]))}, "without VecNormalize"),
        ({"ent_coef": 0.0}, "ent_coef must be positive"),
        ({"train_freq": (1, "episode")}, "updates_per_step of AgentConfig"),
        ({"replay_buffer_class": dict}, "leave it out"),
        ({"replay_buffer_kwargs": {"n_sampled_goal": 4}}, "future_share"),
        ({"use_sde": True}, "leave it out"),
        ({"policy_kwargs": {"activation_fn": nn.Tanh}}, "activation_fn is ReLU"),
        ({"policy_kwargs": {"net_arch": {"pi": [8], "qf": [9]}}}, "give one list"),
        ({"policy_kwargs": {"n_critics": 3}}, "net_arch alone.*n_critics"),
        ({"learning_rate": -1.0}, "learning_rate must be positive"),
        ({"gamma": 1.0}, "discount must lie"),
    ],
)
def test_what_has_no_meaning_here_is_refused_in_one_line(given, words):
    arguments = {"policy": "MultiInputPolicy", "env": "PointMass-v0", **given}
    with pytest.raises(ValueError, match=words) as refusal:
        GoalSAC(**arguments)
    assert "\n" not in str(refusal.value)


def test_what_nobody_knows_is_refused_with_what_there_is():
    with pytest.raises(TypeError, match=r"does not know horizon; .*relabel_horizon"):
        GoalSAC("MultiInputPolicy", "PointMass-v0", horizon=16)


def test_usual_values_of_what_is_refused_are_taken():
    GoalSAC("MultiInputPolicy", "PointMass-v0", use_sde=False, n_steps=1, target_update_interval=1, action_noise=None, **SMALL)


class Paid(gym.Wrapper):
    """As gymnasium-robotics' mazes: float64, 1 at the goal and 0 elsewhere."""

    def __init__(self, env):
        super().__init__(env)
        boxes = {key: gym.spaces.Box(-10, 10, box.shape, np.float64) for key, box in env.observation_space.items()}
        self.observation_space = gym.spaces.Dict(boxes)

    def reset(self, **options):
        observation, info = self.env.reset(**options)
        return {key: values.astype(np.float64) for key, values in observation.items()}, info

    def step(self, action):
        observation, reward, *rest = self.env.step(action)
        return {key: values.astype(np.float64) for key, values in observation.items()}, reward + 1, *rest

    def compute_reward(self, achieved_goal, desired_goal, info):
        return self.env.unwrapped.compute_reward(achieved_goal, desired_goal, info) + 1


def test_other_numbers_and_rewards_are_turned_into_ours():
    model = GoalSAC("MultiInputPolicy", Paid(gym.make("PointMass-v0")), **SMALL).learn(160)
    buffer = model.replay_buffer
    assert buffer.observations["observation"].dtype == buffer.next_observations["desired_goal"].dtype == np.float32
    places = buffer.stored("achieved_goal")[:, 0]
    assert (buffer.goal_test.rewards(places, places) == 0).all() and (buffer.goal_test.rewards(places, places + 3) == -1).all()


def test_an_env_that_fits_is_left_as_it_is():
    venv = VecMonitor(DummyVecEnv([lambda: gym.make("PointMass-v0")] * 2))
    assert GoalSAC("MultiInputPolicy", venv, **SMALL).get_env() is venv
