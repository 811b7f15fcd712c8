"""What a demo's report is made of."""

import re
import subprocess

import numpy as np

import thalweg
from thalweg.planner.evaluation.results import EpisodeRow, rows_to_csv, summarise
from thalweg.scripts.demo import WORLDS
from thalweg.scripts.demo_report import columns, failed_seeds, success_by_distance, success_curves, table
from thalweg.scripts.provenance import commit, provenance

OLD = "time/total_timesteps,rollout/success_rate\n1600,0.1\n2400,0.2\n24"
NEW = "time/total_timesteps,rollout/success_rate,rollout/success_near,rollout/success_own\n1600,0.1,,\n2400,0.2,0.9,0.1\n"


def row(planner, seed, success, length=None):
    return EpisodeRow(
        env="PointMassU-v0",
        planner=planner,
        seed=seed,
        success=success,
        steps=40,
        path_length=4.0,
        oracle_length=length,
        detour=None,
        wall_contacts=None,
        replans=0,
        failed_plans=0,
        plan_ms=None,
        nodes=0,
    )


def test_only_whole_rows_of_a_progress_file_count(tmp_path):
    progress = tmp_path / "progress.csv"
    assert columns(progress) == {}
    progress.write_text("")
    assert columns(progress) == {}
    progress.write_text(OLD)
    assert columns(progress) == {"time/total_timesteps": [1600, 2400], "rollout/success_rate": [0.1, 0.2]}


def test_near_and_own_goals_are_drawn_apart_where_they_are_told_apart(tmp_path):
    progress = tmp_path / "progress.csv"
    progress.write_text(NEW)
    figure, said = success_curves(progress)
    assert len(figure.axes[0].lines) == 2 and "planners lead it" in said
    assert np.nanmax(figure.axes[0].lines[0].get_ydata()) == 0.9
    progress.write_text(OLD)
    figure, said = success_curves(progress)
    assert len(figure.axes[0].lines) == 1 and "Far goals are mixed in" in said
    assert len(success_curves(tmp_path / "none.csv")[0].axes[0].lines) == 1


def test_the_table_has_headings_for_people_and_intervals_in_words():
    header, rows = table(summarise([row("energy", seed, seed > 0) for seed in range(10)]))
    assert not any("_" in heading.title + heading.unit for heading in header)
    assert rows[0][:4] == ["energy", "0.90", "0.60 to 0.98", "40.0"] and len(rows[0]) == len(header)


def test_failed_episodes_are_named_by_their_seeds(tmp_path):
    results = tmp_path / "results.csv"
    rows = [row("none", seed, False) for seed in range(12)] + [row("energy", seed, seed != 4) for seed in range(12)]
    results.write_text(rows_to_csv(rows))
    assert failed_seeds(results) == ["Env seeds of failed episodes: none: 0, 1, 2, 3, 4, 5, 6, 7 and 4 more; energy: 4."]
    results.write_text(rows_to_csv(rows[12:13]))
    assert failed_seeds(results) == ["No episode failed."]


def test_success_by_distance_is_drawn_where_distances_are_known():
    assert success_by_distance(summarise([row("none", seed, True) for seed in range(8)])) is None
    figure = success_by_distance(summarise([row("none", seed, True, float(seed)) for seed in range(8)]))
    assert figure.axes[0].lines[0].get_xdata().tolist() == [0.5, 2.5, 4.5, 6.5]


def test_every_world_of_the_demo_says_what_it_is_for():
    assert len({world.folder for world in WORLDS}) == len({world.env for world in WORLDS}) == len(WORLDS)
    assert all(world.title and world.about.endswith(".") for world in WORLDS)


def test_figures_say_where_they_are_from(tmp_path):
    said = provenance()
    assert said["version"] == thalweg.__version__ and set(said) == {"command", "version", "commit", "date", "machine"}
    assert commit(tmp_path) == "-"
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    (tmp_path / "file").write_text("1")
    for arguments in (["init", "-q"], ["add", "file"], ["commit", "-qm", "one"]):
        subprocess.run([*git, *arguments], check=True)
    assert commit(tmp_path) == "-"  # a repository, but somebody else's
    (tmp_path / "setup.cfg").write_text("[metadata]\nversion = 1.0\n")
    assert re.fullmatch("[0-9a-f]{7}", commit(tmp_path))
    (tmp_path / "file").write_text("2")
    assert commit(tmp_path).endswith("+")
