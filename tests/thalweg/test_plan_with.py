"""An agent from elsewhere, planned with: a controller with logs, a model of stable-baselines3 in memory and as its zip."""

import sys

import gymnasium as gym
import numpy as np
import pytest
from conftest import make_few
from gymnasium import spaces
from gymnasium.wrappers import TimeLimit
from stable_baselines3 import DDPG, HerReplayBuffer

import thalweg
from thalweg.planner.errors import UsageError
from thalweg.planner.evaluation.evaluation_folder import OtherResultsError
from thalweg.scripts import evaluate, plan_with
from thalweg.scripts.cli import run as run_command


class Court(gym.Env):
    """A mass on [0, 6] x [0, 6] m, moved by up to 0.3 m a step; a wall in the middle leaves a gap at the top."""

    max_episode_steps = 50
    observation_space = spaces.Box(-1.0, 7.0, (2,), np.float32)
    action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at = free(self.np_random)
        return self.at.astype(np.float32), {}

    def step(self, action):
        there = np.clip(self.at + 0.3 * np.clip(action, -1, 1), 0, 6)
        self.at = self.at if blocked(there) else there
        return self.at.astype(np.float32), 0.0, False, False, {}


def blocked(at):
    return abs(at[0] - 3) < 0.4 and at[1] < 4.5


def free(rng):
    at = rng.uniform(0.2, 5.8, 2)
    return free(rng) if blocked(at) else at


def court():
    return thalweg.GoalWrapper(Court(), goal_of=lambda s: s[..., :2], tolerance=0.3, sample_goal=free)


def straight(observation):
    return np.clip(3 * (observation["desired_goal"] - observation["achieved_goal"]), -1, 1)


def logs(count):
    env, rng, found = court(), np.random.default_rng(0), []
    for seed in range(count):
        states, push = [env.reset(seed=seed)[0]["observation"]], rng.uniform(-1, 1, 2)
        for _ in range(60):
            push = np.clip(push + 0.3 * rng.standard_normal(2), -1, 1)
            states.append(env.step(push)[0]["observation"])
        found.append(thalweg.Trajectory(np.stack(states), np.stack(states)))
    return found


CORNER = np.stack([np.linspace(0, 1, 41), np.linspace(2, 5, 41) ** 1.1], axis=1).astype(np.float32)


@pytest.fixture
def quick(monkeypatch):
    make_few(monkeypatch)


@pytest.mark.slow
def test_a_controller_with_logs_gets_round_the_wall(tmp_path):
    run = thalweg.plan_with(straight, court, data=logs(80), out=tmp_path / "run", progress=False)
    table = thalweg.evaluate(run, ["none", "replay"], range(40), episode_steps=150, progress=False)
    assert table["none"]["success"] < 0.8 and table["replay"]["success"] >= 0.97
    again = thalweg.load(tmp_path / "run", court, agent=straight, progress=False)
    plans = [own.planner("replay").plan(run.data.states[0], run.data.goals[-1], np.random.default_rng(0)) for own in (run, again)]
    assert np.array_equal(plans[0].waypoints, plans[1].waypoints)
    with pytest.raises(UsageError, match="hand it in"):
        thalweg.load(tmp_path / "run", court)
    with pytest.raises(UsageError, match="made in Python"):
        thalweg.load(tmp_path / "run", agent=straight)


@pytest.fixture(scope="module")
def model():
    env = TimeLimit(court(), max_episode_steps=50)
    made = DDPG(
        "MultiInputPolicy",
        env,
        replay_buffer_class=HerReplayBuffer,
        learning_starts=200,
        seed=0,
        policy_kwargs={"net_arch": [16]},
    )
    return made.learn(600)


@pytest.mark.slow
def test_a_model_of_stable_baselines3_brings_its_replay_and_is_left_as_it_was(model, quick):
    before = {name: values.clone() for name, values in model.policy.state_dict().items()}
    run = thalweg.plan_with(model, court, progress=False)
    assert 600 <= run.data.num_states <= 700 and run.data.trajectories[0].actions.shape[1] == 2
    table = thalweg.evaluate(run, ["none", "replay"], range(3), episode_steps=30, distance="q_value", progress=False)
    assert table["replay"]["episodes"] == 3
    assert all((values == before[name]).all() for name, values in model.policy.state_dict().items())


