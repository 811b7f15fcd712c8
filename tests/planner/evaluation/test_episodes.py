"""The one episode loop, and that nothing which is not finite is ever counted, in an evaluation, a plan or a drive."""

import re
from dataclasses import dataclass, field

import numpy as np
import pytest
from walking import Towards, Walk

from thalweg.planner.evaluation.audit import drive
from thalweg.planner.evaluation.episodes import Episode, run_episodes
from thalweg.planner.evaluation.evaluate import evaluate
from thalweg.planner.evaluation.planned_drive import plan_and_drive
from thalweg.planner.finite import NotFiniteError, entry_not_finite
from thalweg.planner.following.subgoal_policy import SubgoalPolicy, SubgoalPolicyConfig
from thalweg.planner.plan import NoPathError, Plan


def test_episodes_run_side_by_side_and_leave_when_they_are_over():
    episodes = [Episode.begin(Walk(limit=limit), "Walk", seed) for limit, seed in ((12, 0), (2, 1), (12, 2))]
    seen, done = [], []
    run_episodes(Towards(), episodes, lambda e: seen.append((e.seed, e.steps, e.carried)), lambda e: done.append(e.seed))
    assert [(e.success, e.steps) for e in episodes] == [(True, 4), (False, 2), (True, 4)] and done == [1, 0, 2]
    assert seen[:4] == [(0, 0, 0), (1, 0, 0), (2, 0, 0), (0, 1, 1)] and len(seen) == 10  # before each step, as it is carried on
    assert np.concatenate(episodes[2].trail).tolist() == [2, 3, 4, 5, 6]


def in_evaluation(env, policy):
    evaluate(policy, lambda index: env, [7], "Walk", "none")


def in_drives(env, policy):
    drive(policy, env, lambda state, place, rng: (place + 3, 3.0), 1, seed=7)


class Line:
    def plan(self, state, goal, rng):
        return Plan(np.zeros((0, 1)), np.ones(1), np.zeros((0, 1)), np.array([[0, 1]]))

    def paired(self, states, goals):
        return np.linalg.norm(states - goals, axis=-1)

    def pairwise(self, states, goals):
        return np.linalg.norm(states[:, None] - goals, axis=-1)


def follower(agent, planner=None):
    config = SubgoalPolicyConfig(reach=3, arrival=1, direct=3)
    return SubgoalPolicy(agent, planner or Line(), Line(), lambda s: s, config)


def in_a_plan(env, policy):
    plan_and_drive(follower(policy), Episode.begin(env, "Walk", 7))


PLACES = [in_evaluation, in_drives, in_a_plan]


