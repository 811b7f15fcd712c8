"""The commands as a user runs them: a small run end to end, and one clear line for each kind of bad input."""

import csv
import importlib
import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import SMALL, command

from thalweg.planner.distances.distributional import DistributionalDistanceConfig
from thalweg.planner.storage import DamagedError, read_file
from thalweg.runs import load
from thalweg.scripts.bench import __main__ as bench
from thalweg.scripts.bench.common import make_row
from thalweg.scripts.bench.envs import EnvsOptions
from thalweg.scripts.cli import run


@pytest.mark.slow
def test_a_small_run_reaches_what_an_untrained_agent_does_not(trained, tmp_path):
    """Seed 0, 5,000 env steps, 20 env seeds. Five agents with random weights reached 0 to 0.05; this one 0.90."""
    done = command("scripts.evaluate", "--run", trained, "--out", tmp_path, "--seeds", "10000:10020", "--no-progress")
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary.keys() == {"none", "replay", "energy"}
    assert summary["none"]["success"] >= 0.7 and summary["energy"]["success"] >= 0.7
    assert len((tmp_path / "results.csv").read_text().splitlines()) == 61


@pytest.mark.slow
def test_plan_writes_its_json_and_picture(trained, tmp_path):
    done = command("scripts.plan", "--run", trained, "--out", tmp_path, "--seed", 10_000)
    assert done.returncode == 0, done.stderr
    plan = json.loads((tmp_path / "plan.json").read_text())
    steps = f"reached in {plan['steps_taken']} steps" if plan["reached"] else "NOT reached after 400 steps"
    assert steps in done.stdout and "episodes of 400 steps, difficulty 0.5 (defaults" in done.stdout
    assert len(plan["trail"]) == plan["steps_taken"] + 1 and plan["trail"][0] == plan["start"]
    assert (plan["seed"], plan["planner"], plan["num_nodes"], plan["env"]) == (10_000, "energy", 100, "PointMass-v0")
    assert len(plan["nodes"]) == 100 and len(plan["steps"]) == len(plan["waypoints"]) + 1
    assert (tmp_path / "plan.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_damaged_run_is_named(trained, tmp_path):
    for path in [path for path in trained.rglob("*") if path.suffix in (".safetensors", ".npz", ".json")]:
        broken = tmp_path / "broken"
        shutil.copytree(trained, broken)
        target = broken / path.relative_to(trained)
        content = bytearray(target.read_bytes())
        content[len(content) // 2] ^= 1
        target.write_bytes(bytes(content))
        with pytest.raises(DamagedError, match=target.name):
            load(broken)
        if target.name == "policy.safetensors":
            done = command("scripts.evaluate", "--run", broken, "--out", tmp_path / "out", "--seeds", "0:1")
            assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1 and target.name in done.stderr
        shutil.rmtree(broken)


@pytest.mark.slow
def test_a_goal_in_the_wrong_place_is_named(trained, tmp_path):
    for goal, word in (("99 99", "outside"), ("0.5 0.5", "wall")):
        done = command("scripts.plan", "--run", trained, "--out", tmp_path, "--goal", *goal.split())
        assert done.returncode == 2 and word in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_plan_is_filmed(trained, tmp_path):
    done = command("scripts.plan", "--run", trained, "--out", tmp_path, "--seed", 10_000, "--episode-steps", 20)
    assert done.returncode == 0 and "plan.gif" in done.stdout, done.stderr
    assert (tmp_path / "plan.gif").read_bytes().startswith(b"GIF89a")


@pytest.mark.slow
def test_a_training_taken_up_again_is_the_one_that_went_through(trained, tmp_path):
    """2,500 steps and 2,500 more: networks, optimisers, buffer, models, bit for bit; rows but for the clock. So two trainings
    of one seed agree, too."""
    halves = [*SMALL, "--no-progress", "--no-tensorboard"]
    halves[halves.index("--steps") + 1] = "2500"
    done = command("scripts.train", *halves, "--out", tmp_path / "half")
    assert done.returncode == 0, done.stderr
    done = command("scripts.train", "--resume", tmp_path / "half", "--steps", 5_000, "--no-progress", "--no-tensorboard")
    assert done.returncode == 0, done.stderr
    names = [f"checkpoint/{name}" for name in ("policy.safetensors", "optimisers.safetensors", "replay.npz")]
    for name in [*names, "trajectories.npz", "distances/quasimetric.safetensors", "energy/model.safetensors"]:
        assert read_file(tmp_path / "half", name) == read_file(trained, name), name
    clock = {"time/fps", "time/time_elapsed"}
    rows = []
    for folder in (tmp_path / "half", trained):
        with open(folder / "progress.csv") as stream:
            rows.append([{k: v for k, v in row.items() if k not in clock} for row in csv.DictReader(stream)])
    assert rows[0] == rows[1] and len(rows[0]) >= 4


@pytest.mark.slow
def test_a_resumed_training_takes_no_other_settings(trained):
    for flags, word in ((["--seed", 1], "seed"), (["--steps", 5_000], "5008 steps already")):
        done = command("scripts.train", "--resume", trained, *flags)
        assert done.returncode == 2 and word in done.stderr and len(done.stderr.strip().splitlines()) == 1


@pytest.mark.slow
def test_audit_scores_every_distance_and_the_agent(trained, tmp_path):
    """5,000 env steps on the flat world, where nothing is behind a wall: every distance ranks pairs well and none is false, but
    one that is hardly fitted."""
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    few = {"distributional": DistributionalDistanceConfig(train_steps=20)}
    replace(load(run, progress=False), part_configs=few).plain_distance("distributional")  # it is stored, and read by the audit
    sizes = ["--pairs", 500, "--drives", 60, "--nodes", 40, "--no-progress"]
    done = command("scripts.audit", "--run", run, "--out", tmp_path, *sizes)
    assert done.returncode == 0, done.stderr
    reports = json.loads((tmp_path / "audit.json").read_text())
    assert set(reports) == {"euclidean", "q_value", "distributional", "quasimetric", "ensemble", "oracle"}
    for name, report in reports.items():
        assert report["against"] == "map", name
        if name != "distributional":
            assert report["spearman"] > 0.9 and report["nodes"]["false_short_edge_rate"] == 0.0, name
            assert len(report["worst_edges"]) == 20 and report["realised_to_20"]["pairs"] > 20, name
    assert reports["oracle"]["median_relative_error"] == 0.0 == reports["quasimetric"]["triangle_violation_rate"]
    # critics that expect more of the noisy agent than this one takes, or less: half of the drives are shorter, half longer
    expected = json.loads((run / "distances/q_value.json").read_text())
    assert 0.6 < expected["pace"] < 1.4 and expected["pace"] != 1.0
    controller = json.loads((tmp_path / "controller.json").read_text())
    assert set(controller) == {"bare", "routed"}
    for report in controller.values():
        assert sum(row["drives"] for row in report["success_by_distance"]) == report["drives"] == 60
    for name in ("calibration.png", "worst_edges.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_bench_energy_judges_what_a_run_draws_between(trained, tmp_path):
    """A valley learnt in 60 steps; a flat world's straight lines are near enough to the proposal for half of each way."""
    done = command("scripts.bench", "energy", "--run", trained, "--pairs", 5, "--out", tmp_path, "--no-progress")
    assert done.returncode == 0, done.stderr
    rows = {row["what"]: row for row in json.loads((tmp_path / "bench.json").read_text())["rows"]}
    assert rows["line coverage, mean"]["ours"] > 0.5 and np.isfinite(rows["saddle, mean"]["ours"])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "count", "flags"), [("envs", 4, ["--num-envs", 8]), ("truth", 3, [])])
def test_bench_writes_both_figures_and_their_ratio(tmp_path, name, count, flags):
    done = command("scripts.bench", name, *flags, "--repeats", 1, "--out", tmp_path, "--no-progress")
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "bench.json").read_text())["rows"]
    assert len(rows) == count and all(row["ratio"] == pytest.approx(row["ours"] / row["peer"]) for row in rows)


