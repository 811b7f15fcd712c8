"""A tiny correct goal env, and what people get wrong in theirs: one class a defect, whose `mended` version keeps the promise.

Each class shows the broken and the mended code side by side. The defects are those of forum threads, issue trackers and
our own first drafts; none is made for one checker.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import gymnasium as gym
import numpy as np
from gymnasium import spaces

STEP = 0.1  # per axis and step
LIMIT = 30  # steps


class Puck(gym.Env):
    """A puck without inertia on the plane from -1 to 1; state: position and last move, goal: a position."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}
    tolerance = 0.15
    mended = True
    time_limit: int | None = LIMIT

    def __init__(self, render_mode=None):
        self.render_mode = render_mode
        self.observation_space = spaces.Dict(
            observation=box(1.0, 1.0, STEP, STEP), achieved_goal=box(1.0, 1.0), desired_goal=box(1.0, 1.0)
        )
        self.action_space = box(1.0, 1.0)
        self.position = np.zeros(2)
        self.last_move = np.zeros(2)
        self.goal = np.zeros(2)
        self.steps = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.start()
        return self.observe(), {}

    def start(self):
        self.position = self.draw()
        self.last_move = np.zeros(2)
        self.steps = 0
        self.draw_goal()

    def draw_goal(self):
        self.goal = self.draw()
        while np.linalg.norm(self.goal - self.position) <= self.tolerance:
            self.goal = self.draw()

    def draw(self):
        return self.np_random.uniform(-1, 1, 2)

    def step(self, action):
        self.steps += 1
        self.move(action)
        observation = self.observe()
        reward = self.reward(observation)
        terminated = self.is_done(observation)
        return observation, reward, terminated, False, self.info(terminated)

    def move(self, action):
        before = self.position
        self.position = clipped(before + STEP * clipped(action, 1), 1)
        self.last_move = clipped(self.position - before, STEP)

    def observe(self):
        state = np.concatenate([self.position, self.last_move]).astype(np.float32)
        return {"observation": state, "achieved_goal": state[:2].copy(), "desired_goal": self.goal.astype(np.float32)}

    def reward(self, observation):
        return float(self.compute_reward(observation["achieved_goal"], observation["desired_goal"], {}))

    def is_done(self, observation):
        return bool(distance(observation["achieved_goal"], observation["desired_goal"]) <= self.tolerance)

    def info(self, terminated):
        return {"is_success": terminated, "success": terminated}

    def compute_reward(self, achieved_goal, desired_goal, info):
        return -(distance(achieved_goal, desired_goal) > self.tolerance).astype(np.float32)

    def render(self):
        return np.zeros((8, 8, 3), dtype=np.uint8)


def box(*highs):
    high = np.array(highs, dtype=np.float32)
    return spaces.Box(-high, high)


def clipped(vector, size):
    return np.minimum(np.maximum(vector, -size), size)


def distance(achieved_goal, desired_goal):
    return np.linalg.norm(np.asarray(achieved_goal) - np.asarray(desired_goal), axis=-1)


def limited(env):
    return env if env.time_limit is None else gym.wrappers.TimeLimit(env, env.time_limit)


@dataclass(frozen=True, kw_only=True)
class Defect:
    name: str
    check: str  # the check that is to find it
    says: str  # words of its message
    kind: type[Puck]
    batch: Callable[[type[Puck], int], gym.vector.VectorEnv] | None = None
    render_mode: str | None = None

    def make(self, mended: bool = False) -> gym.Env:
        kind = type(self.name, (self.kind,), {"mended": mended})
        return limited(kind(render_mode=self.render_mode))

    def make_batch(self, mended: bool):
        if self.batch is None:
            return None
        kind = type(self.name, (self.kind,), {"mended": mended})
        return lambda num: self.batch(kind, num)


DEFECTS: dict[str, Defect] = {}


def defect(check, says, **more):
    def register(kind):
        DEFECTS[kind.__name__] = Defect(name=kind.__name__, check=check, says=says, kind=kind, **more)
        return kind

    return register


# Spaces


