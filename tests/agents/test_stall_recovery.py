"""An agent that has come to rest short of its goal goes down the visited ways for a few steps."""

import gymnasium as gym
import numpy as np
import pytest
import torch

import thalweg.envs  # noqa: F401
from thalweg.agents.agent import GoalAgent, trained_agent
from thalweg.agents.config import AgentConfig
from thalweg.agents.sac.sac import GoalSAC
from thalweg.agents.sac.stall_recovery import Rest, carry_on, pull_of, way_out
from thalweg.agents.vec_env import BatchVecEnv
from thalweg.envs.loading import load_batch
from thalweg.planner.evaluation.evaluate import evaluate
from thalweg.planner.following.subgoal_policy import SubgoalPolicy, SubgoalPolicyConfig
from thalweg.planner.plan import NoPathError

MOVES = np.array([0.1, 0.2])


def masses(rng, pull, noise, count=2_000):
    """Moves are half the velocity, what the action adds, and noise."""
    states, actions = rng.standard_normal((count, 3)), rng.uniform(-1, 1, (count, len(pull)))
    moves = 0.5 * states[:, 1:] + actions @ pull + noise * rng.standard_normal((count, 2))
    return states, actions, moves


def test_how_far_actions_move_the_goal_is_found_beside_what_the_velocity_does():
    pull = np.array([[0.3, 0.0], [0.1, -0.2], [0.0, 0.0]])
    assert np.allclose(pull_of(*masses(np.random.default_rng(0), pull, 0.0)), pull)
    assert np.allclose(pull_of(*masses(np.random.default_rng(0), pull, 0.1)), pull, atol=0.02)


def test_a_goal_that_actions_do_not_move_is_not_pulled():
    rng = np.random.default_rng(0)
    states, actions, moves = masses(rng, np.array([[0.3, 0.0], [0.0, 0.0]]), 0.0)
    moves[:, 1] = rng.standard_normal(len(moves)) * (rng.random(len(moves)) < 0.1)  # pushed now and then
    assert np.allclose(pull_of(states, actions, moves), [[0.3, 0.0], [0.0, 0.0]])
    assert (pull_of(states, actions, np.zeros_like(moves)) == 0).all()


def follow(*places):
    carried = None
    for place in places:
        carried = carry_on(carried, None, np.array([place]), MOVES)
        yield max(carried[0].left, 0)


def test_who_moves_is_left_alone_and_who_rests_goes_down_for_four_steps():
    moving = [[0.1 * step, 0.0] for step in range(5)]
    assert list(follow(*moving)) == [0, 0, 0, 0, 0]
    assert list(follow([0, 0], [0, 0], [0.1, 0], [0.2, 0], [0.3, 0], [0.4, 0])) == [0, 4, 3, 2, 1, 0]
    assert list(follow([0, 0], [0, 0], [0.005, 0.01], [0.1, 0])) == [0, 4, 4, 3]  # a tenth of a move is none
    assert list(follow([0, 0], [0, 0.03])) == [0, 0]  # one entry is enough


def test_a_new_episode_begins_without_the_rest_of_the_last_one():
    place = np.zeros((2, 2))
    before = (Rest(place[0], 2, 3), Rest(place[1], 2, 3))
    assert [rest[1:] for rest in carry_on(before, np.array([True, False]), place, MOVES)] == [(0, 0), (4, 4)]
    assert [rest[1:] for rest in carry_on((None, before[1]), None, place, MOVES)] == [(0, 0), (4, 4)]


def test_rests_in_a_row_are_counted_until_it_has_long_moved_on():
    def rests(steps_between):
        path = [0.0, 0.0, *(0.1 * step for step in range(1, steps_between + 1)), 0.1 * steps_between]
        carried = None
        for x in path:
            carried = carry_on(carried, None, np.array([[x, 0.0]]), MOVES)
        return carried[0].rests

    assert [rests(steps) for steps in (1, 4, 14, 15, 30)] == [2, 2, 2, 1, 1]


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_the_way_out_is_down_then_to_both_sides_and_back(size):
    down = np.random.default_rng(size).uniform(-1, 1, size)
    ways = [way_out(down, rests) for rests in range(1, 11)]
    assert np.array_equal(ways[0], down) and np.array_equal(ways[2], down) and np.array_equal(ways[4], -down)
    assert np.array_equal(ways[1], -ways[3]) and np.array_equal(ways[5:], ways[:5])
    assert size != 2 or abs(ways[1] @ down) < 1e-12
    assert {np.abs(way).max() for way in ways} == {np.abs(down).max()}


