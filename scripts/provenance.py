"""With what, when and where something was measured."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[1]


def provenance() -> dict[str, str]:
    """What stands beside figures: the command, the version, the commit, the date (UTC), the machine."""
    from thalweg import __version__

    return {
        "command": command(),
        "version": __version__,
        "commit": commit(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}",
    }


def command() -> str:
    """As it was typed, nearly."""
    path = Path(sys.argv[0])
    name = path.parent.name if path.stem == "__main__" else path.stem
    return " ".join([f"python -m scripts.{name}" if not sys.argv[0].startswith("thalweg ") else sys.argv[0], *sys.argv[1:]])


def commit(folder: Path = _CHECKOUT) -> str:
    """Of the checkout; with `, altered` where files differ from it; `-` where it is none."""
    try:
        head = _git(folder, "rev-parse", "--short", "HEAD")
        altered = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return "-"
    return f"{head}, altered" if altered else head


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True).stdout.strip()
