"""Plan once, drive it and draw it: the energy valley with its samples, the graph with its path, the drive as a GIF."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg.scripts.cli import UsageError, make_folder, parse_env_kwargs, run
from thalweg.scripts.parts import check_planner_names, make_policy
from thalweg.scripts.runs import Run, check_env_fits, load_run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from thalweg.planner.plan import Plan


@dataclass(frozen=True, kw_only=True)
class Options:
    run: Path  # a folder that scripts.train wrote
    out: Path  # for plan.json, plan.png and, where the env draws frames, plan.gif
    seed: int = 0  # env seed: fixes start and goal
    planner: str = "energy"
    nodes: int = 100
    goal: tuple[float, ...] | None = None  # instead of the seed's [goal units]
    difficulty: float | None = None  # as in scripts.evaluate
    env_kwargs: str = "{}"  # likewise
    episode_steps: int = 400  # length of the drive
    gif: bool = True  # film the drive


def main(options: Options) -> None:
    check_planner_names([options.planner])
    if options.planner == "none":
        raise UsageError("--planner none plans nothing; name one that does")
    if options.nodes < 1 or options.episode_steps < 1:
        raise UsageError(f"--nodes and --episode-steps must be at least 1, got {options.nodes} and {options.episode_steps}")
    make_folder(options.out)
    import torch

    from thalweg.planner.evaluation.report import figure_to_png
    from thalweg.planner.storage import json_to_bytes, replace_file

    torch.set_num_threads(1)
    trained = load_run(options.run)
    settings = parse_env_kwargs(options.env_kwargs) | {"max_episode_steps": options.episode_steps}
    if options.difficulty is not None:
        settings["difficulty"] = options.difficulty
    plan, figure, frames = plan_and_draw(
        trained, options.planner, options.seed, options.nodes, settings, options.goal, options.gif
    )
    content = {
        "waypoints": plan.waypoints.tolist(),
        "steps": plan.edge_steps.tolist(),
        "nodes": plan.nodes.tolist(),
        "edges": plan.edges.tolist(),
    }
    written = ["plan.json", "plan.png"]
    replace_file(options.out / "plan.json", json_to_bytes(content))
    replace_file(options.out / "plan.png", figure_to_png(figure))
    if frames:
        from thalweg.envs.frames import gif_bytes

        replace_file(options.out / "plan.gif", gif_bytes(frames, 20))
        written.append("plan.gif")
    print(f"{len(plan.waypoints)} waypoints, {plan.total_steps:.0f} env steps; {options.out}/{', '.join(written)}")


def plan_and_draw(
    trained: Run,
    name: str,
    seed: int,
    nodes: int,
    settings: dict[str, Any],
    goal: tuple[float, ...] | None = None,
    film: bool = False,
) -> tuple[Plan, Figure, list[Any]]:
    """Plan from the env seed's start, drive it, and draw both; with `film`, the drive's frames. NoPathError without a path."""
    import numpy as np
    from matplotlib.figure import Figure

    from thalweg.envs.walls_of import walls_of
    from thalweg.planner.evaluation import pictures

    settings = trained.env_kwargs | settings
    check_env_fits(trained, settings)
    env = _make_env(trained, settings, film)
    observation, _ = env.reset(seed=seed, options=None if goal is None else {"goal": goal})
    start, target = observation["achieved_goal"], observation["desired_goal"]
    if goal is not None and (target.shape != (len(goal),) or not np.allclose(target, goal, atol=1e-4)):
        raise UsageError(f"--goal: {trained.env} does not take the goal from its reset options; leave --goal out")
    policy: Any = make_policy(trained, name, nodes, env_kwargs=settings)
    state = observation["observation"]
    # the plan that is driven, if the goal is not near enough to do without
    plan = policy.planner.plan(state, target, policy.rng_of(state, target))
    trail, frames = _drive(trained, policy, env, observation)
    walls, shortest_route = walls_of(env), getattr(env.unwrapped, "shortest_route", None)
    env.close()

    figure = Figure(figsize=(13, 6.5))
    valley, graph, drive = figure.subplots(1, 3)
    if name == "energy" and len(target) == 2:
        picture = trained.experience.picture(state)
        pictures.draw_valley(valley, trained.energy_model(), start, target, picture)
    nodes_at, waypoints_at = _plane(trained.goal_of(plan.nodes)), _plane(trained.goal_of(plan.waypoints))
    start_at, target_at = _plane(start), _plane(target)
    valley.scatter(nodes_at[:, 0], nodes_at[:, 1], s=8, color="white", edgecolor="#333", linewidth=0.5, zorder=3)
    pictures.draw_graph(graph, plan, nodes_at, start_at, target_at)
    for axes in (graph, drive):
        pictures.draw_path(axes, waypoints_at, start_at, target_at)
    pictures.draw_oracle(drive, None if shortest_route is None else shortest_route(start, target))
    pictures.draw_trail(drive, _plane(np.array(trail)))
    visited = _plane(np.concatenate([trajectory.goals for trajectory in trained.trajectories]))
    shown = visited if walls is None else np.concatenate([visited, walls.reshape(-1, 2)])
    for axes, title in zip(
        (valley, graph, drive), ("energy valley, samples" if name == "energy" else "samples", "graph, path", "drive"), strict=True
    ):
        pictures.show_all(axes, shown)
        pictures.draw_walls(axes, walls)
        pictures.draw_ends(axes, start_at, target_at)
        axes.set_title(title)
    return plan, figure, frames


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


def _drive(trained: Run, policy: Any, env: Any, observation: Any) -> tuple[list[Any], list[Any]]:
    """The places passed and the frames seen; none where the env draws none."""
    from thalweg.envs.frames import checked_frame
    from thalweg.envs.guard import EnvError
    from thalweg.envs.point_mass import PointMass
    from thalweg.planner.following.subgoal_policy import Pursuit

    trail, frames, state, done = [observation["achieved_goal"]], [], None, False
    filmed = env.render_mode == "rgb_array"
    while not done:
        action, state = policy.predict(observation, state, deterministic=True)
        if filmed:
            if isinstance(env.unwrapped, PointMass) and state is not None and isinstance(state[0], Pursuit):
                env.unwrapped.overlay = _overlay(trained, trail[-1], state[0])
            try:
                frames.append(checked_frame(env.render()))
            except (EnvError, ValueError) as error:  # no screen, or no picture: the plan is worth having all the same
                print(f"no film: {error}", file=sys.stderr)
                filmed, frames = False, []
        observation, _, terminated, truncated, _ = env.step(action)
        trail.append(observation["achieved_goal"])
        done = terminated or truncated
    return trail, frames


def _overlay(trained: Run, here: Any, pursuit: Any) -> Any:
    """The subgoals still ahead, and the graph they come from."""
    import numpy as np

    from thalweg.envs.frames import Overlay

    ahead = np.vstack([here, pursuit.targets[pursuit.current :]])
    if pursuit.plan is None:
        return Overlay(ahead)
    return Overlay(ahead, nodes=trained.goal_of(pursuit.plan.nodes))


if __name__ == "__main__":
    run(main, Options)
