"""The command line as tyro reads it, and how numbers are written on it: `3e4`, `30_000`; none that is not finite."""

from __future__ import annotations

import io
import math
import re
import sys
from contextlib import redirect_stderr
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Any, Union, get_args

import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from thalweg.planner.errors import UsageError

_RULES = ConstructorRegistry()
_LARGEST = 2**63 - 1  # what 64 bits hold
_FRAME = "╭╮╰╯│─"  # what tyro draws around its errors, where the terminal can; elsewhere rules of hyphens


def parse(options: Any, prog: str, description: str) -> Any:
    """The options as they were typed. UsageError, in one line, for what cannot be read; SystemExit after --help."""
    for argument in sys.argv[1:]:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise UsageError(f"{argument!a} holds bytes that are no UTF-8: no file could name it; rename it") from None
    told = io.StringIO()
    try:
        with redirect_stderr(told):
            return tyro.cli(options, prog=prog, description=description, registry=_RULES)
    except SystemExit as end:
        if end.code != 2:
            raise
        said = one_line(told.getvalue())
        raise UsageError(f"{said}{'' if said.endswith('?') else ';'} {prog} --help tells all options") from None


def one_line(box: str) -> str:
    """What tyro says in a box: its first part, and the name that it takes, or we take, for the one that was meant."""
    parts: list[list[str]] = [[]]
    for line in box.splitlines()[1:]:  # the first is its title
        text = line.strip(_FRAME + " ")
        if text.strip("-"):
            parts[-1].append(text)
        elif parts[-1]:  # a rule between two parts
            parts.append([])
    said = re.sub(r"\s+", " ", " ".join(parts[0])).rstrip(".")
    said = re.sub(r"^Error parsing (\w+): (\w+) must", lambda it: f"--{it[1]}.{it[2].replace('_', '-')} must", said)
    near = _nearest_choice(said) or _nearest_option(" ".join(parts[1]) if len(parts) > 1 else "")
    return f"{said}; did you mean {near}?" if near else said


def _nearest_choice(said: str) -> str:
    choice = re.match(r"invalid choice '(.*?)'.*Expected one of \((.*)\)", said)
    return next(iter(get_close_matches(choice[1], re.findall(r"'(.*?)'", choice[2]), 1)), "") if choice else ""


def _nearest_option(told: str) -> str:
    option = re.search(r"Perhaps you meant:\s+(-[\w.-]+)", told)
    return option[1] if option else ""


def whole_number(text: str) -> int:
    """`30000`, `30_000`, `3e4` -> 30000. ValueError for anything but a whole number of 64 bits."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text!r} is no whole number") from None
    large = value.is_finite() and (value.adjusted() > 18 or abs(value) > _LARGEST)  # not made an int of: 1e999999999 fills memory
    if large or not value.is_finite() or value != value.to_integral_value():
        raise ValueError(f"{text!r} is {'larger than 64 bits hold' if large else 'no whole number'}")
    return int(value)


def finite_number(text: str) -> float:
    """ValueError for NaN, infinity, and what is no number."""
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{text!r} is no number") from None
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is no finite number")
    return value


def _is_number(value: Any, kinds: tuple[type, ...]) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)


@_RULES.primitive_rule
def _numbers(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    if info.type is int:
        return PrimitiveConstructorSpec(
            nargs=1,
            metavar="INT",
            instance_from_str=lambda texts: whole_number(texts[0]),
            is_instance=lambda value: _is_number(value, (int,)),
            str_from_instance=lambda value: [str(value)],
        )
    if info.type is float:
        return PrimitiveConstructorSpec(
            nargs=1,
            metavar="FLOAT",
            instance_from_str=lambda texts: finite_number(texts[0]),
            is_instance=lambda value: _is_number(value, (int, float)),
            str_from_instance=lambda value: [str(value)],
        )
    return None


@_RULES.primitive_rule
def _optional(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    """`X | None` reads in the help as X does; the word None stands for nothing."""
    kinds = [kind for kind in get_args(info.type) if kind is not NoneType]
    if info.type_origin not in (Union, UnionType) or len(kinds) != 1 or len(kinds) == len(get_args(info.type)):
        return None
    spec = ConstructorRegistry.get_primitive_spec(PrimitiveTypeInfo.make(kinds[0], info.markers))
    if not isinstance(spec, PrimitiveConstructorSpec):
        return None
    return replace(
        spec,
        choices=None if spec.choices is None else (*spec.choices, "None"),
        instance_from_str=lambda texts: None if texts == ["None"] else spec.instance_from_str(texts),
        is_instance=lambda value: value is None or spec.is_instance(value),
        str_from_instance=lambda value: ["None"] if value is None else spec.str_from_instance(value),
    )
