"""What the code itself says, put into pages when they are built, so that it cannot rot.

- `{settings} module:Class`: a config dataclass as a list of its fields, defaults and comments.
- `{commands} NAME`: what `thalweg NAME --help` prints.
- `{surface}`: every public name of `thalweg`, from its docstring.
- `{columns} module:Class`: the fields of a dataclass alone, with their comments.

Docstrings here are Markdown; autodoc reads reStructuredText, so they are translated.
"""

from __future__ import annotations

import ast
import inspect
import io
import os
import re
import subprocess
import sys
import tokenize
from dataclasses import MISSING, fields, is_dataclass
from importlib import import_module
from typing import Any, ClassVar

from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

logger = logging.getLogger(__name__)


def load(name: str) -> Any:
    """`module:Class` -> the class. ValueError, naming it, if there is none."""
    module, _, attribute = name.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{name} is named in the documentation, but cannot be loaded: {error}") from error


def comments_of(config: type) -> dict[str, str]:
    """Field -> the comment at the end of its line, else the one on the lines just above it; "" without any."""
    source = inspect.getsource(config)
    at = {
        token.start[0]: token
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    lines, found = source.splitlines(), {}
    for node in ast.parse(inspect.cleandoc(source)).body[0].body:  # type: ignore[attr-defined]
        if not isinstance(node, ast.AnnAssign):
            continue
        first, last = node.lineno, node.end_lineno or node.lineno
        above = first - 1
        while above in at and lines[above - 1].lstrip().startswith("#"):
            above -= 1
        chosen = [at[last]] if last in at else [at[line] for line in range(above + 1, first)]
        found[ast.unparse(node.target)] = " ".join(token.string.lstrip("# ") for token in chosen)
    return found


def default_of(field: Any) -> str:
    """As it would be typed; "" for a field that must be given."""
    if field.default is not MISSING:
        return repr(field.default)
    if field.default_factory is not MISSING:
        return f"{getattr(field.default_factory, '__name__', 'made anew')}()"
    return ""


class Settings(SphinxDirective):
    """`{settings} module:Class`"""

    required_arguments = 1
    shows_defaults: ClassVar[bool] = True

    def run(self) -> list[nodes.Node]:
        config = load(self.arguments[0])
        comments, rows = comments_of(config), []
        for field in (field for field in fields(config) if not field.name.startswith("_")):
            default = default_of(field) if self.shows_defaults else ""
            head = f"`{field.name}`" + (f" = `{default}`" if default else "")
            rows.append(f"- {head}" + (f": {comments[field.name]}" if comments.get(field.name) else ""))
        return self.parse_text_to_nodes("\n".join(rows))


class Columns(Settings):
    """`{columns} module:Class`"""

    shows_defaults = False


class Commands(SphinxDirective):
    """`{commands} NAME`"""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        plain = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb", "PYTHONHASHSEED": "0"}
        asked = [sys.executable, "-m", "thalweg.scripts", self.arguments[0], "--help"]
        done = subprocess.run(asked, capture_output=True, text=True, env=plain, check=False)
        if done.returncode != 0:
            raise self.error(f"{' '.join(asked[1:])} failed: {done.stderr.strip()}")
        return [nodes.literal_block(done.stdout, done.stdout, language="text")]


class Surface(SphinxDirective):
    """`{surface}`: names of `thalweg.__all__` whose values are classes or functions."""

    def run(self) -> list[nodes.Node]:
        package = import_module("thalweg")
        parts: list[str] = []
        for name in sorted(getattr(package, "__all__", ()), key=str.lower):
            try:
                value = getattr(package, name)
            except (ImportError, AttributeError) as error:
                logger.warning("thalweg.%s is promised, but cannot be loaded: %s", name, error)
                continue
            parts += described(name, value)
        return self.parse_text_to_nodes("\n\n".join(parts))


def described(name: str, value: Any) -> list[str]:
    """Markdown of one public name: a signature and docstring, and of a dataclass its fields with their comments."""
    if isinstance(value, type) and name.endswith("Config"):
        about = (inspect.getdoc(value) or "").split("\n\n")[0]
        return [f"**`thalweg.{name}`**: {about}", f"```{{settings}} {value.__module__}:{value.__qualname__}\n```"]
    if isinstance(value, type):
        block = f".. autoclass:: thalweg.{name}\n   :members:\n   :no-inherited-members:"
    elif callable(value):
        block = f".. autofunction:: thalweg.{name}"
    else:
        return []  # a mapping of names, or a version
    parts = [f"```{{eval-rst}}\n{block}\n```"]
    if is_dataclass(value):
        parts.append(f"Fields:\n\n```{{columns}} {value.__module__}:{value.__qualname__}\n```")
    return parts


def translated(lines: list[str]) -> list[str]:
    """A Markdown docstring's lines -> reStructuredText's: code spans, tables, and no accidental markup."""
    out: list[str] = []
    for line in lines:
        if line.lstrip().startswith("|"):
            if not (out and out[-1].startswith("   |")):
                out += ["::", ""]  # a table stays as it was typed
            out.append(f"   {line.strip()}")
            continue
        if out and out[-1].startswith("   |"):
            out.append("")
        if re.match(r"\s+\S", line) and out and re.match(r"\s*- ", out[-1]) is None and not out[-1].strip():
            out.append(line)
            continue
        out.append(_plain(line))
    return out


def _plain(line: str) -> str:
    parts = re.split(r"(`+[^`]*`+)", line)
    for index, part in enumerate(parts):
        if part.startswith("`"):
            parts[index] = f"``{part.strip('`')}``"
        else:
            parts[index] = re.sub(r"([*|\\]|\w_(?=\W|$))", lambda found: found[0][:-1] + "\\" + found[0][-1], part)
    return "".join(parts)


def _translate(app: Any, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    lines[:] = translated(lines)


def _without_fields(app: Any, what: str, name: str, value: Any, options: Any, signature: Any, returned: Any) -> Any:
    """A public dataclass lists its fields below; its signature would say the same, at length."""
    return (
        ("", None) if what == "class" and name.startswith("thalweg.") and name.count(".") == 1 and is_dataclass(value) else None
    )


def _skip(app: Any, what: str, name: str, value: Any, skip: bool, options: Any) -> bool | None:
    """A field whose default is a function is no method."""
    return True if name == "progress" else None


def setup(app: Any) -> dict[str, Any]:
    directives = {"settings": Settings, "columns": Columns, "commands": Commands, "surface": Surface}
    for name, directive in directives.items():
        app.add_directive(name, directive)
    app.connect("autodoc-process-docstring", _translate)
    app.connect("autodoc-process-signature", _without_fields)
    app.connect("autodoc-skip-member", _skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
