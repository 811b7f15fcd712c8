import numpy as np
import pytest

from thalweg.planner.following.subgoal_policy import SubgoalPolicy, SubgoalPolicyConfig
from thalweg.planner.plan import NoPathError, Plan

CONFIG = SubgoalPolicyConfig(reach=3, arrival=1, direct=3, patience=2, slack=2)


class Straight:
    def pairwise(self, states, goals):
        return np.linalg.norm(states[:, None] - goals, axis=-1)

    def paired(self, states, goals):
        return np.linalg.norm(states - goals, axis=-1)


class Walker:
    """One unit a step towards the goal; it can be held fast."""

    def __init__(self, held=False):
        self.held = held
        self.subgoals = []

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        self.subgoals.append(observation["desired_goal"].copy())
        way = observation["desired_goal"] - observation["observation"]
        step = way / np.maximum(np.linalg.norm(way, axis=-1, keepdims=True), 1.0)
        return (0 * step if self.held else step), None


class RoundTheCorner:
    """Plans by way of (0, 6); counts how often it was asked."""

    def __init__(self, fails=False):
        self.fails, self.asked = fails, 0

    def plan(self, state, goal, rng):
        self.asked += 1
        if self.fails:
            raise NoPathError("none")
        jitter = rng.normal(0, 1e-3, 2)  # each plan is a draw of its own
        waypoints = np.array([[0, 2], [0, 4], [0, 6], [2, 6], [4, 6]]) + jitter
        return Plan(waypoints.astype(np.float32), np.full(6, 2.0, np.float32), waypoints, np.zeros((0, 2), int))


def policy(agent, planner, config=CONFIG):
    return SubgoalPolicy(agent, planner, Straight(), lambda s: s, config)


def run(policy, starts, goals, steps):
    here, state, places = np.array(starts, float), None, []
    for step in range(steps):
        observation = {"observation": here, "achieved_goal": here, "desired_goal": np.array(goals, float)}
        actions, state = policy.predict(observation, state, np.full(len(here), step == 0))
        here = here + actions
        places.append(here.copy())
    return np.array(places), state


def test_it_follows_the_plan_round_the_corner_and_arrives():
    places, (pursuit,) = run(policy(Walker(), RoundTheCorner()), [[0, 0]], [[6, 6]], 16)
    assert places[-1, 0] == pytest.approx([6, 6], abs=1e-2) and pursuit.replans == 0
    assert np.linalg.norm(places[:, 0] - [0, 6], axis=1).min() < 2.0  # straight would pass it by 4.2


def test_it_never_turns_back_to_an_earlier_waypoint():
    agent = Walker()
    run(policy(agent, RoundTheCorner()), [[0, 0]], [[6, 6]], 16)
    progress = [float(subgoal[0].sum()) for subgoal in agent.subgoals]
    assert progress == sorted(progress) and len(set(np.round(progress, 1))) >= 4


def test_a_near_goal_needs_no_plan():
    planner = RoundTheCorner()
    places, (pursuit,) = run(policy(Walker(), planner), [[0, 0]], [[2, 0]], 3)
    assert planner.asked == 0 and places[-1, 0].tolist() == [2, 0] and pursuit.plan_ms == []


def test_an_edge_that_takes_too_long_leads_to_a_new_plan():
    planner = RoundTheCorner()
    _, (pursuit,) = run(policy(Walker(held=True), planner), [[0, 0]], [[6, 6]], 40)
    assert planner.asked == pursuit.replans + 1 >= 3


class Cornered(Walker):
    """Comes to rest where its subgoal lies straight ahead, as an agent does that pushes against a wall at its corner."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        step, _ = super().predict(observation)
        return np.where(step[:, 1:] == 0, 0.0, step), None


def test_a_subgoal_that_is_late_is_shaken_before_a_new_plan_is_made():
    agent = Cornered()
    places, (pursuit,) = run(policy(agent, RoundTheCorner()), [[0, 0]], [[2, 0]], 5)
    assert [subgoal[0].tolist() for subgoal in agent.subgoals[:2]] == [[2, 0]] * 2 and pursuit.replans == 0
    assert len({tuple(subgoal[0]) for subgoal in agent.subgoals}) >= 3 and places[-1, 0, 0] > 0.5
    still = SubgoalPolicyConfig(reach=3, arrival=1, direct=3, patience=2, slack=2, shake=0)
    places, _ = run(policy(Cornered(), RoundTheCorner(), still), [[0, 0]], [[2, 0]], 50)
    assert (places == 0).all()


def test_failed_searches_are_counted_and_the_agent_heads_for_the_goal():
    agent, planner = Walker(), RoundTheCorner(fails=True)
    _, (pursuit,) = run(policy(agent, planner), [[0, 0]], [[60, 60]], 30)
    assert pursuit.failed_plans == planner.asked >= 2 and agent.subgoals[0].tolist() == [[60, 60]]


def test_an_episode_does_not_depend_on_its_place_in_the_batch():
    starts, goals = [[0, 0], [1, 0], [0, 1]], [[6, 6], [5, 6], [6, 5]]
    together, _ = run(policy(Walker(), RoundTheCorner()), starts, goals, 12)
    for i in range(3):
        alone, _ = run(policy(Walker(), RoundTheCorner()), starts[i : i + 1], goals[i : i + 1], 12)
        assert np.array_equal(alone[:, 0], together[:, i])


def test_a_single_observation_gives_a_single_action():
    here = np.zeros(2)
    action, state = policy(Walker(), RoundTheCorner()).predict(
        {"observation": here, "achieved_goal": here, "desired_goal": np.array([6.0, 6.0])}
    )
    assert action.shape == (2,) and len(state) == 1


def test_an_edge_longer_than_the_reach_begins_once_its_waypoint_is_reached():
    """It did not: the agent stood at the waypoint until the deadline, and then planned the same again."""
    config = SubgoalPolicyConfig(reach=1.5, arrival=0.5, direct=1, patience=2, slack=2, look_ahead=1)
    places, (pursuit,) = run(policy(Walker(), RoundTheCorner(), config), [[0, 0]], [[6, 6]], 14)
    assert pursuit.replans == 0 and places[-1, 0] == pytest.approx([6, 6], abs=1e-2)


@pytest.mark.parametrize("bad", [{"look_ahead": 0}, {"arrival": 20.0}, {"slack": -1}, {"shake": -0.1}, {"direct": np.inf}])
def test_settings_that_could_never_work_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        SubgoalPolicyConfig(**bad)
