"""Every python block of the documentation is run, page by page, and every command of the tutorials; only budgets are smaller."""

import re
import shlex
import sys

import numpy as np
import pytest
from conftest import make_few
from pages import DOCS, PAGES, ROOT, blocks_of, named

from thalweg.scripts.__main__ import main

TUTORIALS = DOCS / "tutorials"
BUDGETS = {
    "PointMassU-v0 --steps 40000": "PointMassU-v0 --steps 5000 --energy.train-steps 40",  # with fewer there may be no path
    "--steps 40000": "--steps 2500 --energy.train-steps 40",
    "--episode-steps 300": "--episode-steps 60 --seeds 0:6",
    "--episode-steps 400": "--episode-steps 60 --seeds 0:4",
    "steps=40_000, seed=0": "steps=2_500, seed=0, energy=thalweg.EnergyConfig(train_steps=40)",
    "range(100), episode_steps=300": "range(3), episode_steps=60",
    "range(40), episode_steps=300": "range(3), episode_steps=60",
    "range(80)": "range(40)",
    "model.learn(12_000)": "model.learn(1_000)",
    "num_envs=1024": "num_envs=8",
}


def smaller(text):
    for ours, small in BUDGETS.items():
        text = text.replace(ours, small)
    return text


def run_page(page, folder, **names):
    """Run a page's blocks in order, in this folder: python in one namespace; `# FILE.py` blocks become files."""
    for language, text in blocks_of(page):
        saved = re.match(r"# (\w+\.py)\n", text)
        if language == "python" and saved:
            (folder / saved[1]).write_text(text)
        elif language == "python":
            exec(compile(smaller(text), named(page), "exec"), names)
        elif language == "sh" and page.parent == TUTORIALS:
            for line in smaller(text).replace("\\\n", " ").splitlines():
                run_command(line)
    return names


def run_command(line):
    """In this process, where paths are few."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", shlex.split(line))
        assert sys.argv[0] == "thalweg"
        main()  # a command that fails ends with SystemExit


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder to run in, from which files of pages can be imported; what they left is forgotten afterwards."""
    make_few(monkeypatch)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def harbour_in(folder):
    """The file of the tutorial on envs."""
    text = next(text for _, text in blocks_of(TUTORIALS / "own_env.md") if text.startswith("# harbour.py"))
    (folder / "harbour.py").write_text(text)


@pytest.mark.slow
def test_the_tutorial_of_the_first_plan(here):
    run_page(TUTORIALS / "first_plan.md", here)
    assert len((here / "runs/u/eval/results.csv").read_text().splitlines()) == 1 + 3 * 4
    assert (here / "runs/u/plan/plan.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_the_tutorial_of_the_own_env(here):
    run_page(TUTORIALS / "own_env.md", here)
    assert len((here / "runs/harbour/eval/results.csv").read_text().splitlines()) == 1 + 3 * 6
    assert (here / "runs/from_python/manifest.json").exists()


@pytest.mark.slow
def test_the_tutorial_of_the_own_agent(here):
    harbour_in(here)
    names = run_page(TUTORIALS / "own_agent.md", here)
    assert names["run"].sure_edge > 0


@pytest.mark.slow
def test_the_program_of_the_readme(here):
    harbour_in(here)
    from harbour import Harbour, afloat

    state, goal = np.array([1, 1, 0, 0], np.float32), np.array([2, 2], np.float32)
    names = run_page(
        ROOT / "README.md", here, Harbour=Harbour, afloat=afloat, state=state, goal=goal, rng=np.random.default_rng(0)
    )
    assert names["plan"].total_steps > 0
    assert (here / "runs/harbour/manifest.json").exists()


@pytest.mark.slow
def test_how_to_read_a_run(here, trained):
    (here / "runs").mkdir()
    (here / "runs/u").symlink_to(trained)
    run_page(DOCS / "how-to/read_a_run.md", here)


def test_how_to_bring_own_parts(here, experience):
    run_page(DOCS / "how-to/own_parts.md", here, experience=experience)


def test_batches_of_our_worlds(here):
    names = run_page(DOCS / "reference/envs.md", here)
    assert names["observations"]["desired_goal"].shape == (8, 2)


def test_no_page_with_python_is_left_out():
    with_python = {named(page) for page in PAGES if any(language == "python" for language, _ in blocks_of(page))}
    tutorials = {f"docs/tutorials/{name}.md" for name in ("first_plan", "own_env", "own_agent")}
    others = {"README.md", "docs/how-to/read_a_run.md", "docs/how-to/own_parts.md", "docs/reference/envs.md"}
    assert with_python == tutorials | others


def test_a_plain_env_becomes_a_goal_env_in_at_most_five_lines():
    text = next(text for _, text in blocks_of(TUTORIALS / "own_env.md") if text.startswith("# harbour.py"))
    own = ["import thalweg", *text.split("def harbour")[1].splitlines()]
    assert len([line for line in own if line.strip()]) <= 5
