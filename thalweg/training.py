"""Train an agent in an env and fit what planners are made of, into a run folder; or take up a run's training again."""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
from stable_baselines3.common.callbacks import BaseCallback, CallbackList, ConvertCallback
from stable_baselines3.common.logger import CSVOutputFormat, KVWriter, Logger, TensorBoardOutputFormat
from stable_baselines3.common.vec_env import VecMonitor

from .agents.checkpoint import Segments, restore, stored_steps, training_files
from .agents.config import AgentConfig
from .agents.finite import FiniteVecEnv, NotFiniteError
from .agents.sac.sac import GoalSAC
from .agents.vec_env import BatchVecEnv
from .envs.guard import EnvError
from .envs.loading import EnvSource, GoalEnvs, as_goal_env
from .envs.trust import remember
from .fitting_log import Losses
from .planner.data.trajectories import pack_trajectories
from .planner.energy.config import ENERGY_IN_MAPS, UNUSED_IN_MAPS, EnergyConfig
from .planner.errors import UsageError, check_kinds, unknown_name
from .planner.goal_space import GoalSpace
from .planner.progress import Progress, say, silent
from .planner.run.run import Run
from .planner.storage import (
    arrays_to_bytes,
    check_in_place,
    json_to_bytes,
    named_folder,
    read_file,
    read_json,
    settings_from,
    stored_names,
    write_files,
)
from .progress import bars
from .runs import envs_of, load, stored_config

