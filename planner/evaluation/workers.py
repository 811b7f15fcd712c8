"""Tasks over processes: results as they come, and what a dead process left undone is done again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

from ..errors import UsageError

Task = TypeVar("Task")
Result = TypeVar("Result")

_DEATHS = 3  # of processes in a row, without a task done in between, after which it is given up


def run_tasks(function: Callable[[Task], Result], tasks: Sequence[Task], workers: int) -> Iterator[tuple[Task, Result]]:
    """Each task with its result, in the order in which they are done. One worker is this process.

    A process that dies (killed, out of memory) takes its companions' tasks with it; those are done again in new ones. An
    exception that a task raises is raised here. UsageError if processes die again and again.
    """
    if workers == 1:
        for task in tasks:
            yield task, function(task)
        return
    left, deaths = list(range(len(tasks))), 0
    while left:
        # spawned, not forked: torch's threads do not survive a fork
        pool = ProcessPoolExecutor(min(workers, len(left)), mp_context=get_context("spawn"))
        try:
            futures = {pool.submit(function, tasks[index]): index for index in left}
            for future in as_completed(futures):
                result = future.result()
                left.remove(futures[future])
                deaths = 0
                yield tasks[futures[future]], result
        except BrokenProcessPool:
            deaths += 1
        finally:  # also on Ctrl-C and on a task's error: what has not begun is not begun any more
            pool.shutdown(wait=True, cancel_futures=True)
        if deaths == _DEATHS:
            raise UsageError(
                f"worker processes died {_DEATHS} times in a row; {len(tasks) - len(left)} of {len(tasks)} parts are done and "
                f"kept. Is there too little memory? Try --workers 1, which shows the reason"
            )
