"""A controller good enough to see goals reached, fitted to random walks, and the starts from which it is easy."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from .record import Array, Episode, Policy, finite_bounds
from .transitions import PARTS, goal_part


def steering(walks: list[Episode], space: spaces.Space[Any]) -> Policy | None:
    """A controller that heads for the goal, to see what the env does there. It need not arrive everywhere.

    The move of the achieved goal is fitted to [observation, action, 1] by least squares; the action is then the one
    that should bring 0.3 of the way left, at most the fastest move seen. None where the walks do not allow a fit.
    """
    if not isinstance(space, spaces.Box):
        return None
    features, moves = [], []
    for walk in walks:
        for before, step in zip(walk.observations, walk.steps, strict=False):
            state, old, new = goal_part(before, PARTS[0]), goal_part(before, PARTS[1]), goal_part(step.observation, PARTS[1])
            if state is None or old is None or new is None or old.shape != new.shape:
                return None
            features.append(np.concatenate([state, step.action.ravel(), [1.0]]))
            moves.append(new - old)
    if not features or len({row.size for row in features}) > 1 or len({row.size for row in moves}) > 1:
        return None
    if len(features) < 3 * features[0].size:
        return None
    weights = np.linalg.lstsq(np.array(features), np.array(moves), rcond=None)[0]
    fastest = float(np.linalg.norm(moves, axis=1).max())
    low, high = finite_bounds(space)
    num_actions = low.size
    of_action = weights[-1 - num_actions : -1]

    def policy(observation: Any, number: int) -> Array:
        state, place, goal = (goal_part(observation, name) for name in PARTS)
        if state is None or place is None or goal is None or place.shape != goal.shape:
            return low.astype(space.dtype)
        wanted = 0.3 * (goal - place)
        wanted *= fastest / max(float(np.linalg.norm(wanted)), fastest, 1e-12)
        drift = np.concatenate([state, np.zeros(num_actions), [1.0]]) @ weights
        push = np.linalg.lstsq(of_action.T, wanted - drift, rcond=None)[0].reshape(space.shape)
        return np.clip(push, low, high).astype(space.dtype)

    return policy


def nearest_to_goal(observations: list[Any]) -> list[int]:
    """The indices of the starts, the nearest to their goal first; the malformed left out."""
    pairs = [(goal_part(observation, PARTS[1]), goal_part(observation, PARTS[2])) for observation in observations]
    apart = {
        i: float(np.linalg.norm(a - d))
        for i, (a, d) in enumerate(pairs)
        if a is not None and d is not None and a.shape == d.shape
    }
    return sorted(apart, key=apart.__getitem__)
