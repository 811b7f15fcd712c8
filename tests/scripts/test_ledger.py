"""The ledger: every measured figure has where it comes from, pages are as rendered, and what is old is named."""

import copy
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from thalweg.planner.evaluation.ledger import (
    Column,
    LedgerError,
    Row,
    Table,
    read_table,
    read_tables,
    record,
    records_of,
    table_to_json,
    values_of,
    write_table,
)
from thalweg.planner.evaluation.ledger_pages import filled, index_of, page_of, text_of
from thalweg.planner.evaluation.provenance import Provenance, is_older, this_machine, version_of
from thalweg.scripts import ledger
from thalweg.scripts.cli import run

ROOT = Path(__file__).resolve().parent.parent.parent
ORIGIN = {
    "command": "python -m scripts.bench envs --out runs/b",
    "version": "0.2.0",
    "commit": "abcdef1",
    "date": "2026-11-27",
    "machine": "two cores",
    "env_seeds": "0:100",
    "training_seeds": "0",
}
TABLE = {
    "title": "Speed",
    "about": "Env steps a second.",
    "columns": [
        {"key": "what", "heading": "env"},
        {"key": "ours", "heading": "ours", "unit": "steps/s", "digits": 1, "better": "higher"},
    ],
    "rows": [
        {"values": {"what": "flat", "ours": 1234.5}, "provenance": ORIGIN},
        {"values": {"what": "U", "ours": [0.5, 0.25, 0.75]}, "provenance": ORIGIN},
    ],
}


def git(root, *arguments):
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    return subprocess.run(["git", "-C", str(root), *who, *arguments], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path):
    """A repository with one table, rendered, whose rows were measured at its one commit."""
    root = tmp_path / "checkout"
    (root / "results").mkdir(parents=True)
    (root / "setup.cfg").write_text("[metadata]\nversion = 0.2.0\n")
    (root / "code.py").write_text("x = 1\n")
    git(root.parent, "init", "-q", str(root))
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "first")
    write(root, at(root, TABLE))
    assert ledger.main(ledger.RenderOptions(root=root)) == 0
    return root


def at(root, content):
    """The same, measured at the repository's HEAD."""
    content = copy.deepcopy(content)
    for row in content["rows"]:
        row["provenance"]["commit"] = git(root, "rev-parse", "--short=7", "HEAD")
    return content


def write(root, content, name="speed"):
    (root / "results" / f"{name}.json").write_text(json.dumps(content))


def changed(root, change):
    """The table's JSON after `change` has had it."""
    content = json.loads((root / "results" / "speed.json").read_text())
    change(content)
    write(root, content)


def problems(root, capsys, **options):
    capsys.readouterr()
    code = ledger.main(ledger.CheckOptions(root=root, **options))
    return code, capsys.readouterr().out.splitlines()


def test_this_projects_ledger_is_whole_and_its_pages_are_as_rendered(capsys):
    code, lines = problems(ROOT, capsys, accept_older=True)
    assert code == 0, [line for line in lines if "older than" not in line]


def test_figures_of_the_pages_are_those_of_the_tables():
    for table in read_tables(ROOT / "results"):
        page = (ROOT / "docs" / "measurements" / f"{table.name}.md").read_text()
        bodies = re.findall(r"^\|---.*\n((?:\|.*\n)+)", page, re.MULTILINE)
        shown = {cell for body in bodies for line in body.splitlines() for cell in line[2:-2].split(" | ")}
        ours = {text_of(row.values[column.key], column.digits) for row in table.rows for column in table.columns}
        numbers = {str(number) for number in range(1, len(table.rows) + 1)}
        assert ours <= shown <= ours | numbers, table.name


def test_a_ledger_in_order_passes(checkout, capsys):
    assert problems(checkout, capsys) == (0, ["2 rows in 1 tables, none of them old"])


