"""All checks, one after the other; none hides another, and what training refuses is among what is broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import gymnasium as gym
from gymnasium.utils.env_checker import check_env

from ..guard import EnvError
from ..loading import GoalEnvs
from . import actions, batch, endings, goals, hints, interface, observations, outside, reward, seeding
from .problem import SEVERITIES, EnvRaised, Findings, Problem
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
        "precision": hints.check_precision,
        "angles": hints.check_angles,
        "units": hints.check_units,
    }
)
GYMNASIUM: Mapping[str, Checker] = MappingProxyType(
    {"gymnasium": partial(check_env, skip_render_check=True, skip_close_check=True)}
)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    checks: list[str]  # the names of those that applied, in order
    problems: Findings  # the broken first


def check_goal_env(
    make: Callable[[], gym.Env],
    make_batch: Callable[[int], gym.vector.VectorEnv] | None = None,
    steps: int = 1000,
    seed: int = 0,
    outside_checkers: Mapping[str, Checker] = GYMNASIUM,
) -> Findings:
    """All that is found in a goal env, each with its severity and its fix; empty for an env in which nothing is.

    A list, the broken first: `check_env(make).broken` is empty for an env that can be trained in as it is. What is
    `adapted`, training deals with; `advice` is what may make it hard to learn.

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
    found: list[Problem] = []
    try:
        subject = Subject(make, make_batch, steps, seed)
    except EnvRaised as error:  # it cannot even be made
        return Verdict(checks=["runs"], problems=Findings([error.as_problem("runs")]))
    try:
        if interface.goal_is_too_large(_space_of_goals(subject.first)):  # the other checks would fill the memory
            return Verdict(checks=["spaces"], problems=Findings(interface.check_spaces(subject)))
        checks = _applicable(subject, outside_checkers, found)
        with global_generators(seed):  # an env that draws from them is judged alike each time
            for name, check in checks.items():
                for problem in _problems_of(name, check, subject, found):
                    if not any(_same_defect(problem, known) for known in found):
                        found.append(problem)
    finally:
        subject.close()
    return Verdict(checks=list(checks), problems=Findings(sorted(found, key=lambda each: SEVERITIES.index(each.severity))))


def _space_of_goals(env: gym.Env) -> Any:
    return getattr(getattr(env, "observation_space", None), "spaces", {}).get("desired_goal")


def _applicable(subject: Subject, outside_checkers: Mapping[str, Checker], found: list[Problem]) -> dict[str, Check]:
    checks = dict(CHECKS)
    if subject.first.render_mode == "rgb_array":
        checks["render"] = actions.check_render
    if subject.make_batch is not None and subject.second_fails is None:
        checks["batch"] = batch.check_batch
    checks["close"] = actions.check_close  # of an env that is used no more
    for name, checker in outside_checkers.items():
        checks[f"{name}'s checker"] = partial(outside.check_with, name, checker, found=found)
    checks["training"] = partial(_check_training, found=found)
    return checks


def _check_training(subject: Subject, *, found: list[Problem]) -> Iterator[Problem]:
    """What training itself refuses; said where nothing that was found says it."""
    name = type(subject.first.unwrapped).__name__
    subject.close()
    try:
        GoalEnvs(subject.make, name, {}).make().close()
    except EnvError as error:
        if not any(problem.severity == "broken" for problem in found):
            what, _, fix = str(error).partition("; ")
            yield Problem(check="training", what=f"training refuses: {what}", fix=fix or "mend what it says")


def _problems_of(name: str, check: Check, subject: Subject, found: list[Problem]) -> Iterator[Problem]:
    """What the check yields; an error of the env's own becomes a problem, and the other checks go on."""
    try:
        yield from check(subject)
    except EnvRaised as error:
        yield error.as_problem("runs")
    except Exception as error:
        if not found:  # else the problems found explain it
            what = f"the check broke off with {type(error).__name__}: {error}"
            fix = "see whether the env returns values of an unusual type or shape"
            yield Problem(check=name, what=what, fix=fix, severity="advice")  # what training refuses, it says itself


def _same_defect(one: Problem, two: Problem) -> bool:
    """The same finding, or the same line of the env raising in another phase."""
    return one == two or (one.check == two.check == "runs" and one.fix == two.fix)
