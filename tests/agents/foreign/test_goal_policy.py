"""Whatever acts is driven as a GoalPolicy, and stays what it was."""

from copy import deepcopy

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import DDPG, PPO, SAC, TD3, HerReplayBuffer
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

import thalweg.envs  # noqa: F401
from thalweg.agents.foreign import goal_policy
from thalweg.agents.sac.sac import GoalSAC
from thalweg.planner.errors import UsageError


def small():
    """SB3 writes into what it is given."""
    return {"policy_kwargs": {"net_arch": [16]}, "seed": 0, "device": "cpu"}


HER = {"replay_buffer_class": HerReplayBuffer, "buffer_size": 1_000, "learning_starts": 60, "batch_size": 16, "gamma": 0.9}


def see(count=5):
    rng = np.random.default_rng(0)
    sizes = {"observation": 4, "achieved_goal": 2, "desired_goal": 2}
    return {key: rng.uniform(0, 1, (count, size)).astype(np.float32) for key, size in sizes.items()}


def first(observation):
    return {key: values[0] for key, values in observation.items()}


def q_of(policy):
    seen = see()
    return policy.q_values(seen["observation"], seen["achieved_goal"], seen["desired_goal"])


@pytest.mark.slow
@pytest.mark.parametrize(("algorithm", "critics"), [(SAC, 2), (TD3, 2), (DDPG, 1)])
def test_models_with_critics_act_and_say_returns(algorithm, critics):
    model = algorithm("MultiInputPolicy", "PointMass-v0", **HER, **small()).learn(90)
    before = deepcopy(model.policy.state_dict())
    policy, seen = goal_policy(model), see()
    assert np.array_equal(policy.predict(seen, deterministic=True)[0], model.predict(seen, deterministic=True)[0])
    assert np.array_equal(policy.predict(first(seen), deterministic=True)[0], model.predict(first(seen), deterministic=True)[0])
    assert policy.discount == 0.9 and q_of(policy).shape == (critics, 5)
    with torch.no_grad():
        observation, _ = model.policy.obs_to_tensor(seen)
        actions = torch.as_tensor(model.policy.scale_action(model.predict(seen, deterministic=True)[0]))
        expected = torch.cat(model.critic(observation, actions), dim=1).T.numpy()
    assert np.allclose(q_of(policy), expected, atol=1e-5)
    after = model.policy.state_dict()
    assert model.num_timesteps == 90 and all(torch.equal(values, after[name]) for name, values in before.items())


@pytest.mark.slow
def test_quantiles_of_a_tqc_are_averaged():
    """sb3-contrib's critic gives (B, critics, quantiles)."""
    model = SAC("MultiInputPolicy", "PointMass-v0", **HER, **small())
    model.policy.critic.forward = lambda observation, actions: torch.arange(30.0).reshape(5, 2, 3)
    assert np.array_equal(q_of(goal_policy(model)), np.arange(30.0).reshape(5, 2, 3).mean(axis=2).T)


@pytest.mark.slow
def test_a_model_without_critics_only_acts():
    model = PPO("MultiInputPolicy", "PointMass-v0", n_steps=32, batch_size=16, **small())
    policy = goal_policy(model)
    assert policy.q_values is None and policy.discount is None
    assert np.array_equal(policy.predict(see(), deterministic=True)[0], model.predict(see(), deterministic=True)[0])


def test_what_was_learnt_from_normalised_observations_sees_them_so():
    venv = VecNormalize(DummyVecEnv([lambda: gym.make("PointMass-v0")]), norm_reward=False)
    model = SAC("MultiInputPolicy", venv, buffer_size=200, learning_starts=60, **small()).learn(80)
    seen, count = see(), venv.obs_rms["observation"].count
    expected = model.predict(venv.normalize_obs(deepcopy(seen)), deterministic=True)[0]
    assert np.allclose(goal_policy(model).predict(seen, deterministic=True)[0], expected, atol=1e-6)
    assert not np.allclose(model.predict(seen, deterministic=True)[0], expected, atol=1e-3)
    assert venv.obs_rms["observation"].count == count


