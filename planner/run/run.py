"""A run: an agent, what it has seen, and the planners that are made of both. The agent and the envs are handed in."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks import CheckError, check_distance, check_planner, check_sampler
from ..data.dataset import Dataset
from ..distances.joined import JoinedDistance
from ..errors import UsageError
from ..evaluation.audit import sure_edge
from ..evaluation.setting import Follow
from ..experience import Experience
from ..following.routes import Routes
from ..following.subgoal_policy import SubgoalPolicy, SubgoalPolicyConfig
from ..graph.stitched_paths import NUM_STEPS
from ..many_maps.maps import ONE_MAP, Maps
from ..planners.sampled_graph import GraphPlanner
from ..progress import Progress, say, silent
from ..protocols import DistanceModel, EnvMaker, GoalPolicy, Planner, StateSampler
from ..storage import DamagedError, as_damage, bytes_to_json, fit_once, json_to_bytes, named_folder
from .own_parts import OwnPlanner
from .registry import NO_PLANNER, SAMPLERS, USUAL_DISTANCE, Kind, Part, is_user_class, names_for, part_of
from .stored_parts import fit_stored
from .world import NUM_DRIVES, Replay, RunWorld

Array = NDArray[np.floating]

_CHECKS: dict[Kind, Callable[[Any, Experience], None]] = {
    "sampler": check_sampler,
    "distance": check_distance,
    "planner": check_planner,
}
_NEEDS: dict[Kind, str] = {
    "sampler": "fit(experience) and sample(state, goal, num_samples, rng)",
    "distance": "fit(experience), pairwise and paired",
    "planner": "fit(experience) and plan(state, goal, rng)",
}


@dataclass(frozen=True, eq=False)
class Run:
    """An agent with what it has seen. Parts are made when they are first asked for; what takes long is kept in `folder`."""

    folder: Path
    config: dict[str, Any]  # what it was made with, as config.json has it
    agent: GoalPolicy
    envs: EnvMaker  # of the training
    data: Dataset
    maps: Maps = ONE_MAP  # one, or many that states end in a picture of
    open_replay: Replay | None = None
    load_class: Callable[[str], Any] | None = None  # a class of a user's file, by `path/to/file.py:Class`
    progress: Progress = silent
    settings: dict[str, Any] = field(default_factory=dict)  # of the env that is planned in, over those of the training
    part_configs: dict[str, Any] = field(default_factory=dict)  # by the name of what is fitted; others have their usual ones
    reload: tuple[Callable[..., Run], tuple[Any, ...]] | None = None  # what reads it in another process
    made_of: dict[str, str] = field(default_factory=dict)  # SHA-256 of the folder's files that parts are fitted from, as read
    agent_mark: str = ""  # of an agent that is in no file of the run: tells it from others
    _temporary: Any = field(default=None, repr=False)  # keeps a folder alive that nobody gave a name
    _made: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    def __repr__(self) -> str:
        return f"Run({self.env}, seed {self.seed}, {self.data!r}, in {self.folder})"

    def __reduce__(self) -> Any:
        """For another process, which reads the folder. UsageError for what is in no file."""
        if self.reload is None:
            raise UsageError(f"{self.env}: other processes cannot make this env or agent, which are in no file; take one worker")
        read, arguments = self.reload
        return _read_at, (read, arguments, self.settings)

    @property
    def env(self) -> str:
        """The env's name."""
        return self.envs.name

    @property
    def seed(self) -> int:
        return int(self.config["seed"])

    @property
    def usual_distance(self) -> str:
        """The name of the distance that plans are made of."""
        return USUAL_DISTANCE[self.maps.kind]

    def at(self, **settings: Any) -> Run:
        """The same run, planning in an env with other settings, such as `difficulty`."""
        if not settings:
            return self
        merged = {**self.settings, **settings}
        return self.once(("at", repr(sorted(merged.items()))), lambda: replace(self, settings=merged))

    def make_env(self, index: int = 0, **options: Any) -> Any:
        """The env that is planned in."""
        return self.envs.make(index, **{**self.settings, **options})

    # what parts are fitted from

    def experience(self, distance: str | None = None) -> Experience:
        """What samplers are fitted from, under a distance by name, or the usual one, as it was learned."""
        name = distance or self.usual_distance
        known = self.distance(name) if self._checked("distance", name) is None else self.plain_distance(name)
        return self.once(("experience", name), lambda: replace(self._bare, distance=known, sure_edge=self.sure_edge))

    def _planned_in(self, distance: str) -> Experience:
        """What planners are fitted from: as `experience`, but what nothing joins is inf away."""
        return replace(self.experience(distance), distance=self.distance(distance))

    @cached_property
    def _bare(self) -> Experience:
        """What distances are fitted from."""
        world = RunWorld(self.envs, self.settings, self.agent, self.open_replay, self.progress)
        return Experience(self.data, self.seed, maps=self.maps, agent=self.agent, world=world)

    @cached_property
    def sure_edge(self) -> float:
        """How long the links of this agent's plans should be [env steps]; measured on first use, by drives to goals nearby.

        UsageError if there are none to drive to.
        """
        try:
            stored = fit_once(self.folder, ["links.json"], self._measured_links, say, self.made_of)
        except ValueError as error:
            raise UsageError(f"{self.folder}: {error}") from None
        what = str(self.folder / "links.json")
        with as_damage(what):
            sure = bytes_to_json(stored["links.json"], what)["sure_edge"]
            if not 0 < sure < np.inf:
                raise DamagedError(f"{what} holds links of {sure!r} steps; train the run again")
        return float(sure)

    def _measured_links(self) -> dict[str, bytes]:
        distance = self.plain_distance(self.usual_distance)
        experience = replace(self._bare, distance=distance)
        assert experience.world is not None  # `_bare` has one
        drives = experience.world.drives_nearby(experience)
        predicted = distance.paired(drives.pairs.states, drives.pairs.goals)
        sure = self.maps.link_share * float(sure_edge(predicted, np.isfinite(drives.taken)))
        return {"links.json": json_to_bytes({"sure_edge": sure, "drives": NUM_DRIVES})}

    # parts by name

    def distance(self, name: str | None = None) -> DistanceModel:
        """As planners use it: inf between parts of what was visited that nothing joins. UsageError for one not of this env."""
        name = name or self.usual_distance
        part = self._checked("distance", name)
        if part is None:
            return self.once(("distance", name), lambda: self._own("distance", name, self._bare))
        plain = self.plain_distance(name)
        if not part.joined or self.maps.kind == "many":
            return plain
        return self.once(("distance", name), lambda: JoinedDistance.fit(replace(self._bare, distance=plain)))

    def plain_distance(self, name: str) -> DistanceModel:
        """As it was learned, whatever is joined."""
        part = self._checked("distance", name)
        assert part is not None  # a class of a user's is asked as it is
        return self.once(("plain distance", name), lambda: self._make_distance(part))

    def _make_distance(self, part: Part) -> DistanceModel:
        names = getattr(part.load(self.maps.kind), "parts", ())  # of others, which are kept by their own names
        if names:
            return part.load(self.maps.kind).of([self.plain_distance(name) for name in names])
        experience = self._bare
        if part.needs_distance:
            usual = self.plain_distance(self.usual_distance)
            experience = replace(experience, distance=usual, sure_edge=self.sure_edge)
        return self._fitted(part, experience, self.usual_distance)

    def sampler(self, name: str, distance: str | None = None) -> StateSampler:
        """With what it has learned, under a distance by name or the usual one. UsageError where there is too little to learn."""
        part, of = self._checked("sampler", name), distance or self.usual_distance
        experience = self.experience(of)
        if part is None:
            return self.once(("sampler", name, of), lambda: self._own("sampler", name, experience))
        return self.once(("sampler", name, of), lambda: self._fitted(part, experience, of))

    def planner(self, name: str, nodes: int = 100, distance: str | None = None) -> Planner:
        """A planner by name; a sampler's name gives a graph over so many nodes that it draws."""
        of = distance or self.usual_distance
        return self.once(("planner", name, nodes, of), lambda: self._planner(name, nodes, of))

    def _planner(self, name: str, nodes: int, distance: str) -> Planner:
        if name == NO_PLANNER:
            raise UsageError("the bare agent plans nothing; name a planner")
        part = self._checked("planner", name)
        experience = self._planned_in(distance)
        if part is None:
            return self._own_planner(name, nodes, experience)
        if name in SAMPLERS:
            return self._graph(self.sampler(name, distance), experience, nodes)
        return self._fitted(part, experience, distance, part.load(self.maps.kind).usual_config(experience, nodes))

    def _graph(self, sampler: StateSampler, experience: Experience, nodes: int) -> Planner:
        return GraphPlanner.fit(experience, GraphPlanner.usual_config(experience, nodes), sampler=sampler)

    def policy(self, name: str = "energy", nodes: int = 100, follow: Follow = "route", distance: str | None = None) -> GoalPolicy:
        """The agent alone (`none`), or led by a planner; has stable-baselines3's `predict`."""
        if name == NO_PLANNER:
            return self.agent
        planner, by = self.planner(name, nodes, distance), self.distance(distance)
        sure = self.sure_edge
        config = SubgoalPolicyConfig(reach=sure, direct=sure, arrival=min(SubgoalPolicyConfig.arrival, sure))
        routes = self.routes if follow == "route" else None
        return SubgoalPolicy(self.agent, planner, by, self.data.goal_of, config, routes, space=self.data.space)

    @cached_property
    def routes(self) -> Routes | None:
        """Paths that keep clear of walls. None in many maps, of which visits do not tell; and, with a line that says so, where
        goals have too many entries, or one that wraps, or the world is too wide."""
        if self.maps.kind == "many":
            return None
        routes = Routes.fit(self.experience())
        if routes is None:
            say(f"{self.env}: no routes over what was visited; plans are driven waypoint by waypoint")
        return routes

    # how they are made

    def _checked(self, kind: Kind, name: str) -> Part | None:
        """UsageError for a name that is unknown, or of one map where there are many, or the other way round."""
        part = part_of(kind, name)
        if part is not None and part.maps not in ("both", self.maps.kind):
            others = ", ".join(names_for(kind, self.maps.kind))
            if self.maps.kind == "many":
                raise UsageError(f"{self.env} has many maps, and the {name} {kind} knows one; take {others}")
            raise UsageError(f"{self.env} shows no picture of its map, which the {name} {kind} needs; take {others}")
        return part

    def _fitted(self, part: Part, experience: Experience, distance: str, config: Any = None) -> Any:
        """A part of ours with what it has learned: from the folder, or now."""
        part_class, what = part.load(self.maps.kind), f"{part.name} {part.kind}"
        config = config if config is not None else self.part_configs.get(part.name)

        def fit() -> Any:
            if part.needs_paths and self.maps.kind == "one":
                with self.progress("paths between visited goals", NUM_STEPS) as on_step:
                    experience.paths(on_step)
            if not hasattr(part_class, "steps_to_fit"):  # it learns nothing
                return part_class.fit(experience, config)
            with self.progress(what, part_class.steps_to_fit(experience, config)) as on_step:
                return part_class.fit(experience, config, on_step)

        try:
            if not part.stored:
                return fit()
            if part.kind != "distance" and is_user_class(distance):
                say(f"{what} under {distance} is fitted for this command alone: that file may be another one the next time")
                return fit()
            files = part.files if part.kind == "distance" else part.files_under(distance, self.usual_distance)
            return fit_stored(self.folder, files, part_class, experience, fit, self.made_of)
        except ValueError as error:
            raise UsageError(f"{self.folder}: no {what}: {error}") from None

    def _own(self, kind: Kind, name: str, experience: Experience) -> Any:
        """A part of a user's file, fitted and checked."""
        try:
            part = self._class(name).fit(experience)
            _CHECKS[kind](part, experience)
        except Exception as error:
            if hasattr(error, "exit_code") and not isinstance(error, CheckError):
                raise
            reason = str(error) if isinstance(error, CheckError) else f"{type(error).__name__}: {error}"
            raise UsageError(f"{name} is no {kind}: {reason}; a {kind} has {_NEEDS[kind]} (docs/how-to/own_parts.md)") from error
        return part

    def _own_planner(self, name: str, nodes: int, experience: Experience) -> Planner:
        """A class of a user's file is a planner if it has `plan`, a sampler if it has `sample`."""
        own = self._class(name)
        if hasattr(own, "plan"):
            return OwnPlanner(self._own("planner", name, experience), name)
        if hasattr(own, "sample"):
            return self._graph(self._own("sampler", name, experience), experience, nodes)
        raise UsageError(f"{name} has neither plan nor sample; a planner has {_NEEDS['planner']}, a sampler {_NEEDS['sampler']}")

    def _class(self, name: str) -> Any:
        if self.load_class is None:
            raise UsageError(f"{name}: this run was made without a way to read classes from files; use thalweg.load")
        try:
            return self.load_class(name)
        except Exception as error:
            if hasattr(error, "exit_code"):
                raise
            raise UsageError(f"{name} cannot be read: {type(error).__name__}: {error}") from error

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """What is made of this run but once, whoever asks for it."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    # keeping it

    def save(self, folder: str | Path) -> Path:
        """Copy the run into a folder that is not there yet, or empty; `thalweg.load` reads it. UsageError for one that is not."""
        target = named_folder(folder)
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise UsageError(f"{target} is not an empty folder; name another")
        shutil.copytree(self.folder, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.part", "*.lock", ".lock*"))
        target.chmod(stat.S_IMODE(target.parent.stat().st_mode))  # a temporary folder is its user's alone
        return target


def _read_at(read: Callable[..., Run], arguments: tuple[Any, ...], settings: dict[str, Any]) -> Run:
    """In another process: the same run, planning in the same env."""
    return read(*arguments).at(**settings)
