"""A wall that is thin, and longer than the way round it is wide: x < 0 and x > 0.4 join only above y = 1."""

import numpy as np
import pytest
from straight import straight_experience

from planner.data import Trajectory
from planner.guide import Guide, GuideConfig, GuidedPolicy

GRID = np.stack(np.meshgrid(np.arange(-0.5, 0.91, 0.05), np.arange(0, 1.41, 0.05)), axis=-1).reshape(-1, 2).astype(np.float32)
OPEN = GRID[(GRID[:, 1] > 0.99) | (GRID[:, 0] < 0.01) | (GRID[:, 0] > 0.39)]


class RoundTheEnd:
    """Over (0.2, 1.1) from one side of the wall to the other."""

    def paired(self, states, goals):
        top = np.array([0.2, 1.1])
        straight = np.linalg.norm(states - goals, axis=1)
        round_it = np.linalg.norm(states - top, axis=1) + np.linalg.norm(goals - top, axis=1)
        return 20 * np.where((states[:, 0] > 0.2) == (goals[:, 0] > 0.2), straight, round_it)


@pytest.fixture
def guide():
    walks = [Trajectory(OPEN[i : i + 2], OPEN[i : i + 2]) for i in range(0, len(OPEN) - 1)]
    walks = [walk for walk in walks if np.linalg.norm(np.diff(walk.goals, axis=0)) < 0.06]
    fitted = Guide.fit(straight_experience(walks), GuideConfig(radius=6))
    return Guide(fitted.visited, fitted.states, fitted.places, RoundTheEnd(), fitted.reach)


def lead(guide, here, goal):
    here, goal = np.array([here], np.float32), np.array([goal], np.float32)
    return guide.lead(here, here, goal)[0]


def test_what_is_in_sight_is_headed_for(guide):
    here, there = np.array([[-0.3, 0.2], [-0.3, 1.2]]), np.array([[-0.1, 0.7], [0.6, 1.2]])
    assert guide.in_sight(here, there).tolist() == [True, True]
    assert np.array_equal(guide.lead(here, here, there), there.astype(np.float32))


def test_behind_a_wall_it_leads_along_it_and_round_its_end(guide):
    """Straight ahead would be against the wall for ever."""
    here, goal = np.array([0.0, 0.5]), np.array([0.5, 0.5])
    assert not guide.in_sight(here[None], goal[None])[0]
    trail = [here]
    for _ in range(14):
        trail.append(lead(guide, trail[-1], goal))
        assert guide.in_sight(trail[-2][None], trail[-1][None])[0]
        assert np.linalg.norm(trail[-1] - trail[-2]) <= guide.reach + 1e-6 or np.array_equal(trail[-1], goal.astype(np.float32))
    assert np.array_equal(trail[-1], goal.astype(np.float32)) and max(place[1] for place in trail) >= 0.99


def test_where_nothing_leads_nearer_the_subgoal_stays(guide):
    assert lead(guide, (5.0, 5.0), (0.5, 0.5)).tolist() == pytest.approx([0.5, 0.5])


def test_each_row_is_led_as_if_alone(guide):
    here = np.array([[0.0, 0.5], [-0.3, 0.2], [0.45, 0.3]], np.float32)
    goals = np.array([[0.5, 0.5], [-0.1, 0.7], [-0.2, 0.4]], np.float32)
    together = guide.lead(here, here, goals)
    assert np.array_equal(together, np.stack([lead(guide, *pair) for pair in zip(here, goals, strict=True)]))


class Straight:
    """Moves to the goal at once; keeps what else it is given."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        self.given = (observation["observation"], state, episode_start, deterministic)
        return observation["desired_goal"] - observation["achieved_goal"], "carried"


def test_a_guided_policy_heads_for_what_the_guide_leads_to(guide):
    """For one env and for many; the agent is given all else as it came."""
    agent = Straight()
    policy = GuidedPolicy(agent, guide)
    here = np.array([[0.0, 0.5], [-0.3, 0.2]], np.float32)
    goals = np.array([[0.5, 0.5], [-0.1, 0.7]], np.float32)
    observation = {"observation": here, "achieved_goal": here, "desired_goal": goals}
    led = guide.lead(here, here, goals)
    assert not np.array_equal(led[0], goals[0]) and np.array_equal(led[1], goals[1])
    fresh = np.array([True, False])
    actions, carried = policy.predict(observation, "before", fresh, deterministic=True)
    assert np.array_equal(actions, led - here) and carried == "carried"
    assert agent.given[0] is here and agent.given[1:] == ("before", fresh, True)
    single, _ = policy.predict({key: values[0] for key, values in observation.items()})
    assert single.shape == (2,) and np.array_equal(single, led[0] - here[0])


@pytest.mark.parametrize("bad", [{"radius": 0.0}, {"places": 0}])
def test_settings_that_could_never_work_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        GuideConfig(**bad)
