"""Contracts over every planner's sampler."""

import dataclasses

import numpy as np
import pytest
import torch
from rings import LAYOUT, OTHERS, TRAINED, ends_of, picture_of, ring_experience, state_in
from straight import Straight, straight_experience

from thalweg.planner.checks import check_sampler
from thalweg.planner.data.coverage import Coverage
from thalweg.planner.data.trajectories import GoalEntries, Trajectory, typical_step
from thalweg.planner.energy.between import BetweenModel
from thalweg.planner.energy.config import EnergyConfig, SamplingConfig
from thalweg.planner.fitting import DivergedError
from thalweg.planner.graph.stitched_paths import hindsight_paths
from thalweg.planner.networks.stored import OtherVersionError
from thalweg.planner.run.registry import SAMPLERS
from thalweg.planner.samplers.box import BoxSampler, BoxSamplerConfig
from thalweg.planner.samplers.cvae import CvaeConfig, CvaeSampler
from thalweg.planner.samplers.cvae_in_maps import LayoutCvaeSampler
from thalweg.planner.samplers.ellipse import EllipseSampler, EllipseSamplerConfig, within_or_best
from thalweg.planner.samplers.energy import EnergySampler
from thalweg.planner.samplers.energy_in_maps import LayoutEnergySampler
from thalweg.planner.samplers.replay import ReplaySampler
from thalweg.planner.samplers.spread import SpreadSampler, SpreadSamplerConfig, farthest_apart


def fit_energy_sampler(experience, method, train_steps=5):
    paths, weights = hindsight_paths(experience.trajectories, experience.distance, 200, 1.0, np.random.default_rng(0))
    config = EnergyConfig(hidden=16, layers=2, train_steps=train_steps, batch_size=64, proposal_batch=64)
    model = BetweenModel.fit(paths, weights, experience.goals, config, seed=0)
    return EnergySampler(model, experience, SamplingConfig(method=method, langevin_steps=20))


def fit_cvae_sampler(experience, train_steps=150):
    config = CvaeConfig(hidden=16, layers=2, waves=4, train_steps=train_steps, batch_size=64)
    return CvaeSampler.fit(with_pieces(experience), config)


def with_pieces(experience, count=200):
    """With pieces of trajectories in the place of stitched paths, which take minutes."""
    rng = np.random.default_rng(0)
    experience._paths["one"] = hindsight_paths(experience.trajectories, experience.distance, count, 0.0, rng)
    return experience


FITTED = {
    "box": BoxSampler.fit,
    "replay": ReplaySampler.fit,
    "spread": SpreadSampler.fit,
    "ellipse": EllipseSampler.fit,
    "cvae": fit_cvae_sampler,
    "energy": lambda experience: fit_energy_sampler(experience, "sir"),
    "energy by descent": lambda experience: fit_energy_sampler(experience, "descent"),
    "energy by langevin": lambda experience: fit_energy_sampler(experience, "langevin"),
}


def test_every_sampler_is_under_contract():
    assert list(SAMPLERS) == list(FITTED)[: len(SAMPLERS)]


@pytest.mark.parametrize("name", FITTED)
def test_sampler_contract(name, walk, experience):
    sampler = FITTED[name](experience)
    check_sampler(sampler, experience)
    state, goal = walk[0].states[3], walk[1].goals[50]
    for num_samples in (7, 60):
        draws = [sampler.sample(state, goal, num_samples, np.random.default_rng(seed)) for seed in (0, 1)]
        assert not np.array_equal(*draws)


def test_a_box_is_filled_to_its_margin(experience):
    samples = BoxSampler.fit(experience, BoxSamplerConfig(margin=0.5)).sample(
        experience.states[0], experience.goals[0], 10_000, np.random.default_rng(0)
    )
    low, high = experience.states.min(axis=0), experience.states.max(axis=0)
    assert np.allclose(samples.min(axis=0), low - (high - low) / 2, atol=0.02)
    assert np.allclose(samples.max(axis=0), high + (high - low) / 2, atol=0.02)
    quarters = np.histogram(samples[:, 0], 4)[0]
    assert quarters.min() > 2_300


