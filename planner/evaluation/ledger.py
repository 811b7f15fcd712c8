"""The ledger: measured tables as JSON, each row with where it comes from.

`results/NAME.json` is one table: `title`, `about`, `columns` (`key`, `heading`, `unit`, `digits`, `better`), `rows` (`values`
by column, `provenance`) and, where there are any, `figures` (`file`, `caption`, `provenance`). Columns without `digits` hold
texts, which together name a row; the others hold numbers: one, or an estimate with both ends of its interval, or null.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from ..errors import BadInput
from .provenance import Provenance

Value = str | float | list[float] | None
BETTER = ("higher", "lower", "none")


class LedgerError(BadInput):
    """A table that is not as it should be: which file, which row, what."""


@dataclass(frozen=True, kw_only=True)
class Column:
    key: str
    heading: str
    unit: str = ""
    digits: int | None = None  # behind the point; None: the column holds texts
    better: str = "none"  # higher, lower


@dataclass(frozen=True, kw_only=True)
class Row:
    values: dict[str, Value]
    provenance: Provenance


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A picture of measurements, beside the page."""

    file: str
    caption: str
    provenance: Provenance


@dataclass(frozen=True, kw_only=True)
class Table:
    name: str
    title: str
    about: str  # a sentence or two: what it shows, how to read it
    columns: list[Column]
    rows: list[Row]
    figures: list[Figure]

    def label(self, row: Row) -> tuple[Value, ...]:
        """The texts that name a row."""
        return tuple(row.values[column.key] for column in self.columns if column.digits is None)


def read_tables(folder: Path) -> list[Table]:
    """All tables of a folder, by name. LedgerError for the first that is damaged, or if there is none."""
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise LedgerError(f"{folder} holds no table; call it at the root of a checkout, or name that with --root")
    return [read_table(path) for path in paths]


def read_table(path: Path) -> Table:
    """LedgerError, in one line, for what is missing, unknown, of another kind, or said twice."""
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        raise LedgerError(f"there is no table {path}; write its title, about and columns first, with no rows") from None
    except ValueError as error:
        raise LedgerError(f"{path} is no JSON: {error}") from None
    parts = _entries(content, path.name, {"title": str, "about": str, "columns": list, "rows": list}, {"figures": list})
    columns = [_column(entry, f"{path.name}, column {i}") for i, entry in enumerate(parts["columns"], 1)]
    if not columns:
        raise LedgerError(f"{path.name} has no columns")
    table = Table(
        name=path.stem,
        title=parts["title"],
        about=parts["about"],
        columns=columns,
        rows=[_row(entry, columns, f"{path.name}, row {i}") for i, entry in enumerate(parts["rows"], 1)],
        figures=[_figure(entry, f"{path.name}, figure {i}") for i, entry in enumerate(parts.get("figures", []), 1)],
    )
    _check_labels(table)
    return table


def write_table(table: Table, folder: Path) -> None:
    """As `read_table` reads it; a line for the values of each row and one for its provenance."""
    (folder / f"{table.name}.json").write_text(table_to_json(table))


def table_to_json(table: Table) -> str:
    def line(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False)

    def block(name: str, entries: Sequence[str]) -> str:
        return f' "{name}": [' + ",".join(f"\n  {entry}" for entry in entries) + "\n ]"

    rows = [f'{{"values": {line(row.values)},\n   "provenance": {line(_given(row.provenance))}}}' for row in table.rows]
    parts = [f' "title": {line(table.title)}', f' "about": {line(table.about)}']
    parts += [block("columns", [line(asdict(column)) for column in table.columns]), block("rows", rows)]
    if table.figures:
        figures = [{**asdict(figure), "provenance": _given(figure.provenance)} for figure in table.figures]
        parts.append(block("figures", [line(figure) for figure in figures]))
    return "{\n" + ",\n".join(parts) + "\n}\n"


def record(table: Table, values: Sequence[Mapping[str, Value]], provenance: Provenance) -> Table:
    """The table with these rows: in place of those of the same texts, else at its end. LedgerError for values that do not fit."""
    rows = list(table.rows)
    for number, own in enumerate(values, 1):
        _check_values(own, table.columns, f"{table.name}.json, new row {number}")
        row = Row(values=dict(own), provenance=provenance)
        known = [table.label(other) for other in rows]
        if table.label(row) in known:
            rows[known.index(table.label(row))] = row
        else:
            rows.append(row)
    return replace(table, rows=rows)


