"""Contracts over every distance model, and what each promises besides."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import thalweg.envs  # noqa: F401
from thalweg.planner.data.trajectories import GoalEntries, Trajectory
from thalweg.planner.distances.distributional import (
    DistributionalDistance,
    DistributionalDistanceConfig,
    Transitions,
    one_step_later,
)
from thalweg.planner.distances.ensemble import EnsembleDistance
from thalweg.planner.distances.euclidean import EuclideanDistance
from thalweg.planner.distances.oracle import OracleDistance
from thalweg.planner.distances.q_value import QValueDistance, QValueDistanceConfig
from thalweg.planner.distances.quasimetric import Quasimetric, QuasimetricDistance, QuasimetricDistanceConfig

PLACE = GoalEntries((0, 1))
SMALL = QuasimetricDistanceConfig(hidden=32, waves=16, landmarks=32, train_steps=150, batch_size=64)


def critics(states, goals):
    steps = 10 * np.linalg.norm(states[:, :2] - goals, axis=1) + 1
    return np.stack([-(1 - 0.98 ** (steps - 1)) / 0.02] * 2)


def towards(states, goals):
    return np.clip(goals - states[:, :2], -1, 1)


def transitions_of(walk):
    rng = np.random.default_rng(0)
    states = np.concatenate([t.states[:-1] for t in walk]), np.concatenate([t.states[1:] for t in walk])

    def sample(size):
        rows = rng.integers(len(states[0]), size=size)
        here, there = (torch.as_tensor(part[rows]) for part in states)
        goals = torch.as_tensor(states[1][rng.integers(len(states[0]), size=size), :2])
        arrived = ((there[:, :2] - goals).norm(dim=1) < 0.1).float()
        return Transitions(here, here[:, :2], there[:, 2:], there, there[:, :2], goals, arrived)

    return sample


def fit_distributional(walk):
    config = DistributionalDistanceConfig(hidden=16, bins=12, train_steps=30)
    return DistributionalDistance.fit(transitions_of(walk), towards, PLACE, config, seed=0)


FITTED = {
    "euclidean": lambda walk: EuclideanDistance.fit(walk, PLACE),
    "q_value": lambda walk: QValueDistance(critics, QValueDistanceConfig(discount=0.98, max_steps=9)),
    "distributional": fit_distributional,
    "quasimetric": lambda walk: QuasimetricDistance.fit(walk, PLACE, SMALL, seed=0),
    "oracle": lambda walk: OracleDistance(lambda s, g: np.where(s[:, 0] < g[:, 0], 20.0, np.inf)),
    "ensemble": lambda walk: EnsembleDistance([FITTED["euclidean"](walk), FITTED["q_value"](walk)], within=5.0),
}


@pytest.mark.parametrize("name", FITTED)
def test_distance_contract(name, walk):
    distance = FITTED[name](walk)
    states, goals = walk[0].states[:70], walk[1].goals[:65]
    steps = distance.pairwise(states, goals)
    assert steps.shape == (70, 65) and steps.dtype == np.float32 and not np.isnan(steps).any() and (steps >= 0).all()
    assert np.allclose(distance.paired(states[:65], goals), np.diagonal(steps), rtol=1e-4)
    again = FITTED[name](walk).pairwise(states, goals)
    assert np.array_equal(steps, again)  # same data, same seed
    assert np.allclose(distance.pairwise(states.astype(np.float64), goals.astype(np.float64)), steps, rtol=1e-4)


@pytest.mark.parametrize("name", FITTED)
@pytest.mark.parametrize("count", [1, 2, 30])
def test_nodes_of_a_graph_that_are_both_ends_are_as_far_as_any(name, count, walk):
    """Start and nodes to nodes and goal, against the same places in another order, where no row meets its own column."""
    distance = FITTED[name](walk)
    states, goals = walk[0].states[:count], np.concatenate([PLACE(walk[0].states[1:count]), walk[1].goals[:1]])
    steps = distance.pairwise(states, goals)
    assert np.allclose(distance.pairwise(states, goals[::-1])[:, ::-1], steps, rtol=1e-4)
    assert distance.pairwise(states, goals[:0]).shape == (count, 0)


@pytest.mark.parametrize("name", ["distributional", "quasimetric"])
def test_a_stored_model_says_the_same(name, walk):
    distance = FITTED[name](walk)
    functions = (towards, PLACE) if name == "distributional" else (PLACE,)
    again = type(distance).from_tensors(distance.tensors(), distance.settings(), *functions)
    states, goals = walk[0].states[:9], walk[1].goals[:9]
    assert np.array_equal(again.pairwise(states, goals), distance.pairwise(states, goals))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), groups=st.integers(1, 6), entries=st.integers(1, 6))
def test_the_quasimetric_obeys_the_triangle_inequality_whatever_its_weights(seed, groups, entries):
    torch.manual_seed(seed)
    network = Quasimetric(2, QuasimetricDistanceConfig(hidden=8, waves=4, features=2, groups=groups, entries=entries))
    a, b, c = (network(places) for places in torch.randn(3, 50, 2))
    assert (network.gap(a, c) <= network.gap(a, b) + network.gap(b, c) + 1e-5).all()
    assert (network.gap(a, a) == 0).all()
    assert not torch.allclose(network.gap(a, b), network.gap(b, a))  # directed


@given(seed=st.integers(0, 2**16), goal_size=st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_the_quasimetrics_slopes_are_those_of_autograd(seed, goal_size):
    torch.manual_seed(seed)
    network = Quasimetric(goal_size, QuasimetricDistanceConfig(hidden=8, waves=4, features=2, groups=5, entries=3)).double()
    places = np.random.default_rng(seed).uniform(0, 10, (50, goal_size))
    network.fit(places, 0.3)
    here, there = torch.as_tensor(places).split(25)
    here.requires_grad_()
    expected = network.gap(network(here), network(there))
    (expected_slope,) = torch.autograd.grad(expected.sum(), here)
    values, slopes = network.with_slopes(here.reshape(5, 5, goal_size))
    assert torch.allclose(values.flatten(0, 1), network(here)) and slopes.shape == (5, 5, 5, 3, goal_size)
    steps, slope = network.gap_and_slope(values.flatten(0, 1), slopes.flatten(0, 1), network(there))
    assert torch.allclose(steps, expected) and torch.allclose(slope, expected_slope)


@pytest.mark.slow
def test_a_wall_that_nobody_crossed_is_far_round():
    """Walks in a U: two arms 0.3 apart, joined at the far end only, 10 steps of 0.1 along each."""
    rng = np.random.default_rng(0)
    bends = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 0.3], [0.0, 0.3]])
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(bends, axis=0), axis=1))])
    data = []
    for _ in range(400):
        first = rng.uniform(0, 1.0)
        at = np.arange(first, min(first + 1.3, 2.3), 0.1)[:: rng.choice([1, -1])]
        places = np.stack([np.interp(at, along, column) for column in bends.T], axis=1)
        data.append(Trajectory(places.astype(np.float32), places.astype(np.float32)))
    config = QuasimetricDistanceConfig(landmarks=128)
    distance = QuasimetricDistance.fit(data, lambda s: s, config, seed=0)
    arms = distance.pairwise(bends[[0]].astype(np.float32), np.array([[0.5, 0.0], [1.0, 0.0], [0.0, 0.3]], np.float32))[0]
    assert np.allclose(arms, [5, 10, 23], rtol=0.15)


def test_fitting_leaves_the_training_that_asked_its_own_noise(walk):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    QuasimetricDistance.fit(walk, PLACE, SMALL, seed=0)
    assert torch.equal(torch.rand(3), expected)


def test_a_step_before_is_a_step_farther_and_the_last_bin_absorbs():
    chances = torch.tensor([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]])
    assert torch.allclose(one_step_later(chances, torch.tensor([0.0, 1.0])), torch.tensor([[0.0, 0.5, 0.5], [1.0, 0.0, 0.0]]))


@pytest.mark.slow
def test_the_distribution_counts_the_steps_of_its_policy():
    """On a line of unit steps, a policy that always goes right: d steps to a goal d to the right, beyond the bins to the left."""
    rng = np.random.default_rng(0)

    def sample(size):
        here = torch.as_tensor(rng.integers(0, 13, size=(size, 1)).astype(np.float32))
        goals = torch.as_tensor(rng.integers(0, 13, size=(size, 1)).astype(np.float32))
        there = (here + 1).clamp(max=12)
        return Transitions(here, here, torch.ones(size, 1), there, there, goals, (there == goals)[:, 0].float())

    config = DistributionalDistanceConfig(hidden=64, bins=16, train_steps=1_000, tau=0.05, learning_rate=3e-3)
    right = lambda states, goals: np.ones((len(states), 1), np.float32)  # noqa: E731
    distance = DistributionalDistance.fit(sample, right, lambda s: s, config, seed=0)
    steps = distance.pairwise(np.array([[2.0]], np.float32), np.array([[3.0], [6.0], [10.0], [1.0]], np.float32))[0]
    assert np.allclose(steps[:3], [1, 4, 8], atol=0.7) and steps[3] == np.inf


class Counting:
    """So many steps between all; remembers how many pairs it was asked of."""

    def __init__(self, steps):
        self.steps, self.asked = np.asarray(steps, np.float32), 0

    def pairwise(self, states, goals):
        self.asked += self.steps.size
        return self.steps.copy()

    def paired(self, states, goals):
        self.asked += len(states)
        return self.steps[states[:, 0].astype(int), goals[:, 0].astype(int)]


def test_the_farthest_opinion_counts_and_far_pairs_are_not_asked_twice():
    first, second = Counting([[3, 50], [9, np.inf]]), Counting([[5, 99], [4, 1]])
    places = np.array([[0.0], [1.0]])
    steps = EnsembleDistance([first, second], within=20.0).pairwise(places, places)
    assert steps.tolist() == [[5, 50], [9, np.inf]] and second.asked == 2
    assert EnsembleDistance([first, second]).pairwise(places, places).tolist() == [[5, 99], [9, np.inf]]


def test_the_oracle_says_what_the_env_says():
    env = gym.make("PointMassFourRooms-v0").unwrapped
    starts, goals = (np.stack([env.reset(seed=seed)[0][key] for seed in range(6)]) for key in ("observation", "desired_goal"))
    assert np.array_equal(
        np.diagonal(OracleDistance(env.shortest_steps).pairwise(starts, goals)), env.shortest_steps(starts, goals)
    )


@pytest.mark.parametrize("model", [EuclideanDistance.fit, lambda data, goal_of: QuasimetricDistance.fit(data, goal_of, SMALL, 0)])
def test_data_in_which_nothing_moves_are_refused(model):
    still = Trajectory(np.zeros((5, 2), np.float32), np.zeros((5, 2), np.float32))
    with pytest.raises(ValueError, match="moves"):
        model([still], lambda s: s)


@pytest.mark.parametrize(
    "make",
    [
        lambda: QuasimetricDistanceConfig(groups=0),
        lambda: QuasimetricDistanceConfig(learning_rate=0),
        lambda: DistributionalDistanceConfig(bins=1),
        lambda: DistributionalDistanceConfig(tau=0),
        lambda: EnsembleDistance([]),
        lambda: EnsembleDistance([Counting([[1]])], within=0),
    ],
)
def test_settings_that_make_no_sense_are_refused(make):
    with pytest.raises(ValueError):
        make()
