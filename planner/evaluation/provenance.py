"""Where a measured figure comes from: the command, version, commit, date, machine and seeds."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
from dataclasses import dataclass, fields
from datetime import date
from importlib import metadata
from pathlib import Path

from ..errors import BadInput

UNRECORDED = "not recorded"  # of figures older than the ledger: what was not written down is not made up
_FORMS = {
    "version": re.compile(r"\d+(\.\d+)*(\.dev\d+)?"),
    "commit": re.compile(r"[0-9a-f]{7,40}\+?"),
    "date": re.compile(r"\d{4}-\d\d-\d\d"),
}


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Of one row or picture. ValueError, in a few words, for what is empty or written in another way."""

    command: str
    version: str  # of the project: 0.1.0, or 0.1.0.dev0 before it
    commit: str  # with a + behind it where files were changed and not committed
    date: str  # YYYY-MM-DD
    machine: str
    env_seeds: str  # as of the commands: a:b or 1,5,9; "-" where none are drawn
    training_seeds: str
    note: str = ""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name != "note" and not value:
                raise ValueError(f"{field.name} is empty")
            if field.name in _FORMS and not _FORMS[field.name].fullmatch(value):
                raise ValueError(f"{field.name} {value!r} is not understood")


def measured_here(
    root: Path, command: str, env_seeds: str = "-", training_seeds: str = "-", note: str = "", commit: str | None = None
) -> Provenance:
    """Of what was measured just now, on this machine, with the checkout in `root`, or (`commit`) one before it.

    BadInput if `root` is no checkout; ValueError if the command is empty.
    """
    return Provenance(
        command=command,
        version=version_of(root),
        commit=commit or commit_of(root),
        date=date.today().isoformat(),
        machine=this_machine(),
        env_seeds=env_seeds,
        training_seeds=training_seeds,
        note=note,
    )


def version_of(root: Path) -> str:
    """The project's version. BadInput if `root` is no checkout."""
    settings = configparser.ConfigParser()
    settings.read(root / "setup.cfg")
    if not settings.has_option("metadata", "version"):
        raise BadInput(f"{root.resolve()} is no checkout of this project (no setup.cfg names a version); name one with --root")
    return settings.get("metadata", "version")


def commit_of(root: Path) -> str:
    """HEAD, shortened; a + behind it if tracked files, other than the ledger's own, differ from it."""
    head = _git(root, "rev-parse", "--short=7", "HEAD")
    if head is None:
        raise BadInput(f"{root.resolve()} is no git checkout with a commit: a row needs the commit that it was measured at")
    changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", ":!results", ":!docs", ":!*.md")
    return f"{head}+" if changed else head


def committed_at(root: Path) -> float:
    """When HEAD was committed [s since the epoch]; 0 without git."""
    return float(_git(root, "log", "-1", "--format=%ct") or 0)


def unknown_commits(root: Path, commits: set[str]) -> set[str] | None:
    """Those that the repository does not hold; None where it cannot say: no git, or a shallow clone."""
    if _git(root, "rev-parse", "--is-shallow-repository") != "false":
        return None
    return {commit for commit in commits if _git(root, "cat-file", "-e", f"{commit.rstrip('+')}^{{commit}}") is None}


def this_machine() -> str:
    """Processor, cores and PyTorch's version."""
    models = re.findall(r"^model name\s*:\s*(.+)$", _text(Path("/proc/cpuinfo")), re.MULTILINE)
    model = models[0] if models else os.uname().machine
    cores = os.cpu_count() or 1
    return f"{model}, {cores} core{'s' * (cores > 1)}, PyTorch {metadata.version('torch')}"


def is_older(version: str, than: str) -> bool:
    """Whether one version comes before another; 0.1.0.dev0 comes before 0.1.0."""
    return _order(version) < _order(than)


def _order(version: str) -> tuple[list[int], float]:
    release, _, dev = version.partition(".dev")
    numbers = [int(part) for part in release.split(".")]
    while numbers and numbers[-1] == 0:  # 0.1 is 0.1.0
        numbers.pop()
    return numbers, float(dev) if dev else float("inf")


def _git(root: Path, *arguments: str) -> str | None:
    """What git prints; None if there is no git or it fails."""
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
