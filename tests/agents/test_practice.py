"""Which goals are pursued while collecting, and what is said of how that went."""

from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import configure

import thalweg.envs  # noqa: F401
from thalweg.agents.config import AgentConfig
from thalweg.agents.precision import native_bfloat16, warn_of_slow_bfloat16
from thalweg.agents.replay.map_numbers import OneMapNumber
from thalweg.agents.sac.practice import Practice
from thalweg.agents.sac.pursuits import Pursuits
from thalweg.agents.sac.sac import GoalSAC

STEP = np.array([[2.0], [1.0]])
FAR, HERE = np.array([[9.0], [9.0]]), np.array([[1.0], [2.0]])


class Line:
    """A buffer whose practice goals are one step on; a goal is reached within 0.1."""

    rng = np.random.default_rng(0)
    goal_test = SimpleNamespace(rewards=lambda achieved, goals: -(np.abs(achieved - goals)[:, 0] > 0.1).astype(np.float32))

    map_numbers = OneMapNumber()

    def practice_goals(self, achieved, maps):
        return achieved + 1, np.ones(len(achieved), dtype=bool)


def practice(share, **settings):
    return Practice(Line(), AgentConfig(practice_share=share, practice_steps=30, relabel_horizon=5, **settings), 2)


def see(achieved):
    return {"observation": achieved, "achieved_goal": achieved, "desired_goal": FAR}


NO, YES = np.zeros(2, dtype=bool), np.ones(2, dtype=bool)


def test_practice_goals_that_are_reached_and_that_are_not():
    ours = practice(share=1.0)
    assert np.array_equal(ours.pursued(see(HERE), YES), HERE + 1)
    assert np.array_equal(ours.pursued(see(HERE + STEP / 2), NO), HERE + STEP)  # the first arrived
    assert ours.pursuits.recent() == {"near": [True], "own": []}
    for _ in range(30):
        ours.pursued(see(HERE), NO)
    assert ours.pursuits.recent() == {"near": [True, False, False], "own": []}  # both were given up


def test_the_envs_own_goals_are_counted_apart():
    ours = practice(share=0.0)
    ours.pursued(see(HERE), YES)
    ours.end_episodes(YES, [{"is_success": True}, {"TimeLimit.truncated": True}])  # the second might not have had the time
    assert ours.pursuits.recent() == {"near": [], "own": [True]}
    for step in range(6):
        ours.pursued(see(HERE), YES if step == 0 else NO)
    ours.end_episodes(YES, [{"TimeLimit.truncated": False}, {"TimeLimit.truncated": True}])
    assert ours.pursuits.recent() == {"near": [], "own": [True, True, False]}


def test_a_practice_goal_that_is_reached_in_the_last_step_counts():
    ours = practice(share=1.0)
    ours.pursued(see(HERE), YES)
    ours.end_episodes(np.array([True, False]), [{"terminal_observation": {"achieved_goal": HERE[0] + 1}}, {}])
    assert ours.pursuits.recent()["near"] == [True]


def test_where_episodes_go_on_at_the_goal_it_counts_once():
    ours = practice(share=0.0)
    ours.pursued(see(HERE), YES)
    for _ in range(3):
        ours.pursued(see(FAR), NO)
    ours.end_episodes(YES, [{}, {}])
    assert ours.pursuits.recent()["own"] == [True, True]


def test_what_was_learnt_is_one_line():
    pursuits = Pursuits()
    assert str(pursuits) == (
        "success while training: on near goals not known (none pursued), on the env's own not known (none pursued)"
    )
    pursuits.note(np.array([True, True, False]), np.array([True, False, True]))
    assert str(pursuits) == "success while training: on near goals 0.50 (last 2), on the env's own 1.00 (last 1)"
    again = Pursuits()
    again.restore(pursuits.recent())
    assert str(again) == str(pursuits)


@pytest.mark.slow
@pytest.mark.usefixtures("quick_ways")
def test_training_logs_both_beside_what_sac_logs(tmp_path):
    config = AgentConfig(num_envs=4, warmup_steps=200, hidden=(16,), batch_size=16)
    model = GoalSAC(env=make_vec_env("PointMass-v0", 4, env_kwargs={"max_episode_steps": 20}), config=config, seed=0)
    model.set_logger(configure(str(tmp_path), ["csv"]))
    model.learn(1_000, log_interval=4)
    header, *rows = (tmp_path / "progress.csv").read_text().splitlines()
    last = dict(zip(header.split(","), rows[-1].split(","), strict=True))
    assert {"rollout/success_rate", "rollout/success_near", "rollout/success_own"} <= set(last)
    assert 0 < float(last["rollout/success_near"]) <= 1 and len(model.pursuits.near) > 10


@pytest.mark.parametrize(
    ("text", "native"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16 sse\n", True),
        ("flags\t\t: fpu avx2 amx_bf16\n", True),
        ("Features\t: fp asimd bf16\n", True),
        ("flags\t\t: fpu avx512f avx2\nmodel name: bf16\n", False),
        ("something else\n", None),
    ],
)
def test_whether_a_processor_knows_bfloat16_is_read_off_its_flags(tmp_path, text, native):
    (tmp_path / "cpuinfo").write_text(text)
    assert native_bfloat16(tmp_path / "cpuinfo") is native
    assert native_bfloat16(tmp_path / "missing") is None


def test_slow_products_are_warned_of_where_they_are_slow(monkeypatch, recwarn):
    monkeypatch.setattr("thalweg.agents.precision.native_bfloat16", lambda: False)
    for precision, device in (("float32", "cpu"), ("bfloat16", "cuda")):
        warn_of_slow_bfloat16(precision, device)
    assert not recwarn
    with pytest.warns(UserWarning, match="twice as long"):
        GoalSAC(env=gym.make("PointMass-v0"), config=AgentConfig(precision="bfloat16", hidden=(8,)), total_steps=100)
