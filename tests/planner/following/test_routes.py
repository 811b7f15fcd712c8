"""Open cells, a wall that is thin and longer than the way round it is wide, and a corridor with a bend."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from straight import straight_experience

from thalweg.planner.data.coverage import Coverage
from thalweg.planner.data.trajectories import Trajectory, typical_turn
from thalweg.planner.following.routes import Route, RouteConfig, Routes
from thalweg.planner.following.subgoal_policy import SubgoalPolicy, SubgoalPolicyConfig
from thalweg.planner.plan import NoPathError, Plan

MOVE, TURN = 0.1, 3.75


def grid(*sides):
    axes = [np.arange(0, side + 1e-9, 0.02) for side in sides]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(sides))


SQUARE = grid(2, 2)
WALL = SQUARE[(abs(SQUARE[:, 0] - 1) > 0.1) | (SQUARE[:, 1] > 1.5)]  # x < 0.9 and x > 1.1 join only above y = 1.5
BEND = SQUARE[(SQUARE[:, 0] < 0.31) | (SQUARE[:, 1] < 0.31)]  # an L, 0.3 wide


def routes(places, **settings):
    found = Routes.over(Coverage(places), places, MOVE, TURN, RouteConfig(**settings))
    assert found is not None
    return found


def through(own, *places, steps=None):
    places = np.array(places, float)
    straight = np.linalg.norm(np.diff(places, axis=0), axis=1) / MOVE
    return own.through(places, straight if steps is None else np.array(steps, float))


def length(route):
    return np.linalg.norm(np.diff(route.points, axis=0), axis=1).sum()


OPEN = routes(SQUARE)


@given(st.tuples(*[st.floats(0.3, 1.7)] * 4).filter(lambda x: np.hypot(x[0] - x[2], x[1] - x[3]) > 0.1))
@settings(max_examples=60, deadline=None)
def test_in_the_open_a_route_is_hardly_longer_than_the_straight_line(ends):
    start, goal = np.array(ends[:2]), np.array(ends[2:])
    route = through(OPEN, start, goal)
    straight = np.linalg.norm(goal - start)
    assert straight - 1e-6 <= length(route) <= 1.005 * straight  # 1.028 over cells
    assert route.points[0] == pytest.approx(start, abs=1e-6) and route.points[-1] == pytest.approx(goal, abs=1e-6)
    gaps = np.linalg.norm(np.diff(route.points, axis=0), axis=1)
    assert gaps.max() <= 0.2 * MOVE + 1e-6  # chords of equal arcs


def test_behind_a_wall_it_leads_round_its_end_and_keeps_clear():
    own, hugging = routes(WALL), routes(WALL, weight=0)
    start, goal = (0.8, 0.8), (1.2, 0.8)
    route = through(own, start, goal, steps=[20])
    straight = through(hugging, start, goal, steps=[20])
    for each in (route, straight):
        assert Coverage(WALL).contains(each.points.astype(float), slack=3).all()
        assert each.points[:, 1].max() >= 1.46
    over_the_end = [each.points[abs(each.points[:, 0] - 1) < 0.03, 1].min() for each in (route, straight)]
    assert over_the_end[0] >= 1.54 > 1.5 > over_the_end[1] > 1.44, over_the_end  # visits tell of it to 0.06
    assert length(straight) < length(route) < 1.25 * length(straight)


def test_what_a_link_is_predicted_to_take_bounds_its_way():
    """Round the wall it is 16 steps or so; a link of 4 that was false leads nowhere."""
    own = routes(WALL)
    assert through(own, (0.8, 0.8), (1.2, 0.8), steps=[4]) is None
    assert through(own, (0.8, 0.8), (1.2, 0.8), steps=[16]) is not None


def test_in_a_corridor_it_keeps_to_the_middle_and_goes_by_way_of_the_plan():
    own = routes(BEND)
    route = through(own, (0.15, 1.9), (0.28, 1.0), (0.02, 0.02), (1.9, 0.15))
    along = route.points[(route.points[:, 0] > 0.6) & (route.points[:, 0] < 1.6)]
    assert (abs(along[:, 1] - 0.15) < 0.08).all()
    corner = np.linalg.norm(route.points - 0.31, axis=1).min()
    assert 0.03 <= corner <= 0.15
    assert route.marks.tolist() == sorted(route.marks) and len(route.marks) == 3 and route.marks[-1] == len(route.points) - 1
    assert route.points[route.marks[0]] == pytest.approx([0.15, 1.0], abs=0.1)


def test_a_plan_decides_which_way():
    """Round a block in the middle there are two ways; the plan's is taken though it is the longer one."""
    ring = SQUARE[(abs(SQUARE - 1).max(axis=1) > 0.5)]
    own = routes(ring)
    start, goal = (0.25, 0.8), (1.75, 0.8)
    under = through(own, start, (1.0, 0.25), goal, steps=[11, 11])
    over = through(own, start, (0.25, 1.75), (1.75, 1.75), goal)
    assert under.points[:, 1].max() < 0.9 and over.points[:, 1].max() > 1.5


