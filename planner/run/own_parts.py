"""Parts of a user's file in use: what goes wrong in one of their calls is told in one line, with the part's name."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks import check_plan
from ..errors import UsageError
from ..plan import Plan
from ..protocols import Planner

Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class OwnPlanner:
    """A user's planner. Its plans are checked one by one: what it was tried on before is not all that it will meet."""

    planner: Planner
    name: str  # path/to/file.py:Class

    def plan(self, state: Array, goal: Array, rng: np.random.Generator) -> Plan:
        """UsageError for whatever it raises but errors of ours, such as NoPathError; CheckError for what is no plan."""
        try:
            found = self.planner.plan(state, goal, rng)
        except Exception as error:
            if hasattr(error, "exit_code"):
                raise
            raise _failed(self.name, "plan", error) from error
        check_plan(found, len(state), self.name)
        return found


def _failed(name: str, method: str, error: Exception) -> UsageError:
    where: Any = traceback.extract_tb(error.__traceback__)[-1]
    return UsageError(f"{name} failed in {method}: {type(error).__name__}: {error} ({where.filename}, line {where.lineno})")
