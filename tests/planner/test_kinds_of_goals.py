"""Goals in mixed units are as goals in other ones; goals of 1 to 30 entries fit everywhere, or a line says why not."""

from dataclasses import replace

import numpy as np
import pytest
from straight import straight_experience

from thalweg.agents.features.geodesic_prior import OneMapPrior
from thalweg.agents.replay.neighbours import NeighbourIndex
from thalweg.planner.data.trajectories import Trajectory
from thalweg.planner.distances.euclidean import EuclideanDistance
from thalweg.planner.distances.joined import JoinedDistance
from thalweg.planner.distances.quasimetric import QuasimetricDistance, QuasimetricDistanceConfig
from thalweg.planner.energy.between import BetweenModel
from thalweg.planner.energy.config import EnergyConfig
from thalweg.planner.following.routes import Routes
from thalweg.planner.graph.visited_graph import visited_graph
from thalweg.planner.planners.roadmap import RoadmapConfig, RoadmapPlanner
from thalweg.planner.planners.visited import VisitedPlanner, VisitedPlannerConfig
from thalweg.planner.samplers.cvae_networks import Cvae, CvaeConfig

SMALL = QuasimetricDistanceConfig(hidden=16, waves=40, features=2, landmarks=16, marks=16, train_steps=60)
UNITS = np.array([200.0, 0.5], np.float32)  # pixels, radians: of two kinds, before and after


def walks(size, count=40, length=40, seed=0, side=1.0):
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        goals = (rng.uniform(0, side, size) + np.cumsum(rng.uniform(-0.05, 0.05, (length, size)), axis=0)).astype(np.float32)
        found.append(Trajectory(goals, goals))
    return found


def in_units(units):
    return straight_experience([Trajectory(walk.goals * units, walk.goals * units) for walk in walks(2)])


def test_mixed_units_are_as_rescaled_ones():
    """By a power of two, so that nothing is rounded on the way."""
    factor = np.array([8.0, 1.0], np.float32)
    mixed, rescaled = in_units(UNITS), in_units(UNITS * factor)
    assert mixed.space.units[0] / mixed.space.units[1] == pytest.approx(400, rel=0.05)
    assert rescaled.space.units == pytest.approx(np.array(mixed.space.units) * factor)
    graphs = [visited_graph(own.trajectories, own.space) for own in (mixed, rescaled)]
    assert np.array_equal(graphs[0].indices, graphs[1].indices) and np.allclose(graphs[0].data, graphs[1].data, rtol=1e-5)
    asked, none = mixed.goals[:200] + UNITS * np.float32(0.01), np.zeros(200, np.int64)
    rows = [
        NeighbourIndex(own.goals, np.zeros(len(own.goals), np.int64), False, own.space).one_next_to(
            asked * scale, none, np.random.default_rng(0)
        )[0]
        for own, scale in ((mixed, 1), (rescaled, factor))
    ]
    assert np.array_equal(*rows)
    steps = [QuasimetricDistance.fit(own, SMALL).paired(own.states[:300], own.goals[300:600]) for own in (mixed, rescaled)]
    assert np.allclose(*steps, rtol=0.05, atol=0.2)


def test_in_mixed_units_every_entry_counts():
    """Raw, the angle would be worth a four-hundredth of the pixels."""
    own = in_units(UNITS)
    here = own.goals[:1]
    along, across = (own.space.gap(here, here + np.float32(0.5) * UNITS * np.eye(2, dtype=np.float32)[entry]) for entry in (0, 1))
    assert along == pytest.approx(across, rel=0.1)
    routes = Routes.fit(own)
    assert routes is not None
    path = routes.through(np.array([[0.3, 0.3], [0.7, 0.7]]) * UNITS, np.array([20.0]))
    assert path is not None and np.allclose(path.points[[0, -1]], np.array([[0.3, 0.3], [0.7, 0.7]]) * UNITS, rtol=1e-4)
    path.follow(np.array([0.31, 0.31]) * UNITS)
    assert 0 < path.at < 16


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 12, 30])
def test_goals_of_any_number_of_entries_fit(size):
    own = straight_experience(walks(size, side=0.1 if size > 2 else 1.0))  # few cells, of which routes are made
    own = replace(own, distance=EuclideanDistance.fit(own))
    assert own.space.is_plain and own.space.size == size
    learnt = QuasimetricDistance.fit(own, SMALL)
    for distance in (EuclideanDistance.fit(own), learnt, JoinedDistance.fit(own)):
        assert not np.isnan(distance.pairwise(own.states[:5], own.goals[5:10])).any()
    rng, some = np.random.default_rng(0), own.goals[:40]
    config = RoadmapConfig(stride=4, max_edge=1e4, num_nodes=30)
    assert RoadmapPlanner.fit(own, config).plan(own.states[0], own.goals[-1], rng).total_steps >= 1
    assert VisitedPlanner.fit(own, VisitedPlannerConfig(stride=4)).plan(own.states[0], own.goals[20], rng).total_steps > 1
    paths = np.linspace(some[:20], some[20:], 9, axis=1)
    between = EnergyConfig(train_steps=3, hidden=16, num_negatives=8, batch_size=16)
    model = BetweenModel.fit(paths, np.ones(20, np.float32), own.goals, between, 0, space=own.space)
    assert np.isfinite(model.energies(some, some[0], some[1], np.array([0.5]))).all()
    Cvae(size, CvaeConfig(hidden=8)).fit(own.goals, own.space)
    prior = OneMapPrior(size)
    assert (Routes.fit(own) is not None) == own.space.has_cells
    told = [line for line in own.space.limits() if "cells" in line or "local view" in line]
    assert len(told) == (not own.space.has_cells) + (prior.surroundings is None)
