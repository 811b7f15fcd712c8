"""Run folders of strangers: whatever they hold, nothing outside is touched, nothing is executed, and the end is one line."""

import hashlib
import io
import json
import os
import shutil
import sys
import zipfile

import numpy as np
import pytest
import torch
from conftest import command
from safetensors.torch import save

from thalweg.agents.config import AgentConfig
from thalweg.envs.guard import EnvError
from thalweg.envs.trust import trusted_env
from thalweg.planner.storage import (
    DamagedError,
    NotWrittenError,
    append,
    arrays_to_bytes,
    check_in_place,
    json_to_bytes,
    read_arrays,
    read_json,
    read_tensors,
    replace_file,
    settings_from,
    stored_names,
    tensors_to_bytes,
    verify,
    write_files,
)

TRAP = "import pathlib; pathlib.Path(r'{outside}', 'executed').touch()\n"
CONFIG = {"env": "PointMass-v0", "seed": 0, "agent": {"hidden": [8, 8]}}


def valid(folder):
    write_files(
        folder,
        {
            "config.json": json_to_bytes(CONFIG),
            "checkpoint/policy.safetensors": tensors_to_bytes({"w": torch.ones(3)}),
            "trajectories.npz": arrays_to_bytes({"states": np.ones((4, 2), np.float32)}),
            "distances/q.json": b"{}\n",
        },
    )


def use(run):
    """What commands do with a run: read all, make its env, write what is derived anew, remove what is not true any more, log."""
    verify(run)
    config = read_json(run, "config.json")
    trusted_env(config.get("env"), run)
    settings_from(AgentConfig, config.get("agent"), f"{run / 'config.json'}: agent")
    read_tensors(run, "checkpoint/policy.safetensors")
    read_arrays(run, "trajectories.npz")
    check_in_place(run)
    derived = [name for name in stored_names(run) if name.startswith("distances/")]
    write_files(run, {"links.json": b"{}", "config.json": b"{}"}, remove=derived)
    replace_file(run / "plan.json", b"{}")
    append(run / "results.csv", b"a row\n")


def state_of(folder):
    return {
        str(path.relative_to(folder)): (path.lstat().st_mode, path.lstat().st_mtime_ns, path.is_file() and path.read_bytes())
        for path in sorted(folder.rglob("*"))
    }


def relist(run, change):
    """A manifest with honest sums, of other entries."""
    entries = json.loads((run / "manifest.json").read_text())["files"]
    entries = change(entries) or entries
    digest = hashlib.sha256(json.dumps(entries, sort_keys=True).encode()).hexdigest()
    (run / "manifest.json").write_bytes(json_to_bytes({"files": entries, "sha256": digest}))


def stored_at(place):
    """A derived file said to lie elsewhere: resuming a training removes it."""

    def mutate(run, outside):
        where = place.format(outside=outside)
        digest = hashlib.sha256((outside / "precious.txt").read_bytes()).hexdigest()
        relist(run, lambda entries: entries.update({"distances/x.json": {"file": where, "sha256": digest}}))

    return mutate


def listed_as(name):
    """A file said to have this name: writing it anew would write there."""

    def mutate(run, outside):
        where = name.format(outside=outside)
        digest = hashlib.sha256((outside / "precious.txt").read_bytes()).hexdigest()
        relist(run, lambda entries: entries.update({where: {"file": where, "sha256": digest}}))

    return mutate


def entry_is(value):
    return lambda run, outside: relist(run, lambda entries: entries.update({"distances/x.json": value}))


def manifest_is(content):
    return lambda run, outside: (run / "manifest.json").write_bytes(content)


def holds(name, content):
    """A listed file with other content, honestly listed."""
    return lambda run, outside: write_files(run, {name: content(outside) if callable(content) else content})


def config_with(**changes):
    return holds("config.json", lambda outside: json_to_bytes(CONFIG | {k: _filled(v, outside) for k, v in changes.items()}))


