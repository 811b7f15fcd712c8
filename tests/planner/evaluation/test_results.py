"""Rows on disk, and the figures made of them."""

from dataclasses import fields, replace

import numpy as np
import pytest

from thalweg.planner.evaluation.results import EpisodeRow, ResultsFile, interval, rows_to_csv, summarise


def row(planner, seed, success, steps, detour=None, plan_ms=None, oracle=None):
    return EpisodeRow(
        env="E", planner=planner, seed=seed, success=success, steps=steps, path_length=1.0, oracle_length=oracle, detour=detour,
        wall_contacts=None, replans=0, failed_plans=0, plan_ms=plan_ms, nodes=0,
    )  # fmt: skip


def test_figures_by_hand():
    rows = [row("none", s, s < 1, 10 * (s + 1)) for s in range(4)]
    rows += [row("energy", s, s < 3, 10, detour=1.0 + s / 10 if s < 3 else None, plan_ms=s, oracle=1.0) for s in range(4)]
    none, energy = summarise(rows).values()
    assert none["success"] == 0.25 and none["steps_iqm"] == 25 and none["detour_mean"] is None and none["spl"] is None
    assert energy["minus"]["none"]["success"] == 0.5 and energy["detour_mean"] == pytest.approx(1.1)
    assert none["minus"]["energy"]["success"] == -0.5 and energy["minus"]["none"]["steps"] == -15
    low, high = energy["minus"]["none"]["success_ci"]
    assert low < 0.5 < high and energy["plan_ms_median"] == 1.5
    assert energy["spl"] == pytest.approx(np.mean([1, 1 / 1.1, 1 / 1.2, 0]))
    low, high = none["steps_iqm_ci"]
    assert 10 <= low < 25 < high <= 40


def test_gains_are_paired_by_seed():
    """Both fail half the time, on the same seeds: the gain is 0 without doubt. Unpaired it would be most uncertain."""
    rows = [row(planner, s, s % 2 == 0, 10) for planner in ("none", "energy") for s in range(40)]
    assert summarise(rows)["energy"]["minus"]["none"]["success_ci"] == [0.0, 0.0]


def test_the_interval_is_that_of_the_binomial():
    low, high = interval(np.array([1.0] * 80 + [0.0] * 20))
    assert low == pytest.approx(0.72, abs=0.02) and high == pytest.approx(0.88, abs=0.02)
    assert interval(np.ones(5)) == [1.0, 1.0]


def test_the_table_has_a_column_per_field_and_empty_cells_for_the_unknown():
    lines = rows_to_csv([row("none", 3, True, 7)]).splitlines()
    assert lines[0] == ",".join(field.name for field in fields(EpisodeRow))
    assert lines[1] == "E,none,3,1,7,1.0000,,,,0,0,,0"


def test_success_by_distance_has_equally_many_seeds_per_bin():
    """The far half fails."""
    rows = [row("none", s, s < 8, 10, oracle=float(s)) for s in reversed(range(16))]
    bins = summarise(rows)["none"]["by_distance"]
    found = [(b["from"], b["to"], b["episodes"], b["success"]) for b in bins]
    assert found == [(0, 3, 4, 1), (4, 7, 4, 1), (8, 11, 4, 0), (12, 15, 4, 0)]
    assert summarise([row("none", 0, True, 10)])["none"]["by_distance"] == []


def test_planners_that_met_other_seeds_are_not_compared():
    rows = [row("none", 0, True, 10), row("energy", 1, True, 10)]
    assert summarise(rows)["energy"]["minus"] == {}


ROWS = [row("none", 3, True, 7, detour=1.25), replace(row("none", 4, False, 50, plan_ms=2.5), wall_contacts=7, oracle_length=3.5)]


def test_rows_are_read_back_as_they_were_written(tmp_path):
    written = ResultsFile(tmp_path / "results.csv")
    assert written.add(ROWS[:1]) == ROWS[:1] and written.add(ROWS) == ROWS[1:]  # none twice
    again = ResultsFile(tmp_path / "results.csv")
    assert again.rows == ROWS and again.holds("none", 4) and not again.holds("energy", 4) and not again.holds("none", 5)
    assert (tmp_path / "results.csv").read_text() == rows_to_csv(ROWS)


def test_a_line_that_was_cut_off_is_dropped_and_its_episode_missing(tmp_path):
    """As a kill leaves it; cut anywhere, even so that what is left looks whole."""
    whole = rows_to_csv(ROWS)
    for cut in range(1, len(whole.splitlines(keepends=True)[-1]) + 1):
        (tmp_path / "results.csv").write_text(whole[:-cut])
        results = ResultsFile(tmp_path / "results.csv")
        assert results.rows == ROWS[:1]
        results.add(ROWS)
        assert (tmp_path / "results.csv").read_text() == whole


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", rows_to_csv(ROWS) + "E,none,x,1\n"])
def test_a_file_that_holds_something_else_is_refused_and_left_alone(tmp_path, text):
    (tmp_path / "results.csv").write_text(text)
    with pytest.raises(ValueError, match=r"results\.csv"):
        ResultsFile(tmp_path / "results.csv")
    assert (tmp_path / "results.csv").read_text() == text


def test_a_planner_that_never_arrives_has_an_spl_of_nothing():
    """Not an unknown one: the env knows its shortest ways."""
    figures = summarise([row("none", s, False, 10, oracle=2.0) for s in range(4)])["none"]
    assert figures["spl"] == 0.0 and figures["spl_ci"] == [0.0, 0.0] and figures["detour_mean"] is None


def test_names_may_hold_commas(tmp_path):
    rows = [replace(row('my,"own".py:Sampler', 1, True, 3), env="a,b.py:Maze")]
    ResultsFile(tmp_path / "results.csv").add(rows)
    assert ResultsFile(tmp_path / "results.csv").rows == rows
