"""What `save` writes is read again, by whoever asks, without running code."""

import io
import pickle
import zipfile

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.callbacks import CheckpointCallback
from stable_baselines3.common.env_util import make_vec_env

import thalweg.envs  # noqa: F401
from thalweg.agents.checkpoint import learnt_files
from thalweg.agents.sac.sac import GoalSAC
from thalweg.planner.storage import DamagedError

pytestmark = pytest.mark.usefixtures("quick_ways")

SMALL = {"learning_starts": 64, "batch_size": 16, "policy_kwargs": {"net_arch": [16, 16]}, "seed": 0}


def make(count=2, env_id="PointMass-v0", **settings):
    return GoalSAC("MultiInputPolicy", make_vec_env(env_id, count), **{**SMALL, **settings})


@pytest.fixture(scope="module")
def model():
    return make().learn(192)


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "model"
    model.save(path)
    assert path.with_suffix(".zip").exists()  # as SB3 names it
    return path


def some_observations(count=5):
    rng = np.random.default_rng(0)
    sizes = {"observation": 4, "achieved_goal": 2, "desired_goal": 2}
    return {key: rng.uniform(0, 1, (count, size)).astype(np.float32) for key, size in sizes.items()}


@pytest.mark.parametrize("with_env", [False, True])
def test_a_loaded_model_acts_the_same_bit_for_bit(model, saved, with_env):
    loaded = GoalSAC.load(saved, env=make_vec_env("PointMass-v0", 2) if with_env else None)
    seen = some_observations()
    assert np.array_equal(model.predict(seen, deterministic=True)[0], loaded.predict(seen, deterministic=True)[0])
    assert (loaded.get_env() is not None) == with_env and loaded.num_timesteps == 192


def test_what_is_loaded_is_all_that_was_saved(model, saved):
    models = model, GoalSAC.load(saved)
    ours, theirs = (learnt_files(own) for own in models)
    assert all(ours[name] == theirs[name] for name in ours if name != "checkpoint/agent.json")  # which names spaces in any order
    contents = [own.replay_buffer.content() for own in models]
    assert all(np.array_equal(values, contents[1][name]) for name, values in contents[0].items())


@pytest.mark.slow
def test_learning_goes_on_as_if_nothing_had_been():
    """From fresh episodes, as after every load; with the same generators."""
    models = [make().learn(192)]
    file = io.BytesIO()
    models[0].save(file)
    file.seek(0)
    models.append(GoalSAC.load(file, env=make_vec_env("PointMass-v0", 2)))
    for model in models:
        model.make_room(500)
        model.begin_episodes(seed=7)
        model.learn(192, reset_num_timesteps=False)
    ours, theirs = (model.policy.state_dict() for model in models)
    assert models[0]._n_updates == models[1]._n_updates > 40
    assert all(torch.equal(values, theirs[name]) for name, values in ours.items())


def test_a_model_without_an_env_is_given_one_later(saved):
    loaded = GoalSAC.load(saved)
    with pytest.raises(ValueError, match="give it one: set_env"):
        loaded.learn(32)
    with pytest.raises(ValueError, match="2 envs at once, got 3"):
        loaded.set_env(make_vec_env("PointMass-v0", 3))
    loaded.set_env(make_vec_env("PointMass-v0", 2))
    loaded.learn(64, reset_num_timesteps=False)
    assert loaded.num_timesteps == 256 and loaded.replay_buffer.num_stored == 128


