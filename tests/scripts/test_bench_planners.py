"""The curves of `scripts.bench planners`, from rows made up."""

import pytest

from thalweg.planner.evaluation.results import EpisodeRow, summarise
from thalweg.scripts.bench.planners import SAMPLERS, draw, nodes_needed, rows_of


def curve(*successes):
    return {2**i: {"success": success} for i, success in enumerate(successes)}


def test_the_fewest_nodes_from_which_on_it_never_falls_again():
    assert nodes_needed(curve(0.5, 0.96, 0.9, 0.95, 1.0)) == 8
    assert nodes_needed(curve(1.0, 1.0)) == 1 and nodes_needed(curve(1.0, 0.9)) is None


def _row_of(name, count, seed):
    success = name == "energy" or count > 8 or seed > 5
    return EpisodeRow(
        env="E", planner=name, seed=seed, success=success, steps=10, path_length=1.0, oracle_length=1.0, detour=1.1,
        wall_contacts=None, replans=0, failed_plans=0, plan_ms=None, nodes=0,
    )  # fmt: skip


@pytest.fixture
def curves():
    """`energy` always arrives; the others do from their second number of nodes on."""
    counts = {count: [_row_of(name, count, s) for name in SAMPLERS for s in range(8)] for count in (8, 32)}
    figures = {count: summarise(rows) for count, rows in counts.items()}
    return {name: {count: figures[count][name] for count in counts} for name in SAMPLERS}


def test_a_curve_gives_the_ratio_of_nodes_and_the_differences_by_seed(curves):
    rows = {row["what"]: row for row in rows_of("world", curves)}
    assert rows["world: nodes for .95"]["ours"] == 8 and rows["world: nodes for .95"]["ratio"] == 4
    assert rows["world: success at 32, less cvae"]["interval"] == [0.0, 0.0]
    few = {name: {8: own[8]} for name, own in curves.items()}
    assert [row["what"] for row in rows_of("world", few)] == ["world: nodes for .95"]  # nothing was measured at 32


def test_curves_are_drawn_a_column_per_map(curves):
    figure = draw({"one": curves, "two": curves})
    assert len(figure.axes) == 6 and len(figure.axes[0].lines) == len(SAMPLERS)