def test_an_older_row_is_named(checkout, capsys):
    changed(checkout, lambda content: content["rows"][1]["provenance"].update(version="0.2.0.dev0"))
    ledger.main(ledger.RenderOptions(root=checkout))
    code, lines = problems(checkout, capsys)
    assert code == 1 and len(lines) == 1 and lines[0].startswith("speed, row 2: of 0.2.0.dev0, older than 0.2.0")
    assert problems(checkout, capsys, accept_older=True) == (0, lines)
    assert "Row 2: version 0.2.0.dev0 (older than 0.2.0)" in (checkout / "docs" / "measurements" / "speed.md").read_text()


def test_an_edited_page_is_named_and_a_new_version_makes_all_old(checkout, capsys):
    page = checkout / "docs" / "measurements" / "speed.md"
    page.write_text(page.read_text().replace("1,234.5", "9,999.9"))
    code, lines = problems(checkout, capsys)
    assert code == 1 and lines == [f"{page} is not as rendered; python -m scripts.ledger render"]
    (checkout / "setup.cfg").write_text("[metadata]\nversion = 0.3.0\n")
    ledger.main(ledger.RenderOptions(root=checkout))
    code, lines = problems(checkout, capsys)
    assert code == 1 and len(lines) == 1 and "rows 1 to 2: of 0.2.0, older than 0.3.0" in lines[0]


def test_a_page_without_a_table_is_named_and_removed(checkout, capsys):
    stray = checkout / "docs" / "measurements" / "gone.md"
    stray.write_text("# Gone\n")
    code, lines = problems(checkout, capsys)
    assert code == 1 and lines == [f"{stray} has no table in results/; python -m scripts.ledger render"]
    ledger.main(ledger.RenderOptions(root=checkout))
    assert not stray.exists()


def test_commits_that_are_unknown_or_were_not_clean_are_named(checkout, capsys):
    known = git(checkout, "rev-parse", "--short=7", "HEAD")

    def change(content):
        content["rows"][0]["provenance"]["commit"] = "0123456"
        content["rows"][1]["provenance"]["commit"] = f"{known}+"

    changed(checkout, change)
    ledger.main(ledger.RenderOptions(root=checkout))
    code, lines = problems(checkout, capsys)
    assert code == 1 and len(lines) == 2
    assert lines[0] == "speed, row 1: this history has no commit 0123456"
    assert lines[1].startswith(f"speed, row 2: measured at {known} with changes that were not committed")


def test_what_was_not_recorded_may_be_missing_from_older_rows_alone(checkout, capsys):
    changed(checkout, put("rows", 1, "provenance", "command", value="not recorded"))
    ledger.main(ledger.RenderOptions(root=checkout))
    assert "The command was not recorded." in (checkout / "docs" / "measurements" / "speed.md").read_text()
    code, lines = problems(checkout, capsys, accept_older=True)
    assert code == 1 and lines == ["speed, row 2: command not recorded; measure it again"]
    changed(checkout, put("rows", 1, "provenance", "version", value="0.1.9"))
    ledger.main(ledger.RenderOptions(root=checkout))
    assert problems(checkout, capsys, accept_older=True)[0] == 0


def test_a_missing_picture_is_named(checkout, capsys):
    figure = {"file": "curve.png", "caption": "A curve", "provenance": at(checkout, TABLE)["rows"][0]["provenance"]}
    changed(checkout, lambda content: content.update(figures=[figure]))
    ledger.main(ledger.RenderOptions(root=checkout))
    code, lines = problems(checkout, capsys)
    assert code == 1 and len(lines) == 1 and "curve.png" in lines[0]
    (checkout / "docs" / "measurements" / "curve.png").write_bytes(b"")
    assert problems(checkout, capsys)[0] == 0
    assert "![A curve](curve.png)" in (checkout / "docs" / "measurements" / "speed.md").read_text()


def put(*path, value):
    def change(content):
        for key in path[:-1]:
            content = content[key]
        content[path[-1]] = value

    return change


