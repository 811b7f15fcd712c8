"""Places that are next to one, and random ones of a map, on a line where all is known."""

import numpy as np
import pytest

from thalweg.agents.replay.neighbours import NeighbourIndex

LINE = np.arange(20.0)[:, None] * [1, 0]  # twenty places, a metre apart


def test_the_nearest_eight_are_drawn_and_no_others():
    index = NeighbourIndex(LINE, np.zeros(20, np.int64), many_maps=False)
    rows, known = index.one_next_to(np.repeat([[10.1, 0.0]], 2_000, axis=0), np.zeros(2_000, np.int64), np.random.default_rng(0))
    assert known.all() and sorted(set(rows.tolist())) == [*range(7, 15)]
    assert np.bincount(rows, minlength=20)[7:15].min() > 150


def test_places_of_other_maps_are_never_next_to_one():
    """Map 0 has three places, map 1 all others."""
    maps = (np.arange(20) >= 3).astype(np.int64)
    index = NeighbourIndex(LINE, maps, many_maps=True)
    here = np.repeat([[3.0, 0.0]], 500, axis=0)
    for number, expected in ((0, [0, 1, 2]), (1, [*range(3, 11)])):
        rows, known = index.one_next_to(here, np.full(500, number), np.random.default_rng(0))
        assert known.all() and sorted(set(rows.tolist())) == expected
    assert not index.one_next_to(here, np.full(500, 2), np.random.default_rng(0))[1].any()  # a map that is new


def test_random_places_are_of_the_maps_asked_for():
    maps = np.array([2, 0, 2, 0, 2])  # there is none of map 1
    index = NeighbourIndex(LINE[:5], maps, many_maps=True)
    rows = index.some_of(np.array([0, 2]), 300, np.random.default_rng(0))
    assert [sorted(set(row.tolist())) for row in rows] == [[1, 3], [0, 2, 4]]


@pytest.mark.parametrize(("asked", "expected"), [([0, 2], True), ([1], False), ([0, 1], False), ([3], False), ([], True)])
def test_it_says_which_maps_it_holds(asked, expected):
    index = NeighbourIndex(LINE[:3], np.array([0, 2, 2]), many_maps=True)
    assert len(index) == 3 and index.holds(np.array(asked, np.int64)) is expected
