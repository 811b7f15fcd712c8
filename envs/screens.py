"""Simulators that find no screen say so in one error, not in warnings and tracebacks around it."""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_DRAWERS = ("mujoco", "glfw", "OpenGL")  # packages that draw, and complain
_HALF_MADE = ("Renderer.__del__", "Viewer.__del__", "GLContext.__del__")  # they stumble over what their constructor left out


@contextmanager
def without_screen_notices() -> Iterator[None]:
    """Inside, GLFW's warnings are left out; so is what renderers that were only half made say as they are taken down.

    The error itself goes through.
    """
    before = sys.unraisablehook
    sys.unraisablehook = _without_half_made
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="glfw")
            try:
                yield
            except Exception as error:
                if type(error).__module__.split(".")[0] in _DRAWERS:
                    traceback.clear_frames(error.__traceback__)  # else the half-made renderer lives on in them
                raise
    finally:
        sys.unraisablehook = before


def _without_half_made(unraisable: Any) -> None:
    if not str(getattr(unraisable.object, "__qualname__", "")).endswith(_HALF_MADE):
        sys.__unraisablehook__(unraisable)
