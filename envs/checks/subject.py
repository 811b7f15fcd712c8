"""The env under test: fresh copies, the episodes that most checks read, and what its rewards call a success."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import TimeLimit

from .layers import layers, method_of, without_guards
from .problem import EnvRaised, call
from .record import Array, Episode, Policy, finite_bounds, holder, play_on, replayer, start_episode, walker
from .steering import nearest_to_goal, steering
from .transitions import Transitions, number_or_none, stack, states_and_goals, success_flag

NUM_WALKS = 12  # resets enough to see whether goals vary
NUM_SEEDS = 60  # looked through for starts near their goals
NUM_HELD, HELD_STEPS = 8, 200  # episodes of one push each, and their length at most
LONGEST_EPISODE = 10_000  # steps; an episode that is not over by then never ends


@dataclass(frozen=True, eq=False, kw_only=True)
class Record:
    """The episodes of one subject: random walks, walks steered to the goal, and one or two of standing still to the end."""

    walks: list[Episode] = field(default_factory=list)
    steered: list[Episode] = field(default_factory=list)
    still: list[Episode] = field(default_factory=list)
    by_seed: list[Any] = field(default_factory=list)  # the observation after reset(seed=s), s = seed, seed + 1, ...
    errors: list[EnvRaised] = field(default_factory=list)

    @property
    def episodes(self) -> list[Episode]:
        return self.walks + self.steered + self.still


class Subject:
    def __init__(
        self, make: Callable[[], gym.Env], make_batch: Callable[[int], gym.vector.VectorEnv] | None, steps: int, seed: int
    ) -> None:
        self.make, self.make_batch, self.steps, self.seed = make, make_batch, steps, seed
        self.is_odd = False  # said by the check of the calls: answers then go through `Mended`
        self.second_fails: EnvRaised | None = None  # what making a second env raises while the first is open
        self._made: list[gym.Env] = []
        self._mended = False  # is `used` made after it was found odd?
        self._first, self._used = self._two()

    def _two(self) -> tuple[gym.Env, gym.Env]:
        """Two envs; one and the same where no second can be made while the first is open."""
        first = self.env()
        try:
            return first, self.env()
        except EnvRaised as error:
            self.close()
            alone = self.env()  # EnvRaised, if that cannot be made either
            self.second_fails = error
            return alone, alone

    def env(self, as_written: bool = False) -> gym.Env:
        """A fresh env without the wrappers of `gym.make` that raise or warn before a check sees what the env returned.

        Where there can be but one, the one before is closed.
        """
        if self.second_fails is not None:
            self.close()
        env = without_guards(call("making the env", self.make), mend=self.is_odd and not as_written)
        self._made.append(env)
        return env

    def close(self) -> None:
        for env in self._made:
            try:
                env.close()
            except Exception:
                continue  # reported by the check of close
        self._made.clear()

    def _open(self, env: gym.Env) -> gym.Env:
        """It, or where there can be but one, that one."""
        if self.second_fails is None:
            return env
        return self._made[-1] if self._made else self.env()

    @property
    def first(self) -> gym.Env:
        """For looking at, and for the check of the calls."""
        return self._open(self._first)

    @property
    def used(self) -> gym.Env:
        """For all that begins with a reset and needs no fresh env: some take long to make."""
        if self.is_odd and not self._mended:
            self._used, self._mended = self.env(), True
        return self._open(self._used)

    @property
    def has_time_limit(self) -> bool:
        return any(isinstance(layer, TimeLimit) for layer in layers(self.first))

    @property
    def continues(self) -> bool:
        """Said by gymnasium-robotics: the episode goes on at the goal, so that nothing terminates it."""
        return getattr(self.first.unwrapped, "continuing_task", False) is True

    @cached_property
    def record(self) -> Record:
        record = Record()
        max_steps = max(self.steps // NUM_WALKS, 2)
        space = self.first.action_space
        walk = walker(space, np.random.default_rng(self.seed))
        for index in range(NUM_WALKS):  # the first reset is seeded, the others go on from it, as in training
            with _errors_to(record):
                self._play(self.used, record.walks, walk, max_steps, self.seed if index == 0 else None)
        with _errors_to(record):
            for seed in range(self.seed, self.seed + NUM_SEEDS):
                record.by_seed.append(start_episode(self.used, seed).observation)
        steer = steering(record.walks, space) or walk
        for index in nearest_to_goal(record.by_seed)[:NUM_WALKS]:
            with _errors_to(record):
                self._play(self.used, record.steered, steer, max_steps, self.seed + index)
        with _errors_to(record):
            env = self.env()
            self._play(env, record.still, holder(space), LONGEST_EPISODE, self.seed)
            if record.still[0].ended and not self.has_time_limit:
                self._play(env, record.still, holder(space), LONGEST_EPISODE, None)
        return record

    def _play(self, env: gym.Env, episodes: list[Episode], policy: Policy, max_steps: int, seed: int | None) -> None:
        episodes.append(start_episode(env, seed))
        play_on(env, episodes[-1], policy, max_steps)

    def replay(self, env: gym.Env, episode: Episode, actions: list[Array], max_steps: int | None = None) -> Episode:
        """The episode, played on by these actions. It stops short where an env raises of which that is known already."""
        try:
            return play_on(env, episode, replayer(actions), len(actions) if max_steps is None else max_steps)
        except EnvRaised:
            if not self.record.errors:
                raise
            return episode

    @cached_property
    def transitions(self) -> Transitions:
        return stack(self.record.episodes)

    @cached_property
    def states_and_goals(self) -> list[tuple[Array, Array] | None]:
        """Of each episode, (T + 1, S) observations and (T + 1, G) achieved goals, where well-formed."""
        return [states_and_goals(episode) for episode in self.record.episodes]

    @cached_property
    def pairs(self) -> tuple[Array, Array]:
        """(M, G), (M, G) goals to probe rewards with, in turn the same, a few steps apart, and far apart; perhaps M = 0."""
        table = self.transitions
        rows = np.arange(len(table))[:: max(len(table) // 200, 1)]
        achieved, others = table.achieved[rows], table.achieved[rows]
        others[1::3] = table.achieved[rows - 3][1::3]
        others[2::3] = table.desired[rows[::-1]][2::3]
        return achieved, others

    @property
    def judge(self) -> gym.Env:
        """An env that is not stepped, in an episode of its own: a reward that reads the env's state gives itself away."""
        return self.first if self.second_fails is not None else self._judge

    @cached_property
    def _judge(self) -> gym.Env:
        env = self.env() if self.is_odd else self.first
        start_episode(env, self.seed + 1)
        return env

    @cached_property
    def batch_agrees(self) -> bool:
        """Whether compute_reward gives a batch what it gives its pairs: else the single pairs are believed."""
        try:
            one_by_one = rewards_of(self.judge, *self.pairs, at_once=False)
        except EnvRaised:
            return True  # there is nothing else to believe
        return np.allclose(rewards_of(self.judge, *self.pairs), one_by_one)

    def rewards(self, achieved: Array, desired: Array) -> Array:
        """(N, G), (N, G) -> (N,) by the judge. EnvRaised where compute_reward does not work."""
        return rewards_of(self.judge, achieved, desired, self.batch_agrees)

    @cached_property
    def reward_values(self) -> tuple[Array, Array]:
        """compute_reward of each goal with itself, and of all pairs tried; empty where it does not work."""
        table = self.transitions
        goals = np.concatenate([self.pairs[0], table.desired[:200]])
        try:
            alike = self.rewards(goals, goals)
            return alike, np.concatenate([alike, self.rewards(*self.pairs), self.rewards(table.achieved, table.desired)])
        except EnvRaised:
            return np.zeros(0), np.zeros(0)

    @cached_property
    def reward_reads_state(self) -> bool:
        """True where compute_reward of the same goals changes with the episode that the env is in."""
        answers = []
        try:
            for seed in range(self.seed + 2, self.seed + 6):
                start_episode(self.used, seed)
                answers.append(rewards_of(self.used, *self.pairs))
        except EnvRaised:
            return False  # reported by the check that calls it
        return any(not np.allclose(answer, answers[0], equal_nan=True) for answer in answers)

    @cached_property
    def success_value(self) -> float | None:
        """What compute_reward gives a goal that is reached exactly; None unless it is one value of two."""
        alike, values = self.reward_values
        known = len(values) and np.isfinite(values).all() and np.ptp(alike) == 0 and len(np.unique(values)) == 2
        return float(alike[0]) if known and not self.reward_reads_state else None

    def reached(self, achieved: Array, desired: Array) -> Array | None:
        """(N, G), (N, G) -> (N,) truth: the goal test that the rewards imply; None where they imply none."""
        if self.success_value is None:
            return None
        return self.rewards(achieved, desired) == self.success_value

    @cached_property
    def held(self) -> list[Episode]:
        """Episodes of one push each, held to the end, as far as the env plays them: what is far is reached so, if at all."""
        space = self.used.action_space
        if not isinstance(space, spaces.Box):
            return []
        low, high = finite_bounds(space)
        sides = np.array(list(product((0, 1), repeat=low.size))) if low.size <= 3 else None
        if sides is None:
            sides = np.random.default_rng(self.seed).integers(0, 2, (NUM_HELD, low.size))
        episodes: list[Episode] = []
        for number, side in enumerate(sides):
            push = (low + side.reshape(low.shape) * (high - low)).astype(space.dtype)
            with suppress(EnvRaised):  # reported by the check of the actions
                self._play(self.used, episodes, _held(push), HELD_STEPS, self.seed + number)
        return episodes

    @cached_property
    def reached_at_step(self) -> Array | None:
        """(N,) for the transitions: by the rewards, or where they are dense by the env's own success flag."""
        table = self.transitions
        reached = self.reached(table.achieved, table.desired)
        flags = [success_flag(info) for info in table.info]
        if reached is None and flags and None not in flags:
            return np.array(flags, dtype=bool)
        return reached

    def held_goals(self) -> list[tuple[Array, Array]]:
        """Of the held episodes, (T + 1, S) observations and (T + 1, G) achieved goals, where well-formed."""
        return [pair for episode in self.held if (pair := states_and_goals(episode)) is not None]


def _held(push: Array) -> Policy:
    return lambda observation, number: push


@contextmanager
def _errors_to(record: Record) -> Iterator[None]:
    """An env that raises ends an episode; the record goes on with the next."""
    try:
        yield
    except EnvRaised as error:
        record.errors.append(error)


def rewards_of(env: gym.Env, achieved: Array, desired: Array, at_once: bool = True) -> Array:
    """(N, G), (N, G) -> (N,) by compute_reward: all at once, or one by one where that is not wanted or does not work."""
    compute = method_of(env, "compute_reward")
    if compute is None:
        raise EnvRaised("compute_reward", AttributeError("it does not exist"))
    if at_once:
        try:
            rewards = np.asarray(compute(achieved.copy(), desired.copy(), [{} for _ in achieved]), dtype=np.float64)
            if rewards.shape == (len(achieved),):
                return rewards + 0.0  # no -0 in messages
        except Exception:
            at_once = False  # reported by the check of compute_reward
    one_by_one = [call("compute_reward", compute, a.copy(), d.copy(), {}) for a, d in zip(achieved, desired, strict=True)]
    numbers = [number_or_none(reward) for reward in one_by_one]
    return np.array([np.nan if number is None else number + 0.0 for number in numbers])
