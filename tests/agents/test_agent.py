"""The agent outside its training, and the guards of the training itself."""

import json

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import DummyVecEnv

import thalweg.envs  # noqa: F401
from thalweg.agents.agent import GoalAgent, load_agent
from thalweg.agents.config import AgentConfig
from thalweg.agents.env_layout import layout_of
from thalweg.agents.finite import FiniteVecEnv, NotFiniteError
from thalweg.agents.sac.sac import GoalSAC
from thalweg.planner.data.trajectories import GoalEntries
from thalweg.planner.distances.q_value import QValueDistance, QValueDistanceConfig
from thalweg.planner.following.subgoal_policy import SubgoalPolicy, SubgoalPolicyConfig
from thalweg.planner.planners.sampled_graph import GraphPlanner, GraphPlannerConfig
from thalweg.planner.samplers.replay import ReplaySampler
from thalweg.planner.storage import json_to_bytes, write_files


def small_sac(steps=600):
    env = FiniteVecEnv(DummyVecEnv([lambda: gym.make("PointMass-v0")] * 4))
    model = GoalSAC(
        env=env, config=AgentConfig(num_envs=4, warmup_steps=400, hidden=(32, 32), batch_size=32), total_steps=steps, seed=0
    )
    return model.learn(steps)


@pytest.fixture(scope="module")
def model():
    return small_sac()


@pytest.mark.slow
def test_a_goal_that_is_not_reached_gives_way_to_another():
    env = DummyVecEnv([lambda: gym.make("PointMass-v0", tolerance=1e-6, max_episode_steps=500)] * 2)
    config = AgentConfig(num_envs=2, warmup_steps=200, hidden=(8,), practice_share=1.0, practice_steps=10)
    model = GoalSAC(env=env, config=config, total_steps=250, seed=0).learn(202)
    here = {key: values.copy() for key, values in env.reset().items()}
    pursued = np.stack([model.practice.pursued(here, np.zeros(2, dtype=bool)) for _ in range(30)])  # (30, 2, G), standing still
    changes = np.flatnonzero((np.diff(pursued, axis=0) != 0).any(axis=(1, 2)))
    assert len(changes) in (2, 3) and (np.diff(changes) == 10).all()


def test_no_step_is_overwritten_when_the_envs_do_not_divide_the_steps():
    """The last round of steps wrapped the buffer by one, and an episode as long as the training was lost with its start."""
    env = DummyVecEnv([lambda: gym.make("PointMass-v0", tolerance=1e-6, max_episode_steps=500)] * 4)
    model = GoalSAC(env=env, config=AgentConfig(num_envs=4, warmup_steps=300, hidden=(8,)), total_steps=102, seed=0).learn(102)
    assert [len(trajectory) for trajectory in model.replay_buffer.trajectories()] == [28] * 4


@pytest.mark.slow
@pytest.mark.parametrize("num_envs", [1, 2, 4, 8])
def test_one_env_gets_as_many_updates_per_env_step_as_eight(num_envs):
    """One env asks for less than one update a step; it used to get one."""
    env = DummyVecEnv([lambda: gym.make("PointMass-v0")] * num_envs)
    model = GoalSAC(
        env=env, config=AgentConfig(num_envs=num_envs, warmup_steps=208, hidden=(8,), batch_size=16), total_steps=416, seed=0
    ).learn(416)
    assert model._n_updates == 208 / 4


def test_no_step_is_overwritten_when_the_steps_end_between_two_updates():
    env = DummyVecEnv([lambda: gym.make("PointMass-v0", tolerance=1e-6, max_episode_steps=500)])
    model = GoalSAC(env=env, config=AgentConfig(num_envs=1, warmup_steps=200, hidden=(8,)), total_steps=102, seed=0).learn(102)
    assert [len(trajectory) for trajectory in model.replay_buffer.trajectories()] == [112]


def as_agent(model):
    return GoalAgent(model.policy, model.config.hidden, model.config.discount)


def test_a_saved_agent_acts_alike_and_loads_without_an_env(model, tmp_path):
    agent = as_agent(model)
    write_files(tmp_path, agent.files())
    loaded = load_agent(tmp_path)
    observation = model.get_env().reset()
    assert np.array_equal(loaded.predict(observation, deterministic=True)[0], agent.predict(observation, deterministic=True)[0])
    states, goals = observation["observation"], observation["desired_goal"]
    assert np.array_equal(loaded.q_values(states, states[:, :2], goals), agent.q_values(states, states[:, :2], goals))


