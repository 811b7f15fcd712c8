"""Contracts over every distance model, and what each promises besides."""

import json
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from straight import straight_experience

import thalweg.envs  # noqa: F401
from thalweg.planner.checks import check_distance
from thalweg.planner.data.trajectories import GoalEntries, Trajectory
from thalweg.planner.distances.connectivity import ConnectivityDistanceConfig
from thalweg.planner.distances.distributional import (
    DistributionalDistance,
    DistributionalDistanceConfig,
    Transitions,
    one_step_later,
)
from thalweg.planner.distances.ensemble import EnsembleDistance, EnsembleDistanceConfig
from thalweg.planner.distances.euclidean import EuclideanDistance
from thalweg.planner.distances.joined import JoinedDistance
from thalweg.planner.distances.oracle import OracleDistance
from thalweg.planner.distances.q_value import QValueDistanceConfig
from thalweg.planner.distances.quasimetric import Quasimetric, QuasimetricDistance, QuasimetricDistanceConfig
from thalweg.planner.evaluation.audit import Drives, Pairs
from thalweg.planner.fitting import DivergedError
from thalweg.planner.goal_space import GoalSpace
from thalweg.planner.graph.stitched_paths import hindsight_paths
from thalweg.planner.networks.stored import OtherVersionError
from thalweg.planner.run.registry import DISTANCES as REGISTERED
from thalweg.planner.samplers.cvae_networks import CvaeConfig

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


class Agent:
    """Goes straight ahead; its critics know how far that is."""

    discount = 0.98

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        assert deterministic
        return towards(observation["observation"], observation["desired_goal"]), None

    def q_values(self, states, achieved, goals):
        assert np.array_equal(achieved, states[:, :2])
        return critics(states, goals)


class World:
    """An env that is told: truth, replay and drives of 1.25 times the steps that critics expect."""

    def __init__(self, walk):
        self.replay = lambda: nullcontext(transitions_of(walk))
        self.shortest_steps = lambda s, g: np.where(s[:, 0] < g[:, 0], 20.0, np.inf)

    def drives_nearby(self, experience):
        states, goals = experience.states[:50], experience.goals[20:70]
        return Drives(Pairs(states, goals, np.ones(50)), 1.25 * (10 * np.linalg.norm(states[:, :2] - goals, axis=1) + 1))


def told(walk):
    """An experience with all that a distance may ask of it; the paths are pieces of trajectories."""
    experience = replace(straight_experience(walk), agent=Agent(), world=World(walk))
    experience._paths["one"] = hindsight_paths(walk, experience.distance, 100, 0.0, np.random.default_rng(0))
    return experience


CONFIGS = {
    "q_value": QValueDistanceConfig(discount=0.98, max_steps=9),
    "distributional": DistributionalDistanceConfig(hidden=16, bins=12, train_steps=30),
    "quasimetric": SMALL,
    "connectivity": ConnectivityDistanceConfig(
        within=6, hidden=16, train_steps=5, sampler=CvaeConfig(hidden=16, layers=2, train_steps=5, batch_size=32)
    ),
    "ensemble": EnsembleDistanceConfig(within=5.0),
}
DISTANCES = {
    name: REGISTERED[name] for name in REGISTERED if name != "local"
}  # which has maps of its own, in test_local_distance
DISTANCES["joined"] = JoinedDistance


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """The ensemble's quasimetric is the usual one, but for its steps."""
    monkeypatch.setattr(QuasimetricDistanceConfig, "steps_for", lambda self, num_places: min(self.train_steps, 150))


def fit(name, walk, **more):
    return DISTANCES[name].fit(told(walk), CONFIGS.get(name), **more)


@pytest.fixture
def fitted(walk, _fitted):
    """What is asked of a distance does not change it: one of each name serves all tests."""

    def of(name):
        if name not in _fitted:
            _fitted[name] = fit(name, walk)
        return _fitted[name]

    return of


@pytest.fixture(scope="module")
def _fitted():
    return {}


@pytest.mark.parametrize("name", DISTANCES)
def test_every_distance_is_fitted_alike_and_keeps_its_promises(name, walk, fitted):
    check_distance(fitted(name), told(walk))