@defect("spaces", "no gymnasium.spaces.Dict")
class PlainBoxObservations(Puck):
    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        if not self.mended:
            self.observation_space = self.observation_space["observation"]

    def observe(self):
        return super().observe() if self.mended else super().observe()["observation"]

    def reward(self, observation):
        return super().reward(Puck.observe(self))

    def is_done(self, observation):
        return super().is_done(Puck.observe(self))


@defect("spaces", "has no 'achieved_goal'")
class NoAchievedGoal(Puck):
    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        if not self.mended:
            self.observation_space = spaces.Dict({k: v for k, v in self.observation_space.items() if k != "achieved_goal"})

    def step(self, action):
        observation, *rest = super().step(action)
        return self.shown(observation), *rest

    def reset(self, *, seed=None, options=None):
        observation, info = super().reset(seed=seed, options=options)
        return self.shown(observation), info

    def shown(self, observation):
        return observation if self.mended else {k: v for k, v in observation.items() if k != "achieved_goal"}


@defect("spaces", "desired_goal (3,)")
class GoalWithAHeightThatNobodyAchieves(Puck):
    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        if not self.mended:
            self.observation_space["desired_goal"] = box(1.0, 1.0, 1.0)

    def observe(self):
        observation = super().observe()
        if not self.mended:
            observation["desired_goal"] = np.append(observation["desired_goal"], np.float32(0))
        return observation

    def compute_reward(self, achieved_goal, desired_goal, info):
        return super().compute_reward(achieved_goal, desired_goal[..., :2], info)

    def is_done(self, observation):
        return bool(distance(observation["achieved_goal"], observation["desired_goal"][:2]) <= self.tolerance)


@defect("spaces", "no one-dimensional Box")
class TwoByTwoObservation(Puck):
    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        if not self.mended:
            high = np.array([[1, 1], [STEP, STEP]], dtype=np.float32)
            self.observation_space["observation"] = spaces.Box(-high, high)

    def observe(self):
        observation = super().observe()
        if not self.mended:
            observation["observation"] = observation["observation"].reshape(2, 2)
        return observation


@defect("spaces", "no one-dimensional Box of floats")
class FourDirections(Puck):
    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        if not self.mended:
            self.action_space = spaces.Discrete(4)

    def move(self, action):
        directions = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])
        super().move(action if self.mended else directions[int(action)])


@defect("spaces", "is not finite")
class UnboundedActions(Puck):
    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        if not self.mended:
            self.action_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)


# The tuples of reset and step


@defect("api", "not 5 values")
class OldGymStep(Puck):
    def step(self, action):
        observation, reward, terminated, truncated, info = super().step(action)
        if self.mended:
            return observation, reward, terminated, truncated, info
        return observation, reward, terminated or truncated, info


@defect("api", "not (observation, info)")
class OldGymReset(Puck):
    def reset(self, *, seed=None, options=None):
        observation, info = super().reset(seed=seed, options=options)
        return (observation, info) if self.mended else observation


@defect("api", "does not take seed")
class ResetWithoutSeed(Puck):
    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        if not self.mended:
            self.reset = self.reset_without_seed

    def reset_without_seed(self):
        self.start()
        return self.observe(), {}


@defect("api", "no number")
class RewardIsAnArray(Puck):
    def reward(self, observation):
        return super().reward(observation) if self.mended else np.array([super().reward(observation)], dtype=np.float32)


@defect("api", "no bool")
class TerminatedIsANumber(Puck):
    def step(self, action):
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward, terminated if self.mended else float(terminated), truncated, info


@defect("api", "info is NoneType")
class NoInfo(Puck):
    def info(self, terminated):
        return super().info(terminated) if self.mended else None


# Errors of the env's own


@defect("runs", "IndexError")
class CellOutsideTheGrid(Puck):
    """A look-up table with one row too few: fails only at the upper wall."""

    def move(self, action):
        super().move(action)
        cells = np.zeros((21 if self.mended else 20, 21))
        cells[int(np.floor((self.position[0] + 1) * 10)), 0] = 1