def test_an_agent_that_sees_its_map_is_loaded_with_the_layout_and_acts_alike(tmp_path):
    env = DummyVecEnv([lambda: gym.make("PointMassMazes-v0", size=3, loops=1)] * 4)
    torch.manual_seed(0)
    agent = GoalAgent.blank(env.observation_space, env.action_space, (8, 8), 0.98, layout_of(env))
    write_files(tmp_path, agent.files())
    loaded = load_agent(tmp_path)
    assert loaded.layout == agent.layout == layout_of(env) and loaded.layout.shape == (7, 7)
    env.seed(0)
    observation = env.reset()
    actions = [each.predict(observation, deterministic=True)[0] for each in (agent, loaded)]
    assert np.array_equal(*actions) and len(np.unique(actions[0], axis=0)) == 4
    states, goals = observation["observation"], observation["desired_goal"]
    assert np.array_equal(*(each.q_values(states, states[:, :2], goals) for each in (agent, loaded)))


def test_an_agent_of_before_there_were_layouts_is_loaded(model, tmp_path):
    files = as_agent(model).files()
    settings = json.loads(files["checkpoint/agent.json"])
    assert settings.pop("layout") is None
    write_files(tmp_path, files | {"checkpoint/agent.json": json_to_bytes(settings)})
    assert load_agent(tmp_path).layout is None


def test_no_checkpoint_holds_a_nan(model):
    agent = GoalAgent.blank(model.observation_space, model.action_space, (8, 8), 0.98)
    with torch.no_grad():
        next(iter(agent.policy.parameters())).fill_(torch.nan)
    with pytest.raises(FloatingPointError, match="not finite"):
        agent.files()


def blank(model):
    """Ways that promise nothing."""
    for network in (model.actor, model.critic, model.critic_target):
        torch.nn.init.zeros_(network.features_extractor.ways.quasimetric.layers[-1].weight)
        torch.nn.init.zeros_(network.features_extractor.ways.quasimetric.layers[-1].bias)


@pytest.mark.slow
def test_returns_are_those_of_the_deterministic_action(model):
    model = small_sac()
    agent = as_agent(model)
    batch = model.replay_buffer.sample(50).observations
    actions = model.policy.actor(batch, deterministic=True)
    expected = torch.cat(model.policy.critic(batch, actions), dim=1).T.detach().numpy()
    parts = [batch[key].numpy() for key in ("observation", "achieved_goal", "desired_goal")]
    assert expected.shape == (2, 50) and np.allclose(agent.q_values(*parts), expected, atol=1e-5)


@pytest.mark.slow
def test_q_is_what_the_ways_promise_and_what_is_learnt_besides(model):
    """A goal 5 steps away along the visited ways promises -1 - 0.98 - 0.98^2 - 0.98^3, one within a step nothing to pay."""
    model = small_sac()
    extractor = model.critic.features_extractor
    batch = model.replay_buffer.sample(64)
    features = extractor(batch.observations)
    ways, here, there = extractor.ways, batch.observations["achieved_goal"], batch.observations["desired_goal"]
    steps = ways.query(ways.code(batch.observations["observation"], here), ways.code_goals(there)).steps
    expected = torch.where(steps > 1, -(1 - 0.98 ** (steps - 1)) / 0.02, 0.0)
    assert torch.allclose(extractor.prior_return(features)[:, 0], expected, atol=1e-3) and (expected < 0).any()
    own = [network(torch.cat([features, batch.actions], dim=1)) for network in model.critic.q_networks]
    q = model.critic(batch.observations, batch.actions)
    assert torch.allclose(torch.cat(q, dim=1) - torch.cat(own, dim=1), expected[:, None], atol=1e-3)


def test_the_slope_of_a_way_is_its_change_along_each_entry(model):
    ways = small_sac().critic.features_extractor.ways
    here, there = torch.rand(20, 2) * 4 + 0.5, ways.code_goals(torch.rand(20, 2) * 4 + 0.5)
    states = torch.zeros(20, 4)  # where there is one map, they say nothing of the way
    told = ways.query(ways.code(states, here), there)
    for entry in range(2):
        nudge = torch.zeros(2)
        nudge[entry] = 1e-3
        change = (ways.query(ways.code(states, here + nudge), there).steps - told.steps) / 1e-3
        assert (change - told.slope[:, entry]).abs().median() < 0.1 < told.slope[:, entry].abs().median()


