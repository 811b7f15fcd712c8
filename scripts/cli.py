"""What all commands share: one clear line on bad input, seeds, settings, names."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import tyro


class UsageError(Exception):
    """Bad input; the message says what, where and how to mend it."""


def run(command: Callable[[Any], None], options: type) -> None:
    """Parse the command line and run; 2 on bad input and 130 on Ctrl-C, with one line and no traceback."""
    module = sys.modules[command.__module__]
    parsed: Any = tyro.cli(options, prog=_spoken_as(str(module.__file__)), description=module.__doc__)
    try:
        command(parsed)
    except KeyboardInterrupt as interrupt:
        detail = f": {interrupt}" if str(interrupt) else ""
        print(f"interrupted{detail}", file=sys.stderr)
        raise SystemExit(130) from None
    except Exception as error:
        if not _is_bad_input(error):
            raise
        print("error:", " ".join(str(error).split()), file=sys.stderr)
        raise SystemExit(2) from None


def _spoken_as(file: str) -> str:
    """What a user types for a command, in its help and its errors."""
    path = Path(file)
    name = path.parent.name if path.stem == "__main__" else path.stem
    return f"thalweg {name}" if sys.argv[0].startswith("thalweg ") else f"python -m scripts.{name}"


def _is_bad_input(error: Exception) -> bool:
    known = ("UsageError", "DamagedError", "NotFiniteError", "NoPathError", "FloatingPointError", "DivergedError", "EnvError")
    known += ("OtherResultsError", "ReplayMemoryError", "OutOfMemoryError", "CheckError")
    # by name: importing them all would import torch for nothing
    return type(error).__name__ in (*known, "NotWrittenError")


def parse_seeds(text: str) -> list[int]:
    """`n` -> 0..n-1; `a:b` -> a..b-1; `1,5,9` -> those, `7,` -> 7 alone. UsageError for anything else."""
    try:
        if ":" in text:
            first, end = text.split(":")
            seeds = list(range(int(first), int(end)))
        elif "," in text:
            seeds = [int(part) for part in text.removesuffix(",").split(",")]
        else:
            seeds = list(range(int(text)))
    except ValueError:
        seeds = []
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise UsageError(
            f"--seeds {text!r} is not understood; write 100 (for 0:100), a:b (a < b) or 1,5,9 (7, alone), none twice"
        )
    return seeds


def parse_env_kwargs(text: str) -> dict[str, Any]:
    """A JSON object -> keyword arguments of the env. UsageError for anything else."""
    import json

    try:
        kwargs = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"--env-kwargs {text!r} is no JSON ({error}); write for example '{{\"difficulty\": 0.5}}'") from None
    if not isinstance(kwargs, dict):
        raise UsageError(f"--env-kwargs {text!r} must be a JSON object, for example '{{\"difficulty\": 0.5}}'")
    return kwargs


def make_folder(path: Path) -> None:
    """UsageError if it cannot be, before any work is done for it."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {path} cannot be a folder ({error.strerror}); name another") from None


# how a plan is driven: along the clear way through its links, or one waypoint after the other
Follow = Literal["route", "waypoints"]
PLANNERS = ("none", "box", "replay", "spread", "ellipse", "cvae", "energy", "roadmap", "visited", "trajectory", "oracle")
DISTANCES = ("euclidean", "q_value", "distributional", "quasimetric", "local", "ensemble", "oracle")