def _filled(value, outside):
    return value.format(outside=outside) if isinstance(value, str) else value


def link_at(name, target="precious.txt"):
    """A link in the place of a file or folder of the run."""

    def mutate(run, outside):
        path = run / name
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        path.parent.mkdir(exist_ok=True)
        path.symlink_to(outside / target)

    return mutate


def linked_folder(run, outside):
    """All files are there, honestly listed, but behind a link out of the run: removing one would remove it there."""
    shutil.rmtree(run / "distances")
    (outside / "q.json").write_text("{}\n")
    (run / "distances").symlink_to(outside)


def second_name(run, outside):
    os.link(outside / "precious.txt", run / "results.csv")


def pipe(run, outside):
    (run / "config.json").unlink()
    os.mkfifo(run / "config.json")


def endless(run, outside):
    """A file with a hole of a thousand terabytes, or as many as there can be."""
    with open(run / "manifest.json", "wb") as stream:
        stream.truncate(1 << 43)


def folder_in_place(run, outside):
    (run / "config.json").unlink()
    (run / "config.json").mkdir()


def doubled(run, outside):
    relist(run, lambda entries: entries.update({"config-x.json": entries["config.json"]}))


def archive(**members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in members.items():
            opened.writestr(f"{name}.npy", content)
    return stream.getvalue()


def array_of(header, content=b""):
    text = header.encode() + b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + content


class Trap:
    def __init__(self, outside):
        self.outside = outside

    def __reduce__(self):
        return os.mkdir, (str(self.outside / "executed"),)


def pickled(outside):
    stream = io.BytesIO()
    np.savez(stream, states=np.array([Trap(outside)], dtype=object))
    return stream.getvalue()


def doubled_member():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as opened:
        opened.writestr("a.npy", array_of("{'descr': '<f4', 'fortran_order': False, 'shape': (0,)}"))
        with pytest.warns(UserWarning, match="Duplicate"):
            opened.writestr("a.npy", b"")
    return stream.getvalue()


def safetensors_of(header, content=b""):
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + content


HUGE = "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000)}"
BYTE = "{'descr': '|u1', 'fortran_order': False, 'shape': (1,)}"
STRANGE = {
    # the list leads elsewhere
    "climbs": stored_at("../outside/precious.txt"),
    "climbs late": stored_at("distances/../../outside/precious.txt"),
    "absolute": stored_at("{outside}/precious.txt"),
    "backslash": stored_at("..\\outside\\precious.txt"),
    "drive": stored_at("C:/precious.txt"),
    "zero byte": stored_at("a\0b"),
    "empty component": stored_at("distances//x.json"),
    "own folder": stored_at("."),
    "the manifest itself": stored_at("manifest.json"),
    "the lock": stored_at(".lock"),
    "another's file": stored_at("results.csv"),
    "name climbs": listed_as("../outside/precious.txt"),
    "name is absolute": listed_as("{outside}/precious.txt"),
    "name breaks the line": listed_as("a\nb\x1b[2J"),
    "name is the manifest": listed_as("manifest.json"),
    "name is a temporary": listed_as("config.json.part"),
    "name is hidden": listed_as(".bashrc"),
    # it is no list
    "listed twice": doubled,
    "number": entry_is({"file": 3, "sha256": "0" * 64}),
    "sum is none": entry_is({"file": "distances/x.json", "sha256": "no"}),
    "sum is a list": entry_is({"file": "distances/x.json", "sha256": ["0" * 64]}),
    "more than an entry": entry_is({"file": "distances/x.json", "sha256": "0" * 64, "then": "x"}),
    "entry is a list": entry_is(["distances/x.json"]),
    "entry is nothing": entry_is(None),
    "list of files": lambda run, outside: relist(run, lambda entries: list(entries)),
    "nested": manifest_is(b'{"files": ' + b"[" * 200_000),
    "empty": manifest_is(b""),
    "no object": manifest_is(b"3"),
    "large": manifest_is(b'{"files": {' + b" " * (1 << 21) + b"}}"),
    "endless": endless,
    # links, and what is no file
    "manifest is a link": link_at("manifest.json"),
    "file is a link": link_at("config.json"),
    "folder is a link": linked_folder,
    "checkpoint is a link": link_at("checkpoint", "."),
    "lock is a link": link_at(".lock"),
    "lock is a link to nothing": link_at(".lock", "new.txt"),
    "log is a link": link_at("progress.csv"),
    "log is a link to nothing": link_at("progress.csv", "new.txt"),
    "temporary is a link": link_at(".config.json.part"),
    "result is a link": link_at("results.csv"),
    "result has a second name": second_name,
    "file is a pipe": pipe,
    "file is a folder": folder_in_place,
    # the env is code
    "env is a file": config_with(env="{outside}/trap.py:Env"),
    "env is a module here": config_with(env="trap:Env-v0"),
    "env is a module that acts": config_with(env="antigravity:Env-v0"),
    "env is a number": config_with(env=3),
    "env breaks the line": config_with(env="a\nb.py:c"),
    # settings
    "config is a list": holds("config.json", b"[]"),
    "config is nested": holds("config.json", b"[" * 200_000),
    "config is no text": holds("config.json", b"\xff\xfe"),
    "settings are missing": config_with(agent=None),
    "settings are unknown": config_with(agent={"hidden": [8], "evil": 1}),
    "settings are of another type": config_with(agent={"hidden": "8"}),
    "settings hold NaN": holds("config.json", b'{"env": "PointMass-v0", "agent": {"discount": NaN}}'),
    "settings are infinite": holds("config.json", b'{"env": "PointMass-v0", "agent": {"discount": 1e999}}'),
    "settings are out of range": config_with(agent={"discount": 2.0}),
    # numbers
    "pickle": holds("trajectories.npz", pickled),
    "bomb": holds("trajectories.npz", archive(a=array_of(BYTE, bytes(1 << 29)))),
    "promises too much": holds("trajectories.npz", archive(a=array_of(HUGE))),
    "text": holds("trajectories.npz", arrays_to_bytes({"a": np.array(["x"])})),
    "NaN in arrays": holds("trajectories.npz", arrays_to_bytes({"a": np.array([np.nan])})),
    "header is code": holds("trajectories.npz", archive(a=array_of("__import__('os').mkdir('executed')"))),
    "header is nested": holds("trajectories.npz", archive(a=array_of("(" * 5_000))),
    "no arrays": holds("trajectories.npz", archive(a=b"x")),
    "member twice": lambda run, outside: write_files(run, {"trajectories.npz": doubled_member()}),
    "no npz": holds("trajectories.npz", b"PK\x03\x04"),
    "NaN in weights": holds("checkpoint/policy.safetensors", save({"w": torch.tensor([torch.inf])})),
    "weights of another kind": holds("checkpoint/policy.safetensors", save({"w": torch.ones(2, dtype=torch.complex64)})),
    "weights promise too much": holds(
        "checkpoint/policy.safetensors", safetensors_of({"w": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}})
    ),
    "no weights": holds("checkpoint/policy.safetensors", b"\xff" * 16),
}  # fmt: skip


