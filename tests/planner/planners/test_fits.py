"""Every planner is fitted alike: an experience, settings, progress."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from thalweg.planner.checks import check_planner
from thalweg.planner.energy.config import TransitionConfig
from thalweg.planner.planners import trajectory
from thalweg.planner.planners.oracle import OraclePlanner
from thalweg.planner.planners.roadmap import RoadmapPlanner
from thalweg.planner.planners.sampled_graph import GraphPlanner
from thalweg.planner.planners.trajectory import TrajectoryPlanner
from thalweg.planner.planners.visited import VisitedPlanner
from thalweg.planner.samplers.replay import ReplaySampler

PLANNERS = {
    "oracle": OraclePlanner.fit,
    "roadmap": RoadmapPlanner.fit,
    "sampled graph": lambda experience: GraphPlanner.fit(experience, sampler=ReplaySampler.fit(experience)),
    "trajectory": TrajectoryPlanner.fit,
    "visited": VisitedPlanner.fit,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANNERS)
def test_a_planner_that_is_fitted_keeps_its_promises(name, experience, monkeypatch):
    monkeypatch.setattr(trajectory, "TransitionConfig", lambda: TransitionConfig(hidden=16, layers=1, members=1, train_steps=20))
    world = SimpleNamespace(shortest_path=lambda start, goal: np.stack([start, goal]))
    check_planner(PLANNERS[name](replace(experience, world=world)), experience)


def test_links_are_as_long_as_the_agent_is_sure_of_and_nodes_as_many_as_asked_for(experience):
    sure = replace(experience, sure_edge=7.0)
    graph, roadmap = (planner.usual_config(sure, 30) for planner in (GraphPlanner, RoadmapPlanner))
    for config in (graph, roadmap):
        assert (config.stride, config.max_edge, config.num_nodes) == (7.0, 35.0, 30)
    assert VisitedPlanner.usual_config(sure, 30).stride == 7.0
    assert len(RoadmapPlanner.fit(sure, roadmap).nodes) == 30


@pytest.mark.parametrize("world", [None, SimpleNamespace(shortest_path=None)])
def test_an_env_that_does_not_know_its_paths_has_no_oracle(world, experience):
    with pytest.raises(ValueError, match="does not know its shortest paths: there is no oracle"):
        OraclePlanner.fit(replace(experience, world=world))
