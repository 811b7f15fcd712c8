"""The ledger's tables as Markdown pages: the table, and below it how each row was measured."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence

from .ledger import Column, LedgerError, Table, Value
from .provenance import UNRECORDED, Provenance, is_older

WIDTH, LENGTH = 120, 200  # of a page: characters of a line, lines
_COMMENT = "<!-- rendered from results/ by `thalweg ledger render`: edit that, not this -->"
_ARROWS = {"higher": " ↑", "lower": " ↓", "none": ""}
_BLOCK = re.compile(r"(<!-- ledger: ([\w-]+) -->\n).*?(<!-- /ledger -->)", re.DOTALL)


def pages_of(tables: Sequence[Table], version: str) -> dict[str, str]:
    """File name -> Markdown, with an index. LedgerError for a table that no page of 200 lines of 120 characters holds."""
    pages = {f"{table.name}.md": page_of(table, version) for table in tables}
    return {**pages, "index.md": index_of(tables, version)}


def page_of(table: Table, version: str) -> str:
    """A page: title, what it shows, pictures, table, provenance. Rows older than `version` are said to be."""
    parts = [f"# {table.title}", _COMMENT, _wrapped(table.about)]
    parts += [f"![{figure.caption}]({figure.file})" for figure in table.figures]
    if table.rows:
        numbered = len({row.provenance for row in table.rows}) > 1
        parts += [*_blocks(table, numbered), _legend(table), "## How it was measured"]
    else:
        parts.append("## How it was measured")
    parts += _measured(table, version)
    text = "\n\n".join(part for part in parts if part) + "\n"
    if text.count("\n") > LENGTH:
        raise LedgerError(f"{table.name}.json makes a page of {text.count(chr(10))} lines; split it: at most {LENGTH}")
    return text


def index_of(tables: Sequence[Table], version: str) -> str:
    """The list of all pages, and how many of their rows are older than `version`."""
    rows = [row for table in tables for row in table.rows]
    old = sum(is_older(row.provenance.version, version) for row in rows)
    about = (
        "What was measured, and how: every row with its command, version, commit, date, machine and seeds. The pages are "
        "rendered from `results/*.json` by `thalweg ledger render`; `thalweg ledger check` names the rows that are older "
        f"than the version they stand under. Of {len(rows)} rows {old} are older than {version}. Rows of 0.1.0.dev0 carry "
        "the commit with which they entered the documentation, which may come after the one that they were measured at; what "
        "was not written down then is said not to be recorded."
    )
    groups: dict[str, list[str]] = {}  # by the first word of the names
    for table in tables:
        groups.setdefault(table.name.split("_")[0], []).append(f"- [{table.title}]({table.name}.md)")
    links = [f"## {group.capitalize()}\n" + "\n".join(lines) for group, lines in groups.items()]
    toctree = ["```{toctree}", ":hidden:", "", *(table.name for table in tables), "```"]
    return "\n\n".join(["# Measurements", _COMMENT, _wrapped(about), *links, "\n".join(toctree)]) + "\n"


def filled(text: str, tables: Sequence[Table]) -> str:
    """A page of others with its blocks `<!-- ledger: NAME -->` to `<!-- /ledger -->` holding those tables, as they are now."""
    named = {table.name: table for table in tables}

    def fill(block: re.Match[str]) -> str:
        if block[2] not in named:
            raise LedgerError(f"a page asks for the table {block[2]!r}, which is not in results/")
        return block[1] + "\n" + "\n\n".join(_blocks(named[block[2]], numbered=False)) + "\n\n" + block[3]

    return _BLOCK.sub(fill, text)


def text_of(value: Value, digits: int | None) -> str:
    """A cell: a number with its digits, `estimate (low to high)`, a text, or - for what there is not."""
    if value is None or value == "":
        return "-"
    if isinstance(value, list):
        return "{} ({} to {})".format(*(text_of(number, digits) for number in value))
    return value if isinstance(value, str) else f"{value:,.{digits}f}"


def _blocks(table: Table, numbered: bool) -> Iterator[str]:
    """The table, in as many parts one below the other as its width takes; texts, which name a row, are in each."""
    names = [column for column in table.columns if column.digits is None]
    rest = [column for column in table.columns if column.digits is not None]
    while True:
        count = len(rest)
        while _width(part := _block(table, names + rest[:count], numbered)) > WIDTH:
            count -= 1
            if count <= 0:
                raise LedgerError(f"{table.name}.json has a line of more than {WIDTH} characters in a table; shorten its texts")
        yield part
        rest = rest[count:]
        if not rest:
            return


def _block(table: Table, columns: Sequence[Column], numbered: bool) -> str:
    heads = ["row"] * numbered + [_heading(column) for column in columns]
    lines = [_line(heads), "|" + "---|" * len(heads)]
    for number, row in enumerate(table.rows, 1):
        cells = [text_of(row.values[column.key], column.digits) for column in columns]
        lines.append(_line([str(number)] * numbered + cells))
    return "\n".join(lines)


def _heading(column: Column) -> str:
    unit = f" [{column.unit}]" if column.unit else ""
    return f"{column.heading}{unit}{_ARROWS[column.better]}"


def _legend(table: Table) -> str:
    """What the signs of this table mean."""
    known = [("higher", "↑ higher is better"), ("lower", "↓ lower is better")]
    parts = [text for better, text in known if any(column.better == better for column in table.columns)]
    values = [value for row in table.rows for value in row.values.values()]
    if any(isinstance(value, list) for value in values):
        parts.append("in brackets the 95 % interval")
    if any(value is None for value in values):
        parts.append("- not measured or not defined")
    return _wrapped("; ".join(parts) + ".") if parts else ""


def _measured(table: Table, version: str) -> Iterator[str]:
    """By command: the command, and below it which rows, when, on what."""
    kept: dict[str, dict[Provenance, list[str]]] = {}
    for what, provenance in _origins(table):
        kept.setdefault(provenance.command, {}).setdefault(provenance, []).append(what)
    for command, origins in kept.items():
        yield _command(command)
        yield "\n".join(_origin(whats, provenance, version, table) for provenance, whats in origins.items())


def _origins(table: Table) -> Iterator[tuple[str, Provenance]]:
    yield from ((str(number), row.provenance) for number, row in enumerate(table.rows, 1))
    yield from ((figure.file, figure.provenance) for figure in table.figures)


def _origin(whats: Sequence[str], origin: Provenance, version: str, table: Table) -> str:
    numbers = [int(what) for what in whats if what.isdigit()]
    subject = [f"`{what}`" for what in whats if not what.isdigit()]
    if numbers:
        rows = "all rows" if len(numbers) == len(table.rows) else f"row{'s' * (len(numbers) > 1)} {spans_of(numbers)}"
        subject = [rows, *subject]
    parts = [f"version {origin.version}" + (f" (older than {version})" if is_older(origin.version, version) else "")]
    parts += [f"commit {origin.commit}", origin.date]
    parts += [f"env seeds {origin.env_seeds}"] * (origin.env_seeds != "-")
    parts += [f"training seeds {origin.training_seeds}"] * (origin.training_seeds != "-")
    text = f"{' and '.join(subject)}: {', '.join(parts)}; {origin.machine}." + (f" {origin.note}" if origin.note else "")
    return _wrapped(f"- {text[0].upper()}{text[1:]}", "  ")


def spans_of(numbers: Sequence[int]) -> str:
    """1, 2, 3, 5 -> "1 to 3, 5"."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][-1] + 1:
            spans[-1].append(number)
        else:
            spans.append([number])
    return ", ".join(str(span[0]) if len(span) == 1 else f"{span[0]} to {span[-1]}" for span in spans)


def _command(command: str) -> str:
    if command == UNRECORDED:
        return "The command was not recorded."
    lines = [line for part in command.splitlines() for line in _continued(part)]
    return "\n".join(["```text", *lines, "```"])


def _continued(line: str) -> list[str]:
    parts = textwrap.wrap(line, WIDTH - 6, break_long_words=False, break_on_hyphens=False)
    return [("    " if i else "") + part + (" \\" if i < len(parts) - 1 else "") for i, part in enumerate(parts)]


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _width(block: str) -> int:
    return max(map(len, block.splitlines()))
