"""What a GPU does in one launch is what the same operations do one by one, and what a CPU does."""

import numpy as np
import pytest
import torch

import thalweg.envs  # noqa: F401
from thalweg.agents.agent import load_agent, trained_agent
from thalweg.agents.checkpoint import training_files
from thalweg.agents.config import AgentConfig
from thalweg.agents.finite import NotFiniteError
from thalweg.agents.replay.memory_check import ReplayMemoryError
from thalweg.agents.sac.cuda_graph import in_one_launch
from thalweg.agents.sac.sac import GoalSAC
from thalweg.agents.vec_env import BatchVecEnv
from thalweg.envs.loading import load_batch
from thalweg.planner.storage import write_files

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

CONFIG = AgentConfig(num_envs=4, warmup_steps=100, hidden=(32, 32), batch_size=64)


def make(env="PointMassU-v0", device="cuda", room=400, **env_kwargs):
    return GoalSAC(env=BatchVecEnv(load_batch(env, 4, **env_kwargs)), config=CONFIG, total_steps=room, seed=0, device=device)


def weights(model):
    return torch.cat([values.detach().cpu().reshape(-1) for values in model.policy.parameters()])


def test_a_recorded_function_sees_new_inputs_and_what_it_changed():
    total = torch.zeros(3, device="cuda")
    calls = []

    def add(values):
        calls.append(1)
        total.add_(values)
        return total * 2

    recorded = in_one_launch(add)
    for number in range(1, 9):
        result = recorded(torch.full((3,), float(number), device="cuda"))
        assert result.tolist() == [number * (number + 1.0)] * 3
    assert len(calls) == 4  # then it is replayed


def test_random_numbers_of_a_recorded_function_are_drawn_anew():
    recorded = in_one_launch(lambda like: torch.randn_like(like))
    like = torch.zeros(1_000, device="cuda")
    draws = torch.stack([recorded(like).clone() for _ in range(8)])
    assert len(draws.unique()) == 8_000 and draws.mean().abs() < 0.1 and (draws.std() - 1).abs() < 0.1


MAZES = {"size": 3, "loops": 1, "mazes": 3}


@pytest.mark.parametrize(("env", "env_kwargs"), [("PointMassU-v0", {}), ("PointMassMazes-v0", MAZES)])
def test_updates_in_one_launch_are_those_one_by_one_and_on_the_cpu(monkeypatch, env, env_kwargs):
    """From the same networks and batches, without noise, which each device draws in its own way."""
    monkeypatch.setattr(torch, "randn_like", torch.zeros_like)
    models = {name: make(env, device, **env_kwargs) for name, device in (("once", "cuda"), ("each", "cuda"), ("cpu", "cpu"))}
    models["cpu"].learn(160)
    start = weights(models["cpu"])
    for name in ("once", "each"):
        models[name].learn(96)  # nothing but warm-up; its features are fitted to what the CPU has seen
        models[name].replay_buffer.restore(models["cpu"].replay_buffer.content())
        models[name].set_parameters(models["cpu"].get_parameters())
        models[name]._codes.forget()
        if name == "each":
            models[name]._sac_update.launch_anew(at_once=False)
    losses = {}
    for name, model in models.items():
        model.replay_buffer.seed(1)
        losses[name] = [float(model._update(model.replay_buffer.sample(64))["critic_loss"]) for _ in range(8)]
    if env == "PointMassU-v0":  # the slopes of a picture jump where masses slide along walls, so that rounding decides
        assert np.allclose(losses["once"], losses["cpu"], rtol=0.02) and np.std(losses["cpu"]) > 0
    for name in ("once", "each"):  # what was recorded must see ways that have been learnt since
        models[name]._fit_prior()
        for _ in range(4):
            models[name]._update(models[name].replay_buffer.sample(64))
    once, each = (weights(models[name]) - start for name in ("once", "each"))
    assert each.abs().max() > 1e-3 and (once - each).norm() < 1e-3 * each.norm()


def test_an_agent_trained_on_a_gpu_acts_and_says_returns_on_the_cpu(tmp_path):
    model = make().learn(208)
    assert model.policy.device.type == "cuda"
    write_files(tmp_path, training_files(model))
    there, here = trained_agent(model), load_agent(tmp_path)
    rng = np.random.default_rng(0)
    states, goals = rng.uniform(0, 3, (50, 4)), rng.uniform(0, 3, (50, 2))
    assert np.allclose(there.q_values(states, states[:, :2], goals), here.q_values(states, states[:, :2], goals), atol=1e-3)
    observation = {"observation": states, "achieved_goal": states[:, :2], "desired_goal": goals}
    actions = [agent.predict(observation, deterministic=True)[0] for agent in (there, here)]
    assert np.allclose(*actions, atol=1e-4) and np.std(actions) > 0


def test_a_loss_that_is_not_finite_is_in_no_weight():
    model = make().learn(208)
    batch = model.replay_buffer.sample(64)
    for _ in range(6):
        model._update(batch)
    before = weights(model)
    with pytest.raises(NotFiniteError, match="critic's loss is nan at step 208"):
        model._update(batch._replace(rewards=batch.rewards * torch.nan))
    assert torch.equal(weights(model), before) and before.isfinite().all()


def test_codes_that_a_gpu_has_no_room_for_are_refused():
    with pytest.raises(ReplayMemoryError, match="free on the GPU"):
        make(room=10**8)