def test_where_visits_do_not_join_start_and_goal_there_is_none():
    apart = SQUARE[abs(SQUARE[:, 0] - 1) > 0.3]
    own = routes(apart)
    assert through(own, (0.2, 1.0), (1.8, 1.0), steps=[1000]) is None
    assert through(own, (0.2, 1.0), (9.0, 1.0), steps=[1000]) is None
    assert through(own, (8.8, 1.0), (9.0, 1.0)) is None


def test_where_they_join_only_some_waypoints_it_leads_to_the_last_of_these():
    apart = SQUARE[abs(SQUARE[:, 0] - 1) > 0.3]
    route = through(routes(apart), (0.2, 1.0), (0.2, 1.5), (0.5, 1.5), (1.0, 1.0), (1.8, 1.0))
    assert not route.complete and route.points[-1] == pytest.approx([0.5, 1.5], abs=1e-6) and len(route.marks) == 2
    assert not route.is_over()
    for _ in range(30):
        route.follow(np.array(route.point_ahead()))
    assert route.is_over() and route.passed() == 2
    whole = through(OPEN, (0.2, 1.0), (0.5, 1.0))
    for _ in range(9):
        whole.follow(whole.point_ahead())
    assert whole.complete and whole.at == len(whole.points) - 1 and not whole.is_over() and whole.passed() == 0


def test_a_false_short_link_is_as_long_as_it_must_be():
    assert through(OPEN, (0.5, 0.5), (1.2, 0.5), steps=[1]) is not None


def test_start_and_goal_may_be_one_place():
    route = through(OPEN, (0.5, 0.5), (0.5, 0.5))
    assert route.point_ahead() == pytest.approx([0.5, 0.5], abs=1e-6) and route.passed() == 0


def test_a_line_of_places_has_routes_too():
    line = np.arange(0, 2, 0.02)[:, None]
    route = through(routes(line), (0.3,), (1.7,))
    assert route.points[:, 0].tolist() == sorted(route.points[:, 0].tolist()) and len(route.points) >= 70


def test_links_may_be_of_any_length():
    """inf is what distances say of what they know no way to."""
    assert through(OPEN, (0.2, 0.2), (1.8, 1.8), steps=[np.inf]) is not None


@pytest.mark.slow
def test_in_space_it_is_the_same():
    block = grid(0.6, 0.6, 0.6)
    column = block[np.hypot(block[:, 0] - 0.3, block[:, 1] - 0.3) > 0.12]
    route = through(routes(column, clearance=0.12), (0.05, 0.3, 0.1), (0.55, 0.3, 0.5), steps=[9])
    assert np.hypot(*(route.points[:, :2] - 0.3).T).min() > 0.1 and length(route) < 1.0


@pytest.mark.parametrize(
    ("places", "move"),
    [
        (np.random.default_rng(0).random((50, 4)), 0.1),  # too many entries
        (SQUARE, 0.001),  # 2,000 cells of a move along each side
        (SQUARE, 1e-9),
    ],
)
def test_where_squares_are_too_many_or_senseless_there_are_no_routes(places, move):
    assert Routes.over(Coverage(places), places, move, TURN, RouteConfig()) is None


def test_where_nothing_moves_there_are_none():
    still = np.zeros((5, 2), np.float32)
    assert Routes.fit(straight_experience([Trajectory(still, still)])) is None