@defect("runs", "AttributeError")
class SecondResetFails(Puck):
    def reset(self, *, seed=None, options=None):
        if self.steps and not self.mended:
            self.window.clear()  # never made
        return super().reset(seed=seed, options=options)


# Observations


@defect("observations", "dtype float64")
class DoublePrecision(Puck):
    def observe(self):
        observation = super().observe()
        return observation if self.mended else {name: part.astype(np.float64) for name, part in observation.items()}


@defect("observations", "lies outside its space")
class LeavesItsWorld(Puck):
    def move(self, action):
        super().move(action)
        if not self.mended:
            self.position = self.position + self.last_move  # moved twice, clipped once


@defect("observations", "shape (4, 1)")
class ColumnVector(Puck):
    def observe(self):
        observation = super().observe()
        return observation if self.mended else observation | {"observation": observation["observation"][:, None]}


@defect("observations", "is list")
class ListsForArrays(Puck):
    def observe(self):
        observation = super().observe()
        return observation if self.mended else observation | {"desired_goal": observation["desired_goal"].tolist()}


@defect("observations", "holds time")
class UndeclaredKey(Puck):
    def observe(self):
        observation = super().observe()
        return observation if self.mended else observation | {"time": np.float32([self.steps])}


@defect("observations", "desired_goal[")
class GoalsOutsideTheirSpace(Puck):
    def draw_goal(self):
        super().draw_goal()
        if not self.mended:
            self.goal = self.goal * 1.5


# Numbers


@defect("finite", "observation is not finite")
class HeadingOfAPuckAtRest(Puck):
    """Unit heading = move / |move|: 0 / 0 after reset and at the wall."""

    def observe(self):
        observation = super().observe()
        length = np.linalg.norm(self.last_move)
        if length > 0 or not self.mended:
            with np.errstate(invalid="ignore"):
                observation["observation"][2:] = STEP * (self.last_move / length)
        return observation


@defect("finite", "the reward is -inf")
class InfinitePenaltyAtTheWall(Puck):
    def reward(self, observation):
        at_wall = np.any(np.abs(self.position) == 1)
        return -np.inf if at_wall and not self.mended else super().reward(observation)


# Arrays that change under the caller


@defect("aliasing", "earlier observation")
class OneBufferForAllObservations(Puck):
    buffer = None

    def observe(self):
        observation = super().observe()
        if self.mended:
            return observation
        if self.buffer is None:
            self.buffer = observation
        for name, part in observation.items():
            self.buffer[name][:] = part
        return self.buffer


@defect("aliasing", "writing on the observation")
class LendsItsGoal(Puck):
    def draw_goal(self):
        super().draw_goal()
        self.goal = self.goal.astype(np.float32)

    def observe(self):
        return super().observe() | {"desired_goal": self.goal.copy() if self.mended else self.goal}


@defect("aliasing", "same info")
class OneInfoForAllSteps(Puck):
    kept = None

    def info(self, terminated):
        if self.mended or self.kept is None:
            self.kept = {}
        self.kept.update(is_success=terminated)
        return self.kept


# Actions


@defect("actions", "writes on the action")
class ScalesTheActionInPlace(Puck):
    def move(self, action):
        if self.mended:
            action = action * 1.0
        else:
            action *= 0.5
        super().move(action)


@defect("actions", "refuses")
class RefusesTheEdge(Puck):
    def move(self, action):
        if np.any(np.abs(action) >= 1) and not self.mended:
            raise ValueError("action out of range")
        super().move(action)


@defect("actions", "no effect")
class DriftsWhateverIsDone(Puck):
    def move(self, action):
        super().move(action if self.mended else np.array([np.cos(self.steps), np.sin(self.steps)]))


# compute_reward


@defect("compute_reward", "has no compute_reward")
class NoComputeReward(Puck):
    def __getattribute__(self, name):
        if name == "compute_reward" and not object.__getattribute__(self, "mended"):
            raise AttributeError(name)
        return object.__getattribute__(self, name)

    def reward(self, observation):
        return 0.0 if self.is_done(observation) else -1.0


