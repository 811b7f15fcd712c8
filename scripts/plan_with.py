"""Plan with an agent that was trained elsewhere: make a run around a model's zip, which the other commands take.

Example: python -m scripts.plan_with --agent sac.zip --trust-pickle --env FetchReach-v4 --out runs/mine
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from thalweg.scripts.cli import UsageError, check_file_of, check_ranges, make_folder, parse_env_kwargs, run


@dataclass(frozen=True, kw_only=True)
class Options:
    agent: Path  # the zip that the model's save wrote: SAC, TD3, DDPG, TQC or GoalSAC
    env: str  # that it was trained in: Gymnasium id, module:Id, or path/to/file.py:Class
    out: Path  # the run folder to write; must not hold a run already
    trust_pickle: bool = False  # read the zip though it is a pickle, which can run code
    steps: int = 10_000  # env steps to drive now, from which distances are learned: a zip holds no replay
    seed: int = 0
    env_kwargs: str = "{}"  # of the env, as JSON
    progress: bool = True


def main(options: Options) -> None:
    env_kwargs = parse_env_kwargs(options.env_kwargs)
    check_ranges(options, steps=(1, 2**31), seed=(0, 2**32 - 1))
    check_file_of("--env", options.env)
    if (options.out / "manifest.json").exists():
        raise UsageError(f"--out {options.out} already holds a run; name another folder")
    make_folder(options.out)

    import torch

    from thalweg.adoption import plan_with
    from thalweg.envs.loading import as_goal_env

    torch.set_num_threads(1)
    made = plan_with(
        options.agent,
        as_goal_env(options.env, **env_kwargs),
        out=options.out,
        steps=options.steps,
        seed=options.seed,
        trust_pickle=options.trust_pickle,
        progress=options.progress,
    )
    print(
        f"{options.out}: {made.data.num_states:,} states, links of {made.sure_edge:.0f} steps; "
        f"evaluate and plan take it with --agent {options.agent}"
    )


if __name__ == "__main__":
    run(main, Options)
