"""The one progress bar: a bar on a terminal, and elsewhere, as in a file or CI, a plain line every so often."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, Self

from .planner.progress import silent as silent

_EVERY = 15.0  # s between two plain lines


class Bar(Protocol):
    n: float

    def update(self, n: float = 1) -> Any: ...

    def set_postfix_str(self, s: str, refresh: bool = True) -> Any:
        """What is shown beside it, such as a loss."""
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> Any: ...


def progress_bar(total: float | None, desc: str, shown: bool = True) -> Bar:
    """A context manager with `update(n=1)`. `total`: of the calls to come, None where nobody knows."""
    if shown and not sys.stderr.isatty():
        return PlainBar(total, desc)
    from tqdm import tqdm

    return tqdm(total=total, desc=desc, disable=not shown)


class PlainBar:
    """`desc: 40/100, 12 s`, at most one line in 15 s, and one at the end."""

    def __init__(self, total: float | None, desc: str) -> None:
        self.total, self.desc, self.n = total, desc, 0.0
        self._began = self._told = time.monotonic()
        self._closed, self._beside = False, ""

    def update(self, n: float = 1) -> None:
        self.n += n
        if time.monotonic() - self._told >= _EVERY:
            self._tell()

    def set_postfix_str(self, s: str, refresh: bool = False) -> None:
        self._beside = f", {s}"

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._tell()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _tell(self) -> None:
        self._told = time.monotonic()
        of = "" if self.total is None else f"/{self.total:,.0f}"
        print(f"{self.desc}: {self.n:,.0f}{of}, {self._told - self._began:.0f} s{self._beside}", file=sys.stderr, flush=True)


@contextmanager
def bars(what: str, steps: int | None) -> Iterator[Callable[..., None]]:
    """A `planner.progress.Progress`: a bar per stage, with the loss where there is one."""
    with progress_bar(steps, what) as bar:

        def on_step(done: int | None = None, loss: float | None = None) -> None:
            bar.update(1 if done is None else done - bar.n)
            if loss is not None:
                bar.set_postfix_str(f"loss {loss:.3g}", refresh=False)

        yield on_step
