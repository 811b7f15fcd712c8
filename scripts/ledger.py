"""The ledger of measurements: take rows from what a command wrote, render the pages, name what is old.

Example: python -m scripts.ledger add envs_speed --measured runs/bench/bench.json --again \\
    --command "python -m scripts.bench envs --out runs/bench"
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Union

import tyro

from thalweg.scripts.cli import UsageError, run

if TYPE_CHECKING:
    from thalweg.planner.evaluation.ledger import Table
    from thalweg.planner.evaluation.provenance import Provenance

SUBCOMMANDS = ("render", "check", "add")


@dataclass(frozen=True, kw_only=True)
class RenderOptions:
    """Write docs/measurements/ from results/, and the blocks `<!-- ledger: NAME -->` of README.md."""

    root: Path = Path(".")  # of the checkout


@dataclass(frozen=True, kw_only=True)
class CheckOptions:
    """Name rows that are older than the project's version, unknown commits, pages that are not as rendered; exit code 1."""

    root: Path = Path(".")  # of the checkout
    accept_older: bool = False  # name older rows, but do not fail for them


@dataclass(frozen=True, kw_only=True)
class AddOptions:
    """Take rows into a table, in place of those of the same texts; version, commit, date and machine are this checkout's."""

    table: tyro.conf.Positional[str]  # a name in results/
    measured: Path  # bench.json, summary.json, or a list of objects: what the command wrote
    command: str  # the one that measured it
    again: bool = False  # run the command first, here and now
    set: tuple[str, ...] = ()  # KEY=TEXT or KEY=NUMBER: columns that what was measured does not say
    only: tuple[str, ...] = ()  # KEY=TEXT: take records with this alone
    env_seeds: str = "-"
    training_seeds: str = "-"
    note: str = ""
    commit: str | None = None  # that it was measured at, if HEAD is a later one
    root: Path = Path(".")  # of the checkout


_KINDS = {"render": RenderOptions, "check": CheckOptions, "add": AddOptions}
Options: Any = Union[tuple(Annotated[kind, tyro.conf.subcommand(name)] for name, kind in _KINDS.items())]  # noqa: UP007


def main(options: Any) -> int:
    if isinstance(options, AddOptions):
        return add(options)
    return render(options) if isinstance(options, RenderOptions) else check(options)


def render(options: RenderOptions) -> int:
    from thalweg.planner.evaluation.ledger import read_tables

    pages = _pages(options.root, read_tables(options.root / "results"))
    for path in _strays(options.root, pages):
        path.unlink()
    for path, text in pages.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    print(f"{len(pages)} pages in {options.root / 'docs' / 'measurements'}")
    return 0


def check(options: CheckOptions) -> int:
    from thalweg.planner.evaluation.ledger import read_tables

    tables = read_tables(options.root / "results")
    problems = [*_commits(options.root, tables), *_unrecorded(options.root, tables)]
    problems += [*_pictures(options.root, tables), *_unrendered(options.root, tables)]
    older = list(_older(options.root, tables))
    for line in [*problems, *older]:
        print(line)
    if not problems and not older:
        print(f"{sum(len(table.rows) for table in tables)} rows in {len(tables)} tables, none of them old")
    return int(bool(problems) or (bool(older) and not options.accept_older))


def add(options: AddOptions) -> int:
    from thalweg.planner.evaluation.ledger import read_table, record, records_of, values_of, write_table
    from thalweg.planner.evaluation.provenance import measured_here

    table = read_table(options.root / "results" / f"{options.table}.json")
    try:
        origin = measured_here(
            options.root, options.command.strip(), options.env_seeds, options.training_seeds, options.note, options.commit
        )
    except ValueError as error:
        raise UsageError(f"{error}; name another") from None
    if options.again:
        _measure(options.command)
    given, wanted = _given(table, options.set), _pairs("--only", options.only)
    records = [found for found in records_of(_measured(options)) if wanted.items() <= found.items()]
    if not records:
        raise UsageError(f"{options.measured} holds no record{' with ' + ', '.join(options.only) if options.only else ''}")
    table = record(table, [values_of(found | given, table.columns) for found in records], origin)
    write_table(table, options.root / "results")
    print(f"{len(records)} rows in results/{table.name}.json; now: python -m scripts.ledger render")
    return 0


