"""Contracts over every planner's sampler."""

import numpy as np
import pytest

from planner.data import GoalEntries
from planner.energy.config import EnergyConfig, SamplingConfig
from planner.energy.train import fit_energy
from planner.paths import hindsight_paths
from planner.samplers.energy import EnergySampler
from planner.samplers.replay import ReplaySampler


class Straight:
    def pairwise(self, states, goals):
        return np.linalg.norm(states[:, None, :2] - goals, axis=-1) * 20

    def paired(self, states, goals):
        return np.diagonal(self.pairwise(states, goals))


def fit_energy_sampler(walk, method):
    paths, weights = hindsight_paths(walk, Straight(), 200, 1.0, np.random.default_rng(0))
    config = EnergyConfig(hidden=16, layers=2, train_steps=80)
    visited = np.concatenate([t.goals for t in walk])
    return EnergySampler.fit(walk, fit_energy(paths, weights, visited, config, seed=0), SamplingConfig(method=method))


FITTED = {
    "replay": ReplaySampler.fit,
    "energy": lambda walk: fit_energy_sampler(walk, "sir"),
    "energy by descent": lambda walk: fit_energy_sampler(walk, "descent"),
}


@pytest.mark.parametrize("name", FITTED)
@pytest.mark.parametrize("num_samples", [1, 7, 60])
def test_sampler_contract(name, num_samples, walk):
    sampler = FITTED[name](walk)
    state, goal = walk[0].states[3], walk[1].goals[50]
    draws = [sampler.sample(state, goal, num_samples, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert draws[0].shape == (num_samples, 4) and draws[0].dtype == np.float32 and np.isfinite(draws[0]).all()
    assert np.array_equal(draws[0], draws[1])
    assert num_samples == 1 or not np.array_equal(draws[0], draws[2])


def test_replay_gives_visited_states_only(walk):
    visited = {tuple(state) for t in walk for state in t.states}
    samples = ReplaySampler.fit(walk).sample(walk[0].states[0], walk[0].goals[0], 50, np.random.default_rng(0))
    assert all(tuple(state) in visited for state in samples)


def test_imagined_places_where_nobody_has_been_give_way_to_visited_ones(walk):
    sampler = fit_energy_sampler(walk, "sir")
    visited = np.concatenate([t.states for t in walk])
    samples = sampler.sample(walk[0].states[3], walk[1].goals[50], 100, np.random.default_rng(0))
    gaps = np.linalg.norm(samples[:, None, :2] - visited[:, :2], axis=-1).min(axis=1)
    assert gaps.max() < 0.2 and (gaps > 0).any()  # some are new places, none is far from a visited one
    assert GoalEntries.infer(walk).indices == (0, 1)
