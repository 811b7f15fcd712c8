"""Plan once in a run's env, drive the plan, and draw what came of it; with the drive's frames where the env draws any."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from .envs.frames import Overlay, checked_frame
from .envs.guard import EnvError
from .envs.point_mass import PointMass
from .envs.walls_of import walls_of
from .planner.data.coverage import LINE_SLACK
from .planner.errors import UsageError
from .planner.evaluation.episodes import Episode
from .planner.evaluation.pictures import energy_valley
from .planner.evaluation.plan_picture import PlanView, draw_plan_view
from .planner.evaluation.planned_drive import PlannedDrive, plan_and_drive
from .planner.goal_space import GoalSpace
from .planner.progress import say
from .planner.protocols import PlanAhead
from .planner.run.registry import NO_PLANNER
from .planner.run.run import Run
from .planner.truth import truth_of
from .runs import check_env_fits


@dataclass(frozen=True, eq=False)
class View:
    """A drive along a plan, drawn, and filmed if that was asked for."""

    drive: PlannedDrive
    figure: Figure
    frames: list[Any]

    def __str__(self) -> str:
        return str(self.drive)


def draw_plan(
    run: Run,
    planner: str = "energy",
    seed: int = 0,
    *,
    goal: Sequence[float] | None = None,
    nodes: int = 100,
    film: bool = False,
) -> View:
    """Plan from where the env seed begins, to its goal or to `goal` [goal units], drive it, and draw both.

    The env is that of `run.at(...)`. `film`: keep the drive's frames. NoPathError without a path; UsageError if the env does not
    take the goal.
    """
    if planner == NO_PLANNER:
        raise UsageError("--planner none plans nothing; name one that does")
    check_env_fits(run)
    env = _make_env(run, film)
    try:
        episode = Episode.begin(env, run.env, seed, None if goal is None else {"goal": np.asarray(goal, np.float32)})
        target = episode.observation["desired_goal"]
        if goal is not None and (target.shape != (len(goal),) or not np.allclose(target, goal, atol=1e-4)):
            raise UsageError(f"--goal: {run.env} does not take the goal from its reset options; leave --goal out")
        if goal is not None and not run.data.visited.contains(target[None], slack=LINE_SLACK).all():
            say(f"--goal {' '.join(map(str, goal))} is where the agent has hardly been, or never: a plan may lead nowhere there")
        policy: Any = run.policy(planner, nodes)
        state = episode.observation["observation"]
        camera = _Camera(run, film and env.render_mode == "rgb_array")
        drive = plan_and_drive(policy, episode, camera)
        shortest_path = truth_of(env).shortest_route
        truth = None if shortest_path is None else shortest_path(drive.start, target)
        return View(drive, _draw(run, planner, state, drive, walls_of(env), truth), camera.frames)
    finally:
        env.close()


def _draw(run: Run, planner: str, state: Any, drive: PlannedDrive, walls: Any, truth: Any) -> Figure:
    plan, goal_of = drive.plan, run.data.goal_of
    waypoints = goal_of(plan.waypoints)
    stops = np.vstack([drive.start, waypoints, drive.goal])
    route = run.routes.through(stops, plan.edge_steps) if run.routes is not None else None
    valley = None
    if planner == "energy" and GoalSpace(len(drive.goal)).has_pictures:
        model: Any = run.sampler("energy")
        valley = energy_valley(model.model, drive.start, drive.goal, run.experience().picture(state))
    visited = run.data.goals
    low, high = visited.min(axis=0), visited.max(axis=0)
    if walls is not None and len(walls) and len(low) > 1:
        low, high = low.copy(), high.copy()
        low[:2], high[:2] = np.minimum(low[:2], walls.min(axis=(0, 1))), np.maximum(high[:2], walls.max(axis=(0, 1)))
    view = PlanView(
        title=f"{run.env}, env seed {drive.episode.seed}, planner {planner}\n{drive}",
        start=drive.start,
        goal=drive.goal,
        waypoints=waypoints,
        times=np.cumsum(plan.edge_steps),
        trail=np.array(drive.episode.trail),
        nodes=goal_of(plan.nodes),
        edges=plan.edges,
        low=low,
        high=high,
        walls=walls,
        route=None if route is None else route.points,
        shortest=truth,
        valley=valley,
    )
    return draw_plan_view(view)


def _make_env(run: Run, film: bool) -> Any:
    """With frames, where the env draws any."""
    env = run.make_env()
    if not film or env.render_mode == "rgb_array" or "rgb_array" not in env.metadata.get("render_modes", []):
        return env
    env.close()
    try:
        return run.make_env(render_mode="rgb_array")
    except EnvError:  # it takes no render_mode
        print(f"no film: {run.env} cannot be made with render_mode='rgb_array'", file=sys.stderr)
        return run.make_env()


class _Camera:
    """Films a drive, step by step; it stops, with a line that says so, where the env draws no picture."""

    def __init__(self, run: Run, filming: bool) -> None:
        self.run, self.filming = run, filming
        self.frames: list[Any] = []

    def __call__(self, episode: Episode) -> None:
        """Just before a step, when the policy has seen the observation."""
        if not self.filming:
            return
        world = episode.env.unwrapped
        if isinstance(world, PointMass) and isinstance(episode.carried, PlanAhead):
            world.overlay = self._overlay(episode.trail[-1], episode.carried)
        try:
            self.frames.append(checked_frame(episode.env.render()))
        except (EnvError, ValueError) as error:  # no screen, or no picture: the plan is worth having all the same
            print(f"no film: {error}", file=sys.stderr)
            self.filming, self.frames = False, []

    def _overlay(self, here: Any, carried: PlanAhead) -> Overlay:
        """The subgoals still ahead, and the graph they come from."""
        ahead = np.vstack([here, carried.subgoals_ahead()])
        if carried.plan is None:
            return Overlay(ahead)
        return Overlay(ahead, nodes=self.run.data.goal_of(carried.plan.nodes))
