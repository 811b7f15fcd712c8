"""Whose code a run's env may be."""

import json
import os
import py_compile
import stat
import sys

import pytest

from thalweg.envs import trust
from thalweg.envs.guard import EnvError
from thalweg.envs.trust import check_trusted, remember, state_file, trusted_env
from thalweg.envs.user_files import load_from_file

CODE = "class Mine:\n    pass\n"


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.syspath_prepend(str(tmp_path / "work"))
    return tmp_path / "state"


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine" / "mine.py"
    path.parent.mkdir()
    path.write_text(CODE)
    return path


def test_a_file_is_trusted_once_it_was_trained_with(mine):
    name = f"{mine}:Mine"
    with pytest.raises(EnvError, match=r"RUN names .*mine\.py:Mine.*--env"):
        check_trusted(name, "RUN")
    assert remember(name)
    check_trusted(name, "RUN")
    mine.write_text(CODE + "\n")
    with pytest.raises(EnvError, match="--env"):
        check_trusted(name, "RUN")
    assert trusted_env(name, mine.parent, named=name) == name  # the user said so


def test_a_copy_is_trusted_where_it_can_import_nothing_from_beside_it(mine, tmp_path):
    remember(f"{mine}:Mine")
    copy = tmp_path / "copy" / "other.py"
    copy.parent.mkdir()
    copy.write_text(CODE)
    (copy.parent / "notes.txt").write_text("harmless")
    check_trusted(f"{copy}:Mine")
    for neighbour in ("numpy.py", "helpers.pyc", "pack/__init__.py"):
        (copy.parent / neighbour).parent.mkdir(exist_ok=True)
        (copy.parent / neighbour).write_text("raise SystemExit")
        with pytest.raises(EnvError, match="--env"):
            check_trusted(f"{copy}:Mine")
        (copy.parent / neighbour).unlink()
    (mine.parent / "helpers.py").write_text("")
    check_trusted(f"{mine}:Mine")  # the user's own neighbours


def test_bytecode_beside_a_file_is_not_executed(tmp_path):
    """Of another source, but of the same size and time, as Python asks of bytecode."""
    evil, path = tmp_path / "evil.py", tmp_path / "honest.py"
    evil.write_text("Name = 'evil'\n")
    path.write_text("Name = 'mine'\n")
    for file in (evil, path):
        os.utime(file, (1_000, 1_000))
    cache = path.parent / "__pycache__" / f"honest.{sys.implementation.cache_tag}.pyc"
    py_compile.compile(str(evil), str(cache), doraise=True)
    assert load_from_file(f"{path}:Name") == "mine"


def test_registered_ids_and_installed_modules_are_no_code_of_the_run():
    for name in ("PointMass-v0", "FetchReach-v3", "gymnasium:CartPole-v1", "thalweg.envs:PointMass-v0"):
        check_trusted(name)
        assert remember(name)
    assert not state_file().exists()


@pytest.mark.parametrize("name", ["evil:E", "evil.sub:E", "antigravity:E", "not_there:E", "../x:E", ":E", "a b:E"])
def test_a_module_of_the_working_directory_is_not_even_imported(tmp_path, name):
    (tmp_path / "work" / "evil").mkdir()
    (tmp_path / "work" / "evil" / "__init__.py").write_text("raise SystemExit")
    (tmp_path / "work" / "evil-1.0.dist-info").mkdir()  # says that it is installed
    (tmp_path / "work" / "evil-1.0.dist-info" / "METADATA").write_text("Name: evil\nVersion: 1.0\n")
    with pytest.raises(EnvError, match="--env"):
        check_trusted(name)
    assert "evil" not in sys.modules and "antigravity" not in sys.modules


def test_a_module_is_trusted_once_it_was_trained_with(tmp_path):
    (tmp_path / "work" / "lab.py").write_text(CODE)
    assert remember("lab:E-v0")
    check_trusted("lab:E-v0")
    (tmp_path / "work" / "lab.py").write_text("raise SystemExit")
    with pytest.raises(EnvError, match="--env"):
        check_trusted("lab:E-v0")


@pytest.mark.parametrize("name", [None, 3, ["a"], {"a": 1}, "a\nb", "\x1b[2J"])
def test_what_is_no_name_is_refused_in_one_line(tmp_path, name):
    with pytest.raises(EnvError) as refusal:
        trusted_env(name, tmp_path)
    assert str(refusal.value).isprintable()


def test_the_list_is_the_users_alone_and_grows(mine, state):
    assert remember(f"{mine}:Mine")
    other = mine.with_name("other.py")
    other.write_text("Other = 1\n")
    assert remember(f"{other}:Other") and len(json.loads(state_file().read_text())["files"]) == 2
    assert stat.S_IMODE(state_file().stat().st_mode) == 0o600
    assert sorted(path.name for path in state_file().parent.iterdir()) == ["trusted.json", "trusted.lock"]


@pytest.mark.parametrize("content", ["", "[]", "{", '{"files": [1]}', '{"files": {"a": 3}}', "[" * 100_000])
def test_a_list_that_is_none_trusts_nothing_and_is_begun_anew(mine, content):
    state_file().parent.mkdir(parents=True)
    state_file().write_text(content)
    with pytest.raises(EnvError, match="--env"):
        check_trusted(f"{mine}:Mine")
    assert remember(f"{mine}:Mine")
    check_trusted(f"{mine}:Mine")


def test_where_the_list_cannot_be_written_trust_is_asked_for(mine, state):
    state.write_text("a file, where the folder should be")
    assert not remember(f"{mine}:Mine")
    with pytest.raises(EnvError, match="--env"):
        check_trusted(f"{mine}:Mine")


def test_the_state_folder_is_the_users_home_where_nothing_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for said in ("", "relative"):
        monkeypatch.setenv("XDG_STATE_HOME", said)
        assert trust.state_file() == tmp_path / ".local" / "state" / "thalweg" / "trusted.json"
