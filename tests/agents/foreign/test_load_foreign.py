"""A zip of stable-baselines3 is a pickle: read only where that is said to be wanted."""

import pickle
import zipfile

import numpy as np
import pytest
from stable_baselines3 import DDPG, PPO, SAC, TD3, HerReplayBuffer
from stable_baselines3.sac.policies import MultiInputPolicy

import thalweg.envs  # noqa: F401
from thalweg.agents.foreign import goal_policy, load_foreign
from thalweg.agents.sac.sac import GoalSAC
from thalweg.planner.errors import UsageError

VALUES = {"observation": [0.5] * 4, "achieved_goal": [0, 0], "desired_goal": [1, 1]}
SEEN = {key: np.array(values, np.float32) for key, values in VALUES.items()}


def her(algorithm, **settings):
    arguments = {"replay_buffer_class": HerReplayBuffer, "buffer_size": 500, "policy_kwargs": {"net_arch": [8]}, "seed": 0}
    return algorithm("MultiInputPolicy", "PointMass-v0", device="cpu", **arguments, **settings)


@pytest.fixture
def saved(tmp_path):
    her(SAC).save(tmp_path / "model.zip")
    return tmp_path / "model.zip"


@pytest.mark.parametrize("algorithm", [SAC, TD3, DDPG])
def test_with_trust_a_model_of_her_comes_without_its_env(algorithm, tmp_path):
    model = her(algorithm, learning_rate=lambda remaining: 1e-3 * remaining)
    model.save(tmp_path / "model.zip")
    loaded = load_foreign(tmp_path / "model.zip", trust_pickle=True)
    assert np.array_equal(loaded.predict(SEEN, deterministic=True)[0], model.predict(SEEN, deterministic=True)[0])
    assert loaded.replay_buffer is None and loaded.get_env() is None
    batch = [values[None] for values in SEEN.values()]
    assert np.array_equal(goal_policy(loaded).q_values(*batch), goal_policy(model).q_values(*batch))


def test_with_trust_a_model_without_a_replay_comes_too(tmp_path):
    PPO("MultiInputPolicy", "PointMass-v0", n_steps=16, batch_size=8, device="cpu").save(tmp_path / "model.zip")
    assert isinstance(load_foreign(tmp_path / "model.zip", trust_pickle=True), PPO)


class Bomb:
    def __reduce__(self):
        return exec, ("raise SystemExit('code was run')",)


def with_bombs(path):
    """The same file, whose pickled values run code."""
    import base64
    import json

    bomb = base64.b64encode(pickle.dumps(Bomb())).decode()
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    data = json.loads(files["data"])
    for value in data.values():
        if isinstance(value, dict) and ":serialized:" in value:
            value[":serialized:"] = bomb
    files["data"] = json.dumps(data).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def test_without_trust_nothing_is_run(saved):
    with_bombs(saved)
    with pytest.raises(UsageError, match=r"is a pickle and can run code; pass trust_pickle=True \(--trust-pickle\)"):
        load_foreign(saved, trust_pickle=False)
    with pytest.raises(SystemExit, match="code was run"):
        SAC.load(saved)  # so the bomb is one


class OwnPolicy(MultiInputPolicy):
    pass


class OwnSAC(SAC):
    pass


def test_a_class_of_the_users_own_is_to_be_named(tmp_path):
    OwnSAC(OwnPolicy, "PointMass-v0", buffer_size=10, device="cpu").save(tmp_path / "own.zip")
    with pytest.raises(UsageError, match="hand in the model"):
        load_foreign(tmp_path / "own.zip", trust_pickle=True)


def test_our_own_file_needs_no_trust(tmp_path):
    GoalSAC("MultiInputPolicy", "PointMass-v0", seed=0).save(tmp_path / "ours.zip")
    assert isinstance(load_foreign(tmp_path / "ours.zip", trust_pickle=False), GoalSAC)


def test_what_is_no_model_is_refused_in_one_line(saved, tmp_path):
    (tmp_path / "text.zip").write_text("no zip")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("data", "[1]")
    words = {"none.zip": "no file", "text.zip": "no model that", "other.zip": "no model that"}
    for name, told in words.items():
        with pytest.raises(UsageError, match=told):
            load_foreign(tmp_path / name, trust_pickle=True)
    with zipfile.ZipFile(saved) as archive:
        data = archive.read("data")
    with zipfile.ZipFile(tmp_path / "cut.zip", "w") as archive:
        archive.writestr("data", data)
    with pytest.raises(UsageError, match="cannot be loaded as a SAC") as refusal:
        load_foreign(tmp_path / "cut.zip", trust_pickle=True)
    assert "\n" not in str(refusal.value)


def test_a_package_that_is_missing_is_named(saved):
    with zipfile.ZipFile(saved) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(saved, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content.replace(b"stable_baselines3.sac.policies", b"sb3_contrib.tqc.policies"))
    try:
        import sb3_contrib  # noqa: F401
    except ImportError:
        with pytest.raises(UsageError, match="written by TQC of sb3_contrib: pip install sb3-contrib"):
            load_foreign(saved, trust_pickle=True)
