"""The one name that is imported: what it offers, what it says of itself, and how little it loads."""

import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

import thalweg

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", thalweg.__all__)
def test_every_name_is_there(name):
    assert getattr(thalweg, name) is not None and name in dir(thalweg)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        thalweg.trian  # noqa: B018


def test_the_type_checker_sees_the_same_names():
    source = (ROOT / "thalweg" / "__init__.py").read_text()
    typed = source.split("if TYPE_CHECKING:")[1].split("_WHERE")[0]
    assert all(f" as {name}\n" in typed for name in thalweg.__all__ if name != "__version__")


def test_the_version_is_that_of_the_package():
    settings = ConfigParser()
    settings.read(ROOT / "setup.cfg")
    assert settings["metadata"]["version"] == thalweg.__version__


def test_importing_it_loads_nothing_heavy():
    code = "import sys, thalweg; print(sorted({'torch', 'numpy', 'gymnasium', 'stable_baselines3'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "[]\n", done.stderr
