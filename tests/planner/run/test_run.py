"""A run composes parts by name: each is made once, what is learned is stored and read back, what cannot be is refused."""

import pickle
from dataclasses import replace
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from thalweg.planner.checks import CheckError, check_distance, check_planner, check_sampler
from thalweg.planner.errors import UsageError
from thalweg.planner.graph.stitched_paths import hindsight_paths
from thalweg.planner.many_maps.layout import Layout
from thalweg.planner.many_maps.maps import PicturedMaps
from thalweg.planner.run.run import Run
from thalweg.planner.samplers.cvae import CvaeConfig, CvaeSampler
from thalweg.planner.storage import DamagedError, json_to_bytes, stored_digests, stored_names, write_files


class Plane(gym.Env):
    """The unit square without walls: an action is a step."""

    observation_space = spaces.Dict(
        observation=spaces.Box(-1, 2, (4,), np.float32),
        achieved_goal=spaces.Box(-1, 2, (2,), np.float32),
        desired_goal=spaces.Box(-1, 2, (2,), np.float32),
    )
    action_space = spaces.Box(-0.05, 0.05, (2,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at = self.np_random.random(2).astype(np.float32)
        return self.observe(), {}

    def step(self, action):
        self.at = np.clip(self.at + action, 0, 1).astype(np.float32)
        return self.observe(), -1.0, False, False, {}

    def observe(self):
        state = np.concatenate([self.at, np.zeros(2, np.float32)])
        return {"observation": state, "achieved_goal": self.at, "desired_goal": np.full(2, 2.0, np.float32)}

    def compute_reward(self, achieved_goal, desired_goal, info):
        return -(np.linalg.norm(achieved_goal - desired_goal, axis=-1) > 0.05).astype(np.float32)


class Straight:
    """Goes straight to the goal."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return np.clip(observation["desired_goal"] - observation["achieved_goal"], -0.05, 0.05), None


class Planes:
    name, kwargs, only_one = "Plane-v0", {}, False

    def make(self, index=0, **options):
        return gym.wrappers.TimeLimit(Plane(), options.get("max_episode_steps", 100))


@pytest.fixture
def run(experience, tmp_path, monkeypatch):
    """With paths that are pieces of trajectories: stitching takes minutes."""
    write_files(tmp_path, {"config.json": b"{}", "links.json": json_to_bytes({"sure_edge": 4.0})})
    made = Run(
        tmp_path,
        {"seed": 0},
        Straight(),
        Planes(),
        experience.data,
        part_configs={"cvae": CvaeConfig(train_steps=5, batch_size=32, hidden=16)},
    )
    paths = hindsight_paths(experience.trajectories, experience.distance, 100, 1.0, np.random.default_rng(0))
    made._made["plain distance", "quasimetric"] = experience.distance
    made.experience()._paths["one"] = paths
    return made


@pytest.mark.parametrize("name", ["box", "replay", "spread", "ellipse", "cvae"])
def test_a_sampler_by_name_keeps_its_promises(run, name):
    check_sampler(run.sampler(name), run.experience())
    check_planner(run.planner(name, nodes=10), run.experience())
    assert run.sampler(name) is run.sampler(name)


@pytest.mark.parametrize("name", ["roadmap", "visited"])
def test_a_graph_that_is_built_once_has_a_name(run, name):
    check_planner(run.planner(name, nodes=10), run.experience())


def test_a_distance_reaches_samplers_and_planners(run):
    euclidean = run.distance("euclidean")
    assert run.sampler("spread", "euclidean").steps.max() != run.sampler("spread").steps.max()
    assert run.planner("replay", 10, "euclidean").distance is euclidean
    assert run.policy("replay", 10, distance="euclidean").distance is euclidean
    check_distance(euclidean, run.experience())


@pytest.mark.slow
def test_what_is_learned_is_stored_and_read_back(run, monkeypatch):
    learned = run.sampler("cvae")
    assert {"samplers/cvae.safetensors", "samplers/cvae.json"} <= set(stored_names(run.folder))
    monkeypatch.setattr(CvaeSampler, "fit", None)
    again = replace(run).sampler("cvae")
    assert again is not learned
    state, goal = run.data.states[3], run.data.goals[50]
    draws = [sampler.sample(state, goal, 20, np.random.default_rng(0)) for sampler in (learned, again)]
    assert np.array_equal(*draws)


def test_what_is_learned_under_another_distance_is_another_file(run):
    run.experience("euclidean")._paths["one"] = run.experience()._paths["one"]
    run.sampler("cvae", "euclidean")
    assert "samplers/cvae-euclidean.json" in stored_names(run.folder) and "samplers/cvae.json" not in stored_names(run.folder)


def test_what_was_learned_of_files_that_changed_since_is_not_stored(run):
    """As where a training is taken up again while an evaluation fits a sampler."""
    write_files(run.folder, {"trajectories.npz": b"those of this run"})
    read = replace(run, made_of=stored_digests(run.folder))
    read._made.update(run._made)
    write_files(run.folder, {"trajectories.npz": b"longer ones"})
    with pytest.raises(DamagedError, match=r"trajectories\.npz was changed by another command"):
        read.sampler("cvae")
    assert "samplers/cvae.json" not in stored_names(run.folder)


def test_what_is_learned_under_a_distance_of_the_users_is_not_stored(run, experience, tmp_path, capsys):
    run._made["distance", "mine.py:Miles"] = experience.distance
    run._made["experience", "mine.py:Miles"] = run.experience()
    assert run.sampler("cvae", "mine.py:Miles").sample(run.data.states[0], run.data.goals[0], 3, np.random.default_rng(0)).shape
    assert "fitted for this command alone" in capsys.readouterr().err
    assert not [name for name in stored_names(tmp_path) if name.startswith("samplers/")]


def read_again(folder, name):
    return Run(folder, {"seed": 0}, Straight(), Planes(), name)


def test_another_process_plans_in_the_same_env(run):
    sent = replace(run, data=None, reload=(read_again, (run.folder, None))).at(difficulty=0.9)
    assert pickle.loads(pickle.dumps(sent)).settings == {"difficulty": 0.9}


def test_links_are_measured_by_drives_when_somebody_asks(run, tmp_path):
    fresh = replace(run, folder=tmp_path / "fresh")
    write_files(fresh.folder, {"config.json": b"{}"})
    fresh._made["plain distance", "quasimetric"] = run.plain_distance("quasimetric")
    assert 4 <= fresh.sure_edge <= 16 and "links.json" in stored_names(fresh.folder)


def test_an_env_without_a_map_has_no_oracle(run):
    with pytest.raises(UsageError, match="no oracle"):
        run.planner("oracle")
    with pytest.raises(UsageError, match="oracle"):
        run.distance("oracle")


@pytest.mark.parametrize("name", ["spread", "ellipse", "roadmap", "visited", "trajectory", "oracle"])
def test_planners_of_one_map_are_refused_where_there_are_many(run, name):
    many = replace(run, maps=PicturedMaps(Layout((2, 2), (0.0, 0.0), (1.0, 1.0))))
    with pytest.raises(UsageError, match=f"many maps, and the {name} planner knows one; take box, replay, cvae, energy"):
        many.planner(name)
    with pytest.raises(UsageError, match="many maps, and the quasimetric distance knows one; take"):
        many.distance("quasimetric")


def test_what_needs_a_picture_is_refused_where_there_is_none(run):
    with pytest.raises(UsageError, match="no picture of its map, which the local distance needs; take euclidean"):
        run.distance("local")


def test_an_agent_without_critics_has_no_q_values(run):
    with pytest.raises(UsageError, match=r"no q_value distance: .*critics"):
        run.distance("q_value")
    with pytest.raises(UsageError, match=r"no distributional distance: .*replay"):
        run.distance("distributional")


def test_plans_are_driven_along_routes_unless_asked_otherwise(run):
    assert run.policy("replay", 5).routes is run.routes is not None
    assert run.policy("replay", 5, follow="waypoints").routes is None
    assert run.policy("none") is run.agent


def test_an_agent_that_is_sure_of_short_links_only_is_led_all_the_same(run):
    run.__dict__["sure_edge"] = 2.0
    assert run.policy("replay", 5).config.arrival == 2.0


class Halfway:
    """A planner of a user's: by way of the visited state nearest to the middle."""

    def __init__(self, graph):
        self.graph = graph

    @classmethod
    def fit(cls, experience):
        from thalweg.planner.planners.sampled_graph import GraphPlanner
        from thalweg.planner.samplers.replay import ReplaySampler

        return cls(GraphPlanner.fit(experience, sampler=ReplaySampler.fit(experience)))

    def plan(self, state, goal, rng):
        return self.graph.plan(state, goal, rng)


class Empty(Halfway):
    def plan(self, state, goal, rng):
        return None


class Tired(Halfway):
    """Its check asks it six times."""

    def plan(self, state, goal, rng):
        self.asked = getattr(self, "asked", 0) + 1
        if self.asked == 7:
            raise KeyError("late")
        return self.graph.plan(state, goal, rng) if self.asked < 8 else None


class Forgetful(Halfway):
    def plan(self, state, goal, rng):
        return self.graph.plan(state, goal, np.random.default_rng())


def test_a_class_in_a_file_is_what_its_methods_make_it(run, experience):
    from thalweg.planner.samplers.box import BoxSampler

    own = {"a.py:Plans": Halfway, "a.py:Samples": BoxSampler, "a.py:Neither": SimpleNamespace, "a.py:Forgets": Forgetful}
    run = replace(run, load_class=own.__getitem__)
    run._made["plain distance", "quasimetric"] = experience.distance
    assert isinstance(run.planner("a.py:Plans").planner, Halfway)
    assert isinstance(run.planner("a.py:Samples", nodes=7).sampler, BoxSampler)
    with pytest.raises(UsageError, match="neither plan nor sample"):
        run.planner("a.py:Neither")
    with pytest.raises(UsageError, match=r"a.py:Forgets is no planner: .*rng"):
        run.planner("a.py:Forgets")


def test_what_goes_wrong_in_a_users_planner_is_one_line_whenever_it_does(run, experience):
    run = replace(run, load_class={"a.py:Empty": Empty, "a.py:Tired": Tired}.__getitem__)
    run._made["plain distance", "quasimetric"] = experience.distance
    with pytest.raises(UsageError, match=r"a.py:Empty is no planner: .*gave a NoneType; give a Plan, or raise NoPathError"):
        run.planner("a.py:Empty")
    tired, asked = run.planner("a.py:Tired"), (experience.states[0], experience.goals[-1], np.random.default_rng(0))
    with pytest.raises(UsageError, match=r"a.py:Tired failed in plan: KeyError: 'late' \(.*test_run.py, line \d+\)"):
        tired.plan(*asked)
    with pytest.raises(CheckError, match=r"a.py:Tired.plan gave a NoneType"):
        tired.plan(*asked)


def test_a_run_says_little_of_itself_and_is_copied_whole(run, tmp_path):
    assert len(repr(run)) < 200
    saved = run.save(tmp_path / "elsewhere" / "run")
    assert stored_names(saved) == stored_names(run.folder)
    with pytest.raises(UsageError, match="not an empty folder"):
        run.save(saved)
