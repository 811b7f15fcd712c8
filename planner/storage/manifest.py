"""A run folder's list of files, each with its SHA-256, in `manifest.json`.

Every file is written to a temporary name and renamed; a new version of a file gets a new name, and the manifest, renamed last,
switches to it. So a kill at any moment leaves the last complete state readable. Processes may share a folder: writers hold its
lock from reading the manifest to replacing it, and a reader whose file has gone reads the manifest anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath

from .files import DamagedError, is_plain, read_inside, remove_file, replace_file
from .formats import bytes_to_json, json_to_bytes
from .locks import locked

MANIFEST = "manifest.json"
Entries = dict[str, dict[str, str]]  # name -> {"file": where it is stored, "sha256": of its content}

_LARGEST = 1 << 20  # bytes of a manifest: thousands of files
_SHA256 = re.compile("[0-9a-f]{64}")
_TRIES = 20  # of a reader whose file is replaced again and again


def write_files(
    folder: Path, files: Mapping[str, bytes], remove: Collection[str] = (), made_of: Mapping[str, str] | None = None
) -> None:
    """Add, replace and remove files, named by their path in the folder; all at once, as far as a reader can see.

    `made_of`: names with the SHA-256 that the new files were derived from; DamagedError, and nothing is written, if one of them
    has changed since. DamagedError if what is there is no run; NotWrittenError if the folder cannot be written; ValueError for a
    name that is not a plain relative path.
    """
    for name in files:
        if not _may_be_listed(name):
            raise ValueError(f"{name!r} cannot be the name of a stored file; use a relative path of plain words")
    with locked(folder):
        before = _read_manifest(folder) if os.path.lexists(folder / MANIFEST) else {}
        for name, digest in (made_of or {}).items():
            if before.get(name, {}).get("sha256") != digest:
                raise DamagedError(f"{folder}: {name} was changed by another command meanwhile; run this one again")
        after = {name: entry for name, entry in before.items() if name not in remove}
        for name, content in files.items():
            digest = hashlib.sha256(content).hexdigest()
            stored = name if name not in before else _version(name, digest)
            _replace(folder, stored, content)
            after[name] = {"file": stored, "sha256": digest}
        _replace(folder, MANIFEST, _manifest_bytes(after))
        kept = {entry["file"] for entry in after.values()}
        for entry in before.values():
            if entry["file"] not in kept:
                remove_file(folder, entry["file"])


def read_file(folder: Path, name: str) -> bytes:
    """The content of a listed file. DamagedError if it is not listed, missing or altered."""
    entry: dict[str, str] | None = None
    error: DamagedError | None = None
    for _ in range(_TRIES):
        before, entry = entry, _read_manifest(folder).get(name)
        if entry is None:
            raise DamagedError(f"{folder} holds no {name}; the run did not get that far: train it again")
        if entry == before:
            break
        path = folder / entry["file"]
        try:
            content = read_inside(folder, entry["file"])
        except FileNotFoundError:
            error = DamagedError(f"{path} is missing; restore it from a copy or train the run again")
            continue
        if hashlib.sha256(content).hexdigest() == entry["sha256"]:
            return content
        error = DamagedError(f"{path} is damaged (its SHA-256 differs); restore it from a copy or train the run again")
    assert error is not None  # the loop ends early only after one
    raise error


def stored_names(folder: Path) -> list[str]:
    """The names of all listed files."""
    return sorted(_read_manifest(folder))


def stored_digests(folder: Path) -> dict[str, str]:
    """Each listed file's SHA-256."""
    return {name: entry["sha256"] for name, entry in _read_manifest(folder).items()}


def verify(folder: Path) -> list[str]:
    """The names of all listed files, each of them read and checked."""
    names = stored_names(folder)
    for name in names:
        read_file(folder, name)
    return names


def _replace(folder: Path, name: str, content: bytes) -> None:
    """By a temporary name that the folder's lock keeps others from, so that what a kill left of it goes."""
    path = folder / name
    replace_file(path, content, folder, f".{path.name}.part")


def _version(name: str, digest: str) -> str:
    path = PurePosixPath(name)
    return str(path.with_name(f"{path.stem}-{digest[:8]}{path.suffix}"))


def _manifest_bytes(entries: Entries) -> bytes:
    digest = hashlib.sha256(json.dumps(entries, sort_keys=True).encode()).hexdigest()
    return json_to_bytes({"files": entries, "sha256": digest})


def _read_manifest(folder: Path) -> Entries:
    path = folder / MANIFEST
    try:
        content = read_inside(folder, MANIFEST, _LARGEST) if folder.is_dir() else None
    except FileNotFoundError:
        content = None
    if content is None:
        raise DamagedError(f"{folder} is not a run folder: it has no {MANIFEST}; name a folder that thalweg train wrote")
    try:
        entries = bytes_to_json(content)["files"]
        intact = _manifest_bytes(entries) == content
    except (DamagedError, ValueError, KeyError, TypeError):
        intact = False
    if not intact:
        raise DamagedError(f"{path} is damaged; restore it from a copy or train the run again")
    _check_entries(path, entries)
    return entries


def _check_entries(path: Path, entries: object) -> None:
    """DamagedError for anything that `write_files` would not have written: a file is stored by its own name, or by that and the
    beginning of its SHA-256, so a list cannot lead to any other, nor outside."""
    taken: set[str] = set()
    for name, entry in entries.items() if isinstance(entries, dict) else [("files", None)]:
        if not isinstance(entry, dict) or set(entry) != {"file", "sha256"} or not _may_be_listed(name):
            raise _no_run(path, name)
        stored, digest = entry["file"], entry["sha256"]
        if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            raise _no_run(path, name)
        if stored not in (name, _version(name, digest)) or stored in taken:
            raise _no_run(path, name)
        taken.add(stored)


def _no_run(path: Path, name: str) -> DamagedError:
    return DamagedError(
        f"{path} has an entry {name[:80]!r} that thalweg train would not write; do not use this run, train it again"
    )


def _may_be_listed(name: str) -> bool:
    return is_plain(name) and name != MANIFEST and not name.endswith((".part", ".", ".lock"))
