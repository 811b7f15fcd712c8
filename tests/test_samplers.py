"""Contracts over every planner's sampler."""

import numpy as np
import pytest
from straight import straight_experience

from planner.data import GoalEntries, Trajectory, VisitedPlaces
from planner.energy.between import BetweenModel
from planner.energy.config import EnergyConfig, SamplingConfig
from planner.paths import hindsight_paths
from planner.samplers.energy import EnergySampler
from planner.samplers.replay import ReplaySampler


def fit_energy_sampler(experience, method, train_steps=5):
    paths, weights = hindsight_paths(experience.trajectories, experience.distance, 200, 1.0, np.random.default_rng(0))
    config = EnergyConfig(hidden=16, layers=2, train_steps=train_steps, batch_size=64, proposal_batch=64)
    model = BetweenModel.fit(paths, weights, experience.goals, config, seed=0)
    return EnergySampler(model, experience, SamplingConfig(method=method, langevin_steps=20))


FITTED = {
    "replay": ReplaySampler.fit,
    "energy": lambda experience: fit_energy_sampler(experience, "sir"),
    "energy by descent": lambda experience: fit_energy_sampler(experience, "descent"),
    "energy by langevin": lambda experience: fit_energy_sampler(experience, "langevin"),
}


@pytest.mark.parametrize("name", FITTED)
@pytest.mark.parametrize("num_samples", [1, 7, 60])
def test_sampler_contract(name, num_samples, walk, experience):
    sampler = FITTED[name](experience)
    state, goal = walk[0].states[3], walk[1].goals[50]
    draws = [sampler.sample(state, goal, num_samples, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert draws[0].shape == (num_samples, 4) and draws[0].dtype == np.float32 and np.isfinite(draws[0]).all()
    assert np.array_equal(draws[0], draws[1])
    assert num_samples == 1 or not np.array_equal(draws[0], draws[2])


def test_replay_gives_visited_states_only(walk, experience):
    visited = {tuple(state) for t in walk for state in t.states}
    samples = ReplaySampler.fit(experience).sample(walk[0].states[0], walk[0].goals[0], 50, np.random.default_rng(0))
    assert all(tuple(state) in visited for state in samples)


def test_imagined_places_where_nobody_has_been_give_way_to_visited_ones(walk, experience):
    """What lies within reach of a visited place is kept, with the remaining entries of the nearest; all else is visited."""
    sampler = fit_energy_sampler(experience, "sir")
    visited = np.concatenate([t.states for t in walk])
    start, goal = walk[0].states[3], walk[1].goals[50]
    samples = sampler.sample(start, goal, 100, np.random.default_rng(0))
    imagined = sampler.model.sample(start[:2], goal, 100, sampler.config, np.random.default_rng(0))
    gaps = np.linalg.norm(imagined[:, None] - visited[:, :2], axis=-1)
    been = gaps.min(axis=1) <= VisitedPlaces(visited[:, :2]).within
    assert 5 < been.sum() < 95
    assert np.array_equal(samples[been, :2], imagined[been])
    assert not any((visited[:, :2] == sample[:2]).all(axis=1).any() for sample in samples[been])
    assert all((visited == sample).all(axis=1).any() for sample in samples[~been])
    for sample, own in zip(samples, gaps, strict=True):
        lender = (visited[:, 2:] == sample[2:]).all(axis=1)
        assert own[lender].min() == pytest.approx(own.min(), abs=1e-6)
    assert GoalEntries.infer(walk).indices == (0, 1)


def test_imagined_places_lie_on_the_way_that_was_learned():
    """A walk along a diagonal: samples are places on it, all along."""
    places = np.repeat(np.linspace(0, 1, 400, dtype=np.float32)[:, None], 2, axis=1)
    line = [Trajectory(np.hstack([places, np.ones_like(places)]), places)]
    sampler = fit_energy_sampler(straight_experience(line), "sir", train_steps=100)
    samples = sampler.sample(line[0].states[20], line[0].goals[380], 50, np.random.default_rng(0))
    assert np.abs(samples[:, 0] - samples[:, 1]).max() < 0.02
    assert np.histogram(samples[:, 0], [0.05, 0.35, 0.65, 0.95])[0].min() >= 10


def test_an_energy_sampler_makes_do_with_a_few_states(walk, experience):
    """Fewer states than neighbours by which it is known what counts as visited."""
    fitted = fit_energy_sampler(experience, "sir")
    few = [Trajectory(walk[0].states[:5], walk[0].goals[:5])]
    samples = EnergySampler(fitted.model, straight_experience(few)).sample(
        walk[0].states[0], walk[0].goals[4], 20, np.random.default_rng(0)
    )
    assert all((few[0].states == sample).all(axis=1).any() for sample in samples)
