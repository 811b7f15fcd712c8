import gymnasium as gym
import numpy as np
import pytest

import thalweg.envs  # noqa: F401 (registers ours)
from thalweg.envs.fastest_drives import FastestDrives
from thalweg.envs.point_mass import PointMass


def east(way):
    return np.array([way, 0.0])


@pytest.fixture(scope="module")
def bend():
    """A corridor three steps wide round a corner."""
    world = PointMass(rows=("#####", "#...#", "###.#", "###.#", "#####"), scale=3)
    return world, FastestDrives(world)


def test_in_the_open_full_speed_is_reached_in_five_steps():
    """.02, .04, .06, .08, .1 m, then .1 m a step, up to within .1 m of the goal."""
    world = PointMass(rows=("#" * 14, "#" + "." * 12 + "#", "#" * 14), scale=2)
    fastest = FastestDrives(world)
    start = np.array([0.3, 0.3])
    for steps, way in ((1, 0.02), (2, 0.06), (5, 0.30), (6, 0.40), (12, 1.00)):
        assert fastest.find(start, start + east(way + 0.1 - 1e-9)) == (steps, pytest.approx(way, abs=1e-6))
        assert fastest.find(start, start + east(way + 0.1 + 1e-3))[0] == steps + 1
    assert fastest.find(start, start + east(0.05)) == (0, 0.0)


def test_round_a_corner_it_is_longer_than_the_shortest_way_and_can_be_driven(bend):
    """Not fewer steps than the shortest way takes at full speed; and no drive of random pushes, many tried, is faster."""
    world, fastest = bend
    start, goal = np.array([0.4, 1.04]), np.array([1.04, 0.4])
    steps, length = fastest.find(start, goal)
    shortest = float(world.shortest_length(start[None], goal[None])[0]) - world.tolerance
    assert shortest <= length <= 1.15 * shortest and shortest / 0.1 < steps <= shortest / 0.1 + 6
    rng = np.random.default_rng(0)
    places, velocities = np.tile(start, (20_000, 1)), np.zeros((20_000, 2))
    heading = np.array([1.0, 0.0]) + rng.normal(size=(20_000, 2))
    for step in range(1, steps):
        turn = rng.random(20_000) < 0.15
        heading[turn] = rng.normal((0.3, -0.3), size=(turn.sum(), 2))
        places, velocities, _ = world.advance(places, velocities, 3 * heading)
        assert np.linalg.norm(places - goal, axis=1).min() > world.tolerance, step


def test_walls_off_the_lattice_and_goals_without_a_way_are_refused(bend):
    with pytest.raises(ValueError, match=r"multiples of 0\.02 m, but a cell is 0\.25"):
        FastestDrives(PointMass(rows=("###", "#.#", "###"), scale=2.5))
    apart = PointMass(rows=("#####", "#.#.#", "#####"), scale=3, connected=False)
    with pytest.raises(ValueError, match="no drive leads"):
        FastestDrives(apart).find(np.array([0.4, 0.4]), np.array([1.1, 0.4]))


def test_our_mazes_lie_on_the_lattice():
    for name in ("PointMassMaze11-v0", "PointMassMaze15-v0"):
        world = gym.make(name).unwrapped
        cells = world.map.cell_size / (world.max_push * world.time_step**2)
        assert cells == pytest.approx(round(cells), abs=1e-6)
