"""One at a time: exclusive locks on a folder, between processes. They go with the process that holds them."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .files import NotWrittenError

_NO_RIGHT = (errno.EROFS, errno.EACCES, errno.EPERM)
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)  # of some network file systems


@contextmanager
def locked(folder: Path, name: str = ".lock", on_wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold an exclusive lock on a folder, which is made if it is not there; wait for whoever holds it, after `on_wait()`.

    The lock is an empty file that stays. It is not reentrant: a process that asks twice for the same waits for itself.
    NotWrittenError where the folder cannot be written to.
    """
    descriptor = _opened(folder, name)
    try:
        _lock(descriptor, folder, on_wait)
        yield
    finally:
        with suppress(OSError):  # where there was none to be had
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # at once: a forked child may hold the descriptor for longer
        os.close(descriptor)


@contextmanager
def fitting(folder: Path, name: str, say: Callable[[str], None] | None = None) -> Iterator[bool]:
    """Hold the lock of what is fitted on demand (`distances/q_value`): of two processes one fits it, and the other reads it.

    Yields whether the folder can be written to; look again for what you would fit, once inside. `say` is told of having to wait.
    """

    def wait() -> None:
        if say is not None:
            say(f"another command is fitting {name} in {folder}: waiting for it")

    try:
        lock = locked(folder, f".{name.replace('/', '-')}.lock", wait)
        lock.__enter__()
    except NotWrittenError as error:
        if error.errno not in _NO_RIGHT:
            raise
        yield False
        return
    try:
        yield True
    finally:
        lock.__exit__(None, None, None)


def _opened(folder: Path, name: str) -> int:
    path = folder / name
    flags = os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_RDWR | flags, 0o666)  # network file systems lock only what may be written
        except PermissionError:
            descriptor = os.open(path, os.O_RDONLY | flags, 0o666)  # of another user, in a folder that is shared
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.ELOOP, "it is no plain file")
    except OSError as error:
        what = "it is a link or no plain file; remove it" if error.errno in (errno.ELOOP, errno.ENXIO) else error.strerror
        raise NotWrittenError(error.errno, f"{path} cannot be locked: {what}") from None
    return descriptor


def _lock(descriptor: int, folder: Path, on_wait: Callable[[], None] | None) -> None:
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if on_wait is not None:
                on_wait()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        warnings.warn(f"{folder} lies where files cannot be locked: run one command on it at a time", stacklevel=4)
