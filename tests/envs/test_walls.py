import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import label

from thalweg.envs.drawings import FAMILIES
from thalweg.envs.random_maze import random_maze
from thalweg.envs.walls import WallMap, _stop

CORNER = ("#####", "#...#", "#.#.#", "#...#", "#####")  # a block in the middle of a room
MAZE = ("#########", "#.#.....#", "#.#.###.#", "#...#.#.#", "###.#.#.#", "#...#...#", "#########")
SPLIT = ("#####", "#.#.#", "#.#.#", "#####")


def test_a_move_stops_at_the_face_and_slides_along_it():
    world = WallMap(("###", "#.#", "###"), 1.0)
    reached, stopped = world.move(np.array([[1.5, 1.2]]), np.array([[2.0, 0.3]]))
    assert reached[0, 0] == 2.0 and reached[0, 1] == pytest.approx(1.5)
    assert stopped.tolist() == [[True, False]]


def test_a_fast_move_does_not_jump_over_a_thin_wall():
    world = WallMap(SPLIT, 1.0, connected=False)
    reached, stopped = world.move(np.array([[1.5, 1.5]]), np.array([[2.0, 0.0]]))
    assert reached[0].tolist() == [2.0, 1.5] and stopped[0].tolist() == [True, False]


@pytest.mark.slow
@pytest.mark.parametrize("maze_seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 5))])
def test_a_million_random_steps_cross_no_wall(maze_seed):
    """5 mazes x 2,000 points x 100 steps, most of the length of a corridor's width, some far longer."""
    world, rng = WallMap(random_maze(7, 3, maze_seed), 0.3), np.random.default_rng(maze_seed)
    points = world.sample_free(2_000, rng)
    for _ in range(100):
        before, speed = points, rng.choice([0.02, 0.1, 0.3, 5.0], size=(len(points), 1))
        points, stopped = world.move(before, rng.normal(0, speed, before.shape))
        assert world.is_free(points).all()
        free = ~stopped.any(axis=1)
        assert world.paths.sees(before[free], points[free]).all()


@pytest.mark.parametrize("speed", [0.1, 5.0])
def test_nobody_leaves_a_closed_part(speed):
    world, rng = WallMap(SPLIT, 1.0, connected=False), np.random.default_rng(0)
    parts, _ = label(~world.is_wall)
    points = world.sample_free(1_000, rng)
    home = parts[tuple(np.floor(points).astype(int).T)]
    for _ in range(60):
        points, _ = world.move(points, rng.normal(0, speed, points.shape))
        inside = ~np.any(points == np.floor(points), axis=1)  # a point on a face lies in two cells
        assert (parts[tuple(np.floor(points[inside]).astype(int).T)] == home[inside]).all()


SMALL_MAZE = WallMap(random_maze(6, 2, 0), 1.0)
LATTICE = st.integers(2, 24).map(
    lambda n: n / 2
)  # within the border: cell corners, mid-faces and mid-cells, where rounding and ties live


@settings(max_examples=300, deadline=None)
@given(x=LATTICE, y=LATTICE, dx=st.integers(-8, 8), dy=st.integers(-8, 8), nudge=st.sampled_from([0.0, 1e-12, -1e-12, 1e-3]))
def test_a_sweep_finds_the_wall_that_a_look_at_every_wall_finds(x, y, dx, dy, nudge):
    world = SMALL_MAZE
    point, move = np.array([[x, y + nudge]]), np.array([[dx / 8, dy / 8]])
    if not world.is_free(point)[0]:
        return
    reached, axis, hit = world.sweep(point, move)
    all_walls = _stop(point, move, world.walls[None], 1.0)
    assert np.allclose(reached, all_walls[0], rtol=0, atol=2e-9) and hit == all_walls[2]
    in_corner = np.allclose(reached, np.rint(reached), rtol=0, atol=2e-9)  # there either face may be named
    assert not hit[0] or in_corner or axis == all_walls[1]
    end, _ = world.move(point, move)
    assert world.is_free(end).all()


@pytest.mark.parametrize("cell_size", [0.123, 1 / 3, 0.7, 1.0])
def test_a_diagonal_move_into_an_inner_corner_ends_in_it(cell_size):
    """The second wall of the corner was passed by a rounding error: 3,442 of 200,000 such moves ended inside it."""
    world, rng = WallMap(("#####", "#...#", "#...#", "#...#", "#####"), cell_size), np.random.default_rng(0)
    low, high = cell_size, world.size[0] - cell_size
    for sign in (-1, 1):
        points = np.repeat(rng.uniform(low, high, (20_000, 1)), 2, axis=1)
        moves = sign * np.repeat(rng.uniform(0, 1.5 * (high - low), (20_000, 1)), 2, axis=1)
        assert world.is_free(world.move(points, moves)[0]).all()
    corner = np.array([[low, low]])
    assert np.array_equal(world.move(np.array([[3 * low, 3 * low]]), np.array([[-2 * low, -2 * low]]))[0], corner)


def test_a_seam_between_two_walls_is_no_way_in():
    world = WallMap(("######", "#.##.#", "#.##.#", "#....#", "######"), 1.0)
    reached, _ = world.move(np.array([[3.0, 1.5]]), np.array([[0.0, 2.0]]))  # up the line between the two wall columns
    assert reached[0].tolist() == [3.0, 2.0]
    assert not world.paths.sees(np.array([3.0, 1.5]), np.array([3.0, 3.5]))


def test_the_shortest_way_bends_round_the_corner():
    world = WallMap(CORNER, 1.0)
    start, goal = np.array([1.5, 2.5]), np.array([3.5, 2.5])  # left and right of the block [2, 3] x [2, 3]
    by_hand = np.hypot(0.5, 0.5) * 2 + 1.0
    assert world.paths.length(start, goal)[0] == pytest.approx(by_hand)
    route = world.paths.route(start, goal)
    assert len(route) == 4 and np.linalg.norm(np.diff(route, axis=0), axis=1).sum() == pytest.approx(by_hand)
    assert world.paths.length(start, np.array([1.5, 1.5]))[0] == 1.0  # in sight


@pytest.mark.parametrize("name", ["FourRooms", "Galton", "Maze6", "FlyTrap"])
def test_shortest_ways_are_those_of_the_whole_visibility_graph(name):
    """Against networkx on every corner and every wall, without what the cells remember."""
    world, rng = WallMap(FAMILIES[name], 1.0), np.random.default_rng(2)
    starts, goals = world.sample_free(12, rng), world.sample_free(12, rng)
    for start, goal, length in zip(starts, goals, world.paths.length(starts, goals), strict=True):
        points = np.vstack([start, goal, world.paths.corners])
        graph = nx.Graph()
        graph.add_nodes_from(range(len(points)))
        for i, point in enumerate(points):
            seen = np.flatnonzero(world.paths.sees(point, points))
            graph.add_weighted_edges_from((i, int(j), float(np.linalg.norm(points[j] - point))) for j in seen)
        assert length == pytest.approx(nx.dijkstra_path_length(graph, 0, 1), rel=1e-12)
        route = world.paths.route(start, goal)
        assert np.linalg.norm(np.diff(route, axis=0), axis=1).sum() == pytest.approx(length, rel=1e-12)
        assert world.paths.sees(route[:-1], route[1:]).all()


def test_the_shortest_way_is_a_metric():
    world, rng = WallMap(MAZE, 1.0), np.random.default_rng(1)
    a, b, c = (world.sample_free(300, rng) for _ in range(3))
    ab, ba = world.paths.length(a, b), world.paths.length(b, a)
    assert np.allclose(ab, ba) and (ab >= np.linalg.norm(a - b, axis=1) - 1e-9).all()
    assert (ab <= world.paths.length(a, c) + world.paths.length(c, b) + 1e-9).all()


def test_no_way_is_infinitely_long():
    world = WallMap(SPLIT, 1.0, connected=False)
    assert world.paths.length(np.array([1.5, 1.5]), np.array([3.5, 1.5]))[0] == np.inf
    with pytest.raises(ValueError, match="no free path"):
        world.paths.route(np.array([1.5, 1.5]), np.array([3.5, 1.5]))


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        ((), "empty"),
        (("###", "#.#", "##"), "length"),
        (("###", "#x#", "###"), "x"),
        (("###", "#..", "###"), "open"),
        (("##", "##"), "free"),
        (("####", "##.#", "#.##", "####"), "corner"),
        (SPLIT, "2 parts"),
    ],
)
def test_a_bad_map_is_refused(rows, word):
    with pytest.raises(ValueError, match=word):
        WallMap(rows, 1.0)
