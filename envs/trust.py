"""Which env a run may bring along: code is executed only if this user named it, now or for a training of their own.

A run's `config.json` names its env, and a run may be a stranger's. A registered id is no code. A file (`path/to/file.py:Class`),
or a module that is not installed (`module:Id`), is: it is executed if it was named on this command line, or if it is, by its
SHA-256, one that this user has trained with. The list of these lies outside all runs, in the user's state folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.machinery
import importlib.util
import json
import os
import secrets
import site
import sys
import sysconfig
from pathlib import Path

from .guard import EnvError
from .user_files import is_file, split

_LARGEST = 1 << 22  # bytes of the list
_IMPORTABLE = tuple(importlib.machinery.all_suffixes())


def trusted_env(name: object, run: Path, named: str | None = None) -> str:
    """The env to use with a run: the one `named` on this command line, or else the `name` in its config, if that may be executed.

    EnvError, in one line with the way out, if not.
    """
    if named is not None:
        return named
    if not isinstance(name, str) or not name.isprintable():
        raise EnvError(f"{run} names {str(name)[:80]!r} as its env, which is no name; name one with --env")
    check_trusted(name, str(run))
    return name


def check_trusted(name: str, run: str = "this run") -> None:
    """EnvError if making the env that a run names would execute code that this user has not trained with here.

    A file's SHA-256 covers the file itself, not what it imports from beside it. So a copy elsewhere is trusted only where nothing
    that could be imported lies beside it; in the folder in which it was trained with, its neighbours are the user's own. A module
    is trusted in that place alone.
    """
    if is_file(name):
        path, _ = split(name)
        if not _is_known(path):
            raise _refusal(run, name, "file")
    elif ":" in name:
        module = name.rpartition(":")[0]
        top = module.partition(".")[0]
        if not all(part.isidentifier() for part in module.split(".")) or not _is_installed(top):
            origin = _origin(top) if top.isidentifier() else None
            if origin is None or str(origin.resolve()) not in _places(origin):
                raise _refusal(run, name, "module")


def remember(name: str) -> bool:
    """Keep the SHA-256 of the file, or of the module that is not installed, of which a training makes its env.

    Returns whether what needs to be kept is: where the list cannot be written, later commands ask for `--env`. EnvError if there
    is no such file.
    """
    if is_file(name):
        path = split(name)[0]
    elif ":" in name and not _is_installed(name.partition(":")[0].partition(".")[0]):
        origin = _origin(name.partition(":")[0].partition(".")[0])
        if origin is None:
            return False
        path = origin
    else:
        return True
    place = str(path.resolve())
    return place in _places(path) or _add(_digest(path), place)


def state_file() -> Path:
    """The list of what this user has trained with."""
    root = os.environ.get("XDG_STATE_HOME", "")
    return Path(root if os.path.isabs(root) else os.path.expanduser("~/.local/state"), "thalweg", "trusted.json")


def _refusal(run: str, name: str, kind: str) -> EnvError:
    what = f"{run} names the env {name!r}, a {kind} of code that was not trained with here"
    return EnvError(f"{what}; if you trust it, name it: --env {name}")


def _is_known(path: Path) -> bool:
    places = _places(path)
    return str(path.resolve()) in places or (bool(places) and _is_alone(path))


def _places(path: Path) -> list[str]:
    """Where a file of this content was trained with."""
    return _read_list().get(_digest(path), [])


def _is_alone(path: Path) -> bool:
    """Whether nothing lies beside a file that it could import."""
    beside = [other for other in path.resolve().parent.iterdir() if other.name != path.name]
    return not any(other.name.endswith(_IMPORTABLE) or (other.is_dir() and _holds_code(other)) for other in beside)


def _holds_code(folder: Path) -> bool:
    if not folder.name.isidentifier() or folder.name == "__pycache__":  # cannot be imported by name
        return False
    return folder.is_symlink() or any(name.endswith(_IMPORTABLE) for _, _, names in os.walk(folder) for name in names)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _is_installed(top: str) -> bool:
    """Whether a top-level module is this package, lies where Python installs packages, or on the user's path outside the
    working directory; one in the working directory may have come with a run. Nothing is imported to find out."""
    if top == __name__.partition(".")[0]:
        return True
    if top in sys.stdlib_module_names:
        return False  # registers no envs, and some of it acts when it is imported
    places = _locations(top)
    here = Path.cwd().resolve()
    return bool(places) and all(
        any(place.is_relative_to(root) for root in _install_folders()) or not place.is_relative_to(here) for place in places
    )


def _install_folders() -> list[Path]:
    own = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages(), site.getusersitepackages()]
    return [Path(folder).resolve() for folder in own]


def _spec(top: str) -> importlib.machinery.ModuleSpec | None:
    try:
        return importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None


def _locations(top: str) -> list[Path]:
    spec = _spec(top)
    if spec is None:
        return []
    found = list(spec.submodule_search_locations or []) + ([spec.origin] if spec.has_location and spec.origin else [])
    return [Path(place).resolve() for place in found]


def _origin(top: str) -> Path | None:
    """The file that importing a top-level module executes."""
    spec = _spec(top)
    return Path(spec.origin) if spec is not None and spec.has_location and spec.origin else None


def _read_list() -> dict[str, list[str]]:
    """SHA-256 -> the places at which it was trained with; empty if there is no list, or it is none of ours."""
    try:
        with open(state_file(), "rb") as stream:
            known = json.loads(stream.read(_LARGEST))["files"]
        return {str(digest): [str(place) for place in places] for digest, places in known.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _add(digest: str, place: str) -> bool:
    """Under a lock, since trainings begin side by side; replaced whole."""
    path = state_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            known = _read_list()
            known[digest] = sorted({*known.get(digest, []), place})
            temporary = path.with_name(f".{secrets.token_hex(8)}.part")
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(handle, "w") as stream:
                json.dump({"files": known}, stream, indent=2)
            os.replace(temporary, path)
        finally:
            os.close(lock)
    except OSError:
        return False
    return True