def line_experience(places, distance=None):
    """One trajectory over places (N,) on a line that is the x axis; the goal is the place."""
    goals = np.stack([places, np.zeros_like(places)], axis=1).astype(np.float32)
    line = straight_experience([Trajectory(np.hstack([goals, np.zeros_like(goals)]), goals)])
    return line if distance is None else dataclasses.replace(line, distance=distance)


def largest_gap(samples):
    return np.diff(np.concatenate([[0.0], np.sort(samples[:, 0]), [1.0]])).max()


def test_spread_nodes_leave_no_gap_on_a_line():
    """Farthest-point sampling halves gaps: of 9 nodes none is more than 1/4 from the next; random ones leave more."""
    line = line_experience(np.linspace(0, 1, 801))
    spread, replay = (part.fit(line) for part in (SpreadSampler, ReplaySampler))
    state, goal = line.states[0], line.goals[-1]
    gaps = [[largest_gap(s.sample(state, goal, 9, np.random.default_rng(i))) for i in range(20)] for s in (spread, replay)]
    assert max(gaps[0]) <= 0.25 + 1 / 400
    assert np.median(gaps[1]) > 0.25


def test_farthest_points_apart_are_known_on_a_line():
    """From 0 the farthest of 0, 1, 2, 10, 16 is 16, then 10 (6 from 16), then 2 and 1."""
    places = np.array([0.0, 1.0, 2.0, 10.0, 16.0])
    steps = np.abs(places[:, None] - places)
    seed = next(seed for seed in range(100) if np.random.default_rng(seed).integers(5) == 0)
    assert places[farthest_apart(steps, 5, np.random.default_rng(seed))].tolist() == [0.0, 16.0, 10.0, 2.0, 1.0]


def test_both_sides_of_a_wall_and_every_island_get_nodes():
    """In learned distance: two places either side of x = 0.5 are unreachable from each other, wherever most places lie."""

    class Walled(Straight):
        def pairwise(self, states, goals):
            across = (states[:, None, 0] > 0.5) != (goals[:, 0] > 0.5)
            return np.where(across, np.float32(np.inf), super().pairwise(states, goals))

    line = line_experience(np.concatenate([np.linspace(0, 0.49, 500), [0.51, 0.511]]), Walled())
    for seed in range(5):
        samples = SpreadSampler.fit(line).sample(line.states[0], line.goals[0], 2, np.random.default_rng(seed))
        assert sorted(samples[:, 0] > 0.5) == [False, True]


def test_spread_nodes_come_again_when_all_have_been_chosen():
    line = line_experience(np.array([0.0, 0.0, 0.5]))  # two of them no distance apart
    samples = SpreadSampler.fit(line).sample(line.states[0], line.goals[0], 9, np.random.default_rng(0))
    assert samples.shape == (9, 4) and sorted(samples[:3, 0]) == [0.0, 0.0, 0.5]


@pytest.mark.parametrize("slack", [0.3, 0.6])
def test_an_ellipse_holds_its_nodes_and_is_filled(slack, experience):
    start, goal = np.array([0.2, 0.4, 0, 0], np.float32), np.array([0.8, 0.6], np.float32)
    sampler = EllipseSampler.fit(experience, EllipseSamplerConfig(slack=slack))
    samples = sampler.sample(start, goal, 50, np.random.default_rng(0))
    ways = [np.linalg.norm(places - end, axis=1) for places in [samples[:, :2]] for end in (start[:2], goal)]
    stretch = (ways[0] + ways[1]) / np.linalg.norm(start[:2] - goal)
    assert stretch.max() <= 1 + slack + 1e-5
    assert stretch.max() > 1 + 0.8 * slack and len(np.unique(samples, axis=0)) == 50


