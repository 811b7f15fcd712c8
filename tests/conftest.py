import importlib
import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
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
from thalweg.planner.graph import stitched_paths
from thalweg.scripts.cli import run as run_command

torch.set_num_threads(1)  # ~15x faster on a busy 2-core machine

_LEARNT = {"trained", "learned", "three_normals", "bow", "fitted_in_maps"}  # fixtures that take seconds


def pytest_collection_modifyitems(items):
    """A test of what is learnt first is slow."""
    for item in items:
        if _LEARNT & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


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


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


def make_few(patch: pytest.MonkeyPatch) -> None:
    """Of the paths that an energy learns from, and of the drives that measure links, where a test does not ask what they are
    worth."""
    patch.setattr(stitched_paths, "_NODES", 200)  # in place of 800
    patch.setattr(stitched_paths, "_STITCHED", 1_000)  # in place of 10,000
    for module in ("run", "world"):
        patch.setattr(f"thalweg.planner.run.{module}.NUM_DRIVES", 60)  # in place of 400


def command(name, *arguments) -> Done:
    """A command as `python -m scripts.NAME` runs it, but in this process, which has imported already what takes seconds."""
    module = importlib.import_module(f"thalweg.{name}" + (".__main__" if name == "scripts.bench" else ""))
    code, out, err = 0, io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        make_few(patch)
        patch.setattr(sys, "argv", [name, *map(str, arguments)])
        try:
            run_command(module.main, module.Options)
        except SystemExit as end:
            code = int(end.code or 0)
    return Done(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def train_once(tmp_path_factory, worker_id):
    """name, flags of scripts.train -> a run that is trained once, whichever of the test processes asks first."""
    root = tmp_path_factory.getbasetemp() if worker_id == "master" else tmp_path_factory.getbasetemp().parent

    def train(name: str, flags: list[str]) -> Path:
        folder = root / "runs" / name
        with FileLock(root / f"{name}.lock"):
            if not (folder / "timing.json").exists():
                done = command("scripts.train", *flags, "--out", folder, "--no-progress", "--no-tensorboard")
                assert done.returncode == 0, done.stderr
        return folder

    return train


@pytest.fixture(scope="session")
def trained(train_once) -> Path:
    """A small run. Copy it before altering it."""
    return train_once("small", SMALL)
