import json

import numpy as np
import pytest
import torch

from thalweg.planner.energy.config import TransitionConfig
from thalweg.planner.energy.transition import TransitionEnergy
from thalweg.planner.networks.stored import OtherVersionError
from thalweg.planner.plan import NoPathError
from thalweg.planner.planners.trajectory import TrajectoryPlanner, TrajectoryPlannerConfig

QUICK = TransitionConfig(hidden=16, layers=1, members=1, train_steps=50)
START, GOAL = np.array([0.1, 0.5]), np.array([0.9, 0.5])


class Walled(TransitionEnergy):
    """Known: steps longer than 0.05 are dear, and those into a wall, x in [0.46, 0.54] and y in [low, high]."""

    def __init__(self, low=0.0, high=0.0):
        super().__init__(2, TransitionConfig())
        self.from_y, self.to_y = low, high
        self.low.fill_(0.0), self.high.fill_(1.0), self.width.fill_(0.04)
        self.pace.fill_(1.0), self.usual.fill_(0.0), self.limit.fill_(1.0)

    def forward(self, before, after):
        length = (after - before).norm(dim=-1)
        inside = ((after[..., 0] - 0.5).abs() < 0.04) & (after[..., 1] > self.from_y) & (after[..., 1] < self.to_y)
        return 100 * (length - 0.05).clamp_min(0) + (length / 0.05).square() / 2 + 10.0 * inside


def plan_with(energy, **settings):
    visited = np.random.default_rng(0).random((2_000, 2)).astype(np.float32)
    return TrajectoryPlanner(energy, visited, lambda x: x, lambda x: x, TrajectoryPlannerConfig(**settings))


def whole(plan):
    return np.vstack([START, plan.waypoints, GOAL])


def length(places):
    return np.linalg.norm(np.diff(places, axis=0), axis=1).sum()


def test_the_way_across_an_open_plane_is_straight():
    plan = plan_with(Walled()).plan(START, GOAL, np.random.default_rng(0))
    assert length(whole(plan)) < 1.03 * 0.8 and np.abs(plan.waypoints[:, 1] - 0.5).max() < 0.05
    assert plan.waypoints.dtype == np.float32 and len(plan.edge_steps) == len(plan.edges) == len(plan.waypoints) + 1
    assert len(plan.waypoints) < 1.3 * 0.8 / 0.04


def test_it_goes_round_a_wall():
    """0.81 units straight ahead, 1.13 round the upper end."""
    plan = plan_with(Walled(0.0, 0.9)).plan(START, GOAL, np.random.default_rng(0))
    crossing = plan.waypoints[np.abs(plan.waypoints[:, 0] - 0.5) < 0.05]
    assert len(crossing) and crossing[:, 1].min() > 0.8
    assert length(whole(plan)) < 1.15 * 2 * np.hypot(0.4, 0.4)


def test_straight_lines_alone_do_not_get_round_it():
    """What the roadmap is for."""
    best = plan_with(Walled(0.0, 0.9), nodes=0).best_sequence(START, GOAL, np.random.default_rng(0))
    assert not best.is_possible


def test_no_path_is_said_when_walled_in():
    with pytest.raises(NoPathError, match="nats above"):
        plan_with(Walled(-1.0, 2.0)).plan(START, GOAL, np.random.default_rng(0))


@pytest.mark.parametrize("rounds", [1, 3])
def test_so_many_horizons_are_tried_and_no_more(rounds, monkeypatch):
    """Work bounds a search, not time: how busy the machine is does not bear on the plan."""
    horizons, optimise = [], TrajectoryPlanner._optimise

    def counted(self, guesses, horizon, rng):
        horizons.append(horizon)
        return optimise(self, guesses, horizon, rng)

    monkeypatch.setattr(TrajectoryPlanner, "_optimise", counted)
    plan_with(Walled(-1.0, 2.0), rounds=rounds, iterations=1).best_sequence(START, GOAL, np.random.default_rng(0))
    assert len(horizons) == rounds and horizons == sorted(set(horizons))


def test_the_same_rng_gives_the_same_plan():
    planner = plan_with(Walled(0.0, 0.9))
    one, same, other = (planner.plan(START, GOAL, np.random.default_rng(seed)).waypoints for seed in (0, 0, 1))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


def test_a_start_at_the_goal_is_no_trouble():
    plan = plan_with(Walled()).plan(START, START, np.random.default_rng(0))
    assert np.abs(plan.waypoints - START).max() < 0.1


def test_a_planner_is_fitted_to_a_run(experience, walk):
    seen = []
    planner = TrajectoryPlanner.fit(experience, TrajectoryPlannerConfig(), lambda step, loss: seen.append(step), QUICK)
    state, goal = walk[0].states[3], walk[0].goals[150]
    plan = planner.plan(state, goal, np.random.default_rng(0))
    assert len(seen) == QUICK.train_steps and plan.waypoints.shape[1] == 4
    assert (plan.edge_steps == 2).all()  # half of the links of which it is sure


def test_a_stored_planner_plans_the_same(experience, walk):
    planner = TrajectoryPlanner.fit(experience, TrajectoryPlannerConfig(restarts=2, iterations=3), transitions=QUICK)
    tensors, settings = planner.state()
    again = TrajectoryPlanner.from_state(tensors, json.loads(json.dumps(settings)), experience)
    ends = walk[0].goals[3], walk[0].goals[150]
    one, other = (own.best_sequence(*ends, np.random.default_rng(0)) for own in (planner, again))
    assert np.array_equal(one.places, other.places) and again.config == planner.config
    with pytest.raises(OtherVersionError, match="its transition energy is of another version"):
        TrajectoryPlanner.from_state(tensors, {**settings, "transitions": {**settings["transitions"], "hidden": 17}}, experience)


@pytest.mark.parametrize("settings", [{"restarts": 0}, {"nodes": -1}, {"noise": 0.0}, {"growth": 0.5}, {"rounds": 0}])
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        TrajectoryPlannerConfig(**settings)


def test_torch_is_left_alone():
    """Plans draw from the rng that they are given."""
    planner, state = plan_with(Walled()), torch.get_rng_state()
    planner.plan(START, GOAL, np.random.default_rng(0))
    assert torch.equal(state, torch.get_rng_state())
