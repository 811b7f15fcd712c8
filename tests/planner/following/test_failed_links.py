from dataclasses import replace

import numpy as np
import pytest
from test_subgoal_policy import Straight

from thalweg.planner.following.failed_links import FailedLinks, WithoutFailed, without_failed
from thalweg.planner.following.subgoal_policy import SubgoalPolicy, SubgoalPolicyConfig
from thalweg.planner.many_maps.layout import Layout
from thalweg.planner.plan import NoPathError, Plan
from thalweg.planner.planners.sampled_graph import GraphPlanner, GraphPlannerConfig


class TwoWaysRound:
    """A short way by (5, 1), a longer one by (5, -4)."""

    def sample(self, state, goal, num_samples, rng):
        return np.array([[5.0, 1.0], [5.0, -4.0]]) + rng.normal(0, 0.01, (2, 2))


def planner():
    config = GraphPlannerConfig(num_nodes=2, stride=8.0, max_edge=8.0, keep_best=False)
    return GraphPlanner(TwoWaysRound(), Straight(), lambda s: s, config)


START, GOAL = np.zeros(2), np.array([10.0, 0.0])


def test_a_link_is_like_one_that_failed_if_both_its_ends_are_near_it():
    failed = FailedLinks(radius=1.0)
    failed.add(np.array([0.0, 0.0]), np.array([5.0, 0.0]))
    starts = np.array([[0.5, 0.0], [0.5, 0.0], [2.0, 0.0], [5.0, 0.0]])
    ends = np.array([[5.5, 0.0], [7.0, 0.0], [5.0, 0.0], [0.0, 0.0]])  # the last one is the way back
    assert failed.near(starts, ends).tolist() == [True, False, False, False]
    assert failed.near(starts[:, None], ends[None]).shape == (4, 4)


def test_the_two_ways_to_ask_agree_and_only_failed_links_are_cut():
    failed = FailedLinks(radius=1.0)
    failed.add(START, np.array([5.0, 1.0]))
    distance = WithoutFailed(Straight(), lambda s: s, failed)
    rng = np.random.default_rng(0)
    states, goals = rng.uniform(-1, 6, (120, 2)), rng.uniform(-1, 6, (120, 2))
    every = distance.pairwise(states, goals)
    np.testing.assert_allclose(np.diag(every), distance.paired(states, goals))
    cut = np.isinf(every)
    assert 0 < cut.sum() < cut.size
    assert np.array_equal(every[~cut], Straight().pairwise(states, goals)[~cut])


def test_a_plan_goes_round_a_link_that_failed():
    rng = np.random.default_rng(0)
    assert planner().plan(START, GOAL, rng).waypoints[0, 1] == pytest.approx(1.0, abs=0.1)
    failed = FailedLinks(radius=0.5)
    failed.add(START, np.array([5.0, 1.0]))
    assert without_failed(planner(), failed).plan(START, GOAL, rng).waypoints[0, 1] == pytest.approx(-4.0, abs=0.1)
    failed.add(START, np.array([5.0, -4.0]))
    with pytest.raises(NoPathError):
        without_failed(planner(), failed).plan(START, GOAL, rng)


def test_a_planner_without_a_graph_stays_as_it_is():
    class Line:
        def plan(self, state, goal, rng):
            return Plan(np.zeros((0, 2)), np.ones(1), np.zeros((0, 2)), np.array([[0, 1]]))

    failed, own = FailedLinks(radius=0.5), Line()
    failed.add(START, GOAL)
    assert without_failed(own, failed) is own
    assert without_failed(planner(), FailedLinks(radius=0.5)).distance.__class__ is Straight  # nothing failed yet


class Stuck:
    """Cannot go up before x is 4: pushes against a wall there whenever the subgoal is above."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        way = observation["desired_goal"] - observation["observation"]
        step = way / np.maximum(np.linalg.norm(way, axis=-1, keepdims=True), 1.0)
        return np.where((way[:, 1:] > 0.2) & (observation["observation"][:, :1] < 4), 0.0, step), None


def drive(follower, steps, episodes=1):
    for _ in range(episodes):
        here, state = START[None].copy(), None
        for step in range(steps):
            observation = {"observation": here, "achieved_goal": here, "desired_goal": GOAL[None]}
            action, state = follower.predict(observation, state, np.array([step == 0]))
            here = here + action
            if np.linalg.norm(here - GOAL) < 0.5:
                break
    return step + 1, state[0]


@pytest.mark.parametrize("avoid", [0.0, 0.5])
def test_an_agent_that_is_stuck_takes_the_other_way_only_if_it_remembers(avoid):
    config = SubgoalPolicyConfig(reach=5, arrival=0.5, direct=3, patience=1, slack=2, shake=0.0, avoid=avoid)
    steps, pursuit = drive(SubgoalPolicy(Stuck(), planner(), Straight(), lambda s: s, config), 60)
    assert (steps < 60) == (avoid > 0)
    assert bool(pursuit.failed.links) == (avoid > 0)


def test_what_failed_is_forgotten_with_the_episode_unless_it_is_asked_for():
    for for_run in (False, True):
        config = SubgoalPolicyConfig(
            reach=5, arrival=0.5, direct=3, patience=1, slack=2, shake=0.0, avoid=0.5, avoid_for_run=for_run
        )
        follower = SubgoalPolicy(Stuck(), planner(), Straight(), lambda s: s, config)
        first, _ = drive(follower, 60)
        second, pursuit = drive(follower, 60)
        assert (pursuit.replans == 0) == for_run
        assert (second < first) == for_run


def test_settings_are_checked():
    with pytest.raises(ValueError, match="avoid"):
        SubgoalPolicyConfig(avoid=-1.0)
    with pytest.raises(ValueError, match="set that, too"):
        SubgoalPolicyConfig(avoid_for_run=True)


def test_what_failed_in_one_map_is_not_avoided_in_the_next():
    config = SubgoalPolicyConfig(avoid=0.5, avoid_for_run=True)
    many = replace(planner(), layout=Layout((2, 2), (0.0, 0.0), (1.0, 1.0)))
    with pytest.raises(ValueError, match="for one map"):
        SubgoalPolicy(Stuck(), many, Straight(), lambda s: s, config)
