"""A picture of the map within the state: how it is read, and what is told of maps by it."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from thalweg.envs.walls import WallMap
from thalweg.planner.data.trajectories import GoalEntries, Trajectory
from thalweg.planner.evaluation.audit import near_goals, predicted_goals
from thalweg.planner.graph.stitched_paths import paths_in_maps
from thalweg.planner.many_maps.layout import Layout, clearest, look_up
from thalweg.planner.many_maps.local_links import links_of_map
from thalweg.planner.many_maps.maps import maps_of
from thalweg.planner.planners.sampled_graph import GraphPlanner, GraphPlannerConfig

BOX = Layout((3, 2), (-1.0, 10.0), (5.0, 16.0))  # squares are 2 wide and 3 high
SHOWN = torch.tensor([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])
CENTRES = torch.tensor([[[0.0, 11.5], [0.0, 14.5]], [[2.0, 11.5], [2.0, 14.5]], [[4.0, 11.5], [4.0, 14.5]]])

# Layouts


def seen_at(*places):
    return look_up(SHOWN[None], BOX.within(torch.tensor([places])))[0]


def clearest_at(*places):
    return clearest(SHOWN.expand(len(places), 3, 2), BOX.within(torch.tensor(places)))


def test_the_corners_of_the_box_are_those_of_the_picture_last_axis_first():
    corners = torch.tensor([[-1.0, 10.0], [5.0, 16.0], [-1.0, 16.0], [2.0, 13.0]])
    assert BOX.within(corners).tolist() == [[-1, -1], [1, 1], [1, -1], [0, 0]]


def test_at_the_centres_of_squares_their_own_values_are_shown():
    assert torch.allclose(look_up(SHOWN[None], BOX.within(CENTRES.reshape(1, -1, 2)))[0], SHOWN.ravel(), atol=1e-6)
    assert torch.equal(clearest(SHOWN.expand(6, 3, 2), BOX.within(CENTRES.reshape(-1, 2))), SHOWN.ravel())


def test_between_centres_the_picture_is_bilinear_and_beyond_the_border_it_goes_on():
    assert torch.allclose(seen_at([1.0, 11.5], [0.0, 13.0], [1.0, 13.0]), torch.tensor([0.2, 0.15, 0.25]), atol=1e-6)
    assert torch.allclose(seen_at([-99.0, 11.5], [99.0, 99.0], [4.0, -99.0]), torch.tensor([0.1, 0.6, 0.5]), atol=1e-6)


def test_on_an_edge_the_clearer_of_both_sides_counts_whichever_side_rounding_is_on():
    for nudge in (0.0, 1e-6, -1e-6):
        assert clearest_at([1.0 + nudge, 11.5], [3.0 + nudge, 14.5]).tolist() == pytest.approx([0.1, 0.4])
        assert clearest_at([0.0, 13.0 + nudge], [4.0, 13.0 - nudge]).tolist() == pytest.approx([0.1, 0.5])
        assert clearest_at([1.0 + nudge, 13.0 - nudge]).tolist() == pytest.approx([0.1])  # a corner of four
    assert clearest_at([1.01, 11.5], [0.99, 11.5], [0.0, 13.01]).tolist() == pytest.approx([0.3, 0.1, 0.2])  # within


@given(picture=hnp.arrays(np.float32, (3, 2), elements=st.sampled_from([0.0, 0.25, 1.0])), seed=st.integers(0, 10_000))
def test_the_clearest_of_a_random_place_is_its_squares_value(picture, seed):
    places = np.random.default_rng(seed).uniform(BOX.low, BOX.high, (50, 2))
    at = (places - BOX.low) / (2.0, 3.0)
    inside = np.abs(at - at.round()).min(axis=1) > 1e-3
    x, y = np.floor(at[inside]).astype(int).T
    told = clearest(torch.as_tensor(picture).expand(50, 3, 2), BOX.within(torch.as_tensor(places, dtype=torch.float32)))
    assert np.array_equal(told.numpy()[inside], picture[x, y])


def test_each_picture_of_a_batch_is_looked_up_at_its_own_places():
    pictures, places = torch.stack([SHOWN, SHOWN + 10]), BOX.within(CENTRES[[0, 2], 1])
    assert torch.allclose(look_up(pictures, places[:, None])[:, 0], torch.tensor([0.2, 10.6]), atol=1e-6)
    assert torch.allclose(clearest(pictures, places), torch.tensor([0.2, 10.6]))


def states_of(pictures):
    """Two entries that differ from state to state, then the picture."""
    others = np.arange(2 * len(pictures), dtype=np.float32).reshape(-1, 2)
    return np.hstack([others, pictures.reshape(len(pictures), -1).astype(np.float32)])


def test_the_picture_is_the_states_end():
    states = states_of(np.arange(24).reshape(4, 3, 2))
    assert (BOX.size, BOX.square) == (6, 2.0)
    assert np.array_equal(BOX.pictures(states), np.arange(24).reshape(4, 3, 2))
    assert np.array_equal(BOX.pictures(states.reshape(2, 2, 8)), np.arange(24).reshape(2, 2, 3, 2))
    assert np.array_equal(BOX.pictures(states[1]), [[6, 7], [8, 9], [10, 11]])


@given(pictures=hnp.arrays(bool, st.tuples(st.integers(1, 12), st.just(3), st.just(2))))
def test_maps_have_one_key_if_they_are_the_same_and_two_if_not(pictures):
    keys = np.array(BOX.keys(states_of(pictures)), dtype=object)
    flat = pictures.reshape(len(pictures), -1)
    assert np.array_equal(keys[:, None] == keys, (flat[:, None] == flat).all(axis=2))


def test_trajectories_are_grouped_by_map_in_the_order_in_which_maps_appear():
    pictures = np.zeros((3, 3, 2))
    pictures[0], pictures[1, 2, 1] = 1, 1
    data = [Trajectory(states_of(pictures[[i, i]]), np.zeros((2, 2))) for i in (0, 2, 0, 1, 2)]
    groups = BOX.groups(data)
    assert [[data.index(trajectory) for trajectory in group] for group in groups] == [[0, 2], [1, 4], [3]]


def test_states_are_moved_to_the_map_of_another_and_nothing_else_of_them_changes():
    states, other = states_of(np.zeros((4, 3, 2))), states_of(np.ones((1, 3, 2)))[0]
    moved = BOX.moved_to(states, other)
    assert np.array_equal(moved[:, :2], states[:, :2]) and (moved[:, 2:] == 1).all()
    assert (states[:, 2:] == 0).all()  # the given ones stay
    assert BOX.moved_to(states[:0], other).shape == (0, 8)


@pytest.mark.parametrize(
    ("shape", "low", "high", "word"),
    [
        ((3,), (0, 0), (1, 1), "two axes"),
        ((3, 1), (0, 0), (1, 1), "at least 2 squares"),
        ((3, 2, 2), (0, 0), (1, 1), "two axes"),
        ((3, 2), (0, 1), (1, 1), "low below high"),
        ((3, 2), (0, 0, 0), (1, 1, 1), "two entries"),
        ((3, 2), (0, np.nan), (1, 1), "low below high"),
    ],
)
def test_a_layout_that_cannot_be_is_refused(shape, low, high, word):
    with pytest.raises(ValueError, match=word):
        Layout(shape, low, high)


# Maps, and ways through them

ROOMS = ("#######", "#..#..#", "#..#..#", "#..#..#", "#.....#", "#..#..#", "#######")  # two, with a door
HALLS = ("#######", "#.....#", "#.....#", "#.###.#", "#.###.#", "#.....#", "#######")
WORLDS = [WallMap(rows, 1.0) for rows in (ROOMS, HALLS)]
SQUARES = Layout((7, 7), (0.0, 0.0), (7.0, 7.0))
PLACE = GoalEntries((1, 2))  # a state is a clock, the place, and the picture
STEP = 0.1  # m


def state_in(world, place=(1.5, 1.5), clock=5.0):
    return np.concatenate([[clock], place, world.is_wall.ravel()]).astype(np.float32)


class Worlds:
    """The truth of each world, at `STEP` a step; inf into walls, and in worlds named closed."""

    def __init__(self, closed=()):
        self.closed = closed

    def paired(self, states, goals):
        steps = np.full(len(states), np.inf, dtype=np.float32)
        for world in WORLDS:
            here = (SQUARES.pictures(states) == world.is_wall).all(axis=(1, 2)) & world.is_free(goals)
            here &= world not in self.closed
            steps[here] = np.maximum(world.paths.length(PLACE(states[here]), goals[here]) / STEP, 1)
        return steps


class Slope:
    """As the crow flies, uphill (to a greater y) twice as dear; inf into walls: places are near across a wall."""

    def paired(self, states, goals):
        offsets = goals - PLACE(states)
        steps = np.linalg.norm(offsets, axis=1) / STEP * np.where(offsets[:, 1] > 0, 2, 1)
        return np.where(WORLDS[0].is_free(goals), np.maximum(steps, 1), np.inf).astype(np.float32)


def links(distance, world=WORLDS[0], longest=14.0, reach=1.2, seed=0):
    return links_of_map(state_in(world), distance, PLACE, SQUARES, longest, reach, np.random.default_rng(seed))


def test_the_places_of_a_map_are_spread_over_all_that_is_attainable():
    states, _ = links(Slope())
    assert WORLDS[0].is_free(PLACE(states)).all() and states.dtype == np.float32
    squares = np.unique(np.floor(PLACE(states)).astype(int), axis=0)
    assert np.array_equal(squares, np.argwhere(~WORLDS[0].is_wall))
    assert np.array_equal(states[:, [0, *range(3, 52)]], np.repeat(state_in(WORLDS[0])[None, [0, *range(3, 52)]], len(states), 0))
    assert len(states) == pytest.approx(2_000 * 21 / 49, rel=0.1)


def test_links_are_all_that_are_short_and_clear_half_way_and_no_others():
    states, steps = links(Slope())
    places, told = PLACE(states), steps.toarray()
    here, there = np.indices(told.shape).reshape(2, -1)
    apart = np.linalg.norm(places[here] - places[there], axis=1)
    wanted = Slope().paired(states[here], places[there])
    clear = WORLDS[0].is_free((places[here] + places[there]) / 2)
    within = (apart <= 1.2) & (here != there) & (wanted <= 14)
    sure = np.abs(apart - 1.2) > 1e-5
    assert np.allclose(told.ravel()[sure], np.where(within & clear, wanted, 0)[sure], rtol=1e-5)
    assert (within & ~clear).sum() > 100  # across the wall
    assert ((told > 0) & (told.T == 0)).sum() > 100  # down only: up is too long


def test_of_a_map_where_nothing_is_attainable_no_place_and_no_link_is_told():
    states, steps = links(Worlds(closed=WORLDS))
    assert states.shape == (0, 52) and steps.shape == (0, 0) and steps.nnz == 0


def walks_in(*worlds):
    """One short walk in each, of a `STEP` a step."""
    places = np.stack([np.linspace(1.2, 1.8, 7), np.full(7, 1.5)], axis=1).astype(np.float32)
    return [Trajectory(np.stack([state_in(world, place) for place in places]), places) for world in worlds]


@pytest.fixture(scope="module")
def ways():
    return paths_in_maps(walks_in(*WORLDS, WORLDS[0]), Worlds(), PLACE, SQUARES, np.random.default_rng(0))


def test_each_map_has_as_many_paths_and_each_path_its_own_map(ways):
    paths, pictures = ways
    assert paths.shape == (120, 129, 2) and pictures.shape == (120, 49) and paths.dtype == pictures.dtype == np.float32
    for world, part in zip(WORLDS, (slice(60), slice(60, 120)), strict=True):
        assert (pictures[part] == world.is_wall.ravel()).all()


def test_paths_lead_round_walls_of_their_own_map_by_nearly_the_shortest_way(ways):
    paths = ways[0].reshape(2, 60, 129, 2).astype(np.float64)
    corners = 0.12 * np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]])  # a link of 0.5 m may cut a corner by so much
    for world, other, own in zip(WORLDS, WORLDS[::-1], paths, strict=True):
        assert world.is_free(own[:, [0, -1]]).all()
        assert world.is_free(own[:, :, None] + corners).any(axis=2).all()
        assert not other.is_free(own[:, :, None] + corners).any(axis=2).all()  # so that it could tell
        taken = np.linalg.norm(np.diff(own, axis=1), axis=2).sum(axis=1)
        shortest = world.paths.length(own[:, 0], own[:, -1])
        assert (taken < 1.2 * shortest + 0.1).all() and (taken > 0.95 * shortest - 0.1).all()
        assert shortest.max() > 5 and np.ptp(own[:, 0], axis=0).min() > 3  # from all over the map, and far


def test_an_equal_rng_draws_equal_paths(ways):
    again = paths_in_maps(walks_in(*WORLDS, WORLDS[0]), Worlds(), PLACE, SQUARES, np.random.default_rng(0))
    assert np.array_equal(ways[0], again[0]) and np.array_equal(ways[1], again[1])


class OnASpot:
    """Only a few places are attainable, and all of them are near."""

    def paired(self, states, goals):
        return np.where(((goals > 1.5) & (goals < 1.8)).all(axis=1), np.float32(2), np.float32(np.inf))


def test_no_path_leads_from_a_place_to_itself():
    paths, _ = paths_in_maps(walks_in(*WORLDS), OnASpot(), PLACE, SQUARES, np.random.default_rng(0))
    assert len(np.unique(paths[:, 0], axis=0)) < 20  # or it could hardly be told
    assert (np.linalg.norm(paths[:, -1] - paths[:, 0], axis=1) > 0).all()


def test_a_map_without_links_is_left_out():
    paths, pictures = paths_in_maps(walks_in(*WORLDS), Worlds(closed=WORLDS[:1]), PLACE, SQUARES, np.random.default_rng(0))
    assert len(paths) == 60 and (pictures == WORLDS[1].is_wall.ravel()).all()


def test_without_a_link_in_any_map_it_is_said_what_to_do():
    with pytest.raises(ValueError, match=r"within 5\.0 env steps; train the agent longer"):
        paths_in_maps(walks_in(*WORLDS), Worlds(closed=WORLDS), PLACE, SQUARES, np.random.default_rng(0))


# Goals near a state, and plans, of its map


def walks_apart():
    """In the first world along y = 2.5, in the second along y = 3.2."""
    x = np.linspace(1.2, 5.8, 47)
    for world, y in zip(WORLDS, (2.5, 3.2), strict=True):
        places = np.stack([x, np.full(47, y)], axis=1).astype(np.float32)
        yield Trajectory(np.stack([state_in(world, place) for place in places]), places)


def test_where_nothing_visited_is_near_there_is_no_goal():
    walk, rng = list(walks_apart())[:1], np.random.default_rng(0)
    for truth in (None, lambda states, goals: np.linalg.norm(PLACE(states) - goals, axis=1) / STEP):
        choose = near_goals(walk, 12, truth)
        near, far = np.array([2.0, 2.55], np.float32), np.array([2.0, 5.5], np.float32)
        assert np.isfinite(choose(state_in(WORLDS[0], near), near, rng)[1])
        assert choose(state_in(WORLDS[0], far), far, rng)[1] == np.inf


def test_told_goals_are_as_far_off_as_the_distance_says_and_of_all_lengths():
    choose, rng = predicted_goals(Worlds(), SQUARES, 12), np.random.default_rng(0)
    state, wanted = state_in(WORLDS[0]), []
    for _ in range(200):
        goal, steps = choose(state, PLACE(state), rng)
        assert steps == Worlds().paired(state[None], goal[None])[0]
        wanted.append(steps)
    assert WORLDS[0].is_free(goal) and min(wanted) < 4 and np.quantile(wanted, 0.8) > 8


class OfOneMap:
    """Nodes as they were in the second world, whichever world the state is of."""

    def sample(self, state, goal, num_samples, rng):
        return np.stack([state_in(WORLDS[1], (2.0 + i, 1.5), clock=i) for i in range(num_samples)])


class Recording:
    def pairwise(self, states, goals):
        self.states = states
        return np.abs(PLACE(states)[:, None] - goals).sum(axis=2).astype(np.float32)


@pytest.mark.parametrize(("layout", "world"), [(SQUARES, 0), (None, 1)])
def test_nodes_of_a_plan_are_in_the_map_of_the_state_if_there_is_a_layout(layout, world):
    distance = Recording()
    planner = GraphPlanner(
        OfOneMap(), distance, PLACE, GraphPlannerConfig(num_nodes=3, stride=1.2, max_edge=1.2), maps=maps_of(layout)
    )
    plan = planner.plan(state_in(WORLDS[0], (1.0, 1.5)), np.array([5.0, 1.5], np.float32), np.random.default_rng(0))
    assert PLACE(plan.waypoints).tolist() == [[2.0, 1.5], [3.0, 1.5], [4.0, 1.5]]
    assert plan.waypoints[:, 0].tolist() == [0, 1, 2]
    for states in (plan.nodes, plan.waypoints, distance.states[1:]):
        assert (SQUARES.pictures(states) == WORLDS[world].is_wall).all()
    assert (SQUARES.pictures(distance.states[0]) == WORLDS[0].is_wall).all()
