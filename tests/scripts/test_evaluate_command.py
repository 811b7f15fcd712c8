"""`scripts.evaluate` on a small run: all planners in one table, taken up again, over processes, with a user's own parts."""

import json
import shutil

import pytest
from conftest import command

from thalweg.planner.storage import json_to_bytes, read_file, write_files

pytestmark = pytest.mark.slow

ALL = "none,box,replay,spread,ellipse,energy,oracle"  # those that learn nothing more; the others are made in test_parts.py
MINE = """
import numpy as np

class MySampler:
    '''Along the straight line.'''

    def __init__(self, experience):
        self.experience = experience

    @classmethod
    def fit(cls, experience):
        return cls(experience)

    def sample(self, state, goal, num_samples, rng):
        here = self.experience.goal_of(state)
        along = rng.random((num_samples, 1)).astype(np.float32)
        return self.experience.lift(here + along * (goal - here))

class Half(MySampler):
    def sample(self, state, goal, num_samples, rng):
        return super().sample(state, goal, num_samples // 2, rng)

class MyDistance:
    @classmethod
    def fit(cls, experience):
        model = cls()
        model.goal_of = experience.goal_of
        return model

    def pairwise(self, states, goals):
        return (10 * np.linalg.norm(self.goal_of(states)[:, None] - goals, axis=-1)).astype(np.float32)

    def paired(self, states, goals):
        return (10 * np.linalg.norm(self.goal_of(states) - goals, axis=-1)).astype(np.float32)
"""


def evaluate(run, out, *flags):
    return command("scripts.evaluate", "--run", run, "--out", out, "--no-progress", *flags)


def rows(out):
    """Without the times."""
    lines = [line.split(",") for line in (out / "results.csv").read_text().splitlines()]
    clock = lines[0].index("plan_ms")
    return sorted(tuple(line[:clock] + line[clock + 1 :]) for line in lines[1:])


