"""What a demo may replace: only what a demo wrote."""

import json

import pytest

from thalweg.planner.storage import write_files
from thalweg.scripts import demo
from thalweg.scripts.cli import UsageError
from thalweg.scripts.demo_folder import MARKER, renew

WORLDS = ["flat", "u"]


def content(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write_a_demo(folder):
    for world in WORLDS:
        write_files(folder / world, {"config.json": b"{}", "energy/model.safetensors": b"1", "links.json": b"{}"})
        write_files(folder / world, {"links.json": b"[]"})  # its second version has another name
        for name in ("progress.csv", "results.csv", "evaluation.json", "plan.png", "events.out.tfevents.1.host.2.0", ".part"):
            (folder / world / name).write_bytes(b"1")
        (folder / f"train-{world}.log").write_bytes(b"1")
    for name in ("report.html", "summary.json"):
        (folder / name).write_bytes(b"1")


@pytest.mark.parametrize("marked", [True, False])
def test_an_earlier_demo_is_replaced(tmp_path, marked):
    """With its marker, or, of the first edition, by being whole."""
    if marked:
        renew(tmp_path, WORLDS)
    write_a_demo(tmp_path)
    if marked:
        (tmp_path / "report.html").unlink()  # it was interrupted
    renew(tmp_path, WORLDS)
    assert [path.name for path in tmp_path.iterdir()] == [MARKER]
    assert {"flat", "u", "report.html"} <= set(json.loads((tmp_path / MARKER).read_text())["wrote"])


def test_a_folder_that_is_empty_or_not_there_is_taken(tmp_path):
    for name in ("new", "new"):
        renew(tmp_path / name, WORLDS)
    assert (tmp_path / "new" / MARKER).exists()


@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize("mine", ["notes.txt", "maze/manifest.json", "u/notes.txt", "u/mine/results.csv", "report.pdf"])
def test_a_demo_with_something_of_the_users_in_it_is_left_alone(tmp_path, marked, mine):
    if marked:
        renew(tmp_path, WORLDS)
    write_a_demo(tmp_path)
    (tmp_path / mine).parent.mkdir(exist_ok=True)
    (tmp_path / mine).write_text("mine")
    before = content(tmp_path)
    with pytest.raises(UsageError, match="no demo wrote"):
        renew(tmp_path, WORLDS)
    assert content(tmp_path) == before


def test_the_folder_of_the_readmes_run_is_left_alone(tmp_path):
    """`--out runs`, where `runs/u` is a run."""
    write_files(tmp_path / "u", {"config.json": b"{}"})
    before = content(tmp_path)
    for marker in (None, "[]", '{"wrote": "u"}', '{"wrote": ["../u"]}', "{"):
        if marker is not None:
            (tmp_path / MARKER).write_text(marker)
            before = content(tmp_path)
        with pytest.raises(UsageError, match="other than a demo"):
            renew(tmp_path, WORLDS)
        assert content(tmp_path) == before


def test_what_a_demo_links_to_is_left_alone(tmp_path):
    demo, outside = tmp_path / "demo", tmp_path / "outside"
    outside.mkdir()
    (outside / "mine.txt").write_text("mine")
    for link in ("u", "u/energy"):
        renew(demo, WORLDS)
        (demo / link).parent.mkdir(exist_ok=True)
        (demo / link).symlink_to(outside)
        with pytest.raises(UsageError, match="no demo wrote"):
            renew(demo, WORLDS)
        (demo / link).unlink()
    assert (outside / "mine.txt").read_text() == "mine"


def test_bad_options_are_told_before_the_earlier_demo_goes(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "renew", lambda *arguments: pytest.fail("the earlier demo is gone"))
    for options, word in (({"seeds": "foo"}, "--seeds"), ({"seed": -1}, "--seed must be at least 0")):
        with pytest.raises(UsageError, match=word):
            demo.main(demo.Options(out=tmp_path, **options))
