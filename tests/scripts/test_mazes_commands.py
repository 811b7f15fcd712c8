"""The commands in an env of many maps, from training to plans in maps that it has not seen."""

import json

import pytest
from conftest import command

pytestmark = pytest.mark.slow

SEEN, UNSEEN = '{"size": 3, "loops": 1, "mazes": 4}', '{"first_maze": 100, "mazes": 10, "difficulty": 0.5}'


@pytest.fixture(scope="module")
def run(train_once):
    flags = ["--env", "PointMassMazes-v0", "--env-kwargs", SEEN, "--steps", "3000", "--agent.updates-per-step", "0.3"]
    return train_once("mazes", [*flags, "--energy.train-steps", "200", "--energy.hidden", "32"])


def test_planners_are_evaluated_in_maps_that_were_not_trained_on(run, tmp_path):
    arguments = ["--run", run, "--planners", "none,replay,energy", "--seeds", "0:10", "--env-kwargs", UNSEEN]
    done = command("scripts.evaluate", *arguments, "--episode-steps", "150", "--out", tmp_path, "--no-progress")
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["energy"]["success"] >= 0.6 and summary["energy"]["failed_plans_mean"] < 1
    assert json.loads((tmp_path / "evaluation.json").read_text())["distance"] == "local"


def test_a_plan_is_drawn_in_a_map_that_was_not_trained_on(run, tmp_path):
    done = command("scripts.plan", "--run", run, "--env-kwargs", UNSEEN, "--no-gif", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "plan.png").stat().st_size > 10_000 and json.loads((tmp_path / "plan.json").read_text())["edges"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["scripts.evaluate", "--planners", "oracle"], "many maps, and the oracle planner knows one; take box"),
        (["scripts.evaluate", "--distance", "quasimetric"], "many maps, and the quasimetric distance knows one"),
        (["scripts.audit"], "many maps, and an audit is of one"),
        (["scripts.evaluate", "--env-kwargs", '{"size": 4}'], "not what the agent was trained in: observation: shape"),
        (["scripts.plan", "--env-kwargs", '{"scale": 8}'], "not what the agent was trained in: desired_goal: high"),
    ],
)
def test_what_is_of_one_map_is_refused_in_one_line(run, tmp_path, arguments, said):
    quiet = [] if "scripts.plan" in arguments else ["--no-progress"]
    done = command(*arguments, "--run", run, "--out", tmp_path, *quiet)
    assert done.returncode == 2 and said in done.stderr and done.stderr.count("\n") == 1
