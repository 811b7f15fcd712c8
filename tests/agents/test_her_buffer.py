import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3.common.vec_env import DummyVecEnv

import thalweg.envs  # noqa: F401
from thalweg.agents.env_layout import layout_of
from thalweg.agents.replay.batch import Inputs
from thalweg.agents.replay.her_buffer import HerBuffer

ONE_MAP = np.zeros(1_000, dtype=np.int64)


def fill(buffer, venv, count, seed=0):
    rng, observations = np.random.default_rng(seed), venv.reset()
    for _ in range(count):
        actions = rng.uniform(-1, 1, (venv.num_envs, 2)).astype(np.float32)
        following, rewards, dones, infos = venv.step(actions)
        stored = {key: values.copy() for key, values in following.items()}
        for i in np.flatnonzero(dones):
            for key in stored:
                stored[key][i] = infos[i]["terminal_observation"][key]
        buffer.add(observations, stored, actions, rewards, dones, infos)
        observations = following


def make(room=4_000, future=0.5, nearby=0.3, env_id="PointMass-v0", **settings):
    venv = DummyVecEnv([lambda: gym.make(env_id, **settings)] * 4)
    venv.seed(0)
    shares = {"future_share": future, "nearby_share": nearby, "layout": layout_of(venv)}
    buffer = HerBuffer(
        room, venv.observation_space, venv.action_space, env=venv, relabel_horizon=8, device="cpu", n_envs=4, **shares
    )
    buffer.seed(0)
    return buffer, venv


@pytest.mark.parametrize("size", [4_000, 400])  # the second one wraps
def test_a_sample_ends_exactly_where_its_own_goal_is_reached(size):
    buffer, venv = make(size)
    fill(buffer, venv, 300)
    batch = buffer.sample(2_000)
    goals = batch.observations["desired_goal"]
    reached = ((batch.next_observations["achieved_goal"] - goals).norm(dim=1) <= 0.1).float()[:, None]
    assert (batch.dones == reached).all() and (batch.rewards == reached - 1).all()
    assert 0.05 < float(reached.mean()) < 0.95
    assert (goals == batch.next_observations["desired_goal"]).all()


def test_of_many_batches_drawn_at_once_each_is_one():
    """Of 40, 20 goals were achieved soon after, 12 are near ones, and the rest is what was pursued."""
    buffer, venv = make()
    fill(buffer, venv, 200)
    samples = buffer.sample(40, batches=50)
    here, goals = samples.observations["achieved_goal"].numpy(), samples.observations["desired_goal"].numpy()
    rows, numbers = samples.places[0].numpy().reshape(50, 40), samples.goal_places.numpy().reshape(50, 32)
    assert np.array_equal(here, buffer.goals_at(rows.reshape(-1)))
    kinds = goals.reshape(50, 40, 2)
    assert np.array_equal(kinds[:, :32].reshape(-1, 2), buffer.goals_at(numbers.reshape(-1)))
    assert np.array_equal(kinds[:, 32:].reshape(-1, 2), buffer.pursued_at(rows[:, 32:].reshape(-1)))
    known = samples.realised.isfinite().reshape(50, 40)
    assert known[:, :20].float().mean() > 0.7 and not known[:, 20:].any()
    batches = list(Inputs.of(samples, 50))
    assert len(batches) == 50 and {tuple(batch.states.shape) for batch in batches} == {(2, 40, 4)}
    for batch, expected in zip(batches, kinds, strict=True):
        assert np.array_equal(batch.desired.numpy(), expected) and batch.goal_places.shape == (32,)
    assert np.array_equal(torch.cat([batch.states for batch in batches], dim=1)[1], samples.next_observations["observation"])


def test_future_goals_come_from_the_same_episode_within_the_horizon():
    buffer, venv = make()
    fill(buffer, venv, 120)  # episodes of 50: the last one is in progress
    for env in range(4):
        for step in range(120):
            places, taken = buffer.future_places(np.full(40, step * buffer.n_envs + env))
            goals = buffer.goals_at(places)
            last = buffer.last_step[step, env]
            after = buffer.next_observations["achieved_goal"][step : min(step + 7, last) + 1, env]
            allowed = np.vstack([buffer.observations["achieved_goal"][step, env], after])  # where it is, too
            assert all((goal == allowed).all(axis=1).any() for goal in goals)
            known = np.isfinite(taken)
            assert np.array_equal(goals[known], allowed[taken[known].astype(int)])
            assert buffer.first_step[step, env] <= step <= last and last - buffer.first_step[step, env] < 50
    assert (buffer.last_step[119] == 119).all()  # in progress, yet it can be sampled


