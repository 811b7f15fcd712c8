"""Parts that keep their promises pass, and each broken promise is named with the part and the mend."""

import random

import numpy as np
import pytest
import torch
from straight import Straight

from thalweg.planner.checks import CheckError, check_distance, check_planner, check_sampler, checked_nodes, checked_steps
from thalweg.planner.plan import NoPathError, Plan
from thalweg.planner.planners.sampled_graph import GraphPlanner, GraphPlannerConfig
from thalweg.planner.samplers.box import BoxSampler
from thalweg.planner.samplers.replay import ReplaySampler


def test_good_parts_pass(experience):
    sampler = ReplaySampler.fit(experience)
    check_sampler(sampler, experience)
    check_sampler(BoxSampler.fit(experience), experience)
    check_distance(experience.distance, experience)
    check_planner(GraphPlanner(sampler, experience.distance, experience.goal_of, GraphPlannerConfig()), experience)


def test_a_planner_may_find_no_path(experience):
    class Lost:
        def plan(self, state, goal, rng):
            raise NoPathError("none")

    check_planner(Lost(), experience)


class Ours:
    """A sampler of somebody: `draw` says how it goes wrong, given the contract's number of states."""

    def __init__(self, draw):
        self.draw = draw

    def sample(self, state, goal, num_samples, rng):
        return self.draw(0.1 * rng.random((num_samples, len(state)), dtype=np.float32), state)


def bump(samples, value):
    samples[2:3, 1] = value
    return samples


def from_numpy(samples, state):
    np.random.random()
    return samples


def from_torch(samples, state):
    torch.rand(1)
    return samples


def from_random(samples, state):
    random.random()
    return samples


def alter(samples, state):
    state += 1
    return samples


unseeded = np.random.default_rng()

SAMPLERS = {
    "float64, expected float32": lambda samples, state: samples.astype(np.float64),
    "int64, expected float32": lambda samples, state: samples.astype(np.int64),
    "a list, expected a numpy array": lambda samples, state: samples.tolist(),
    "of shape (0, 2), expected (0, 4)": lambda samples, state: samples[:, :2],
    "of shape (2, 4), expected (0, 4)": lambda samples, state: np.vstack([samples, state, state]),
    "of shape (6, 4), expected (7, 4)": lambda samples, state: samples[:6],
    "raised ValueError for num_samples=0": lambda samples, state: np.stack(list(samples)),
    "nan at [2, 1]": lambda samples, state: bump(samples, np.nan),
    "inf at [2, 1]": lambda samples, state: bump(samples, np.inf),
    "30 at [2, 1], outside the space": lambda samples, state: bump(samples, 30.0),
    "equal rng, another draw": lambda samples, state: 0.1 * unseeded.random(samples.shape, dtype=np.float32),
    "global randomness of numpy": from_numpy,
    "global randomness of torch": from_torch,
    "global randomness of random": from_random,
    "altered the states or goals": alter,
}


@pytest.mark.parametrize("wrong", SAMPLERS)
def test_a_broken_sampler_is_named(wrong, experience):
    with pytest.raises(CheckError) as error:
        check_sampler(Ours(SAMPLERS[wrong]), experience)
    assert_one_line(error, "Ours", wrong)


class Crooked(Straight):
    """The straight distance, bent by `pairwise` and `paired`, functions of the true steps."""

    def __init__(self, pairwise=None, paired=None):
        self.bend_pairwise, self.bend_paired = pairwise, paired

    def pairwise(self, states, goals):
        steps = super().pairwise(states, goals)
        return steps if self.bend_pairwise is None else self.bend_pairwise(steps)

    def paired(self, states, goals):
        steps = super().paired(states, goals)
        return steps if self.bend_paired is None else self.bend_paired(steps)


DISTANCES = {
    "pairwise: the distances are of shape (7, 5), expected (5, 7)": Crooked(np.transpose),
    "pairwise: the distances are of shape (), expected (1, 1)": Crooked(np.squeeze),
    "paired: the distances are of shape (35, 1), expected (35,)": Crooked(paired=lambda steps: steps[:, None]),
    "nan at [0, 0], but must be a number; inf means unreachable": Crooked(lambda steps: np.where(steps > 0, np.nan, steps)),
    "steps are never negative": Crooked(lambda steps: -steps),
    "paired: the distances are float64": Crooked(paired=lambda steps: steps.astype(np.float64)),
    "pairwise[i, j] must be paired of state i and goal j": Crooked(paired=lambda steps: 2 * steps),
    "asked again it gives other distances": Crooked(lambda steps: steps + unseeded.random(dtype=np.float32)),
    "raised KeyError for states (5, 4) and goals (7, 2)": Crooked(lambda steps: {}["steps"]),
}