def test_a_benchmark_that_is_cut_off_leaves_what_it_has_measured(tmp_path, monkeypatch):
    def cut_off(options):
        yield make_row("first", "things/s", "none", {"ours": [2.0], "peer": [1.0]})
        raise KeyboardInterrupt

    monkeypatch.setitem(bench.BENCHES, "envs", (EnvsOptions, cut_off))
    with pytest.raises(KeyboardInterrupt):
        bench.main(EnvsOptions(out=tmp_path))
    assert [row["what"] for row in json.loads((tmp_path / "bench.json").read_text())["rows"]] == ["first"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("scripts.train", "--env", "Pendulum-v1", "--out", "unused"), "no goal env"),
        (("scripts.train", "--env", "PointMass-v0", "--steps", "10", "--out", "unused"), "--steps 10"),
        (("scripts.evaluate", "--run", "no/such/run", "--out", "unused", "--seeds", "5:5"), "--seeds"),
        (("scripts.evaluate", "--run", "no/such/run", "--out", "unused", "--seeds", "a,b"), "--seeds"),
        (("scripts.evaluate", "--run", "no/such/run", "--out", "unused", "--seeds", "0"), "100 (for 0:100)"),
        (("scripts.evaluate", "--run", "no/such/run", "--out", "unused", "--planners", "best"), "best"),
        (("scripts.evaluate", "--run", "no/such/run", "--out", "unused", "--env-kwargs", "{size: 3}"), "no JSON"),
        (("scripts.evaluate", "--run", "no/such/run", "--out", "unused", "--episode-steps", "-1"), "--episode-steps"),
        (("scripts.evaluate", "--run", "no/such/run", "--out", "setup.cfg"), "setup.cfg"),
        (("scripts.evaluate", "--run", "no/such/run", "--out", "unused", "--distance", "miles"), "miles"),
        (("scripts.evaluate", "--run", "no/such/run", "--out", "unused", "--workers", "0"), "--workers"),
        (("scripts.plan", "--run", "no/such/run", "--out", "unused", "--nodes", "0"), "--nodes"),
        (("scripts.plan", "--run", "no/such/run", "--out", "unused", "--planner", "none"), "plans nothing"),
        (("scripts.bench", "planners", "--out", "unused"), "--runs"),
        (("scripts.bench", "ablation", "--out", "unused", "--runs", "a/u", "b/u"), "--runs"),
        (("scripts.bench", "plan", "--out", "unused"), "--run"),
        (("scripts.bench", "graph", "--out", "unused"), "--run"),
        (("scripts.train", "--env", "PointMassRandomMaze-v0", "--env-kwargs", '{"size": 1}', "--out", "unused"), "size"),
        (("scripts.train", "--out", "unused"), "--env"),
        (("scripts.train", "--env", "PointMass-v0", "--out", "unused", "--device", "cuda"), "no GPU"),
        (("scripts.train", "--env", "PointMass-v0", "--out", "unused", "--steps", "1000000000000"), "bytes"),
        (("scripts.train", "--resume", "no/such/run"), "not a run folder"),
        (("scripts.audit", "--run", "no/such/run", "--out", "unused"), "not a run folder"),
        (("scripts.audit", "--run", "no/such/run", "--out", "unused", "--distances", "miles"), "miles"),
        (("scripts.audit", "--run", "no/such/run", "--out", "unused", "--drives", "0"), "--drives"),
        (("scripts.bench", "speed", "--out", "unused"), "'speed' is unknown; choose from envs, truth"),
        (("scripts.bench", "planers", "--out", "unused"), "did you mean planners?"),
        (("scripts.bench", "envs", "--num-envs", "0", "--out", "unused"), "--num-envs must be at least 1"),
        (("scripts.bench", "envs", "--seeds", "3", "--out", "unused"), "--seeds"),
        (("scripts.bench", "solve", "--limit", "inf", "--out", "unused"), "no finite number"),
        (("scripts.bench", "planners", "--runs", "a", "--nodes", "1", "1e12", "--out", "unused"), "--nodes must be at most"),
        (("scripts.bench", "ablation", "--out", "unused", "--runs"), "--runs names no folder"),
        (("scripts.bench", "envs", "--out", "setup.cfg"), "setup.cfg cannot be a folder"),
        (("scripts.bench", "envs", "--out", "/proc/none"), "/proc/none cannot be a folder"),
        (("scripts.bench", "envs", "--out", "a\udcff"), "no UTF-8"),
        (("scripts.evaluate", "--run", "no/such/run", "--out", "unused", "--planners", "enrgy"), "did you mean energy?"),
        (
            ("scripts.evaluate", "--run", "no/such/run", "--out", "unused", "--distance", "quasimetrc"),
            "did you mean quasimetric?",
        ),
        (("scripts.audit", "--run", "no/such/run", "--out", "unused", "--distances", "qvalue"), "did you mean q_value?"),
        (("scripts.evaluate", "--run", "no/such/run", "--out", "unused", "--seeds", "0:9999999999"), "at most 1,000,000"),
        (("scripts.train", "--env", "absent.py:Mine", "--steps", "10", "--out", "unused"), "there is no file"),
        (("scripts.train", "--env", "PointMass-v0", "--seed", "-1", "--out", "unused"), "--seed must be at least 0"),
        (("scripts.train", "--env", "PointMass-v0", "--out", "setup.cfg"), "setup.cfg cannot be a folder"),
        (("scripts.train", "--stps", "3"), "did you mean --steps?"),
        (("scripts.train", "--steps", "3.5"), "no whole number"),
        (("scripts.train", "--agent.tau", "2"), "--agent.tau must lie in (0, 1]"),
        (("scripts.train", "--agent.hidden", "128", "0"), "--agent.hidden"),
        (("scripts.train", "--agent.hidden", "128", "1e9"), "--agent.hidden must be at most 65,536"),
        (("scripts.train", "--energy.noise", "nan"), "--energy.noise: 'nan' is no finite number"),
        (("scripts.train", "--steps", "1e3", "--env", "NoSuchEnv-v0", "--out", "unused"), "--steps 1000"),
        (("scripts.bench", "energy", "--out", "unused"), "--run"),
        (("scripts.bench", "energy", "--run", "no/such/run", "--out", "unused"), "not a run folder"),
    ],
)
def test_bad_input_ends_with_one_line_and_exit_code_2(monkeypatch, capsys, tmp_path, arguments, word):
    """In this process, which has imported already what each of them would for seconds."""
    name, *rest = arguments
    module = importlib.import_module(f"thalweg.{name}" + (".__main__" if name == "scripts.bench" else ""))
    monkeypatch.setattr(sys, "argv", [name, *rest])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "setup.cfg").touch()
    with pytest.raises(SystemExit) as end:
        run(module.main, module.Options)
    assert end.value.code == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert word in told[-1] and len(told) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("scripts.evaluate", "--run", "no/such/run"), "not a run folder"),
        (("scripts.train", "--env", "NoSuchEnv-v0"), "NoSuchEnv"),
    ],
)
def test_bad_input_ends_the_process_with_one_line_and_exit_code_2(tmp_path, arguments, word):
    words = [sys.executable, "-m", *arguments, "--out", str(tmp_path / "unused")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2 and done.stdout == ""
    assert word in done.stderr and len(done.stderr.strip().splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["train", "evaluate", "plan", "audit", "demo", "bench", "check_env", "toy"])
def test_help_does_not_import_torch(name):
    done = subprocess.run([sys.executable, "-X", "importtime", "-m", f"scripts.{name}", "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "usage" in done.stdout
    assert " tyro" in done.stderr and " torch" not in done.stderr