# files of a run that follow its training
_FITTED = ("distances/", "samplers/", "energy/", "links.json", "timing.json", "fitting.csv")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """What a training is made with; `config.json` holds it."""

    steps: int = 30_000  # env steps
    seed: int = 0
    episode_steps: int | None = None  # length of a training episode; by default the env's own
    checkpoint_every: int = 10_000  # env steps; fresh episodes begin then, so that a resumed training goes on bit for bit
    device: Literal["cpu", "cuda"] = "cpu"  # of the agent's networks; only on the CPU is a training the same bit for bit
    tensorboard: bool = True  # write TensorBoard logs beside progress.csv
    agent: AgentConfig = field(default_factory=AgentConfig)
    energy: EnergyConfig = field(default_factory=EnergyConfig)

    def __post_init__(self) -> None:
        """UsageError for what cannot be."""
        kinds = {"steps": int, "seed": int, "checkpoint_every": int, "agent": AgentConfig, "energy": EnergyConfig}
        check_kinds({name: (getattr(self, name), kind) for name, kind in kinds.items()})
        if self.seed < 0:
            raise UsageError(f"--seed must be at least 0, got {self.seed}")
        if self.device not in ("cpu", "cuda"):
            raise UsageError(f"--device must be cpu or cuda, got {self.device!r}")
        if self.steps <= self.agent.warmup_steps:
            raise UsageError(
                f"--steps {self.steps} must exceed the {self.agent.warmup_steps} warm-up steps; train longer, or ask for fewer: "
                "--agent.warmup-steps, AgentConfig(warmup_steps=...)"
            )
        for name in ("episode_steps", "checkpoint_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"--{name.replace('_', '-')} must be at least 1, got {value}")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise UsageError("--device cuda: PyTorch sees no GPU here; leave it out, or install a PyTorch built for yours")


def train(
    env: EnvSource,
    *,
    steps: int = 30_000,
    seed: int = 0,
    out: str | Path | None = None,
    env_kwargs: dict[str, Any] | None = None,
    callback: BaseCallback | list[BaseCallback] | None = None,
    logger: KVWriter | list[KVWriter] | None = None,
    progress: bool = True,
    **settings: Any,
) -> Run:
    """Train an agent in an env (an id, a factory, an env: see `as_goal_env`), then fit the energy model to what it has seen.

    `out`: the run folder, which must not hold a run yet; without one the run lives as long as the object that is returned, and
    `Run.save` keeps it. `settings` are those of `TrainConfig`: `agent=AgentConfig(hidden=(256, 256))` gives larger networks.
    `callback` are stable-baselines3's; `logger` writes what is logged somewhere else, too.

    An env object is trained in alone (`num_envs=1`); what makes envs is stepped many at once, which is faster.

    UsageError for bad input, before anything is trained. KeyboardInterrupt, EnvError and NotFiniteError break the training off;
    the agent as it was then is in the folder all the same.
    """
    check_kinds({"env_kwargs": (env_kwargs, dict | None)})
    envs = as_goal_env(env, **(env_kwargs or {}))
    if envs.only_one:
        settings.setdefault("agent", AgentConfig(num_envs=1))
    for name in settings:
        if name not in TrainConfig.__dataclass_fields__:
            raise _unknown_setting(name)
    config = TrainConfig(steps=steps, seed=seed, **settings)
    callbacks, writers = _callbacks(callback), _writers(logger)
    temporary = tempfile.TemporaryDirectory(prefix="thalweg-") if out is None else None
    folder = Path(temporary.name) if temporary is not None else named_folder(out)
    if (folder / "manifest.json").exists():
        raise UsageError(f"--out {folder} already holds a run; name another folder, or go on with --resume {folder}")
    _train(envs, config, folder, None, callbacks, writers, bars if progress else silent)
    return replace(load(folder, envs, progress=progress), _temporary=temporary)


def resume(
    folder: str | Path,
    *,
    steps: int | None = None,
    env: EnvSource | None = None,
    device: Literal["cpu", "cuda"] = "cpu",
    tensorboard: bool = True,
    callback: BaseCallback | list[BaseCallback] | None = None,
    logger: KVWriter | list[KVWriter] | None = None,
    progress: bool = True,
) -> Run:
    """Take up a run's training again, up to `steps` env steps in all, with its own settings; or finish what was broken off.

    `env`: that of a run which was trained on a factory or an object, which no file can hold. UsageError, DamagedError as `load`.
    """
    folder = Path(folder)
    stored = stored_config(folder)
    if "agent" in stored and stored["agent"] is None:
        raise UsageError(f"{folder} was made with an agent from elsewhere, which is not trained here")
    own = _config_of(folder, stored)
    begun = "checkpoint/training.json" in stored_names(folder)  # else it was broken off before there was a checkpoint
    done, asked = stored_steps(folder) if begun else 0, steps if steps is not None else own.steps
    envs = envs_of(folder, stored, env)
    config = replace(own, steps=max(asked, done), device=device, tensorboard=tensorboard)
    if asked > done:
        before = folder if begun else None
        _train(envs, config, folder, before, _callbacks(callback), _writers(logger), bars if progress else silent)
    elif "timing.json" not in stored_names(folder):  # it was broken off while something was fitted
        _fit(load(folder, envs, progress=progress), config, 0.0, "")
    else:
        raise UsageError(f"{folder} has been trained for {done} steps already; ask for more with --steps")
    return load(folder, envs, progress=progress)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Small networks are much slower on several. The caller's own number comes back."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@_one_thread()
def _train(
    envs: GoalEnvs,
    config: TrainConfig,
    out: Path,
    before: Path | None,
    callbacks: list[BaseCallback],
    writers: list[KVWriter],
    progress: Progress,
) -> None:
    began = time.perf_counter()
    options = {} if config.episode_steps is None else {"max_episode_steps": config.episode_steps}
    if out.exists():
        check_in_place(out)
    batch = envs.batch(config.agent.num_envs, **options)
    try:
        if envs.by_name:
            remember(envs.name)
        vec_env = VecMonitor(FiniteVecEnv(BatchVecEnv(batch)))
        model = _model(vec_env, envs, config, before)
        _energy_config(config.energy, model.layout is not None)  # what has no meaning here shows before the training
        for line in GoalSpace(vec_env.observation_space["desired_goal"].shape[0]).limits():  # type: ignore[index]
            say(f"{envs.name}: {line}")
        # what was fitted to a shorter training is no longer true of this one
        fitted = [name for name in stored_names(out) if name.startswith(_FITTED)] if before is not None else []
        write_files(out, {"config.json": json_to_bytes(_to_json(envs, config, out))}, remove=fitted)
        model.set_logger(_logger(out, before, config.tensorboard, writers))
        with progress("agent", config.steps) as on_step:
            _learn(model, config, out, [*callbacks, _Tell(on_step)])
    finally:
        batch.close()
    seconds = time.perf_counter() - began
    _fit(load(out, envs, progress=progress is not silent), config, seconds, str(model.pursuits))


def _model(vec_env: Any, envs: GoalEnvs, config: TrainConfig, before: Path | None) -> GoalSAC:
    try:
        model = GoalSAC(env=vec_env, config=config.agent, total_steps=config.steps, seed=config.seed, device=config.device)
    except ValueError as error:  # its layout_shape is wrong
        raise UsageError(f"{envs.name}: {error}") from None
    if before is not None:
        try:
            restore(model, before)
        except ValueError as error:
            raise UsageError(str(error)) from None
    return model


class _Tell(BaseCallback):
    """Tells how many env steps are done."""

    def __init__(self, on_step: Callable[..., None]) -> None:
        super().__init__()
        self._tell = on_step

    def _on_step(self) -> bool:
        self._tell(self.model.num_timesteps)
        return True


def _learn(model: GoalSAC, config: TrainConfig, out: Path, callbacks: list[BaseCallback]) -> None:
    """Whatever breaks it off, the agent is kept as it was then; the error says so."""

    def save() -> None:
        write_files(out, training_files(model) | {"checkpoint/progress.csv": (out / "progress.csv").read_bytes()})

    broke_off: BaseException | None = None
    try:
        legs = Segments(config.checkpoint_every, config.seed, save)
        remaining = config.steps - model.num_timesteps
        model.learn(remaining, CallbackList([legs, *callbacks]), log_interval=20, reset_num_timesteps=False)
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


@_one_thread()
def _fit(run: Run, config: TrainConfig, agent_seconds: float, learnt: str) -> None:
    """What planners are made of, from what the agent has seen. `learnt`: what the agent's training says of itself."""
    began = time.perf_counter()
    losses = Losses(run.progress, run.folder if config.tensorboard else None)
    energy = _energy_config(config.energy, run.maps.kind == "many")
    replace(run, part_configs={"energy": energy}, progress=losses.recorded).sampler("energy")
    seconds = {"agent": agent_seconds, "energy": time.perf_counter() - began}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    timing = {"seconds": seconds, "peak_bytes": peak, "learnt": learnt}
    write_files(run.folder, {"timing.json": json_to_bytes(timing), "fitting.csv": losses.to_csv()})


def _energy_config(asked: EnergyConfig, many_maps: bool) -> EnergyConfig:
    """What was asked for, and otherwise the defaults for many maps. UsageError for what has no meaning there."""
    if not many_maps:
        return asked
    usual = EnergyConfig()
    changed = [name for name in EnergyConfig.__dataclass_fields__ if getattr(asked, name) != getattr(usual, name)]
    useless = sorted(set(changed) & UNUSED_IN_MAPS)
    if useless:
        raise UsageError(f"--energy.{', --energy.'.join(useless)}: not of the energy in many maps; leave it out")
    return replace(ENERGY_IN_MAPS, **{name: getattr(asked, name) for name in changed})


def _logger(out: Path, before: Path | None, tensorboard: bool, writers: list[KVWriter]) -> Logger:
    """SB3's logger into the run folder; the rows of the training that is taken up again stay in front."""
    path = out / "progress.csv"
    earlier = read_file(before, "checkpoint/progress.csv").decode() if before is not None else ""
    rows = CSVOutputFormat(str(path))
    if earlier:
        rows.file.write(earlier)
        rows.keys = earlier.splitlines()[0].split(",")
    return Logger(str(out), [rows, *([TensorBoardOutputFormat(str(out))] if tensorboard else []), *writers])


# config.json


def _to_json(envs: GoalEnvs, config: TrainConfig, out: Path) -> dict[str, Any]:
    values = asdict(config)
    return {
        "env": envs.name,
        "env_by_name": envs.by_name,
        "out": out.name,
        "env_kwargs": envs.kwargs_json(),
        **values,
    }


def _config_of(folder: Path, stored: dict[str, Any]) -> TrainConfig:
    own = {name: stored[name] for name in TrainConfig.__dataclass_fields__ if name in stored}
    what = f"{folder}: config.json"
    agent = settings_from(AgentConfig, own.pop("agent", None), f"{what}: agent")
    try:
        energy = EnergyConfig.from_settings(own.pop("energy"))
        return TrainConfig(**{**own, "device": "cpu"}, agent=agent, energy=energy)
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(f"{what} is of another version ({error}); train a new run") from None


def _listed(values: Any) -> list[Any]:
    return [] if values is None else list(values) if isinstance(values, list | tuple) else [values]


def _callbacks(given: Any) -> list[BaseCallback]:
    """Also a function of locals and globals, as stable-baselines3 takes one."""
    found = []
    for callback in _listed(given):
        if not (isinstance(callback, BaseCallback) or callable(callback)):
            raise UsageError(f"callback: {type(callback).__name__} is none; give stable-baselines3's, or a function")
        found.append(callback if isinstance(callback, BaseCallback) else ConvertCallback(callback))
    return found


def _writers(given: Any) -> list[KVWriter]:
    """Also a whole logger: what it writes to."""
    found: list[KVWriter] = []
    for logger in _listed(given):
        if not isinstance(logger, KVWriter | Logger):
            raise UsageError(f"logger: {type(logger).__name__} writes nothing; give a KVWriter or a Logger of stable-baselines3")
        found += logger.output_formats if isinstance(logger, Logger) else [logger]
    return found


def _unknown_setting(name: str) -> UsageError:
    for within, kind in (("agent", AgentConfig), ("energy", EnergyConfig)):
        if name in kind.__dataclass_fields__:
            return UsageError(f"train has no setting {name!r}; give it as {within}=thalweg.{kind.__name__}({name}=...)")
    others = ("env_kwargs", "callback", "logger", "progress", "out")
    return unknown_name("setting", name, [*TrainConfig.__dataclass_fields__, *others])


def last_line(run: Run) -> str:
    """What a training took, and where it is."""
    timing = read_json(run.folder, "timing.json")
    seconds, learnt = timing["seconds"], timing.get("learnt")
    took = f"{run.folder}: agent {seconds['agent']:.0f} s, energy model {seconds['energy']:.0f} s"
    return f"{took}; {learnt}" if learnt else took
