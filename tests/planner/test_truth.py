"""What an env knows of its geometry, however it is wrapped."""

import numpy as np
from gymnasium.wrappers import TimeLimit

from thalweg.envs.loading import load_env
from thalweg.envs.particle import Particle
from thalweg.planner.truth import NOTHING_KNOWN, truth_of


def test_the_truth_is_found_under_wrappers_and_each_part_stands_alone():
    world = Particle()
    truth = truth_of(TimeLimit(world, 5))
    assert truth == truth_of(world)
    assert np.isclose(truth.shortest_length(np.zeros((1, 2)), np.full((1, 2), 0.03)), np.hypot(0.03, 0.03))

    class OnlySteps:
        def shortest_steps(self, states, goals):
            return np.zeros(len(states))

    known = truth_of(OnlySteps())
    assert known.shortest_length is None and known.shortest_route is None and known.shortest_steps is not None
    assert truth_of(object()) == NOTHING_KNOWN


def test_an_adapted_env_of_ours_knows_all_three():
    truth = truth_of(load_env("PointMassU-v0"))
    assert None not in (truth.shortest_length, truth.shortest_route, truth.shortest_steps)
