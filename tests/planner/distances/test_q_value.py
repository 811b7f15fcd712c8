import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.planner.distances.q_value import QValueDistance, QValueDistanceConfig, measured_pace, q_to_steps


@given(steps=st.integers(1, 100), discount=st.floats(0.9, 0.995))
def test_the_return_of_d_steps_is_d_steps(steps, discount):
    rewards = [-1.0] * (steps - 1) + [0.0]
    q = sum(reward * discount**i for i, reward in enumerate(rewards))
    assert q_to_steps(np.array(q), discount, 150) == pytest.approx(steps, rel=1e-3)


def test_returns_out_of_range_are_capped():
    assert q_to_steps(np.array([0.5, -1e9]), 0.98, 60).tolist() == pytest.approx([1.0, 60.0])


def test_the_mean_return_counts_and_far_is_unreachable():
    def q_values(states, goals):  # two critics, as far to both sides of the return of d + 3 steps
        steps = np.abs(states - goals)[:, 0] + 4
        return -(1 - 0.98 ** (steps - 1)) / 0.02 + np.array([[-1.5], [1.5]])

    distance = QValueDistance(q_values, QValueDistanceConfig(discount=0.98, max_steps=50))
    steps = distance.pairwise(np.array([[0.0], [5.0]]), np.array([[0.0], [9.0], [80.0]]))
    assert np.allclose(steps, [[4, 13, np.inf], [9, 8, np.inf]], rtol=1e-4) and steps.dtype == np.float32


def test_the_agents_pace_is_that_of_its_drives():
    """Critics that expect a quarter too much, as they learn from one that sways, but for what they do not know."""
    rng = np.random.default_rng(0)
    taken = rng.uniform(4.0, 20.0, 500)
    states, goals = np.zeros((500, 1)), 1.25 * taken[:, None]

    def q_values(states, goals):
        return -(1 - 0.98 ** (np.abs(goals - states)[:, 0] - 1))[None] / 0.02

    expected = QValueDistance(q_values, QValueDistanceConfig(discount=0.98, max_steps=24)).paired(states, goals)
    assert np.isinf(expected).any()
    arrived = np.where(rng.random(500) < 0.9, taken, np.inf)
    pace = measured_pace(expected, arrived)
    assert pace == pytest.approx(0.8, rel=1e-3)
    paced = QValueDistance(q_values, QValueDistanceConfig(discount=0.98, max_steps=24, pace=pace))
    known = np.isfinite(expected)
    assert np.allclose(paced.paired(states, goals)[known], taken[known], rtol=1e-3)
    assert np.array_equal(np.isfinite(paced.paired(states, goals)), known)
    assert paced.paired(states[:1], states[:1]) == 1.0
    assert measured_pace(expected, np.full(500, np.inf)) == 1.0
    with pytest.raises(ValueError, match="pace"):
        QValueDistanceConfig(discount=0.98, pace=0.0)


@pytest.mark.parametrize("discount", [0.0, 1.0, 1.5])
def test_a_discount_outside_its_range_is_refused(discount):
    with pytest.raises(ValueError, match="discount"):
        q_to_steps(np.zeros(1), discount, 60)
    with pytest.raises(ValueError, match="discount"):
        QValueDistanceConfig(discount=discount)