def masses(push, turns_every=12, steps=200):
    """Of top speed 0.1 a step, pushed about at random by full pushes."""
    rng, walks = np.random.default_rng(0), []
    for _ in range(20):
        velocity, place, line = np.zeros(2), np.zeros(2), []
        for step in range(steps):
            if step % turns_every == 0:
                angle = rng.uniform(0, 2 * np.pi)
            velocity = velocity + push * np.array([np.cos(angle), np.sin(angle)])
            velocity *= min(1, 0.1 / np.linalg.norm(velocity))
            place = place + velocity
            line.append(place)
        walks.append(Trajectory(np.array(line, np.float32), np.array(line, np.float32)))
    return walks


@pytest.mark.parametrize(("push", "turns_every", "turn"), [(0.02, 12, 5.0), (0.01, 24, 10.0), (1.0, 4, 1.0)])
def test_how_slowly_a_mass_turns_is_seen_from_its_motion(push, turns_every, turn):
    """Up to full speed in 5 steps, in 10, and at once; the slower, the farther ahead and the clearer of walls."""
    walks = masses(push, turns_every)
    assert typical_turn(walks) == pytest.approx(turn, rel=0.1)
    found = Routes.over(Coverage(SQUARE), SQUARE, 0.1, turn, RouteConfig())
    assert found.look_ahead == max(0.7 * turn, 2.5)


def test_a_turn_of_what_never_moves_or_never_turns():
    still, line = np.zeros((5, 2)), np.arange(10.0).reshape(5, 2)
    with pytest.raises(ValueError, match="no trajectory moves"):
        typical_turn([Trajectory(still, still)])
    assert typical_turn([Trajectory(line, line)]) == 1.0
    assert typical_turn([Trajectory(line[:2], line[:2])]) == 1.0
    straight = (0.1 * np.arange(50, dtype=np.float32))[:, None]  # even, but for the rounding
    assert typical_turn([Trajectory(straight, straight)]) == 1.0


@pytest.mark.parametrize("bad", [{"clearance": 0.0}, {"weight": -1.0}, {"ahead": 0.0}, {"longer": 0.9}, {"wider": -1.0}])
def test_settings_that_could_never_work_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        RouteConfig(**bad)


def test_where_a_route_comes_back_to_where_it_was_nothing_is_skipped():
    """Down a hairpin: its end lies beside its start, but the way there is by its bend."""
    down = np.stack([np.zeros(51), np.arange(0, 1.001, 0.02)], axis=1)
    route = Route(np.vstack([down, down[::-1] + np.array([0.04, 0])]), np.array([101]), look_ahead=2.0)
    route.follow(np.array([0.03, 0.1]))
    assert route.at == 5 and route.point_ahead().tolist() == pytest.approx([0, 0.3])


def test_who_follows_a_route_never_goes_back():
    line = np.stack([np.arange(0, 1.001, 0.02), np.zeros(51)], axis=1)
    route = Route(line, np.array([20, 50]), look_ahead=2.0)
    assert route.point_ahead() == pytest.approx([0.2, 0]) and route.passed() == 0
    seen = []
    for x in (0.1, 0.25, 0.05, 0.25, 0.41, 0.3):
        route.follow(np.array([x, 0.03]))
        seen.append((route.at, route.passed(), route.progressed()))
    assert [at for at, *_ in seen] == [5, 12, 12, 12, 20, 20]  # never back
    assert [passed for _, passed, _ in seen] == [0, 0, 0, 0, 1, 1]
    assert [on for *_, on in seen] == [True, True, False, False, True, False]
    for x in np.arange(0.5, 1.2, 0.1):
        route.follow(np.array([x, 0.0]))
    assert route.point_ahead().tolist() == [1.0, 0.0] and route.passed() == 1


class Straight:
    def pairwise(self, states, goals):
        return np.linalg.norm(states[:, None] - goals, axis=-1) / MOVE

    def paired(self, states, goals):
        return np.linalg.norm(states - goals, axis=-1) / MOVE


class Walker:
    """A move a step towards the goal, but not into the wall of `WALL`; it can be held fast."""

    def __init__(self, held=False):
        self.held, self.subgoals = held, []

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        self.subgoals.append(observation["desired_goal"].copy())
        way = observation["desired_goal"] - observation["observation"]
        step = MOVE * way / np.maximum(np.linalg.norm(way, axis=-1, keepdims=True), MOVE)
        there = observation["observation"] + step
        into = (abs(there[..., :1] - 1) < 0.1) & (there[..., 1:] < 1.5)
        return np.where(into | self.held, 0.0, step), None


