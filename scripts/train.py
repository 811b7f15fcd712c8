"""Train an agent in an env, then fit the energy model to what it has seen; or take up a run's training again.

Example: python -m scripts.train --env PointMassU-v0 --steps 4e4 --out runs/u
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from thalweg.agents.config import AgentConfig
from thalweg.planner.energy.config import EnergyConfig
from thalweg.scripts.cli import UsageError, check_file_of, check_ranges, make_folder, parse_env_kwargs, run

_STEPS = 30_000  # env steps, where nothing is said
_OF_A_CALL = {"resume", "env", "steps", "device", "progress", "tensorboard"}  # may differ when a training is taken up again


@dataclass(frozen=True, kw_only=True)
class Options:
    env: str | None = None  # Gymnasium id, module:Id, or path/to/file.py:Class
    out: Path | None = None  # the run folder to write; must not hold a run already
    steps: int | None = None  # env steps, 30,000 by default
    seed: int = 0
    episode_steps: int | None = None  # length of a training episode; by default the env's own
    env_kwargs: str = "{}"  # of the env, as JSON: '{"size": 11}'
    resume: Path | None = None  # a run to train on, up to --steps in all, with its settings but --device; its env is known
    checkpoint_every: int = 10_000  # env steps; fresh episodes begin then, so that a resumed training goes on bit for bit
    device: Literal["cpu", "cuda"] = "cpu"  # of the agent's networks; only on the CPU is a training the same bit for bit
    progress: bool = True  # show progress bars
    tensorboard: bool = True  # write TensorBoard logs beside progress.csv
    agent: AgentConfig = field(default_factory=AgentConfig)
    # in many maps the defaults are those of ENERGY_IN_MAPS in planner/energy/config.py
    energy: Annotated[EnergyConfig, tyro.conf.arg(name="energy")] = field(default_factory=EnergyConfig)


def main(options: Options) -> None:
    env_kwargs = parse_env_kwargs(options.env_kwargs)
    if options.resume is not None:
        _refuse_other_settings(options)
    elif options.env is None or options.out is None:
        raise UsageError("name an env with --env and a folder to write with --out, or a run to go on with by --resume")
    elif (options.out / "manifest.json").exists():
        raise UsageError(f"--out {options.out} already holds a run; name another folder, or go on with --resume {options.out}")
    check_ranges(options, seed=(0, 2**32 - 1), episode_steps=(1, 2**31), checkpoint_every=(1, 2**63))
    if options.env is not None:
        check_file_of("--env", options.env)
    if options.resume is None:
        steps = options.steps if options.steps is not None else _STEPS
        if steps <= options.agent.warmup_steps:
            raise UsageError(
                f"--steps {steps} must exceed the {options.agent.warmup_steps} warm-up steps; train longer, "
                "or ask for fewer with --agent.warmup-steps"
            )
        assert options.out is not None
        make_folder(options.out)

    from thalweg import training

    if options.resume is not None:
        made = training.resume(
            options.resume,
            steps=options.steps,
            env=options.env,
            device=options.device,
            tensorboard=options.tensorboard,
            progress=options.progress,
        )
    else:
        assert options.env is not None
        names = ("out", "seed", "episode_steps", "checkpoint_every", "device", "tensorboard", "progress", "agent", "energy")
        settings: dict[str, Any] = {name: getattr(options, name) for name in names}
        settings["steps"] = options.steps if options.steps is not None else _STEPS
        made = training.train(options.env, env_kwargs=env_kwargs, **settings)
    print(training.last_line(made))


def _refuse_other_settings(options: Options) -> None:
    asked = {name for name in Options.__dataclass_fields__ if getattr(options, name) != getattr(Options(), name)}
    if others := sorted(asked - _OF_A_CALL):
        raise UsageError(f"--resume takes a run's own settings; leave {', '.join(others)} out, or begin a new run")


if __name__ == "__main__":
    run(main, Options)
