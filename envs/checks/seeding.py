"""reset(seed) fixes the episode and all that follows, whoever else draws random numbers or steps another env."""

from __future__ import annotations

from collections.abc import Iterator

import gymnasium as gym
import numpy as np

from .layers import takes, without_time_limit
from .problem import Problem, call
from .record import Array, Episode, global_generators, identical, same, same_episode, start_episode, walker
from .subject import Subject

SUPER = "super().reset(seed=seed) first, then draw everything from self.np_random"
_NUM_STEPS = 20


def check_seed(subject: Subject) -> Iterator[Problem]:
    """The same seed gives the same two episodes; other seeds and later resets give others."""
    if not takes(without_time_limit(subject.first).reset, "seed"):
        return  # reported by the check of the calls
    seeds = (0, subject.seed + 1)
    other = subject.env()
    causes = {seed: cause for seed in seeds if (cause := _cause_of_difference(subject, other, seed)) is not None}
    if list(causes) == [0] and _repeats_in_fresh_envs(subject, subject.seed + 1):
        what = "reset(seed=0) gives another episode each time, though other seeds repeat"
        yield Problem(check="seed", what=what, fix=f"write `if seed is not None`, never `if seed`: {SUPER}")
    elif causes:
        seed, (what, fix) = next(iter(causes.items()))
        yield Problem(check="seed", what=f"reset(seed={seed}) twice, same actions: {what}", fix=fix)
    yield from _variety_problems(subject)


def _variety_problems(subject: Subject) -> Iterator[Problem]:
    by_seed = subject.record.by_seed
    unseeded = [walk.observation for walk in subject.record.walks[1:]]
    if len(by_seed) < 2 or len(unseeded) < 2:
        return
    fixed_by_seed = all(identical(observation, by_seed[0]) for observation in by_seed)
    fixed_unseeded = all(identical(observation, unseeded[0]) for observation in unseeded)
    if fixed_by_seed and not fixed_unseeded:
        what = f"reset(seed) gives the same start and goal for {len(by_seed)} different seeds"
        yield Problem(check="seed", what=what, fix=SUPER)
    if fixed_unseeded and not fixed_by_seed:
        what = "every reset() without a seed repeats the same start and goal: training would see one episode"
        fix = f"let seed default to None and pass it on as it comes; {SUPER}"
        yield Problem(check="seed", what=what, fix=fix)


def _cause_of_difference(subject: Subject, other_env: gym.Env, seed: int) -> tuple[str, str] | None:
    """What differs between two runs of one seed, and the fix for the likeliest cause; None where nothing does."""
    actions = _actions(subject)
    first = _two_episodes(subject, subject.used, seed, actions, 1)
    _two_episodes(subject, subject.used, seed + 1, actions, 2)
    again = _two_episodes(subject, subject.used, seed, actions, 3)
    elsewhere = _two_episodes(subject, other_env, seed, actions, 4)
    if _alike(first, again) and _alike(first, elsewhere):
        return None
    part = _first_difference(first, again) if not _alike(first, again) else _first_difference(first, elsewhere)
    one, two, other = (_two_episodes(subject, subject.env(), seed, actions, number) for number in (1, 1, 2))
    if not _alike(one, two):
        return part, f"a generator of the env's own is not seeded: {SUPER}"
    if not _alike(one, other):
        return part, f"numpy's or Python's global generator is used: {SUPER}"
    return part, "something outlives reset: set position, velocity, goal, counters and noise anew in reset"


def _repeats_in_fresh_envs(subject: Subject, seed: int) -> bool:
    actions = _actions(subject)
    return _alike(
        _two_episodes(subject, subject.env(), seed, actions, 1), _two_episodes(subject, subject.env(), seed, actions, 2)
    )


def _actions(subject: Subject) -> list[Array]:
    walk = walker(subject.first.action_space, np.random.default_rng(subject.seed))
    return [walk(None, number) for number in range(1, _NUM_STEPS + 1)]


def _two_episodes(subject: Subject, env: gym.Env, seed: int, actions: list[Array], global_seed: int) -> list[Episode]:
    """A seeded episode and the unseeded one that follows, with the global generators in a state of the caller's."""
    episodes = []
    for number, episode_seed in enumerate((seed, None)):
        with global_generators(10 * global_seed + number):
            episodes.append(start_episode(env, episode_seed))
        with global_generators(10 * global_seed + 5 + number):
            subject.replay(env, episodes[-1], actions)
    return episodes


def _alike(one: list[Episode], two: list[Episode]) -> bool:
    return all(same_episode(a, b) for a, b in zip(one, two, strict=True))


def _first_difference(one: list[Episode], two: list[Episode]) -> str:
    names = ("", " of the reset() that follows")
    for name, a, b in zip(names, one, two, strict=True):
        if not same(a.observation, b.observation):
            return f"the start or the goal{name} differs"
        if not same_episode(a, b):
            return f"the episode{name} starts alike and goes on otherwise"
    return "they differ"


def check_instances(subject: Subject) -> Iterator[Problem]:
    """Two envs of one kind, stepped in turn, do not disturb each other."""
    if subject.second_fails is not None:
        what = f"a second env cannot be made while one is open: {subject.second_fails.error}"
        fix = "train with one env at a time: --agent.num-envs 1, or agent=AgentConfig(num_envs=1)"
        yield Problem(check="instances", what=what, fix=fix, severity="advice")
        return
    actions = _actions(subject)
    env, other_env = subject.used, subject.env()
    alone, again = (_two_episodes(subject, env, subject.seed, actions, number)[0] for number in (1, 2))
    if not same_episode(alone, again):
        return  # reported by the check of seeds
    episode, other = start_episode(env, subject.seed), start_episode(other_env, subject.seed + 1)
    for number in range(1, _NUM_STEPS + 1):
        subject.replay(env, episode, actions, number)
        subject.replay(other_env, other, actions[::-1], number)
    call("close()", other_env.close)
    once_more = _two_episodes(subject, env, subject.seed, actions, 3)[0]  # unlike alone, if something outlives resets
    if not same_episode(alone, episode) and same_episode(alone, once_more):
        what = "two envs made one after the other share state: stepping one moves the other"
        fix = "make arrays in __init__ or reset (self.position = np.zeros(2)), not in the class body or as default arguments"
        yield Problem(check="instances", what=what, fix=fix)
