"""An agent whose goal is an angle: what counts as reached, what is near, and what its networks see."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.vec_env import DummyVecEnv
from turntable import TURN, SilentTurntable, Turntable, turned, wrapped

import thalweg
import thalweg.envs
from thalweg.agents.config import AgentConfig
from thalweg.agents.env_layout import periods_of, periods_said_by
from thalweg.agents.features.geodesic_prior import OneMapPrior
from thalweg.agents.features.goal_features import GoalFeatures
from thalweg.agents.replay.goal_tolerance import GoalTest
from thalweg.agents.replay.neighbours import NeighbourIndex
from thalweg.planner.energy.config import EnergyConfig
from thalweg.planner.errors import UsageError
from thalweg.planner.goal_space import GoalSpace

SPACE = GoalSpace(1, units=(0.1,), periods=(TURN,), origin=(-np.pi,))


class Lenient(Turntable):
    tolerance = 0.4


def column(*angles):
    return np.array(angles, np.float32)[:, None]


def test_no_goal_far_round_counts_as_reached_however_much_the_test_shrinks():
    """Four times a quarter turn is a whole one."""
    test = GoalTest(DummyVecEnv([Lenient]))
    test.space = SPACE
    rng = np.random.default_rng(0)
    goals, moves = rng.uniform(-np.pi, np.pi, (500, 1)), rng.uniform(-0.1, 0.1, (500, 1))
    test.fit(goals.astype(np.float32), moves.astype(np.float32), 1.0)
    assert 3.5 < test.scale < 4.6
    away = np.linspace(0.5, np.pi, 200)
    for side in (away, -away):
        assert (test.rewards(wrapped(goals[:200] + side[:, None]).astype(np.float32), goals[:200].astype(np.float32)) == -1).all()
    assert test.rewards(column(np.pi - 0.02), column(-np.pi + 0.02)).tolist() == [0.0]
    test.space = None
    assert (test.rewards(column(np.pi / 2 + 0.01), column(0.0)) == (-1.0 if test.scale < 3.9 else 0.0)).all()


def test_what_is_next_to_one_may_lie_beyond_the_seam():
    places = column(*np.linspace(-3.1, 3.1, 32))
    index = NeighbourIndex(places, np.zeros(32, np.int64), many_maps=False, space=SPACE)
    rows, known = index.one_next_to(np.repeat(column(np.pi), 500, axis=0), np.zeros(500, np.int64), np.random.default_rng(0))
    assert known.all() and set(rows.tolist()) == {0, 1, 2, 3, 28, 29, 30, 31}
    both = NeighbourIndex(places, np.arange(32) // 16, many_maps=True, space=SPACE)
    rows, _ = both.one_next_to(np.repeat(column(np.pi), 500, axis=0), np.ones(500, np.int64), np.random.default_rng(0))
    assert set(rows.tolist()) == {*range(24, 32)}  # beyond the seam lies the other map


def test_the_networks_see_the_short_way_round():
    box = spaces.Box(-np.pi, np.pi, (1,), np.float32)
    space = spaces.Dict(observation=spaces.Box(-4, 4, (3,), np.float32), achieved_goal=box, desired_goal=box)
    features = GoalFeatures(space, 0.98, 1)
    walks = turned(20)
    states, goals = (np.concatenate([getattr(walk, name) for walk in walks]) for name in ("states", "goals"))
    features.fit(states, goals, np.zeros((len(goals), 1)), np.full((len(goals), 1), 0.05), SPACE)
    here = {"observation": torch.zeros(2, 3), "achieved_goal": torch.tensor([[3.0], [0.0]])}
    seen = features({**here, "desired_goal": torch.tensor([[-3.0], [TURN - 6.0]])})
    assert torch.allclose(seen[0, 3:5], seen[1, 3:5], atol=1e-5) and seen[0, 3] > 0
    assert "metric.periods" in features.state_dict()


def test_the_prior_goes_over_the_seam_and_its_slope_too(monkeypatch):
    monkeypatch.setattr("thalweg.agents.features.geodesic_prior._TRAIN_STEPS", (600, 600))
    ways = OneMapPrior(1)
    ways.learn(turned(), 0, (TURN,))
    places, goals = torch.as_tensor(column(2.9, -2.9, 2.0)), torch.as_tensor(column(-2.9, 2.9, 2.8))
    told = ways.query(ways.code(torch.zeros(3, 3), places), ways.code_goals(goals))
    assert told.steps.tolist() == pytest.approx([5.1, 5.1, 8.4], rel=0.3)
    assert told.slope[0, 0] < 0 < told.slope[1, 0] and told.slope[2, 0] < 0


@pytest.mark.parametrize(("env", "expected"), [(Turntable, (TURN,)), (SilentTurntable, (0.0,))])
def test_an_env_says_what_wraps(env, expected):
    assert periods_of(DummyVecEnv([env])) == periods_said_by(env()) == expected
    assert periods_said_by(gym.make("PointMass-v0")) is None


def test_a_period_that_cannot_be_is_refused_before_a_training():
    class Odd(Turntable):
        goal_period = (1.0, 2.0)

    with pytest.raises(UsageError, match="goal_period must be a number or one for each of the 1 entries"):
        thalweg.train(Odd, steps=3_000, progress=False)


@pytest.mark.slow
def test_no_planner_is_slower_than_the_bare_agent(tmp_path, monkeypatch):
    """4,000 steps, and paths of few nodes: a circle needs no more."""
    monkeypatch.setattr("thalweg.planner.graph.stitched_paths._NODES", 200)
    settings = {"agent": AgentConfig(updates_per_step=0.4), "energy": EnergyConfig(train_steps=200), "tensorboard": False}
    run = thalweg.train(Turntable, steps=4_000, seed=0, out=tmp_path / "run", progress=False, **settings)
    assert run.data.space.periods == (TURN,) and thalweg.load(tmp_path / "run", Turntable).data.space == run.data.space
    planners = ["none", "replay", "energy", "visited", "roadmap"]
    table = thalweg.evaluate(run, planners=planners, seeds=range(50), episode_steps=120, progress=False)
    steps = {name: {row.seed: row.steps for row in table.rows if row.planner == name and row.success} for name in planners}
    assert len(steps["none"]) > 30
    for name in planners[1:]:
        both = steps["none"].keys() & steps[name].keys()
        assert len(steps[name]) >= len(steps["none"])
        assert np.mean([steps[name][seed] for seed in both]) <= 1.05 * np.mean([steps["none"][seed] for seed in both])
