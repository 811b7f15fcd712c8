"""What the agent's networks are told of the way, in one map and in many."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from thalweg.agents.features.geodesic_prior import _NEARBY, ManyMapsPrior, OneMapPrior
from thalweg.agents.features.goal_features import GoalFeatures
from thalweg.planner.data.trajectories import Trajectory
from thalweg.planner.distances.local import LocalDistanceConfig, fit_local_geodesics
from thalweg.planner.distances.quasimetric import fit_quasimetric
from thalweg.planner.many_maps.layout import Layout

SIDE = 21
LAYOUT = Layout((SIDE, SIDE), (0.0, 0.0), (float(SIDE), float(SIDE)))  # a square is a unit
REACH = LocalDistanceConfig().reach  # squares
OWN = 4  # entries of a state before its picture
LOOKS = 5 * 5 + 9 * 9  # at what lies about a place where there is one map


def box(size):
    return spaces.Box(0, SIDE, (size,), np.float32)


def features_of(layout, state_size):
    torch.manual_seed(0)
    space = spaces.Dict({"observation": box(state_size), "achieved_goal": box(2), "desired_goal": box(2)})
    return GoalFeatures(space, 0.98, 2, layout)


@pytest.fixture(scope="module")
def features():
    """Of random weights, in double precision: then a finite difference is exact to many digits."""
    features = features_of(LAYOUT, OWN + LAYOUT.size).double()
    features.move.fill_(0.1)
    return features


def random_picture(seed):
    return (np.random.default_rng(seed).random(LAYOUT.shape) < 0.4).astype(np.float64)


def observe(pictures, places, goals):
    """(B, X, Y), (B, 2), (B, 2) -> observations of masses at rest."""
    places, goals = (torch.as_tensor(np.asarray(part), dtype=torch.float64) for part in (places, goals))
    seen = torch.as_tensor(np.asarray(pictures)).flatten(1)
    return {
        "observation": torch.cat([places, torch.zeros_like(places), seen], dim=1),
        "achieved_goal": places,
        "desired_goal": goals,
    }


def way(features, pictures, places, goals):
    """As the features have it."""
    told = features(observe(pictures, places, goals))
    return (2 * told[:, -1]).expm1(), told[:, -3:-1]


def query(ways, states, places, goals):
    return ways.query(ways.code(states, places), ways.code_goals(goals))


def random_pairs(count, seed=0):
    """Pictures, places, and goals both within reach and beyond it."""
    rng = np.random.default_rng(seed)
    pictures = np.stack([random_picture(number) for number in range(count)])
    return pictures, (places := rng.uniform(0, SIDE, (count, 2))), places + rng.normal(0, REACH, (count, 2))


def test_before_anything_is_learnt_one_map_promises_nothing():
    here, there = torch.rand(2, 5, 2) * SIDE
    told = query(OneMapPrior(2), torch.zeros(5, OWN), here, there)
    assert told.steps.tolist() == [0] * 5 and told.slope.tolist() == [[0, 0]] * 5 and told.seen.tolist() == [[0] * LOOKS] * 5


def test_features_are_as_many_as_they_say_and_none_is_trained(features):
    """State, three goal-like parts, the way's length, and 9 x 9 looks: two per square, up to half the reach to each side."""
    pictures, places, goals = random_pairs(7)
    told = features(observe(pictures, places, goals))
    assert features.ways.num_seen == (4 * REACH // 2 + 1) ** 2 == 81
    assert told.shape == (7, features.features_dim) == (7, OWN + 3 * 2 + 81 + 1)
    assert told.isfinite().all() and not told.requires_grad
    assert not any(parameter.requires_grad for parameter in features.parameters())
    assert features_of(None, OWN).features_dim == OWN + 3 * 2 + LOOKS + 1


def test_the_picture_is_not_among_the_standardised_entries():
    features = features_of(LAYOUT, OWN + LAYOUT.size)
    rng = np.random.default_rng(0)
    states = np.hstack([rng.normal(5, 2, (100, OWN)), np.zeros((100, LAYOUT.size))]).astype(np.float32)
    features.fit(states, states[:, :2], rng.uniform(-1, 1, (100, 2)), rng.normal(0, 0.1, (100, 2)))
    assert features.state_mean.shape == features.state_scale.shape == (OWN,)
    observations = {"observation": torch.as_tensor(states)} | dict.fromkeys(("achieved_goal", "desired_goal"), torch.ones(100, 2))
    own = features(observations)[:, :OWN]
    assert torch.allclose(own.mean(dim=0), torch.zeros(OWN), atol=1e-5)
    assert torch.allclose(own.std(dim=0, unbiased=False), torch.ones(OWN), atol=1e-5)
    observations["observation"][:, OWN:] = 1
    assert torch.equal(features(observations)[:, :OWN], own)


def test_the_slope_is_the_change_of_the_steps_along_each_entry(features):
    pictures, places, goals = random_pairs(40)
    slope = way(features, pictures, places, goals)[1]
    nearest = np.linalg.norm(goals - places, axis=1) < REACH
    assert 3 < nearest.sum() < 37  # both sides of the reach are looked at
    for entry in (0, 1):
        nudge = np.zeros(2)
        nudge[entry] = 1e-6
        ahead, behind = (way(features, pictures, places + sign * nudge, goals)[0] for sign in (1, -1))
        change = (ahead - behind) / 2e-6 * features.move[entry]
        assert torch.allclose(slope[:, entry], change, atol=1e-6) and slope[:, entry].abs().median() > 1e-3


def test_a_slope_is_cut_off(features):
    pictures, places, goals = random_pairs(40)
    uncut = way(features, pictures, places, goals)[1]
    features.move.fill_(100.0)
    cut = way(features, pictures, places, goals)[1]
    features.move.fill_(0.1)
    assert torch.allclose(cut, (1_000 * uncut).clamp(-2, 2)) and (cut.abs() == 2).any()


def test_the_same_surroundings_tell_the_same_in_another_map_and_elsewhere_in_it(features):
    """Alike up to 5 squares away; by the last look, at 4, squares count that are half a square farther."""
    here, there = np.array([7.3, 8.6]), np.array([9.1, 6.9])
    shift = np.array([5, 4])
    first, second, moved = random_picture(1), random_picture(2), random_picture(3)
    around = first[2:13, 3:14]
    second[2:13, 3:14] = moved[2 + 5 : 13 + 5, 3 + 4 : 14 + 4] = around
    told = features(observe([first, second, moved], [here, here, here + shift], [there, there, there + shift]))
    assert torch.equal(told[0], told[1])
    assert torch.allclose(told[2, 2:], told[0, 2:], atol=1e-9)
    assert torch.allclose(told[2, :2] - told[0, :2], torch.as_tensor(shift, dtype=torch.float64))


@pytest.mark.parametrize(("square", "shows"), [((8, 8), "seen"), ((3, 8), "way only"), ((1, 8), "nothing")])
def test_a_square_tells_of_itself_up_to_the_reach(square, shows, features):
    """One square beside the place is seen; one 4 away sways the way only; one 6 away does nothing."""
    here, there, first = np.array([7.3, 8.6]), np.array([9.1, 6.9]), random_picture(1)
    other = first.copy()
    other[square] = 1 - other[square]
    told = features(observe([first, other], [here, here], [there, there]))
    changed = (told[0] != told[1]).numpy()
    seen, way_told = changed[OWN + 4 : -3], changed[-3:]
    assert not changed[: OWN + 4].any()
    assert (seen.any(), way_told.any()) == {"seen": (True, True), "way only": (False, True), "nothing": (False, False)}[shows]


@settings(max_examples=40, deadline=None)
@given(angle=st.floats(0, 2 * np.pi), times=st.floats(1, 4), seed=st.integers(0, 5))
def test_beyond_reach_the_rest_is_straight(angle, times, seed, features):
    """Steps there = steps to the last place within reach + pace x what is left in reaches; so they have no jump at it."""
    here = np.array([10.2, 10.7])
    edge = here + REACH * (1 - 1e-9) * np.array([np.cos(angle), np.sin(angle)])
    beyond = here + REACH * times * np.array([np.cos(angle), np.sin(angle)])
    steps = way(features, [random_picture(seed)] * 2, [here, here], [edge, beyond])[0]
    assert float(steps[1] - steps[0]) == pytest.approx(float(features.ways.pace) * (times - 1), abs=1e-6)


def walks_in_the_open(count=4, length=150):
    rng = np.random.default_rng(0)
    walks = []
    for _ in range(count):
        angles = rng.uniform(0, 2 * np.pi, length)
        moves = 0.5 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        places = np.clip(rng.uniform(4, 17, 2) + moves.cumsum(axis=0), 3, 18).astype(np.float32)
        states = np.hstack([places, np.zeros_like(places), np.zeros((length, LAYOUT.size), np.float32)])
        walks.append(Trajectory(states, places))
    return walks


@pytest.mark.slow
def test_ways_of_many_maps_are_learnt_from_what_was_visited_and_fixed_by_the_seed():
    """One round of `fit_local_geodesics`. Two far corners of an open map, 2 squares per step: 20 steps and more, untrained 4."""
    data = walks_in_the_open()
    ways = ManyMapsPrior(LAYOUT)
    here, there = torch.tensor([[4.0, 4.0]]), torch.tensor([[11.0, 11.0]])
    states = torch.as_tensor(data[0].states[:1])
    before = float(query(ways, states, here, there).steps)
    ways.learn(data, seed=3)
    expected = fit_local_geodesics(data, LAYOUT, LocalDistanceConfig(rounds=1), 3).state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in ways.state_dict().items())
    assert not any(parameter.requires_grad for parameter in ways.parameters())
    straight = 7 * 2**0.5 / 0.5
    assert before < 0.5 * straight < float(query(ways, states, here, there).steps) < 2.5 * straight


