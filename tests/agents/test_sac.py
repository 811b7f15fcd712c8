"""GoalSAC is a stable-baselines3 SAC to its users: each test runs stock SAC + HER and ours."""

import math
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import SAC, HerReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback, EvalCallback, StopTrainingOnMaxEpisodes
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.logger import configure
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

import thalweg.envs  # noqa: F401
from thalweg.agents.config import AgentConfig
from thalweg.agents.env_layout import layout_of
from thalweg.agents.sac.sac import GoalSAC
from thalweg.agents.sac.update import least_return
from thalweg.planner.many_maps.layout import Layout

pytestmark = pytest.mark.usefixtures("quick_ways")

STEPS = 448


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


def make_ours(seed=0, precision="float32"):
    config = AgentConfig(num_envs=4, warmup_steps=200, hidden=(32, 32), batch_size=32, precision=precision)
    return GoalSAC(env=make_env(), config=config, total_steps=STEPS, seed=seed)


MAKE = {"stock": make_stock, "ours": make_ours}
# the peer keeps its own promises: whether these tests ask for no more than that is looked at less often
both = pytest.mark.parametrize("name", [pytest.param("stock", marks=pytest.mark.slow), "ours"])


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
    assert model.num_timesteps == STEPS and counting.calls == STEPS // 4
    assert counting.rollouts == (STEPS // 16 if name == "ours" else STEPS // 4)  # ours acts 16 steps in a row
    model.learn(48, counting, reset_num_timesteps=False)
    assert model.num_timesteps == STEPS + 48


@pytest.mark.slow
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
    assert actions.shape == (4, 2) and (np.abs(actions) <= 1).all()
    assert (state is None) if name == "stock" else (len(state) == 4)  # ours notices when it has come to rest
    assert np.allclose(model.predict(one, deterministic=True)[0], actions[0], atol=1e-5)
    assert not np.array_equal(model.predict(many)[0], model.predict(many)[0])


@both
def test_evaluate_policy_runs_it(name):
    reward, _ = evaluate_policy(MAKE[name](), make_env(2), n_eval_episodes=4, warn=False)
    assert -50 <= reward <= 0


@both
def test_action_noise_is_added_and_kept_within_bounds(name):
    model = MAKE[name]()
    model.action_noise = NormalActionNoise(np.full(2, 10.0), np.zeros(2))
    model.learn(240)
    assert model.num_timesteps > model.learning_starts and (model.replay_buffer.actions[:60] == 1.0).all()


@pytest.mark.parametrize("method", [GoalSAC.save_replay_buffer, GoalSAC.load_replay_buffer])
def test_a_replay_that_could_run_code_is_refused(method):
    with pytest.raises(ValueError, match="use `save`, which writes the replay, too"):
        method(make_ours(), "replay.pkl")


def test_a_second_training_begins_new_episodes_in_the_buffer_too():
    """Or goals would be taken for achieved that the envs were put to."""
    model = make_ours()
    model.learn(112)
    model.learn(48)
    assert (model.replay_buffer.first_step[28:40] >= 28).all() and (model.replay_buffer.last_step[:28] < 28).all()


@both
def test_the_logger_gets_what_sac_logs(name, tmp_path):
    model = MAKE[name]()
    model.set_logger(configure(str(tmp_path), ["csv"]))
    model.learn(STEPS, log_interval=1)
    header = (tmp_path / "progress.csv").read_text().splitlines()[0].split(",")
    expected = {"rollout/ep_rew_mean", "rollout/ep_len_mean", "rollout/success_rate", "time/total_timesteps", "time/fps"}
    expected |= {f"train/{key}" for key in ("actor_loss", "critic_loss", "ent_coef", "learning_rate", "n_updates")}
    assert expected <= set(header)


@pytest.mark.slow
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


@pytest.mark.slow
@both
def test_a_seed_fixes_the_training(name):
    weights = [[p.clone() for p in MAKE[name](seed=3).learn(STEPS).policy.parameters()] for _ in range(2)]
    assert all(torch.equal(*pair) for pair in zip(*weights, strict=True))


@pytest.mark.slow
def test_updates_in_bfloat16_are_not_those_in_float32_and_the_same_each_time():
    exact, once, again = (make_ours(precision=name).learn(STEPS) for name in ("float32", "bfloat16", "bfloat16"))
    ours, first, second = (torch.cat([p.detach().reshape(-1) for p in m.actor.parameters()]) for m in (exact, once, again))
    assert torch.equal(first, second) and not torch.equal(first, ours) and first.dtype == torch.float32
    assert first.isfinite().all()


@pytest.mark.slow
def test_ours_learns_the_ways_as_places_come_in():
    """Whenever half as much again has been visited; all networks see the same ways."""
    model = make_ours().learn(STEPS)
    first = int(model.actor.features_extractor.visited)
    assert 200 <= first < STEPS
    for network in (model.critic, model.critic_target):
        ours, theirs = model.actor.features_extractor.state_dict(), network.features_extractor.state_dict()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    before = model.actor.features_extractor.ways.quasimetric.layers[0].weight.clone()
    model.train(1, 32)
    assert torch.equal(model.actor.features_extractor.ways.quasimetric.layers[0].weight, before)
    for steps, learnt in ((1.5 * first - 1, False), (1.5 * first, True)):
        model.num_timesteps = math.ceil(steps)
        model.train(1, 32)
        assert (int(model.actor.features_extractor.visited) > first) == learnt


def test_the_least_return_of_steps_that_were_done_is_their_discounted_sum():
    steps = torch.tensor([1.0, 2.0, 4.0, torch.inf])
    assert torch.allclose(least_return(steps, 0.9), torch.tensor([0.0, -1.0, -1 - 0.9 - 0.81, -torch.inf]))


# Many maps


def make_mazes(count=4, mazes=6, first_maze=0):
    """7 x 7 squares, 3 m wide."""
    settings = {"size": 3, "loops": 1, "mazes": mazes, "first_maze": first_maze}
    return VecMonitor(DummyVecEnv([lambda: gym.make("PointMassMazes-v0", **settings)] * count))


def train_in_mazes(seed=3):
    config = AgentConfig(num_envs=4, warmup_steps=100, hidden=(32, 32), batch_size=32, practice_share=1.0)
    return GoalSAC(env=make_mazes(), config=config, total_steps=240, seed=seed).learn(240)


@pytest.fixture(scope="module")
def in_mazes():
    return train_in_mazes()


def test_the_layout_is_what_the_env_says_and_none_where_it_says_nothing():
    assert layout_of(make_env()) is None
    venv = make_mazes()
    goal = venv.observation_space["desired_goal"]
    assert layout_of(venv) == Layout((7, 7), tuple(goal.low.tolist()), tuple(goal.high.tolist()))


@pytest.mark.parametrize(
    ("shape", "state_size", "goal_size", "word"),
    [
        ((3, 3), 9, 2, r"\(3, 3\) asks for more entries than the 9"),  # nothing is left of the state
        ((3, 3), 4, 2, r"\(3, 3\) asks for more entries than the 4"),
        ((3, 3), 12, 3, "goals of two entries"),
        ((3, 3), 12, 1, "goals of two entries"),
        ((9,), 12, 2, "two lengths"),
        ((1, 9), 12, 2, "at least 2 squares"),
    ],
)
def test_a_layout_that_cannot_be_is_refused(shape, state_size, goal_size, word):
    boxes = {key: spaces.Box(0, 1, (size,)) for key, size in (("observation", state_size), ("desired_goal", goal_size))}
    env = SimpleNamespace(get_attr=lambda name, indices: [shape], observation_space=spaces.Dict(boxes))
    with pytest.raises(ValueError, match=word):
        layout_of(env)


def test_a_layout_leaves_at_least_one_entry_to_the_state():
    boxes = {"observation": spaces.Box(0, 1, (10,)), "desired_goal": spaces.Box(0, 1, (2,))}
    env = SimpleNamespace(get_attr=lambda name, indices: [(3, 3)], observation_space=spaces.Dict(boxes))
    assert layout_of(env).size == 9


@pytest.mark.slow
def test_in_mazes_training_learns_the_ways_and_is_fixed_by_the_seed(in_mazes):
    extractor = in_mazes.actor.features_extractor
    assert in_mazes.num_timesteps == 240 and in_mazes._n_updates > 0
    assert 200 <= int(extractor.visited) < 240 and float(extractor.ways.pace) > 1
    again, other = train_in_mazes(), train_in_mazes(seed=4)
    weights = [model.policy.state_dict() for model in (in_mazes, again, other)]
    assert all(torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())
    assert any(not torch.equal(tensor, weights[2][name]) for name, tensor in weights[0].items())
    assert all(tensor.isfinite().all() for tensor in weights[0].values())
    for network in (in_mazes.critic, in_mazes.critic_target):
        theirs = network.features_extractor.state_dict()
        assert all(torch.equal(tensor, theirs[name]) for name, tensor in extractor.state_dict().items())


def test_in_a_maze_that_is_new_the_envs_own_goal_is_pursued(in_mazes):
    """All goals are to be practice goals; where nothing is stored yet there is none."""
    here = [{key: values.copy() for key, values in make_mazes(first_maze=first).reset().items()} for first in (0, 100)]
    both = {key: np.concatenate([here[0][key][:2], here[1][key][:2]]) for key in here[0]}
    both["observation"][:2] = in_mazes.replay_buffer.stored("observation")[0, :2]
    both["achieved_goal"][:2] = both["observation"][:2, :2]
    in_mazes.practice.break_off()
    pursued = in_mazes.practice.pursued(both, np.ones(4, dtype=bool))
    assert in_mazes.practice.practising.tolist() == [True, True, False, False]
    assert np.array_equal(pursued[2:], both["desired_goal"][2:]) and (pursued[:2] != both["desired_goal"][:2]).any(axis=1).all()
