"""Pictures say what they show: axes, units, legend; and they are of the shape of the world."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from thalweg.planner.evaluation import pictures
from thalweg.planner.evaluation.audit_pictures import draw_calibration, draw_worst_edges
from thalweg.planner.evaluation.pictures import Valley
from thalweg.planner.evaluation.plan_picture import PlanView, draw_plan_view


def view_of(size, low=0.0, high=1.0, **more):
    rng = np.random.default_rng(0)
    low, high = np.broadcast_to(low, size).astype(float), np.broadcast_to(high, size).astype(float)
    nodes = rng.uniform(low, high, (30, size))
    start, goal = low + 0.1 * (high - low), low + 0.9 * (high - low)
    edges = np.argwhere(~np.eye(32, dtype=bool))
    return PlanView(
        title="Harbour, env seed 3",
        start=start,
        goal=goal,
        waypoints=np.linspace(start, goal, 6)[1:-1],
        times=np.arange(10.0, 60.0, 10.0),
        trail=np.linspace(start, goal, 50),
        nodes=nodes,
        edges=edges,
        low=low,
        high=high,
        **more,
    )


def labels(figure):
    return {text.get_text() for text in figure.legends[0].get_texts()}


def test_a_plan_in_the_plane_has_a_legend_a_colour_bar_in_nats_and_named_axes():
    valley = Valley(np.linspace(0, 1, 9), np.linspace(0, 1, 9), np.add.outer(np.arange(9.0), np.arange(9.0)))
    walls = np.array([[[0.4, 0.0], [0.4, 0.5]], [[0.6, 0.5], [0.7, 1.0]]])
    bends = np.array([[0.1, 0.1], [0.5, 0.2], [0.9, 0.9]])
    view = view_of(2, walls=walls, route=bends, shortest=bends[[0, 2]], valley=valley)
    figure = draw_plan_view(view)
    assert figure.get_suptitle() == "Harbour, env seed 3"
    assert labels(figure) == {
        "wall",
        "start",
        "goal",
        "sampled node",
        "link of the graph",
        "plan: waypoints",
        "plan: route along its links",
        "driven",
        "shortest path, as the env knows it",
    }
    *panels, bar = figure.axes
    assert all(any(np.array_equal(line.get_xydata(), bends) for line in axes.lines) for axes in panels[1:])
    assert bar.get_ylabel() == "energy above the lowest [nats]"
    assert panels[0].get_ylabel() == "goal entry 1 [goal units]" and panels[2].get_xlabel() == "goal entry 0 [goal units]"
    assert all(len(axes.patches) == 2 for axes in panels)  # the walls, the one without width, too
    assert panels[0].patches[0].get_linewidth() > 0 and panels[0].patches[1].get_linewidth() == 0


@pytest.mark.parametrize("extent", [(1.0, 5.0), (1.0, 1.0), (6.0, 1.0)])
def test_the_figure_has_the_shape_of_the_world(extent):
    figure = draw_plan_view(view_of(2, high=np.array(extent)))
    figure.draw_without_rendering()
    width, height = figure.get_size_inches()
    maps = sum(np.prod([axes.get_window_extent().width, axes.get_window_extent().height]) for axes in figure.axes)
    assert maps / (width * height * figure.dpi**2) > 0.4


@pytest.mark.parametrize(("size", "series"), [(1, 1), (3, 3), (5, 5), (9, 6)])
def test_goals_of_other_sizes_are_drawn_against_time(size, series):
    figure = draw_plan_view(view_of(size))
    over_time = [axes for axes in figure.axes if axes.get_xlabel() == "env steps"]
    assert [axes.get_ylabel() for axes in over_time] == [f"goal entry {entry}\n[goal units]" for entry in range(series)]
    assert len(figure.axes) == series + (size > 1) and {"driven", "plan: waypoints", "goal"} <= labels(figure)
    subgoals = next(line for line in over_time[0].lines if line.get_label() == "plan: waypoints")
    assert subgoals.get_xdata().tolist() == [0, 10, 20, 30, 40, 50]
    if size == 9:
        assert "3 more are not shown" in figure.axes[0].get_title()


def test_each_link_is_drawn_once_and_a_carpet_is_thinned_out():
    axes = Figure().subplots()
    assert pictures.draw_links(axes, np.random.default_rng(0).random((32, 2)), np.argwhere(~np.eye(32, dtype=bool))) == 0
    assert len(axes.collections[0].get_segments()) == 32 * 31 // 2
    axes = Figure().subplots()
    left_out = pictures.draw_links(axes, np.random.default_rng(0).random((200, 2)), np.argwhere(~np.eye(200, dtype=bool)))
    shown = len(axes.collections[0].get_segments())
    assert shown + left_out == 200 * 199 // 2 and 1_000 < shown <= 1_500
    assert pictures.draw_links(Figure().subplots(), np.zeros((2, 2)), np.zeros((0, 2), int)) == 0


def test_a_calibration_says_what_is_known_and_promises_red_only_where_there_is_some():
    steps = np.linspace(1, 100, 50)
    for is_truth, label, legend in ((True, "true env steps", "false short edges"), (False, "upper bound", "surely too long")):
        figure = draw_calibration({"euclidean": steps, "q_value": steps + 3}, steps, 20.0, is_truth=is_truth)
        assert len(figure.axes) == 2
        for axes in figure.axes:
            texts = {text.get_text() for text in axes.get_legend().get_texts()}
            assert label in axes.get_xlabel() and texts == {"predicted = known", legend}
    small = draw_calibration({"euclidean": steps}, steps, 60.0, is_truth=True).axes[0]
    assert {text.get_text() for text in small.get_legend().get_texts()} == {"predicted = known"}


def test_labels_stay_apart_and_near_their_points():
    rng = np.random.default_rng(0)
    points = np.concatenate([np.zeros((12, 2)), rng.random((8, 2))])
    places = pictures.spread_labels(points, 0.05, np.zeros(2), np.ones(2))
    gaps = np.linalg.norm(places[:, None] - places, axis=-1) + np.eye(20)
    assert gaps.min() >= 0.05 and np.linalg.norm(places - points, axis=1).max() < 0.3
    assert places.min() >= 0 and places.max() <= 1
    assert pictures.spread_labels(np.zeros((0, 2)), 0.05, np.zeros(2), np.ones(2)).shape == (0, 2)
    with pytest.raises(ValueError, match="no room for 20 labels"):
        pictures.spread_labels(points, 0.9, np.zeros(2), np.ones(2))


def test_the_worst_edges_are_numbered_and_listed():
    edges = [{"state": [0.1, 0.1, 0.0], "goal": [0.9, 0.9], "predicted": 4.0, "true": true} for true in (90.0, None)]
    visited = np.random.default_rng(0).random((50, 2))
    figure = draw_worst_edges({"euclidean": edges, "oracle": []}, lambda states: states[..., :2], visited, None, is_truth=True)
    first, second = figure.axes
    assert "1:  4 / 90     2:  4 / unreachable" in first.get_xlabel()
    assert [text.get_text() for text in first.texts if text.get_text()] == ["1", "2"] and not second.texts
    assert "predicted / true env steps" in figure.get_suptitle()


def test_success_is_drawn_by_name():
    axes = Figure().subplots()
    pictures.draw_success(axes, np.arange(3), {"near": np.zeros(3), "far": np.ones(3)})
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["near", "far"]
    assert axes.get_xlabel() == "env steps of training"