@defect("compute_reward", "at once has shape ()")
class NormOfTheWholeBatch(Puck):
    def compute_reward(self, achieved_goal, desired_goal, info):
        if self.mended:
            return super().compute_reward(achieved_goal, desired_goal, info)
        return -np.float32(np.linalg.norm(achieved_goal - desired_goal) > self.tolerance)


@defect("compute_reward", "ambiguous")
class IfOnAnArray(Puck):
    def compute_reward(self, achieved_goal, desired_goal, info):
        if self.mended:
            return super().compute_reward(achieved_goal, desired_goal, info)
        if distance(achieved_goal, desired_goal) <= self.tolerance:
            return 0.0
        return -1.0


@defect("compute_reward", "KeyError")
class RewardFromInfo(Puck):
    def info(self, terminated):
        return super().info(terminated) | {"near": terminated}

    def reward(self, observation):
        info = self.info(self.is_done(observation))
        return float(self.compute_reward(observation["achieved_goal"], observation["desired_goal"], info))

    def compute_reward(self, achieved_goal, desired_goal, info):
        if self.mended:
            return super().compute_reward(achieved_goal, desired_goal, info)
        return np.float32(0.0 if info["near"] else -1.0)


@defect("compute_reward", "env's state")
class RewardReadsItsOwnGoal(Puck):
    def compute_reward(self, achieved_goal, desired_goal, info):
        goal = desired_goal if self.mended else self.goal
        return super().compute_reward(achieved_goal, goal, info)


@defect("compute_reward", "env's state")
class RewardReadsItsOwnPosition(Puck):
    def compute_reward(self, achieved_goal, desired_goal, info):
        if self.mended:
            return super().compute_reward(achieved_goal, desired_goal, info)
        return super().compute_reward(np.broadcast_to(self.position, np.shape(desired_goal)), desired_goal, info)


@defect("compute_reward", "writes on the goals")
class SubtractsInPlace(Puck):
    def reward(self, observation):
        return float(self.compute_reward(observation["achieved_goal"].copy(), observation["desired_goal"], {}))

    def compute_reward(self, achieved_goal, desired_goal, info):
        if self.mended:
            achieved_goal = achieved_goal - desired_goal
        else:
            achieved_goal -= desired_goal
        return -(np.linalg.norm(achieved_goal, axis=-1) > self.tolerance).astype(np.float32)


@defect("compute_reward", "in a batch")
class ScalesByTheFarthestOfTheBatch(Puck):
    def compute_reward(self, achieved_goal, desired_goal, info):
        apart = distance(achieved_goal, desired_goal)
        scale = 1.0 if self.mended or np.ndim(apart) == 0 else max(float(apart.max()), 1.0)
        return -(apart / scale > self.tolerance).astype(np.float32)


# The step's reward


@defect("step reward", "pays")
class RewardOfTheStateBefore(Puck):
    def step(self, action):
        before = self.observe()
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward if self.mended else self.reward(before), terminated, truncated, info


@defect("step reward", "pays")
class ActionCostInStepOnly(Puck):
    def step(self, action):
        observation, reward, terminated, truncated, info = super().step(action)
        cost = 0.0 if self.mended else 0.01 * float(np.square(action).sum())
        return observation, reward - cost, terminated, truncated, info


# Sparse, the right way round


@defect("sparse reward", "dense")
class DistanceAsReward(Puck):
    def compute_reward(self, achieved_goal, desired_goal, info):
        if self.mended:
            return super().compute_reward(achieved_goal, desired_goal, info)
        return -distance(achieved_goal, desired_goal).astype(np.float32)


@defect("sparse reward", "arriving is punished")
class SignTheWrongWayRound(Puck):
    def compute_reward(self, achieved_goal, desired_goal, info):
        apart = distance(achieved_goal, desired_goal)
        return -(apart > self.tolerance if self.mended else apart <= self.tolerance).astype(np.float32)


