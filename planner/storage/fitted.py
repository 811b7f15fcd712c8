"""What is fitted on demand, once: by the first command that needs it, and read by all others."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .files import DamagedError, read_inside
from .locks import fitting
from .manifest import MANIFEST, read_file, stored_names, write_files


def fit_once(
    folder: Path,
    names: Sequence[str],
    fit: Callable[[], Mapping[str, bytes]],
    say: Callable[[str], None],
    made_of: Mapping[str, str],
) -> dict[str, bytes]:
    """The content of the named files: as stored, or as `fit()` makes them; of several processes one fits, and the others wait.

    A run that cannot be written to is left alone: its models are kept in the user's cache, or, if that cannot be written to
    either, in memory, and `say` is told so in one line. `made_of`: as in `write_files`, of the run that was loaded.
    """
    if _has(folder, names):
        return _read(folder, names)
    cache = _cache_of(folder)
    for place in [folder, *([cache] if cache is not None else [])]:
        with fitting(place, names[0], say) as may_be_written:
            if not may_be_written:
                continue
            if not _has(place, names):
                if place != folder:
                    say(f"{folder} cannot be written to: {names[0]} is kept in {place}")
                write_files(place, fit(), made_of=made_of if place == folder else None)
            return _read(place, names)
    say(f"{folder} cannot be written to, nor can a cache: {names[0]} is fitted for this command alone")
    return dict(fit())


def _has(folder: Path, names: Sequence[str]) -> bool:
    return os.path.lexists(folder / MANIFEST) and set(names) <= set(stored_names(folder))


def _read(folder: Path, names: Sequence[str]) -> dict[str, bytes]:
    return {name: read_file(folder, name) for name in names}


def _cache_of(folder: Path) -> Path | None:
    """A folder of the user's for this run, by the SHA-256 of its manifest: another run, or another state of it, has another."""
    root = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if not os.path.isabs(root):
        return None
    try:
        content = read_inside(folder, MANIFEST)
    except (OSError, DamagedError):
        return None
    return Path(root) / "thalweg" / hashlib.sha256(content).hexdigest()[:32]
