"""An evaluation's figures as lines of text, and what has to be said beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .results import EpisodeRow

_NAME = 22  # characters of the first column


@dataclass(frozen=True, eq=False)
class Table(Mapping[str, dict[str, Any]]):
    """Planner -> figures (see `results.summarise`), with the rows that they are made of; printed, it is a table."""

    env: str
    summary: dict[str, dict[str, Any]]
    rows: list[EpisodeRow]
    remarks: Sequence[str] = ()

    def __getitem__(self, planner: str) -> dict[str, Any]:
        return self.summary[planner]

    def __iter__(self) -> Iterator[str]:
        return iter(self.summary)

    def __len__(self) -> int:
        return len(self.summary)

    def __str__(self) -> str:
        return "\n".join([table(self.env, self.summary), *self.remarks])

    __repr__ = __str__


def table(env: str, summary: Mapping[str, dict[str, Any]]) -> str:
    """The summary as lines of text; a name too long for its column has a line of its own."""
    lines = heading(env, _NAME)
    lines[-1] += f"{'n':>5}{'success':>9}{'95 % interval':>16}{'steps':>8}{'detour':>8}{'contacts':>10}"
    lines[-1] += f"{'replans':>9}{'failed':>8}{'plan ms':>9}"
    for name, figures in summary.items():
        low, high = figures["success_ci"]
        lines.append(
            f"  {name[-20:]:<20}{figures['episodes']:>5}{figures['success']:>9.2f}{f'{low:.2f} to {high:.2f}':>16}"
            f"{figures['steps_iqm']:>8.1f}{_number(figures['detour_mean'], 3):>8}{_number(figures['wall_contacts_mean'], 1):>10}"
            f"{figures['replans_mean']:>9.2f}{figures['failed_plans_mean']:>8.2f}{_number(figures['plan_ms_median'], 1):>9}"
        )
    return "\n".join(lines)


def heading(env: str, width: int) -> list[str]:
    """The first column's heading: the env's name, above it where it does not fit."""
    return [f"{env:<{width}}"] if len(env) < width else [env, " " * width]


def remarks_on_planning(rows: Sequence[EpisodeRow], near: float) -> list[str]:
    """One line for each planner of which no episode saw a plan; `near` is up to where goals need none [env steps].

    `none` is not one that plans.
    """
    lines = []
    for name in dict.fromkeys(row.planner for row in rows if row.planner != "none"):
        own = [row for row in rows if row.planner == name]
        failed = sum(row.failed_plans for row in own)
        if any(row.nodes for row in own) or (not failed and any(row.plan_ms is not None for row in own)):
            continue
        why = f"each of its {failed} searches failed" if failed else f"every goal counted as near (<= {near:g} env steps)"
        lines.append(f"{name} never planned: {why}; it is the bare agent, along routes where there are any")
    return lines


def remark_on_unreachable(count: int, goals: int) -> list[str]:
    """One line, if there are goals to which no way is known."""
    return [f"{count} of {goals} goals: nobody ever got from there to here, as far as was seen in training"] if count else []


def remark_on_defaults(episode_steps: int | None, difficulty: float | None, chosen: Sequence[str]) -> list[str]:
    """One line that says how long the episodes were and how far the goals, where that was not chosen by the user."""
    said = []
    if "episode_steps" in chosen:
        said.append((f"episodes of {episode_steps} steps", "--episode-steps"))
    if "difficulty" in chosen:
        said.append((f"difficulty {difficulty:g}", "--difficulty"))
    if not said:
        return []
    return [f"{', '.join(what for what, _ in said)} (defaults; set {', '.join(flag for _, flag in said)})"]


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
