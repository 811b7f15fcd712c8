"""Files that can be trusted: written whole or not at all, checked on reading, and never code.

A run folder lists its files in `manifest.json` with the SHA-256 of each. Every file is written to a temporary name and
renamed; a new version of a file gets a new name, and the manifest, renamed last, switches to it. So a kill at any moment
leaves the last complete state readable.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from .errors import BadInput

MANIFEST = "manifest.json"


class DamagedError(BadInput):
    """A stored file is missing, or is not what was written."""


def write_files(folder: Path, files: Mapping[str, bytes], remove: Collection[str] = ()) -> None:
    """Add, replace and remove files, named by their path in the folder; all at once, as far as a reader can see."""
    folder.mkdir(parents=True, exist_ok=True)
    before = _read_manifest(folder) if (folder / MANIFEST).exists() else {}
    after = {name: entry for name, entry in before.items() if name not in remove}
    for name, content in files.items():
        digest = hashlib.sha256(content).hexdigest()
        path = Path(name)
        stored = name if name not in before else str(path.with_name(f"{path.stem}-{digest[:8]}{path.suffix}"))
        replace_file(folder / stored, content)
        after[name] = {"file": stored, "sha256": digest}
    replace_file(folder / MANIFEST, _manifest_bytes(after))
    for entry in before.values():
        if entry["file"] not in {kept["file"] for kept in after.values()}:
            (folder / entry["file"]).unlink(missing_ok=True)


def read_file(folder: Path, name: str) -> bytes:
    """The content of a listed file. DamagedError if it is not listed, missing or altered."""
    entry = _read_manifest(folder).get(name)
    if entry is None:
        raise DamagedError(f"{folder} holds no {name}; the run did not get that far: train it again")
    path = folder / entry["file"]
    try:
        content = path.read_bytes()
    except OSError:
        raise DamagedError(f"{path} is missing; restore it from a copy or train the run again") from None
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise DamagedError(f"{path} is damaged (its SHA-256 differs); restore it from a copy or train the run again")
    return content


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


def tensors_to_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """Safetensors. FloatingPointError, naming the tensor, if one holds a NaN or an infinity."""
    for name, values in tensors.items():
        if not values.isfinite().all():
            raise FloatingPointError(f"{name} holds values that are not finite; nothing was saved")
    return save_tensors({name: values.detach().cpu().contiguous() for name, values in tensors.items()})


def bytes_to_tensors(content: bytes) -> dict[str, Tensor]:
    try:
        return load_tensors(content)
    except SafetensorError as error:
        raise DamagedError(f"not a safetensors file: {error}") from None


def arrays_to_bytes(arrays: Mapping[str, NDArray], compress: bool = True) -> bytes:
    stream = io.BytesIO()
    (np.savez_compressed if compress else np.savez)(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def bytes_to_arrays(content: bytes) -> dict[str, NDArray]:
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return dict(archive)


def json_to_bytes(value: Any) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def _manifest_bytes(entries: dict[str, dict[str, str]]) -> bytes:
    digest = hashlib.sha256(json.dumps(entries, sort_keys=True).encode()).hexdigest()
    return json_to_bytes({"files": entries, "sha256": digest})


def _read_manifest(folder: Path) -> dict[str, dict[str, str]]:
    path = folder / MANIFEST
    try:
        content = path.read_bytes()
    except OSError:
        raise DamagedError(
            f"{folder} is not a run folder: it has no {MANIFEST}; name a folder that scripts.train wrote"
        ) from None
    try:
        entries = json.loads(content)["files"]
        intact = _manifest_bytes(entries) == content
    except (ValueError, KeyError, TypeError):
        intact = False
    if not intact:
        raise DamagedError(f"{path} is damaged; restore it from a copy or train the run again")
    return entries


def replace_file(path: Path, content: bytes) -> None:
    """Write to a temporary name beside the target, flush to disk, rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    with open(temporary, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)
