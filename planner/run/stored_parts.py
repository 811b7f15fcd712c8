"""What a part has learned, in a run folder and out of it: one way for all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..experience import Experience
from ..progress import say
from ..storage import bytes_to_json, bytes_to_tensors, fit_once, json_to_bytes, tensors_to_bytes


def fit_stored(
    folder: Path,
    files: tuple[str, str],
    part_class: Any,
    experience: Experience,
    fit: Callable[[], Any],
    made_of: Mapping[str, str],
) -> Any:
    """The part whose weights and settings the run holds, or that `fit` makes; then it is kept.

    `part.state()` gives tensors and settings, `part_class.from_state` takes them. `made_of` as in `fit_once`. OtherVersionError
    for what another version has learned; DamagedError as `read_file`.
    """
    fresh: list[Any] = []

    def fitted() -> dict[str, bytes]:
        fresh.append(fit())
        tensors, settings = fresh[0].state()
        return dict(zip(files, (tensors_to_bytes(tensors), json_to_bytes(settings)), strict=True))

    stored = fit_once(folder, files, fitted, say, made_of)
    if fresh:
        return fresh[0]
    tensors, settings = bytes_to_tensors(stored[files[0]]), bytes_to_json(stored[files[1]])
    return part_class.from_state(tensors, settings, experience)
