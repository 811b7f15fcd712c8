"""One row per part: what lists, loads and refuses parts reads these."""

import inspect

import pytest

from thalweg.planner.errors import UsageError
from thalweg.planner.run.registry import (
    DISTANCES,
    PLANNER_NAMES,
    PLANNERS,
    SAMPLERS,
    USUAL_DISTANCE,
    check_planner_names,
    names_for,
    part_of,
)

ROWS = [row for parts in (SAMPLERS, DISTANCES, PLANNERS) for row in parts.rows.values()]
PROMISES = {"sampler": ["sample"], "distance": ["pairwise", "paired"], "planner": ["plan"]}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.kind}-{row.name}")
def test_every_row_is_a_class_with_one_fit_and_what_its_protocol_asks(row):
    part = row.load()
    fit = list(inspect.signature(part.fit).parameters.values())
    assert [parameter.name for parameter in fit[:3]] == ["experience", "config", "on_step"]
    assert all(parameter.default is not inspect.Parameter.empty for parameter in fit[1:])
    assert all(callable(getattr(part, method)) for method in PROMISES[row.kind])
    if row.stored:
        assert callable(part.state) and callable(part.from_state)
    if row.kind == "planner":
        assert callable(part.usual_config)
    assert row.about and len(row.about) < 90


def test_the_views_load_what_they_are_asked_for():
    assert SAMPLERS["replay"].__name__ == "ReplaySampler" and "energy" in SAMPLERS and len(DISTANCES) == 8
    assert "visited states" in repr(SAMPLERS)
    with pytest.raises(KeyError):
        PLANNERS["best"]


def test_names_that_nobody_knows_are_answered_with_the_nearest():
    with pytest.raises(UsageError, match=r"distance 'quasimetrics' is unknown; did you mean quasimetric\?.*file\.py"):
        part_of("distance", "quasimetrics")
    with pytest.raises(UsageError, match=r"planner 'best' is unknown; choose from .*energy"):
        check_planner_names(["none", "best"])
    with pytest.raises(UsageError, match="twice"):
        check_planner_names(["box", "box"])
    check_planner_names([*PLANNER_NAMES, "mine.py:Mine"])
    assert part_of("sampler", "mine.py:Mine") is None


def test_what_there_is_depends_on_the_number_of_maps():
    assert USUAL_DISTANCE["many"] in names_for("distance", "many") and "quasimetric" not in names_for("distance", "many")
    assert "local" not in names_for("distance", "one") and "visited" not in names_for("planner", "many")