@pytest.fixture
def place(tmp_path, monkeypatch):
    run, outside = tmp_path / "run", tmp_path / "outside"
    valid(run)
    outside.mkdir()
    (outside / "precious.txt").write_text("precious")
    (tmp_path / "cwd").mkdir()
    for folder in (outside, tmp_path / "cwd"):
        (folder / "trap.py").write_text(TRAP.format(outside=outside))
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.syspath_prepend(str(tmp_path / "cwd"))
    return run, outside


def test_the_honest_run_is_used(place):
    run, outside = place
    before = state_of(outside)
    use(run)
    assert verify(run) == ["checkpoint/policy.safetensors", "config.json", "links.json", "trajectories.npz"]
    assert state_of(outside) == before and (run / "results.csv").read_text() == "a row\n"


@pytest.mark.parametrize("mutate", STRANGE.values(), ids=STRANGE)
def test_a_strange_run_ends_in_one_line_and_nothing_outside_is_touched(place, mutate):
    run, outside = place
    mutate(run, outside)
    before = state_of(outside)
    with pytest.raises((DamagedError, NotWrittenError, EnvError)) as refusal:
        use(run)
    assert str(refusal.value).isprintable() and len(str(refusal.value)) < 1_000 and str(run.parent) in str(refusal.value)
    assert state_of(outside) == before and "trap" not in sys.modules and "antigravity" not in sys.modules


