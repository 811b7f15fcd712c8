"""Runs whose files are listed honestly and hold what no training writes: one line when they are loaded, used or trained on."""

import json
import shutil

import numpy as np
import pytest
import torch

import thalweg
from thalweg.planner.storage import (
    arrays_to_bytes,
    bytes_to_arrays,
    bytes_to_tensors,
    json_to_bytes,
    read_file,
    tensors_to_bytes,
    write_files,
)

pytestmark = pytest.mark.slow

AGENT, POLICY = "checkpoint/agent.json", "checkpoint/policy.safetensors"


def settings(name, **changes):
    """A JSON object of the run with other entries; None takes one away."""

    def mutate(run):
        value = json.loads(read_file(run, name)) | changes
        write_files(run, {name: json_to_bytes({key: entry for key, entry in value.items() if entry is not None})})

    return mutate


def holds(name, content):
    return lambda run: write_files(run, {name: content})


def tensors(name, change):
    def mutate(run):
        write_files(run, {name: tensors_to_bytes(change(bytes_to_tensors(read_file(run, name))))})

    return mutate


def arrays(name, **changes):
    """Each array as a function of the old one; None takes it away."""

    def mutate(run):
        value = bytes_to_arrays(read_file(run, name))
        value |= {key: change(value[key]) for key, change in changes.items() if change is not None}
        write_files(run, {name: arrays_to_bytes({key: entry for key, entry in value.items() if changes.get(key, 0) is not None})})

    return mutate


def first_only(weights):
    return dict(list(weights.items())[:1])


def wider(weights):
    return {name: torch.cat([values, values]) if values.ndim else values for name, values in weights.items()}


LOADED = {
    "config of a list": holds("config.json", b"[1]"),
    "seed is text": settings("config.json", seed="0"),
    "no env": settings("config.json", env=None),
    "env settings of a list": settings("config.json", env_kwargs="[]"),
    "env settings of none": settings("config.json", env_kwargs="{"),
    "agent of a list": holds(AGENT, b"[1]"),
    "agent of nothing": holds(AGENT, b"{}"),
    "no layers": settings(AGENT, hidden=None),
    "layers of text": settings(AGENT, hidden="88"),
    "layers of too many units": settings(AGENT, hidden=[10**9, 10**9]),
    "too many layers": settings(AGENT, hidden=[1] * 10_000),
    "layers below nothing": settings(AGENT, hidden=[-1]),
    "discount of text": settings(AGENT, discount="x"),
    "space of a number": settings(AGENT, action_space=3),
    "space without bounds": settings(AGENT, action_space={"dtype": "float32"}),
    "space of objects": settings(AGENT, action_space={"low": [0], "high": [1], "dtype": "O"}),
    "map of another kind": settings(AGENT, layout={"evil": [1]}),
    "policy of fewer weights": tensors(POLICY, first_only),
    "policy of wider weights": tensors(POLICY, wider),
    "policy without weights": tensors(POLICY, lambda weights: {}),
    "no states": arrays("trajectories.npz", states=None),
    "states in a row": arrays("trajectories.npz", states=np.ravel),
    "states of one number each": arrays("trajectories.npz", states=lambda states: states[:, 0]),
    "goals of one number each": arrays("trajectories.npz", goals=lambda goals: goals[:, 0]),
    "states of two agents": arrays("trajectories.npz", states=lambda states: states[:, :, None]),
    "lengths below nothing": arrays("trajectories.npz", lengths=lambda lengths: np.append(lengths + 1, -len(lengths))),
    "lengths of parts": arrays("trajectories.npz", lengths=lambda lengths: lengths.astype(np.float64)),
    "lengths in a square": arrays("trajectories.npz", lengths=lambda lengths: lengths[:, None]),
    "actions that are too few": arrays("trajectories.npz", lengths=lambda lengths: lengths[:-1]),
    "goals of another env": arrays("trajectories.npz", goals=lambda goals: goals + 1),
}
PLANNED = {
    "links of a list": holds("links.json", b"[1]"),
    "links of text": settings("links.json", sure_edge="x"),
    "links without the figure": settings("links.json", sure_edge=None),
    "links below nothing": settings("links.json", sure_edge=-1.0),
    "links without end": holds("links.json", b'{"sure_edge": 1e999}'),
    "distance of a list": holds("distances/quasimetric.json", b"[1]"),
    "distance of fewer weights": tensors("distances/quasimetric.safetensors", first_only),
    "energy of a list": holds("energy/config.json", b"[1]"),
    "energy of wider weights": tensors("energy/model.safetensors", wider),
    "energy without settings": holds("energy/config.json", b"{}"),
}
RESUMED = {
    "agent of unknown settings": settings("config.json", agent={"evil": 1}),
    "no agent": settings("config.json", agent=None),
    "steps of text": settings("config.json", steps="x"),
    "counters of a list": holds("checkpoint/training.json", b"[1]"),
    "counters of nothing": holds("checkpoint/training.json", b"{}"),
    "counters of text": settings("checkpoint/training.json", num_timesteps="x"),
    "optimisers of none": tensors("checkpoint/optimisers.safetensors", lambda weights: {}),
    "optimisers of wider weights": tensors("checkpoint/optimisers.safetensors", wider),
    "replay without rewards": arrays("checkpoint/replay.npz", rewards=None),
    "replay in a row": arrays("checkpoint/replay.npz", rewards=np.ravel),
    "replay of other rewards": arrays("checkpoint/replay.npz", rewards=lambda rewards: rewards[:, :, None]),
}


@pytest.fixture
def run(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"


def check_one_line(error):
    assert getattr(error, "exit_code", None) == 2, repr(error)
    assert " ".join(str(error).split()).isprintable() and len(str(error)) < 1_000


@pytest.mark.parametrize("mutate", LOADED.values(), ids=LOADED)
def test_it_is_not_loaded(run, mutate):
    mutate(run)
    with pytest.raises(Exception) as refusal:
        thalweg.load(run, progress=False)
    check_one_line(refusal.value)


@pytest.mark.parametrize("mutate", PLANNED.values(), ids=PLANNED)
def test_it_is_not_planned_with(run, mutate):
    mutate(run)
    with pytest.raises(Exception) as refusal:
        thalweg.load(run, progress=False).policy("energy")
    check_one_line(refusal.value)


@pytest.mark.parametrize("mutate", RESUMED.values(), ids=RESUMED)
def test_it_is_not_trained_on(run, mutate):
    mutate(run)
    with pytest.raises(Exception) as refusal:
        thalweg.resume(run, steps=5_100, tensorboard=False, progress=False)
    check_one_line(refusal.value)
