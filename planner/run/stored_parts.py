"""What a part has learned, in a run folder and out of it: one way for all of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..experience import Experience
from ..storage import bytes_to_tensors, json_to_bytes, read_file, stored_names, tensors_to_bytes, write_files
from .registry import Part


def store_part(folder: Path, part: Part, model: Any) -> None:
    """`model.state()` gives tensors and settings."""
    weights, settings = part.files
    tensors, values = model.state()
    write_files(folder, {weights: tensors_to_bytes(tensors), settings: json_to_bytes(values)})


def load_part(folder: Path, part: Part, part_class: Any, experience: Experience) -> Any | None:
    """None if it is not there yet. UsageError for what another version has learned; DamagedError as `read_file`."""
    weights, settings = part.files
    if weights not in stored_names(folder):
        return None
    tensors, values = bytes_to_tensors(read_file(folder, weights)), json.loads(read_file(folder, settings))
    try:
        return part_class.from_state(tensors, values, experience)
    except (KeyError, TypeError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"{folder}: its {part.name} {part.kind} is of another version ({reason}); train the run again") from None
