"""An energy that is learned in some maps and asked in others."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from rings import LAYOUT, OTHERS, TRAINED, corridors_of, ends_of, paths_of, picture_of

from thalweg.planner.energy.between import BetweenModel
from thalweg.planner.energy.config import ENERGY_IN_MAPS, EnergyConfig, ProposalConfig, SamplingConfig
from thalweg.planner.energy.layout_network import LayoutEnergyNetwork
from thalweg.planner.energy.model import EnergyModel
from thalweg.planner.errors import UsageError
from thalweg.planner.fitting import DivergedError
from thalweg.training import _energy_config

TINY = EnergyConfig(hidden=16, layers=2, train_steps=2, batch_size=16, num_negatives=8)
SMALL = EnergyConfig(hidden=32, layers=2, train_steps=300, batch_size=64, num_negatives=32, learning_rate=5e-3, ema=0.9)
DRAWN = SamplingConfig(proposals=400, least_effective=0.0)
HALF = np.array([0.5])


def rng(seed=0):
    return np.random.default_rng(seed)


def fit(rings, config, seed=0):
    paths, pictures = paths_of(rings)
    return BetweenModel.fit_in_maps(paths, np.ones(len(paths), np.float32), pictures, LAYOUT, config, seed)


@pytest.fixture(scope="module")
def untrained():
    return fit(TRAINED, TINY)


@pytest.fixture(scope="module")
def learned():
    """Knows that ways lead through what is open."""
    return fit(TRAINED, SMALL)


def gaps(model):
    """By how much the middle of the shut corridor lies higher than that of the open one, in each of the maps never seen."""
    energies = []
    for ring in OTHERS:
        middles = np.stack([way[np.array([52, 76])] for way in corridors_of(ring)])  # beside the wall, a square off
        told = model.energies(middles.reshape(-1, 2), *ends_of(ring), HALF, picture_of(ring).ravel())[0].reshape(2, 2)
        energies.append(told[1].min() - told[0].max())
    return np.array(energies)


def in_the_open(points, ring):
    """(N, 2) -> (N,): in a free square of the open corridor's half of the map?"""
    low, high, shut = ring[2:5]
    middle = (low + high + 1) / 2
    own = points[:, 1] >= middle - 0.5 if shut == 0 else points[:, 1] <= middle + 0.5
    squares = np.clip(np.floor(points), 0, 6).astype(int)
    return own & (picture_of(ring)[squares[:, 0], squares[:, 1]] == 0)


@pytest.mark.slow
def test_in_maps_never_seen_the_open_corridor_lies_below_the_shut_one(learned, untrained):
    """By at least 5.6 nats in each of 8 maps after 300 steps on 24 others, with seeds 0 to 2; untrained by 0.02 at most."""
    assert gaps(learned).min() > 3
    assert gaps(untrained).max() < 0.5


@pytest.mark.slow
def test_samples_in_maps_never_seen_lie_in_the_open_corridor(learned, untrained):
    """At least 0.89 of them, untrained 0.19 at most; all along it."""
    for ring in OTHERS:
        drawn = [m.sample(*ends_of(ring), 100, DRAWN, rng(), picture_of(ring).ravel()) for m in (learned, untrained)]
        assert drawn[0].shape == (100, 2) and drawn[0].dtype == np.float32
        assert in_the_open(drawn[0], ring).mean() > 0.75 and in_the_open(drawn[1], ring).mean() < 0.4
        way = corridors_of(ring)[0]
        at = np.linalg.norm(drawn[0][:, None] - way, axis=-1).argmin(axis=1)
        assert np.histogram(at, 3, (0, len(way)))[0].min() > 15


@pytest.mark.slow
def test_the_points_of_a_way_follow_each_other_in_a_map_never_seen(learned, untrained):
    """From third to third, by 20 points of the way's 129 and more: 0.99 of them, untrained 0.39 at most."""
    following = []
    for model in (learned, untrained):
        on = []
        for ring in OTHERS:
            ways = model.sample_paths(*ends_of(ring), 20, 9, DRAWN, rng(), picture_of(ring).ravel())
            assert ways.shape == (20, 9, 2)
            along = np.linalg.norm(ways[:, :, None] - corridors_of(ring)[0], axis=-1).argmin(axis=2)
            on.append(np.diff(along.reshape(20, 3, 3).mean(axis=2), axis=1) > 20)
        following.append(np.mean(on))
    assert following[0] > 0.85 and following[1] < 0.6


def test_the_way_is_denser_than_the_shut_corridor(learned):
    for ring in OTHERS[:3]:
        both = np.stack([way[44:85:10] for way in corridors_of(ring)]).reshape(-1, 2)
        energies = learned.path_energies(both, *ends_of(ring), rng(), strata=9, picture=picture_of(ring).ravel())
        assert energies.shape == (10,) and np.isfinite(energies).all()
        assert np.median(energies[:5]) < np.median(energies[5:]) - 1


def test_rows_that_share_a_scene_are_told_as_if_each_were_asked_alone(learned):
    """The features of a scene are worked out once for all rows of it that follow each other; here some come again later."""
    scenes = [learned.contexts(*ends_of(ring), np.linspace(0, 1, 3), picture_of(ring).ravel()) for ring in OTHERS[:2]]
    contexts = np.concatenate([scenes[0], scenes[1], scenes[0][:1], scenes[1][:1]])
    points = rng().uniform(0, 7, (20, 2)).astype(np.float32)
    together = learned.model.energies(points, contexts)
    alone = np.concatenate([learned.model.energies(points, context[None]) for context in contexts])
    assert together.shape == (8, 20) and np.allclose(together, alone, atol=1e-3)
    assert np.allclose(together[[6, 7]], together[[0, 3]], atol=1e-3)
    assert np.abs(together[:3] - together[3:6]).max() > 1  # the scenes do differ
    assert np.ptp(together[:3], axis=0).max() > 1  # so do the fractions


