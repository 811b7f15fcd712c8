"""A training that was broken off and taken up again ends as if it had not been, bit for bit."""

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

import thalweg.envs  # noqa: F401
from thalweg.agents.checkpoint import Segments, restore, restore_replay, stored_steps, training_files
from thalweg.agents.config import AgentConfig
from thalweg.agents.replay.memory_check import ReplayMemoryError, check_memory
from thalweg.agents.sac.sac import GoalSAC
from thalweg.planner.storage import DamagedError, write_files

pytestmark = pytest.mark.usefixtures("quick_ways")

LEG = 608
CONFIG = AgentConfig(num_envs=4, warmup_steps=400, hidden=(16, 16), batch_size=32)


def make(env_id="PointMassU-v0", steps=2 * LEG, config=CONFIG, **settings):
    env = VecMonitor(DummyVecEnv([lambda: gym.make(env_id, **settings)] * config.num_envs))
    model = GoalSAC(env=env, config=config, total_steps=steps, seed=0)
    model.set_logger(Logger(None, []))
    return model


class StopAfter(BaseCallback):
    def __init__(self, steps):
        super().__init__()
        self.steps = steps

    def _on_step(self):
        return self.num_timesteps < self.steps


def learn(model, until, leg=LEG):
    legs = Segments(leg, seed=0, on_end=lambda: None)
    return model.learn(until - model.num_timesteps, legs, reset_num_timesteps=False)


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    """With room for its own steps alone."""
    folder = tmp_path_factory.mktemp("half")
    write_files(folder, training_files(learn(make(steps=LEG), LEG)))
    return folder


@pytest.mark.slow
def test_half_saved_and_the_other_half_is_the_whole(half):
    """Networks, optimisers, entropy coefficient, buffer, counters, recent episodes: the very bytes of all files."""
    check_that_the_other_half_makes_the_whole(half, make)


def make_with_one_env():
    return make(steps=2 * LEG + 4, config=replace(CONFIG, num_envs=1))


@pytest.mark.slow
def test_with_four_steps_between_two_updates_the_other_half_is_the_whole(tmp_path):
    """Though a checkpoint is due between two of them."""
    leg = LEG + 2
    write_files(tmp_path, training_files(learn(make_with_one_env(), leg, leg)))
    check_that_the_other_half_makes_the_whole(tmp_path, make_with_one_env, leg)


def make_in_mazes():
    return make("PointMassMazes-v0", config=replace(CONFIG, warmup_steps=200), size=3, loops=1, mazes=6)