def test_another_number_of_envs_takes_the_model_without_its_replay(saved):
    with pytest.warns(UserWarning, match="of 2 envs at once, and 1 are given"):
        loaded = GoalSAC.load(saved, env=gym.make("PointMass-v0"))
    known = int(loaded.actor.features_extractor.visited)
    before = loaded.actor.features_extractor.ways.quasimetric.layers[0].weight.clone()
    loaded.learn(known // 2, reset_num_timesteps=False)
    # what little has come in does not replace what had been learnt from more
    assert torch.equal(loaded.actor.features_extractor.ways.quasimetric.layers[0].weight, before)


def test_the_replay_can_be_left_out(model, saved, tmp_path):
    model.save(tmp_path / "bare.zip", exclude=["replay_buffer"])
    loaded = GoalSAC.load(tmp_path / "bare.zip")
    assert (
        loaded.replay_buffer.num_stored == 0 and (tmp_path / "bare.zip").stat().st_size < saved.with_suffix(".zip").stat().st_size
    )
    model.save(tmp_path / "all.zip", exclude=["replay_buffer"], include=["replay_buffer"])
    assert GoalSAC.load(tmp_path / "all.zip").replay_buffer.num_stored == 96


@pytest.mark.slow
def test_a_replay_that_has_wrapped_is_saved_with_its_oldest_step_first(tmp_path):
    model = make(count=1, buffer_size=100).learn(160)
    model.save(tmp_path / "model")
    loaded = GoalSAC.load(tmp_path / "model", env=gym.make("PointMass-v0"))
    assert loaded.replay_buffer.buffer_size == 100
    mine, theirs = (own.replay_buffer for own in (model, loaded))
    assert np.array_equal(np.roll(mine.observations["observation"], -mine.pos, axis=0), theirs.observations["observation"])
    steps = np.arange(100)
    assert (theirs.first_step[:, 0] <= steps).all() and (theirs.last_step[:, 0] >= steps).all()
    for trajectory in theirs.trajectories():  # nothing is joined that was apart
        assert np.abs(np.diff(trajectory.goals, axis=0)).max() < 0.5
    loaded.learn(64, reset_num_timesteps=False)


def test_settings_can_be_given_anew_and_a_schedule_must_be(tmp_path):
    with pytest.warns(UserWarning, match="schedule of learning rates is code and is not saved"):
        make(learning_rate=lambda remaining: 1e-3 * remaining, ent_coef=0.2).learn(96).save(tmp_path / "model")
    loaded = GoalSAC.load(tmp_path / "model", learning_rate=5e-4, gradient_steps=1)
    assert loaded.learning_rate == 5e-4 and loaded.ent_coef == 0.2 and loaded.config.updates_per_step == 0.5


def test_an_env_of_other_spaces_is_refused(saved):
    with pytest.raises(ValueError, match=r"another env: .*high"):
        GoalSAC.load(saved, env=make_vec_env("PointMassFourRooms-v0", 2))


def test_parameters_are_set_from_a_file(model, saved):
    other = make(seed=1)
    other.set_parameters(saved)
    ours, theirs = model.policy.state_dict(), other.policy.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.slow
def test_checkpoints_of_callbacks_can_be_loaded(tmp_path):
    make().learn(128, CheckpointCallback(48, str(tmp_path)))
    assert GoalSAC.load(tmp_path / "rl_model_96_steps.zip").num_timesteps == 96


class Bomb:
    def __reduce__(self):
        return exec, ("raise SystemExit('code was run')",)


def other_files(folder):
    SAC("MultiInputPolicy", "PointMass-v0", buffer_size=10, policy_kwargs={"net_arch": [4]}).save(folder / "sb3.zip")
    (folder / "text.zip").write_text("no zip")
    (folder / "bomb.zip").write_bytes(pickle.dumps(Bomb()))
    with zipfile.ZipFile(folder / "other.zip", "w") as archive:
        archive.writestr("model.json", "[1]")
    strange = dict.fromkeys(("sb3", "text", "bomb"), "not written by")
    return {**strange, "other": "another version", "none": "cannot be read"}


def test_other_files_are_refused_in_one_line(tmp_path):
    for name, words in other_files(tmp_path).items():
        with pytest.raises(DamagedError, match=words) as refusal:
            GoalSAC.load(tmp_path / f"{name}.zip")
        assert "\n" not in str(refusal.value) and name in str(refusal.value)


def test_a_file_with_a_part_missing_or_altered_is_refused(saved, tmp_path):
    whole = zipfile.ZipFile(saved.with_suffix(".zip"))
    names = [name for name in whole.namelist() if "replay" not in name]
    for missing in names:
        with zipfile.ZipFile(tmp_path / "part.zip", "w") as archive:
            for name in names:
                if name != missing:
                    archive.writestr(name, whole.read(name))
        with pytest.raises(DamagedError, match=r"holds no|not written by"):
            GoalSAC.load(tmp_path / "part.zip")
    content = bytearray(saved.with_suffix(".zip").read_bytes())
    content[len(content) // 2] ^= 0xFF
    (tmp_path / "altered.zip").write_bytes(content)
    with pytest.raises(DamagedError, match=r"altered\.zip"):
        GoalSAC.load(tmp_path / "altered.zip")


def test_a_file_is_whole_or_as_it_was(model, tmp_path):
    model.save(tmp_path / "model.zip")
    before = (tmp_path / "model.zip").read_bytes()
    broken = make(seed=3)
    with torch.no_grad():
        next(broken.actor.parameters()).fill_(torch.nan)
    with pytest.raises(FloatingPointError, match="actor"):
        broken.save(tmp_path / "model.zip")
    assert (tmp_path / "model.zip").read_bytes() == before and [path.name for path in tmp_path.iterdir()] == ["model.zip"]