def test_what_is_stored_is_the_same_model(learned):
    stored = EnergyModel.from_state(*learned.model.state())
    again, ring = BetweenModel(stored), OTHERS[0]
    picture, points = picture_of(ring).ravel(), corridors_of(ring)[1]
    asked = [model.energies(points, *ends_of(ring), HALF, picture) for model in (learned, again)]
    drawn = [model.sample(*ends_of(ring), 30, DRAWN, rng(), picture) for model in (learned, again)]
    assert np.array_equal(*asked) and np.array_equal(*drawn)
    assert stored.config == learned.model.config and not any(p.requires_grad for p in stored.parameters())


def test_a_seed_fixes_the_fit(untrained):
    tensors = [model.model.state_dict() for model in (untrained, fit(TRAINED, TINY), fit(TRAINED, TINY, seed=1))]
    assert all(torch.equal(tensors[0][name], tensors[1][name]) for name in tensors[0])
    assert any(not torch.equal(tensors[0][name], tensors[2][name]) for name in tensors[0])


@pytest.mark.parametrize("num_samples", [1, 7, 26])
def test_samples_are_fixed_by_the_generator_and_lie_in_the_box(num_samples, untrained):
    ring = OTHERS[0]
    draws = [untrained.sample(*ends_of(ring), num_samples, DRAWN, rng(seed), picture_of(ring).ravel()) for seed in (0, 0, 1)]
    assert draws[0].shape == (num_samples, 2)
    assert np.array_equal(draws[0], draws[1]) and not np.array_equal(draws[0], draws[2])
    assert (np.abs(draws[0] / 3.5 - 1) <= 1.1 + 1e-6).all()  # the map and a little more


def test_in_maps_candidates_come_from_all_over_and_a_way_is_told_without_noise():
    """Whatever the config says: what is learned of places beside the energy would be learned by heart."""
    config = replace(TINY, latents=3, noise=0.1, proposal=ProposalConfig(box=0.5, kernels=0.5, learned=0.0), batch_size=20)
    used = fit(TRAINED, config).model.config
    assert used.proposal == ProposalConfig(box=1.0, learned=0.0)
    assert (used.latents, used.noise, used.points_per_way, used.batch_size) == (1, 0.0, 8, 16)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda p, w: (p[:0], w[:0]), "paths is empty"),
        (lambda p, w: (p[:, 0], w), r"paths must be \(N, L, G\)"),
        (lambda p, w: (np.concatenate([p, p[..., :1]], axis=2), w), r"visited must be \(M, 3\)"),  # places of three entries
        (lambda p, w: (p, w[:-1]), "one per row"),
        (lambda p, w: (np.where(p > 5, np.nan, p), w), "paths must be finite"),
        (lambda p, w: (p, -w), "not be negative"),
        (lambda p, w: (p, 0 * w), "not all zero"),
    ],
)
def test_bad_data_is_refused_by_name(change, word):
    paths, pictures = paths_of(TRAINED)
    with pytest.raises(ValueError, match=word):
        BetweenModel.fit_in_maps(*change(paths, np.ones(len(paths), np.float32)), pictures, LAYOUT, TINY, seed=0)


def test_a_picture_that_is_missing_or_of_another_shape_is_refused_with_both_sizes(untrained):
    ends = ends_of(OTHERS[0])
    for picture, size in ((np.zeros(0), 5), (np.zeros(25), 30)):
        with pytest.raises(ValueError, match=rf"\(B, 54\), got \(1, {size}\)"):
            untrained.energies(np.zeros((4, 2)), *ends, HALF, picture)
        for call in (untrained.sample, lambda *rest: untrained.sample_paths(*rest[:2], 2, *rest[2:])):
            with pytest.raises(ValueError, match=rf"\(B, 54\), got \(7, {size}\)"):
                call(*ends, 7, DRAWN, rng(), picture)


@pytest.mark.parametrize("shapes", [((2, 4, 3), (2, 54)), ((2, 4, 2), (2, 53)), ((2, 4, 2), (3, 54))])
def test_the_network_refuses_shapes_that_do_not_fit(shapes):
    network = LayoutEnergyNetwork(54, (7, 7), 8, 2)
    with pytest.raises(ValueError, match=r"candidates must be \(B, N, 2\) and context \(B, 54\)"):
        network(*(torch.zeros(shape) for shape in shapes))


def test_a_fit_that_diverges_says_so():
    with pytest.raises(DivergedError, match="lower learning_rate"):
        fit(TRAINED, replace(TINY, train_steps=30, learning_rate=1e10))


def test_the_command_takes_what_was_asked_for_and_otherwise_the_defaults_for_many_maps():
    assert _energy_config(EnergyConfig(), True) == ENERGY_IN_MAPS
    assert _energy_config(EnergyConfig(train_steps=10), True) == replace(ENERGY_IN_MAPS, train_steps=10)
    with pytest.raises(UsageError, match=r"--energy\.latents, --energy\.noise: not of the energy in many maps"):
        _energy_config(EnergyConfig(noise=0.1, latents=2), True)