def test_hard_negatives_are_near_in_space():
    buffer, venv = make()
    fill(buffer, venv, 200)
    achieved = buffer.stored("achieved_goal").reshape(-1, 2)[:500]
    gaps = np.linalg.norm(buffer.goals_at(buffer.nearby_places(achieved, ONE_MAP[:500])) - achieved, axis=1)
    rng = np.random.default_rng(0)
    random_gaps = np.linalg.norm(achieved[rng.permutation(500)] - achieved, axis=1)
    assert np.median(gaps) < 0.4 * np.median(random_gaps)


def test_practice_goals_are_near_and_not_where_the_agent_stands():
    buffer, venv = make()
    fill(buffer, venv, 300)
    achieved = buffer.stored("achieved_goal")[:50].reshape(-1, 2)
    goals, known = buffer.practice_goals(achieved, ONE_MAP[: len(achieved)])
    assert 0 < np.median(np.linalg.norm(goals - achieved, axis=1)) < 0.8 and known.all()


def test_practice_goals_lie_on_this_side_of_a_thin_wall():
    """Ten corridors, 0.1 apart: the nearest of a few random stored states was in another one every third time."""
    buffer, _ = make(4_000)
    lanes = np.repeat(np.arange(10), 100)  # 100 steps along each, by each of the 4 envs
    along = np.random.default_rng(0).uniform(0, 3, (1_000, 4))
    for values in (buffer.observations, buffer.next_observations):
        values["achieved_goal"][:] = np.stack([along, np.tile(0.1 * lanes[:, None], 4)], axis=-1)
    buffer.full, buffer.last_step[:] = True, (100 * lanes + 99)[:, None]
    here = buffer.observations["achieved_goal"][:, 0]
    goals, _ = buffer.practice_goals(here, ONE_MAP)
    assert (np.abs(goals[:, 1] - here[:, 1]) < 0.01).mean() > 0.95


def fitted(buffer, within):
    buffer.goal_test.fit(*(values.reshape(-1, 2) for values in (buffer.stored("achieved_goal"), buffer.moves())), within)
    return buffer.goal_test


def test_a_lenient_goal_test_is_shrunk_to_two_steps_and_a_strict_one_is_kept():
    for tolerance in (0.1, 1.5):
        buffer, venv = make(tolerance=tolerance)
        fill(buffer, venv, 200)
        moves = np.linalg.norm(buffer.next_observations["achieved_goal"] - buffer.observations["achieved_goal"], axis=-1)[:200]
        two_steps = 2 * np.quantile(moves, 0.95)
        radius = tolerance / fitted(buffer, 2.0).scale
        if tolerance == 0.1:
            assert radius == 0.1
        else:
            assert radius == pytest.approx(two_steps, rel=0.07)  # scales are tried 6 % apart
        goals = np.zeros((2, 2), dtype=np.float32)
        offsets = np.array([[0.99 * radius, 0], [0, 1.01 * radius]], dtype=np.float32)
        assert buffer.goal_test.rewards(goals + offsets, goals).tolist() == [0.0, -1.0]


def test_the_goal_test_of_the_env_can_be_kept():
    buffer, venv = make(tolerance=1.5)
    fill(buffer, venv, 50)
    assert fitted(buffer, 0.0).scale == 1.0


def test_a_goal_that_seldom_moves_does_not_shrink_its_test():
    """An object that is pushed now and then: 95 % of the steps do not move it, and passed every scale there is."""
    buffer, venv = make(tolerance=1.5)
    fill(buffer, venv, 200)
    still = np.random.default_rng(0).random((200, 4)) < 0.97
    buffer.next_observations["achieved_goal"][:200][still] = buffer.observations["achieved_goal"][:200][still]
    assert fitted(buffer, 2.0).scale == 1.0