@pytest.mark.slow
def test_a_zip_is_read_only_if_it_is_trusted(model, tmp_path, monkeypatch, capsys):
    model.save(tmp_path / "model.zip")
    (tmp_path / "court.py").write_text("from test_plan_with import court\n")
    words = [
        "--agent",
        f"{tmp_path}/model.zip",
        "--env",
        f"{tmp_path}/court.py:court",
        "--out",
        f"{tmp_path}/run",
        "--no-progress",
    ]
    monkeypatch.setattr(sys, "argv", ["thalweg plan_with", *words])
    with pytest.raises(SystemExit) as end:
        run_command(plan_with.main, plan_with.Options)
    assert end.value.code == 2 and "--trust-pickle" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["thalweg plan_with", *words, "--trust-pickle", "--steps", "300"])
    run_command(plan_with.main, plan_with.Options)
    assert "links of" in capsys.readouterr().out
    words = ["--run", f"{tmp_path}/run", "--planners", "none,replay", "--seeds", "2", "--episode-steps", "20", "--no-progress"]
    words += ["--agent", f"{tmp_path}/model.zip", "--trust-pickle", "--out", f"{tmp_path}/eval"]
    monkeypatch.setattr(sys, "argv", ["thalweg evaluate", *words])
    run_command(evaluate.main, evaluate.Options)
    assert (tmp_path / "eval" / "results.csv").read_text().count("\n") == 1 + 2 * 2


@pytest.mark.slow
def test_what_does_not_belong_together_is_told_in_one_line(model):
    for agent, env, data, word in (
        (model, "PointMass-v0", None, "is of another env: observation has shape"),
        (object(), court, None, "predict"),
        (straight, court, [thalweg.Trajectory(np.zeros((3, 5), np.float32), np.zeros((3, 2), np.float32))], "of another env"),
        (straight, court, [thalweg.Trajectory(np.full((3, 2), np.nan), np.full((3, 2), np.nan))], "not finite"),
        (straight, Court, None, "no goal env"),
        (lambda observation: np.zeros(1), court, None, r"actions of shape \(1,\), the env takes \(2,\)"),
        (lambda observation: None, court, None, "gave NoneType, no action"),
        (straight, court, [thalweg.Trajectory(CORNER, CORNER[:, ::-1])], "of other goals than court"),
        (straight, court, [thalweg.Trajectory(CORNER, CORNER, np.zeros((40, 1)))], r"actions of shape \(1,\), \(2,\) in court"),
        (lambda observation: np.zeros(3), court, None, "is it of another env"),
        (thalweg.GoalSAC("MultiInputPolicy", "PointMass-v0"), court, None, "is of another env"),
    ):
        with pytest.raises(Exception, match=word) as told:
            thalweg.plan_with(agent, env, data, progress=False)
        assert told.value.exit_code == 2 and "\n" not in str(told.value)


def test_actions_of_the_users_own_trajectories_are_checked_before_anything_is_written(tmp_path):
    whole, out = logs(1)[0], tmp_path / "run"
    for goals, actions, word in (
        (whole.goals, np.zeros((7, 2)), "61 states and 7 actions"),
        (whole.goals[:5], None, "61 states and 5 achieved goals"),
    ):
        with pytest.raises(UsageError, match=word):
            thalweg.plan_with(straight, court, [thalweg.Trajectory(whole.states, goals, actions)], out=out, progress=False)
    with pytest.raises(UsageError, match="--steps must be at least 1"):
        thalweg.plan_with(straight, court, steps=0, out=out, progress=False)
    assert not out.exists()


def test_states_alone_are_data_where_it_is_said_which_goals_they_achieve():
    data = [trajectory.states for trajectory in logs(2)]
    run = thalweg.plan_with(straight, court, data, goal_of=lambda states: states[..., :2], progress=False)
    assert run.data.num_states == 122


@pytest.mark.slow
def test_a_model_without_a_replay_drives_now(model, tmp_path):
    """As `load` of stable-baselines3 leaves it: the replay is there, and empty."""
    model.save(tmp_path / "model.zip")
    loaded = DDPG.load(tmp_path / "model.zip", env=TimeLimit(court(), max_episode_steps=50))
    assert thalweg.plan_with(loaded, court, steps=100, progress=False).data.num_states >= 100


