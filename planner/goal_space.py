"""What a space of goals allows. The one place that knows what only works where goals have few entries."""

from __future__ import annotations

from dataclasses import dataclass

_CELLED, _PICTURED = 3, 2  # entries: cells fill a space of so many at most; pictures of a map are of so many exactly


@dataclass(frozen=True)
class GoalSpace:
    """Goals of `size` entries."""

    size: int

    @property
    def has_cells(self) -> bool:
        """Can the visited range be cut into cells of about a move's size? In more entries they would be few and wide."""
        return self.size <= _CELLED

    @property
    def has_pictures(self) -> bool:
        """Can what lies about a goal, or a whole map, be looked at as a picture?"""
        return self.size == _PICTURED

    def limits(self) -> list[str]:
        """What is done without in this space, a line each, for the user to know before a training."""
        lines = []
        if not self.has_cells:
            lines.append(
                f"goals have {self.size} entries: cells are for {_CELLED} at most, so plans are driven waypoint by waypoint, and "
                f"distances and energies learn without grids"
            )
        if not self.has_pictures:
            lines.append(f"goals have {self.size} entries: the agent has no local view, which needs {_PICTURED}")
        return lines
