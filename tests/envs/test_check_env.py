"""check_goal_env against planted defects, their mended versions, and envs that are known to be correct."""

import io
import subprocess
import sys
import warnings
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path

import gymnasium as gym
import pytest
from broken_envs import DEFECTS, LIMIT, UNUSUAL, Puck, limited
from gymnasium.utils.env_checker import check_env as check_for_gymnasium
from stable_baselines3.common.env_checker import check_env as check_for_stable_baselines3

import thalweg.envs  # noqa: F401 (registers ours)
from thalweg.envs.checks import GYMNASIUM, check_goal_env, examine
from thalweg.envs.checks.record import global_generators
from thalweg.scripts import check_env
from thalweg.scripts.cli import run

ROBOTS = ("PointMaze_UMaze-v3", "PointMaze_Medium-v3", "PointMaze_Large-v3", "AntMaze_UMaze-v5")
OURS = [name for name, spec in gym.registry.items() if str(spec.entry_point).startswith("thalweg.envs.")]
OUTSIDE = {**GYMNASIUM, "stable-baselines3": check_for_stable_baselines3}


def problems_of(defect, mended):
    """From a fifth of the evidence that the command takes."""
    return check_goal_env(partial(defect.make, mended), defect.make_batch(mended), steps=200, outside_checkers=OUTSIDE)


def is_found(defect, problems):
    return any(problem.check == defect.check and defect.says in problem.what + problem.fix for problem in problems)


@pytest.mark.slow
@pytest.mark.parametrize("name", DEFECTS)
def test_a_planted_defect_is_found_and_its_fix_mends_it(name):
    problems = problems_of(DEFECTS[name], mended=False)
    assert is_found(DEFECTS[name], problems), problems
    assert all(problem.fix for problem in problems)
    assert problems_of(DEFECTS[name], mended=True) == []


def messages_of(checker, env):
    """What another project's checker raises and warns of, given the env as its author wrote it."""
    env.action_space.seed(0)
    with global_generators(0), warnings.catch_warnings(record=True) as caught, redirect_stdout(io.StringIO()):
        warnings.simplefilter("always")
        try:
            checker(env.unwrapped, skip_render_check=env.render_mode is None)
            raised = set()
        except Exception as error:
            raised = {type(error).__name__}
    return raised | {str(warning.message) for warning in caught}


@pytest.mark.slow
def test_more_defects_are_found_than_the_other_checkers_find(record_property):
    """A checker finds a defect if it says anything of the broken env that it does not say of the mended one."""
    names = {"gymnasium": check_for_gymnasium, "stable-baselines3": check_for_stable_baselines3}
    found = {
        name: {
            key
            for key, defect in DEFECTS.items()
            if messages_of(checker, defect.make()) - messages_of(checker, defect.make(True))
        }
        for name, checker in names.items()
    }
    figures = {name: len(keys) for name, keys in found.items()} | {"both": len(set.union(*found.values())), "all": len(DEFECTS)}
    record_property("found", figures)
    print(f"\nof {figures['all']} planted defects: {figures}")
    assert figures["both"] < 0.8 * len(DEFECTS)  # ours: all of them, by the test above


@pytest.mark.slow
@pytest.mark.parametrize("name", OURS)
def test_no_false_alarm_on_our_own_envs(name):
    make = partial(gym.make, name, render_mode="rgb_array")
    verdict = examine(make, lambda num: gym.make_vec(name, num_envs=num), outside_checkers=OUTSIDE)
    assert verdict.problems == [] and {"render", "batch"} <= set(verdict.checks)


@pytest.mark.slow
@pytest.mark.parametrize("name", ROBOTS)
def test_no_false_alarm_on_envs_of_gymnasium_robotics(name):
    gym.register_envs(pytest.importorskip("gymnasium_robotics"))
    steps = 500 if name.startswith("Ant") else 1000  # an ant's step takes 0.5 ms
    assert check_goal_env(partial(gym.make, name), steps=steps, outside_checkers=OUTSIDE).broken == []


@pytest.mark.slow
@pytest.mark.parametrize("name", UNUSUAL)
def test_no_false_alarm_on_a_correct_env_that_is_unusual(name):
    assert check_goal_env(lambda: limited(UNUSUAL[name]()), outside_checkers=OUTSIDE).broken == []


@pytest.mark.parametrize("seed", range(1, 4))
def test_a_correct_env_passes_with_any_seed_and_few_steps(seed):
    assert check_goal_env(lambda: limited(Puck()), steps=200, seed=seed) == []


TOGETHER = (
    "OldGymStep",
    "UndeclaredKey",
    "LendsItsGoal",
    "RefusesTheEdge",
    "NormOfTheWholeBatch",
    "GoesOnAtTheGoal",
    "SaysNothingOfSuccess",
    "GlobalNumpyNoise",
    "GoalOfOneState",
    "TinyTolerance",
    "ClosesOnce",
)


