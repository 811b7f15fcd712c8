import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

import thalweg.envs  # noqa: F401
from thalweg.agents.transitions.inverse_model import InverseModel
from thalweg.agents.transitions.learner import TransitionLearner, TransitionLearnerConfig
from thalweg.planner.energy.config import TransitionConfig
from thalweg.planner.planners.trajectory import TrajectoryPlannerConfig

TINY = TransitionLearnerConfig(
    random_steps=60,
    first_updates=5,
    update_every=40,
    updates=2,
    fresh_every=120,
    fresh_updates=5,
    transitions=TransitionConfig(hidden=8, layers=1, members=1),
    planner=TrajectoryPlannerConfig(restarts=1, perturbations=2, iterations=1, nodes=20, rounds=1),
)
CORNER = {"start": (-0.9, -0.9)}


def places_of(config, steps, seed=0):
    seen = []
    learner = TransitionLearner(gym.make("Particle-v0"), config, seed)
    learner.learn(steps, seen.append, CORNER)
    return learner, np.array(seen)


def test_the_inverse_model_finds_the_action():
    rng = np.random.default_rng(0)
    before, actions = rng.uniform(-1, 1, (2, 2_000, 2))
    model = InverseModel(-np.ones(2), np.ones(2), -np.ones(2), np.ones(2), seed=0)
    model.update(before, before + 0.05 * actions, actions, 600, seed=0)
    tried = [model.action(np.array([0.3, -0.2]), np.array([0.3, -0.2]) + 0.05 * action) for action in actions[:50]]
    assert np.abs(np.array(tried) - actions[:50]).max() < 0.2
    assert np.abs(model.action(np.zeros(2), np.ones(2))).max() <= 1.0


def test_moves_stay_measured_by_those_of_the_first_call():
    """Also where these are 1 long."""
    rng = np.random.default_rng(0)
    before, moved = rng.uniform(-1, 1, (50, 2)), rng.choice([-1.0, 1.0], (50, 2))
    model = InverseModel(-np.ones(2), np.ones(2), -np.ones(2), np.ones(2), seed=0)
    with pytest.raises(ValueError, match="call update"):
        model.action(np.zeros(2), np.ones(2))
    model.update(before, before + moved, moved, 1, seed=0)
    action = model.action(np.zeros(2), np.full(2, 0.5))
    model.update(before, before + 10 * moved, moved, 0, seed=0)
    assert np.array_equal(model.action(np.zeros(2), np.full(2, 0.5)), action)


def test_all_that_happens_is_kept_and_a_seed_fixes_it():
    learner, places = places_of(TINY, 200)
    assert np.array_equal(places, np.array(learner.after)) and len(learner.actions) == 200
    assert np.array_equal(places, places_of(TINY, 200)[1])
    assert not np.array_equal(places, places_of(TINY, 200, seed=1)[1])


def test_there_is_no_planner_before_the_first_update():
    with pytest.raises(ValueError, match="learn"):
        _ = TransitionLearner(gym.make("Particle-v0"), TINY, 0).planner


def test_unbounded_places_are_refused():
    env = gym.make("Particle-v0").unwrapped
    env.observation_space = spaces.Dict(achieved_goal=spaces.Box(-np.inf, np.inf, (2,)))
    with pytest.raises(ValueError, match="bounded"):
        TransitionLearner(env, TINY, 0)


@pytest.mark.parametrize(
    "settings", [{"updates": 0}, {"newest_share": 1.0}, {"random_share": 1.5}, {"transitions": TransitionConfig(stride=2)}]
)
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        TransitionLearnerConfig(**settings)


@pytest.mark.slow
def test_plans_see_more_of_the_maze_than_random_actions_do():
    """Seed 0, 2,000 env steps: places on a grid of 0.1; random actions alone see half as many."""
    cells = {}
    for name, share in (("plans", TransitionLearnerConfig().random_share), ("chance", 1.0)):
        _, places = places_of(TransitionLearnerConfig(random_share=share, fresh_updates=300, updates=40), 2_000)
        cells[name] = len(np.unique(np.floor(places * 10), axis=0))
    assert cells["plans"] > 1.5 * cells["chance"]