def test_rewards_are_not_those_that_the_env_writes_its_next_ones_over(monkeypatch):
    buffer, venv = make()
    kept = np.zeros(2, dtype=np.float32)
    monkeypatch.setattr(venv, "env_method", lambda *args, **kwargs: [kept])
    rewards = buffer.goal_test.rewards(np.zeros((2, 2), np.float32), np.zeros((2, 2), np.float32))
    kept[:] = -1.0
    assert rewards.tolist() == [0.0, 0.0]


# Many maps


def make_in_maps(room=4_000, **shares):
    return make(room, env_id="PointMassMazes-v0", size=3, loops=1, mazes=5, **shares)


@pytest.fixture(scope="module")
def in_maps():
    buffer, venv = make_in_maps()
    fill(buffer, venv, 300)
    return buffer


def stored_goals(buffer):
    """Which goals were achieved in which map, by its picture."""
    count, pairs = buffer.num_stored, set()
    for part in (buffer.observations, buffer.next_observations):
        states, goals = (part[key][:count].reshape(count * 4, -1) for key in ("observation", "achieved_goal"))
        pairs |= set(zip(map(bytes, states[:, 4:]), map(bytes, goals), strict=True))
    return pairs


def pictures(buffer):
    """(K, X Y), in the order of the maps' numbers."""
    numbers, first = np.unique(buffer.maps[: buffer.num_stored], return_index=True)
    assert numbers.tolist() == list(range(len(numbers)))
    return buffer.stored("observation").reshape(-1, 53)[first, 4:]


def test_steps_of_one_map_bear_one_number(in_maps):
    seen, numbers = in_maps.stored("observation")[..., 4:].reshape(1_200, -1), in_maps.maps[:300].reshape(-1)
    assert 3 <= len(np.unique(seen, axis=0)) <= 5
    for number in np.unique(numbers):
        assert len(np.unique(seen[numbers == number], axis=0)) == 1
    assert len(np.unique(seen, axis=0)) == len(np.unique(numbers))


def test_where_there_is_one_map_all_bear_the_number_0():
    buffer, venv = make()
    fill(buffer, venv, 20)
    assert not buffer.maps.any() and buffer.map_numbers.of(np.random.default_rng(0).random((5, 4))).tolist() == [0] * 5


@given(st.lists(st.sampled_from([0, 1, 2, 3]), min_size=1, max_size=12))
def test_states_bear_the_same_number_just_if_they_show_the_same_picture(shown):
    buffer, _ = make_in_maps(room=8)
    states = np.random.default_rng(0).random((len(shown), 53)).astype(np.float32)
    states[:, 4:] = np.eye(49, dtype=np.float32)[shown]
    numbers = buffer.map_numbers.of(states)
    assert np.array_equal(numbers[:, None] == numbers, np.array(shown)[:, None] == shown)
    assert set(numbers.tolist()) == set(range(len(set(shown))))  # counted as they come
    assert np.array_equal(buffer.map_numbers.of(states[::-1]), numbers[::-1])


def test_hard_negatives_are_of_the_same_map_and_near(in_maps):
    numbers, achieved = in_maps.maps[:300].reshape(-1), in_maps.stored("achieved_goal").reshape(-1, 2)
    goals = in_maps.goals_at(in_maps.nearby_places(achieved, numbers))
    shown, known = pictures(in_maps), stored_goals(in_maps)
    assert all((shown[number].tobytes(), goal.tobytes()) in known for number, goal in zip(numbers, goals, strict=True))
    gaps = np.linalg.norm(goals - achieved, axis=1)
    random_gaps = np.linalg.norm(achieved[np.random.default_rng(0).permutation(1_200)] - achieved, axis=1)
    assert np.median(gaps) < 0.6 * np.median(random_gaps)


def test_all_maps_steps_can_be_the_hard_negatives_of_a_map(in_maps):
    """Drawn often enough, from its first step to its last."""
    number = int(in_maps.maps[0, 0])
    own = in_maps.next_observations["achieved_goal"][:300][in_maps.maps[:300] == number]
    goals = in_maps.goals_at(in_maps.nearby_places(own.repeat(100, axis=0), np.full(100 * len(own), number)))
    assert {goal.tobytes() for goal in own} == {goal.tobytes() for goal in goals}


