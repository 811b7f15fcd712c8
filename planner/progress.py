"""How far work is that takes more than a second: whoever runs it hands in how that is shown."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any


def ignore(*_: Any) -> None:
    """What `on_step` is where nobody asks how far it is."""


# (what is done, how many steps it will take, None if nobody knows) -> what is called after each step
Progress = Callable[[str, int | None], AbstractContextManager[Callable[..., None]]]


@contextmanager
def silent(what: str, steps: int | None) -> Iterator[Callable[..., None]]:
    """Shows nothing."""
    yield ignore


def say(line: str) -> None:
    """A word to whoever runs this, beside the results."""
    print(line, file=sys.stderr)