def drop(*path):
    def change(content):
        for key in path[:-1]:
            content = content[key]
        del content[path[-1]]

    return change


@pytest.mark.parametrize(
    ("change", "line"),
    [
        *(
            (drop("rows", 1, "provenance", name), f"speed.json, row 2, provenance has no {name}")
            for name in ("command", "version", "commit", "date", "machine", "env_seeds", "training_seeds")
        ),
        (drop("rows", 0, "provenance"), "speed.json, row 1 has no provenance"),
        (drop("about"), "speed.json has no about"),
        (put("rows", 0, "provenance", "date", value="27.11."), "row 1, provenance: date '27.11.' is not understood"),
        (put("rows", 0, "provenance", "commit", value="main"), "row 1, provenance: commit 'main' is not understood"),
        (put("rows", 0, "provenance", "version", value="new"), "row 1, provenance: version 'new' is not understood"),
        (put("rows", 0, "provenance", "machine", value=""), "row 1, provenance: machine is empty"),
        (put("rows", 0, "provenance", "mood", value="good"), "row 1, provenance has an unknown entry 'mood'"),
        (put("rows", 0, "values", "ours", value="fast"), "row 1: ours must be a number"),
        (put("rows", 0, "values", "ours", value=[1, 2]), "row 1: ours must be a number"),
        (put("rows", 0, "values", "ours", value=float("nan")), "row 1: ours must be a number"),
        (put("rows", 0, "values", "ours", value=True), "row 1: ours must be a number"),
        (put("rows", 0, "values", "what", value=3), "row 1: what must be a text"),
        (put("rows", 0, "values", "peer", value=3), "row 1 has a value without a column: peer"),
        (drop("rows", 1, "values", "ours"), "row 2 has no value: ours"),
        (put("rows", 1, "values", "what", value="flat"), "row 2 has the texts of row 1"),
        (put("columns", 1, "better", value="more"), "column 2: better must be one of higher, lower, none"),
        (put("columns", 1, "digits", value=-1), "column 2: digits must be 0 to 9"),
        (put("columns", value=[]), "speed.json has no columns"),
        (put("rows", value={}), "speed.json: rows must be of kind list"),
    ],
)
def test_a_damaged_table_is_one_line(checkout, change, line, monkeypatch, capsys):
    changed(checkout, change)
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", ["ledger", "check", "--root", str(checkout)])
    with pytest.raises(SystemExit) as end:
        run(ledger.main, ledger.Options)
    errors = capsys.readouterr().err.splitlines()
    assert end.value.code == 2 and len(errors) == 1 and line in errors[0]


def test_no_table_no_json_and_no_checkout_are_one_line(tmp_path):
    with pytest.raises(LedgerError, match="holds no table"):
        read_tables(tmp_path)
    (tmp_path / "t.json").write_text("{")
    with pytest.raises(LedgerError, match=r"t\.json is no JSON"):
        read_table(tmp_path / "t.json")
    with pytest.raises(LedgerError, match="there is no table"):
        read_table(tmp_path / "none.json")
    with pytest.raises(Exception, match="no checkout"):
        version_of(tmp_path)


def test_a_table_is_read_as_it_was_written(checkout):
    table = read_table(checkout / "results" / "speed.json")
    write_table(table, checkout / "results")
    assert read_table(checkout / "results" / "speed.json") == table
    for own in read_tables(ROOT / "results"):
        assert table_to_json(own) == (ROOT / "results" / f"{own.name}.json").read_text()


def test_rows_of_the_same_texts_are_replaced_and_others_come_last(checkout):
    table = read_table(checkout / "results" / "speed.json")
    origin = replace(table.rows[0].provenance, date="2026-12-01")
    after = record(table, [{"what": "U", "ours": 2.0}, {"what": "maze", "ours": None}], origin)
    assert [row.values for row in after.rows] == [
        {"what": "flat", "ours": 1234.5},
        {"what": "U", "ours": 2.0},
        {"what": "maze", "ours": None},
    ]
    assert [row.provenance.date for row in after.rows] == ["2026-11-27", "2026-12-01", "2026-12-01"]
    with pytest.raises(LedgerError, match="new row 1 has no value: ours"):
        record(table, [{"what": "U"}], origin)