@pytest.mark.parametrize("name", ["distributional", "quasimetric", "connectivity"])
def test_what_is_learned_tells_its_steps_and_losses(name, walk):
    ticks = []
    fit(name, walk, on_step=lambda step, loss: ticks.append((step, loss)))
    assert [step for step, _ in ticks] == list(range(1, DISTANCES[name].steps_to_fit(told(walk), CONFIGS[name]) + 1))
    assert np.isfinite([loss for _, loss in ticks]).all()


@pytest.mark.parametrize("name", ["distributional", "quasimetric", "connectivity"])
def test_what_is_learned_says_where_it_diverges(name, walk):
    wild = replace(CONFIGS[name], learning_rate=1e30, train_steps=50)
    with pytest.raises(DivergedError, match=rf"^the {name} distance: .* at step \d+; lower learning_rate$"):
        DISTANCES[name].fit(told(walk), wild)


@pytest.mark.parametrize("name", DISTANCES)
def test_distance_contract(name, walk, fitted):
    distance = fitted(name)
    states, goals = walk[0].states[:70], walk[1].goals[:65]
    steps = distance.pairwise(states, goals)
    assert steps.shape == (70, 65) and steps.dtype == np.float32 and not np.isnan(steps).any() and (steps >= 0).all()
    assert np.allclose(distance.paired(states[:65], goals), np.diagonal(steps), rtol=1e-4)
    again = fit(name, walk).pairwise(states, goals)
    assert np.array_equal(steps, again)  # same data, same seed
    assert np.allclose(distance.pairwise(states.astype(np.float64), goals.astype(np.float64)), steps, rtol=1e-4)


@pytest.mark.parametrize("name", DISTANCES)
@pytest.mark.parametrize("count", [1, 2, 30])
def test_nodes_of_a_graph_that_are_both_ends_are_as_far_as_any(name, count, walk, fitted):
    """Start and nodes to nodes and goal, against the same places in another order, where no row meets its own column."""
    distance = fitted(name)
    states, goals = walk[0].states[:count], np.concatenate([PLACE(walk[0].states[1:count]), walk[1].goals[:1]])
    steps = distance.pairwise(states, goals)
    assert np.allclose(distance.pairwise(states, goals[::-1])[:, ::-1], steps, rtol=1e-4)
    assert np.allclose(distance.paired(states[::-1], goals[::-1])[::-1], np.diagonal(steps), rtol=1e-4)
    assert distance.pairwise(states, goals[:0]).shape == (count, 0)


@pytest.mark.parametrize("name", ["distributional", "quasimetric", "connectivity", "q_value"])
def test_a_stored_model_says_the_same(name, walk, fitted):
    distance = fitted(name)
    tensors, settings = distance.state()
    again = type(distance).from_state(tensors, json.loads(json.dumps(settings)), told(walk))
    assert again.config == distance.config
    states, goals = walk[0].states[:9], walk[1].goals[:9]
    assert np.array_equal(again.pairwise(states, goals), distance.pairwise(states, goals))
    for other in ({**settings, "depth": 3}, {name: value for name, value in settings.items() if name == "goal_size"}):
        with pytest.raises(OtherVersionError, match=f"its {name} distance is of another version of this project"):
            type(distance).from_state(tensors, other, told(walk))


def test_a_quasimetric_of_the_first_edition_which_did_not_store_its_size_is_read(walk, fitted):
    distance = fitted("quasimetric")
    tensors, settings = distance.state()
    again = QuasimetricDistance.from_state(tensors, {key: settings[key] for key in settings if key != "goal_size"}, told(walk))
    assert np.array_equal(
        again.pairwise(walk[0].states[:9], walk[1].goals[:9]), distance.pairwise(walk[0].states[:9], walk[1].goals[:9])
    )


@pytest.mark.parametrize(
    ("name", "without", "word"),
    [
        ("q_value", "agent", "critics, and there are none"),
        ("q_value", "world", "pace cannot be measured"),
        ("distributional", "agent", "counts an agent's steps, and there is none"),
        ("distributional", "world", "replay, and there is none"),
        ("oracle", "world", "does not know its true distances"),
    ],
)
def test_what_a_distance_cannot_do_without_is_named(name, without, word, walk):
    with pytest.raises(ValueError, match=word):
        DISTANCES[name].fit(replace(told(walk), **{without: None}), CONFIGS.get(name))


