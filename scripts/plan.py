"""Plan once, and draw it: the energy valley with its samples, the graph with its path, the drive through the subgoals."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.common import PLANNERS, Run, UsageError, load_run, make_env, run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from planner.data import Plan


@dataclass(frozen=True, kw_only=True)
class Options:
    run: Path  # a folder that scripts.train wrote
    out: Path  # for plan.json and plan.png
    seed: int = 0  # env seed: fixes start and goal
    planner: str = "energy"
    nodes: int = 100
    goal: tuple[float, ...] | None = None  # instead of the seed's [goal units]
    difficulty: float | None = None  # as in scripts.evaluate


def main(options: Options) -> None:
    if options.planner not in PLANNERS[1:]:
        raise UsageError(f"--planner {options.planner!r} is unknown; choose from {', '.join(PLANNERS[1:])}")
    import torch

    from planner.report import figure_to_png
    from planner.storage import json_to_bytes

    torch.set_num_threads(1)
    trained = load_run(options.run)
    plan, figure = plan_and_draw(trained, options.planner, options.seed, options.nodes, options.difficulty, options.goal)
    options.out.mkdir(parents=True, exist_ok=True)
    content = {
        "waypoints": plan.waypoints.tolist(),
        "steps": plan.edge_steps.tolist(),
        "nodes": plan.nodes.tolist(),
        "edges": plan.edges.tolist(),
    }
    (options.out / "plan.json").write_bytes(json_to_bytes(content))
    (options.out / "plan.png").write_bytes(figure_to_png(figure))
    print(f"{len(plan.waypoints)} waypoints, {plan.total_steps:.0f} env steps; {options.out}/plan.json, plan.png")


def plan_and_draw(
    trained: Run, name: str, seed: int, nodes: int, difficulty: float | None = None, goal: tuple[float, ...] | None = None
) -> tuple[Plan, Figure]:
    """Plan from the env seed's start, drive it, and draw both. NoPathError if there is no path."""
    import numpy as np
    from matplotlib.figure import Figure

    from planner import pictures

    env = make_env(trained.config["env"], max_episode_steps=400)
    reset_options: dict[str, Any] = {} if difficulty is None else {"difficulty": difficulty}
    if goal is not None:
        reset_options["goal"] = goal
    try:
        observation, _ = env.reset(seed=seed, options=reset_options)
    except ValueError as error:
        raise UsageError(str(error)) from None
    start, target = observation["achieved_goal"], observation["desired_goal"]
    planner = trained.planner(name, nodes)
    plan = planner.plan(observation["observation"], target, np.random.default_rng(seed))
    trail = _drive(trained, name, nodes, env, observation)
    world = getattr(env.unwrapped, "map", None)
    walls = world.walls if world is not None else None

    figure = Figure(figsize=(13, 6.5))
    valley, graph, drive = figure.subplots(1, 3)
    if name == "energy" and len(target) == 2:
        pictures.draw_valley(valley, trained.energy_model(), start, target)
    places = trained.goal_of(plan.nodes)
    valley.scatter(places[:, 0], places[:, 1], s=8, color="white", edgecolor="#333", linewidth=0.5, zorder=3)
    pictures.draw_graph(graph, plan, places[:, :2], start[:2], target[:2])
    for axes in (graph, drive):
        pictures.draw_path(axes, trained.goal_of(plan.waypoints)[:, :2], start[:2], target[:2])
    pictures.draw_trail(drive, [place[:2] for place in trail])
    for axes, title in zip((valley, graph, drive), ("energy valley, samples", "graph, path", "drive"), strict=True):
        pictures.draw_walls(axes, walls)
        pictures.draw_ends(axes, start[:2], target[:2])
        axes.set_title(title)
    return plan, figure


def _drive(trained: Run, name: str, nodes: int, env: Any, observation: Any) -> list[Any]:
    policy = trained.policy(name, nodes)
    trail, state, done = [observation["achieved_goal"]], None, False
    while not done:
        action, state = policy.predict(observation, state, deterministic=True)
        observation, _, terminated, truncated, _ = env.step(action)
        trail.append(observation["achieved_goal"])
        done = terminated or truncated
    return trail


if __name__ == "__main__":
    run(main, Options)
