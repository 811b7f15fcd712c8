"""A world that breaks at the env seeds of an evaluation, a plan or an audit ends the command: one line, exit code 2, no row."""

import importlib
import shutil
import sys

import numpy as np
import pytest

from thalweg.envs.point_mass import PointMass
from thalweg.planner.finite import NotFiniteError
from thalweg.planner.storage import write_files
from thalweg.runs import load
from thalweg.scripts.cli import run

pytestmark = pytest.mark.slow

_BREAKS_FROM = 10_000  # env seeds: those of the throwaway drives that look at an env stay finite


@pytest.fixture
def broken(monkeypatch, request):
    """The position is not finite after so many steps of an episode, wherever the episode began with such a seed."""
    at, value = request.param
    reset, observe = PointMass.reset, PointMass._observe

    def remember(self, *, seed=None, options=None):
        self.breaks = seed is not None and seed >= _BREAKS_FROM
        return reset(self, seed=seed, options=options)

    def spoil(self):
        observation = observe(self)
        if getattr(self, "breaks", False) and len(self._trail) - 1 == at:
            observation["achieved_goal"] = np.full(2, value, np.float32)
        return observation

    monkeypatch.setattr(PointMass, "reset", remember)
    monkeypatch.setattr(PointMass, "_observe", spoil)
    return "in reset" if at == 0 else f"at step {at}"


BREAKS = pytest.mark.parametrize("broken", [(0, np.nan), (1, np.nan), (3, np.nan), (2, np.inf)], indirect=True)


def call(name, monkeypatch, capsys, *arguments):
    """In this process -> its last line on stderr."""
    module = importlib.import_module(f"thalweg.scripts.{name}")
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        run(module.main, module.Options)
    told = capsys.readouterr()
    assert end.value.code == 2 and "success" not in told.out and "reached" not in told.out
    return told.err.strip().splitlines()[-1]


@BREAKS
def test_evaluate_ends_and_keeps_no_row(broken, trained, tmp_path, monkeypatch, capsys):
    seeds = ("--seeds", "10000:10003", "--planners", "none,replay", "--nodes", 5, "--no-progress")
    line = call("evaluate", monkeypatch, capsys, "--run", trained, "--out", tmp_path, *seeds)
    assert "(seed 10000): achieved_goal[0] is" in line and broken in line and "mend the env" in line
    assert len((tmp_path / "results.csv").read_text().splitlines()) == 1 and not (tmp_path / "summary.json").exists()


@BREAKS
def test_plan_ends_and_writes_nothing(broken, trained, tmp_path, monkeypatch, capsys):
    flags = ("--seed", 10_000, "--planner", "replay", "--nodes", 30, "--no-gif")
    line = call("plan", monkeypatch, capsys, "--run", trained, "--out", tmp_path, *flags)
    assert "(seed 10000): achieved_goal[0] is" in line and broken in line
    assert list(tmp_path.iterdir()) == []


@BREAKS
def test_audit_ends_and_writes_nothing(broken, trained, tmp_path, monkeypatch, capsys):
    sizes = ("--pairs", 100, "--drives", 5, "--nodes", 5, "--distances", "euclidean", "--no-progress")
    line = call("audit", monkeypatch, capsys, "--run", trained, "--out", tmp_path / "out", *sizes)
    assert "(seed 1000000): achieved_goal[0] is" in line and broken in line
    assert not any((tmp_path / "out").iterdir())


@BREAKS
def test_the_drives_that_measure_links_end(broken, trained, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    write_files(run, {}, remove=["links.json"])
    before = (run / "manifest.json").read_bytes()
    with pytest.raises(NotFiniteError, match=rf"\(seed 5000\d\d\): achieved_goal\[0\] is .* {broken}"):
        load(run, progress=False).sure_edge  # noqa: B018
    assert (run / "manifest.json").read_bytes() == before