def test_what_commands_write_becomes_records():
    bench = {"bench": "envs", "rows": [{"what": "flat", "ours": 3.0}]}
    assert records_of(bench) == records_of(bench["rows"]) == [{"what": "flat", "ours": 3.0}]
    summary = {"none": {"success": 0.5, "success_ci": [0.25, 0.75]}}
    assert records_of(summary) == [{"planner": "none", "success": 0.5, "success_ci": [0.25, 0.75]}]
    assert records_of({"worlds": {"U": summary}}) == [{"world": "U", **records_of(summary)[0]}]
    columns = [Column(key="planner", heading="planner"), Column(key="success", heading="success", digits=2)]
    assert values_of(records_of(summary)[0], columns) == {"planner": "none", "success": [0.5, 0.25, 0.75]}
    for other in ([1, 2], {"sure_edge": 4.0}, {"rows": 3}, {"worlds": []}, 7):
        with pytest.raises(LedgerError, match="neither rows nor figures"):
            records_of(other)
    with pytest.raises(LedgerError, match="no 'success'"):
        values_of({"planner": "none"}, columns)


def add(root, **options):
    return ledger.main(ledger.AddOptions(root=root, table="speed", **options))


def test_a_command_is_run_and_its_rows_taken_with_where_they_come_from(checkout, monkeypatch):
    monkeypatch.chdir(checkout)
    script = "import json; json.dump({'rows': [{'ours': 7.25, 'env': 'a'}, {'ours': 8.0, 'env': 'b'}]}, open('bench.json', 'w'))"
    command = f'python -c "{script}"'
    options = {"measured": Path("bench.json"), "set": ("what=maze",), "only": ("env=a",), "training_seeds": "0:5"}
    assert add(Path("."), command=command, again=True, **options) == 0
    row = read_table(checkout / "results" / "speed.json").rows[2]
    assert row.values == {"what": "maze", "ours": 7.25}
    head = git(checkout, "rev-parse", "--short=7", "HEAD")
    origin = row.provenance
    assert (origin.command, origin.version, origin.commit) == (command, "0.2.0", head)
    assert (origin.training_seeds, origin.env_seeds, origin.machine) == ("0:5", "-", this_machine())
    add(Path("."), command=command, **options | {"set": ("what=maze", "ours=6.5")})
    assert read_table(checkout / "results" / "speed.json").rows[2].values == {"what": "maze", "ours": 6.5}
    (checkout / "code.py").write_text("x = 2\n")
    add(Path("."), command=command, **options)
    assert read_table(checkout / "results" / "speed.json").rows[2].provenance.commit == f"{head}+"


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"command": "python -c 'raise SystemExit(3)'", "again": True}, "exit code 3"),
        ({"command": "no-such-program", "again": True}, "cannot be run"),
        ({"command": ""}, "command is empty"),
        ({"command": "  ", "again": True}, "command is empty"),
        ({"command": "python x.py 'a", "again": True}, "cannot be read: No closing quotation"),
        ({"set": ("what",)}, "KEY=TEXT"),
        ({"set": ("ours=fast",)}, "'fast' is no number"),
        ({"only": ("what=sea",)}, "holds no record with what=sea"),
        ({"measured": Path("none.json")}, "cannot be read"),
        ({"commit": "HEAD"}, "commit 'HEAD' is not understood"),
    ],
)
def test_what_cannot_be_added_is_one_line(checkout, monkeypatch, options, line):
    monkeypatch.chdir(checkout)
    Path("bench.json").write_text(json.dumps([{"what": "flat", "ours": 1.0}]))
    before = (checkout / "results" / "speed.json").read_text()
    with pytest.raises(Exception, match=re.escape(line)) as error:
        add(Path("."), **{"measured": Path("bench.json"), "command": "python x.py"} | options)
    assert error.value.exit_code == 2 and (checkout / "results" / "speed.json").read_text() == before


