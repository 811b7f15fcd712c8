"""GoalSAC is a stable-baselines3 SAC to its users: each test runs stock SAC + HER and ours."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import SAC, HerReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback, EvalCallback, StopTrainingOnMaxEpisodes
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.logger import configure
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

import envs  # noqa: F401
from agents.config import AgentConfig
from agents.sac import GoalSAC, least_return

STEPS = 440


def make_env(count=4):
    return VecMonitor(DummyVecEnv([lambda: gym.make("PointMass-v0")] * count))


def make_stock(seed=0):
    return SAC(
        "MultiInputPolicy",
        make_env(),
        learning_starts=200,
        batch_size=32,
        replay_buffer_class=HerReplayBuffer,
        policy_kwargs={"net_arch": [32, 32]},
        seed=seed,
        device="cpu",
    )


def make_ours(seed=0):
    config = AgentConfig(num_envs=4, warmup_steps=200, hidden=(32, 32), batch_size=32)
    return GoalSAC(make_env(), config, STEPS, seed)


MAKE = {"stock": make_stock, "ours": make_ours}
both = pytest.mark.parametrize("name", MAKE)


@both
def test_learn_counts_steps_and_tells_callbacks(name):
    class Counting(BaseCallback):
        calls, rollouts = 0, 0

        def _on_step(self):
            assert "infos" in self.locals and self.training_env.num_envs == 4
            self.calls += 1
            return True

        def _on_rollout_end(self):
            self.rollouts += 1

    counting = Counting()
    model = MAKE[name]()
    assert model.learn(STEPS, counting) is model and isinstance(model, SAC)
    assert model.num_timesteps == STEPS and counting.calls == counting.rollouts == STEPS // 4
    model.learn(40, counting, reset_num_timesteps=False)
    assert model.num_timesteps == STEPS + 40


@both
def test_callbacks_can_evaluate_and_stop(name, tmp_path):
    evaluation = EvalCallback(make_env(2), n_eval_episodes=2, eval_freq=30, log_path=str(tmp_path), verbose=0)
    model = MAKE[name]()
    model.learn(STEPS, [evaluation, StopTrainingOnMaxEpisodes(2, verbose=0)])
    assert 0 < model.num_timesteps < STEPS
    assert np.load(tmp_path / "evaluations.npz")["results"].shape[1] == 2


@both
def test_predict_takes_one_observation_or_many(name):
    model = MAKE[name]().learn(STEPS)
    many = model.get_env().reset()
    one = {key: values[0] for key, values in many.items()}
    actions, state = model.predict(many, deterministic=True)
    assert actions.shape == (4, 2) and state is None and (np.abs(actions) <= 1).all()
    assert np.allclose(model.predict(one, deterministic=True)[0], actions[0], atol=1e-5)
    assert not np.array_equal(model.predict(many)[0], model.predict(many)[0])


@both
def test_evaluate_policy_runs_it(name):
    reward, _ = evaluate_policy(MAKE[name](), make_env(2), n_eval_episodes=4, warn=False)
    assert -50 <= reward <= 0


@both
def test_the_logger_gets_what_sac_logs(name, tmp_path):
    model = MAKE[name]()
    model.set_logger(configure(str(tmp_path), ["csv"]))
    model.learn(STEPS, log_interval=1)
    header = (tmp_path / "progress.csv").read_text().splitlines()[0].split(",")
    expected = {"rollout/ep_rew_mean", "rollout/ep_len_mean", "rollout/success_rate", "time/total_timesteps", "time/fps"}
    expected |= {f"train/{key}" for key in ("actor_loss", "critic_loss", "ent_coef", "learning_rate", "n_updates")}
    assert expected <= set(header)


@both
def test_parameters_move_from_one_model_to_another(name):
    model, other = MAKE[name]().learn(STEPS), MAKE[name](seed=1)
    other.set_parameters(model.get_parameters())
    observation = model.get_env().reset()
    assert np.array_equal(model.predict(observation, deterministic=True)[0], other.predict(observation, deterministic=True)[0])
    before = [parameter.clone() for parameter in other.actor.parameters() if parameter.requires_grad]
    other.learn(STEPS)  # goes on from these
    after = [parameter for parameter in other.actor.parameters() if parameter.requires_grad]
    assert any(not torch.equal(old, new) for old, new in zip(before, after, strict=True))


@both
def test_a_seed_fixes_the_training(name):
    weights = [[p.clone() for p in MAKE[name](seed=3).learn(STEPS).policy.parameters()] for _ in range(2)]
    assert all(torch.equal(*pair) for pair in zip(*weights, strict=True))


def test_ours_learns_the_ways_as_places_come_in():
    """Anew whenever twice as much has been visited; all networks see the same ways."""
    model = make_ours().learn(STEPS)
    first = int(model.actor.features_extractor.visited)
    assert 200 <= first < STEPS
    for network in (model.critic, model.critic_target):
        ours, theirs = model.actor.features_extractor.state_dict(), network.features_extractor.state_dict()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    before = model.actor.features_extractor.ways.layers[0].weight.clone()
    model.train(1, 32)
    assert torch.equal(model.actor.features_extractor.ways.layers[0].weight, before)
    model.num_timesteps = 2 * first
    model.train(1, 32)
    assert int(model.actor.features_extractor.visited) == 2 * first


def test_the_least_return_of_steps_that_were_done_is_their_discounted_sum():
    steps = torch.tensor([1.0, 2.0, 4.0, torch.inf])
    assert torch.allclose(least_return(steps, 0.9), torch.tensor([0.0, -1.0, -1 - 0.9 - 0.81, -torch.inf]))
