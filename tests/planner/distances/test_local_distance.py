"""The distance between near places by the walls about them: what it promises at once, and what it learns."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from thalweg.planner.data.dataset import Dataset
from thalweg.planner.data.trajectories import GoalEntries, Trajectory
from thalweg.planner.distances.local import LocalDistance, LocalDistanceConfig, LocalGeodesics
from thalweg.planner.experience import Experience
from thalweg.planner.many_maps.layout import Layout
from thalweg.planner.many_maps.maps import OneMap, PicturedMaps
from thalweg.planner.networks.stored import OtherVersionError

SQUARES = Layout((7, 7), (0.0, 0.0), (7.0, 7.0))  # squares are 1 m wide
PLACE = GoalEntries((0, 1))
STEP = 0.25  # m
QUICK = LocalDistanceConfig(reach=2, hidden=16, rounds=1, train_steps=5, batch_size=64)


def map_with_wall(axis, at):
    """(7, 7): a border, and a wall across; no door."""
    picture = np.ones((7, 7), np.float32)
    picture[1:-1, 1:-1] = 0
    picture[(slice(None),) * axis + (at,)] = 1
    return picture


def states_in(picture, places):
    """A state is the place, two entries more, and the picture."""
    places = np.asarray(places, np.float32)
    others = np.tile(np.concatenate([[3.0, -3.0], picture.ravel()]), (len(places), 1))
    return np.hstack([places, others]).astype(np.float32)


def drives_in(picture, axis, at, count, rng):
    """Straight ones, on both sides of the wall in turns."""
    for side in range(count):
        low, high = np.ones(2), np.full(2, 6.0)
        (low if side % 2 else high)[axis] = at + side % 2
        ends = rng.uniform(low, high, (2, 2))
        taken = int(np.ceil(np.linalg.norm(ends[1] - ends[0]) / STEP)) + 1
        places = ends[0] + np.linspace(0, 1, taken)[:, None] * (ends[1] - ends[0])
        yield Trajectory(states_in(picture, places), places.astype(np.float32))


def drives(*walls, count=100):
    rng = np.random.default_rng(0)
    return [drive for wall in walls for drive in drives_in(map_with_wall(*wall), *wall, count, rng)]


def experience_of(data, seed=0):
    return Experience(Dataset(data, PLACE), seed, maps=PicturedMaps(SQUARES))


def fit(data, config, seed=0, **more):
    return LocalDistance.fit(experience_of(data, seed), config, **more)


@pytest.fixture(scope="module")
def quick():
    return fit(drives((0, 3), (1, 3), count=20), QUICK)


def scattered(count, seed=0, axis=0):
    """States all over one map, and goals anywhere in it, walls included."""
    rng = np.random.default_rng(seed)
    return states_in(map_with_wall(axis, 3), rng.uniform(1, 6, (count, 2))), rng.uniform(0, 7, (count, 2)).astype(np.float32)


def test_beyond_the_reach_and_within_walls_nothing_is_near(quick):
    states, goals = scattered(400)
    steps = quick.paired(states, goals)
    apart = np.linalg.norm(goals - PLACE(states), axis=1)
    is_free = map_with_wall(0, 3)[tuple(goals.astype(int).T)] == 0
    assert quick.network.reach == 2.0 and steps.dtype == np.float32
    assert np.array_equal(np.isfinite(steps), (apart <= 2) & is_free)
    assert np.isfinite(steps).sum() > 20 and ((apart <= 2) & ~is_free).sum() > 20
    far = float(quick.network.far)
    assert far == pytest.approx(2 * 2 / STEP, rel=0.05)  # twice the way straight across all the reach
    assert (steps[np.isfinite(steps)] >= 1).all() and (steps[np.isfinite(steps)] <= far).all()


def test_on_the_face_of_a_wall_one_may_be(quick):
    """Who slides along it is, to rounding as often within it as not."""
    for nudge in (-1e-6, 0.0, 1e-6):
        goals = np.array([[3.0 + nudge, 2.0], [1.0 - nudge, 2.5], [2.5, 1.0 - nudge]], np.float32)
        states = states_in(map_with_wall(0, 3), [[2.5, 2.0], [1.5, 2.5], [2.5, 1.5]])
        assert np.isfinite(quick.paired(states, goals)).all()
    deeper = np.array([[0.1, 0], [-0.1, 0], [0, -0.1]], np.float32)
    assert np.isinf(quick.paired(states, goals + deeper)).all()


def test_it_is_the_states_picture_that_says_where_walls_are(quick):
    goal = np.array([[3.5, 2.5]], np.float32)
    across, along = (states_in(map_with_wall(axis, 3), [[2.5, 2.5]]) for axis in (0, 1))
    assert np.isinf(quick.paired(across, goal)).all() and np.isfinite(quick.paired(along, goal)).all()


def test_pairs_and_all_pairs_have_the_same_steps_and_staying_takes_one(quick):
    states, goals = scattered(30)
    states = np.concatenate([states, scattered(30, axis=1)[0]])  # of two maps at once
    steps = quick.pairwise(states, goals)
    assert steps.shape == (60, 30) and steps.dtype == np.float32 and np.isfinite(steps).sum() > 50
    rows, columns = np.indices(steps.shape).reshape(2, -1)
    assert np.allclose(quick.paired(states[rows], goals[columns]), steps.ravel(), rtol=1e-4)
    assert np.allclose(quick.pairwise(states[::-1], goals[::-1])[::-1, ::-1], steps, rtol=1e-4)
    free = states[states[:, 0] < 3]
    assert len(free) > 10 and (quick.paired(free[:10], PLACE(free[:10])) == 1).all()
    assert quick.pairwise(states[:0], goals).shape == (0, 30) and quick.pairwise(states, goals[:0]).shape == (60, 0)
    assert quick.paired(states[:0], goals[:0]).shape == (0,)


def test_only_places_and_pictures_count(quick):
    """Neither the other entries of a state nor where in the map the like surroundings are."""
    states, goals = scattered(100)
    others = states.copy()
    others[:, 2:4] = 17.0
    assert np.array_equal(quick.paired(states, goals), quick.paired(others, goals))
    picture = np.zeros((7, 7), np.float32)
    picture[3, 3] = 1  # all about is open, so that it may be moved
    states, goals = states_in(picture, [[2.5, 3.5]]), np.array([[3.5, 2.5]], np.float32)
    moved = states_in(np.roll(picture, 1, axis=1), [[2.5, 4.5]]), goals + np.float32([0, 1])
    assert np.allclose(quick.paired(states, goals), quick.paired(*moved), rtol=1e-4)


def test_a_stored_one_says_the_same(quick):
    tensors, settings = quick.state()
    again = LocalDistance.from_state(tensors, settings, experience_of(drives((0, 3), count=2)))
    states, goals = scattered(50)
    assert np.array_equal(quick.pairwise(states, goals), again.pairwise(states, goals))
    assert set(tensors) == set(again.state()[0]) and again.state()[1] == settings
    assert all(torch.equal(tensor, again.state()[0][name]) for name, tensor in tensors.items())
    assert LocalDistanceConfig(**settings) == QUICK


def test_without_a_picture_of_the_map_it_cannot_be(quick):
    blind = replace(experience_of(drives((0, 3), count=2)), maps=OneMap())
    for ask in (LocalDistance.fit, lambda experience: LocalDistance.from_state(*quick.state(), experience)):
        with pytest.raises(ValueError, match="no picture of its map"):
            ask(blind)
    with pytest.raises(OtherVersionError, match="local distance is of another version"):
        LocalDistance.from_state(quick.state()[0], {"reach": 3}, experience_of(drives((0, 3), count=2)))


def test_a_seed_fixes_what_is_learned_and_other_draws_go_on_as_they_would():
    data = drives((0, 3), count=10)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, same, other = (fit(data, QUICK, seed=seed).state()[0] for seed in (1, 1, 2))
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["layers.1.weight"], other["layers.1.weight"])


def test_progress_is_told_at_every_step_of_every_round():
    ticks = []
    config = LocalDistanceConfig(reach=2, hidden=16, rounds=2, train_steps=40, batch_size=64)
    data = drives((0, 3), count=40)
    fit(data, config, on_step=lambda step, loss: ticks.append(step))
    assert ticks == list(range(1, 81)) and LocalDistance.steps_to_fit(experience_of(data), config) == 80


def test_few_places_are_learnt_in_fewer_steps():
    config = LocalDistanceConfig(train_steps=2_000)
    assert [config.steps_for(count) for count in (0, 1_000, 17_000, 10**6)] == [300, 400, 2_000, 2_000]


def test_where_somebody_has_been_others_may_be_however_grey_the_square():
    picture = map_with_wall(0, 3) * 0.8
    picture[2] += 0.2
    places = np.stack([np.linspace(1.1, 2.9, 20), np.linspace(1.1, 5.9, 20)], axis=1)
    distance = fit([Trajectory(states_in(picture, places), places.astype(np.float32))], QUICK)
    assert float(distance.network.most) == pytest.approx(0.2)
    states = states_in(picture, [[2.5, 3.0]] * 2)
    assert np.isfinite(distance.paired(states, np.array([[2.5, 3.5], [3.5, 3.5]], np.float32))).tolist() == [True, False]


def test_where_nothing_moves_there_is_nothing_to_learn():
    places = np.full((5, 2), 2.5, np.float32)
    with pytest.raises(ValueError, match="no trajectory moves"):
        fit([Trajectory(states_in(map_with_wall(0, 3), places), places)], QUICK)


@pytest.mark.parametrize(
    "wrong",
    [
        *({name: 0} for name in ("reach", "hidden", "rounds", "train_steps", "batch_size")),
        *({"quantile": quantile} for quantile in (0.0, 1.0)),
        {"learning_rate": 0.0},
    ],
)
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        LocalDistanceConfig(**wrong)


def test_steps_grow_with_the_length_and_level_off_at_far():
    """Whatever the network says of a detour; here a known one."""
    network = LocalGeodesics(SQUARES, QUICK)
    network.pace.fill_(8.0)
    for parameter in network.layers[-1].parameters():
        torch.nn.init.zeros_(parameter)
    here = torch.tensor([[2.0, 2.0]]).expand(5, 2)
    there = here + torch.tensor([[0.0, 0.0], [0.5, 0.0], [0.0, -1.0], [1.2, 1.6], [200.0, 0.0]])
    pictures = torch.zeros(5, 7, 7)
    told = network(pictures, network.see(pictures, here), here, there)
    detour = np.log1p(np.e)  # softplus of 1
    straight = 8.0 * np.array([0, 0.25, 0.5, 1, 100]) * detour
    assert np.allclose(told.detach().numpy(), 16 * np.tanh(straight / 16), rtol=1e-4)


def test_it_sees_its_surroundings_as_they_lie():
    """Looks run from low to high, the second axis first, half a square apart, about the place."""
    picture = np.zeros((7, 7), np.float32)
    picture[4, 2] = 1
    network = LocalGeodesics(SQUARES, QUICK)
    seen = network.see(torch.as_tensor(picture)[None], torch.tensor([[3.5, 3.5]]))[0].reshape(9, 9)
    assert seen[6, 2] == pytest.approx(1.0)  # + 1 along the first axis, - 1 along the second
    assert seen[5, 2].item() == pytest.approx(0.5) and seen[6, 1].item() == pytest.approx(0.5)
    assert seen[:5].abs().max() < 1e-6 and seen[:, 4:].abs().max() < 1e-6


@pytest.fixture(scope="module")
def learned():
    """400 steps in each of two rounds, seed 0, in four maps with a wall across; asked about two others."""
    config = LocalDistanceConfig(reach=3, hidden=32, train_steps=400, batch_size=256)
    return fit(drives((0, 2), (1, 2), (0, 4), (1, 4), count=50), config)


@pytest.mark.slow
@pytest.mark.parametrize("axis", [0, 1])
def test_in_a_map_that_nobody_has_seen_ways_along_a_wall_are_as_long_as_they_are_and_across_it_far(learned, axis):
    """Of one that saw only the offset, both kinds would be alike."""
    ticks = np.linspace(1.2, 3.8, 40)

    def asked(start, end):
        """Places (40, 2) by what lies across the wall and what along it."""
        start, end = (np.stack(part if axis == 0 else part[::-1], axis=1) for part in (start, end))
        return learned.paired(states_in(map_with_wall(axis, 3), start), end.astype(np.float32))

    side = np.full(40, 2.5)
    along = asked((side, ticks), (side, ticks + 2))
    across = asked((side, ticks), (side + 2, ticks))
    assert np.abs(along / (2 / STEP) - 1).mean() < 0.2
    assert across.min() > 1.5 * along.max()
    assert across.mean() > 0.8 * float(learned.network.far)
