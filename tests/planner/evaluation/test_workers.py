"""Tasks over processes; some of which die."""

import os
import signal
import time
from pathlib import Path

import pytest

from thalweg.planner.evaluation.workers import run_tasks
from thalweg.scripts.cli import UsageError


def double(task):
    return 2 * task


def die_once(task):
    """The process that is given 3 is killed, unless one was before."""
    number, marks = task
    died = Path(marks) / "died"
    if number == 3 and not died.exists():
        died.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    with (Path(marks) / f"{number}-{os.getpid()}-{os.urandom(4).hex()}").open("w"):
        return 2 * number


def die(task):
    os.kill(os.getpid(), signal.SIGKILL)


def fail(task):
    raise UsageError(f"task {task} cannot be done")


@pytest.mark.parametrize("workers", [1, 2])
def test_each_task_is_done_once(workers):
    assert sorted(run_tasks(double, range(5), workers)) == [(n, 2 * n) for n in range(5)]
    assert list(run_tasks(double, [], workers)) == []


@pytest.mark.slow
def test_what_a_dead_process_left_undone_is_done_again(tmp_path):
    tasks = [(n, str(tmp_path)) for n in range(8)]
    done = list(run_tasks(die_once, tasks, 2))
    assert sorted(result for _, result in done) == [2 * n for n in range(8)] and (tmp_path / "died").exists()


@pytest.mark.slow
def test_processes_that_keep_dying_are_given_up():
    with pytest.raises(UsageError, match=r"died 3 times.*0 of 2"):
        list(run_tasks(die, [1, 2], 2))


def slowly(task):
    time.sleep(0.2)
    Path(task).touch()


def test_what_has_not_begun_when_it_is_broken_off_is_not_begun(tmp_path):
    results = run_tasks(slowly, [str(tmp_path / str(n)) for n in range(40)], 2)
    next(results)
    results.close()  # as Ctrl-C does
    assert 1 <= len(list(tmp_path.iterdir())) < 20


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_in_a_task_is_the_callers(workers):
    with pytest.raises(UsageError, match="cannot be done"):
        list(run_tasks(fail, range(4), workers))