@pytest.mark.parametrize("run", PLACES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("entry", ["observation", "achieved_goal", "reward"])
@pytest.mark.parametrize("step", [1, 2])
def test_what_is_not_finite_at_a_step_ends_it_and_is_named(run, value, entry, step):
    words = f"Walk (seed 7): {entry}{'' if entry == 'reward' else '[0]'} is {value} at step {step}; "
    with pytest.raises(NotFiniteError, match=f"^{re.escape(words)}"):
        run(Walk({step}, value, entry), Towards())


@pytest.mark.parametrize("run", PLACES)
@pytest.mark.parametrize("entry", ["observation", "achieved_goal", "desired_goal"])
def test_so_does_what_is_not_finite_in_a_reset(run, entry):
    with pytest.raises(NotFiniteError, match=rf"^Walk \(seed 7\): {entry}\[0\] is nan in reset; mend the env"):
        run(Walk({0}, np.nan, entry), Towards())


@pytest.mark.parametrize("run", PLACES)
@pytest.mark.parametrize("step", [1, 2])
def test_so_does_an_action(run, step):
    with pytest.raises(NotFiniteError, match=rf"^Walk \(seed 7\): action\[0\] is inf at step {step}; the policy has diverged"):
        run(Walk(), Towards(diverges_at=step - 1))


def test_no_row_is_told_of_it_and_all_envs_are_closed():
    envs, told = [Walk(), Walk({2})], []
    with pytest.raises(NotFiniteError):
        evaluate(Towards(), lambda index: envs[index], [0, 1], "Walk", "none", told.append)
    assert told == [] and all(env.closed for env in envs)


def test_an_entry_is_named_by_its_place():
    assert entry_not_finite({"a": 1.0, "b": np.zeros((2, 3)), "c": np.arange(3)}) is None
    assert entry_not_finite({"a": np.zeros(3), "b": np.array([[1.0, 2.0], [np.nan, 3.0]])}) == "b[1, 0] is nan"
    assert entry_not_finite({"reward": -np.inf}) == "reward is -inf"


def test_a_drive_is_over_at_its_own_goal_or_patience_and_left_out_where_the_env_ends_before():
    """Walk's own goal is 4 away: a drive to 6 passes it, unless it starts at the other side."""
    drives = drive(Towards(), Walk(), lambda state, place, rng: (place + 2, 2.0), 3, seed=7)
    assert drives.taken.tolist() == [2, 2, 2]
    away = drive(Towards(), Walk(limit=100), lambda state, place, rng: (place - 50, 2.0), 2, seed=7)
    assert np.isinf(away.taken).all()
    with pytest.raises(ValueError, match="could be driven"):
        drive(Towards(), Walk(), lambda state, place, rng: (place + 6, 6.0), 2, seed=7)


@dataclass
class Carried:
    replans: int = 2
    failed_plans: int = 1
    plan_ms: list = field(default_factory=lambda: [4.0, 6.0, 5.0])
    nodes: int = 9


class OwnPlanner(Towards):
    """A policy that plans, but is none of ours: it only carries a record of it."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return super().predict(observation)[0], tuple(Carried() for _ in observation["observation"])


def test_another_policy_that_plans_has_its_plans_counted():
    (row,) = evaluate(OwnPlanner(), lambda index: Walk(), [7], "Walk", "own")
    assert (row.replans, row.failed_plans, row.plan_ms, row.nodes) == (2, 1, 5.0, 9)
    (row,) = evaluate(Towards(), lambda index: Walk(), [7], "Walk", "none")
    assert (row.replans, row.failed_plans, row.plan_ms, row.nodes) == (0, 0, None, 0)


def test_a_planned_drive_says_whether_it_arrived():
    arrived = plan_and_drive(follower(Towards()), Episode.begin(Walk(), "Walk", 7))
    assert str(arrived) == "planned 1 steps over 0 waypoints; driven: reached in 4 steps"
    content = arrived.to_json()
    assert content["reached"] and content["steps_taken"] == 4 and content["seed"] == 7 and content["env"] == "Walk"
    assert content["start"] == [1] and content["goal"] == [5] and content["trail"] == [[1], [2], [3], [4], [5]]
    assert content["replans"] == content["failed_plans"] == 0 and content["needs_plan"]
    missed = plan_and_drive(follower(Towards()), Episode.begin(Walk(limit=3), "Walk", 7))
    assert str(missed).endswith("driven: NOT reached after 3 steps (1 short)") and not missed.to_json()["reached"]


def test_a_goal_that_needs_no_plan_and_one_without_a_way_are_said_to_be():
    near = SubgoalPolicy(Towards(), Line(), Line(), lambda s: s, SubgoalPolicyConfig(direct=5))
    drive = plan_and_drive(near, Episode.begin(Walk(), "Walk", 7))
    assert "the goal is 4 steps away: up to 5 no plan is needed" in str(drive) and not drive.to_json()["needs_plan"]

    class Apart(Line):
        def plan(self, state, goal, rng):
            raise NoPathError("no path")

        def pairwise(self, states, goals):
            return np.full((1, 1), np.inf)

    apart = SubgoalPolicy(Towards(), Apart(), Apart(), lambda s: s, SubgoalPolicyConfig())
    with pytest.raises(NoPathError, match=r"^Walk \(seed 7\): no path; nobody ever got from there to here"):
        plan_and_drive(apart, Episode.begin(Walk(), "Walk", 7))