@pytest.fixture(scope="module")
def agent():
    """Has learnt the ways of an open square, and to act not at all: its means are 0 everywhere."""
    torch.manual_seed(0)
    config = AgentConfig(num_envs=4, warmup_steps=2_000, hidden=(8,), batch_size=16)
    model = GoalSAC(env=BatchVecEnv(load_batch("PointMass-v0", 4)), config=config, total_steps=2_100, seed=0).learn(2_004)
    with torch.no_grad():
        for parameter in model.actor.mu.parameters():
            parameter.zero_()
    return trained_agent(model)


def test_actions_move_a_mass_along_their_own_entries(agent):
    pull = agent.policy.actor.features_extractor.pull
    assert (pull.diagonal() > 0).all() and pull.diagonal().min() > 5 * (pull - pull.diagonal().diag()).abs().max()


def at(place, goal):
    state = np.array([*place, 0.0, 0.0], np.float32)
    return {"observation": state, "achieved_goal": state[:2], "desired_goal": np.array(goal, np.float32)}


def test_an_agent_that_would_stay_for_ever_goes_down_the_ways(agent):
    here = at([0.3, 0.3], [1.5, 0.3])
    first, before = agent.predict(here, deterministic=True)
    assert np.allclose(first, 0.0, atol=1e-6) and first.shape == (2,)
    second, carried = agent.predict(here, before, deterministic=True)
    assert np.abs(second).max() == pytest.approx(1.0) and second[0] > 0.5
    third, _ = agent.predict(here, carried, deterministic=True)
    assert third[1] > 0.5  # across, where down has led nowhere
    batch = {key: np.stack([values, values]) for key, values in here.items()}
    both, _ = agent.predict(batch, (before[0], None), np.array([False, True]), deterministic=True)
    assert np.allclose(both, [second, first], atol=1e-5)
    restless, nothing = agent.predict(here, carried, deterministic=False)
    assert nothing is None and not np.allclose(restless, second)


def test_an_env_may_write_its_next_observation_where_the_last_one_lay(agent):
    here = at([0.3, 0.3], [1.5, 0.3])
    _, carried = agent.predict(here, deterministic=True)
    here["observation"][:2] += 0.5  # and so what is achieved, too
    _, carried = agent.predict(here, carried, deterministic=True)
    assert carried[0].left <= 0 and carried[0].rests == 0


@pytest.mark.slow
def test_it_reaches_goals_by_this_alone_and_as_the_driver_of_plans_too(agent):
    class NoPlan:
        def plan(self, state, goal, rng):
            raise NoPathError("none")

    class Steps:
        def pairwise(self, states, goals):
            return 50 * np.linalg.norm(states[:, None, :2] - goals, axis=-1)

        def paired(self, states, goals):
            return 50 * np.linalg.norm(states[:, :2] - goals, axis=-1)

    def success(policy):
        rows = evaluate(policy, lambda index: gym.make("PointMass-v0", max_episode_steps=200), range(10_000, 10_080), "", "")
        return np.mean([row.success for row in rows])

    def led(driver):
        return SubgoalPolicy(driver, NoPlan(), Steps(), lambda states: states[..., :2], SubgoalPolicyConfig(shake=0.0))

    rates = [success(policy) for policy in (agent, led(agent), led(Forgetful(agent)))]
    assert min(rates[:2]) > 0.25 > 0.1 > rates[2], rates  # it coasts past many: nothing but these four steps is done


class Forgetful:
    """The same agent, to which nothing is handed on."""

    def __init__(self, agent: GoalAgent) -> None:
        self.agent = agent

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return self.agent.predict(observation, None, None, deterministic)[0], None