def test_ways_of_one_map_go_on_from_what_they_were(monkeypatch):
    """From random weights, not from the zeros that tell nothing: these have no gradient."""
    monkeypatch.setattr("thalweg.agents.features.geodesic_prior._TRAIN_STEPS", (5, 5))
    data = walks_in_the_open()
    ways, config = OneMapPrior(2), replace(_NEARBY, train_steps=5)
    ways.learn(data, seed=3)
    first = fit_quasimetric(data, config, 3)
    assert all(torch.equal(tensor, first.state_dict()[name]) for name, tensor in ways.quasimetric.state_dict().items())
    ways.learn(data, seed=4)
    second = fit_quasimetric(data, config, 4, start=first).state_dict()
    assert all(torch.equal(tensor, second[name]) for name, tensor in ways.quasimetric.state_dict().items())
    assert not torch.equal(second["grids.features"], fit_quasimetric(data, config, 4).state_dict()["grids.features"])


@pytest.mark.parametrize(("places", "expected"), [(600, 50), (4_000, 100), (200_000, 2_500)])
def test_the_more_was_visited_the_more_gradient_steps_it_takes(places, expected, monkeypatch):
    asked = []

    def fit(data, config, seed, start, barred):
        asked.append(config.train_steps)
        raise ValueError("asked")

    monkeypatch.setattr("thalweg.agents.features.geodesic_prior.fit_quasimetric", fit)
    with pytest.raises(ValueError, match="asked"):
        OneMapPrior(2).learn([Trajectory(np.zeros((places, OWN)), np.zeros((places, 2)))], seed=0)
    assert asked == [expected]


@pytest.mark.parametrize("make", [lambda: OneMapPrior(2), lambda: ManyMapsPrior(LAYOUT)])
def test_where_nothing_moves_there_are_no_ways(make):
    still = [Trajectory(np.zeros((9, OWN + LAYOUT.size), np.float32), np.zeros((9, 2), np.float32))]
    with pytest.raises(ValueError, match="no trajectory moves"):
        make().learn(still, seed=0)
