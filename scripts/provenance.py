"""What stands beside a report's figures: with what, when and where they were measured."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[1]


def provenance() -> dict[str, str]:
    """The command, the version, the commit, the date (UTC), the machine."""
    from thalweg import __version__
    from thalweg.planner.evaluation.provenance import this_machine

    return {
        "command": command(),
        "version": __version__,
        "commit": commit(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": this_machine(),
    }


def command() -> str:
    """As it was typed, nearly."""
    path = Path(sys.argv[0])
    name = path.parent.name if path.stem == "__main__" else path.stem
    return " ".join([f"python -m scripts.{name}" if not sys.argv[0].startswith("thalweg ") else sys.argv[0], *sys.argv[1:]])


def commit(folder: Path = _CHECKOUT) -> str:
    """Of the checkout, with a + behind it where files differ from it; `-` where it is none, as where a wheel was installed."""
    from thalweg.planner.errors import BadInput
    from thalweg.planner.evaluation.provenance import commit_of, version_of

    try:
        version_of(folder)  # the folder's own, not of a repository that somebody else's environment lies in
        return commit_of(folder)
    except BadInput:
        return "-"
