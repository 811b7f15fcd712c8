from dataclasses import fields

import gymnasium as gym
import numpy as np
import pytest

import envs  # noqa: F401
from planner.evaluation import EpisodeRow, evaluate, mean_interval, rows_to_csv, summarise


def row(planner, seed, success, steps, detour=None, plan_ms=None):
    return EpisodeRow(
        env="E", planner=planner, seed=seed, success=success, steps=steps, path_length=1.0, oracle_length=None, detour=detour,
        replans=0, failed_plans=0, plan_ms=plan_ms, nodes=0,
    )  # fmt: skip


class Straight:
    """Pushes straight at the goal."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        way = observation["desired_goal"] - observation["achieved_goal"]
        return way / np.linalg.norm(way, axis=-1, keepdims=True) - observation["observation"][:, 2:], None


def test_figures_by_hand():
    rows = [row("none", s, s < 1, 10 * (s + 1)) for s in range(4)]
    rows += [row("energy", s, s < 3, 10, detour=1.0 + s / 10, plan_ms=s) for s in range(4)]
    none, energy = summarise(rows).values()
    assert none["success"] == 0.25 and none["steps_iqm"] == 25 and none["detour_mean"] is None
    assert energy["success_minus_none"] == 0.5 and energy["detour_mean"] == pytest.approx(1.15)
    low, high = energy["success_minus_none_ci"]
    assert low < 0.5 < high and energy["plan_ms_median"] == 1.5


def test_gains_are_paired_by_seed():
    """Both fail half the time, on the same seeds: the gain is 0 without doubt. Unpaired it would be most uncertain."""
    rows = [row(planner, s, s % 2 == 0, 10) for planner in ("none", "energy") for s in range(40)]
    assert summarise(rows)["energy"]["success_minus_none_ci"] == [0.0, 0.0]


def test_the_interval_is_that_of_the_binomial():
    low, high = mean_interval(np.array([1.0] * 80 + [0.0] * 20))
    assert low == pytest.approx(0.72, abs=0.02) and high == pytest.approx(0.88, abs=0.02)
    assert mean_interval(np.ones(5)) == [1.0, 1.0]


def test_the_table_has_a_column_per_field_and_empty_cells_for_the_unknown():
    lines = rows_to_csv([row("none", 3, True, 7)]).splitlines()
    assert lines[0] == ",".join(field.name for field in fields(EpisodeRow))
    assert lines[1] == "E,none,3,1,7,1.0000,,,0,0,,0"


def test_the_same_seeds_are_the_same_episodes_in_any_order():
    def make(index):
        return gym.make("PointMass-v0")

    rows = evaluate(Straight(), make, [5, 6, 7], "PointMass-v0", "straight")
    assert rows[::-1] == evaluate(Straight(), make, [7, 6, 5], "PointMass-v0", "straight")
    assert rows[1:2] == evaluate(Straight(), make, [6], "PointMass-v0", "straight")
    assert all(r.success and 1.0 <= r.detour < 1.05 and r.path_length <= r.oracle_length + 1e-6 for r in rows)
