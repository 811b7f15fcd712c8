"""What check_env finds is broken, adapted or advice: only what training would learn wrongly from is broken."""

import gymnasium as gym
import numpy as np
import pytest
from broken_envs import DEFECTS, STEP, UNUSUAL, Puck, box, clipped, distance, limited
from gymnasium import spaces
from gymnasium.wrappers import TimeLimit

from thalweg.envs.checks import Findings, check_goal_env
from thalweg.envs.guard import EnvError
from thalweg.envs.probe import probe

ADAPTED = (
    "LeavesItsWorld",
    "UndeclaredKey",
    "LendsItsGoal",
    "OneBufferForAllObservations",
    "RewardFromInfo",
    "ActionCostInStepOnly",
    "GoesOnAtTheGoal",
    "SaysNothingOfSuccess",
    "NoTimeLimit",
)
ADVICE = ("TinyTolerance", "StartsAtItsGoal", "GoalsBehindTheWall", "ClosesOnce")
BROKEN = (
    "DoublePrecision",
    "NoComputeReward",
    "NormOfTheWholeBatch",
    "DistanceAsReward",
    "RewardReadsItsOwnGoal",
    "GlobalNumpyNoise",
    "OldGymStep",
)


def findings(kind, **settings):
    return check_goal_env(lambda: limited(kind()), steps=200, **settings)


@pytest.mark.parametrize(
    ("name", "severity"),
    [(name, severity) for names, severity in ((ADAPTED, "adapted"), (ADVICE, "advice"), (BROKEN, "broken")) for name in names],
)
def test_a_defect_is_as_bad_as_what_training_makes_of_it(name, severity):
    defect = DEFECTS[name]
    found = check_goal_env(defect.make, steps=200)
    named = [one for one in found if one.check == defect.check and defect.says in one.what + one.fix]
    assert {one.severity for one in named} == {severity}
    if severity != "broken" and name != "RewardFromInfo":  # which in a batch is broken, too
        assert found.broken == []


@pytest.mark.parametrize("name", UNUSUAL)
def test_a_correct_env_is_never_called_broken(name):
    assert findings(UNUSUAL[name]).broken == []


class NeverTerminates(Puck):
    """As gymnasium-robotics' Fetch: the goal is pursued on, and rewards are numpy's."""

    def step(self, action):
        observation, reward, _, truncated, info = super().step(action)
        return observation, np.float64(reward), False, truncated, info


class Fast(Puck):
    """A step at full speed is 1.3 times as long as the goal is wide."""

    tolerance = 0.65 * np.sqrt(2) * STEP / 2


class ZeroAndOne(Puck):
    def compute_reward(self, achieved_goal, desired_goal, info):
        return 1.0 + super().compute_reward(achieved_goal, desired_goal, info)


@pytest.mark.parametrize(
    ("kind", "severity", "check", "says"),
    [
        (NeverTerminates, "adapted", "termination", "terminated is False"),
        (NeverTerminates, "adapted", "api", "np.float64"),
        (ZeroAndOne, "adapted", "sparse reward", "pays 0 and 1"),
        (Fast, "advice", "tolerance", "full speed"),
    ],
)
def test_what_is_correct_but_not_as_training_has_it_is_told_and_not_broken(kind, severity, check, says):
    found = findings(kind)
    assert any(one.check == check and says in one.what for one in found.of(severity)), found
    assert found.broken == []


class NeedsInfo(Puck):
    def reward(self, observation):
        return 0.0 if self.is_done(observation) else -1.0

    def compute_reward(self, achieved_goal, desired_goal, info):
        told = info if isinstance(info, list) else [info]
        return np.array([0.0 if one.get("is_success") else -1.0 for one in told], dtype=np.float32)


class OneRowIsDifferent(Puck):
    def compute_reward(self, achieved_goal, desired_goal, info):
        gaps = distance(achieved_goal, desired_goal)
        return -(gaps - (gaps.max() if np.size(gaps) > 2 else 0.0) * 0.5 > self.tolerance).astype(np.float32)


class Photographed(Puck):
    """Its goals are pictures of 20 x 20 pixels."""

    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        pixels = box(*[1.0] * 400)
        self.observation_space = spaces.Dict(observation=pixels, achieved_goal=pixels, desired_goal=pixels)

    def observe(self):
        pictures = [np.zeros((20, 20), np.float32) for _ in range(2)]
        for picture, at in zip(pictures, (self.position, self.goal), strict=True):
            picture[tuple(((at + 1) * 9.9).astype(int))] = 1.0
        now, then = (picture.ravel() for picture in pictures)
        return {"observation": now, "achieved_goal": now.copy(), "desired_goal": then}


class NestedGoals(Puck):
    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        parts = spaces.Dict(x=box(1.0), y=box(1.0))
        self.observation_space = spaces.Dict(observation=box(1.0, 1.0, STEP, STEP), achieved_goal=parts, desired_goal=parts)

    def observe(self):
        plain = super().observe()
        return {key: values if key == "observation" else {"x": values[:1], "y": values[1:]} for key, values in plain.items()}

    def compute_reward(self, achieved_goal, desired_goal, info):
        return -1.0

    def is_done(self, observation):
        return False