@defect("sparse reward", "no goal is ever reached")
class NothingIsNearEnough(Puck):
    def compute_reward(self, achieved_goal, desired_goal, info):
        return -(distance(achieved_goal, desired_goal) >= (self.tolerance if self.mended else 0.0)).astype(np.float32)

    def is_done(self, observation):
        return self.reward(observation) == 0.0


@defect("sparse reward", "all count as reached")
class ToleranceInTheWrongUnit(Puck):
    def compute_reward(self, achieved_goal, desired_goal, info):
        tolerance = self.tolerance if self.mended else 100 * self.tolerance
        return -(distance(achieved_goal, desired_goal) > tolerance).astype(np.float32)


@defect("sparse reward", "pays -1 and 10")
class BonusForArriving(Puck):
    def compute_reward(self, achieved_goal, desired_goal, info):
        reached = distance(achieved_goal, desired_goal) <= self.tolerance
        return np.where(reached, 0.0 if self.mended else 10.0, -1.0).astype(np.float32)


# Termination


@defect("termination", "terminated is False")
class GoesOnAtTheGoal(Puck):
    def step(self, action):
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward, terminated and self.mended, truncated, info


@defect("termination", "time ends the episode")
class TimeTerminates(Puck):
    time_limit = None

    def step(self, action):
        observation, reward, terminated, truncated, info = super().step(action)
        over = self.steps >= LIMIT
        if self.mended:
            return observation, reward, terminated, over, info
        return observation, reward, terminated or over, truncated, info


@defect("termination", "terminated is")
class TerminatesOneStepLate(Puck):
    was_there = False

    def start(self):
        super().start()
        self.was_there = False

    def is_done(self, observation):
        there = super().is_done(observation)
        late, self.was_there = self.was_there, there
        return there if self.mended else late


@defect("termination", "away from the goal")
class TheWallEndsIt(Puck):
    def step(self, action):
        observation, reward, terminated, truncated, info = super().step(action)
        crashed = bool(np.any(np.abs(self.position) >= 1)) and not self.mended
        return observation, reward, terminated or crashed, truncated, info


@defect("termination", "away from the goal")
class TwoTolerances(Puck):
    def is_done(self, observation):
        tolerance = self.tolerance if self.mended else 2 * self.tolerance
        return bool(distance(observation["achieved_goal"], observation["desired_goal"]) <= tolerance)


# info


@defect("success info", "neither")
class SaysNothingOfSuccess(Puck):
    def info(self, terminated):
        return super().info(terminated) if self.mended else {}


@defect("success info", "the goal test says the opposite")
class SuccessMeansOver(Puck):
    """is_success is set whenever the episode is over, by time too."""

    time_limit = None

    def step(self, action):
        observation, reward, terminated, _, info = super().step(action)
        truncated = self.steps >= LIMIT
        return observation, reward, terminated, truncated, info if self.mended else self.info(terminated or truncated)


@defect("success info", "contradict each other")
class TwoWordsTwoMeanings(Puck):
    def info(self, terminated):
        return super().info(terminated) if self.mended else {"is_success": terminated, "success": False}


# Endings


@defect("endings", "has not ended after")
class NoTimeLimit(Puck):
    time_limit = None

    def step(self, action):
        observation, reward, terminated, _, info = super().step(action)
        return observation, reward, terminated, self.mended and self.steps >= LIMIT, info


class CountsOverEpisodes(Puck):
    time_limit = None

    def start(self):
        counted = self.steps
        super().start()
        if not self.mended:
            self.steps = counted


@defect("endings", "truncated at its first step")
class CounterNotReset(CountsOverEpisodes):
    def step(self, action):
        observation, reward, terminated, _, info = super().step(action)
        return observation, reward, terminated, self.steps >= LIMIT, info


@defect("endings", "the second not")
class CounterRunsPastTheLimit(CountsOverEpisodes):
    def step(self, action):
        observation, reward, terminated, _, info = super().step(action)
        return observation, reward, terminated, self.steps == LIMIT, info


# Seeds


@defect("seed", "global generator")
class GlobalNumpyNoise(Puck):
    def draw(self):
        return super().draw() if self.mended else np.random.uniform(-1, 1, 2)


