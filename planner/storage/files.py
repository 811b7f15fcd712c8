"""Reading, replacing, appending and removing files of a folder without ever following a link out of it.

A folder is walked from its top, component by component, by file descriptors that refuse links; so what is opened lies inside,
whatever was put there before. The folder itself may be a link: it was named by the user.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..errors import BadInput, UsageError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NO_LINK = os.O_NOFOLLOW | os.O_CLOEXEC
_NO_WAIT = os.O_NONBLOCK  # a named pipe without a writer would be waited for
_LINK = (errno.ELOOP, errno.ENOTDIR, errno.ENXIO)  # what the system says of a link, a pipe or a socket in a file's place
_PLAIN = re.compile(r"\w[\w.+-]*")  # no blank, separator, drive, control character, nor a dot in front
_LONGEST = 200  # characters of a component
IN_PLACE = ("progress.csv", "results.csv")  # written to as they are, not replaced: a second name of theirs would change, too


class DamagedError(BadInput):
    """A stored file is missing, or is not what was written."""


class NotWrittenError(BadInput, OSError):
    """A file could not be written: no room, no right, or something else of that name; what was there before stays."""

    def __str__(self) -> str:
        return str(self.strerror)


def one_line(error: object) -> str:
    """What somebody else's code says of a strange file, which may quote it: cut short, and printable."""
    return "".join(letter if letter.isprintable() else " " for letter in str(error)[:200])


def is_plain(name: str) -> bool:
    """Whether this is a relative path of plain components: it cannot leave the folder that it is taken in."""
    return all(_PLAIN.fullmatch(part) and len(part) <= _LONGEST for part in name.split("/"))


def read_inside(folder: Path, name: str, at_most: int | None = None) -> bytes:
    """A file of a folder. FileNotFoundError without it; DamagedError if it is a link, no plain file, or larger than `at_most`
    bytes (by default than this machine's memory)."""
    if at_most is None:
        at_most = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with _readable(folder / name), _walked(folder, name) as (parent, last):
        descriptor = os.open(last, os.O_RDONLY | _NO_LINK | _NO_WAIT, dir_fd=parent)
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > at_most:
            os.close(descriptor)
            what = (
                f"has {found.st_size} bytes, more than the {at_most} it may have"
                if found.st_size > at_most
                else "is no plain file"
            )
            raise DamagedError(f"{folder / name} {what}; restore it from a copy or train the run again")
        with open(descriptor, "rb") as stream:
            return stream.read()


def replace_file(path: Path, content: bytes, inside: Path | None = None, temporary: str | None = None) -> None:
    """Write to a temporary name beside the target, flush to disk, rename. A link of that name is replaced, never followed.

    `inside`: the folder that must not be left on the way to the file; its own folder by default. `temporary`: the name, where
    a lock keeps others from it; what a kill left of that name goes. NotWrittenError if it cannot be.
    """
    folder = path.parent if inside is None else inside
    with _written(path):
        folder.mkdir(parents=True, exist_ok=True)
        with _walked(folder, str(path.relative_to(folder)), make=True) as (parent, last):
            own = temporary if temporary is not None else f".{secrets.token_hex(8)}.part"
            if temporary is not None:
                _unlink(own, parent)
            descriptor = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK, 0o666, dir_fd=parent)
            try:
                with open(descriptor, "wb") as stream:
                    stream.write(content)
                    stream.flush()
                    os.fsync(descriptor)
                os.replace(own, last, src_dir_fd=parent, dst_dir_fd=parent)
            except BaseException:
                _unlink(own, parent)
                raise


def append(path: Path, content: bytes) -> None:
    """Add to the end of a file, or begin it. NotWrittenError if it is a link, has a second name, or cannot be."""
    with _written(path), _walked(path.parent, path.name) as (parent, last):
        descriptor = os.open(last, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _NO_LINK | _NO_WAIT, 0o666, dir_fd=parent)
        with open(descriptor, "ab") as stream:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
                raise OSError(errno.EMLINK, "it is no plain file, or has a second name elsewhere, which would change, too")
            stream.write(content)


def named_folder(out: Any) -> Path:
    """The folder that is named to be written. UsageError for what is none."""
    if not isinstance(out, str | Path) or str(out) in ("", "."):
        raise UsageError(f"--out {out!r} names no folder of its own; name one")
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--out {folder} is a file; name a folder")
    return folder


def remove_file(folder: Path, name: str) -> None:
    """A plain file of a folder goes, if it is there; NotWrittenError if it cannot, or lies behind a link."""
    with _written(folder / name), suppress(FileNotFoundError), _walked(folder, name) as (parent, last):
        os.unlink(last, dir_fd=parent)


def check_in_place(folder: Path) -> None:
    """DamagedError if writing into this folder by name, as loggers do, could change a file outside it: it holds a link, or
    something that is neither file nor folder, or a file that is added to has a second name."""
    for where, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(where, name)
            found = path.lstat()
            if stat.S_ISLNK(found.st_mode):
                raise DamagedError(f"{str(path)!r} is a link; a run is written to only where there are none: remove it")
            if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
                raise DamagedError(f"{str(path)!r} is neither a file nor a folder; remove it")
            if stat.S_ISREG(found.st_mode) and found.st_nlink > 1 and name in IN_PLACE:
                raise DamagedError(f"{str(path)!r} has a second name elsewhere, which would change, too; copy the folder first")


@contextmanager
def _walked(folder: Path, name: str, make: bool = False) -> Iterator[tuple[int, str]]:
    """The folder that holds the named file, opened, and the file's name in it; `make`: folders that are missing on the way."""
    *between, last = name.split("/")
    here = os.open(folder, _FOLDER)
    try:
        for part in between:
            if make:
                _make_folder(part, here)
            below = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=here)
            os.close(here)
            here = below
        yield here, last
    finally:
        os.close(here)


def _make_folder(name: str, parent: int) -> None:
    with suppress(FileExistsError):  # a link of that name is refused when it is opened
        os.mkdir(name, dir_fd=parent)


def _unlink(name: str, parent: int) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=parent)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """What the system says of a file that cannot be read, in one line; but for one that is not there."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in _LINK:
            raise DamagedError(f"{path} is, or lies behind, a link or something else than a file; remove it") from None
        raise DamagedError(f"{path} cannot be read ({error.strerror}); give yourself the right to, or copy the run") from None


@contextmanager
def _written(path: Path) -> Iterator[None]:
    """What the system says of a file that cannot be written, in one line."""
    try:
        yield
    except OSError as error:
        what = "a link or no plain file lies there" if error.errno in _LINK else error.strerror
        told = f"{path} cannot be written ({what}); what was there stays: mend it or name another folder"
        raise NotWrittenError(error.errno, told) from None
