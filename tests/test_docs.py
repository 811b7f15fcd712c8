"""The documentation says what is there: readable pages, links that lead somewhere, commands that parse, no part left out."""

import re
import shlex
import subprocess
import sys
from dataclasses import fields
from importlib import import_module

import pytest
import tyro
from pages import DOCS, PAGES, ROOT, blocks_of, commands_of, named, prose_of

from thalweg.planner.energy.config import NEGATIVES_OF
from thalweg.planner.evaluation.results import EpisodeRow, summarise
from thalweg.planner.run.registry import DISTANCES, PLANNERS, SAMPLERS
from thalweg.scripts.__main__ import COMMANDS

REFERENCE = DOCS / "reference"
OURS = [page for page in PAGES if "measurements" not in page.parts]  # measurements are tables of figures, and rendered
# words that this project once had of its own, where the field has others
OWN_WORDS = re.compile(r"\b(squares|legs|looks|marks|told|tells|ways|sure edge|places)\b", re.IGNORECASE)
FIGURES = re.compile(r"\b[01]\.\d\d+\b|\b\d+(\.\d+)? (ms|MB|GB|GiB|steps/s|times as (fast|many))\b")


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_pages_are_short_and_their_lines_too(page):
    lines = page.read_text().splitlines()
    assert len(lines) <= (120 if page.name == "README.md" else 200)
    assert [number for number, line in enumerate(lines, 1) if len(line) > 120] == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page):
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)", page.read_text()):
        there = (page.parent / target) if target else page
        assert there.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", there.read_text(), re.MULTILINE)
            assert anchor in [re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-") for heading in headings], anchor


@pytest.mark.parametrize("page", OURS, ids=named)
def test_every_block_says_what_it_is(page):
    """`python` is run (see test_docs_examples.py), `sh` is parsed here and run in tutorials, `text` is neither."""
    for language, _ in blocks_of(page):
        assert language in ("python", "sh", "text") or re.match(r"\{[a-z-]+\}", language), language


@pytest.mark.parametrize("page", [page for page in OURS if commands_of(page)], ids=named)
def test_commands_parse(page):
    for line in commands_of(page):
        program, name, *arguments = shlex.split(line)
        assert program == "thalweg" and name in COMMANDS, line
        module = import_module(f"thalweg.scripts.{name}" + (".__main__" if name == "bench" else ""))
        try:
            tyro.cli(module.Options, args=arguments, console_outputs=False)
        except SystemExit:
            pytest.fail(f"does not parse: {line}")


@pytest.mark.parametrize("page", OURS, ids=named)
def test_figures_stand_with_the_measurements(page):
    if page.name != "README.md":  # whose one table is the demo's
        assert FIGURES.findall(prose_of(page)) == []


@pytest.mark.parametrize("page", OURS, ids=named)
def test_words_are_those_of_the_field(page):
    assert [found[0] for found in OWN_WORDS.finditer(prose_of(page))] == []


def pages_in(folder):
    return {page.stem for page in (REFERENCE / folder).glob("*.md")} - {"index"}


def test_every_part_has_its_page_and_every_page_its_part():
    assert pages_in("samplers") == set(SAMPLERS)
    assert pages_in("distances") == set(DISTANCES)
    assert pages_in("planners") == set(PLANNERS) | {"none", "sampled_graph"}
    assert pages_in("losses") == set(NEGATIVES_OF) | {"mixture"}


@pytest.mark.parametrize("folder", ["samplers", "distances", "planners", "losses"])
def test_pages_of_parts_have_the_same_sections(folder):
    for name in pages_in(folder):
        text = (REFERENCE / folder / f"{name}.md").read_text()
        for section in ("**Paper.**", "**When to use.**", "**Settings", "**Command.**"):
            assert section in text, (name, section)
        assert text.splitlines()[0] == f"# {name.replace('sampled_graph', 'sampled graph')}"


def test_every_command_has_its_section():
    text = (REFERENCE / "commands.md").read_text()
    assert re.findall(r"^```\{commands\} (\w+)$", text, re.MULTILINE) == re.findall(r"^## (\w+)$", text, re.MULTILINE)
    assert set(re.findall(r"^## (\w+)$", text, re.MULTILINE)) == set(COMMANDS)


def explained_in(page):
    """The names before each `: ` of a definition list."""
    heads = re.findall(r"^(`.+)\n: ", (REFERENCE / page).read_text(), re.MULTILINE)
    return {name for head in heads for name in re.findall(r"`([^`]+)`", head)}


def test_every_column_and_figure_of_results_is_explained():
    row = EpisodeRow(
        env="E", planner="p", seed=0, success=True, steps=3, path_length=1.0, oracle_length=1.0, detour=1.0,
        wall_contacts=0, replans=0, failed_plans=0, plan_ms=1.0, nodes=5,
    )  # fmt: skip
    assert {field.name for field in fields(EpisodeRow)} <= explained_in("results.md")
    assert set(summarise([row])["p"]) <= explained_in("results.md")


@pytest.mark.slow
def test_every_metric_and_file_of_a_run_is_explained(trained):
    metrics = (trained / "progress.csv").read_text().splitlines()[0].split(",")
    assert set(metrics) <= explained_in("metrics.md")
    known = [re.escape(name).replace("NAME", r"[\w-]+").replace(r"\*", ".*") for name in explained_in("run_folder.md")]
    for path in trained.rglob("*"):
        name = re.sub(r"-[0-9a-f]{8}(?=\.)", "", str(path.relative_to(trained)))  # a version of a file that was replaced
        assert path.is_dir() or name.endswith(".lock") or any(re.fullmatch(pattern, name) for pattern in known), name


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    asked = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", str(DOCS), str(tmp_path)]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "thalweg.train" in (tmp_path / "reference" / "api.html").read_text()
    assert "--episode-steps" in (tmp_path / "reference" / "commands.html").read_text()
