"""What all commands share: one clear line on bad input, seeds, settings, names."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from thalweg.planner.errors import UsageError, unknown_name
from thalweg.progress import progress_bar
from thalweg.scripts.arguments import parse

__all__ = [
    "UsageError",
    "check_file_of",
    "check_ranges",
    "make_folder",
    "parse_env_kwargs",
    "parse_seeds",
    "progress_bar",
    "run",
    "unknown_name",
]

MOST_SEEDS = 1_000_000  # of one call
MOST_NODES = 100_000  # of one graph: the matrix of their distances is as many squared
MOST_WORKERS = 1_024


def run(command: Callable[[Any], int | None], options: Any) -> None:
    """Parse the command line and run; 2 on bad input and 130 on Ctrl-C, with one line and no traceback.

    `options`: a dataclass, or a union of such for subcommands, whose names the command's module has as `SUBCOMMANDS`. A
    command may return an exit code of its own.
    """
    module = sys.modules[command.__module__]
    prog = _spoken_as(str(module.__file__))
    names, asked = getattr(module, "SUBCOMMANDS", ()), sys.argv[1:2]
    try:
        if names and asked and not asked[0].startswith("-") and asked[0] not in names:
            raise unknown_name(prog, asked[0], names)
        parsed = parse(options, prog, _description(module.__doc__ or "", prog))
    except UsageError as error:
        raise _end(str(error), error.exit_code) from None
    except BrokenPipeError:  # whoever reads the help has read enough
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  (until the end)
        raise SystemExit(0) from None
    try:
        code = command(parsed)
    except KeyboardInterrupt as interrupt:
        detail = f": {interrupt}" if str(interrupt) else ""
        print(f"interrupted{detail}", file=sys.stderr)
        raise SystemExit(130) from None
    except SystemExit as stop:  # ours return their exit code
        where = traceback.extract_tb(stop.__traceback__)[-1]
        fix = f"it ends the program (sys.exit({stop.code!r})); raise an error there instead"
        raise _end(f"{where.filename}, line {where.lineno}: {fix}", 2) from None
    except Exception as error:
        known = exit_code_of(error)
        if known is None:
            raise
        raise _end(str(error) or type(error).__name__, known) from None
    if code:
        raise SystemExit(code)


def _end(message: str, code: int) -> SystemExit:
    print("error:", " ".join(message.split()), file=sys.stderr)
    return SystemExit(code)


def _spoken_as(file: str) -> str:
    """What a user types for a command, in its help and its errors."""
    path = Path(file)
    name = path.parent.name if path.stem == "__main__" else path.stem
    return f"thalweg {name}" if sys.argv[0].startswith("thalweg ") else f"python -m scripts.{name}"


def _description(docstring: str, prog: str) -> str:
    """The module's docstring; its example is what the user would type."""
    return docstring.replace("python -m scripts.", "thalweg ") if prog.startswith("thalweg ") else docstring


def exit_code_of(error: Exception) -> int | None:
    """Of an error that means bad input, which says so itself (`planner/errors.py`), or too little memory; else None."""
    code = getattr(error, "exit_code", None)
    if isinstance(code, int):
        return code
    torch: Any = sys.modules.get("torch")  # a command that has not imported it cannot have run out of its memory
    out_of_memory = () if torch is None else (torch.OutOfMemoryError,)
    return 2 if isinstance(error, (FloatingPointError, MemoryError, *out_of_memory)) else None


def parse_seeds(text: str) -> list[int]:
    """`a:b` -> a..b-1; `n` -> the first n; `1,5,9` -> those, `7,` -> 7 alone. UsageError for anything else."""
    try:
        if "," in text:
            seeds = [int(part) for part in text.removesuffix(",").split(",")]
        else:
            first, end = text.split(":") if ":" in text else ("0", text)
            seeds = list(range(int(first), min(int(end), int(first) + MOST_SEEDS + 1)))
    except ValueError:
        seeds = []
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise UsageError(
            f"--seeds {text!r} is not understood; write 100 (for 0:100), a:b (a < b) or 1,5,9 (7, alone), none twice"
        )
    if len(seeds) > MOST_SEEDS or max(seeds) >= 2**32:
        raise UsageError(f"--seeds {text!r} are too many or too large; at most {MOST_SEEDS:,}, each below 2**32")
    return seeds


def check_ranges(options: Any, **ranges: tuple[float, float]) -> None:
    """UsageError for the first option, of those that are given, outside its range (both ends belong to it)."""
    for name, (low, high) in ranges.items():
        values = getattr(options, name)
        for value in values if isinstance(values, tuple) else [values]:
            if value is not None and not low <= value <= high:
                limit = f"at least {low:,}" if value < low else f"at most {high:,}"
                raise UsageError(f"--{name.replace('_', '-')} must be {limit}, got {value}")


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


def check_file_of(option: str, name: str) -> None:
    """UsageError if `path/to/file.py:Name` names a file that is not there. Nothing is loaded; other names are not looked at."""
    file, _, _ = name.rpartition(":")
    path = Path(name if name.endswith(".py") else file)
    if path.suffix == ".py" and not path.is_file():
        raise UsageError(f"{option} {name}: there is no file {path.resolve()}")


def make_folder(path: Path, option: str = "--out") -> None:
    """UsageError if it cannot be, or nothing can be written there, before any work is done for it."""
    import tempfile

    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except (OSError, ValueError) as error:  # a name that holds a zero byte is the latter
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{option} {path} cannot be a folder to write in ({reason}); name another") from None
