"""A demo's folder is replaced by the next demo, and nothing else is: what lies there must be what a demo writes."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from thalweg.scripts.cli import UsageError, make_folder

MARKER = "demo.json"
_FINISHED = ("report.html", "summary.json")  # what a demo of the first edition, which left no marker, is known by
# of a run: what a training writes, an evaluation, and the demo itself; folders with all that is in them
_FILES = [
    "manifest",
    "config",
    "links",
    "timing",
    "trajectories",
    "evaluation",
    "summary",
    "results",
    "progress",
    "plan",
    "audit",
    "controller",
]
_OF_A_RUN = rf"({'|'.join(_FILES)})(-[0-9a-f]{{8}})?\.(json|npz|csv|png|gif|tmp)"
_OF_A_RUN += r"|(checkpoint|distances|energy|samplers)|events\.out\.tfevents\..*|\..*(lock|part)"


def renew(out: Path, worlds: Sequence[str]) -> None:
    """An empty folder with a demo's marker; what an earlier demo wrote there goes. `worlds`: the names of the runs in it.

    UsageError, and nothing is touched, if anything lies there that no demo wrote.
    """
    from thalweg.planner.storage import json_to_bytes, replace_file

    make_folder(out)
    if any(out.iterdir()):
        for path in _of_a_demo(out, worlds):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    replace_file(out / MARKER, json_to_bytes({"wrote": [*_entries(worlds)]}))


def _entries(worlds: Sequence[str]) -> list[str]:
    """What lies at the top of a demo's folder."""
    logs = [f"{stage}-{world}.log" for stage in ("train", "evaluate") for world in worlds]
    return [*worlds, *logs, *_FINISHED]


def _of_a_demo(out: Path, worlds: Sequence[str]) -> list[Path]:
    """All that lies at the top of the folder but its marker. UsageError if one thing is not of a demo."""
    known = _known(out, worlds)
    for path in sorted(out.iterdir()):
        if path.is_symlink() or path.name not in (*known, MARKER):
            raise _refusal(out, path)
        if path.is_dir():
            _check_run(out, path)
    return [out / name for name in known if (out / name).exists()]


def _known(out: Path, worlds: Sequence[str]) -> list[str]:
    """The names of what the demo in this folder wrote: by its marker, or by what makes a whole demo of the first edition."""
    from thalweg.planner.storage import DamagedError, bytes_to_json, read_inside

    try:
        wrote = bytes_to_json(read_inside(out, MARKER, 1 << 16))["wrote"]
        if isinstance(wrote, list) and all(isinstance(name, str) and re.fullmatch(r"\w[\w.-]*", name) for name in wrote):
            return wrote
    except (OSError, DamagedError, KeyError, TypeError):
        pass
    if all((out / name).exists() for name in (*worlds, *_FINISHED)):
        return _entries(worlds)
    raise UsageError(f"--out {out} holds something other than a demo, which would be lost; name another folder")


def _check_run(out: Path, run: Path) -> None:
    for path in run.iterdir():
        if not re.fullmatch(_OF_A_RUN, path.name):
            raise _refusal(out, path)
    for path in run.rglob("*"):
        if path.is_symlink():
            raise _refusal(out, path)


def _refusal(out: Path, path: Path) -> UsageError:
    return UsageError(f"--out {out} holds {str(path)!r}, which no demo wrote; name another folder, or move it away")