def test_no_defect_hides_another():
    kind = type("Everything", tuple(DEFECTS[name].kind for name in TOGETHER), {"mended": False})
    problems = check_goal_env(lambda: limited(kind()))
    checks = {problem.check for problem in problems}
    assert checks >= {DEFECTS[name].check for name in TOGETHER}, problems


@pytest.mark.parametrize("name", ["OldGymStep", "NoInfo", "OneBufferForAllObservations", "DoublePrecision", "SecondResetFails"])
def test_the_wrappers_of_gym_make_hide_nothing(name):
    gym.register(f"{name}-v0", lambda: DEFECTS[name].make().unwrapped, max_episode_steps=LIMIT)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # those wrappers would warn or raise
            assert is_found(DEFECTS[name], check_goal_env(partial(gym.make, f"{name}-v0"), outside_checkers={}))
    finally:
        del gym.registry[f"{name}-v0"]


def test_an_env_that_cannot_be_made_is_one_problem():
    def fails():
        raise FileNotFoundError("maze.xml")

    (problem,) = check_goal_env(fails)
    assert problem.check == "runs" and "maze.xml" in problem.what and 'raise FileNotFoundError("maze.xml")' in problem.fix


def test_an_error_of_the_env_names_step_and_line():
    problems = check_goal_env(DEFECTS["CellOutsideTheGrid"].make)
    (problem,) = [problem for problem in problems if problem.check == "runs"]
    assert "step " in problem.what and "of an episode raised IndexError" in problem.what
    assert "broken_envs.py, line " in problem.fix and "in move" in problem.fix


# The command


def outcome(capsys, monkeypatch, *arguments):
    """(exit code, stdout, stderr) of the command, run in this process, which has paid for its imports."""
    monkeypatch.setattr(sys, "argv", ["check_env", *arguments])
    code = 0
    try:
        run(check_env.main, check_env.Options)
    except SystemExit as exit:
        code = exit.code
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_command_praises_in_one_line(capsys, monkeypatch):
    code, out, _ = outcome(capsys, monkeypatch, "--env", "PointMass-v0")
    assert code == 0 and out == "PointMass-v0 keeps every promise (28 checks)\n"


BROKEN = """
from broken_envs import GoesOnAtTheGoal, TinyTolerance

class Broken(GoesOnAtTheGoal, TinyTolerance):
    mended = False
"""


def test_the_command_names_what_is_broken_with_its_fix(capsys, monkeypatch, tmp_path):
    (tmp_path / "broken.py").write_text(BROKEN)
    code, out, _ = outcome(capsys, monkeypatch, "--env", f"{tmp_path}/broken.py:Broken")
    assert code == 0  # training deals with the one, and the other is advice
    assert "keeps every promise that training needs" in out and out.index("adapted: ") < out.index("advice: ")
    assert "termination: step" in out and "tolerance: a step at full speed" in out and out.count("    fix: ") == 3


ANGLE = """
import gymnasium as gym, numpy as np
from gymnasium import spaces
from thalweg.envs.goal_wrapper import GoalWrapper

class Wheel(gym.Env):
    observation_space = spaces.Box(-4, 4, (1,), np.float32)
    action_space = spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.angle = self.np_random.uniform(-np.pi, np.pi, 1)
        return self.angle.astype(np.float32), {}

    def step(self, action):
        self.angle = (self.angle + action + np.pi) % (2 * np.pi) - np.pi
        return self.angle.astype(np.float32), 0.0, False, False, {}

def wheel():
    return GoalWrapper(Wheel(), goal_of=lambda s: s, tolerance=0.05, sample_goal=lambda rng: rng.uniform(-3, 3, 1))
"""


def test_the_tolerance_of_a_goal_wrapper_is_named_as_it_is_written_and_an_angle_is_suspected(capsys, monkeypatch, tmp_path):
    (tmp_path / "wheel.py").write_text(ANGLE)
    _, out, _ = outcome(capsys, monkeypatch, "--env", f"{tmp_path}/wheel.py:wheel")
    fix = next(line for line in out.splitlines() if "or shorter steps" in line)
    assert "fix: tolerance = " in fix and "does goal entry 0" in fix and "give its cosine and sine" in fix


@pytest.mark.parametrize("env", ["NoSuchEnv-v0", "no_such_file.py:Maze", "no_such_module:Maze-v0"])
def test_the_command_refuses_an_env_that_is_not_there(capsys, monkeypatch, env):
    code, out, err = outcome(capsys, monkeypatch, "--env", env)
    assert code == 2 and out == ""
    assert len(err.splitlines()) == 1 and err.startswith("error: ") and env.split(":")[0].removesuffix("-v0") in err


def test_help_does_not_wait_for_heavy_imports():
    """Importing torch takes 2 s."""
    code = "import sys, scripts.check_env; print(sorted({'torch', 'gymnasium', 'stable_baselines3'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.stdout == "[]\n", done.stderr
