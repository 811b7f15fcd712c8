"""Errors that mean bad input: a command ends with their one line and exit code 2, not with a traceback."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any


class BadInput(Exception):
    """What is wrong lies in what was handed in; the message says what, where and how to mend it."""

    exit_code = 2  # of a command that ends with it; an error of a package that may not import this one has it, too


class UsageError(BadInput):
    """An option, a name or a combination of both that will not do."""


def unknown_name(kind: str, name: str, known: Iterable[str], also: str = "") -> UsageError:
    """The error for a name that nobody knows: the nearest of those there are, and all of them. `also`: what else may be named."""
    names = list(known)
    nearest = get_close_matches(name, names, 1)
    hint = f"did you mean {nearest[0]}? There are" if nearest else "choose from"
    return UsageError(f"{kind} {name!r} is unknown; {hint} {', '.join(names)}{also}")


def check_numbers(config: Any, most: Mapping[str, int]) -> None:
    """ValueError for a number of a config, alone or in a tuple, that is NaN or infinite, or more than `most` for its name.

    What exceeds these is a slip, and would end in an allocation that no machine can serve.
    """
    for name, value in vars(config).items():
        for number in value if isinstance(value, tuple) else (value,):
            if not isinstance(number, int | float):
                continue
            if not math.isfinite(number):
                raise ValueError(f"{name} must be finite, got {number}")
            if number > most.get(name, math.inf):
                raise ValueError(f"{name} must be at most {most[name]:,}, got {number:,}")


def check_kinds(values: Mapping[str, tuple[Any, Any]]) -> None:
    """name -> (value, type or union). UsageError for the first that is of another kind; a bool is no number."""
    for name, (value, kind) in values.items():
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            asked = getattr(kind, "__name__", str(kind))
            raise UsageError(f"{name} must be of kind {asked}, got {value!r}")