@defect("seed", "global generator")
class PythonsRandom(Puck):
    def draw(self):
        return super().draw() if self.mended else np.array([random.uniform(-1, 1), random.uniform(-1, 1)])


@defect("seed", "global generator")
class NoiseInStepsOnly(Puck):
    def move(self, action):
        noise = self.np_random.normal(size=2) if self.mended else np.random.normal(size=2)
        super().move(action + 0.3 * noise)


@defect("seed", "not seeded")
class OwnGenerator(Puck):
    rng = None

    def draw(self):
        if self.rng is None:
            self.rng = np.random.default_rng()
        return super().draw() if self.mended else self.rng.uniform(-1, 1, 2)


@defect("seed", "seed=0")
class ZeroIsNoSeed(Puck):
    def reset(self, *, seed=None, options=None):
        return super().reset(seed=seed if self.mended else seed or None, options=options)


@defect("seed", "different seeds")
class SeedNotPassedOn(Puck):
    def reset(self, *, seed=None, options=None):
        first = self.np_random_seed_used = getattr(self, "np_random_seed_used", 0) + 1
        if self.mended:
            return super().reset(seed=seed, options=options)
        return super().reset(seed=1 if seed is not None or first == 1 else None, options=options)


@defect("seed", "without a seed")
class DefaultSeed(Puck):
    def reset(self, *, seed=None, options=None):
        return super().reset(seed=0 if seed is None and not self.mended else seed, options=options)


@defect("seed", "outlives reset")
class LastMoveOutlivesReset(Puck):
    def start(self):
        kept = self.last_move
        super().start()
        if not self.mended:
            self.last_move = kept


@defect("instances", "share state")
class PositionInTheClassBody(Puck):
    shared = np.zeros(2)

    def start(self):
        super().start()
        if self.mended:
            self.shared = np.zeros(2)
        self.shared[:] = self.position

    def move(self, action):
        self.position = self.shared.copy()
        super().move(action)
        self.shared[:] = self.position


# Goals


@defect("goal sampling", "in each of")
class GoalDrawnOnce(Puck):
    def draw_goal(self):
        if self.mended:
            super().draw_goal()
        else:
            self.goal = np.array([0.5, 0.5])


@defect("goal sampling", "in each of")
class GoalDrawnWithASeedOnly(Puck):
    def reset(self, *, seed=None, options=None):
        self.fresh = seed is not None
        return super().reset(seed=seed, options=options)

    def draw_goal(self):
        if self.mended or self.fresh:
            super().draw_goal()


@defect("goal sampling", "another goal than")
class GoalDrawnAfterTheObservation(Puck):
    def reset(self, *, seed=None, options=None):
        kept = self.goal
        observation, info = super().reset(seed=seed, options=options)
        if not self.mended:
            observation["desired_goal"] = kept.astype(np.float32)
        return observation, info


@defect("goal sampling", "within an episode")
class GoalDrawnAgainAndAgain(Puck):
    def step(self, action):
        if self.steps % 10 == 9 and not self.mended:
            self.draw_goal()
        return super().step(action)


@defect("achieved goal", "achieved_goal[0] lags")
class AchievedGoalLags(Puck):
    def observe(self):
        observation = super().observe()
        if not self.mended:
            observation["achieved_goal"] = (self.position - self.last_move).astype(np.float32)
        return observation


@defect("achieved goal", "the observation lags")
class ObservationLags(Puck):
    def observe(self):
        observation = super().observe()
        if not self.mended:
            observation["observation"][:2] = self.position - self.last_move
        return observation


@defect("achieved goal", "keeps its value from reset")
class AchievedGoalOfTheStart(Puck):
    def start(self):
        super().start()
        self.home = self.position

    def observe(self):
        observation = super().observe()
        return observation if self.mended else observation | {"achieved_goal": self.home.astype(np.float32)}


