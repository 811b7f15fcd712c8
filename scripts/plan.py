"""Plan once, drive it and draw it: the energy valley with its samples, the graph with its path, the drive as a GIF."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg.scripts.cli import UsageError, make_folder, parse_env_kwargs, run
from thalweg.scripts.parts import check_planner_names, make_policy
from thalweg.scripts.runs import Run, check_env_fits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from thalweg.planner.evaluation.episodes import Episode
    from thalweg.planner.evaluation.planned_drive import PlannedDrive
    from thalweg.planner.plan import Plan
    from thalweg.planner.protocols import PlanAhead


@dataclass(frozen=True, kw_only=True)
class Options:
    run: Path  # a folder that scripts.train wrote
    out: Path  # for plan.json, plan.png and, where the env draws frames, plan.gif
    seed: int = 0  # env seed: fixes start and goal
    planner: str = "energy"
    nodes: int = 100
    goal: tuple[float, ...] | None = None  # instead of the seed's [goal units]
    difficulty: float | None = None  # only pairs farther apart than this quantile, where the env knows it; by default 0.5
    env_kwargs: str = "{}"  # of the env, as JSON, over those of the run: '{"task_id": 3}'
    episode_steps: int | None = None  # length of the drive; by default 400, or the env's own where that is longer
    gif: bool = True  # film the drive


def main(options: Options) -> None:
    check_planner_names([options.planner])
    if options.planner == "none":
        raise UsageError("--planner none plans nothing; name one that does")
    if options.nodes < 1 or (options.episode_steps is not None and options.episode_steps < 1):
        raise UsageError(f"--nodes and --episode-steps must be at least 1, got {options.nodes} and {options.episode_steps}")
    parse_env_kwargs(options.env_kwargs)
    make_folder(options.out)

    from thalweg.planner.evaluation.evaluation_folder import settled
    from thalweg.planner.evaluation.report import figure_to_png
    from thalweg.planner.evaluation.setting import Setting
    from thalweg.planner.evaluation.table import remark_on_defaults
    from thalweg.planner.storage import json_to_bytes, replace_file
    from thalweg.scripts.evaluated_run import RunFolder

    subject = RunFolder(str(options.run), progress=True)
    asked = Setting(
        nodes=options.nodes,
        episode_steps=options.episode_steps,
        difficulty=options.difficulty,
        env_kwargs=options.env_kwargs,
    )
    setting, chosen = settled(subject, asked)
    view = plan_and_view(
        subject.trained,
        options.planner,
        options.seed,
        options.nodes,
        subject.env_options(setting),
        options.goal,
        options.gif,
    )
    content = {**view.drive.to_json(), "planner": options.planner, "num_nodes": options.nodes}
    written = ["plan.json", "plan.png"]
    replace_file(options.out / "plan.json", json_to_bytes(content))
    replace_file(options.out / "plan.png", figure_to_png(view.figure))
    if view.frames:
        from thalweg.envs.frames import gif_bytes

        replace_file(options.out / "plan.gif", gif_bytes(view.frames, 20))
        written.append("plan.gif")
    print(f"{view.drive}; {options.out}/{', '.join(written)}")
    for line in remark_on_defaults(setting.episode_steps, setting.difficulty, chosen):
        print(line)


@dataclass(frozen=True, eq=False)
class View:
    """A drive along a plan, drawn, and filmed if that was asked for."""

    drive: PlannedDrive
    figure: Figure
    frames: list[Any]


def plan_and_draw(
    trained: Run,
    name: str,
    seed: int,
    nodes: int,
    settings: dict[str, Any],
    goal: tuple[float, ...] | None = None,
    film: bool = False,
) -> tuple[Plan, Figure, list[Any]]:
    """As `plan_and_view`; the plan alone, without what came of it."""
    view = plan_and_view(trained, name, seed, nodes, settings, goal, film)
    return view.drive.plan, view.figure, view.frames


def plan_and_view(
    trained: Run,
    name: str,
    seed: int,
    nodes: int,
    settings: dict[str, Any],
    goal: tuple[float, ...] | None = None,
    film: bool = False,
) -> View:
    """Plan from the env seed's start, drive it, and draw both; with `film`, the drive's frames. NoPathError without a path."""
    import numpy as np

    from thalweg.envs.walls_of import walls_of
    from thalweg.planner.evaluation.episodes import Episode
    from thalweg.planner.evaluation.planned_drive import plan_and_drive

    settings = trained.env_kwargs | settings
    check_env_fits(trained, settings)
    env = _make_env(trained, settings, film)
    episode = Episode.begin(env, trained.env, seed, None if goal is None else {"goal": goal})
    target = episode.observation["desired_goal"]
    if goal is not None and (target.shape != (len(goal),) or not np.allclose(target, goal, atol=1e-4)):
        raise UsageError(f"--goal: {trained.env} does not take the goal from its reset options; leave --goal out")
    policy: Any = make_policy(trained, name, nodes, env_kwargs=settings)
    state = episode.observation["observation"]
    camera = _Camera(trained, env.render_mode == "rgb_array")
    drive = plan_and_drive(policy, episode, camera)
    walls, shortest_route = walls_of(env), getattr(env.unwrapped, "shortest_route", None)
    route = None if shortest_route is None else shortest_route(drive.start, target)
    env.close()
    return View(drive, _draw(trained, name, state, drive, walls, route), camera.frames)


def _draw(trained: Run, name: str, state: Any, drive: PlannedDrive, walls: Any, route: Any) -> Figure:
    """The valley with its samples, the graph with its path, the drive."""
    import numpy as np
    from matplotlib.figure import Figure

    from thalweg.planner.evaluation import pictures

    plan, start, target = drive.plan, drive.start, drive.goal
    figure = Figure(figsize=(13, 6.5))
    valley, graph, driven = figure.subplots(1, 3)
    if name == "energy" and len(target) == 2:
        picture = trained.experience.picture(state)
        pictures.draw_valley(valley, trained.energy_model(), start, target, picture)
    nodes_at, waypoints_at = _plane(trained.goal_of(plan.nodes)), _plane(trained.goal_of(plan.waypoints))
    start_at, target_at = _plane(start), _plane(target)
    valley.scatter(nodes_at[:, 0], nodes_at[:, 1], s=8, color="white", edgecolor="#333", linewidth=0.5, zorder=3)
    pictures.draw_graph(graph, plan, nodes_at, start_at, target_at)
    for axes in (graph, driven):
        pictures.draw_path(axes, waypoints_at, start_at, target_at)
    pictures.draw_oracle(driven, route)
    pictures.draw_trail(driven, _plane(np.array(drive.episode.trail)))
    visited = _plane(np.concatenate([trajectory.goals for trajectory in trained.trajectories]))
    shown = visited if walls is None else np.concatenate([visited, walls.reshape(-1, 2)])
    titles = ("energy valley, samples" if name == "energy" else "samples", "graph, path", "drive")
    for axes, title in zip((valley, graph, driven), titles, strict=True):
        pictures.show_all(axes, shown)
        pictures.draw_walls(axes, walls)
        pictures.draw_ends(axes, start_at, target_at)
        axes.set_title(title)
    return figure


def _plane(goals: Any) -> Any:
    """(..., G) -> (..., 2) for a picture: the first two entries; a goal of one entry lies on a line."""
    import numpy as np

    return goals[..., :2] if goals.shape[-1] > 1 else np.concatenate([goals, np.zeros_like(goals)], axis=-1)


def _make_env(trained: Run, settings: dict[str, Any], film: bool) -> Any:
    """With frames, where the env draws any."""
    import thalweg.envs  # noqa: F401 (registers ours)
    from thalweg.envs.guard import EnvError
    from thalweg.envs.loading import load_env

    env = load_env(trained.env, **settings)
    if not film or env.render_mode == "rgb_array" or "rgb_array" not in env.metadata.get("render_modes", []):
        return env
    try:
        filmed = load_env(trained.env, render_mode="rgb_array", **settings)
    except EnvError:  # it takes no render_mode
        print(f"no film: {trained.env} cannot be made with render_mode='rgb_array'", file=sys.stderr)
        return env
    env.close()
    return filmed


class _Camera:
    """Films a drive, step by step; it stops, with a line that says so, where the env draws no picture."""

    def __init__(self, trained: Run, filming: bool) -> None:
        self.trained, self.filming = trained, filming
        self.frames: list[Any] = []

    def __call__(self, episode: Episode) -> None:
        """Just before a step, when the policy has seen the observation."""
        if not self.filming:
            return
        from thalweg.envs.frames import checked_frame
        from thalweg.envs.guard import EnvError
        from thalweg.envs.point_mass import PointMass
        from thalweg.planner.protocols import PlanAhead

        world = episode.env.unwrapped
        if isinstance(world, PointMass) and isinstance(episode.carried, PlanAhead):
            world.overlay = _overlay(self.trained, episode.trail[-1], episode.carried)
        try:
            self.frames.append(checked_frame(episode.env.render()))
        except (EnvError, ValueError) as error:  # no screen, or no picture: the plan is worth having all the same
            print(f"no film: {error}", file=sys.stderr)
            self.filming, self.frames = False, []


def _overlay(trained: Run, here: Any, carried: PlanAhead) -> Any:
    """The subgoals still ahead, and the graph they come from."""
    import numpy as np

    from thalweg.envs.frames import Overlay

    ahead = np.vstack([here, carried.subgoals_ahead()])
    if carried.plan is None:
        return Overlay(ahead)
    return Overlay(ahead, nodes=trained.goal_of(carried.plan.nodes))


if __name__ == "__main__":
    run(main, Options)
