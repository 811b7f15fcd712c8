"""All checks, one after the other; none hides another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import gymnasium as gym
from gymnasium.utils.env_checker import check_env

from . import actions, batch, endings, goals, interface, observations, outside, reward, seeding
from .problem import EnvRaised, Problem
from .record import global_generators
from .subject import Subject

Check = Callable[[Subject], Iterator[Problem]]
Checker = Callable[[gym.Env], None]  # raises or warns, as gymnasium's check_env does


def _runs(subject: Subject) -> Iterator[Problem]:
    """Nothing raises in the episodes that the other checks read."""
    return (error.as_problem("runs") for error in subject.record.errors)


# In the order of the report; "api" comes first of those that step the env, since it says what can be stepped at all.
CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        "spaces": interface.check_spaces,
        "api": interface.check_api,
        "runs": _runs,
        "observations": observations.check_observations,
        "finite": observations.check_rewards_finite,
        "aliasing": observations.check_aliasing,
        "actions": actions.check_actions,
        "compute_reward": reward.check_compute_reward,
        "step reward": reward.check_step_reward,
        "sparse reward": reward.check_sparse,
        "termination": endings.check_termination,
        "success info": endings.check_success_info,
        "endings": endings.check_endings,
        "seed": seeding.check_seed,
        "instances": seeding.check_instances,
        "goal sampling": goals.check_goal_sampling,
        "achieved goal": goals.check_achieved_goal,
        "goal_of": goals.check_goal_of,
        "tolerance": goals.check_tolerance,
        "reachability": goals.check_reachability,
    }
)
GYMNASIUM: Mapping[str, Checker] = MappingProxyType(
    {"gymnasium": partial(check_env, skip_render_check=True, skip_close_check=True)}
)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    checks: list[str]  # the names of those that applied, in order
    problems: list[Problem]


def check_goal_env(
    make: Callable[[], gym.Env],
    make_batch: Callable[[int], gym.vector.VectorEnv] | None = None,
    steps: int = 1000,
    seed: int = 0,
    outside_checkers: Mapping[str, Checker] = GYMNASIUM,
) -> list[Problem]:
    """Every broken promise of a goal env, each with its fix; empty for an env that keeps them all.

    `make` makes the env as it is trained on, time limit included; `make_batch(n)` its batched version, where there is
    one. About `steps` env steps of random walks are the evidence, and as many steered to the goal. `outside_checkers`
    are called with an env each and count by what they raise or warn of.
    """
    return examine(make, make_batch, steps, seed, outside_checkers).problems


def examine(
    make: Callable[[], gym.Env],
    make_batch: Callable[[int], gym.vector.VectorEnv] | None = None,
    steps: int = 1000,
    seed: int = 0,
    outside_checkers: Mapping[str, Checker] = GYMNASIUM,
) -> Verdict:
    """`check_goal_env`, with the names of the checks that applied."""
    subject = Subject(make, make_batch, steps, seed)
    found: list[Problem] = []
    try:
        checks = _applicable(subject, outside_checkers, found)
        with global_generators(seed):  # an env that draws from them is judged alike each time
            for name, check in checks.items():
                for problem in _problems_of(name, check, subject, found):
                    if not any(_same_defect(problem, known) for known in found):
                        found.append(problem)
    except EnvRaised as error:  # it cannot even be made
        return Verdict(checks=["runs"], problems=[error.as_problem("runs")])
    finally:
        subject.close()
    return Verdict(checks=list(checks), problems=found)


def _applicable(subject: Subject, outside_checkers: Mapping[str, Checker], found: list[Problem]) -> dict[str, Check]:
    checks = dict(CHECKS)
    if subject.first.render_mode == "rgb_array":
        checks["render"] = actions.check_render
    if subject.make_batch is not None:
        checks["batch"] = batch.check_batch
    checks["close"] = actions.check_close  # of an env that is used no more
    for name, checker in outside_checkers.items():
        checks[f"{name}'s checker"] = partial(outside.check_with, name, checker, found=found)
    return checks


def _problems_of(name: str, check: Check, subject: Subject, found: list[Problem]) -> Iterator[Problem]:
    """What the check yields; an error of the env's own becomes a problem, and the other checks go on."""
    try:
        yield from check(subject)
    except EnvRaised as error:
        yield error.as_problem("runs")
    except Exception as error:
        if not found:  # an odd env breaks the check as it would break training; else the problems found explain it
            what = f"the check broke off with {type(error).__name__}: {error}"
            yield Problem(check=name, what=what, fix="look for values of an unusual type or shape in what the env returns")


def _same_defect(one: Problem, two: Problem) -> bool:
    """The same finding, or the same line of the env raising in another phase."""
    return one == two or (one.check == two.check == "runs" and one.fix == two.fix)