def test_an_ellipse_too_small_is_filled_up_with_the_shortest_ways(experience):
    """Also where the distance calls the goal unreachable outright: the best way through a visited place stands in."""

    class Near(Straight):
        def paired(self, states, goals):
            return np.full(len(states), np.inf, np.float32)

    start, goal = experience.states[0], experience.goals[900]
    ways = np.linalg.norm(experience.goals - start[:2], axis=1) + np.linalg.norm(experience.goals - goal, axis=1)
    best = experience.states[np.argsort(ways)[:20]]
    for distance in (Straight(), Near()):
        seen = dataclasses.replace(experience, distance=distance)
        samples = EllipseSampler.fit(seen, EllipseSamplerConfig(slack=0.0)).sample(start, goal, 20, np.random.default_rng(0))
        assert np.array_equal(np.sort(samples, axis=0), np.sort(best, axis=0))


def test_costs_within_the_bound_are_taken_at_random_else_the_least():
    costs, rng = np.array([5.0, 1.0, 3.0, np.inf, 2.0]), np.random.default_rng(0)
    assert sorted(within_or_best(costs, 3.0, 3, rng)) == [1, 2, 4]
    assert {int(within_or_best(costs, 3.0, 1, rng)[0]) for _ in range(100)} == {1, 2, 4}
    assert within_or_best(costs, 0.5, 2, rng).tolist() == [1, 4]
    assert within_or_best(costs, 0.5, 7, rng).tolist() == [1, 4, 2, 0, 3, 1, 4]


