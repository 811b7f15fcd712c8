"""The connectivity score: closed forms of its steps, and a thin wall that it must not see through."""

import json

import numpy as np
import pytest
import torch
from straight import straight_experience

from thalweg.planner.checks import check_distance
from thalweg.planner.data.trajectories import Trajectory
from thalweg.planner.distances.connectivity import Connectivity, ConnectivityDistance, ConnectivityDistanceConfig
from thalweg.planner.fitting import DivergedError
from thalweg.planner.samplers.cvae_networks import CvaeConfig


def imagining(train_steps):
    return CvaeConfig(hidden=32, layers=2, waves=4, train_steps=train_steps, batch_size=128)


SMALL = ConnectivityDistanceConfig(within=6, negatives=20, hidden=32, entries=8, waves=32, train_steps=5, sampler=imagining(5))


def walled_experience():
    """Straight drives in a unit square that a wall cuts in two at x = 0.5, at 0.05 a step; none crosses."""
    rng = np.random.default_rng(0)
    drives = []
    for side in range(200):
        ends = rng.random((2, 2)) * [0.5, 1] + [0.5 * (side % 2), 0]
        count = max(2, int(np.linalg.norm(ends[1] - ends[0]) / 0.05) + 1)
        places = (ends[0] + np.linspace(0, 1, count)[:, None] * (ends[1] - ends[0])).astype(np.float32)
        drives.append(Trajectory(places, places))
    experience = straight_experience(drives)
    starts, goals = experience.goals[rng.integers(len(experience.goals), size=(2, 500))]
    fractions = np.linspace(0, 1, 9)[:, None]
    paths = (starts[:, None] + fractions * (goals - starts)[:, None]).astype(np.float32)
    experience._paths["one"] = paths, np.ones(len(paths), np.float32)  # nodes are to lie on both sides, and in the wall
    return experience


@pytest.fixture(scope="module")
def quick():
    experience = walled_experience()
    return experience, ConnectivityDistance.fit(experience, SMALL)


def test_it_keeps_the_promises_of_a_distance(quick):
    experience, distance = quick
    check_distance(distance, experience)


def test_a_score_is_a_bias_less_a_squared_gap(quick):
    network, places = quick[1].network, torch.rand(5, 2)
    left, arrived = network.leave(network.places(places)), network.arrive(network.places(places))
    gaps = ((left[:, None] - arrived[None, :, :-1]) ** 2).sum(dim=-1)
    assert torch.allclose(network.score(places, places), arrived[:, -1] - gaps, atol=1e-4)
    assert torch.allclose(network.log_weight(places, places).diagonal(), torch.zeros(5), atol=1e-4)


def test_steps_are_read_off_the_weights_along_trajectories_and_inf_beyond():
    config = ConnectivityDistanceConfig(within=3)
    network = Connectivity(2, config)
    network.log_weights.copy_(torch.tensor([1.0, 2.0, 4.0]))
    network.log_weight = lambda starts, ends: torch.tensor([[-1.0, 1.0, 1.5, 3.0, 4.0, 4.1]])
    steps = ConnectivityDistance(network, lambda states: states, config).pairwise(np.zeros((1, 2)), np.zeros((6, 2)))
    assert steps[0].tolist() == [1.0, 1.0, 1.5, 2.5, 3.0, np.inf]


def test_a_stored_one_says_the_same(quick):
    experience, distance = quick
    tensors, settings = distance.state()
    again = ConnectivityDistance.from_state(tensors, json.loads(json.dumps(settings)), experience)
    assert again.config == distance.config
    states, goals = experience.states[:20], experience.goals[50:60]
    assert np.array_equal(distance.pairwise(states, goals), again.pairwise(states, goals))


def test_nothing_to_connect_and_divergence_are_told(quick):
    experience, _ = quick
    lone = straight_experience([Trajectory(t.states[:1], t.goals[:1]) for t in experience.trajectories])
    with pytest.raises(ValueError, match="no trajectory has two states"):
        ConnectivityDistance.fit(lone, SMALL)
    wild = ConnectivityDistanceConfig(hidden=4, waves=4, train_steps=50, batch_size=8, learning_rate=1e30, sampler=imagining(1))
    with pytest.raises(DivergedError, match=r"the connectivity distance: .* lower learning_rate"):
        ConnectivityDistance.fit(experience, wild)
    with pytest.raises(ValueError, match="within must be at least 1"):
        ConnectivityDistanceConfig(within=0)


def test_progress_goes_on_from_the_imagined_nodes_to_the_score():
    ticks = []
    ConnectivityDistance.fit(walled_experience(), SMALL, lambda step, loss: ticks.append(step))
    assert ticks == list(range(1, 11)) and ConnectivityDistance.steps_to_fit(walled_experience(), SMALL) == 10


@pytest.mark.slow
def test_near_places_across_a_thin_wall_are_not_connected():
    """1,000 steps, seed 0: places 0.2 (4 steps) apart. One that saw only the gap would treat both kinds alike."""
    experience = walled_experience()
    config = ConnectivityDistanceConfig(
        within=6, negatives=20, hidden=64, entries=16, train_steps=1_000, learning_rate=4e-3, sampler=imagining(300)
    )
    distance = ConnectivityDistance.fit(experience, config)
    heights = np.linspace(0.1, 0.9, 50)
    left, right, beyond = (np.stack([np.full(50, x), heights], axis=1).astype(np.float32) for x in (0.2, 0.4, 0.6))
    assert np.isfinite(distance.paired(left, right)).mean() > 0.7
    assert np.isfinite(distance.paired(right, beyond)).mean() < 0.3
    assert np.isfinite(distance.paired(beyond, right)).mean() < 0.3
    assert distance.paired(right, right).mean() < 1.5
