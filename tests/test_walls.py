import numpy as np
import pytest
from scipy.ndimage import label

from envs.point_mass import U
from envs.walls import WallMap

CORNER = ("#####", "#...#", "#.#.#", "#...#", "#####")  # a block in the middle of a room
MAZE = ("#########", "#.#.....#", "#.#.###.#", "#...#.#.#", "###.#.#.#", "#...#...#", "#########")
SPLIT = ("#####", "#.#.#", "#.#.#", "#####")


def test_a_move_stops_at_the_face_and_slides_along_it():
    world = WallMap(("###", "#.#", "###"), 1.0)
    reached, stopped = world.move(np.array([[1.5, 1.2]]), np.array([[2.0, 0.3]]))
    assert reached[0, 0] == 2.0 and reached[0, 1] == pytest.approx(1.5)
    assert stopped.tolist() == [[True, False]]


def test_a_fast_move_does_not_jump_over_a_thin_wall():
    world = WallMap(SPLIT, 1.0)
    reached, stopped = world.move(np.array([[1.5, 1.5]]), np.array([[2.0, 0.0]]))
    assert reached[0].tolist() == [2.0, 1.5] and stopped[0].tolist() == [True, False]


@pytest.mark.parametrize("rows", [U, MAZE, CORNER, SPLIT])
@pytest.mark.parametrize("speed", [0.1, 5.0])
def test_no_random_step_ends_in_a_wall_or_crosses_one(rows, speed):
    world, rng = WallMap(rows, 1.0), np.random.default_rng(0)
    parts, _ = label(~world.is_wall)
    points = world.sample_free(1_000, rng)
    home = parts[tuple(np.floor(points).astype(int).T)]
    for _ in range(60):
        before = points
        points, stopped = world.move(points, rng.normal(0, speed, points.shape))
        assert world.is_free(points).all()
        free = ~stopped.any(axis=1)
        assert world.sees(before[free], points[free]).all()
        inside = ~np.any(points == np.floor(points), axis=1)  # a point on a face lies in two cells
        assert (parts[tuple(np.floor(points[inside]).astype(int).T)] == home[inside]).all()


def test_the_shortest_way_bends_round_the_corner():
    world = WallMap(CORNER, 1.0)
    start, goal = np.array([1.5, 2.5]), np.array([3.5, 2.5])  # left and right of the block [2, 3] x [2, 3]
    by_hand = np.hypot(0.5, 0.5) * 2 + 1.0
    assert world.shortest_length(start, goal)[0] == pytest.approx(by_hand)
    route = world.shortest_route(start, goal)
    assert len(route) == 4 and np.linalg.norm(np.diff(route, axis=0), axis=1).sum() == pytest.approx(by_hand)
    assert world.shortest_length(start, np.array([1.5, 1.5]))[0] == 1.0  # in sight


def test_the_shortest_way_is_a_metric():
    world, rng = WallMap(MAZE, 1.0), np.random.default_rng(1)
    a, b, c = (world.sample_free(300, rng) for _ in range(3))
    ab, ba = world.shortest_length(a, b), world.shortest_length(b, a)
    assert np.allclose(ab, ba) and (ab >= np.linalg.norm(a - b, axis=1) - 1e-9).all()
    assert (ab <= world.shortest_length(a, c) + world.shortest_length(c, b) + 1e-9).all()


def test_no_way_is_infinitely_long():
    world = WallMap(SPLIT, 1.0)
    assert world.shortest_length(np.array([1.5, 1.5]), np.array([3.5, 1.5]))[0] == np.inf
    with pytest.raises(ValueError, match="no free path"):
        world.shortest_route(np.array([1.5, 1.5]), np.array([3.5, 1.5]))


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        ((), "empty"),
        (("###", "#.#", "##"), "length"),
        (("###", "#x#", "###"), "x"),
        (("###", "#..", "###"), "open"),
        (("##", "##"), "free"),
        (("####", "##.#", "#.##", "####"), "corner"),
    ],
)
def test_a_bad_map_is_refused(rows, word):
    with pytest.raises(ValueError, match=word):
        WallMap(rows, 1.0)