def _measure(command: str) -> None:
    """Run it as it will be written down. UsageError if it fails."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"--command {command!r} cannot be read: {error}") from None
    words[:1] = [sys.executable] if words[0] in ("python", "python3") else words[:1]
    try:
        code = subprocess.run(words, check=False).returncode
    except OSError as error:
        raise UsageError(f"--command cannot be run: {error}") from None
    if code:
        raise UsageError(f"--command ended with exit code {code}; nothing was added")


def _measured(options: AddOptions) -> Any:
    """What the command wrote. UsageError if it is no JSON, or was written before the commit that it would be said to be of."""
    from thalweg.planner.evaluation.provenance import committed_at

    try:
        written, content = options.measured.stat().st_mtime, json.loads(options.measured.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"--measured {options.measured} cannot be read as JSON: {error}") from None
    if not isinstance(content, dict | list):
        raise UsageError(f"--measured {options.measured} holds no records")
    if options.commit is None and written < committed_at(options.root):
        raise UsageError(f"{options.measured} was written before the last commit; name the one it is of: --commit HASH")
    return content


def _pairs(option: str, texts: tuple[str, ...]) -> dict[str, str]:
    for text in texts:
        if "=" not in text:
            raise UsageError(f"{option} {text!r} is not understood; write KEY=TEXT")
    return dict(text.split("=", 1) for text in texts)


def _given(table: Table, texts: tuple[str, ...]) -> dict[str, Any]:
    """What --set says, as numbers where the column holds these."""
    from thalweg.scripts.arguments import finite_number

    pairs, figures = _pairs("--set", texts), [column.key for column in table.columns if column.digits is not None]
    try:
        return {key: finite_number(text) if key in figures else text for key, text in pairs.items()}
    except ValueError as error:
        raise UsageError(f"--set: {error}") from None


def _pages(root: Path, tables: list[Table]) -> dict[Path, str]:
    """Each page's path -> its text as it should be."""
    from thalweg.planner.evaluation.ledger_pages import filled, pages_of
    from thalweg.planner.evaluation.provenance import version_of

    pages = {root / "docs" / "measurements" / name: text for name, text in pages_of(tables, version_of(root)).items()}
    readme = root / "README.md"
    return {**pages, readme: filled(readme.read_text(), tables)} if readme.exists() else pages


def _strays(root: Path, pages: dict[Path, str]) -> list[Path]:
    return [path for path in (root / "docs" / "measurements").glob("*.md") if path not in pages]


def _unrendered(root: Path, tables: list[Table]) -> Iterator[str]:
    pages = _pages(root, tables)
    for path, text in pages.items():
        if not path.exists() or path.read_text() != text:
            yield f"{path} is not as rendered; python -m scripts.ledger render"
    for path in _strays(root, pages):
        yield f"{path} has no table in results/; python -m scripts.ledger render"


def _pictures(root: Path, tables: list[Table]) -> Iterator[str]:
    for table in tables:
        for figure in table.figures:
            if not (root / "docs" / "measurements" / figure.file).exists():
                yield f"docs/measurements/{figure.file}, of {table.name}, is missing; draw it: {figure.provenance.command}"


def _commits(root: Path, tables: list[Table]) -> Iterator[str]:
    from thalweg.planner.evaluation.provenance import unknown_commits

    named = [(where, origin.commit) for table in tables for where, origin in _origins(table)]
    unknown = unknown_commits(root, {commit for _, commit in named})
    if unknown is None:
        print("no git history here: commits are not looked up", file=sys.stderr)
    for where, commit in named:
        if commit in (unknown or ()):
            yield f"{where}: this history has no commit {commit}"
        elif commit.endswith("+"):
            yield f"{where}: measured at {commit.rstrip('+')} with changes that were not committed; commit, and measure it again"


def _unrecorded(root: Path, tables: list[Table]) -> Iterator[str]:
    """Rows of today's version of which something was not written down."""
    from dataclasses import asdict

    from thalweg.planner.evaluation.provenance import UNRECORDED, is_older, version_of

    version = version_of(root)
    for table in tables:
        for where, origin in _origins(table):
            missing = [name for name, value in asdict(origin).items() if value == UNRECORDED]
            if missing and not is_older(origin.version, version):
                yield f"{where}: {', '.join(missing)} not recorded; measure it again"


def _older(root: Path, tables: list[Table]) -> Iterator[str]:
    """A line for each table, version and command."""
    from thalweg.planner.evaluation.provenance import is_older, version_of

    version = version_of(root)
    for table in tables:
        old: dict[tuple[str, str], list[str]] = {}
        for where, origin in _origins(table):
            if is_older(origin.version, version):
                old.setdefault((origin.version, origin.command), []).append(where.split(", ")[1])
        for (its, command), whats in old.items():
            yield f"{table.name}, {_listed(whats)}: of {its}, older than {version}; {command.splitlines()[-1]}"


def _origins(table: Table) -> Iterator[tuple[str, Provenance]]:
    yield from ((f"{table.name}, row {number}", row.provenance) for number, row in enumerate(table.rows, 1))
    yield from ((f"{table.name}, {figure.file}", figure.provenance) for figure in table.figures)


def _listed(whats: list[str]) -> str:
    from thalweg.planner.evaluation.ledger_pages import spans_of

    numbers = [int(what.removeprefix("row ")) for what in whats if what.startswith("row ")]
    rows = [f"row{'s' * (len(numbers) > 1)} {spans_of(numbers)}"] if numbers else []
    return ", ".join(rows + [what for what in whats if not what.startswith("row ")])


if __name__ == "__main__":
    run(main, Options)
