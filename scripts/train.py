"""Train an agent in an env, then fit the energy model to what it has seen."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from agents.config import AgentConfig
from planner.energy.config import EnergyConfig
from scripts.common import UsageError, parse_env_kwargs, run


@dataclass(frozen=True, kw_only=True)
class Options:
    env: str  # Gymnasium id, module:Id, or path/to/file.py:Class
    out: Path  # the run folder to write; must not hold a run already
    env_kwargs: str = "{}"  # of the env, as JSON: '{"size": 11}'
    episode_steps: int | None = None  # length of a training episode; by default the env's own
    steps: int = 30_000  # env steps
    seed: int = 0
    progress: bool = True  # show progress bars
    tensorboard: bool = True  # write TensorBoard logs beside progress.csv
    agent: AgentConfig = field(default_factory=AgentConfig)
    energy: Annotated[EnergyConfig, tyro.conf.arg(name="energy")] = field(default_factory=EnergyConfig)


def main(options: Options) -> None:
    if (options.out / "manifest.json").exists():
        raise UsageError(f"--out {options.out} already holds a run; name another folder or remove it")
    if options.steps <= options.agent.warmup_steps:
        raise UsageError(f"--steps {options.steps} must exceed the {options.agent.warmup_steps} warm-up steps; train longer")
    if options.episode_steps is not None and options.episode_steps < 1:
        raise UsageError(f"--episode-steps must be at least 1, got {options.episode_steps}")
    env_kwargs = parse_env_kwargs(options.env_kwargs)
    if options.episode_steps is not None:
        env_kwargs["max_episode_steps"] = options.episode_steps

    import envs  # noqa: F401 (registers ours)
    from envs.loading import load_batch

    batch = load_batch(options.env, options.agent.num_envs, **env_kwargs)
    try:
        _train(options, batch)
    finally:
        batch.close()


def _train(options: Options, batch: Any) -> None:
    import torch
    from stable_baselines3.common.logger import configure
    from stable_baselines3.common.vec_env import VecMonitor

    from agents.sac import GoalSAC
    from agents.training import FiniteVecEnv, NotFiniteError, stored_trajectories, trained_agent
    from agents.vec_env import BatchVecEnv
    from envs.guard import EnvError
    from planner.data import pack_trajectories
    from planner.storage import arrays_to_bytes, json_to_bytes, write_files

    torch.set_num_threads(1)
    began = time.perf_counter()
    write_files(options.out, {"config.json": json_to_bytes({**asdict(options), "out": options.out.name})})
    vec_env = VecMonitor(FiniteVecEnv(BatchVecEnv(batch)))
    model = GoalSAC(vec_env, options.agent, options.steps, options.seed)
    model.set_logger(configure(str(options.out), ["csv", "tensorboard"] if options.tensorboard else ["csv"]))
    broke_off: BaseException | None = None
    try:
        model.learn(options.steps, log_interval=20, progress_bar=options.progress)
    except (KeyboardInterrupt, EnvError, NotFiniteError) as error:
        broke_off = error
    model.logger.close()
    trajectories = stored_trajectories(model.replay_buffer)
    if broke_off is not None and not trajectories:
        raise broke_off
    files = trained_agent(model).files() | {"trajectories.npz": arrays_to_bytes(pack_trajectories(trajectories))}
    write_files(options.out, files)
    if broke_off is not None:
        kept = f"the agent after {model.num_timesteps} steps is in {options.out}; --planners none runs it"
        raise type(broke_off)(f"{broke_off}; {kept}" if str(broke_off) else kept) from broke_off
    trained = time.perf_counter()
    energy = _fit_energy(options)
    seconds = {"agent": trained - began, "energy": time.perf_counter() - trained}
    write_files(
        options.out,
        {
            "energy/model.safetensors": energy[0],
            "energy/config.json": json_to_bytes(energy[1]),
            "progress.csv": (options.out / "progress.csv").read_bytes(),
            "timing.json": json_to_bytes({"seconds": seconds, "peak_bytes": _peak_bytes()}),
        },
    )
    print(f"{options.out}: agent {seconds['agent']:.0f} s, energy model {seconds['energy']:.0f} s")


def _fit_energy(options: Options) -> tuple[bytes, dict[str, Any]]:
    import numpy as np
    from tqdm import tqdm

    from planner.energy.train import fit_energy
    from planner.graph_planner import GraphPlannerConfig
    from planner.paths import training_paths
    from planner.storage import tensors_to_bytes
    from scripts.common import load_run

    trained = load_run(options.out)
    rng = np.random.default_rng(options.seed)
    links = GraphPlannerConfig()
    try:
        paths, weights = training_paths(
            trained.trajectories, trained.distance(), trained.goal_of, links.max_edge, links.stride, rng
        )
    except ValueError as error:
        raise UsageError(f"{options.out}: {error}") from None
    visited = np.concatenate([trajectory.goals for trajectory in trained.trajectories])
    with tqdm(total=options.energy.train_steps, desc="energy model", disable=not options.progress) as bar:
        model = fit_energy(paths, weights, visited, options.energy, options.seed, lambda step, loss: bar.update())
    return tensors_to_bytes(model.tensors()), model.settings()


def _peak_bytes() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    run(main, Options)