@pytest.mark.parametrize("shares", [(0.0, 1.0), (1.0, 0.0), (0.4, 0.3)])
def test_the_goals_of_samples_are_of_the_samples_map(shares):
    buffer, venv = make_in_maps(future=shares[0], nearby=shares[1])
    fill(buffer, venv, 300)
    batch = buffer.sample(600)
    hindsight = int(600 * sum(shares))  # the rest keeps the goal that was pursued
    states, goals = (batch.observations[key][:hindsight].numpy() for key in ("observation", "desired_goal"))
    known = stored_goals(buffer)
    assert all((state[4:].tobytes(), goal.tobytes()) in known for state, goal in zip(states, goals, strict=True))


def test_practice_goals_are_of_the_same_map(in_maps):
    numbers, achieved = in_maps.maps[:300].reshape(-1), in_maps.stored("achieved_goal").reshape(-1, 2)
    goals, known = in_maps.practice_goals(achieved, numbers)
    shown, stored = pictures(in_maps), stored_goals(in_maps)
    assert known.all()
    assert all((shown[number].tobytes(), goal.tobytes()) in stored for number, goal in zip(numbers, goals, strict=True))
    assert 0 < np.median(np.linalg.norm(goals - achieved, axis=1)) < 1.0


def test_there_is_nothing_to_practise_in_a_new_map():
    buffer, venv = make_in_maps()
    fill(buffer, venv, 100)
    new = buffer.stored("observation")[0].copy()
    new[1::2, 4:] = 1 - new[1::2, 4:]  # of four states, two are in maps never seen
    goals, known = buffer.practice_goals(new[:, :2], buffer.map_numbers.of(new))
    assert known.tolist() == [True, False, True, False] and goals.shape == (4, 2)


def test_a_map_with_a_few_steps_is_practised_in_by_these():
    """Fewer than the 8 nearest among which one is drawn: the others would be of another map."""
    buffer, venv = make_in_maps()
    fill(buffer, venv, 30)
    buffer.next_observations["observation"][29, 0, 4:] = buffer.observations["observation"][29, 0, 4:] = 1
    buffer.maps[29, 0] = number = buffer.map_numbers.of(buffer.observations["observation"][29, :1])[0]
    goals, known = buffer.practice_goals(np.zeros((50, 2), np.float32), np.full(50, number))
    assert known.all() and (goals == buffer.next_observations["achieved_goal"][29, 0]).all()


def test_a_map_that_comes_after_the_others_were_put_in_order_has_hard_negatives_of_its_own():
    buffer, venv = make_in_maps()
    fill(buffer, venv, 40)
    buffer.sample(32)
    first = set(np.unique(buffer.maps[:40]))
    fill(buffer, venv, 250, seed=1)
    late = np.setdiff1d(buffer.maps[:290], list(first))
    assert len(late) > 0
    goals = buffer.goals_at(buffer.nearby_places(np.zeros((200, 2), np.float32), np.resize(late, 200)))
    shown, known = pictures(buffer), stored_goals(buffer)
    assert all(
        (shown[number].tobytes(), goal.tobytes()) in known for number, goal in zip(np.resize(late, 200), goals, strict=True)
    )


def test_what_is_restored_knows_its_maps_and_draws_the_same(in_maps):
    content, (again, _) = in_maps.content(), make_in_maps()
    assert np.array_equal(content["maps"], in_maps.maps[:300])
    again.restore({name: values.copy() for name, values in content.items()})
    assert again.map_numbers._known == in_maps.map_numbers._known
    states, draws = in_maps.stored("observation")[:, 0], []
    for buffer in (in_maps, again):
        buffer.begin_episodes()
        buffer.seed(3)
        batch, numbers = buffer.sample(256), buffer.map_numbers.of(states)
        draws.append([*batch.observations.values(), batch.realised, batch.rewards, torch.as_tensor(numbers)])
        draws[-1] += [torch.as_tensor(part) for part in buffer.practice_goals(states[:, :2], numbers)]
    assert all(torch.equal(*pair) for pair in zip(*draws, strict=True))
    assert again.map_numbers.of(1 - states[:1]).tolist() == [len(pictures(in_maps))]  # a new one comes next


def test_one_map_is_stored_without_numbers():
    buffer, venv = make()
    fill(buffer, venv, 20)
    assert "maps" not in buffer.content()
