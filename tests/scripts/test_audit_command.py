"""What the audit says of distances whose faults are known, and of agents that are known to arrive or not."""

import gymnasium as gym
import numpy as np
import pytest

import thalweg.envs  # noqa: F401
from thalweg.planner.data.trajectories import GoalEntries, Trajectory
from thalweg.planner.evaluation.audit import (
    Drives,
    Pairs,
    drive,
    logged_pairs,
    longest_sure_edge,
    near_goals,
    node_pairs,
    random_pairs,
    score,
    success_by_distance,
    sure_edge,
    triangle_violation_rate,
    worst_edges,
)
from thalweg.scripts.audit import spoken, table

PLACE = GoalEntries((0, 1))


def test_scores_are_those_worked_out_by_hand():
    true = np.array([0.0, 2.0, 10.0, 30.0, np.inf])
    figures = score(np.array([1.0, 3.0, 8.0, 5.0, np.inf]), true, max_edge=8.0)
    assert figures["pairs"] == 5 and figures["short_edges"] == 4
    assert figures["false_short_edges"] == 1 and figures["false_short_edge_rate"] == 0.25  # 5 for 30; 8 for 10 is not false
    assert figures["median_relative_error"] == pytest.approx((0.2 + 0.5) / 2)  # of 0.5, 0.2, 25/30, 0; not of the first
    assert figures["spearman"] == pytest.approx(0.9)  # ranks 1 2 4 3 5 against 1 2 3 4 5
    assert score(true + 50, true, max_edge=8.0)["false_short_edge_rate"] is None


def test_an_unreachable_goal_taken_for_near_is_false_and_infinitely_wrong():
    alike = score(np.full(3, 5.0), np.array([1.0, 2.0, 3.0]), max_edge=8.0)  # of ranks there is nothing to say
    assert alike["spearman"] is None and alike["median_relative_error"] == 1.5
    nothing = score(np.zeros(0), np.zeros(0), max_edge=8.0)
    assert nothing["spearman"] is None and nothing["median_relative_error"] is None
    figures = score(np.array([4.0, 5.0, 3.0]), np.array([np.inf, np.inf, 4.0]), max_edge=8.0)
    assert figures["false_short_edge_rate"] == pytest.approx(2 / 3) and figures["median_relative_error"] is None


def test_the_worst_edges_are_named_worst_first():
    pairs = Pairs(np.arange(8.0).reshape(4, 2), np.zeros((4, 2)), np.array([5.0, 60.0, np.inf, 100.0]))
    edges = worst_edges(np.array([4.0, 6.0, 7.0, 90.0]), pairs, max_edge=10.0, count=2)
    assert [(edge["predicted"], edge["true"]) for edge in edges] == [(7.0, None), (6.0, 60.0)]
    assert edges[1]["state"] == [2.0, 3.0] and edges[1]["goal"] == [0.0, 0.0]


class Squared:
    """|s - g|^2 breaks the triangle inequality wherever b lies between a and c."""

    power = 2.0

    def paired(self, states, goals):
        return np.abs(states - goals)[:, 0] ** self.power


class Straight(Squared):
    power = 1.0


def test_triangle_violations_are_counted():
    states = np.linspace(0, 1, 50)[:, None]
    rates = [triangle_violation_rate(d, states, lambda s: s, 3_000, np.random.default_rng(0)) for d in (Squared(), Straight())]
    assert rates[0] == pytest.approx(1 / 3, abs=0.05) and rates[1] == 0.0


def test_logged_pairs_are_as_far_apart_as_it_took(walk):
    pairs = logged_pairs(walk, 200, np.random.default_rng(0))
    states, owner = np.concatenate([t.states for t in walk]), np.repeat(np.arange(len(walk)), [len(t) for t in walk])
    for state, goal, steps in zip(pairs.states, pairs.goals, pairs.steps.astype(int), strict=True):
        first = (states == state).all(axis=1).argmax()
        assert owner[first] == owner[first + steps] and steps > 0
        assert np.array_equal(states[first + steps, :2], goal)


def test_node_pairs_are_all_pairs_of_spread_visited_states(walk):
    states, goals = node_pairs(walk, PLACE, 20, np.random.default_rng(0))
    assert states.shape == (380, 4) and goals.shape == (380, 2)
    assert (PLACE(states) != goals).any(axis=1).all()
    visited = np.concatenate([t.goals for t in walk])
    nodes = np.unique(goals, axis=0)
    gaps = np.linalg.norm(nodes[:, None] - nodes, axis=-1)[~np.eye(len(nodes), dtype=bool)]
    assert len(nodes) == 20 and gaps.min() > 0.5 * np.ptp(visited, axis=0).max() / np.sqrt(20)


