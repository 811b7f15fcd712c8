"""Hindsight replay whose rewards *and endings* belong to the goal in the sample."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.buffers import DictReplayBuffer
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from thalweg.planner.data.trajectories import Trajectory
from thalweg.planner.goal_space import GoalSpace
from thalweg.planner.many_maps.layout import Layout

from .batch import HerSamples
from .goal_tolerance import GoalTest
from .map_numbers import map_numbers_of
from .neighbours import NeighbourIndex

Array = NDArray[np.floating]

_COLUMNS = ("actions", "rewards", "dones", "timeouts", "first_step", "last_step")  # besides the observations
_METRIC = ("units", "periods", "origin")  # of goals whose nearness is not plain
_NEAREST_OF = 24  # random stored goals among which the spatially nearest becomes the hard negative
_REBUILD = 1.25  # growth of the buffer after which its places are indexed anew


class HerBuffer(DictReplayBuffer):
    """A batch mixes three kinds of goals: achieved soon after, near in space, and the transition's own.

    SB3's `HerReplayBuffer` relabels goal and reward but keeps the stored `done` (SB3 #627): a mass that flies through
    its relabelled goal keeps paying, and -Q overestimates distance. Here a sample ends where its own goal is reached.
    Goals that are near in space but far in steps show the critic what a wall is; without them short false edges spoil
    every graph. `last_step` is kept up to date as transitions arrive, so that sampling costs O(batch), and episodes
    still in progress can be sampled.

    Where states end in a picture of their map (`layout`), goals come from the same map: elsewhere they may lie in a wall.
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Dict,
        action_space: spaces.Space,
        env: VecEnv,
        relabel_horizon: int,
        future_share: float,
        nearby_share: float,
        layout: Layout | None = None,
        device: str = "auto",
        n_envs: int = 1,
        optimize_memory_usage: bool = False,
        handle_timeout_termination: bool = True,
    ) -> None:
        super().__init__(
            buffer_size, observation_space, action_space, device, n_envs, optimize_memory_usage, handle_timeout_termination
        )
        self.goal_test = GoalTest(env)
        self.space = GoalSpace(int(np.prod(self.obs_shape["achieved_goal"])))
        self.relabel_horizon = relabel_horizon
        self.future_share = future_share
        self.nearby_share = nearby_share
        self.map_numbers = map_numbers_of(layout)
        self.maps = np.zeros((self.buffer_size, n_envs), dtype=np.int64)  # the number of the map that each step was in
        self.last_step = np.zeros((self.buffer_size, n_envs), dtype=np.int64)  # last stored step of the same episode
        self.first_step = np.zeros((self.buffer_size, n_envs), dtype=np.int64)
        self._episode_start = np.zeros(n_envs, dtype=np.int64)
        self._index: NeighbourIndex | None = None  # of the achieved goals stored some time ago
        self.num_added = 0  # steps of all envs, those overwritten since among them
        self.rng = np.random.default_rng(0)

    def measure(self, space: GoalSpace) -> None:
        """What is near, and what is a short way round, from now on."""
        if not (space.is_plain and self.space.is_plain):  # else the same places are near as were before
            self._index = None
        self.space = space
        self.goal_test.space = space if space.wraps else None

    def seed(self, seed: int | None) -> None:
        self.rng = np.random.default_rng(seed)

    def add(  # type: ignore[override]
        self,
        obs: dict[str, Array],
        next_obs: dict[str, Array],
        action: Array,
        reward: Array,
        done: Array,
        infos: list[dict[str, Any]],
    ) -> None:
        step = self.pos
        self.maps[step] = self.map_numbers.of(obs["observation"])
        super().add(obs, next_obs, action, reward, done, infos)
        self.num_added += 1
        for env, start in enumerate(self._episode_start):
            self.last_step[start : step + 1, env] = step
        self.first_step[step] = self._episode_start
        # An episode that reaches the end of the buffer is stored as two: indices never wrap within an episode.
        wrapped = self.pos <= step
        self._episode_start = np.where(np.asarray(done, dtype=bool) | wrapped, self.pos, self._episode_start)
        if self.full and self.map_numbers.many:  # what is overwritten may have been of another map
            self._index = None

    def sample(self, batch_size: int, env: VecNormalize | None = None, batches: int = 1) -> HerSamples:  # type: ignore[override]
        """So many batches, one after the other: drawn at once, each takes 0.4 of the time."""
        rows = self.rng.integers(self.num_stored * self.n_envs, size=batches * batch_size)
        observations = {key: _at_rows(values, rows) for key, values in self.observations.items()}
        next_observations = {key: _at_rows(values, rows) for key, values in self.next_observations.items()}
        achieved, goals = next_observations["achieved_goal"], observations["desired_goal"]
        num_future, num_nearby = int(batch_size * self.future_share), int(batch_size * self.nearby_share)
        in_batch = np.arange(len(rows)) % batch_size
        future, hindsight = in_batch < num_future, in_batch < num_future + num_nearby
        nearby = hindsight & ~future
        chosen, realised = np.empty_like(rows), np.full(len(rows), np.inf, dtype=np.float32)
        chosen[future], realised[future] = self.future_places(rows[future])
        chosen[nearby] = self.nearby_places(achieved[nearby], _at_rows(self.maps, rows[nearby]))
        chosen = chosen[hindsight]
        goals[hindsight] = self.goals_at(chosen)
        next_observations["desired_goal"] = goals
        rewards = self.goal_test.rewards(achieved, goals)
        ends, of_goals = np.split(self.shared(np.concatenate([rows + self.num_places, chosen])), [len(rows)])
        tensor = partial(self.to_torch, copy=False)  # the arrays are this call's own
        return HerSamples(
            observations={key: tensor(values) for key, values in observations.items()},
            actions=tensor(_at_rows(self.actions, rows)),
            next_observations={key: tensor(values) for key, values in next_observations.items()},
            dones=tensor((rewards == 0.0).astype(np.float32)[:, None]),
            rewards=tensor(rewards[:, None]),
            realised=tensor(realised[:, None]),
            places=tensor(np.stack([rows, ends])),
            goal_places=tensor(of_goals),
        )

    def future_places(self, rows: NDArray, least: int = 0) -> tuple[NDArray, Array]:
        """(B,) -> places (B,) that are `least` to `relabel_horizon` steps of the episode away, and these steps (B,).

        By none, too: a state must learn that it is where it is. How many steps lead back there is not known: inf.
        """
        ahead = self.rng.integers(least, self.relabel_horizon + 1, size=len(rows))
        ahead = np.minimum(ahead, _at_rows(self.last_step, rows) - rows // self.n_envs + 1)
        here = ahead == 0
        after = rows + (ahead - 1) * self.n_envs + self.num_places
        return np.where(here, rows, after), np.where(here, np.inf, ahead)

    def nearby_places(self, achieved: Array, maps: NDArray) -> NDArray:
        """(B, G), (B,) -> (B,): per row, the spatially nearest of 1 to 24 random stored places, near ones and farther ones."""
        rows = self._random_rows(maps, _NEAREST_OF)
        there = _at_rows(self.next_observations["achieved_goal"], rows)  # (B, _NEAREST_OF, G)
        offsets = self.space.relative(self.space.offsets(achieved[:, None], there))
        gaps = np.einsum("bng,bng->bn", offsets, offsets)
        tried = (_NEAREST_OF + 1.0) ** self.rng.random(len(achieved))  # log-uniform
        nearest = np.where(np.arange(_NEAREST_OF) < tried[:, None], gaps, np.inf).argmin(axis=1)
        return rows[np.arange(len(rows)), nearest] + self.num_places

    def practice_goals(self, achieved: Array, maps: NDArray) -> tuple[Array, NDArray[np.bool_]]:
        """(B, G), (B,) -> goals (B, G) some steps on from a stored state that is next to it, and where there is any (B,).

        For use while collecting. Next to it among *all* stored states: among a few random ones the nearest is often behind a
        wall, and agents of a dense maze spent their practice pushing against walls. In a map that is new there is none.
        """
        if self.num_stored == 0:  # a training that goes on without what it had stored
            return achieved.copy(), np.zeros(len(achieved), dtype=bool)
        if self._index is None or self.num_stored * self.n_envs > _REBUILD * len(self._index):
            self._index = self._indexed()
        rows, known = self._index.one_next_to(achieved, maps, self.rng)
        return self.goals_at(self.future_places(rows, least=1)[0]), known

    @property
    def num_places(self) -> int:
        """How many places there is room for before all steps, and after them. The place before step t of env e has the number
        of its row, t n_envs + e, the one after it `num_places` more; but see `shared`."""
        return self.buffer_size * self.n_envs

    def shared(self, places: NDArray) -> NDArray:
        """(...) numbers -> numbers (...): where a step ended, the next of its episode begins, and that one's number is both's.

        So a place has one number, even if the step that begins there is not stored yet. Where it would overwrite another, it is
        not waited for.
        """
        after, rows = np.divmod(places, self.num_places)
        steps, envs = np.divmod(rows, self.n_envs)
        goes_on = _at_rows(self.last_step, rows) > steps
        if not self.full:
            goes_on |= (steps == self.pos - 1) & (self._episode_start[envs] < self.pos)
        return np.where((after == 1) & goes_on, rows + self.n_envs, places)

    def next_place(self) -> int | None:
        """The number of the place that the first env is in, the others' follow; None once the buffer is full: other steps still
        have them."""
        return None if self.full else self.pos * self.n_envs

    def places_since(self, num_added: int) -> NDArray:
        """Numbers of the places before all steps that are stored and came in since there were `num_added`."""
        fresh = min(self.num_added - num_added, self.buffer_size)
        steps = (self.pos - fresh + np.arange(fresh)) % self.buffer_size
        return (steps[:, None] * self.n_envs + np.arange(self.n_envs)).reshape(-1)

    def goals_at(self, places: NDArray) -> Array:
        """(B,) numbers -> (B, G)"""
        return self._at(places, "achieved_goal")

    def states_at(self, places: NDArray) -> Array:
        """(B,) numbers -> (B, S)"""
        return self._at(places, "observation")

    def pursued_at(self, rows: NDArray) -> Array:
        """(B,) numbers of places before steps -> the goals that were pursued in these (B, G)."""
        return _at_rows(self.observations["desired_goal"], rows)

    def _at(self, places: NDArray, key: str) -> Array:
        after, rows = np.divmod(places, self.num_places)
        values = _at_rows(self.observations[key], rows)
        later = np.flatnonzero(after)
        values[later] = _at_rows(self.next_observations[key], rows[later])
        return values

    def _random_rows(self, maps: NDArray, count: int) -> NDArray:
        """(B,) -> (B, count) random stored transitions of these maps."""
        if not self.map_numbers.many:
            return self.rng.integers(self.num_stored * self.n_envs, size=(len(maps), count))
        if self._index is None or not self._index.holds(maps):
            self._index = self._indexed()
        return self._index.some_of(maps, count, self.rng)

    def _indexed(self) -> NeighbourIndex:
        maps = self.maps[: self.num_stored].reshape(-1)
        return NeighbourIndex(self.stored("achieved_goal").reshape(len(maps), -1), maps, self.map_numbers.many, self.space)

    def content(self) -> dict[str, NDArray]:
        """All that is stored, for `restore`. Of a buffer that has wrapped, the oldest step comes first."""
        arrays = {name: getattr(self, name) for name in self._columns}
        arrays |= {f"observations/{key}": values for key, values in self.observations.items()}
        arrays |= {f"next_observations/{key}": values for key, values in self.next_observations.items()}
        stored = {name: values[: self.num_stored] for name, values in arrays.items()}
        if self.full and self.pos != 0:
            oldest = self.pos
            # of the oldest episode the beginning may be gone: it begins where what is left of it does
            after = np.arange(self.buffer_size)[:, None] >= oldest
            stored["first_step"] = np.where(after, np.maximum(self.first_step, oldest), self.first_step)
            for name in ("first_step", "last_step"):
                stored[name] = (stored[name] - oldest) % self.buffer_size
            stored = {name: np.roll(values, -oldest, axis=0) for name, values in stored.items()}
        metric = {} if self.space.is_plain else {name: np.array(getattr(self.space, name)) for name in _METRIC}
        return stored | metric | {"arrival_scale": np.array(self.goal_test.scale)}

    def grow(self, num_steps: int) -> None:
        """Make room for so many steps of each env, where there is less; places get other numbers.

        ValueError if steps have been overwritten: then what is stored has no beginning to go on from.
        """
        if num_steps <= self.buffer_size:
            return
        if self.full and self.pos != 0:
            raise ValueError("a replay buffer that has overwritten its oldest steps cannot grow")
        stored, was_full = self.num_stored, self.full
        for name in ("maps", *_COLUMNS):
            setattr(self, name, _longer(getattr(self, name), num_steps, stored))
        for part in (self.observations, self.next_observations):
            part.update({key: _longer(values, num_steps, stored) for key, values in part.items()})
        self.buffer_size, self.pos, self.full = num_steps, stored, False
        if was_full:  # the episodes that the old end cut stay cut
            self._episode_start[:] = self.pos

    def restore(self, content: dict[str, NDArray]) -> None:
        """Put the `content` of another buffer into this empty one; new episodes follow. ValueError if it does not fit."""
        num_steps, num_envs = content["rewards"].shape
        if num_envs != self.n_envs or num_steps > self.buffer_size:
            room = f"{self.buffer_size} x {self.n_envs}"
            raise ValueError(f"a replay of {num_steps} steps x {num_envs} envs does not fit into a buffer of {room}")
        for name in self._columns:
            getattr(self, name)[:num_steps] = content[name]
        for part in ("observations", "next_observations"):
            for key, values in getattr(self, part).items():
                values[:num_steps] = content[f"{part}/{key}"]
        self.goal_test.scale = float(content["arrival_scale"])
        if set(_METRIC) <= set(content):
            units, periods, origin = (tuple(content[name].tolist()) for name in _METRIC)
            self.measure(GoalSpace(self.space.size, units, periods, origin))
        self.pos, self.full, self.num_added = num_steps % self.buffer_size, num_steps == self.buffer_size, num_steps
        numbers, first = np.unique(self.maps[:num_steps], return_index=True)
        states = self.stored("observation").reshape(-1, *self.obs_shape["observation"])[first]
        self.map_numbers.restore(numbers, states)
        self.begin_episodes()

    def begin_episodes(self) -> None:
        """Whatever comes next belongs to new episodes."""
        self._episode_start[:] = self.pos
        self._index = None

    def stored(self, key: str) -> Array:
        """(N, n_envs, ...): what has been stored so far of one observation key."""
        return self.observations[key][: self.num_stored]

    def moves(self) -> Array:
        """(N, n_envs, G): how far each stored step moved the achieved goal, the short way round."""
        return self.space.offsets(self.stored("achieved_goal"), self.next_observations["achieved_goal"][: self.num_stored])

    def trajectories(self) -> list[Trajectory]:
        """The episodes, cut where they were cut by the buffer's end, as trajectories of at least two states; actions are the
        env's."""
        states, goals, actions = self.stored("observation"), self.stored("achieved_goal"), self._env_actions()
        trajectories = []
        for env in range(self.n_envs):
            for first in np.unique(self.first_step[: len(states), env]):
                last = self.last_step[first, env]
                if last > first:
                    part = slice(first, last + 1)
                    done = actions[first:last, env].copy()
                    trajectories.append(Trajectory(states[part, env].copy(), goals[part, env].copy(), done))
        return trajectories

    def _env_actions(self) -> Array:
        """(N, n_envs, A): stored in [-1, 1], said in the env's own units."""
        low, high = self.action_space.low, self.action_space.high  # type: ignore[attr-defined]  # SAC admits Boxes alone
        return (low + 0.5 * (self.actions[: self.num_stored] + 1.0) * (high - low)).astype(np.float32)

    @property
    def _columns(self) -> tuple[str, ...]:
        return (*_COLUMNS, *self.map_numbers.columns)

    @property
    def num_stored(self) -> int:
        """Steps of each env."""
        return self.buffer_size if self.full else self.pos


def _longer(values: NDArray, num_steps: int, stored: int) -> NDArray:
    """(T, ...) -> (num_steps, ...), the stored ones in front."""
    longer = np.zeros((num_steps, *values.shape[1:]), dtype=values.dtype)
    longer[:stored] = values[:stored]
    return longer


def _at_rows(values: NDArray, rows: NDArray) -> NDArray:
    """(T, n_envs, ...) at rows (...), numbers t n_envs + e: several times quicker than with two indices."""
    return values.reshape(-1, *values.shape[2:]).take(rows, axis=0)
