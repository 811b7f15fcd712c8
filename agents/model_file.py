"""One file that a model learns on from: a zip of safetensors, arrays and JSON. Nothing in it is code."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from stable_baselines3.common.vec_env import VecEnv

from thalweg.planner.storage import DamagedError, arrays_to_bytes, bytes_to_arrays, bytes_to_json, json_to_bytes, replace_file

from .agent import agent_from
from .checkpoint import REPLAY, learnt_files, restore_learnt
from .config import AgentConfig
from .goal_vec_env import NoVecEnv, goal_vec_env

if TYPE_CHECKING:
    from .sac.sac import GoalSAC

    Model = TypeVar("Model", bound=GoalSAC)

_SETTINGS, _FORMAT = "model.json", 1
Place = str | Path | io.BufferedIOBase
Read = Callable[[str], bytes]


def write_model(model: GoalSAC, path: Place, with_replay: bool) -> None:
    """As `GoalSAC.save` says. What is on disk is the whole file, or what was there before."""
    if callable(model.learning_rate):
        what = f"a schedule of learning rates is code and is not saved: load goes on at {model.learning_rate_now:g}"
        warnings.warn(f"{what}, or at learning_rate=..., given again", stacklevel=3)
    settings = {
        "format": _FORMAT,
        "config": asdict(model.config) | {"learning_rate": model.learning_rate_now},
        "num_envs": model.n_envs,
        "buffer_size": model.fixed_size,
        "ent_coef": model.ent_coef,
        "target_entropy": float(model.target_entropy),
        "seed": model.seed,
    }
    files = learnt_files(model) | {_SETTINGS: json_to_bytes(settings)}
    if with_replay:
        files[REPLAY] = arrays_to_bytes(model.replay_buffer.content(), compress=False)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    if isinstance(path, str | Path):
        replace_file(_with_suffix(Path(path)), stream.getvalue())
    else:
        path.write(stream.getvalue())


def is_model_file(path: Place) -> bool:
    """Was it written by `GoalSAC.save`?"""
    try:
        _reader(path)
    except DamagedError:
        return False
    return True


def read_model(cls: type[Model], path: Place, env: Any, device: Any, arguments: dict[str, Any]) -> Model:
    """As `GoalSAC.load` says."""
    read, where = _reader(path)
    settings = bytes_to_json(read(_SETTINGS), f"{_SETTINGS} of {where}")
    if env is None:
        agent = agent_from(read, where)
        policy = agent.policy
        venv: VecEnv = NoVecEnv(settings["num_envs"], policy.observation_space, policy.action_space, agent.layout)
    else:
        venv = goal_vec_env(env)
    config = AgentConfig(**{**settings["config"], "hidden": tuple(settings["config"]["hidden"])})
    same = {name: settings[name] for name in ("buffer_size", "ent_coef", "target_entropy", "seed")}
    model = cls(env=venv, device=device, **{"config": config, **same, **arguments})
    restore_learnt(model, read, where)
    _restore_replay(model, read, where, settings["num_envs"])
    if env is None:
        model.env = None
    return model


def read_learnt(model: GoalSAC, path: Place) -> None:
    """Networks, optimisers and counters of a file, and no more."""
    restore_learnt(model, *_reader(path))


def _restore_replay(model: GoalSAC, read: Read, where: str, num_envs: int) -> None:
    try:
        content = read(REPLAY)
    except DamagedError:  # it was left out
        return
    if num_envs != model.n_envs:
        what = f"the replay in {where} is of {num_envs} envs at once, and {model.n_envs} are given: it is left out"
        warnings.warn(f"{what}; hand in {num_envs} to learn on from it", stacklevel=4)
        return
    arrays = bytes_to_arrays(content, f"{REPLAY} of {where}")
    model.make_room(len(arrays["rewards"]))
    model.replay_buffer.restore(arrays)


def _reader(path: Place) -> tuple[Read, str]:
    """What reads the files of a model file by name, and what to call it. DamagedError for any other file."""
    named = isinstance(path, str | Path)
    where = str(path) if named else "this file"
    try:
        content = _found(Path(path)).read_bytes() if isinstance(path, str | Path) else path.read()
        archive = zipfile.ZipFile(io.BytesIO(content))
        settings = json.loads(archive.read(_SETTINGS))
    except OSError as error:
        raise DamagedError(f"{where} cannot be read ({error.strerror or error}); name a file that GoalSAC.save wrote") from None
    except (zipfile.BadZipFile, KeyError, ValueError):
        raise DamagedError(
            f"{where} was not written by GoalSAC.save; a run folder is read by thalweg.load, and a file of stable-baselines3 "
            "by the load of the class that wrote it"
        ) from None
    if not isinstance(settings, dict) or settings.get("format") != _FORMAT:
        raise DamagedError(f"{where} was written by another version of GoalSAC; train it again")

    def read(name: str) -> bytes:
        try:
            return archive.read(name)
        except KeyError:
            raise DamagedError(f"{where} holds no {name}; save the model again") from None
        except zipfile.BadZipFile:
            raise DamagedError(f"{where} is damaged: {name} is not what was written; restore it from a copy") from None

    return read, where


def _found(path: Path) -> Path:
    return path if path.exists() else _with_suffix(path)


def _with_suffix(path: Path) -> Path:
    """As stable-baselines3 names its files."""
    return path if path.suffix else path.with_suffix(".zip")