def test_our_own_model_is_its_agent():
    model = GoalSAC("MultiInputPolicy", "PointMass-v0", seed=0)
    policy = goal_policy(model)
    assert policy.policy is model.policy and policy.discount == 0.98 and q_of(policy).shape == (2, 5)
    assert goal_policy(policy) is policy


class Controller:
    """Heads for the goal; a single observation, no arguments. Its norm is over whatever it is given, so batches go wrong."""

    calls = 0

    def predict(self, obs):
        self.calls += 1
        offset = obs["desired_goal"] - obs["achieved_goal"]
        return offset / np.linalg.norm(offset)


def directions(seen):
    offset = seen["desired_goal"] - seen["achieved_goal"]
    return offset / np.linalg.norm(offset, axis=-1, keepdims=True)


def test_a_controller_of_one_observation_is_asked_row_by_row():
    controller, seen = Controller(), see()
    policy = goal_policy(controller)
    for _ in range(2):
        actions, carried = policy.predict(seen, None, np.ones(5, dtype=bool), deterministic=True)
        assert np.allclose(actions, directions(seen)) and carried is None and actions.dtype == np.float32
    assert controller.calls == 11  # once at once, to see that it does not do
    assert np.allclose(policy.predict(first(seen))[0], directions(seen)[0])
    assert policy.q_values is None and policy.discount is None


def test_a_function_that_takes_many_is_asked_for_many():
    calls = []

    def act(observation):
        calls.append(observation["observation"].shape)
        return directions(observation)

    policy = goal_policy(act)
    for _ in range(3):
        assert np.allclose(policy.predict(see())[0], directions(see()), atol=1e-6)
    assert calls == [(4,)] * 5 + [(5, 4)] * 3


def test_what_breaks_on_a_batch_is_asked_row_by_row():
    def act(observation):
        x, y = observation["desired_goal"]
        return [x, y] if observation["desired_goal"].shape == (2,) else 1 / 0

    assert np.allclose(goal_policy(act).predict(see(2))[0], see(2)["desired_goal"])
    assert np.allclose(goal_policy(act).predict(see())[0], see()["desired_goal"])


@pytest.mark.parametrize("answer", [(np.zeros(2), None), (np.zeros(2), ()), (0.0, 0.0), [0.0, 0.0]])
def test_a_state_beside_the_action_is_told_from_a_second_entry(answer):
    assert goal_policy(lambda observation: answer).predict(first(see()))[0].tolist() == [0.0, 0.0]


def test_deterministic_is_said_to_those_who_ask():
    class Asks:
        def predict(self, observation, deterministic=False):
            return np.full(2, float(deterministic)), None

    assert goal_policy(Asks()).predict(first(see()), deterministic=True)[0].tolist() == [1.0, 1.0]


def test_one_that_promises_all_is_told_what_it_carried_on():
    class Whole:
        def predict(self, observation, state=None, episode_start=None, deterministic=False):
            return np.zeros((5, 2)), tuple((carried or 0) + 1 for carried in state or [None] * 5)

    policy = goal_policy(Whole())
    _, carried = policy.predict(see(), None, np.ones(5, dtype=bool))
    assert policy.predict(see(), carried, np.zeros(5, dtype=bool))[1] == (2,) * 5


def test_what_it_was_given_is_a_copy():
    def act(observation):
        observation["observation"][:] = np.nan
        return np.zeros(2)

    seen = see()
    goal_policy(act).predict(seen)
    assert np.isfinite(seen["observation"]).all()


@pytest.mark.parametrize("agent", [3, None, object(), Controller, "model"])
def test_what_cannot_act_is_refused(agent):
    with pytest.raises(UsageError, match="cannot act: give it predict"):
        goal_policy(agent)


@pytest.mark.parametrize("answer", [None, "left", {"action": 1}, 0.5])
def test_what_is_no_action_is_refused(answer):
    with pytest.raises(UsageError, match="gave"):
        goal_policy(lambda observation: answer).predict(first(see()))