def u_experience():
    """Walks there and back in a corridor that is a U: down x = 0, along y = 0, up x = 1; 120 places from end to end."""
    rng = np.random.default_rng(0)
    corners = np.array([[0.0, 1.0], [0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    way = np.stack([np.interp(np.linspace(0, 3, 120), np.arange(4), column) for column in corners.T], axis=1)
    walks = []
    for turn in range(20):
        places = (way[:: 1 - 2 * (turn % 2)] + rng.normal(0, 0.01, way.shape)).astype(np.float32)
        walks.append(Trajectory(np.hstack([places, np.zeros_like(places)]), places))
    return with_pieces(straight_experience(walks), 2_000)  # in a straight line its two ends would be near


@pytest.mark.slow
def test_imagined_nodes_cover_the_way_round_a_u():
    """1,200 steps, seed 0. A decoder that ignored z would put all in one place, one that ignored the ends on all of the U."""
    experience = u_experience()
    config = CvaeConfig(hidden=64, layers=2, waves=16, train_steps=1_200, batch_size=256, learning_rate=4e-3)
    sampler = CvaeSampler.fit(experience, config)
    for start, goal, tenths in ((5, 115, range(1, 9)), (10, 50, range(1, 4)), (110, 70, range(6, 9))):
        ends = torch.as_tensor(experience.goals[[start, goal]])[:, None].expand(-1, 200, -1)
        places = sampler.model.imagine(*ends, torch.zeros(200, 0), torch.Generator().manual_seed(0)).numpy()
        gaps = np.linalg.norm(places[:, None] - experience.goals[:120], axis=-1)
        at = np.histogram(gaps.argmin(axis=1), 10, (0, 120))[0] / 200
        assert np.median(gaps.min(axis=1)) < 0.06
        assert at[list(tenths)].min() > 0.03
        assert at[list(tenths)].sum() > 0.8


def test_a_stored_cvae_draws_the_same(experience):
    fitted = fit_cvae_sampler(experience)
    again = CvaeSampler.from_state(*fitted.state(), experience)
    draws = [s.sample(experience.states[0], experience.goals[9], 20, np.random.default_rng(0)) for s in (fitted, again)]
    assert np.array_equal(*draws)


def test_a_cvae_of_another_version_is_refused(experience):
    fitted = fit_cvae_sampler(experience, train_steps=1)
    tensors, settings = fitted.state()
    without = {name: value for name, value in settings.items() if name != "features"}
    for other in (without, {**settings, "mixture": 3}, {**settings, "goal_size": 3}, {**settings, "hidden": None}):
        with pytest.raises(OtherVersionError, match="its cvae sampler is of another version of this project; train it again"):
            CvaeSampler.from_state(tensors, other, experience)


def test_parts_of_the_first_edition_which_did_not_store_sizes_are_read_by_those_of_their_data(experience):
    """Then there was one architecture for one map, and one for many."""
    fitted = fit_cvae_sampler(experience, train_steps=1)
    tensors, settings = fitted.state()
    again = CvaeSampler.from_state(tensors, {name: settings[name] for name in settings if name != "goal_size"}, experience)
    assert torch.equal(again.model.state_dict()["places.frequencies"], tensors["places.frequencies"])
    for kind, own in ((EnergySampler, with_pieces(experience)), (LayoutEnergySampler, ring_experience(TRAINED))):
        config = EnergyConfig(hidden=16, layers=2, train_steps=1, batch_size=64, proposal_batch=64)
        fitted = kind.fit(own, config)
        tensors, settings = fitted.state()
        again = kind.from_state(tensors, {name: settings[name] for name in settings if name != "architecture"}, own)
        assert again.model.model.architecture == fitted.model.model.architecture
        state, goal = own.states[3], own.goals[50]
        draws = [sampler.sample(state, goal, 20, np.random.default_rng(0)) for sampler in (fitted, again)]
        assert np.array_equal(*draws)


def test_a_cvae_learns_about_the_squares_of_start_and_goal(experience):
    """As the energy model does; begun within 0.1."""
    sampler = fit_cvae_sampler(experience)
    grids, step = sampler.model.grids, typical_step(sampler.experience.trajectories)
    span = np.ptp(sampler.experience.goals, axis=0)
    assert np.allclose(grids.sides[0], np.maximum(3 * step, span / grids.last[0].item()), rtol=1e-4)
    assert grids.features.abs().max() > 0.1 + 1e-4
    start, goal = torch.as_tensor(sampler.experience.goals[[0, 9]], dtype=torch.float32)[:, None]
    there, back = sampler.model._ends(start, goal), sampler.model._ends(goal, start)
    half = there.shape[1] // 2
    assert torch.equal(there, torch.cat([back[:, half:], back[:, :half]], dim=1))
    assert torch.equal(there[:, half - grids.size : half], grids(start)) and torch.equal(there[:, -grids.size :], grids(goal))
    assert not torch.allclose(grids(start), grids(goal), atol=1e-3)


def test_a_cvae_tells_its_progress_and_when_it_diverges(experience):
    seen, experience = [], with_pieces(experience)
    CvaeSampler.fit(experience, CvaeConfig(hidden=4, train_steps=3, batch_size=8), lambda step, loss: seen.append(step))
    assert seen == [1, 2, 3]
    with pytest.raises(DivergedError, match=r"the cvae sampler: .* lower learning_rate"):
        CvaeSampler.fit(experience, CvaeConfig(hidden=4, train_steps=50, batch_size=8, learning_rate=1e30))


@pytest.mark.parametrize(
    ("config", "wrong"),
    [
        (BoxSamplerConfig, {"margin": -0.1}),
        (SpreadSamplerConfig, {"candidates": 0}),
        (EllipseSamplerConfig, {"slack": -0.1}),
        (EllipseSamplerConfig, {"candidates": 0}),
        (CvaeConfig, {"latent": 0}),
        (CvaeConfig, {"features": 0}),
        (CvaeConfig, {"beta": -1.0}),
        (CvaeConfig, {"learning_rate": 0.0}),
    ],
)
def test_a_wrong_setting_is_named(config, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        config(**wrong)


def test_replay_gives_visited_states_only(walk, experience):
    visited = {tuple(state) for t in walk for state in t.states}
    samples = ReplaySampler.fit(experience).sample(walk[0].states[0], walk[0].goals[0], 50, np.random.default_rng(0))
    assert all(tuple(state) in visited for state in samples)


def test_the_energy_sampler_sees_squares_of_the_agents_steps(experience):
    config = EnergyConfig(hidden=16, layers=2, train_steps=1, batch_size=64, proposal_batch=64)
    places = EnergySampler.fit(with_pieces(experience), config).model.model.places
    span = np.ptp(experience.goals, axis=0)
    squares = np.maximum(3 * typical_step(experience.trajectories), span / places.last[0].item())
    assert np.allclose(places.sides[0], squares, rtol=1e-4)


def test_imagined_places_where_nobody_has_been_give_way_to_visited_ones(walk, experience):
    """What lies within reach of a visited place is kept, with the remaining entries of the nearest; all else is visited."""
    sampler = fit_energy_sampler(experience, "sir")
    visited = np.concatenate([t.states for t in walk])
    start, goal = walk[0].states[3], walk[1].goals[50]
    samples = sampler.sample(start, goal, 100, np.random.default_rng(0))
    imagined = sampler.model.sample(start[:2], goal, 100, sampler.config, np.random.default_rng(0))
    gaps = np.linalg.norm(imagined[:, None] - visited[:, :2], axis=-1)
    been = gaps.min(axis=1) <= Coverage(visited[:, :2]).within
    assert 5 < been.sum() < 95
    assert np.array_equal(samples[been, :2], imagined[been])
    assert not any((visited[:, :2] == sample[:2]).all(axis=1).any() for sample in samples[been])
    assert all((visited == sample).all(axis=1).any() for sample in samples[~been])
    for sample, own in zip(samples, gaps, strict=True):
        lender = (visited[:, 2:] == sample[2:]).all(axis=1)
        assert own[lender].min() == pytest.approx(own.min(), abs=1e-6)
    assert GoalEntries.infer(walk).indices == (0, 1)


@pytest.mark.slow
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


# Many maps


SMALL_CVAE = CvaeConfig(latent=2, hidden=32, layers=2, train_steps=150, batch_size=64, learning_rate=5e-3)


def fit_energy_in_maps(experience):
    config = EnergyConfig(hidden=16, layers=2, train_steps=100, batch_size=64, learning_rate=5e-3)
    return LayoutEnergySampler.fit(experience, config)


IN_MAPS = {"cvae": lambda experience: LayoutCvaeSampler.fit(experience, SMALL_CVAE), "energy": fit_energy_in_maps}
in_maps = pytest.mark.parametrize("name", IN_MAPS)


@pytest.fixture(scope="module")
def rings():
    return ring_experience(TRAINED)


@pytest.fixture(scope="module")
def fitted_in_maps(rings):
    return {name: fit(rings) for name, fit in IN_MAPS.items()}


@pytest.mark.slow
@in_maps
def test_samplers_of_many_maps_keep_the_contract(name, fitted_in_maps, rings):
    check_sampler(fitted_in_maps[name], rings)
    start, goal = ends_of(OTHERS[0])
    for num_samples in (0, 1, 30):
        samples = fitted_in_maps[name].sample(state_in(OTHERS[0], start), goal, num_samples, np.random.default_rng(0))
        assert samples.shape == (num_samples, 4 + LAYOUT.size)


@pytest.mark.slow
@in_maps
def test_what_a_sampler_imagines_is_of_the_picture_that_the_state_shows(name, fitted_in_maps, rings):
    """The same ends in a ring that is shut below, and in one that is shut above."""
    below, above = (2, 4, 1, 5, 0, 3), (2, 4, 1, 5, 1, 3)
    start, goal = ends_of(below)
    heights = []
    for ring in (below, above):
        samples = fitted_in_maps[name].sample(state_in(ring, start), goal, 60, np.random.default_rng(0))
        heights.append(float(np.median(samples[:, 1])))
    assert heights[0] > heights[1] + 1  # m; the corridors are 4 apart


@pytest.mark.slow
@in_maps
def test_a_fit_in_many_maps_is_fixed_by_the_seed(name, fitted_in_maps, rings):
    again = IN_MAPS[name](rings)
    start, goal = ends_of(OTHERS[0])
    draws = [s.sample(state_in(OTHERS[0], start), goal, 20, np.random.default_rng(0)) for s in (fitted_in_maps[name], again)]
    assert np.array_equal(*draws)


@pytest.mark.slow
def test_in_many_maps_the_loss_of_a_cvae_falls(rings):
    """From -1.0 to -1.7 nats in 150 steps."""
    losses = []
    LayoutCvaeSampler.fit(rings, SMALL_CVAE, lambda step, loss: losses.append(loss))
    assert len(losses) == 150 and np.mean(losses[-20:]) < np.mean(losses[:20]) - 0.3


def test_a_cvae_of_many_maps_imagines_within_the_picture(rings):
    """Whatever its weights are; also from ends on the border."""
    sampler = LayoutCvaeSampler.fit(rings, dataclasses.replace(SMALL_CVAE, train_steps=1))
    with torch.no_grad():
        for parameter in sampler.model.parameters():
            parameter.mul_(20)
    starts, goals = torch.tensor([0.0, 7.0]).expand(200, 2), torch.tensor([7.0, 7.0]).expand(200, 2)
    pictures = torch.as_tensor(picture_of(OTHERS[0]).ravel()).expand(200, -1)
    places = sampler.model.imagine(starts, goals, pictures, torch.Generator().manual_seed(0))
    assert places.shape == (200, 2) and float((places - 3.5).abs().max()) < 3.5 + 1e-5


def test_a_cvae_tells_rows_of_several_ways_as_if_each_were_asked_alone(fitted_in_maps):
    """Ways whose rows follow each other share their squares' features; here the first way comes again."""
    model = fitted_in_maps["cvae"].model
    rings = [OTHERS[0], OTHERS[0], OTHERS[1], OTHERS[0]]
    starts, goals = torch.as_tensor(np.stack([ends_of(ring) for ring in rings])).unbind(1)
    pictures = torch.as_tensor(np.stack([picture_of(ring).ravel() for ring in rings]))
    latent = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
    together = model._decode(*model._features(starts, goals, pictures), latent)
    for row in range(4):
        part = slice(row, row + 1)
        alone = model._decode(*model._features(starts[part], goals[part], pictures[part]), latent[part])
        for batched, single in zip(together, alone, strict=True):
            assert torch.allclose(batched[part], single, atol=1e-5)


def test_a_stored_cvae_of_many_maps_draws_the_same(fitted_in_maps, rings):
    fitted = fitted_in_maps["cvae"]
    again = LayoutCvaeSampler.from_state(*fitted.state(), rings)
    start, goal = ends_of(OTHERS[0])
    draws = [s.sample(state_in(OTHERS[0], start), goal, 20, np.random.default_rng(0)) for s in (fitted, again)]
    assert np.array_equal(*draws)


def test_an_energy_sampler_draws_from_more_candidates_where_they_come_from_all_over(fitted_in_maps, rings, experience):
    """And says nothing when they are few that count: most lie in walls."""
    config = fitted_in_maps["energy"].config
    assert config.proposals > SamplingConfig().proposals and config.least_effective == 0


def test_what_is_imagined_in_a_map_is_lifted_by_what_was_visited_in_any(fitted_in_maps, rings):
    """Place by place, as where there is one map: within reach of a visited place it stays, else a visited state stands in."""
    sampler = fitted_in_maps["energy"]
    start, goal = ends_of(OTHERS[0])
    state = state_in(OTHERS[0], start)
    samples = sampler.sample(state, goal, 60, np.random.default_rng(0))
    imagined = sampler.model.sample(start, goal, 60, sampler.config, np.random.default_rng(0), rings.picture(state))
    been = rings.visited.contains(imagined)
    assert 0 < been.sum() < 60
    assert np.array_equal(samples[been, :2], imagined[been])
    assert np.array_equal(samples[~been], rings.states[rings.visited.nearest(imagined[~been])[0]])
    assert np.array_equal(samples[:, 2:], rings.states[rings.visited.nearest(imagined)[0], 2:])


def test_a_state_shows_its_picture_where_maps_are_many_and_nothing_where_there_is_one(rings, experience):
    ring = OTHERS[0]
    assert np.array_equal(rings.picture(state_in(ring, [1.0, 2.0])), picture_of(ring).ravel())
    assert experience.picture(experience.states[0]).shape == (0,)
