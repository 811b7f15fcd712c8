import numpy as np
import pytest
import torch
from straight import straight_experience

from planner.data import Trajectory
from planner.experience import Experience

torch.set_num_threads(1)  # ~15x faster on a busy 2-core machine


@pytest.fixture
def walk() -> list[Trajectory]:
    """Eight random walks in the unit square; a state is the place and a velocity, the goal is the place."""
    rng = np.random.default_rng(0)
    walks = []
    for _ in range(8):
        moves = rng.normal(0, 0.05, (200, 2))
        places = np.clip(rng.random(2) + moves.cumsum(axis=0), 0, 1).astype(np.float32)
        walks.append(Trajectory(np.hstack([places, moves.astype(np.float32)]), places))
    return walks


@pytest.fixture
def experience(walk) -> Experience:
    """The walks, and how far apart places are in a straight line."""
    return straight_experience(walk)