def test_the_pace_is_measured_by_drives(fitted):
    assert fitted("q_value").config.pace == pytest.approx(1.25, rel=1e-3)


@pytest.mark.slow
def test_an_ensemble_is_the_same_of_parts_that_somebody_kept(walk):
    parts = [DISTANCES[name].fit(told(walk)) for name in EnsembleDistance.parts]
    states, goals = walk[0].states[:9], walk[1].goals[:9]
    assert np.array_equal(
        EnsembleDistance.of(parts).pairwise(states, goals), EnsembleDistance.fit(told(walk)).pairwise(states, goals)
    )


def test_a_pushed_object_that_rests_in_nearly_all_steps_has_a_speed_as_the_crow_flies():
    """Of 99 steps one moves it, by 0.3: the quantile of all steps is 0."""
    places = np.zeros((100, 2), np.float32)
    places[50:, 0] = 0.3
    distance = EuclideanDistance.fit(straight_experience([Trajectory(places, places)]))
    assert distance.space.move == pytest.approx(0.3)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), groups=st.integers(1, 6), entries=st.integers(1, 6))
def test_the_quasimetric_obeys_the_triangle_inequality_whatever_its_weights(seed, groups, entries):
    torch.manual_seed(seed)
    network = Quasimetric(2, QuasimetricDistanceConfig(hidden=8, waves=4, features=2, groups=groups, entries=entries))
    a, b, c = (network(places) for places in torch.randn(3, 50, 2))
    assert (network.gap(a, c) <= network.gap(a, b) + network.gap(b, c) + 1e-5).all()
    assert (network.gap(a, a) == 0).all()
    assert not torch.allclose(network.gap(a, b), network.gap(b, a))  # directed


@given(seed=st.integers(0, 2**16), goal_size=st.integers(1, 4), period=st.sampled_from([0.0, 2.0, 6.28]))
@settings(max_examples=40, deadline=None)
def test_the_quasimetrics_slopes_are_those_of_autograd(seed, goal_size, period):
    torch.manual_seed(seed)
    network = Quasimetric(goal_size, QuasimetricDistanceConfig(hidden=8, waves=4, features=2, groups=5, entries=3)).double()
    places = np.random.default_rng(seed).uniform(0, 10, (50, goal_size))
    periods = (period,) + (0.0,) * (goal_size - 1)
    network.fit(places, GoalSpace(goal_size, units=(0.3,) * goal_size, periods=periods))
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
    distance = QuasimetricDistance.fit(straight_experience(data), config)
    arms = distance.pairwise(bends[[0]].astype(np.float32), np.array([[0.5, 0.0], [1.0, 0.0], [0.0, 0.3]], np.float32))[0]
    assert np.allclose(arms, [5, 10, 23], rtol=0.15)


@pytest.mark.slow
def test_fitting_leaves_the_training_that_asked_its_own_noise(walk):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    for name in ("quasimetric", "distributional", "connectivity"):
        fit(name, walk)
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

    class Right:
        def predict(self, observation, **_):
            return np.ones((len(observation["observation"]), 1), np.float32), None

    line = np.arange(13, dtype=np.float32)[:, None]
    experience = straight_experience([Trajectory(line, line)])
    experience = replace(experience, agent=Right(), world=SimpleNamespace(replay=lambda: nullcontext(sample)))
    distance = DistributionalDistance.fit(experience, config)
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


@pytest.mark.parametrize("model", [EuclideanDistance, QuasimetricDistance, JoinedDistance])
def test_data_in_which_nothing_moves_are_refused(model):
    still = Trajectory(np.zeros((5, 2), np.float32), np.zeros((5, 2), np.float32))
    with pytest.raises(ValueError, match="moves"):
        model.fit(straight_experience([still]))


@pytest.mark.parametrize(
    "make",
    [
        lambda: QuasimetricDistanceConfig(groups=0),
        lambda: QuasimetricDistanceConfig(learning_rate=0),
        lambda: DistributionalDistanceConfig(bins=1),
        lambda: DistributionalDistanceConfig(tau=0),
        lambda: EnsembleDistance([]),
        lambda: EnsembleDistance([Counting([[1]])], within=0),
        lambda: EnsembleDistanceConfig(within=0),
    ],
)
def test_settings_that_make_no_sense_are_refused(make):
    with pytest.raises(ValueError):
        make()