class OneLink:
    """A plan by way of a place behind the wall, which is a drive of 17 steps away."""

    def plan(self, state, goal, rng):
        waypoint = np.array([[1.3, 0.8]], np.float32)
        return Plan(waypoint, np.array([17.0, 3.0], np.float32), waypoint, np.zeros((0, 2), int))


CONFIG = SubgoalPolicyConfig(reach=16, direct=3, arrival=1)


def drive(policy, starts, goals, steps):
    here, state = np.array(starts, float), None
    trail = [here]
    for step in range(steps):
        observation = {"observation": here, "achieved_goal": here, "desired_goal": np.array(goals, float)}
        actions, state = policy.predict(observation, state, np.full(len(here), step == 0))
        here = here + actions
        trail.append(here)
    return np.array(trail), state


def policy(agent, own):
    return SubgoalPolicy(agent, OneLink(), Straight(), lambda s: s, CONFIG, own)


def test_an_agent_led_along_a_route_gets_round_a_wall_that_it_would_push_against():
    start, goal = [[0.8, 0.8]], [[1.6, 0.8]]
    trail, (pursuit,) = drive(policy(Walker(), routes(WALL)), start, goal, 26)
    assert trail[-1, 0] == pytest.approx(goal[0], abs=1e-5) and pursuit.replans == 0 and pursuit.current == 1
    assert pursuit.plan_ms and pursuit.failed_plans == 0
    trail, _ = drive(policy(Walker(), None), start, goal, 26)
    assert trail[:, 0, 0].max() < 0.9


def test_each_is_led_as_if_alone():
    starts, goals, own = [[0.8, 0.8], [0.5, 0.3], [0.3, 1.2]], [[1.6, 0.8], [1.7, 0.6], [1.4, 0.9]], routes(WALL)
    together, _ = drive(policy(Walker(), own), starts, goals, 12)
    for i in range(3):
        alone, _ = drive(policy(Walker(), own), starts[i : i + 1], goals[i : i + 1], 12)
        assert np.array_equal(alone[:, 0], together[:, i])


def test_who_does_not_get_on_along_a_route_is_shaken_and_then_plans_anew():
    agent = Walker(held=True)
    _, (pursuit,) = drive(policy(agent, routes(WALL)), [[0.8, 0.8]], [[1.6, 0.8]], 40)
    assert pursuit.replans >= 2
    first = [tuple(subgoal[0]) for subgoal in agent.subgoals[:18]]  # of 2 * 2 * direct + slack steps, half are late
    assert len(set(first[:6])) == 1 and len(set(first)) >= 5


class Nowhere:
    def plan(self, state, goal, rng):
        raise NoPathError("none")


def test_where_no_plan_is_found_the_agent_heads_for_the_goal_and_it_is_counted():
    agent = Walker()
    nowhere = SubgoalPolicy(agent, Nowhere(), Straight(), lambda s: s, CONFIG, routes(WALL))
    _, (pursuit,) = drive(nowhere, [[0.8, 0.8]], [[1.6, 0.8]], 30)
    assert pursuit.route is None and pursuit.failed_plans == pursuit.replans + 1 >= 2
    assert agent.subgoals[0][0].tolist() == pytest.approx([1.6, 0.8])


class HalfWay:
    """Sees no farther than 0.3 m: its last link is a guess."""

    def plan(self, state, goal, rng):
        up = min(state[1] + 0.3, 1.7)
        waypoint = np.array([[0.7, up]] if state[0] < 0.9 and up < 1.7 else [[1.3, 1.7]], np.float32)
        return Plan(waypoint, np.array([4.0, 3.0], np.float32), waypoint, np.zeros((0, 2), int))


def test_a_plan_that_leads_only_part_of_the_way_is_driven_and_then_made_anew():
    half = SubgoalPolicy(Walker(), HalfWay(), Straight(), lambda s: s, CONFIG, routes(WALL))
    trail, (pursuit,) = drive(half, [[0.7, 0.5]], [[1.6, 0.8]], 60)
    assert trail[-1, 0] == pytest.approx([1.6, 0.8], abs=1e-5) and pursuit.replans >= 2
