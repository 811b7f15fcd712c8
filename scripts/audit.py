"""Audit a run's distances against what is true of them, and its agent on ways as long as one link of a plan.

Example: python -m scripts.audit --run runs/u --out runs/u/audit
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg.planner.run.registry import DISTANCES, names_for, part_of
from thalweg.scripts.cli import MOST_NODES, UsageError, check_ranges, make_folder, progress_bar, run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from thalweg.planner.evaluation.audit import Drives, Pairs
    from thalweg.planner.protocols import GoalPolicy
    from thalweg.planner.run.run import Run


_NO_PLAN = 1e9  # env steps: no goal is so far that there would be one


@dataclass(frozen=True, kw_only=True)
class Options:
    run: Path  # a folder that thalweg train wrote
    out: Path  # for audit.json, controller.json, calibration.png and worst_edges.png
    distances: str = ",".join(name for name in names_for("distance", "one") if name != "connectivity")
    env: str | None = None  # path/to/file.py:NAME of the env, where the run does not name one that was trained with here
    agent: Path | None = None  # the model's zip, of a run that plan_with made
    trust_pickle: bool = False  # read it though it is a pickle, which can run code
    pairs: int = 10_000  # held out: starts and goals of fresh env seeds
    drives: int = 1_000  # of the bare agent, and of the agent along routes, to goals 1 to max_edge steps away
    nodes: int = 500  # whose pairs are audited, too; spread as those of a graph
    max_edge: float = 40.0  # the longest link of a plan [env steps]
    seed: int = 1_000_000  # first env seed of the audit, far from those of evaluations
    progress: bool = True


def main(options: Options) -> None:
    names = options.distances.split(",")
    for name in names:
        if part_of("distance", name) is None:
            raise UsageError(f"--distances {name}: an audit is of ours; choose from {', '.join(DISTANCES)}")
    check_ranges(
        options, pairs=(100, 10_000_000), drives=(1, 1_000_000), nodes=(2, MOST_NODES), max_edge=(1, 1e6), seed=(0, 2**32 - 1)
    )
    make_folder(options.out)

    import numpy as np
    import torch

    from thalweg.planner.evaluation.audit_pictures import draw_calibration
    from thalweg.planner.evaluation.report import figure_to_png
    from thalweg.planner.progress import say
    from thalweg.planner.storage import json_to_bytes, replace_file
    from thalweg.planner.truth import truth_of
    from thalweg.runs import load

    torch.set_num_threads(1)
    trained = load(options.run, options.env, agent=options.agent, trust_pickle=options.trust_pickle, progress=options.progress)
    if trained.maps.kind == "many":
        raise UsageError(f"{trained.env} has many maps, and an audit is of one; evaluate its planners instead (thalweg evaluate)")
    limit = int(3 * options.max_edge) + 20
    env = trained.make_env(max_episode_steps=limit)
    true_steps = truth_of(env).shortest_steps
    if true_steps is None and "oracle" in names:
        if options.distances != Options.distances:
            raise UsageError(f"--distances oracle: {trained.env} does not know its true distances")
        names.remove("oracle")
    rng = np.random.default_rng(options.seed)
    known = _known_pairs(trained, env, true_steps, options, rng)
    drives = _drive(trained, trained.agent, env, true_steps, options)
    routed = _drive(trained, _on_routes(trained), env, true_steps, options)
    env.close()
    reports, predictions = {}, {}
    for name in names:
        try:
            trained.plain_distance(name)
        except UsageError as error:  # such as those that ask critics, of an agent that has none
            if options.distances != Options.distances:
                raise
            say(f"left out: {error}")
            continue
        reports[name], predictions[name] = _audit(trained, name, known, drives, options, rng)
    controller = {"bare": _controller(drives, options.max_edge), "routed": _controller(routed, options.max_edge)}
    replace_file(options.out / "audit.json", json_to_bytes(reports))
    replace_file(options.out / "controller.json", json_to_bytes(controller))
    figures = {"calibration": draw_calibration(predictions, known["pairs"].steps, options.max_edge, is_truth="nodes" in known)}
    if known["pairs"].goals.shape[1] == 2:
        figures["worst_edges"] = _worst(trained, reports, true_steps is not None)
    for title, figure in figures.items():
        replace_file(options.out / f"{title}.png", figure_to_png(figure))
    print(table(trained.env, reports))
    print(f"{spoken(controller)}; {options.out}/audit.json")


def _known_pairs(trained: Run, env: Any, true_steps: Any, options: Options, rng: Any) -> dict[str, Pairs]:
    """`pairs`, held out, and `nodes`: against the map where the env has one, else against logged trajectories."""
    import numpy as np

    from thalweg.planner.evaluation.audit import Pairs, logged_pairs, node_pairs, random_pairs
    from thalweg.planner.evaluation.episodes import Episode

    if true_steps is None:
        return {"pairs": logged_pairs(trained.data.trajectories, options.pairs, rng)}
    resets = [Episode.begin(env, trained.env, options.seed + i).observation for i in range(min(options.pairs, 2_000))]
    states, goals = (np.stack([observation[key] for observation in resets]) for key in ("observation", "desired_goal"))
    states, goals = random_pairs(states, goals, options.pairs, rng)
    at, to = node_pairs(trained.data.trajectories, trained.data.goal_of, options.nodes, rng, trained.data.space)
    return {"pairs": Pairs(states, goals, true_steps(states, goals)), "nodes": Pairs(at, to, true_steps(at, to))}


def _drive(trained: Run, policy: GoalPolicy, env: Any, true_steps: Any, options: Options) -> Drives:
    from thalweg.planner.evaluation.audit import drive, near_goals

    choose_goal = near_goals(trained.data.trajectories, int(options.max_edge), true_steps, trained.data.space)
    with progress_bar(options.drives, "drives", options.progress) as bar:
        try:
            return drive(policy, env, choose_goal, options.drives, options.seed, partial(_count, bar))
        except ValueError as error:
            raise UsageError(f"{trained.env}: {error}") from None


def _on_routes(trained: Run) -> GoalPolicy:
    """The agent, led along the clear way to its goal and by no plan."""
    from dataclasses import replace

    policy: Any = trained.policy("replay", nodes=1)
    return replace(policy, config=replace(policy.config, direct=_NO_PLAN))


def _count(bar: Any) -> None:
    bar.update()


def _audit(
    trained: Run, name: str, known: dict[str, Pairs], drives: Drives, options: Options, rng: Any
) -> tuple[dict[str, Any], Any]:
    import numpy as np

    from thalweg.planner.evaluation.audit import score, triangle_violation_rate, worst_edges

    distance = trained.plain_distance(name)
    predicted = {part: distance.paired(pairs.states, pairs.goals) for part, pairs in known.items()}
    report: dict[str, Any] = {"against": "map" if "nodes" in known else "trajectories", "max_edge": options.max_edge}
    report |= score(predicted["pairs"], known["pairs"].steps, options.max_edge)
    states = known["pairs"].states
    report["triangle_violation_rate"] = triangle_violation_rate(distance, states, trained.data.goal_of, options.pairs, rng)
    if "nodes" in known:
        report["nodes"] = score(predicted["nodes"], known["nodes"].steps, options.max_edge)
    else:  # what a trajectory took bounds the truth from above: it cannot show that a short edge is long
        report |= {"false_short_edges": None, "false_short_edge_rate": None}
        report["above_upper_bound_rate"] = float((predicted["pairs"] > 1.1 * known["pairs"].steps + 1).mean())
    reached = np.isfinite(drives.taken)
    near = reached & (drives.taken <= 20)
    for key, chosen in {"realised": reached, "realised_to_20": near}.items():
        expected = distance.paired(drives.pairs.states[chosen], drives.pairs.goals[chosen])
        report[key] = score(expected, drives.taken[chosen], options.max_edge)
    visited = np.concatenate([trajectory.states for trajectory in trained.data.trajectories])
    some = visited[rng.integers(len(visited), size=options.pairs)]
    here = distance.paired(some, trained.data.goal_of(some))
    within = float((here <= 1.0).mean())
    report["to_where_it_is"] = {"within_1_step": within, "mean": float(here.mean()), "max": float(here.max())}
    worst = "nodes" if "nodes" in known else "pairs"
    report["worst_edges"] = worst_edges(predicted[worst], known[worst], options.max_edge, 20)
    return report, predicted["pairs"]


def _controller(drives: Drives, max_edge: float) -> dict[str, Any]:
    from thalweg.planner.evaluation.audit import longest_sure_edge, success_by_distance

    rows = success_by_distance(drives, 3, int(max_edge))
    return {"drives": len(drives.taken), "longest_sure_edge": longest_sure_edge(rows), "success_by_distance": rows}


def _worst(trained: Run, reports: dict[str, Any], truth: bool) -> Figure:
    from thalweg.envs.walls_of import walls_of
    from thalweg.planner.evaluation.audit_pictures import draw_worst_edges

    env = trained.make_env()
    walls = walls_of(env)
    env.close()
    edges = {name: report["worst_edges"] for name, report in reports.items()}
    return draw_worst_edges(edges, trained.data.goal_of, trained.data.goals, walls, is_truth=truth)


def table(env: str, reports: dict[str, dict[str, Any]]) -> str:
    """The audit as lines of text."""
    from thalweg.planner.evaluation.table import heading

    lines = heading(env, 24)
    lines[-1] += f"{'spearman':>9}{'rel. error':>11}{'false short':>12}{'on nodes':>10}{'realised':>9}{'triangle':>9}"
    for name, report in reports.items():
        nodes = report.get("nodes", {}).get("false_short_edge_rate")
        lines.append(
            f"  {name:<22}{_rate(report['spearman'], 3):>9}{_rate(report['median_relative_error'], 3):>11}"
            f"{_rate(report['false_short_edge_rate']):>12}{_rate(nodes):>10}"
            f"{_rate(report['realised_to_20']['median_relative_error'], 3):>9}{report['triangle_violation_rate']:>9.4f}"
        )
    return "\n".join(lines)


def spoken(controller: dict[str, dict[str, Any]]) -> str:
    """How far the agent can be trusted, alone and along routes, in one line."""

    def trusted(report: dict[str, Any]) -> str:
        if report["longest_sure_edge"]:
            return f"99 % of goals up to {report['longest_sure_edge']} steps away"
        nearest = report["success_by_distance"][0]
        return f"99 % of goals at no distance ({nearest['success']:.0%} of those {nearest['from']} to {nearest['to']} steps away)"

    return f"the agent reaches {trusted(controller['bare'])}; led along routes, {trusted(controller['routed'])}"


def _rate(value: float | None, digits: int = 5) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


if __name__ == "__main__":
    run(main, Options)