def test_what_is_older_than_the_commit_is_not_taken_for_its_own(checkout, monkeypatch):
    monkeypatch.chdir(checkout)
    Path("bench.json").write_text(json.dumps([{"what": "flat", "ours": 1.0}]))
    os.utime("bench.json", (1e9, 1e9))
    with pytest.raises(Exception, match="written before the last commit"):
        add(Path("."), measured=Path("bench.json"), command="python x.py")
    assert add(Path("."), measured=Path("bench.json"), command="python x.py", commit="abcdef1") == 0
    assert read_table(checkout / "results" / "speed.json").rows[0].provenance.commit == "abcdef1"


def table_of(columns, count, texts=1):
    """`count` rows of ones, in as many columns of numbers."""
    names = [Column(key=f"name{i}", heading=f"name{i}") for i in range(texts)]
    figures = [Column(key=f"figure{i}", heading=f"a figure, the number {i}", digits=1) for i in range(columns)]
    figure = {f"figure{i}": i + 1.0 for i in range(columns)}
    values = [{**{f"name{i}": f"row {n}" for i in range(texts)}, **figure} for n in range(count)]
    rows = [Row(values=own, provenance=Provenance(**ORIGIN)) for own in values]
    return Table(name="wide", title="Wide", about="Much.", columns=names + figures, rows=rows, figures=[])


def test_wide_tables_are_split_and_no_figure_is_lost():
    page = page_of(table_of(12, 3), "0.2.0")
    assert max(map(len, page.splitlines())) <= 120
    assert sorted(re.findall(r"the number (\d+)", page), key=int) == [str(i) for i in range(12)]
    assert page.count("| row 2 |") == len(re.findall(r"^\|---", page, re.MULTILINE)) > 1


def test_what_fits_no_page_is_one_line():
    with pytest.raises(LedgerError, match="split it: at most 200"):
        page_of(table_of(1, 250), "0.2.0")
    long = table_of(1, 1)
    long.rows[0].values["name0"] = "x" * 120
    with pytest.raises(LedgerError, match="shorten its texts"):
        page_of(long, "0.2.0")


def test_blocks_of_other_pages_hold_the_table():
    table, text = table_of(1, 1), "Before.\n\n<!-- ledger: wide -->\nold\n<!-- /ledger -->\n\nAfter.\n"
    full = filled(text, [table])
    assert "| row 0 | 1.0 |" in full and "old" not in full and full.startswith("Before.") and full.endswith("After.\n")
    assert filled(full, [table]) == full
    with pytest.raises(LedgerError, match="'wide'"):
        filled(text, [])


def test_the_index_lists_all_tables_and_counts_old_rows():
    text = index_of([table_of(1, 3)], "0.3.0")
    assert "[Wide](wide.md)" in text and "Of 3 rows 3 are older than 0.3.0" in " ".join(text.split())
    assert "Of 3 rows 0 are older" in " ".join(index_of([table_of(1, 3)], "0.2.0").split())


def test_versions_are_ordered():
    ordered = ["0.0.9", "0.1.0.dev0", "0.1.0.dev1", "0.1.0", "0.1.1", "0.2", "0.10.0", "1.0"]
    for earlier, later in pairwise(ordered):
        assert is_older(earlier, later) and not is_older(later, earlier)
    assert not is_older("0.1", "0.1.0") and not is_older("0.1.0", "0.1")


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(None, 2, "-"), (1234.567, 1, "1,234.6"), (3, 0, "3"), ([0.5, 0.25, 0.75], 2, "0.50 (0.25 to 0.75)"), ("a", None, "a")],
)
def test_cells(value, digits, text):
    assert text_of(value, digits) == text