def test_the_critic_target_ends_where_the_goal_is_reached_and_holds_no_entropy(model):
    """With target networks that say -7 everywhere: reached -> the target is 0, else -1 - 0.98 * 7, whatever the entropy."""
    blank(model)
    for q_net in model.critic_target.q_networks:
        with torch.no_grad():
            q_net[-1].weight.zero_()
            q_net[-1].bias.fill_(-7.0)
    batch = model.replay_buffer.sample(64)
    batch = batch._replace(realised=torch.full_like(batch.realised, torch.inf))
    with torch.no_grad():
        q = torch.cat(model.critic(batch.observations, batch.actions), dim=1)
    target = batch.rewards + (1 - batch.dones) * 0.98 * -7.0
    assert set(batch.dones.flatten().tolist()) == {0.0, 1.0} and target[batch.dones == 1].abs().max() == 0
    expected = 0.5 * ((q - target) ** 2).mean(dim=0).sum()
    assert float(model._update(batch)["critic_loss"]) == pytest.approx(float(expected), rel=1e-4)


def test_the_critic_target_is_no_worse_than_what_was_done_once(model):
    """With target networks that say -40 everywhere, a goal reached 3 steps later is worth at least -1 - 0.98."""
    blank(model)
    for q_net in model.critic_target.q_networks:
        with torch.no_grad():
            q_net[-1].weight.zero_()
            q_net[-1].bias.fill_(-40.0)
    batch = model.replay_buffer.sample(64)
    batch = batch._replace(dones=torch.zeros_like(batch.dones), rewards=-torch.ones_like(batch.rewards))
    batch = batch._replace(realised=torch.tensor([[3.0], [torch.inf]]).repeat(32, 1))
    with torch.no_grad():
        q = torch.cat(model.critic(batch.observations, batch.actions), dim=1)
    target = torch.tensor([[-1.98], [-1 - 0.98 * 40]]).repeat(32, 1)
    expected = 0.5 * ((q - target) ** 2).mean(dim=0).sum()
    assert float(model._update(batch)["critic_loss"]) == pytest.approx(float(expected), rel=1e-4)


def test_stable_baselines3_evaluates_a_subgoal_policy(model):
    agent, trajectories = as_agent(model), model.replay_buffer.trajectories()
    goal_of = GoalEntries.infer(trajectories)
    distance = QValueDistance(lambda s, g: agent.q_values(s, goal_of(s), g), QValueDistanceConfig(discount=0.98))
    planner = GraphPlanner(
        ReplaySampler(np.concatenate([t.states for t in trajectories])), distance, goal_of, GraphPlannerConfig(num_nodes=10)
    )
    policy = SubgoalPolicy(agent, planner, distance, goal_of, SubgoalPolicyConfig())
    vec_env = DummyVecEnv([lambda: gym.make("PointMass-v0")] * 2)
    reward, _ = evaluate_policy(policy, vec_env, n_eval_episodes=4, warn=False)
    assert -50 <= reward <= 0


def test_trajectories_are_the_states_that_were_stored(model):
    trajectories = model.replay_buffer.trajectories()
    assert max(len(t) for t in trajectories) <= 50 and all(np.array_equal(t.states[:, :2], t.goals) for t in trajectories)
    jumps = max(np.linalg.norm(np.diff(t.goals, axis=0), axis=1).max() for t in trajectories)
    assert jumps <= 0.1 + 1e-5  # no trajectory spans a reset


@pytest.mark.parametrize(("key", "where"), [("observation", 0), ("reward", None)])
def test_the_first_value_that_is_not_finite_stops_training(key, where):
    class Broken(gym.Wrapper):
        count = 0

        def step(self, action):
            observation, reward, *rest = self.env.step(action)
            self.count += 1
            if self.count == 3:
                if key == "reward":
                    reward = np.nan
                else:
                    observation[key][where] = np.nan
            return observation, reward, *rest

    env = FiniteVecEnv(DummyVecEnv([lambda: gym.make("PointMass-v0"), lambda: Broken(gym.make("PointMass-v0"))]))
    model = GoalSAC(env=env, config=AgentConfig(num_envs=2), total_steps=5_000, seed=0)
    with pytest.raises(NotFiniteError, match=f"{key} of env 1 .* step 3"):
        model.learn(5_000)
    assert all(parameter.isfinite().all() for parameter in model.policy.parameters())
