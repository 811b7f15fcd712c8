"""Is a goal env fit for training? What is broken (then the exit code is 1), what training adapts, and what may be hard.

Example: python -m scripts.check_env --env my_env.py:MyEnv
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from thalweg.scripts.cli import check_ranges, parse_env_kwargs, run


@dataclass(frozen=True, kw_only=True)
class Options:
    env: str  # Gymnasium id, module:Id, or path/to/file.py:Class
    env_kwargs: str = "{}"  # of the env, as JSON: '{"size": 11}'
    steps: int = 1000  # env steps of random walks to judge by
    seed: int = 0


def main(options: Options) -> int:
    check_ranges(options, steps=(100, 10_000_000), seed=(0, 2**32 - 1))  # fewer are too few to judge by
    env_kwargs = parse_env_kwargs(options.env_kwargs)

    from stable_baselines3.common.env_checker import check_env

    import thalweg.envs  # noqa: F401 (registers ours)
    from thalweg.envs.checks import GYMNASIUM, examine
    from thalweg.envs.loading import raw_env

    make = partial(raw_env, options.env, **env_kwargs)
    made = make()  # bad input, unlike a broken promise, if it cannot be made
    with suppress(Exception):  # closing it is for the checks
        made.close()
    checkers = {**GYMNASIUM, "stable-baselines3": check_env}
    verdict = examine(make, batch_maker(options.env, env_kwargs), options.steps, options.seed, checkers)
    found, checks = verdict.problems, f"({len(verdict.checks)} checks)"
    if found.broken:
        print(f"{options.env} breaks {len(found.broken)} of its promises {checks}")
    else:
        print(f"{options.env} keeps every promise{' that training needs' if found else ''} {checks}")
    if found:
        print(found)
    return 1 if found.broken else 0


def batch_maker(env: str, env_kwargs: dict[str, Any]) -> Any:
    """What makes a batch of n, where the env is registered with one of its own; else None."""
    import gymnasium as gym

    try:
        spec = gym.spec(env.rpartition(":")[2])
    except gym.error.Error:
        return None  # an env in a file
    if spec.vector_entry_point is None:
        return None
    return lambda num: gym.make_vec(env, num_envs=num, **env_kwargs)


if __name__ == "__main__":
    run(main, Options)
