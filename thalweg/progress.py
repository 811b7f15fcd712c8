"""Progress bars, for commands and for Python alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .bar import progress_bar
from .planner.run.progress import silent as silent


@contextmanager
def bars(what: str, steps: int | None) -> Iterator[Callable[..., None]]:
    """A bar on stderr, or lines where that is no terminal."""
    with progress_bar(steps, what) as bar:

        def on_step(done: int | None = None, of: int | None = None, loss: float | None = None) -> None:
            if of is not None and bar.total != of:
                bar.total = of
            bar.update(1 if done is None else done - bar.n)
            if loss is not None:
                bar.set_postfix_str(f"loss={loss:.3g}", refresh=False)

        yield on_step