def test_random_pairs_repeat_states_and_goals():
    states, goals = random_pairs(np.arange(3.0)[:, None], np.arange(2.0)[:, None], 500, np.random.default_rng(0))
    assert states.shape == goals.shape == (500, 1) and len(np.unique(np.hstack([states, goals]), axis=0)) == 6


class Steering:
    """Pushes the mass straight to the goal, as fast as it can still stop."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        offset = observation["desired_goal"] - observation["observation"][..., :2]
        velocity = observation["observation"][..., 2:]
        return np.clip((1.5 * offset - velocity) * 5, -1, 1).astype(np.float32), None


class Resting(Steering):
    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return np.zeros_like(observation["desired_goal"]), None


@pytest.mark.parametrize("truth", [True, False])
def test_an_agent_that_drives_straight_arrives_on_open_ground_and_one_that_rests_does_not(truth):
    env = gym.make("PointMass-v0", max_episode_steps=200)
    data = []
    for seed in range(20):
        observation, _ = env.reset(seed=seed)
        states = [observation["observation"]]
        while not (done := False) and len(states) < 40:
            observation, _, done, _, _ = env.step(Steering().predict(observation)[0])
            states.append(observation["observation"])
            if done:
                break
        data.append(Trajectory(np.stack(states), PLACE(np.stack(states))))
    choose = near_goals(data, 20, env.unwrapped.shortest_steps if truth else None)
    drives = drive(Steering(), env, choose, 40, seed=10_000)
    assert len(drives.taken) == 40 and (drives.pairs.steps >= 1).all() and (drives.pairs.steps <= 20).all()
    assert np.isfinite(drives.taken).mean() >= 0.95
    if truth:
        reached = np.isfinite(drives.taken)
        assert (drives.taken[reached] >= env.unwrapped.shortest_steps(drives.pairs.states, drives.pairs.goals)[reached]).all()
    lazy = drive(Resting(), env, choose, 20, seed=10_000)
    far = lazy.pairs.steps > 2
    assert np.isinf(lazy.taken[far]).all() and far.any()


def test_no_goal_nearby_is_said():
    env = gym.make("PointMass-v0")
    with pytest.raises(ValueError, match="could be driven"):
        drive(Steering(), env, lambda state, place, rng: (place, np.inf), 2, seed=0)


def test_without_truth_a_short_edge_is_not_called_right():
    known = {"spearman": 0.9, "median_relative_error": 0.1, "triangle_violation_rate": 0.0, "false_short_edge_rate": None}
    lines = table("some/folder/of_a_user.py:Harbour", {"mine": {**known, "realised_to_20": known}}).splitlines()
    assert lines[0] == "some/folder/of_a_user.py:Harbour" and lines[1].split()[0] == "spearman"
    assert lines[2].split()[:5] == ["mine", "0.900", "0.100", "-", "-"] and len(lines[1]) == len(lines[2])


def test_an_agent_that_can_be_trusted_at_no_distance_is_said_to_be_so():
    rows = success_by_distance(drives_of([1, 3, 4, 6], [1, np.inf, 5, 7]), 3, 12)
    bad, good = ({"longest_sure_edge": longest_sure_edge(own), "success_by_distance": own} for own in (rows, rows[1:]))
    told = spoken({"bare": bad, "routed": good})
    assert "99 % of goals at no distance (50% of those 1 to 3 steps away)" in told
    assert told.endswith("led along routes, 99 % of goals up to 6 steps away")


def drives_of(steps, taken):
    return Drives(Pairs(np.zeros((len(steps), 4)), np.zeros((len(steps), 2)), np.array(steps)), np.array(taken))


def test_success_is_told_by_distance_and_sure_up_to_where_it_first_falls():
    rows = success_by_distance(drives_of([1, 3, 4, 6, 7, 12], [1, 4, 5, np.inf, 9, 14]), 3, 12)
    assert [(row["from"], row["to"], row["drives"], row["success"]) for row in rows] == [
        (1, 3, 2, 1.0), (4, 6, 2, 0.5), (7, 9, 1, 1.0), (10, 12, 1, 1.0)
    ]  # fmt: skip
    assert longest_sure_edge(rows) == 3 and longest_sure_edge(rows[2:]) == 12 and longest_sure_edge(rows[1:]) == 0


def test_links_are_as_long_as_drives_succeed():
    predicted, reached = np.repeat(np.arange(1.0, 21.0), 100), np.ones(2_000, dtype=bool)
    assert sure_edge(predicted, reached) == 16
    reached[predicted > 9] = False
    assert sure_edge(predicted, reached) == 9  # at 10, a tenth is missed
    assert sure_edge(predicted, np.zeros(2_000, dtype=bool)) == 4
