"""Commands, run as `python -m scripts.NAME` at the project's root."""

from importlib.util import find_spec
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent


def _check_names() -> None:
    """`planner`, `envs` and `agents` are common names: say so at once when one of them is somebody else's."""
    for name in ("planner", "envs", "agents"):
        spec = find_spec(name)
        origin = spec.origin if spec is not None else None
        if origin is None or not Path(origin).resolve().is_relative_to(_ROOT):
            raise SystemExit(f"`{name}` resolves to {origin}, not to Thalweg's own; run from {_ROOT}, or rename the other")


_check_names()
