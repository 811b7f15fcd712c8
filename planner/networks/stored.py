"""What is stored of a model, read back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor

State = tuple[dict[str, Tensor], dict[str, Any]]  # weights, and the settings that say what network they are of; both for files


class OtherVersionError(ValueError):
    """What is stored is not of this version of the project, or was altered."""


@contextmanager
def reading(what: str) -> Iterator[None]:
    """OtherVersionError, in one line that names `what`, where settings and weights are not those that are read within."""
    try:
        yield
    except OtherVersionError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise OtherVersionError(f"its {what} is of another version of this project; train it again") from error


def with_sizes(settings: Mapping[str, Any], **sizes: int) -> tuple[dict[str, Any], dict[str, int]]:
    """Stored settings -> those of the config, and the sizes that were stored among them.

    The first edition did not store sizes: there they are those of the run's own data, which are given here.
    """
    known = {name: settings.get(name, size) for name, size in sizes.items()}
    return {name: value for name, value in settings.items() if name not in sizes}, known
