"""Train an agent in an env, then fit the energy model to what it has seen; or take up a run's training again.

Example: python -m scripts.train --env PointMassU-v0 --steps 4e4 --out runs/u
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from thalweg.agents.config import AgentConfig
from thalweg.planner.energy.config import ENERGY_IN_MAPS, UNUSED_IN_MAPS, EnergyConfig
from thalweg.scripts.cli import UsageError, check_file_of, check_ranges, make_folder, parse_env_kwargs, run

_FITTED = ("distances/", "samplers/", "energy/", "links.json", "timing.json")  # files of a run that follow its training
_OF_A_CALL = {"resume", "steps", "device", "progress", "tensorboard"}  # options that may differ when a training is taken up again


@dataclass(frozen=True, kw_only=True)
class Options:
    env: str | None = None  # Gymnasium id, module:Id, or path/to/file.py:Class
    out: Path | None = None  # the run folder to write; must not hold a run already
    steps: int = 30_000  # env steps
    seed: int = 0
    episode_steps: int | None = None  # length of a training episode; by default the env's own
    env_kwargs: str = "{}"  # of the env, as JSON: '{"size": 11}'
    resume: Path | None = None  # in place of env and out: a run to train on, up to --steps in all, with its settings but --device
    checkpoint_every: int = 10_000  # env steps; fresh episodes begin then, so that a resumed training goes on bit for bit
    device: Literal["cpu", "cuda"] = "cpu"  # of the agent's networks; only on the CPU is a training the same bit for bit
    progress: bool = True  # show progress bars
    tensorboard: bool = True  # write TensorBoard logs beside progress.csv
    agent: AgentConfig = field(default_factory=AgentConfig)
    # in many maps the defaults are those of ENERGY_IN_MAPS in planner/energy/config.py
    energy: Annotated[EnergyConfig, tyro.conf.arg(name="energy")] = field(default_factory=EnergyConfig)


def main(options: Options) -> None:
    if options.resume is not None:
        options = _resumed(options)
    elif options.env is None or options.out is None:
        raise UsageError("name an env with --env and a folder to write with --out, or a run to go on with by --resume")
    elif (options.out / "manifest.json").exists():
        raise UsageError(f"--out {options.out} already holds a run; name another folder, or go on with --resume {options.out}")
    check_ranges(options, seed=(0, 2**32 - 1), episode_steps=(1, 2**31), checkpoint_every=(1, 2**63))
    env_kwargs = parse_env_kwargs(options.env_kwargs)
    assert options.env is not None and options.out is not None
    check_file_of("--env", options.env)
    if options.steps <= options.agent.warmup_steps:
        raise UsageError(f"--steps {options.steps} must exceed the {options.agent.warmup_steps} warm-up steps; train longer")
    make_folder(options.out)
    if options.episode_steps is not None:
        env_kwargs["max_episode_steps"] = options.episode_steps

    import thalweg.envs  # noqa: F401 (registers ours)
    from thalweg.envs.loading import load_batch

    batch = load_batch(options.env, options.agent.num_envs, **env_kwargs)
    try:
        _train(options, batch)
    finally:
        batch.close()


def _resumed(options: Options) -> Options:
    """The options that the run was begun with, but for its steps, the device and what is shown."""
    import json

    from thalweg.agents.checkpoint import stored_steps
    from thalweg.planner.storage import read_file

    asked = {name for name in Options.__dataclass_fields__ if getattr(options, name) != getattr(Options(), name)}
    if asked - _OF_A_CALL:
        others = ", ".join(sorted(asked - _OF_A_CALL))
        raise UsageError(f"--resume takes a run's own settings; leave {others} out, or begin a new run")
    assert options.resume is not None
    config = json.loads(read_file(options.resume, "config.json"))
    done = stored_steps(options.resume)
    if options.steps <= done:
        raise UsageError(f"{options.resume} has been trained for {done} steps already; ask for more with --steps")
    config["agent"]["hidden"] = tuple(config["agent"]["hidden"])
    try:
        agent, energy = AgentConfig(**config.pop("agent")), EnergyConfig.from_settings(config.pop("energy"))
    except ValueError as error:
        raise UsageError(f"{options.resume}: {error}") from None
    mine = {name: getattr(options, name) for name in _OF_A_CALL}
    return Options(**{**config, **mine, "out": options.resume}, agent=agent, energy=energy)


def _train(options: Options, batch: Any) -> None:
    import torch
    from stable_baselines3.common.vec_env import VecMonitor

    from thalweg.agents.checkpoint import Legs, restore, training_files
    from thalweg.agents.finite import FiniteVecEnv, NotFiniteError
    from thalweg.agents.sac.sac import GoalSAC
    from thalweg.agents.vec_env import BatchVecEnv
    from thalweg.envs.guard import EnvError
    from thalweg.planner.data.trajectories import pack_trajectories
    from thalweg.planner.storage import arrays_to_bytes, json_to_bytes, stored_names, write_files

    if options.device == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: PyTorch sees no GPU here; leave it out, or install a PyTorch built for yours")
    torch.set_num_threads(1)
    assert options.out is not None
    out = options.out
    began = time.perf_counter()
    vec_env = VecMonitor(FiniteVecEnv(BatchVecEnv(batch)))
    try:
        model = GoalSAC(vec_env, options.agent, options.steps, options.seed, options.device)
    except ValueError as error:  # its layout_shape is wrong
        raise UsageError(f"{options.env}: {error}") from None
    if options.resume is not None:
        try:
            restore(model, options.resume)
        except ValueError as error:
            raise UsageError(str(error)) from None
    config = {name: value for name, value in asdict(options).items() if name != "resume"}
    # what was fitted to a shorter training is no longer true of this one
    fitted = [name for name in stored_names(out) if name.startswith(_FITTED)] if options.resume is not None else []
    write_files(out, {"config.json": json_to_bytes({**config, "out": out.name})}, remove=fitted)
    model.set_logger(_logger(options))

    def save() -> None:
        write_files(out, training_files(model) | {"checkpoint/progress.csv": (out / "progress.csv").read_bytes()})

    broke_off: BaseException | None = None
    try:
        legs = Legs(options.checkpoint_every, options.seed, save)
        remaining = options.steps - model.num_timesteps
        model.learn(remaining, legs, log_interval=20, reset_num_timesteps=False, progress_bar=options.progress)
    except (KeyboardInterrupt, EnvError, NotFiniteError) as error:
        broke_off = error
    model.logger.close()
    trajectories = model.replay_buffer.trajectories()
    if broke_off is not None and not trajectories:
        raise broke_off
    write_files(out, {"trajectories.npz": arrays_to_bytes(pack_trajectories(trajectories))})
    save()
    if broke_off is not None:
        kept = f"the agent after {model.num_timesteps} steps is in {out}; --planners none runs it, --resume trains on"
        raise type(broke_off)(f"{broke_off}; {kept}" if str(broke_off) else kept) from broke_off
    trained = time.perf_counter()
    energy = _fit_energy(options)
    seconds = {"agent": trained - began, "energy": time.perf_counter() - trained}
    write_files(
        out,
        {
            "energy/model.safetensors": energy[0],
            "energy/config.json": json_to_bytes(energy[1]),
            "timing.json": json_to_bytes({"seconds": seconds, "peak_bytes": _peak_bytes()}),
        },
    )
    print(f"{out}: agent {seconds['agent']:.0f} s, energy model {seconds['energy']:.0f} s")


def _logger(options: Options) -> Any:
    """SB3's logger into the run folder; the rows of the training that is taken up again stay in front."""
    from stable_baselines3.common.logger import CSVOutputFormat, Logger, TensorBoardOutputFormat

    from thalweg.planner.storage import read_file

    assert options.out is not None
    path = options.out / "progress.csv"
    before = read_file(options.resume, "checkpoint/progress.csv").decode() if options.resume is not None else ""
    rows = CSVOutputFormat(str(path))
    if before:
        rows.file.write(before)
        rows.keys = before.splitlines()[0].split(",")
    return Logger(str(options.out), [rows, TensorBoardOutputFormat(str(options.out))] if options.tensorboard else [rows])


