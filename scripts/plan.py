"""Plan once, drive it and draw it: the energy valley with its samples, the graph with its path, the drive as a GIF."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.common import PLANNERS, Run, UsageError, load_run, run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from planner.data import Plan


@dataclass(frozen=True, kw_only=True)
class Options:
    run: Path  # a folder that scripts.train wrote
    out: Path  # for plan.json, plan.png and, where the env draws frames, plan.gif
    seed: int = 0  # env seed: fixes start and goal
    planner: str = "energy"
    nodes: int = 100
    goal: tuple[float, ...] | None = None  # instead of the seed's [goal units]
    difficulty: float | None = None  # as in scripts.evaluate
    episode_steps: int = 400  # length of the drive
    gif: bool = True  # film the drive


def main(options: Options) -> None:
    if options.planner not in PLANNERS[1:]:
        raise UsageError(f"--planner {options.planner!r} is unknown; choose from {', '.join(PLANNERS[1:])}")
    import torch

    from planner.report import figure_to_png
    from planner.storage import json_to_bytes

    torch.set_num_threads(1)
    trained = load_run(options.run)
    reset_options: dict[str, Any] = {} if options.difficulty is None else {"difficulty": options.difficulty}
    if options.goal is not None:
        reset_options["goal"] = options.goal
    planner = options.planner
    plan, figure, frames = plan_and_draw(
        trained, planner, options.seed, options.nodes, options.episode_steps, reset_options, options.gif
    )
    options.out.mkdir(parents=True, exist_ok=True)
    content = {
        "waypoints": plan.waypoints.tolist(),
        "steps": plan.edge_steps.tolist(),
        "nodes": plan.nodes.tolist(),
        "edges": plan.edges.tolist(),
    }
    written = ["plan.json", "plan.png"]
    (options.out / "plan.json").write_bytes(json_to_bytes(content))
    (options.out / "plan.png").write_bytes(figure_to_png(figure))
    if frames:
        from envs.drawing import save_gif

        save_gif(frames, options.out / "plan.gif", 20)
        written.append("plan.gif")
    print(f"{len(plan.waypoints)} waypoints, {plan.total_steps:.0f} env steps; {options.out}/{', '.join(written)}")


def plan_and_draw(
    trained: Run, name: str, seed: int, nodes: int, episode_steps: int, reset_options: dict[str, Any], film: bool = False
) -> tuple[Plan, Figure, list[Any]]:
    """Plan from the env seed's start, drive it, and draw both; with `film`, the drive's frames. NoPathError without a path."""
    import numpy as np
    from matplotlib.figure import Figure

    from envs.walls_of import walls_of
    from planner import pictures

    env = _make_env(trained, episode_steps, film)
    observation, _ = env.reset(seed=seed, options=reset_options)
    start, target = observation["achieved_goal"], observation["desired_goal"]
    if "goal" in reset_options and not np.allclose(target, reset_options["goal"], atol=1e-4):
        raise UsageError(f"--goal: {trained.env} does not take the goal from its reset options; leave --goal out")
    planner = trained.planner(name, nodes)
    plan = planner.plan(observation["observation"], target, np.random.default_rng(seed))
    trail, frames = _drive(trained, name, nodes, env, observation)
    walls, shortest_route = walls_of(env), getattr(env.unwrapped, "shortest_route", None)
    env.close()

    figure = Figure(figsize=(13, 6.5))
    valley, graph, drive = figure.subplots(1, 3)
    if name == "energy" and len(target) == 2:
        pictures.draw_valley(valley, trained.energy_model(), start, target)
    nodes_at, waypoints_at = _plane(trained.goal_of(plan.nodes)), _plane(trained.goal_of(plan.waypoints))
    start_at, target_at = _plane(start), _plane(target)
    valley.scatter(nodes_at[:, 0], nodes_at[:, 1], s=8, color="white", edgecolor="#333", linewidth=0.5, zorder=3)
    pictures.draw_graph(graph, plan, nodes_at, start_at, target_at)
    for axes in (graph, drive):
        pictures.draw_path(axes, waypoints_at, start_at, target_at)
    pictures.draw_oracle(drive, None if shortest_route is None else shortest_route(start, target))
    pictures.draw_trail(drive, _plane(np.array(trail)))
    for axes, title in zip((valley, graph, drive), ("energy valley, samples", "graph, path", "drive"), strict=True):
        pictures.draw_walls(axes, walls)
        pictures.draw_ends(axes, start_at, target_at)
        axes.set_title(title)
    return plan, figure, frames


def _plane(goals: Any) -> Any:
    """(..., G) -> (..., 2) for a picture: the first two entries; a goal of one entry lies on a line."""
    import numpy as np

    return goals[..., :2] if goals.shape[-1] > 1 else np.concatenate([goals, np.zeros_like(goals)], axis=-1)


def _make_env(trained: Run, episode_steps: int, film: bool) -> Any:
    """With frames, where the env draws any."""
    import envs  # noqa: F401 (registers ours)
    from envs.loading import load_env

    settings = {**trained.env_kwargs, "max_episode_steps": episode_steps}
    env = load_env(trained.env, **settings)
    if film and "rgb_array" in env.metadata.get("render_modes", []):
        env.close()
        env = load_env(trained.env, render_mode="rgb_array", **settings)
    return env


def _drive(trained: Run, name: str, nodes: int, env: Any, observation: Any) -> tuple[list[Any], list[Any]]:
    """The places passed and the frames seen; none where the env draws none."""
    policy = trained.policy(name, nodes)
    trail, frames, state, done = [observation["achieved_goal"]], [], None, False
    filmed = env.render_mode == "rgb_array"
    while not done:
        action, state = policy.predict(observation, state, deterministic=True)
        if filmed:
            if hasattr(env.unwrapped, "overlay") and state is not None:
                env.unwrapped.overlay = _overlay(trained, trail[-1], state[0])
            try:
                frames.append(env.render())
            except Exception as error:  # a machine without a screen or GL: the plan is worth having all the same
                print(f"no film: {error}", file=sys.stderr)
                filmed, frames = False, []
        observation, _, terminated, truncated, _ = env.step(action)
        trail.append(observation["achieved_goal"])
        done = terminated or truncated
    return trail, frames


def _overlay(trained: Run, here: Any, pursuit: Any) -> Any:
    """The subgoals still ahead, and the graph they come from."""
    import numpy as np

    from envs.drawing import Overlay

    ahead = np.vstack([here, pursuit.targets[pursuit.current :]])
    if pursuit.plan is None:
        return Overlay(ahead)
    return Overlay(ahead, nodes=trained.goal_of(pursuit.plan.nodes))


if __name__ == "__main__":
    run(main, Options)
