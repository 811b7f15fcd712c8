"""Embeddings of stored places that are kept are those that would be worked out afresh."""

import numpy as np
import pytest
import torch

import thalweg.envs  # noqa: F401
from thalweg.agents.config import AgentConfig
from thalweg.agents.features import embedding_cache as place_codes
from thalweg.agents.replay.batch import Inputs
from thalweg.agents.sac.sac import GoalSAC
from thalweg.agents.vec_env import BatchVecEnv
from thalweg.envs.loading import load_batch

pytestmark = pytest.mark.usefixtures("quick_ways")

CONFIG = AgentConfig(num_envs=4, warmup_steps=100, hidden=(8, 8), batch_size=64)
MAZES = {"size": 3, "loops": 1, "mazes": 3}


def trained(env="PointMass-v0", steps=160, room=192, **env_kwargs):
    """With room for one step of all envs more."""
    model = GoalSAC(env=BatchVecEnv(load_batch(env, 4, **env_kwargs)), config=CONFIG, total_steps=room, seed=0)
    return model.learn(steps)


@pytest.fixture(scope="module")
def model():
    return trained()


def updated(model, size):
    """A batch for which the model's codes are ready."""
    batch = model.replay_buffer.sample(size)
    model._codes.update(batch)
    return batch


def check(model, batch):
    """Kept codes against fresh ones, of places before, places after, and goals, whether achieved or not."""
    ways = model.actor.features_extractor.ways
    codes, goals = model._codes.of(next(Inputs.of(batch)))
    for kept, observations in zip(codes, (batch.observations, batch.next_observations), strict=True):
        fresh = ways.code(observations["observation"], observations["achieved_goal"])
        assert torch.allclose(kept, fresh, rtol=1e-4, atol=1e-4)
    assert torch.allclose(goals, ways.code_goals(batch.observations["desired_goal"]), rtol=1e-4, atol=1e-4)
    assert codes.std() > 0


def test_kept_codes_are_the_fresh_ones(model, monkeypatch):
    monkeypatch.setattr(place_codes, "_AT_ONCE", 64)
    model._codes.forget()
    batch = model.replay_buffer.sample(500)
    model._codes.update(batch)
    assert 0 < len(batch.goal_places) < 500
    check(model, batch)


@pytest.mark.parametrize("make", [trained, lambda: trained("PointMassMazes-v0", **MAZES)])
def test_features_of_an_update_are_those_of_acting(make):
    """In many maps no codes are kept: there is nothing in them that would have to be worked out."""
    model = make()
    batch = model.replay_buffer.sample(200)
    extractor = model.actor.features_extractor
    inputs = next(Inputs.of(batch))
    model._codes.update(batch)
    told = extractor.ways.query(*model._codes.of(inputs))
    features = extractor.of(inputs.states, inputs.achieved, inputs.desired, told)
    for mine, observations in zip(features, (batch.observations, batch.next_observations), strict=True):
        assert torch.allclose(mine, extractor(observations), rtol=1e-4, atol=1e-4)


def test_places_that_came_in_since_are_coded():
    """Up to the buffer's end, and again from its beginning, where old steps are overwritten."""
    model = trained(steps=160, room=192)
    for steps in (16, 16, 48):
        model.learn(steps, reset_num_timesteps=False)
        check(model, updated(model, 1_000))
    assert model.replay_buffer.full and model.replay_buffer.pos == 8


def test_a_buffer_that_was_filled_anew_between_two_updates_is_coded_anew():
    """As many steps as there is room for: its position is what it was."""
    model = trained(steps=160, room=64)
    updated(model, 1_000)
    position, model.learning_starts = model.replay_buffer.pos, 1_000  # in warm-up there are no updates
    model.learn(80)
    assert model.replay_buffer.pos == position
    check(model, updated(model, 1_000))


@pytest.mark.slow
@pytest.mark.parametrize(("since", "expected"), [(60, []), (58, [6, 7]), (45, [*range(45, 52), *range(8)]), (0, None)])
def test_places_since_are_those_of_the_steps_added_since(since, expected):
    """60 steps of 4 envs in a room of 52."""
    model = trained(steps=160, room=192).learn(80, reset_num_timesteps=False)
    buffer = model.replay_buffer
    assert buffer.num_added == 60
    places = buffer.places_since(since).reshape(-1, 4)
    steps = expected if expected is not None else [*range(8, 52), *range(8)]
    assert places.tolist() == [[4 * step + env for env in range(4)] for step in steps]


@pytest.mark.parametrize("change", ["parameters", "statistics"])
def test_all_places_are_coded_anew_when_the_ways_change(change):
    model = trained()
    batch = updated(model, 100)
    ways, parameters = model.actor.features_extractor.ways, model.get_parameters()
    codes = model._codes.of(next(Inputs.of(batch)))[0].clone()
    if change == "parameters":
        parameters["policy"] = {name: 1.1 * values for name, values in parameters["policy"].items()}
        model.set_parameters(parameters)
    else:
        ways.quasimetric.waves.range *= 1.1
    model._codes.update(batch)
    assert not torch.allclose(model._codes.of(next(Inputs.of(batch)))[0], codes)
    check(model, batch)


def test_each_place_is_coded_once_whoever_needs_it_first(monkeypatch):
    """Where a step ends the next begins; and the agent, who acts there, asks before the buffer holds either."""
    model, calls = trained(room=400), []
    ways = model.actor.features_extractor.ways
    code = type(ways).code
    monkeypatch.setattr(type(ways), "code", lambda self, *parts: calls.append(len(parts[0])) or code(self, *parts))
    monkeypatch.setattr(model, "_fit_prior", lambda: None)

    def once():
        last = model.replay_buffer.last_step[: model.num_timesteps // 4]
        return model.num_timesteps + len(np.unique(last * 4 + np.arange(4)))  # and where an episode has ended, or goes on from

    model.begin_episodes(0)  # what follows must not depend on when it was coded
    batch = updated(model, 1_000)
    model._codes.update(batch)
    assert sum(calls) == once() == 160 + 4
    for steps in (4, 200):
        model.learn(steps, reset_num_timesteps=False)
        check(model, updated(model, 1_000))
        calls.pop()  # what `check` asked for ...
        calls.pop()  # ... before and after the step
        assert sum(calls) == once()
    assert once() > model.num_timesteps + 4 and max(calls[2:]) <= 8


def test_a_step_that_was_begun_and_not_stored_leaves_no_goal_behind():
    """A callback may stop the training there; when it goes on, another goal may be pursued from the same place."""
    model = trained(room=400)
    ways, here = model.actor.features_extractor.ways, model._last_obs
    for shift in (0.0, 0.7):
        goals = here["desired_goal"] + np.float32(shift)
        codes, goal_codes = model._codes.now({**here, "desired_goal": goals})
        assert torch.allclose(goal_codes, ways.code_goals(torch.as_tensor(goals)), rtol=1e-4, atol=1e-4)
        places = torch.as_tensor(here["observation"]), torch.as_tensor(here["achieved_goal"])
        assert torch.allclose(codes, ways.code(*places), rtol=1e-4, atol=1e-4)


def test_numbers_of_places_are_those_of_their_states_and_goals(model):
    buffer = model.replay_buffer
    steps, others = np.divmod(np.arange(160), 4)
    for after, stored in ((0, buffer.observations), (buffer.num_places, buffer.next_observations)):
        numbers = np.arange(160) + after
        assert np.array_equal(buffer.states_at(numbers), stored["observation"][steps, others])
        assert np.array_equal(buffer.goals_at(numbers), stored["achieved_goal"][steps, others])