@defect("achieved goal", "after reset")
class AchievedGoalOfTheLastEpisode(Puck):
    def reset(self, *, seed=None, options=None):
        kept = self.position
        observation, info = super().reset(seed=seed, options=options)
        return observation if self.mended else observation | {"achieved_goal": kept.astype(np.float32)}, info


@defect("goal_of", "is not the achieved_goal")
class GoalOfTheWrongEntries(Puck):
    def goal_of(self, states):
        return states[..., :2] if self.mended else states[..., 2:]


@defect("goal_of", "shape (2, 4)")
class GoalOfOneState(Puck):
    def goal_of(self, states):
        return states[..., :2] if self.mended else states[:2]


# Tolerance and reach


@defect("tolerance", "jumps over its goals")
class TinyTolerance(Puck):
    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        self.tolerance = 0.15 if self.mended else 0.02


@defect("tolerance", "jumps over its goals")
class ExactlyThere(Puck):
    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        self.tolerance = 0.15 if self.mended else 0.0


@defect("reachability", "start at their goal")
class StartsAtItsGoal(Puck):
    def draw_goal(self):
        super().draw_goal()
        if not self.mended:
            self.goal = np.clip(self.position + 0.2 * (self.goal - self.position), -1, 1)


class Unbounded(Puck):
    """Goal spaces as many envs declare them: without bounds."""

    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        for name in ("achieved_goal", "desired_goal"):
            self.observation_space[name] = spaces.Box(-np.inf, np.inf, self.observation_space[name].shape, np.float32)


@defect("reachability", "no goal is reachable")
class GoalsInCentimetres(Unbounded):
    def draw_goal(self):
        super().draw_goal()
        if not self.mended:
            self.goal = 100 * self.goal + 300


@defect("reachability", "no goal is reachable")
class GoalsInTheAir(Unbounded):
    """A third coordinate that no action moves."""

    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        for name in ("achieved_goal", "desired_goal"):
            self.observation_space[name] = spaces.Box(-np.inf, np.inf, (3,), np.float32)

    def observe(self):
        observation = super().observe()
        height = 0.0 if self.mended else 0.5
        achieved, desired = observation["achieved_goal"], observation["desired_goal"]
        return observation | {
            "achieved_goal": np.append(achieved, np.float32(0)),
            "desired_goal": np.append(desired, np.float32(height)),
        }


@defect("reachability", "cannot be achieved")
class GoalsBehindTheWall(Puck):
    """The puck keeps to the left half, as its own space says; goals are drawn everywhere."""

    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        low, high = np.array([-1, -1], dtype=np.float32), np.array([0, 1], dtype=np.float32)
        self.observation_space["achieved_goal"] = spaces.Box(low, high)

    def draw(self):
        return super().draw() * [0.5, 1] - [0.5, 0]

    def draw_goal(self):
        super().draw_goal()
        if not self.mended:
            self.goal = self.np_random.uniform(-1, 1, 2)

    def move(self, action):
        before = self.position
        super().move(action)
        self.position[0] = min(self.position[0], 0)
        self.last_move = clipped(self.position - before, STEP)


# Pictures, the end, batches


@defect("render", "float64", render_mode="rgb_array")
class PictureOfFloats(Puck):
    def render(self):
        return super().render() if self.mended else np.zeros((8, 8, 3))


@defect("close", "second close")
class ClosesOnce(Puck):
    window: object = "a window"

    def close(self):
        if self.window is None and not self.mended:
            raise RuntimeError("the window is closed already")
        self.window = None


def together(kind, num):
    return gym.vector.SyncVectorEnv([lambda: limited(kind())] * num)


class _Reseeded(gym.vector.VectorWrapper):
    """All envs of the batch get one seed."""

    def reset(self, *, seed=None, options=None):
        return super().reset(seed=None if seed is None else [seed] * self.num_envs, options=options)


@defect("batch", "differ in", batch=lambda kind, num: together(kind, num) if kind.mended else _Reseeded(together(kind, num)))
class BatchOfOneSeed(Puck):
    pass


