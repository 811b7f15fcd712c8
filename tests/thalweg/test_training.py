"""What a training does before its first step, and where it is taken up again."""

from types import SimpleNamespace

import gymnasium as gym
import pytest
import torch
from stable_baselines3.common.logger import configure

import thalweg
from thalweg import training
from thalweg.agents.config import AgentConfig
from thalweg.envs.guard import EnvError
from thalweg.evaluation import EvaluatedRun
from thalweg.planner.energy.config import EnergyConfig
from thalweg.planner.errors import UsageError
from thalweg.planner.evaluation.evaluation_folder import EPISODES_AT_ONCE
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


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"steps": "3000"}, "steps must be of kind int, got '3000'"),
        ({"seed": None}, "seed must be of kind int"),
        ({"seed": -1}, "--seed must be at least 0"),
        ({"agent": {"hidden": (8,)}}, "agent must be of kind AgentConfig"),
        ({"device": "mps"}, "--device must be cpu or cuda"),
        ({"env_kwargs": "{}"}, "env_kwargs must be of kind"),
        ({"hidden": (8,)}, r"agent=thalweg\.AgentConfig\(hidden=\.\.\.\)"),
        ({"train_steps": 8}, r"energy=thalweg\.EnergyConfig\(train_steps=\.\.\.\)"),
        ({"total_steps": 8}, "did you mean steps"),
        ({"steps": 300}, "must exceed the 2000 warm-up steps; train longer, or ask for fewer"),
        ({"callback": 3}, "callback: int is none"),
        ({"logger": "x"}, "logger: str writes nothing"),
        ({"out": ""}, "names no folder of its own"),
        ({"out": __file__}, "is a file; name a folder"),
    ],
)
def test_what_will_not_do_is_one_line(killed, given, word):
    with pytest.raises(UsageError, match=word):
        thalweg.train("PointMass-v0", progress=False, **given)


def test_an_env_object_is_trained_in_alone(killed):
    for env, agent, word in (
        (gym.make("PointMass-v0"), SMALL, r"2 envs are asked for, but one was given.*num_envs=1"),
        (gym.make("Pendulum-v1"), SMALL, "no goal env"),
    ):
        with pytest.raises(EnvError, match=word):
            thalweg.train(env, steps=200, agent=agent, progress=False)
    with pytest.raises(KilledError):
        thalweg.train(gym.make("PointMass-v0"), progress=False)


@pytest.mark.slow
def test_callbacks_and_loggers_of_stable_baselines3_are_taken_as_they_come(tmp_path, monkeypatch):
    """A function for a callback, a whole logger; the threads of the program are as before."""
    monkeypatch.setattr(training, "_fit", lambda *arguments: None)
    asked, threads = [], torch.get_num_threads()
    torch.set_num_threads(2)
    thalweg.train(
        "PointMass-v0",
        steps=1_100,
        agent=SMALL,
        callback=lambda local, world: asked.append(1) or True,
        logger=configure(str(tmp_path), ["csv"]),
        progress=False,
    )
    assert asked and "rollout/success_rate" in (tmp_path / "progress.csv").read_text().splitlines()[0]
    assert torch.get_num_threads() == 2
    torch.set_num_threads(threads)


@pytest.mark.parametrize(("num_envs", "only_one", "expected"), [(1, False, 1), (16, True, 1), (16, False, EPISODES_AT_ONCE)])
def test_who_trained_with_one_env_at_a_time_is_evaluated_so(num_envs, only_one, expected):
    """Of some simulators there can be no second."""
    run = SimpleNamespace(config={"agent": {"num_envs": num_envs}}, envs=SimpleNamespace(only_one=only_one))
    assert EvaluatedRun(run).at_once == expected