def test_all_planners_stand_in_one_table(trained, tmp_path):
    done = evaluate(trained, tmp_path, "--seeds", "10000:10004", "--planners", ALL, "--nodes", 20)
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "summary.json").read_text())
    lines = [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")]
    assert list(summary) == ALL.split(",") == lines and "episodes of 400 steps, difficulty 0.5 (defaults" in done.stdout
    stored = json.loads((tmp_path / "evaluation.json").read_text())
    assert (stored["episode_steps"], stored["difficulty"], stored["distance"]) == (400, 0.5, "quasimetric")
    energy, oracle = stored["planners"]["energy"], stored["planners"]["oracle"]
    assert energy["sampler"] == "energy" and "energy/model.safetensors" in energy["files"] and energy["follow"] == "route"
    assert oracle["sampler"] is None and "energy/model.safetensors" not in oracle["files"]
    assert all(len(figures["minus"]) == 6 and figures["episodes"] == 4 for figures in summary.values())


def test_what_is_there_is_not_run_again_and_what_is_missing_is(trained, tmp_path):
    """Lines are taken away as a kill would; what a second call puts in their place is what was there."""
    flags = ("--seeds", "10000:10030", "--planners", "none,replay", "--nodes", 20)
    assert evaluate(trained, tmp_path / "whole", *flags).returncode == 0
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    content = (tmp_path / "cut" / "results.csv").read_text()
    (tmp_path / "cut" / "results.csv").write_text(content[: len(content) // 2])
    done = evaluate(trained, tmp_path / "cut", *flags, "--workers", 2)
    assert done.returncode == 0 and rows(tmp_path / "cut") == rows(tmp_path / "whole"), done.stderr
    kept = (tmp_path / "cut" / "results.csv").read_text()
    assert kept.startswith(content[: content.rindex("\n", 0, len(content) // 2)])
    done = evaluate(trained, tmp_path / "cut", *flags, "--nodes", 30)
    assert done.returncode == 2 and "other nodes" in done.stderr and (tmp_path / "cut" / "results.csv").read_text() == kept
    done = evaluate(trained, tmp_path / "cut", *flags, "--follow", "waypoints")
    assert done.returncode == 2 and "other follow" in done.stderr and (tmp_path / "cut" / "results.csv").read_text() == kept


def test_a_users_own_sampler_and_distance_stand_beside_ours(trained, tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    own = f"{tmp_path / 'mine.py'}:MySampler"
    flags = ("--seeds", "10000:10004", "--nodes", 10, "--distance", f"{tmp_path / 'mine.py'}:MyDistance")
    done = evaluate(trained, tmp_path / "out", *flags, "--planners", f"replay,{own}")
    assert done.returncode == 0, done.stderr
    assert list(json.loads((tmp_path / "out" / "summary.json").read_text())) == ["replay", own]


def test_rows_of_a_file_that_was_edited_since_are_not_mixed_with_new_ones(trained, tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    flags = ("--nodes", 5, "--planners", f"{tmp_path / 'mine.py'}:MySampler", "--seeds")
    assert evaluate(trained, tmp_path / "out", *flags, "10000:10001").returncode == 0
    (tmp_path / "mine.py").write_text(MINE + "\n")
    done = evaluate(trained, tmp_path / "out", *flags, "10000:10002")
    assert done.returncode == 2 and "mine.py:MySampler" in done.stderr and len(rows(tmp_path / "out")) == 1


@pytest.mark.parametrize(
    ("planner", "words"),
    [
        ("mine.py:Half", ("Half", "(0, 4)", "(1, 4)")),
        ("mine.py:Absent", ("defines no Absent",)),
        ("absent.py:MySampler", ("no file",)),
        ("mine.py:np", ("neither plan nor sample", "fit")),
        ("replay,replay", ("twice",)),
    ],
)
def test_a_part_that_will_not_do_is_named_in_one_line(trained, tmp_path, planner, words):
    (tmp_path / "mine.py").write_text(MINE)
    name = planner if "," in planner else f"{tmp_path}/{planner}"
    done = evaluate(trained, tmp_path / "out", "--seeds", "10000:10002", "--planners", name)
    assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1
    assert all(word in done.stderr for word in words), done.stderr


WITHOUT_DIFFICULTY = """
from thalweg.envs.point_mass import PointMass

class Mine(PointMass):
    def __init__(self, render_mode=None):
        super().__init__(render_mode=render_mode)
"""


def test_a_difficulty_that_an_env_does_not_know_is_named_and_none_is_chosen_for_it(trained, tmp_path):
    """The run's agent in an env of the same spaces, as if it had been trained there."""
    (tmp_path / "mine.py").write_text(WITHOUT_DIFFICULTY)
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    config = json.loads(read_file(run, "config.json"))
    write_files(run, {"config.json": json_to_bytes({**config, "env": f"{tmp_path / 'mine.py'}:Mine", "env_kwargs": "{}"})})
    flags = ("--seeds", "10000:10002", "--planners", "none", "--env", f"{tmp_path / 'mine.py'}:Mine")
    done = evaluate(run, tmp_path / "out", *flags, "--difficulty", 0.5)
    assert done.returncode == 2 and done.stderr.strip().endswith("Mine knows no difficulty; leave --difficulty out")
    done = evaluate(run, tmp_path / "out", *flags, "--episode-steps", 20)
    assert done.returncode == 0 and "--difficulty" not in done.stdout, done.stderr


def bench(name, out, *flags):
    done = command("scripts.bench", name, "--out", out, "--no-progress", *flags)
    assert done.returncode == 0, done.stderr
    return {row["what"]: row for row in json.loads((out / "bench.json").read_text())["rows"]}


def test_bench_plan_and_ablation_measure_a_run(trained, tmp_path):
    rows = bench("plan", tmp_path, "--run", trained, "--pairs", 3)
    assert rows["plan, median"]["ratio"] > 3  # a thousand nodes against a hundred
    rows = bench("ablation", tmp_path, "--runs", trained, "--episodes", 2)
    assert {name.split(": ")[1] for name in rows} >= {
        "no route, waypoint by waypoint",
        "no plan, the route alone",
        "no time-outs",
    }


def test_bench_drive_sets_drives_beside_the_fastest(trained, tmp_path):
    rows = bench("drive", tmp_path, "--runs", trained, "--episodes", 2)
    assert len(rows) == 6 and all(row["of"] == 2 and row["arrived"] > 0 for row in rows.values())
    steps = [row["ratio"] for name, row in rows.items() if name.endswith("env steps")]
    assert all(ratio > 0.98 for ratio in steps), rows  # nothing is faster, to the rounding of its lattice
