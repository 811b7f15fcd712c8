"""What a check reports, and what it raises when the env's own code fails."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from ..guard import PATIENCE, EnvError, time_limit

T = TypeVar("T")
Severity = Literal["broken", "adapted", "advice"]
SEVERITIES: tuple[Severity, ...] = ("broken", "adapted", "advice")


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What a check found in a goal env, and how to mend it.

    `severity`: "broken", so that training would be wrong; "adapted", which training deals with by itself; "advice", which may
    make an env hard to learn.
    """

    check: str  # which check found it
    what: str
    fix: str  # an instruction, where possible the line to write
    severity: Severity = "broken"

    def __str__(self) -> str:
        what, fix = (" ".join(text.split()) for text in (self.what, self.fix))  # a space of several rows breaks lines
        return f"{self.check}: {what}\n    fix: {fix}"


class Findings(list[Problem]):
    """What was found, the broken first; printed, a report."""

    def of(self, severity: Severity) -> list[Problem]:
        return [finding for finding in self if finding.severity == severity]

    @property
    def broken(self) -> list[Problem]:
        """Training would be wrong."""
        return self.of("broken")

    @property
    def adapted(self) -> list[Problem]:
        """Training deals with it."""
        return self.of("adapted")

    @property
    def advice(self) -> list[Problem]:
        """It may be hard to learn."""
        return self.of("advice")

    def __str__(self) -> str:
        return "\n".join(
            line
            for severity in SEVERITIES
            if self.of(severity)
            for line in (_HEADINGS[severity], *(str(finding) for finding in self.of(severity)))
        )


_HEADINGS: dict[Severity, str] = {
    "broken": "broken: training would be wrong",
    "adapted": "adapted: training deals with it",
    "advice": "advice: it may be hard to learn",
}


class EnvRaised(Exception):
    """The env's own code failed: `where` names the phase and the step, the cause is the env's own error."""

    def __init__(self, where: str, error: Exception) -> None:
        self.where, self.error = where, error
        super().__init__(f"{where} raised {type(error).__name__}: {error}")

    def as_problem(self, check: str) -> Problem:
        if isinstance(self.error, EnvError):  # which says already what to mend
            return Problem(check=check, what=str(self.error), fix="as it says")
        frame = traceback.extract_tb(self.error.__traceback__)[-1]
        place = f"{Path(frame.filename).name}, line {frame.lineno}, in {frame.name}"
        return Problem(check=check, what=str(self), fix=f"mend {place}: `{frame.line}`")


def call(where: str, function: Callable[..., T], *arguments: Any, **options: Any) -> T:
    """The env's answer, or its error as EnvRaised; TimeoutError is one, of an env that hangs."""
    try:
        with time_limit(PATIENCE):
            return function(*arguments, **options)
    except Exception as error:
        raise EnvRaised(where, error) from error


def kind_of(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    if isinstance(value, tuple):
        return f"a tuple of {len(value)} ({', '.join(type(entry).__name__ for entry in value)})"
    return f"{type(value).__name__} {value!r:.40}"


def short(array: np.ndarray) -> str:
    return np.array2string(array, precision=3, threshold=8)