@pytest.mark.slow
def test_in_many_maps_too_the_other_half_is_the_whole(tmp_path):
    """The numbers of the maps go on as they were, and so do the draws that go by them; ways are learnt in both halves."""
    write_files(tmp_path, training_files(learn(make_in_mazes(), LEG // 2, LEG // 2)))
    check_that_the_other_half_makes_the_whole(tmp_path, make_in_mazes, LEG // 2)
    with pytest.raises(ValueError, match="observation: shape"):
        restore(make(), tmp_path)


def check_that_the_other_half_makes_the_whole(half, make, leg=LEG):
    whole, resumed = learn(make(), 2 * leg, leg), make()
    torch.rand(7), np.random.default_rng().random()  # a process of its own has other generators
    np.random.seed(99)
    torch.manual_seed(99)
    restore(resumed, half)
    assert resumed.num_timesteps == stored_steps(half) == -(-leg // 16) * 16  # whole rounds of steps
    learn(resumed, 2 * leg, leg)
    ours, theirs = training_files(resumed), training_files(whole)
    clock = "checkpoint/training.json"  # the episodes' wall-clock times among the counters
    assert {name for name in theirs if ours[name] != theirs[name]} <= {clock}
    assert resumed._n_updates == whole._n_updates and resumed._episode_num == whole._episode_num
    recent = [[(episode["r"], episode["l"]) for episode in model.ep_info_buffer] for model in (whole, resumed)]
    assert recent[0] == recent[1] and list(whole.ep_success_buffer) == list(resumed.ep_success_buffer)
    assert torch.equal(torch.rand(3), torch.rand(3)) is False  # the generator runs, so equal files are no accident


def test_what_is_restored_samples_the_same_batches(half):
    models = [make(), make()]
    for model in models:
        restore(model, half)
        model.replay_buffer.seed(3)
    first, second = (model.replay_buffer.sample(64) for model in models)
    assert torch.equal(first.observations["desired_goal"], second.observations["desired_goal"])
    assert torch.equal(first.realised, second.realised) and torch.equal(first.actions, second.actions)


def test_a_checkpoint_of_other_spaces_is_refused_field_by_field(half):
    with pytest.raises(ValueError, match=r"observation: high .* in the checkpoint, .* in the env") as refusal:
        restore(make("PointMassFourRooms-v0"), half)
    assert "achieved_goal: high" in str(refusal.value) and "action" not in str(refusal.value)


def test_a_replay_that_does_not_fit_is_refused(half):
    with pytest.raises(ValueError, match="152 steps x 4 envs does not fit into a buffer of 104 x 4"):
        restore(make(steps=400), half)


@pytest.mark.parametrize("num_envs", [1, 4])
def test_a_training_that_was_broken_off_within_a_row_of_steps_has_room_to_its_end(tmp_path, num_envs):
    """It begins another row from there; with the last one its buffer ran over, and nothing could be saved."""
    config = replace(CONFIG, num_envs=num_envs, warmup_steps=10_000)
    stopped = make(steps=160, config=config)
    stopped.learn(160, StopAfter(160 - 2 * num_envs))
    write_files(tmp_path, training_files(stopped))
    resumed = make(steps=160, config=config)
    restore(resumed, tmp_path)
    resumed.learn(160 - resumed.num_timesteps, reset_num_timesteps=False)
    assert resumed.num_timesteps == {1: 174, 4: 168}[num_envs]
    # the step that it was broken off in had been counted, and was not stored
    assert len(resumed.replay_buffer.content()["rewards"]) == resumed.num_timesteps // num_envs - 1


def test_where_a_training_ends_there_is_room_for_the_step_that_may_follow():
    """What is worked out together must not depend on how much longer the training was meant to be: rounding does."""
    buffer = learn(make(steps=LEG), LEG).replay_buffer
    assert buffer.num_added == LEG // 4 and not buffer.full
    assert buffer.next_place() == LEG


def test_optimisers_of_an_earlier_version_are_refused(tmp_path):
    """They had one tensor per layer."""
    model = learn(make(), LEG)
    model.critic.optimizer = torch.optim.Adam(model.critic.parameters())
    for values in model.critic.parameters():
        values.grad = torch.zeros_like(values)
    model.critic.optimizer.step()
    write_files(tmp_path, training_files(model))
    with pytest.raises(ValueError, match="earlier version and cannot go on; train anew"):
        restore(make(), tmp_path)
    reader = make()
    restore_replay(reader, tmp_path)  # what was stored can be learnt from nevertheless
    assert np.array_equal(reader.replay_buffer.stored("observation"), model.replay_buffer.stored("observation"))


def test_a_run_without_its_replay_cannot_be_gone_on_with(tmp_path, half):
    files = training_files(learn(make(), LEG))
    write_files(tmp_path, {name: content for name, content in files.items() if "replay" not in name})
    with pytest.raises(DamagedError, match="replay"):
        restore(make(), tmp_path)


def test_a_replay_buffer_beyond_the_memory_is_refused_with_its_bytes():
    env = gym.make("PointMass-v0")
    needed = 10**12 * (2 * 4 * (4 + 2 + 2 + 384) + 4 * 2 + 3 * 4 + 3 * 8)
    with pytest.raises(ReplayMemoryError, match=f"needs {needed} bytes"):
        check_memory(env.observation_space, env.action_space, 10**12, 768, torch.device("cpu"))
    check_memory(env.observation_space, env.action_space, 10**6, 768, torch.device("cpu"))
