import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from straight import straight_experience

from thalweg.planner.data.trajectories import Trajectory
from thalweg.planner.distances.local import LocalDistanceConfig
from thalweg.planner.distances.quasimetric import QuasimetricDistanceConfig
from thalweg.planner.experience import Experience

torch.set_num_threads(1)  # ~15x faster on a busy 2-core machine


@pytest.fixture
def walk() -> list[Trajectory]:
    """Eight random walks in the unit square; a state is the place and a velocity, the goal is the place."""
    rng = np.random.default_rng(0)
    walks = []
    for _ in range(8):
        moves = rng.normal(0, 0.05, (200, 2))
        places = np.clip(rng.random(2) + moves.cumsum(axis=0), 0, 1).astype(np.float32)
        walks.append(Trajectory(np.hstack([places, moves.astype(np.float32)]), places))
    return walks


@pytest.fixture
def experience(walk) -> Experience:
    """The walks, and how far apart places are in a straight line."""
    return straight_experience(walk)


@pytest.fixture(scope="module")
def quick_ways():
    """For tests that do not ask how well the agent's ways are learnt."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(QuasimetricDistanceConfig, "steps_for", lambda self, num_places: 20)
        patch.setattr(LocalDistanceConfig, "steps_for", lambda self, num_places: 20)
        yield


@pytest.fixture(scope="session", autouse=True)
def state_folder(tmp_path_factory):
    """What trainings remember for later commands is not kept among the user's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


SMALL = ["--env", "PointMass-v0", "--steps", "5000", "--agent.updates-per-step", "0.4", "--energy.train-steps", "60"]
SMALL += ["--checkpoint-every", "2500"]


def command(*arguments):
    return subprocess.run([sys.executable, "-m", *map(str, arguments)], capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="session")
def trained(tmp_path_factory, worker_id) -> Path:
    """A small run; trained once, whichever of the test processes asks first. Copy it before altering it."""
    root = tmp_path_factory.getbasetemp() if worker_id == "master" else tmp_path_factory.getbasetemp().parent
    folder = root / "runs" / "small"
    with FileLock(root / "small.lock"):
        if not (folder / "timing.json").exists():
            done = command("scripts.train", *SMALL, "--out", folder, "--no-progress", "--no-tensorboard")
            assert done.returncode == 0, done.stderr
    return folder
