"""Listed files of a run as what they hold, with the file's name in every refusal."""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from numpy.typing import NDArray
from torch import Tensor

from ..errors import BadInput
from .files import DamagedError, one_line
from .formats import bytes_to_arrays, bytes_to_json, bytes_to_tensors
from .manifest import read_file

T = TypeVar("T")

# what goes wrong where stored values are put to use that are not of the kind that is stored
_MISFITS = (KeyError, IndexError, TypeError, AttributeError, RuntimeError, OverflowError, MemoryError)


@contextmanager
def as_damage(what: str, *more: type[Exception]) -> Iterator[None]:
    """DamagedError, naming `what`, where stored values do not fit what is made of them within; also for `more` exceptions."""
    expected: tuple[type[Exception], ...] = (*_MISFITS, *more)
    try:
        yield
    except BadInput:
        raise
    except expected as error:
        why = f"{type(error).__name__}: {one_line(error)}"
        raise DamagedError(
            f"{what} holds what no training here writes ({why}); restore a copy, or train the run again"
        ) from error


def read_json(folder: Path, name: str, types: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A JSON object. With `types`, name -> type (as `float | None`, `dict`), it must have just these entries, each of its type.

    DamagedError, with the entry, otherwise.
    """
    what = str(folder / name)
    value = bytes_to_json(read_file(folder, name), what)
    if not isinstance(value, dict):
        raise DamagedError(f"{what} holds {type(value).__name__}, not an object; train the run again")
    if types is not None:
        _check_names(value, set(types), set(types), what)
        return {key: _as(kind, value[key], f"{what}: {key}") for key, kind in types.items()}
    return value


def read_tensors(folder: Path, name: str) -> dict[str, Tensor]:
    return bytes_to_tensors(read_file(folder, name), str(folder / name))


def read_arrays(folder: Path, name: str) -> dict[str, NDArray]:
    return bytes_to_arrays(read_file(folder, name), str(folder / name))


def settings_from(cls: type[T], value: Any, what: str) -> T:
    """A dataclass of settings from JSON: lists become tuples, what is not there takes its default, and the rest is refused.

    DamagedError, with the entry after `what`, if one is unknown, missing, of another type, or out of its range.
    """
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}  # type: ignore[arg-type]
    if not isinstance(value, dict):
        raise DamagedError(f"{what} is {type(value).__name__}, not an object; train the run again")
    has_default = {
        n for n, f in fields.items() if f.default is not dataclasses.MISSING or f.default_factory is not dataclasses.MISSING
    }
    _check_names(value, set(fields), set(fields) - has_default, what)
    hints = get_type_hints(cls)
    try:
        return cls(**{name: _as(hints[name], entry, f"{what}: {name}") for name, entry in value.items()})
    except (ValueError, TypeError) as error:
        raise DamagedError(f"{what}: {one_line(error)}; train the run again") from None


def _check_names(value: dict[str, Any], known: set[str], needed: set[str], what: str) -> None:
    odd, missing = sorted(set(value) - known), sorted(needed - set(value))
    if odd or missing:
        which = f"the unknown {odd[0][:80]!r}" if odd else f"no {missing[0]!r}"
        raise DamagedError(f"{what} has {which}: another version wrote it, or it is damaged; train the run again")


def _as(kind: Any, value: Any, what: str) -> Any:
    """The value as this type hint says. DamagedError if it is none."""
    origin, parts = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        for part in parts:
            try:
                return _as(part, value, what)
            except DamagedError:
                continue
    elif origin is Literal:
        if any(value == part and type(value) is type(part) for part in parts):
            return value
    elif origin is tuple and isinstance(value, list):
        kinds = [parts[0]] * len(value) if parts[-1] is Ellipsis else parts
        if len(kinds) == len(value):
            return tuple(_as(part, entry, what) for part, entry in zip(kinds, value, strict=True))
    elif dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return settings_from(kind, value, what)
    elif kind is float:
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value) if isinstance(value, float) else value
    elif kind is int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    elif isinstance(value, origin or kind):
        return value
    raise DamagedError(f"{what} is {repr(value)[:80]}, which is no {getattr(kind, '__name__', kind)}; train the run again")