class FarNorth(Puck):
    """Metres of a map grid: 5,400 km from its origin, and a tolerance of 0.15 m."""

    origin = np.array([5.4e6, 5.4e6])

    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        metres = spaces.Box(self.origin - 1, self.origin + 1, dtype=np.float64)
        state = spaces.Box(np.r_[self.origin - 1, -STEP, -STEP], np.r_[self.origin + 1, STEP, STEP], dtype=np.float64)
        self.observation_space = spaces.Dict(observation=state, achieved_goal=metres, desired_goal=metres)

    def observe(self):
        at = self.position + self.origin
        return {
            "observation": np.concatenate([at, self.last_move]),
            "achieved_goal": at.copy(),
            "desired_goal": self.goal + self.origin,
        }


@pytest.mark.parametrize(
    ("kind", "check", "says", "refused"),
    [
        (NeedsInfo, "sparse reward", "needs info", "have no info"),
        (OneRowIsDifferent, "compute_reward", "in a", "mixes the rows"),
        (Photographed, "spaces", "as a picture has", "as a picture has"),
        (NestedGoals, "spaces", "is a dict of x, y", "one flat Box"),
        (FarNorth, "precision", "cannot tell those apart", "subtract a fixed origin"),
        (DEFECTS["RewardReadsItsOwnGoal"].kind, "compute_reward", "env's state", "reads the env's own state"),
        (DEFECTS["DistanceAsReward"].kind, "sparse reward", "dense", "is not sparse"),
    ],
)
def test_what_cannot_be_learnt_from_is_broken_and_refused_before_a_training(kind, check, says, refused):
    """The second in one line, with what to do."""
    kind = type(kind.__name__, (kind,), {"mended": False})
    assert any(one.check == check and says in one.what + one.fix for one in findings(kind).broken), findings(kind)
    with pytest.raises(EnvError, match=refused) as error:
        probe(limited(kind()), "puck")
    assert "\n" not in str(error.value)


class Wheel(Puck):
    """An angle that jumps at half a turn."""

    tolerance = 0.3

    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        turn = box(np.pi)
        self.observation_space = spaces.Dict(observation=turn, achieved_goal=turn, desired_goal=turn)
        self.action_space = box(1.0)

    def draw(self):
        return self.np_random.uniform(-np.pi, np.pi, 1)

    def move(self, action):
        self.position = (self.position + 0.5 * clipped(action, 1) + np.pi) % (2 * np.pi) - np.pi

    def observe(self):
        now = self.position.astype(np.float32)
        return {"observation": now, "achieved_goal": now.copy(), "desired_goal": self.goal.astype(np.float32)}


class MixedUnits(Puck):
    """The second entry in thousandths."""

    def observe(self):
        return {key: values * np.resize([1, 1e-3], len(values)).astype(np.float32) for key, values in super().observe().items()}


class ScenesByACounter(Puck):
    """Every reset another scene, whatever the seed."""

    count = 0

    def start(self):
        super().start()
        ScenesByACounter.count += 1
        self.position = np.array([np.sin(self.count), np.cos(self.count)]) * 0.5


@pytest.mark.parametrize(
    ("kind", "severity", "check"),
    [(Wheel, "advice", "angles"), (MixedUnits, "advice", "units"), (ScenesByACounter, "broken", "seed")],
)
def test_other_traps_are_named(kind, severity, check):
    assert check in {one.check for one in findings(kind).of(severity)}, findings(kind)


def test_a_limit_inside_a_limit_is_told():
    found = check_goal_env(lambda: TimeLimit(TimeLimit(Puck(), 20), 50), steps=200)
    assert any("20 and 50" in one.what or "50 and 20" in one.what for one in found.advice) and found.broken == []


class OneAtATime(Puck):
    """A simulator of which only one can run."""

    running = False

    def __init__(self, render_mode=None):
        if OneAtATime.running:
            raise OSError("Address already in use")
        OneAtATime.running = True
        super().__init__(render_mode)

    def close(self):
        OneAtATime.running = False


def test_an_env_of_which_one_can_be_open_is_checked_one_after_the_other():
    found = findings(OneAtATime)
    assert found.broken == [] and not OneAtATime.running
    assert any("one" in one.what for one in found.advice + found.adapted), found


def test_a_report_has_the_worst_first():
    kind = type(
        "Both", tuple(DEFECTS[name].kind for name in ("TinyTolerance", "GoesOnAtTheGoal", "GlobalNumpyNoise")), {"mended": False}
    )
    found = findings(kind)
    assert isinstance(found, Findings)
    headings = [line.split(":")[0] for line in str(found).splitlines() if line.split(":")[0] in ("broken", "adapted", "advice")]
    assert headings == ["broken", "adapted", "advice"]


def test_our_own_worlds_are_praised_without_a_word():
    assert check_goal_env(lambda: gym.make("PointMassPanes-v0"), steps=200) == []
