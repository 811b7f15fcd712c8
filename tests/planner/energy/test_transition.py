import numpy as np
import pytest
import torch

from thalweg.planner.energy.config import TransitionConfig
from thalweg.planner.energy.transition import TransitionEnergy, transitions_of
from thalweg.planner.fitting import DivergedError
from thalweg.planner.planners.sequence_optimisation import line_costs

TINY = TransitionConfig(hidden=8, layers=1, train_steps=3, batch_size=16)
EXACT = TransitionConfig(members=1, layers=2, octaves=2, train_steps=1_000, noise=0.0, blur=0.0)


def pairs(before, moved):
    """(N, D), (N, D) -> trajectories of one step each"""
    return list(np.stack([before, before + moved], axis=1).astype(np.float32))


@pytest.fixture(scope="module")
def walk():
    """Steps on a line that drift and spread more on its right than on its left: normal, 0.02 +- 0.03 against -0.01 +- 0.06."""
    rng = np.random.default_rng(0)
    before = rng.random((20_000, 1))
    right = before > 0.5
    moved = np.where(right, rng.normal(-0.01, 0.06, before.shape), rng.normal(0.02, 0.03, before.shape))
    return TransitionEnergy.fit(pairs(before, moved), EXACT, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize(("place", "mean", "deviation"), [(0.2, 0.02, 0.03), (0.8, -0.01, 0.06)])
def test_energies_are_minus_log_p(walk, place, mean, deviation):
    """With no constant left to choose: between the places, too. Within 0.25 nats over two standard deviations each way."""
    moved = mean + deviation * np.linspace(-2, 2, 9)[:, None]
    true = 0.5 * ((moved[:, 0] - mean) / deviation) ** 2 + np.log(deviation * np.sqrt(2 * np.pi) / float(walk.width))
    learned = walk.energies(np.full_like(moved, place), place + moved)
    assert np.abs(learned - true).max() < 0.25


@pytest.mark.slow
def test_no_step_leads_through_a_wall_that_stopped_all():
    rng = np.random.default_rng(0)
    before = rng.random((10_000, 1))
    wall = np.where(before < 0.5, 0.0, 0.55), np.where(before < 0.5, 0.5, 1.0)
    before = np.clip(before, *wall)
    after = np.clip(before + rng.uniform(-0.05, 0.05, before.shape), *wall)
    config = TransitionConfig(members=1, octaves=4, train_steps=1_000)
    energy = TransitionEnergy.fit(pairs(before, after - before), config, seed=0)
    into = energy.energies(np.array([[0.48], [0.49], [0.57]]), np.array([[0.525], [0.53], [0.53]]))
    along = energy.energies(np.array([[0.2], [0.44], [0.7]]), np.array([[0.24], [0.48], [0.66]]))
    assert into.min() > along.max() + 2 and (energy.tries(along) < 2).all() and (energy.tries(into) > 5).all()


def test_a_kernel_is_normal_about_the_place():
    model = TransitionEnergy(2, TINY)
    model.width.copy_(torch.tensor([0.1, 0.2]))
    log_density = model.log_kernel(torch.zeros(2), torch.tensor([0.1, -0.4]))
    assert float(log_density) == pytest.approx(-0.5 - 2.0 - np.log(2 * np.pi))


def test_nothing_is_pretended_near_visited_places():
    before = np.random.default_rng(0).random((2_000, 2)).astype(np.float32) * [0.5, 1.0]
    energy = TransitionEnergy.fit(pairs(before, np.full_like(before, 0.02)), TINY, 0, bounds=(np.zeros(2), np.ones(2)))
    unseen = energy.unseen_places(before, 500, np.random.default_rng(0))
    assert 200 < len(unseen) < 280 and unseen[:, 0].min() > 0.5


def test_what_mostly_rests_has_a_pace_of_its_moves():
    """An object that is moved now and then: a tenth of the transitions, 0.5 to the right each."""
    before = np.random.default_rng(0).random((500, 2))
    moved = np.where(np.arange(500)[:, None] % 10 == 0, [0.5, 0.0], 0.0)
    energy = TransitionEnergy.fit(pairs(before, moved), TINY, 0)
    assert float(energy.pace) == pytest.approx(0.5 / float(energy.width[0]), rel=1e-5)
    ends = np.zeros((1, 2), np.float32), np.array([[1.0, 0.0]], np.float32)
    assert np.isfinite(line_costs(energy, *ends)).all()


def test_strides_pair_places_so_many_steps_apart():
    before, after = transitions_of([np.arange(5.0)[:, None], np.arange(10.0, 12.0)[:, None]], stride=3)
    assert before[:, 0].tolist() == [0, 1] and after[:, 0].tolist() == [3, 4]


def test_a_seed_fixes_the_fit_and_an_update_changes_it():
    steps = pairs(np.random.default_rng(0).random((50, 2)), np.random.default_rng(1).normal(0, 0.1, (50, 2)))
    one, same, other = (TransitionEnergy.fit(steps, TINY, seed) for seed in (0, 0, 1))
    ends = np.zeros((1, 2)), np.full((1, 2), 0.1)
    assert one.energies(*ends) == same.energies(*ends) != other.energies(*ends)
    one.update(*transitions_of(steps, 1), train_steps=3, seed=5)
    assert one.energies(*ends) != same.energies(*ends)


def test_a_loss_that_diverges_leaves_the_parameters():
    steps = pairs(np.random.default_rng(0).random((50, 2)), np.full((50, 2), 0.1))
    energy = TransitionEnergy.fit(steps, TINY, 0)
    with torch.no_grad():
        next(energy.parameters()).fill_(1e38)
    before = {name: values.clone() for name, values in energy.state_dict().items()}
    with pytest.raises(DivergedError, match="step 0") as caught:
        energy.update(*transitions_of(steps, 1), train_steps=3, seed=0)
    assert caught.value.model is energy
    assert all(torch.equal(values, before[name]) for name, values in energy.state_dict().items())


def test_a_stored_one_says_the_same():
    energy = TransitionEnergy.fit(pairs(np.random.default_rng(0).random((50, 2)), np.full((50, 2), 0.1)), TINY, 0)
    again = TransitionEnergy.from_state(*energy.state())
    ends = np.random.default_rng(1).random((2, 9, 2))
    assert np.array_equal(energy.energies(*ends), again.energies(*ends))
    assert (again.usual, again.limit, again.config) == (energy.usual, energy.limit, energy.config)


@pytest.mark.parametrize(
    ("trajectories", "word"),
    [([np.zeros((1, 2))], "no trajectory"), ([np.zeros((3, 2))], "moves"), ([np.array([[0.0], [np.nan]])], "finite")],
)
def test_data_that_teach_nothing_are_refused(trajectories, word):
    with pytest.raises(ValueError, match=word):
        TransitionEnergy.fit(trajectories, TINY, 0)


@pytest.mark.parametrize("settings", [{"stride": 0}, {"unseen": 1.0}, {"learning_rate": 0.0}, {"ordinary": 0.99}])
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        TransitionConfig(**settings)
