"""Models that stable-baselines3 saved: its zip files are pickles, so only for those who trust where they come from."""

from __future__ import annotations

import importlib
import json
import zipfile
from pathlib import Path
from typing import Any

from stable_baselines3.common.buffers import DictReplayBuffer

from thalweg.planner.errors import UsageError

from ..model_file import is_model_file
from ..sac.sac import GoalSAC

_CLASSES = {  # the module of a model's policy -> where its algorithm is; TD3's policy is DDPG's, which does the same with it
    "stable_baselines3.sac.policies": ("stable_baselines3", "SAC"),
    "stable_baselines3.td3.policies": ("stable_baselines3", "TD3"),
    "stable_baselines3.ppo.policies": ("stable_baselines3", "PPO"),
    "stable_baselines3.common.policies": ("stable_baselines3", "PPO"),
    "sb3_contrib.tqc.policies": ("sb3_contrib", "TQC"),
    "sb3_contrib.crossq.policies": ("sb3_contrib", "CrossQ"),
}


def load_foreign(path: Path, trust_pickle: bool) -> Any:
    """The model in a zip that a `save` of stable-baselines3, sb3-contrib or GoalSAC wrote.

    The first two hold pickles, which can run code when they are read: only with `trust_pickle`. Which class wrote one is found
    without that. It comes without an env and without a replay, which its file does
    not hold, but for GoalSAC's.
    UsageError for all that cannot be read, and for a pickle without trust.
    """
    if not path.is_file():
        raise UsageError(f"{path} is no file; name the zip that the model's save wrote")
    if is_model_file(path):
        return GoalSAC.load(path, device="cpu")
    described = _description(path)
    if not trust_pickle:
        raise UsageError(
            f"{path} is a pickle and can run code; pass trust_pickle=True (--trust-pickle) if you trust where it comes from"
        )
    algorithm = _algorithm(path, described)
    # SB3 makes a replay anew, as large as it was, and HER's asks for an env; it would be empty in any case
    absent = {"replay_buffer_class": DictReplayBuffer, "replay_buffer_kwargs": {}, "buffer_size": 1, "lr_schedule": _constant}
    try:
        model = algorithm.load(path, device="cpu", custom_objects=absent)  # type: ignore[attr-defined]
    except Exception as error:  # what a pickle raises is anybody's guess
        told = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise UsageError(f"{path} cannot be loaded as a {algorithm.__name__} ({told}); hand in the model itself") from error
    if hasattr(model, "replay_buffer"):
        model.replay_buffer = None
    return model


def _constant(progress: float) -> float:
    """A learning rate, for a model that does not learn on."""
    return 0.0


def _description(path: Path) -> dict[str, Any]:
    """What stable-baselines3 says of a model in text; its values are pickles, and left alone."""
    try:
        with zipfile.ZipFile(path) as archive:
            data = json.loads(archive.read("data"))
    except (zipfile.BadZipFile, KeyError, ValueError, OSError):
        raise UsageError(f"{path} is no model that stable-baselines3 saved; name the zip that the model's save wrote") from None
    if not isinstance(data, dict):
        raise UsageError(f"{path} is no model that stable-baselines3 saved; name the zip that the model's save wrote")
    return data


def _algorithm(path: Path, described: dict[str, Any]) -> type:
    policy = described.get("policy_class")
    module = policy.get("__module__") if isinstance(policy, dict) else None
    package, name = _CLASSES.get(str(module), ("", ""))
    if not package:
        raise UsageError(
            f"{path}: which class wrote it is not known (its policy is of {module}); load it yourself and hand in the model"
        )
    try:
        return getattr(importlib.import_module(package), name)
    except ImportError:
        raise UsageError(f"{path} was written by {name} of {package}: pip install {package.replace('_', '-')}") from None
