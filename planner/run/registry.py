"""What exists: one row per sampler, distance and planner. Everything that lists or makes parts reads these.

A new part is one file with `fit` and what its protocol asks, and one row here; it then has a name on the command line, is checked
by the contract tests, and has a page in the docs. A class in a user's file needs no row: `path/to/file.py:Class`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Literal

from ..errors import UsageError, unknown_name

Kind = Literal["sampler", "distance", "planner"]


@dataclass(frozen=True, kw_only=True)
class Part:
    kind: Kind
    name: str
    where: str  # module:Class, below thalweg.planner
    in_maps: str | None = None  # likewise, where maps are many and another class serves them
    about: str  # one line, for help and docs
    maps: Literal["one", "many", "both"] = "both"  # of which kind of env: one map, many that are told by a picture, either
    stored: bool = False  # what it learns takes a while and is kept with the run
    needs_paths: bool = False  # (samplers) learns from `Experience.paths`, whose search takes a while of its own
    needs_distance: bool = False  # (distances) is itself fitted under the usual one
    joined: bool = True  # (distances) inf between parts of what was visited that nothing joins, see `JoinedDistance`

    def load(self, maps: Literal["one", "many"] = "one") -> Any:
        """The class for an env of one map, or of many."""
        where = self.in_maps if maps == "many" and self.in_maps is not None else self.where
        module, _, name = where.partition(":")
        return getattr(import_module(f"thalweg.planner.{module}"), name)

    @property
    def files(self) -> tuple[str, str]:
        """Names of weights and settings in a run folder."""
        if self.name == "energy":  # the name that it has had since there was nothing else to be learned
            return "energy/model.safetensors", "energy/config.json"
        return f"{self.kind}s/{self.name}.safetensors", f"{self.kind}s/{self.name}.json"

    def files_under(self, distance: str, usual: str) -> tuple[str, str]:
        """Likewise of what a sampler learned under a distance; under the usual one it has its plain name."""
        return (self if distance == usual else replace(self, name=f"{self.name}-{distance}")).files


def _rows(kind: Kind, *rows: dict[str, Any]) -> dict[str, Part]:
    return {row["name"]: Part(kind=kind, **row) for row in rows}


_SAMPLERS = _rows(
    "sampler",
    dict(name="box", where="samplers.box:BoxSampler", about="anywhere in the box of what was visited, walls and all"),
    dict(name="replay", where="samplers.replay:ReplaySampler", about="visited states, uniformly (SoRB)"),
    dict(name="spread", where="samplers.spread:SpreadSampler", about="visited states far from each other in steps", maps="one"),
    dict(name="ellipse", where="samplers.ellipse:EllipseSampler", about="visited states not far off the way", maps="one"),
    dict(
        name="cvae",
        where="samplers.cvae:CvaeSampler",
        in_maps="samplers.cvae_in_maps:LayoutCvaeSampler",
        about="imagined by a conditional VAE (HTM)",
        stored=True,
        needs_paths=True,
    ),
    dict(
        name="energy",
        where="samplers.energy:EnergySampler",
        in_maps="samplers.energy_in_maps:LayoutEnergySampler",
        about="imagined by the conditional energy model",
        stored=True,
        needs_paths=True,
    ),
)
_DISTANCES = _rows(
    "distance",
    dict(name="euclidean", where="distances.euclidean:EuclideanDistance", about="a straight line at full speed", joined=False),
    dict(name="q_value", where="distances.q_value:QValueDistance", about="what the agent's critics expect (SoRB)", stored=True),
    dict(
        name="distributional",
        where="distances.distributional:DistributionalDistance",
        about="a distribution over steps, learned from the replay (SoRB)",
        maps="one",
        stored=True,
    ),
    dict(
        name="quasimetric",
        where="distances.quasimetric:QuasimetricDistance",
        about="shortest paths over all that was visited, as a quasimetric",
        maps="one",
        stored=True,
    ),
    dict(
        name="connectivity",
        where="distances.connectivity:ConnectivityDistance",
        about="a score of being connected, by contrast (HTM)",
        maps="one",
        stored=True,
        needs_distance=True,
    ),
    dict(
        name="local",
        where="distances.local:LocalDistance",
        about="near states told apart by the picture of their surroundings",
        maps="many",
        stored=True,
    ),
    dict(name="ensemble", where="distances.ensemble:EnsembleDistance", about="the longer of quasimetric and q_value", maps="one"),
    dict(name="oracle", where="distances.oracle:OracleDistance", about="the env's own truth", maps="one", joined=False),
)
_PLANNERS = _rows(
    "planner",
    dict(name="roadmap", where="planners.roadmap:RoadmapPlanner", about="a graph over visited states, built once", maps="one"),
    dict(name="visited", where="planners.visited:VisitedPlanner", about="search over all that was visited", maps="one"),
    dict(
        name="trajectory",
        where="planners.trajectory:TrajectoryPlanner",
        about="a whole trajectory improved under transition energies (Du et al. 2019)",
        maps="one",
    ),
    dict(name="oracle", where="planners.oracle:OraclePlanner", about="waypoints along the env's own shortest path", maps="one"),
)


class Parts(Mapping[str, Any]):
    """name -> class, loaded when it is asked for."""

    def __init__(self, rows: Mapping[str, Part]) -> None:
        self.rows = rows

    def __getitem__(self, name: str) -> Any:
        return self.rows[name].load()

    def __iter__(self) -> Iterator[str]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return "{" + ", ".join(f"{row.name}: {row.about}" for row in self.rows.values()) + "}"


SAMPLERS, DISTANCES, PLANNERS = Parts(_SAMPLERS), Parts(_DISTANCES), Parts(_PLANNERS)
NO_PLANNER = "none"  # the bare agent
_OR_A_FILE = ", or write path/to/file.py:NAME_OF_THE_CLASS"
PLANNER_NAMES = (NO_PLANNER, *SAMPLERS, *PLANNERS)  # each sampler makes a planner: a graph over what it draws
USUAL_DISTANCE = {"one": "quasimetric", "many": "local"}  # what plans are made of, by the kind of env


def names_for(kind: Kind, maps: Literal["one", "many"]) -> list[str]:
    """What there is for envs of one map, or of many."""
    return [name for name, row in _rows_of(kind).items() if row.maps in ("both", maps)]


def _rows_of(kind: Kind) -> dict[str, Part]:
    return {"sampler": _SAMPLERS, "distance": _DISTANCES, "planner": {**_SAMPLERS, **_PLANNERS}}[kind]


def part_of(kind: Kind, name: str) -> Part | None:
    """The row; None for a class in a file. UsageError if it is neither; nothing is loaded yet."""
    rows = _rows_of(kind)
    if name in rows:
        return rows[name]
    if is_user_class(name):
        return None
    raise unknown_name(kind, name, rows, _OR_A_FILE)


def check_planner_names(names: list[str]) -> None:
    """UsageError at the first that is unknown, or named twice."""
    for name in names:
        if name not in PLANNER_NAMES and not is_user_class(name):
            raise unknown_name("planner", name, PLANNER_NAMES, _OR_A_FILE)
    if len(set(names)) < len(names):
        raise UsageError(f"--planners {','.join(names)} names one planner twice; name each once")


def is_user_class(name: str) -> bool:
    """`path/to/file.py:Class`"""
    return ".py:" in name or name.endswith(".py")