def without_reading(run):
    """What a writer does that reads nothing first, as a training that begins in a folder of somebody else's."""
    files = ("config.json", "distances/new.json", "checkpoint/new.json")
    write_files(run, dict.fromkeys(files, b"new"), remove=["distances/q.json"])
    for name in ("plan.json", "results.csv", "summary.json"):
        replace_file(run / name, b"new")


@pytest.mark.parametrize("mutate", STRANGE.values(), ids=STRANGE)
def test_writing_follows_nothing_out_of_a_strange_run(place, mutate):
    run, outside = place
    mutate(run, outside)
    before = state_of(outside)
    try:
        without_reading(run)
    except (DamagedError, NotWrittenError) as refusal:
        assert str(refusal).isprintable()
    else:
        verify_new(run)
    assert state_of(outside) == before


def verify_new(run):
    assert not (run / "plan.json").is_symlink() and (run / "plan.json").read_bytes() == b"new"
    assert not (run / "config.json").is_symlink()


FIRST = (
    b'{\n  "files": {\n    "a.json": {\n      "file": "a-2d711642.json",\n'
    b'      "sha256": "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"\n    }\n  },\n'
    b'  "sha256": "%s"\n}\n'
)


def test_a_run_of_the_first_edition_is_read(tmp_path):
    """Byte for byte as it was written then: a file's second version."""
    entries = json.loads(FIRST % b"")["files"]
    digest = hashlib.sha256(json.dumps(entries, sort_keys=True).encode()).hexdigest()
    (tmp_path / "manifest.json").write_bytes(FIRST % digest.encode())
    (tmp_path / "a-2d711642.json").write_bytes(b"x")
    assert verify(tmp_path) == ["a.json"]
    write_files(tmp_path, {"a.json": b"y"})
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "a-a1fce436.json", "manifest.json"]


COMMANDS = {
    "climbs": ("scripts.train", "--resume"),
    "absolute": ("scripts.evaluate", "--seeds", "0:1", "--out", "out", "--run"),
    "checkpoint is a link": ("scripts.train", "--resume"),
    "lock is a link to nothing": ("scripts.train", "--steps", "6000", "--resume"),
    "log is a link": ("scripts.train", "--steps", "6000", "--resume"),
    "manifest is a link": ("scripts.audit", "--out", "out", "--run"),
    "pickle": ("scripts.plan", "--out", "out", "--run"),
    "NaN in weights": ("scripts.plan", "--out", "out", "--run"),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", COMMANDS)
def test_commands_end_in_one_line_and_touch_nothing_outside(trained, tmp_path, kind):
    run, outside = tmp_path / "run", tmp_path / "outside"
    shutil.copytree(trained, run)
    outside.mkdir()
    (outside / "precious.txt").write_text("precious")
    STRANGE[kind](run, outside)
    before = state_of(outside)
    name, *flags = COMMANDS[kind]
    flags = [str(tmp_path / flag) if flag == "out" else flag for flag in flags]
    done = command(name, *flags, run)
    assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1 and "Traceback" not in done.stderr, done.stderr
    assert state_of(outside) == before
