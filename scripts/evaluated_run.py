"""A run folder as `planner.evaluation` asks for it: a plain value, so that worker processes can be handed it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg.scripts.cli import PLANNERS, UsageError
from thalweg.scripts.runs import Run, check_env_fits, load_run

if TYPE_CHECKING:
    from thalweg.planner.evaluation.setting import Setting
    from thalweg.planner.protocols import DistanceModel, GoalPolicy

_LEARNED_SAMPLERS = {"energy": "energy/model.safetensors", "cvae": "samplers/cvae.safetensors"}
_WITHOUT_SAMPLER = ("roadmap", "visited", "trajectory", "oracle")
_OF_DISTANCES = ("safetensors", "json")


@dataclass(frozen=True)
class RunFolder:
    """An `EvaluatedRun`. Everything is loaded, fitted and made once in a process."""

    folder: str
    progress: bool = field(default=False, compare=False)  # show bars while something is fitted

    @property
    def trained(self) -> Run:
        return _trained(self)

    @property
    def env(self) -> str:
        return self.trained.env

    @property
    def usual_distance(self) -> str:
        return self.trained.usual_distance

    @property
    def sure_edge(self) -> float:
        return self.trained.sure_edge

    def policy(self, name: str, setting: Setting) -> GoalPolicy:
        return _policy(self, name, setting)

    def distance(self, setting: Setting) -> DistanceModel:
        return _distance(self, setting)

    def env_options(self, setting: Setting) -> dict[str, Any]:
        return self.trained.env_kwargs | setting.env_options()

    def maker(self, setting: Setting) -> Callable[[int], Any]:
        """UsageError if the agent cannot be in such an env."""
        return _maker(self, setting)

    def parts(self, name: str, setting: Setting) -> dict[str, Any]:
        files = ["checkpoint/policy.safetensors"]
        own = [self.env]
        parts: dict[str, Any] = {}
        if name != "none":
            distance = setting.distance or self.usual_distance
            routed = setting.follow == "route" and self.trained.routes is not None
            parts = {
                "sampler": None if name in _WITHOUT_SAMPLER else name,
                "sampler_distance": self.usual_distance,  # what its paths were found by
                "distance": distance,
                "follow": "route" if routed else "waypoints",
                "sure_edge": self.sure_edge,
            }
            used = {distance, self.usual_distance}
            used |= {"quasimetric", "q_value"} if "ensemble" in used else set()
            files += ["links.json", *(f"distances/{part}.{ending}" for part in sorted(used) for ending in _OF_DISTANCES)]
            files += [_LEARNED_SAMPLERS[name]] if name in _LEARNED_SAMPLERS else []
            own += [distance, *([name] if name not in PLANNERS else [])]
        return {**parts, "files": self._digests(files, own)}

    def _digests(self, files: list[str], own: list[str]) -> dict[str, str]:
        """The SHA-256 of files of the run that there are, and of the user's own."""
        import hashlib

        from thalweg.envs.user_files import is_file, split
        from thalweg.planner.storage import stored_digests

        stored = stored_digests(self.trained.folder)
        digests = {name: stored[name] for name in files if name in stored}
        return digests | {name: hashlib.sha256(split(name)[0].read_bytes()).hexdigest() for name in own if is_file(name)}


@lru_cache(maxsize=4)
def _trained(run: RunFolder) -> Run:
    import torch

    import thalweg.envs  # noqa: F401 (registers ours)

    torch.set_num_threads(1)
    return load_run(Path(run.folder), run.progress)


@lru_cache(maxsize=64)
def _policy(run: RunFolder, name: str, setting: Setting) -> GoalPolicy:
    from thalweg.scripts.parts import make_policy

    if name == "none":  # runs without all that is fitted after the training, too
        return run.trained.agent
    options = run.env_options(setting)
    return make_policy(run.trained, name, setting.nodes, _distance(run, setting), options, setting.follow)


def _distance(run: RunFolder, setting: Setting) -> DistanceModel:
    return _distance_in(run, setting.distance or run.usual_distance, replace(setting, nodes=1, follow="route"))


@lru_cache(maxsize=4)
def _distance_in(run: RunFolder, name: str, setting: Setting) -> DistanceModel:
    from thalweg.scripts.parts import make_distance

    return make_distance(run.trained, name, run.env_options(setting))


@lru_cache(maxsize=4)
def _maker(run: RunFolder, setting: Setting) -> Callable[[int], Any]:
    from thalweg.envs.guard import EnvError
    from thalweg.envs.loading import env_maker

    options = run.env_options(setting)
    try:
        check_env_fits(run.trained, options)
        return env_maker(run.env, **options)
    except EnvError as error:
        if setting.difficulty is None or "difficulty" not in str(error) or "unexpected" not in str(error):
            raise
        raise UsageError(f"{run.env} knows no difficulty; leave --difficulty out") from None
