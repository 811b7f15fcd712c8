"""The losses of what is fitted after an agent's training, beside its progress: fitting.csv, and TensorBoard."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from stable_baselines3.common.logger import TensorBoardOutputFormat

from .planner.progress import Progress

_EVERY = 50  # gradient steps


class Losses:
    """Hands progress on, and keeps every fiftieth loss that is told."""

    def __init__(self, progress: Progress, tensorboard: Path | None) -> None:
        """`tensorboard`: the folder of its event files, if they are wanted."""
        self._progress = progress
        self._writer = None if tensorboard is None else TensorBoardOutputFormat(str(tensorboard))
        self._rows: list[tuple[str, int, float]] = []

    @contextmanager
    def recorded(self, what: str, steps: int | None) -> Iterator[Callable[..., None]]:
        """A `planner.progress.Progress`."""
        with self._progress(what, steps) as shown:

            def on_step(done: int | None = None, loss: float | None = None) -> None:
                shown(done, loss)
                if done is not None and loss is not None and done % _EVERY == 0:
                    self._rows.append((what, done, loss))
                    if self._writer is not None:
                        self._writer.write({f"fit/{what} loss": loss}, {f"fit/{what} loss": ()}, done)

            yield on_step

    def to_csv(self) -> bytes:
        """The rows so far, under a header; nothing is recorded any more."""
        if self._writer is not None:
            self._writer.close()
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([("stage", "step", "loss"), *self._rows])
        return text.getvalue().encode()