def _fit_energy(options: Options) -> tuple[bytes, dict[str, Any]]:
    from tqdm import tqdm

    from thalweg.planner.samplers.energy import EnergySampler
    from thalweg.planner.storage import tensors_to_bytes
    from thalweg.scripts.runs import load_run

    assert options.out is not None
    trained = load_run(options.out, options.progress)
    config = options.energy if trained.layout is None else _in_maps(options.energy)
    try:
        trained.measure_links()
        with tqdm(total=config.train_steps, desc="energy model", disable=not options.progress) as bar:
            sampler = EnergySampler.fit(trained.experience, config, lambda step, loss: bar.update())
    except ValueError as error:
        raise UsageError(f"{options.out}: {error}") from None
    model = sampler.model.model
    return tensors_to_bytes(model.state_dict()), model.settings()


def _in_maps(asked: EnergyConfig) -> EnergyConfig:
    """What was asked for, and otherwise the defaults for many maps. UsageError for what has no meaning there."""
    usual = EnergyConfig()
    changed = [name for name in EnergyConfig.__dataclass_fields__ if getattr(asked, name) != getattr(usual, name)]
    useless = sorted(set(changed) & UNUSED_IN_MAPS)
    if useless:
        raise UsageError(f"--energy.{', --energy.'.join(useless)}: not of the energy in many maps; leave it out")
    return replace(ENERGY_IN_MAPS, **{name: getattr(asked, name) for name in changed})


def _peak_bytes() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    run(main, Options)
