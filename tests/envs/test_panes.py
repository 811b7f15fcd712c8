"""Walls without thickness."""

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import thalweg.envs  # noqa: F401
from thalweg.envs.panes import PANES, ROOM, PanedMap
from thalweg.envs.point_mass import PointMass

ROOM_MAP = PanedMap(ROOM, 1.0, PANES)
INSIDE = st.tuples(st.floats(1, 7), st.floats(1, 7))


def crossed(starts, ends):
    return ~ROOM_MAP.truth.sees(starts, ends)


@given(INSIDE, st.lists(st.tuples(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3)), min_size=1, max_size=30))
def test_nobody_ever_crosses_a_pane(start, moves):
    """Whatever the moves: each one's straight line from where it began to where it ended, both legs of a slide."""
    at = np.array([start])
    if not ROOM_MAP.is_free(at)[0]:
        return
    for move in moves:
        corner, _, _ = ROOM_MAP.sweep(at, np.array([move]))
        to, _ = ROOM_MAP.move(at, np.array([move]))
        assert not crossed(at, corner)[0] and not crossed(corner, to)[0]
        rounded = to.astype(np.float32).astype(float)
        assert ROOM_MAP.is_free(to)[0] and ROOM_MAP.is_free(rounded)[0] and not crossed(to, rounded)[0]
        at = to


@pytest.mark.parametrize("angle", np.linspace(-1.5, 1.5, 13))
@pytest.mark.parametrize("side", [-1, 1])
def test_who_comes_up_to_a_pane_stops_on_the_own_side_and_slides(angle, side):
    start, move = np.array([[3.0 + side * 0.05, 3.0]]), 0.2 * np.array([[-side * np.cos(angle), np.sin(angle)]])
    to, stopped = ROOM_MAP.move(start, move)
    if 0.2 * np.cos(angle) > 0.05:
        assert stopped[0].tolist() == [True, False] and 0 < side * (to[0, 0] - 3.0) < 1e-4
    assert to[0, 1] == pytest.approx(3.0 + 0.2 * np.sin(angle), abs=1e-12)


def test_past_the_end_of_a_pane_the_room_is_open():
    to, stopped = ROOM_MAP.move(np.array([[2.9, 5.9]]), np.array([[0.3, 0.0]]))
    assert to[0, 0] == pytest.approx(3.2) and not stopped.any()


def test_the_shortest_paths_bend_at_the_free_ends():
    starts, goals = (
        np.array([[1.5, 2.0], [1.5, 6.5], [1.5, 2.0], [2.99, 2.0]]),
        np.array([[6.5, 6.0], [4.0, 6.5], [4.0, 2.0], [3.01, 2.0]]),
    )
    first, second = np.array([3.0, 5.8]), np.array([5.0, 2.2])
    by_hand = [
        np.linalg.norm(first - starts[0]) + np.linalg.norm(second - first) + np.linalg.norm(goals[0] - second),
        2.5,
        np.linalg.norm(first - starts[2]) + np.linalg.norm(goals[2] - first),
        2 * np.hypot(0.01, 3.8),
    ]
    assert ROOM_MAP.truth.length(starts, goals) == pytest.approx(by_hand)
    assert ROOM_MAP.truth.length(goals, starts) == pytest.approx(by_hand)
    assert np.allclose(ROOM_MAP.truth.route(starts[0], goals[0]), [starts[0], first, second, goals[0]])
    assert np.allclose(ROOM_MAP.truth.route(goals[0], starts[0]), [goals[0], second, first, starts[0]])
    assert len(ROOM_MAP.truth.route(starts[1], goals[1])) == 2


def test_far_pairs_are_far_by_the_true_path():
    env = gym.make("PointMassPanes-v0", difficulty=0.95).unwrapped
    anywhere = gym.make("PointMassPanes-v0").unwrapped
    lengths = {env: [], anywhere: []}
    for made, seeds in ((env, 40), (anywhere, 400)):
        for seed in range(seeds):
            observation, _ = made.reset(seed=seed)
            lengths[made].append(made.shortest_length(observation["achieved_goal"][None], observation["desired_goal"][None])[0])
    assert min(lengths[env]) > np.quantile(lengths[anywhere], 0.9)


def test_a_batch_is_single_envs_bit_for_bit():
    rng = np.random.default_rng(0)
    batch = gym.make_vec("PointMassPanes-v0", num_envs=6)
    singles = [gym.make("PointMassPanes-v0") for _ in range(6)]
    observed, _ = batch.reset(seed=3)
    alone = [env.reset(seed=3 + i)[0] for i, env in enumerate(singles)]
    for _ in range(45):
        actions = rng.uniform(-1, 1, (6, 2)).astype(np.float32) + np.array([1, 0], np.float32)
        observed, _, ended, _, _ = batch.step(actions)
        alone = [env.step(action)[0] for env, action in zip(singles, actions, strict=True)]
        for key, values in observed.items():
            assert np.array_equal(values, np.stack([each[key] for each in alone]))
        if ended.any():
            break


def test_who_follows_the_true_path_arrives():
    """A hand-written controller: to each bend, a little off the pane's end, then on."""
    env = PointMass(ROOM, 10, panes=PANES, difficulty=0.95)
    for seed in range(5):
        observation, _ = env.reset(seed=seed)
        route = env.shortest_route(observation["achieved_goal"].astype(float), observation["desired_goal"].astype(float))
        for bend in route[1:-1]:
            bend[1] += 0.3 if bend[1] > 4 else -0.3
        targets = list(route[1:])
        for _ in range(400):
            at, speed = observation["observation"][:2], observation["observation"][2:]
            if len(targets) > 1 and np.linalg.norm(targets[0] - at) < 0.15:
                targets.pop(0)
            observation, _, reached, _, _ = env.step(np.clip(4 * (targets[0] - at) - 3 * speed, -1, 1))
            if reached:
                break
        assert reached


def test_the_walls_are_told_to_pictures_and_drawn():
    env = gym.make("PointMassPanes-v0", render_mode="rgb_array")
    assert len(env.unwrapped.walls) == len(ROOM_MAP.walls) + 2
    env.reset(seed=0, options={"start": [6.5, 6.5], "goal": [6.5, 1.5]})
    frame = env.render()
    assert frame[frame.shape[0] - int(3 * frame.shape[0] / 8), int(3 * frame.shape[1] / 8)].max() < 120  # dark: a pane


@pytest.mark.parametrize(
    ("panes", "said"),
    [
        ([(3.0, 1.0, 7.0)], "from wall to wall"),
        ([(0.5, 1.0, 2.0)], "within the room"),
        ([(3.0, 4.0, 2.0)], "within the room"),
    ],
)
def test_panes_that_cannot_be_are_refused(panes, said):
    with pytest.raises(ValueError, match=said):
        PointMass(ROOM, 10, panes=panes)


def test_panes_among_walls_are_refused():
    with pytest.raises(ValueError, match="open room"):
        PanedMap(("#####", "#...#", "#.#.#", "#...#", "#####"), 1.0, [(1.5, 1.0, 2.0)])


def test_on_a_pane_nobody_can_start():
    env = PointMass(ROOM, 10, panes=PANES)
    with pytest.raises(ValueError, match="inside a wall"):
        env.reset(seed=0, options={"start": [3.0, 2.0]})