def test_many_maps_are_told_by_the_env():
    run = thalweg.plan_with(straight_in_mazes, "PointMassMazes-v0", steps=200, progress=False)
    assert run.maps.kind == "many" and run.usual_distance == "local"


def straight_in_mazes(observation):
    return np.clip(observation["desired_goal"] - observation["achieved_goal"], -1, 1)


@pytest.mark.slow
def test_rows_of_another_agent_are_not_taken_for_its_own(model, tmp_path):
    run = thalweg.plan_with(straight, court, data=logs(5), out=tmp_path / "run", progress=False)
    kept = thalweg.evaluate(run, ["none"], np.arange(3), out=tmp_path / "eval", progress=False)
    assert list(thalweg.evaluate(run, ["none"], range(3), out=tmp_path / "eval", progress=False).rows) == kept.rows
    for agent in (lambda observation: np.zeros(2), model):
        other = thalweg.load(tmp_path / "run", court, agent=agent, progress=False)
        with pytest.raises(OtherResultsError, match="other agent"):
            thalweg.evaluate(other, ["none"], range(3), out=tmp_path / "eval", progress=False)
    models = [thalweg.load(tmp_path / "run", court, agent=model, progress=False) for _ in range(2)]
    assert models[0].agent_mark == models[1].agent_mark


@pytest.mark.slow
def test_rows_of_another_setting_of_the_run_are_not_taken_for_its_own(tmp_path):
    run = thalweg.plan_with(straight, "PointMassU-v0", steps=100, progress=False)
    near = thalweg.evaluate(run.at(difficulty=0.05), ["none"], range(3), out=tmp_path, progress=False)
    again = thalweg.evaluate(run, ["none"], range(3), difficulty=0.05, out=tmp_path, progress=False)
    assert [row.oracle_length for row in near.rows] == [row.oracle_length for row in again.rows]
    with pytest.raises(OtherResultsError, match="other difficulty"):
        thalweg.evaluate(run.at(difficulty=0.95), ["none"], range(3), out=tmp_path, progress=False)


def test_what_an_evaluation_or_a_picture_cannot_be_of_is_one_line():
    run = thalweg.plan_with(straight, court, data=logs(2), progress=False)
    for ask, word in (
        (lambda: thalweg.evaluate(run, ["none"], range(2), workers=0), "--workers must be at least 1"),
        (lambda: thalweg.evaluate(run, ["none"], range(2), difficulty=1.5), "quantile from 0 to 1"),
        (lambda: thalweg.evaluate(run, ["none"], range(2), difficulty=0.5), "knows no difficulty"),
        (lambda: thalweg.evaluate(run, ["none"], range(2), env_kwargs={"walls": {1}}), "JSON can hold"),
        (lambda: thalweg.draw_plan(run, "none"), "plans nothing"),
        (lambda: thalweg.evaluate("runs/u"), "takes a run, got 'runs/u'"),
        (lambda: thalweg.evaluate(run, "energy"), "planners must be a list of names"),
        (lambda: thalweg.evaluate(run, [Court]), "is no name; name a class of your own by its file"),
        (lambda: thalweg.evaluate(run, []), "planners names none"),
        (lambda: thalweg.evaluate(run, ["none"], seeds=5), "seeds must be a list"),
        (lambda: thalweg.evaluate(run, ["none"], seeds=[]), "at least one"),
        (lambda: thalweg.evaluate(run, ["none"], seeds=[1, 1]), "each named once"),
        (lambda: thalweg.evaluate(run, ["none"], seeds=[-1]), "whole numbers from 0 on, got -1"),
        (lambda: thalweg.evaluate(run, ["none"], seeds=[0.5]), "whole numbers from 0 on"),
        (lambda: thalweg.evaluate(run, ["none"], nodes=0), "--nodes must be at least 1"),
        (lambda: thalweg.evaluate(run, ["none"], follow="line"), "--follow must be one of route, waypoints"),
        (lambda: thalweg.evaluate(run, ["none"], workers=2), "take one worker"),
        (lambda: thalweg.evaluate(run, ["none"], out=__file__), "is a file; name a folder"),
        (lambda: run.save(""), "names no folder of its own"),
    ):
        with pytest.raises(UsageError, match=word):
            ask()
