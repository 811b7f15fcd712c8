"""Landmarks, marks and the pairs drawn of them, where every distance is known: on a line that is passed in one direction only."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array

from thalweg.planner.distances import geodesic_pairs as shortest_ways
from thalweg.planner.distances.geodesic_pairs import GeodesicPairs

N = 400
PLACES = np.arange(N, dtype=np.float32)[:, None]
LINE = coo_array((np.ones(N - 1), (np.arange(N - 1), np.arange(1, N))), shape=(N, N)).tocsr()


def search(landmarks=5, marks=6, reach=7.0, seed=0):
    return GeodesicPairs.search(LINE, PLACES, landmarks, marks, reach, np.random.default_rng(seed))


@pytest.fixture(autouse=True)
def as_few_as_are_asked_for(monkeypatch):
    monkeypatch.setattr(shortest_ways, "_FEWEST", 1)


def steps_between(starts, ends):
    return np.where(ends >= starts, ends - starts, np.inf).astype(np.float32)


def test_landmarks_know_the_way_from_and_to_all_places():
    ways = search()
    assert len(set(ways.landmarks.tolist())) == 5
    everywhere = np.arange(N)
    assert np.array_equal(ways.steps[0], steps_between(ways.landmarks[:, None], everywhere))
    assert np.array_equal(ways.steps[1], steps_between(everywhere, ways.landmarks[:, None]))


def test_marks_know_what_is_within_reach_nearest_first():
    ways = search(marks=6, reach=7.0)
    for side, sign in enumerate((1, -1)):
        for mark, first, count in zip(ways.marks, ways.first[side], ways.counts[side], strict=True):
            known = slice(first, first + count)
            expected = [place for place in mark + sign * np.arange(8) if 0 <= place < N]
            assert ways.near[known].tolist() == expected
            assert ways.near_steps[known].tolist() == [*range(len(expected))]


@pytest.mark.parametrize(("asked", "fewest", "expected"), [(5, 1, 5), (1_000, 1, 12), (1_000, 20, 20)])
def test_few_places_need_few(asked, fewest, expected, monkeypatch):
    """400 places: one for 32 of them."""
    monkeypatch.setattr(shortest_ways, "_FEWEST", fewest)
    ways = search(landmarks=asked, marks=asked)
    for known in (ways.landmarks, ways.marks):
        assert len(known) == len(set(known.tolist())) == expected


def test_a_place_of_its_own_is_mark_and_landmark():
    ways = GeodesicPairs.search(coo_array((1, 1)).tocsr(), PLACES[:1], 3, 3, 7.0, np.random.default_rng(0))
    drawn, steps = ways.draw(2, 3, np.random.default_rng(0))
    assert not drawn.any() and not steps.any()


def test_of_too_many_near_places_some_are_kept_from_the_nearest_to_the_farthest(monkeypatch):
    monkeypatch.setattr(shortest_ways, "_NEAR_EACH", 4)
    ways = search(reach=20.0)
    full = np.flatnonzero(ways.counts[0] == 4)
    assert len(full) > 0
    for mark in full:
        kept = ways.near_steps[ways.first[0, mark] :][:4]
        assert kept[0] == 0 and (np.diff(kept) > 0).all()


@settings(max_examples=50, deadline=None)
@given(half=st.integers(1, 20), each=st.integers(1, 5), seed=st.integers(0, 2**32 - 1))
def test_pairs_are_of_true_ways_and_the_near_ones_within_reach(half, each, seed):
    drawn, steps = search().draw(half, each, np.random.default_rng(seed))
    assert drawn.shape == (2 * half, 2 + each) and steps.shape == (2 * half, 2, each)
    known, others = drawn[:, :2, None], drawn[:, None, 2:]
    assert np.array_equal(steps[:half], steps_between(known[:half], others[:half]))
    assert np.array_equal(steps[half:], steps_between(others[half:], known[half:]))
    assert (steps[:, 0] <= 7).all()


def test_nearer_places_are_drawn_more_often_and_farther_ones_too():
    steps = search(marks=1, reach=100.0, seed=3).draw(5_000, 1, np.random.default_rng(0))[1][:, 0, 0]
    counts = np.histogram(steps, bins=4, range=(0, 100))[0] / len(steps)
    # of the least of k uniform ones, k log-uniform from 2 to 100: means of 1 - .75^k, .25^k and 1 / (k + 1)
    chances = np.diff(np.log(np.arange(1, 101)) / np.log(100))
    k = np.arange(2, 101)
    assert counts[0] == pytest.approx(chances @ (1 - 0.75**k), abs=0.02)
    assert counts[3] == pytest.approx(chances @ 0.25**k, abs=0.01)
    assert np.mean(steps) == pytest.approx(100 * chances @ (1 / (k + 1)), abs=1)
