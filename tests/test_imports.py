"""The house's walls: which package may import which."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FORBIDDEN = {
    "planner": {"gymnasium", "stable_baselines3", "envs", "agents", "scripts"},
    "envs": {"torch", "stable_baselines3", "planner", "agents", "scripts"},
    "agents": {"envs", "scripts"},
}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("package", FORBIDDEN)
def test_imports_stay_within_the_house(package):
    files = list((ROOT / package).rglob("*.py"))
    assert len(files) > 2
    for path in files:
        assert not set(imported(path)) & FORBIDDEN[package], path