def records_of(content: Any) -> list[dict[str, Any]]:
    """What a command wrote -> flat records: the rows of a bench.json, or the planners of a summary.json, the demo's too,
    or the distances of an audit.json. LedgerError for anything else."""
    if isinstance(content, Mapping) and "worlds" in content:
        worlds = content["worlds"]
        if isinstance(worlds, Mapping):
            return [{"world": world, **row} for world, planners in worlds.items() for row in records_of(planners)]
    elif isinstance(content, Mapping) and "rows" not in content:
        if all(isinstance(figures, Mapping) for figures in content.values()):
            return [{"planner": planner, **_flat(figures)} for planner, figures in content.items()]
    else:
        rows = content["rows"] if isinstance(content, Mapping) else content
        if isinstance(rows, list) and all(isinstance(row, Mapping) for row in rows):
            return rows
    raise LedgerError("what was measured is neither rows nor figures by name; give a bench.json, summary.json or audit.json")


def _flat(figures: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """What lies deeper has its path for a name: `nodes.pairs`."""
    flat: dict[str, Any] = {}
    for name, value in figures.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


def values_of(record: Mapping[str, Any], columns: Sequence[Column]) -> dict[str, Value]:
    """A record's entries by the table's columns; `KEY_ci`, where there is one, is KEY's interval. LedgerError for a gap."""
    values: dict[str, Value] = {}
    for column in columns:
        if column.key not in record:
            raise LedgerError(f"there is no {column.key!r} in what was measured, only {', '.join(record)}; give it with --set")
        value, ends = record[column.key], record.get(f"{column.key}_ci")
        values[column.key] = [value, *ends] if column.digits is not None and value is not None and ends else value
    return values


def _given(provenance: Provenance) -> dict[str, str]:
    return {name: value for name, value in asdict(provenance).items() if value or name != "note"}


def _entries(content: Any, where: str, needed: Mapping[str, type], also: Mapping[str, type]) -> dict[str, Any]:
    """The object, its entries of the right kinds, none missing and none unknown."""
    if not isinstance(content, dict):
        raise LedgerError(f"{where} is no JSON object")
    for name in needed:
        if name not in content:
            raise LedgerError(f"{where} has no {name}")
    for name, value in content.items():
        kind = {**needed, **also}.get(name)
        if kind is None:
            raise LedgerError(f"{where} has an unknown entry {name!r}; known are {', '.join([*needed, *also])}")
        if not isinstance(value, kind):
            raise LedgerError(f"{where}: {name} must be of kind {kind.__name__}, got {value!r}")
    return content


def _column(content: Any, where: str) -> Column:
    own = _entries(content, where, {"key": str, "heading": str}, {"unit": str, "digits": object, "better": str})
    digits = own.get("digits")
    if digits is not None and (not isinstance(digits, int) or isinstance(digits, bool) or not 0 <= digits <= 9):
        raise LedgerError(f"{where}: digits must be 0 to 9, or null for texts, got {digits!r}")
    if own.get("better", "none") not in BETTER:
        raise LedgerError(f"{where}: better must be one of {', '.join(BETTER)}, got {own['better']!r}")
    return Column(**own)


def _row(content: Any, columns: Sequence[Column], where: str) -> Row:
    own = _entries(content, where, {"values": dict, "provenance": dict}, {})
    _check_values(own["values"], columns, where)
    return Row(values=own["values"], provenance=_provenance(own["provenance"], where))


def _figure(content: Any, where: str) -> Figure:
    own = _entries(content, where, {"file": str, "caption": str, "provenance": dict}, {})
    if Path(own["file"]).name != own["file"]:
        raise LedgerError(f"{where}: file {own['file']!r} must be a plain name: pictures lie beside the pages")
    return Figure(file=own["file"], caption=own["caption"], provenance=_provenance(own["provenance"], where))


def _provenance(content: Any, where: str) -> Provenance:
    where += ", provenance"
    needed = {field.name: str for field in fields(Provenance) if field.name != "note"}
    try:
        return Provenance(**_entries(content, where, needed, {"note": str}))
    except ValueError as error:
        raise LedgerError(f"{where}: {error}") from None


def _check_values(values: Mapping[str, Any], columns: Sequence[Column], where: str) -> None:
    keys = {column.key for column in columns}
    for name in sorted(values.keys() ^ keys):
        raise LedgerError(f"{where} has {'no value' if name in keys else 'a value without a column'}: {name}")
    for column in columns:
        value = values[column.key]
        if column.digits is None and not isinstance(value, str):
            raise LedgerError(f"{where}: {column.key} must be a text, got {value!r}")
        if column.digits is not None and not _is_figure(value):
            raise LedgerError(f"{where}: {column.key} must be a number, [number, low, high] or null, got {value!r}")


def _is_figure(value: Any) -> bool:
    numbers = value if isinstance(value, list) and len(value) == 3 else [value]
    return value is None or all(type(number) in (int, float) and math.isfinite(number) for number in numbers)


def _check_labels(table: Table) -> None:
    seen: dict[tuple[Value, ...], int] = {}
    for number, row in enumerate(table.rows, 1):
        if (first := seen.setdefault(table.label(row), number)) != number:
            raise LedgerError(f"{table.name}.json, row {number} has the texts of row {first}: each is measured once")
