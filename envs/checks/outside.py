"""Other projects' checkers, called and not rewritten; what ours have said already is not said twice."""

from __future__ import annotations

import io
import re
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout, suppress
from pathlib import Path

import gymnasium as gym

from .layers import without_time_limit
from .problem import Problem
from .subject import Subject

# Advice that a correct goal env need not follow.
_ADVICE = (
    "-infinity",
    "is infinity",
    "different from the unwrapped version",
    "symmetric and normalized",
    "alternative render modes",
    "No render modes",
    "we recommend using np.float32",
    "not equal although similar",
    "maximum and minimum values are equal",
)
# Which checks of ours speak of the same thing, by the words that the others use. Searched in this order.
_OWN_CHECKS = (
    (r"share an object", ("aliasing",)),
    (r"spaces\.Dict", ("spaces",)),
    (r"compute_reward|vectorized", ("compute_reward", "step reward", "sparse reward", "finite")),
    (r"determinis|random (number )?generat|np_random|seed", ("seed", "api", "observations", "finite")),
    (r"action", ("spaces", "actions")),
    (r"\bnan\b|\binf\b", ("finite", "sparse reward", "step reward")),
    (r"observation|\bobs\b|dtype|shape|bounds|within|casting", ("observations", "spaces", "api", "finite")),
    (r"tuple|unpack|return|boolean|scalar|float|options|truncates", ("api", "endings")),
)


def check_with(name: str, checker: Callable[[gym.Env], None], subject: Subject, *, found: list[Problem]) -> Iterator[Problem]:
    """What a checker raises and warns of, except advice and what is in `found` already."""
    env = without_time_limit(subject.env(as_written=True))
    raised = None
    with warnings.catch_warnings(record=True) as caught, redirect_stdout(io.StringIO()):
        warnings.simplefilter("always")
        try:
            env.action_space.seed(subject.seed)  # they draw from it
            checker(env)
        except Exception as error:
            raised = _as_message(error)
    with suppress(Exception):  # reported by the check of close
        env.close()
    messages = [raised] if raised is not None else []
    messages += [str(warning.message) for warning in caught if not issubclass(warning.category, DeprecationWarning)]
    for message in dict.fromkeys(_plain(message) for message in messages):
        if not any(phrase in message for phrase in _ADVICE) and not _is_known(message, found):
            yield Problem(
                check=f"{name}'s checker", what=message, fix=f"do as {name} says, where it matters to you", severity="advice"
            )


def _as_message(error: Exception) -> str:
    """Says where, if it is not the checker that complains but the env that fails under it."""
    frames = traceback.extract_tb(error.__traceback__)
    in_reward = any(frame.name == "compute_reward" for frame in frames)
    own = isinstance(error, AssertionError) or "site-packages" in frames[-1].filename
    place = "" if own else f" (in {Path(frames[-1].filename).name}, line {frames[-1].lineno}: `{frames[-1].line}`)"
    return f"{'compute_reward raised ' * in_reward}{type(error).__name__}: {error}{place}"


def _plain(message: str) -> str:
    """Without terminal colours and line breaks."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", message).split()).removeprefix("WARN: ")


def _is_known(message: str, found: list[Problem]) -> bool:
    if any(problem.check == "runs" for problem in found):
        raised = [problem.what.rsplit(" raised ", 1)[-1] for problem in found if problem.check == "runs"]
        if any(error in message for error in raised):
            return True
    topics = next((checks for words, checks in _OWN_CHECKS if re.search(words, message, re.IGNORECASE)), ())
    return any(problem.check in topics for problem in found)
