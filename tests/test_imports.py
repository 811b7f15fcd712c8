"""The house's walls: which package may import which, and by which name."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OURS = ("planner", "envs", "agents", "scripts")
FORBIDDEN = {
    "planner": {"gymnasium", "stable_baselines3", "thalweg.envs", "thalweg.agents", "thalweg.scripts", "tyro", "tqdm"},
    "envs": {"torch", "stable_baselines3", "thalweg.planner", "thalweg.agents", "thalweg.scripts"},
    "agents": {"thalweg.envs", "thalweg.scripts"},
    "scripts": set(),
}


def imported(path):
    """The packages that a file imports by absolute names; ours by two words."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module] if node.module != "thalweg" else [f"thalweg.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (".".join(name.split(".")[: 2 if name.startswith("thalweg.") else 1]) for name in names)


def modules(package):
    files = list((ROOT / package).rglob("*.py"))
    assert len(files) > 2
    return files


@pytest.mark.parametrize("package", FORBIDDEN)
def test_imports_stay_within_the_house(package):
    for path in modules(package):
        assert not set(imported(path)) & FORBIDDEN[package], path


@pytest.mark.parametrize("package", OURS)
def test_ours_are_imported_by_the_one_name(package):
    """`envs` may be a folder of the user's."""
    for path in modules(package):
        assert not set(imported(path)) & set(OURS), path


def relative_to(path, node):
    """The module that a relative import names, as a path below the root."""
    folder = path.parent
    for _ in range(node.level - 1):
        folder = folder.parent
    return folder.joinpath(*(node.module or "").split("."))


def arrows():
    """file -> the files of ours that it needs in order to be imported: those named at its top, outside TYPE_CHECKING."""
    for package in OURS:
        for path in modules(package):
            found = set()
            for node in ast.parse(path.read_text()).body:
                if not isinstance(node, ast.ImportFrom):
                    continue
                if node.level:
                    place = relative_to(path, node)
                elif (node.module or "").startswith("thalweg."):
                    place = ROOT.joinpath(*node.module.split(".")[1:])
                else:
                    continue
                for alias in node.names:
                    options = (place / f"{alias.name}.py", place.with_suffix(".py"), place / "__init__.py")
                    found |= set([option for option in options if option.exists()][:1])
            yield path, found - {path}


def test_no_circles():
    left = dict(arrows())
    while True:
        free = [path for path, needs in left.items() if not needs & left.keys()]
        if not free:
            break
        for path in free:
            del left[path]
    assert not left, sorted(str(path.relative_to(ROOT)) for path in left)
