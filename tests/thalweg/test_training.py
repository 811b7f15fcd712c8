"""What a training does before its first step, and where it is taken up again."""

import gymnasium as gym
import pytest

import thalweg
from thalweg import training
from thalweg.agents.config import AgentConfig
from thalweg.planner.energy.config import EnergyConfig
from thalweg.planner.errors import UsageError
from thalweg.planner.storage import json_to_bytes, stored_names, write_files

SMALL = AgentConfig(num_envs=2, warmup_steps=100, hidden=(8,))


class KilledError(Exception):
    pass


@pytest.fixture
def killed(monkeypatch):
    """A training whose process dies at its first step."""

    def die(*arguments):
        raise KilledError

    monkeypatch.setattr(training, "_learn", die)


def test_one_that_was_killed_before_its_first_checkpoint_begins_anew(killed, tmp_path, monkeypatch):
    with pytest.raises(KilledError):
        thalweg.train("PointMass-v0", steps=200, out=tmp_path / "run", agent=SMALL, progress=False)
    assert stored_names(tmp_path / "run") == ["config.json"]
    with pytest.raises(UsageError, match="go on with --resume"):
        thalweg.train("PointMass-v0", steps=200, out=tmp_path / "run", agent=SMALL, progress=False)
    with pytest.raises(KilledError):
        thalweg.resume(tmp_path / "run", progress=False)
    begun = []
    monkeypatch.setattr(training, "_train", lambda envs, config, out, before, *others: begun.append((config.steps, before)))
    with pytest.raises(Exception, match=r"trajectories\.npz"):
        thalweg.resume(tmp_path / "run", progress=False)
    assert begun == [(200, None)]


def test_settings_that_many_maps_cannot_have_are_refused_before_the_training(killed, tmp_path):
    with pytest.raises(UsageError, match=r"--energy\.latents: not of the energy in many maps"):
        thalweg.train("PointMassMazes-v0", steps=200, out=tmp_path, agent=SMALL, energy=EnergyConfig(latents=2), progress=False)


def test_an_agent_from_elsewhere_is_not_trained_on(tmp_path):
    config = {"env": "PointMass-v0", "seed": 0, "env_kwargs": "{}", "env_by_name": True, "agent": None}
    write_files(tmp_path, {"config.json": json_to_bytes(config)})
    with pytest.raises(UsageError, match="from elsewhere, which is not trained here"):
        thalweg.resume(tmp_path, progress=False)


def with_tools(tools):
    return gym.make("PointMass-v0")


def test_arguments_of_the_env_that_no_file_can_hold_are_told_before_the_training(killed, tmp_path):
    with pytest.raises(Exception, match="what JSON can hold") as told:
        thalweg.train(with_tools, steps=200, out=tmp_path, env_kwargs={"tools": {1}}, agent=SMALL, progress=False)
    assert told.value.exit_code == 2
