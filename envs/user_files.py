"""What a user's file defines, by name: `path/to/file.py:Name`."""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import SourceFileLoader
from pathlib import Path
from tempfile import TemporaryDirectory
from types import CodeType, ModuleType
from typing import Any

from .guard import EnvError

_CHECKOUT = Path(__file__).resolve().parents[1]
_BARE = ("planner", "envs", "agents", "scripts")  # our folders there, by names that a user's may have


def is_file(name: str) -> bool:
    return ".py:" in name or name.endswith(".py")


def load_from_file(name: str) -> Any:
    """`path/to/file.py:Name` -> what the file calls so. EnvError without it; whatever the file itself raises goes through."""
    path, attribute = split(name)
    module = _module(path)
    if not hasattr(module, attribute):
        raise EnvError(f"{name}: {path.name} defines no {attribute}")
    return getattr(module, attribute)


def split(name: str) -> tuple[Path, str]:
    """EnvError without such a file, or without a name in it."""
    file, _, attribute = name.rpartition(":")
    path = Path(file or attribute).resolve()
    if not path.is_file():
        raise EnvError(f"{name}: there is no file {path}")
    if not file:
        raise EnvError(f"{name} names no class; write {name}:NAME_OF_THE_CLASS")
    return path, attribute


def _let_neighbours_be_imported(folder: Path) -> None:
    """Before the checkout that this file may lie in, and else last: a user's `envs/` is theirs, and nothing else is hidden."""
    if str(folder) not in sys.path:
        at = next((i for i, place in enumerate(sys.path) if Path(place or ".").resolve() == _CHECKOUT), len(sys.path))
        sys.path.insert(at, str(folder))
    for name in _BARE:
        module = sys.modules.get(name)  # `python -m scripts.NAME` imports `scripts`
        if module is not None and Path(getattr(module, "__file__", None) or ".").resolve().parent.parent == _CHECKOUT:
            del sys.modules[name]


class _SourceLoader(SourceFileLoader):
    """Executes what stands in the file, whose SHA-256 may have been asked; never the bytecode that was left beside it."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


@contextmanager
def _parsers_caught(path: Path) -> Iterator[None]:
    """EnvError where the file ends the program as it is loaded, as a parser does that takes our command line for its own."""
    said: list[str] = []
    kept = argparse.ArgumentParser._print_message
    argparse.ArgumentParser._print_message = lambda parser, message, file=None: said.append(message)  # type: ignore[assignment, misc]
    try:
        yield
    except SystemExit as stop:
        if not said:
            raise EnvError(
                f"{path} ends the program when it is loaded (sys.exit({stop.code!r})); raise an error instead"
            ) from stop
        words = " ".join(said[-1].split()).partition("error: ")[2]
        own = f" (its parser: {words})" if words else ""
        raise EnvError(
            f'{path} reads the command line when it is loaded{own}; let it do so under if __name__ == "__main__": and the env '
            "take arguments (--env-kwargs)"
        ) from stop
    finally:
        argparse.ArgumentParser._print_message = kept  # type: ignore[method-assign]


_shims: dict[int, TemporaryDirectory[str]] = {}  # by process: a fork has none of its own yet


def _let_children_import(private: str, path: Path) -> None:
    """A spawned process gets our sys.path, and finds there, by the private name, a module that runs the file."""
    if os.getpid() not in _shims:
        _shims[os.getpid()] = TemporaryDirectory(prefix="thalweg-files-")
        sys.path.append(_shims[os.getpid()].name)
    text = f"__file__ = {str(path)!r}\nwith open(__file__, 'rb') as file:\n    exec(compile(file.read(), __file__, 'exec'))\n"
    (Path(_shims[os.getpid()].name) / f"{private}.py").write_text(text)


def _module(path: Path) -> ModuleType:
    """The file as a module, run once, under a private name, so that no folder beside it is confused with ours."""
    private = "_thalweg_file_" + hashlib.sha256(str(path).encode()).hexdigest()[:16]
    if private not in sys.modules:
        spec = importlib.util.spec_from_file_location(private, path, loader=_SourceLoader(private, str(path)))
        assert spec is not None and spec.loader is not None  # a .py file always has both
        module = importlib.util.module_from_spec(spec)
        _let_neighbours_be_imported(path.parent)
        sys.modules[private] = module
        try:
            with _parsers_caught(path):
                spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[private]
            raise
        _let_children_import(private, path)
    return sys.modules[private]