@pytest.mark.parametrize("wrong", DISTANCES)
def test_a_broken_distance_is_named(wrong, experience):
    with pytest.raises(CheckError) as error:
        check_distance(DISTANCES[wrong], experience)
    assert_one_line(error, "Crooked", wrong)


def test_a_distance_that_alters_its_states_is_named(experience):
    class Greedy(Straight):
        def pairwise(self, states, goals):
            states -= 1
            return super().pairwise(states, goals)

    with pytest.raises(CheckError) as error:
        check_distance(Greedy(), experience)
    assert_one_line(error, "Greedy.pairwise", "altered the states or goals")


class Leads:
    """A plan over two nodes, with one field replaced."""

    def __init__(self, **fields):
        self.fields = fields

    def plan(self, state, goal, rng):
        nodes = np.stack([state, state])
        edges = np.array([[0, 1], [1, 3]])
        good = {"waypoints": nodes[:1], "edge_steps": np.ones(2), "nodes": nodes, "edges": edges}
        return Plan(**{**good, **self.fields})


class Guesses(Leads):
    def plan(self, state, goal, rng):
        return Plan(np.stack([state]), unseeded.random(2), np.stack([state]), np.zeros((0, 2), int))


class Wanders(Leads):
    def plan(self, state, goal, rng):
        aside = unseeded.random(len(state), dtype=np.float32)
        return Plan(np.stack([state + aside]), np.ones(2), np.stack([state]), np.zeros((0, 2), int))


class Sometimes(Leads):
    asked = 0

    def plan(self, state, goal, rng):
        self.asked += 1
        if self.asked % 2:
            raise NoPathError("not now")
        return super().plan(state, goal, rng)


class Answers(Leads):
    def plan(self, state, goal, rng):
        return [state, goal]


class Fails(Leads):
    def plan(self, state, goal, rng):
        raise RuntimeError("no graph")


PLANNERS = {
    "gave a list; give a Plan, or raise NoPathError": Answers(),
    "raised RuntimeError for a visited state and goal: no graph": Fails(),
    "equal rng, another plan": Guesses(),
    "equal rng, another plan; draw": Wanders(),
    "equal rng, another plan; draw all": Sometimes(),
    "waypoints are of shape (1, 2), expected (K, 4)": Leads(waypoints=np.zeros((1, 2))),
    "waypoints have nan at [0, 0]": Leads(waypoints=np.full((1, 4), np.nan)),
    "nodes are of shape (4,), expected (N, 4)": Leads(nodes=np.zeros(4)),
    "edge_steps are of shape (1,), expected (2,)": Leads(edge_steps=np.ones(1)),
    "edge_steps have inf at [1]": Leads(edge_steps=np.array([1.0, np.inf])),
    "edge_steps have -1 at [0]": Leads(edge_steps=np.array([-1.0, 1.0])),
    "edges are float64 of shape (0,), expected whole numbers (E, 2)": Leads(edges=np.zeros(0)),
    "edges have 4 at [0, 1], but 0 is the start, 1 to 2 the nodes and 3 the goal": Leads(edges=np.array([[0, 4]])),
}


def test_the_plan_that_the_others_break_is_good(experience):
    check_planner(Leads(), experience)


@pytest.mark.parametrize("wrong", PLANNERS)
def test_a_broken_planner_is_named(wrong, experience):
    with pytest.raises(CheckError) as error:
        check_planner(PLANNERS[wrong], experience)
    assert_one_line(error, type(PLANNERS[wrong]).__name__, wrong)


def test_what_is_good_in_mid_run_comes_back_as_it_is():
    nodes, steps = np.zeros((3, 2), np.float32), np.array([[1.0, np.inf]])
    assert checked_nodes(nodes, 3, 2, "Ours") is nodes
    assert checked_steps(steps, (1, 2), "Crooked") is steps


def test_what_goes_wrong_in_mid_run_is_named_as_before_it():
    with pytest.raises(CheckError, match=r"^Ours: the samples have nan at \[1, 0\], but a node must be a finite state$"):
        checked_nodes(np.array([[0.0], [np.nan]]), 2, 1, "Ours")
    with pytest.raises(CheckError, match=r"^Ours: the samples are of shape \(2, 1\), expected \(3, 1\)"):
        checked_nodes(np.zeros((2, 1)), 3, 1, "Ours")
    with pytest.raises(CheckError, match=r"^Crooked: the distances have -1 at \[0, 1\], but steps are never negative"):
        checked_steps(np.array([[0.0, -1.0]]), (1, 2), "Crooked")
    with pytest.raises(CheckError, match=r"^Crooked: the distances are of shape \(1, 2\), expected \(2, 1\)"):
        checked_steps(np.zeros((1, 2)), (2, 1), "Crooked")


def assert_one_line(error, *parts):
    message = str(error.value)
    assert "\n" not in message and all(part in message for part in parts), message