@defect(
    "batch",
    "autoreset_mode",
    batch=lambda kind, num: gym.vector.SyncVectorEnv(
        [lambda: limited(kind())] * num,
        autoreset_mode=gym.vector.AutoresetMode.NEXT_STEP if kind.mended else gym.vector.AutoresetMode.SAME_STEP,
    ),
)
class BatchResetsAtOnce(Puck):
    pass


class _TruncatesEarly(gym.vector.VectorWrapper):
    steps = 0

    def step(self, actions):
        observations, rewards, terminated, truncated, infos = super().step(actions)
        self.steps += 1
        return observations, rewards, terminated, truncated | (self.steps == LIMIT - 1), infos


@defect(
    "batch",
    "differ in truncated",
    batch=lambda kind, num: together(kind, num) if kind.mended else _TruncatesEarly(together(kind, num)),
)
class BatchCountsFromOne(Puck):
    pass


# Correct, though unusual: what a check might take for a defect

UNUSUAL: dict[str, type[Puck]] = {}


def unusual(kind):
    UNUSUAL[kind.__name__] = kind
    return kind


@unusual
class NoisyMoves(Puck):
    def move(self, action):
        super().move(action + self.np_random.normal(size=2))


@unusual
class OwnTimeLimit(Puck):
    time_limit = None

    def step(self, action):
        observation, reward, terminated, _, info = super().step(action)
        return observation, reward, terminated, self.steps >= LIMIT, info


@unusual
class SuccessToldAtTheEndOnly(OwnTimeLimit):
    def step(self, action):
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward, terminated, truncated, info if terminated or truncated else {}


@unusual
class ZeroAndOne(Puck):
    def compute_reward(self, achieved_goal, desired_goal, info):
        return 1 + super().compute_reward(achieved_goal, desired_goal, info)


@unusual
class OneStartFarGoals(Unbounded):
    """Goals ten times farther off than a random walk gets, by a way there is."""

    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        self.observation_space["observation"] = box(np.inf, np.inf, STEP, STEP)

    def draw_goal(self):
        self.position = np.zeros(2)
        self.goal = 9 * self.draw()

    def move(self, action):
        self.last_move = STEP * clipped(action, 1)
        self.position = self.position + self.last_move


@unusual
class GridWorld(Puck):
    """Reached means being on the very cell."""

    tolerance = 0.0

    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        self.observation_space = spaces.Dict(observation=box(5, 5, 1, 1), achieved_goal=box(5, 5), desired_goal=box(5, 5))

    def draw(self):
        return self.np_random.integers(-5, 6, 2).astype(float)

    def move(self, action):
        before = self.position
        axis = int(np.argmax(np.abs(action)))
        self.position = clipped(before + np.sign(action[axis]) * np.eye(2)[axis], 5)
        self.last_move = self.position - before


@unusual
class PushesAThing(Puck):
    """The goal is the thing's place, which random walks seldom change; the state remembers the start."""

    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        self.observation_space["observation"] = box(1, 1, 1, 1, 1, 1)

    def start(self):
        self.thing = self.draw()
        super().start()
        self.home = self.position

    def draw_goal(self):
        self.goal = self.draw()
        while np.linalg.norm(self.goal - self.thing) <= self.tolerance:
            self.goal = self.draw()

    def move(self, action):
        super().move(action)
        if np.linalg.norm(self.thing - self.position) < 0.2:
            self.thing = clipped(self.thing + self.last_move, 1)

    def observe(self):
        state = np.concatenate([self.position, self.thing, getattr(self, "home", self.position)]).astype(np.float32)
        return {"observation": state, "achieved_goal": state[2:4].copy(), "desired_goal": self.goal.astype(np.float32)}


@unusual
class OnATable(Unbounded):
    """A third coordinate that never moves, and goals within the tolerance of it."""

    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        for name in ("achieved_goal", "desired_goal"):
            self.observation_space[name] = spaces.Box(-np.inf, np.inf, (3,), np.float32)

    def observe(self):
        observation = super().observe()
        heights = {"achieved_goal": 0.4247, "desired_goal": 0.425}
        return observation | {name: np.append(observation[name], np.float32(height)) for name, height in heights.items()}
