"""The one progress bar: a bar on a terminal, and elsewhere, as in a file or CI, a plain line every so often."""

from __future__ import annotations

import sys
import time
from typing import Any, Protocol, Self

_EVERY = 15.0  # s between two plain lines


class Bar(Protocol):
    n: float
    total: float | None

    def update(self, n: float = 1) -> Any: ...

    def set_postfix_str(self, text: str, refresh: bool = True) -> Any:
        """What else is shown, such as a loss."""
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> Any: ...


def progress_bar(total: float | None, desc: str, shown: bool = True, *, initial: float = 0, unit: str = "it") -> Bar:
    """A context manager with `update(n=1)`. `total`: of the calls to come, None where nobody knows; `initial`: done before."""
    if shown and not sys.stderr.isatty():
        return PlainBar(total, desc, initial)
    from tqdm import tqdm

    return tqdm(total=total, desc=desc, initial=initial, unit=unit, disable=not shown)


class PlainBar:
    """`desc: 40/100, 12 s`, at most one line in 15 s, and one at the end."""

    def __init__(self, total: float | None, desc: str, initial: float = 0) -> None:
        self.total, self.desc, self.n = total, desc, initial
        self._began = self._told = time.monotonic()
        self._closed, self._postfix = False, ""

    def update(self, n: float = 1) -> None:
        self.n += n
        if time.monotonic() - self._told >= _EVERY:
            self._tell()

    def set_postfix_str(self, text: str, refresh: bool = False) -> None:
        self._postfix = f", {text}"

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
        print(f"{self.desc}: {self.n:,.0f}{of}, {self._told - self._began:.0f} s{self._postfix}", file=sys.stderr, flush=True)
