"""Parts by name, made for a run that is faked: what has to be learned is learned once and stored."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from thalweg.planner.checks import check_distance, check_planner, check_sampler
from thalweg.planner.graph.stitched_paths import hindsight_paths
from thalweg.planner.many_maps.layout import Layout
from thalweg.planner.samplers import SAMPLERS, cvae
from thalweg.planner.storage import stored_names, write_files
from thalweg.scripts import parts
from thalweg.scripts.cli import PLANNERS, UsageError
from thalweg.scripts.runs import check_distance_for


@pytest.fixture
def run(experience, tmp_path, monkeypatch):
    paths = hindsight_paths(experience.trajectories, experience.distance, 100, 1.0, np.random.default_rng(0))
    monkeypatch.setitem(experience.__dict__, "paths", paths)
    monkeypatch.setattr(cvae, "CvaeConfig", partial(cvae.CvaeConfig, train_steps=5, batch_size=32, hidden=16))
    write_files(tmp_path, {"config.json": b"{}"})
    return SimpleNamespace(
        folder=tmp_path, experience=experience, env="PointMass-v0", env_kwargs={}, sure_edge=4.0, progress=False,
        goal_of=experience.goal_of, trajectories=experience.trajectories, layout=None, usual_distance="quasimetric",
        distance=lambda name="quasimetric", env_kwargs=None: experience.distance, routes="routes",
    )  # fmt: skip


def test_every_sampler_has_a_name_that_the_command_line_knows():
    assert set(SAMPLERS) == set(PLANNERS) - {"none", "roadmap", "visited", "trajectory", "oracle"}


@pytest.mark.parametrize("name", ["box", "replay", "spread", "ellipse", "cvae"])
def test_a_sampler_by_name_keeps_its_promises(run, name):
    check_sampler(parts.make_sampler(run, name), run.experience)
    check_planner(parts.make_planner(run, name, 10), run.experience)


@pytest.mark.parametrize("name", ["roadmap", "visited"])
def test_a_graph_that_is_built_once_has_a_name(run, name):
    check_planner(parts.make_planner(run, name, 10), run.experience)


def test_what_is_learned_is_stored_and_read_back(run, monkeypatch):
    learned = parts.make_sampler(run, "cvae")
    assert {"samplers/cvae.safetensors", "samplers/cvae.json"} <= set(stored_names(run.folder))
    monkeypatch.setattr(cvae.CvaeSampler, "fit", None)
    again = parts.make_sampler(run, "cvae")
    state, goal = run.experience.states[3], run.experience.goals[50]
    draws = [sampler.sample(state, goal, 20, np.random.default_rng(0)) for sampler in (learned, again)]
    assert np.array_equal(*draws)


def test_an_env_without_a_map_has_no_oracle(run, monkeypatch):
    monkeypatch.setattr("thalweg.envs.loading.load_env", lambda name, **settings: SimpleNamespace(unwrapped=object()))
    with pytest.raises(UsageError, match="no oracle"):
        parts.make_planner(run, "oracle", 10)


@pytest.mark.parametrize("name", ["spread", "ellipse", "roadmap", "visited", "trajectory", "oracle"])
def test_planners_of_one_map_are_refused_where_there_are_many(run, name):
    run.layout = Layout((2, 2), (0.0, 0.0), (1.0, 1.0))
    with pytest.raises(UsageError, match=f"many maps, and the {name} planner knows one; take none, box"):
        parts.make_planner(run, name, 10)


def test_distances_are_refused_where_they_cannot_be_known(run):
    check_distance_for(run, "q_value")
    with pytest.raises(UsageError, match="no picture of its map"):
        check_distance_for(run, "local")
    run.layout = Layout((2, 2), (0.0, 0.0), (1.0, 1.0))
    check_distance_for(run, "local")
    with pytest.raises(UsageError, match="many maps, and the quasimetric distance knows one"):
        check_distance_for(run, "quasimetric")


def test_an_agent_that_is_sure_of_short_links_only_is_led_all_the_same(run):
    run.sure_edge, run.agent = 2.0, None
    assert parts.make_policy(run, "replay", 5).config.arrival == 2.0


def test_plans_are_driven_along_routes_unless_asked_otherwise(run):
    run.agent = None
    assert parts.make_policy(run, "replay", 5).routes == "routes"
    assert parts.make_policy(run, "replay", 5, follow="waypoints").routes is None


def test_names_that_nobody_knows_are_answered_with_those_there_are(run):
    with pytest.raises(UsageError, match=r"best.*energy.*file\.py"):
        parts.make_planner(run, "best", 10)
    with pytest.raises(UsageError, match=r"miles.*quasimetric"):
        parts.make_distance(run, "miles")
    check_distance(parts.make_distance(run, "quasimetric"), run.experience)
    assert parts.make_distance(run, "oracle") is run.experience.distance
