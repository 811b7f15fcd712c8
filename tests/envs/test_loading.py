"""Envs that users bring along: by id, by module, by file; adapted, guarded, and told apart from what cannot work."""

import contextlib
import gc
import os
import signal
import subprocess
import sys
import textwrap
import time
import warnings
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.wrappers import TimeLimit

import thalweg.envs  # noqa: F401
from thalweg.envs.adapter import GoalEnvAdapter, Traits
from thalweg.envs.goal_wrapper import GoalWrapper
from thalweg.envs.guard import EnvError, GuardedEnv
from thalweg.envs.loading import env_maker, load_batch, load_env, raw_env
from thalweg.envs.screens import without_screen_notices
from thalweg.envs.walls_of import walls_of
from thalweg.runs import load

ROOT = Path(__file__).resolve().parents[2]

LINE_ENV = """
import gymnasium as gym, numpy as np
from gymnasium import spaces

class Line(gym.Env):
    def __init__(self, step_length=0.1):
        self.step_length = step_length
        box = spaces.Box(-2, 2, (1,), np.float32)
        self.observation_space = spaces.Dict(observation=box, achieved_goal=box, desired_goal=box)
        self.action_space = spaces.Box(-1, 1, (1,), np.float32)
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x, self.g = self.np_random.uniform(-1, 1, (2, 1)).astype(np.float32)
        return self.seen(), {}
    def step(self, action):
        self.x = np.clip(self.x + self.step_length * action, -2, 2).astype(np.float32)
        reward = float(self.compute_reward(self.x, self.g, {}))
        return self.seen(), reward, reward == 0, False, {"is_success": reward == 0}
    def compute_reward(self, achieved, desired, info):
        return -(np.linalg.norm(achieved - desired, axis=-1) > 0.1).astype(np.float32)
    def seen(self):
        return {"observation": self.x.copy(), "achieved_goal": self.x.copy(), "desired_goal": self.g.copy()}
"""


@pytest.fixture
def line_file(tmp_path):
    path = tmp_path / "line_env.py"
    path.write_text(LINE_ENV)
    return path


def written(path: Path, text: str) -> str:
    path.write_text(textwrap.dedent(text))
    return str(path)


def test_our_own_env_passes_through_the_adapter_unchanged():
    ours, adapted = gym.make("PointMassU-v0"), load_env("PointMassU-v0")
    assert adapted.observation_space == ours.observation_space
    ours.action_space.seed(0)
    steps = [(ours.reset(seed=1), adapted.reset(seed=1))]
    for _ in range(50):
        action = ours.action_space.sample()
        steps.append((ours.step(action), adapted.step(action)))
    for mine, other in steps:
        assert all(np.array_equal(mine[0][key], other[0][key]) and mine[0][key].dtype == np.float32 for key in mine[0])
        assert mine[1:] == other[1:]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["PointMaze_UMaze-v3", "PointMaze_Medium-v3", "gymnasium_robotics:PointMaze_Large-v3"])
def test_point_maze_pays_minus_one_and_ends_at_the_goal(name):
    pytest.importorskip("gymnasium_robotics")
    env = load_env(name)
    observation, _ = env.reset(seed=3)
    goal = observation["desired_goal"]
    assert env.compute_reward(np.stack([goal, goal + 1]), np.stack([goal, goal]), [{}, {}]).tolist() == [0.0, -1.0]
    assert env.step(env.action_space.sample())[1:4] == (-1.0, False, False)
    env.unwrapped.goal = env.unwrapped.point_env.data.qpos[:2].copy()  # the goal comes to the mass
    _, reward, terminated, truncated, info = env.step(np.zeros(2, np.float32))
    assert (reward, terminated, truncated) == (0.0, True, False) and info["is_success"] and info["success"]
    assert env.observation_space["observation"].dtype == np.float32 and load_batch(name, 2).num_envs == 2


def test_a_goal_that_is_not_in_the_observation_is_put_in_front_of_it():
    pytest.importorskip("gymnasium_robotics")
    env = load_env("AntMaze_UMaze-v5")
    observation, _ = env.reset(seed=0)
    assert observation["observation"].shape == env.observation_space["observation"].shape == (107,)
    assert np.array_equal(observation["observation"][:2], observation["achieved_goal"])


def test_ogbench_draws_from_the_seed_and_leaves_numpys_generator_alone():
    pytest.importorskip("ogbench")

    def drive(env, global_seed):
        np.random.seed(global_seed)
        seen = [env.reset(seed=5)[0]]
        env.action_space.seed(1)
        seen += [env.step(env.action_space.sample())[0] for _ in range(30)]
        assert np.random.randint(2**30) == np.random.RandomState(global_seed).randint(2**30)
        return np.array([np.concatenate(list(observation.values())) for observation in seen])

    assert np.array_equal(drive(load_env("pointmaze-teleport-v0"), 0), drive(load_env("pointmaze-teleport-v0"), 1))


@pytest.mark.slow
def test_ogbenchs_tasks_can_be_chosen_and_its_goal_ends_the_episode():
    pytest.importorskip("ogbench")
    goals = {
        tuple(np.round(load_env("pointmaze-medium-v0", task_id=task).reset(seed=0)[0]["desired_goal"])) for task in (1, 2, 3)
    }
    assert len(goals) == 3
    env = load_env("pointmaze-medium-v0", task_id=1)
    observation, _ = env.reset(seed=0)
    env.unwrapped.set_xy(observation["desired_goal"])
    _, reward, terminated, _, info = env.step(np.zeros(2, np.float32))
    assert reward == 0.0 and terminated and info["success"]
    for task in (0, 6):
        with pytest.raises(EnvError, match="between 1 and 5"):
            load_env("pointmaze-medium-v0", task_id=task)


def test_a_file_needs_no_registration(line_file):
    name = f"{line_file}:Line"
    env = load_env(name, step_length=0.2)
    env.reset(seed=0)
    assert env.unwrapped.step_length == 0.2
    batch = load_batch(name, 3)
    assert batch.reset(seed=0)[0]["observation"].shape == (3, 1)


def test_the_episode_length_of_a_file_is_the_commands_its_own_or_200(line_file):
    def length(name, **options):
        env = raw_env(name, **options)
        env.reset(seed=0)
        for step in range(1, 1_000):
            if env.step(np.zeros(1, np.float32))[3]:
                return step

    line_file.write_text(
        LINE_ENV
        + textwrap.dedent(
            """
            class Far(Line):
                def reset(self, **kwargs):
                    super().reset(**kwargs)
                    self.g = self.x + 1
                    return self.seen(), {}
            class Short(Far):
                max_episode_steps = 30
            def limited():
                return gym.wrappers.TimeLimit(Far(), 40)
            """
        )
    )
    assert length(f"{line_file}:Far") == 200 and length(f"{line_file}:Far", max_episode_steps=7) == 7
    assert length(f"{line_file}:Short") == 30 and length(f"{line_file}:Short", max_episode_steps=7) == 7
    assert length(f"{line_file}:limited") == 40 and length(f"{line_file}:limited", max_episode_steps=7) == 7


def test_a_plain_box_env_becomes_a_goal_env_in_five_lines(tmp_path):
    name = written(
        tmp_path / "car.py",
        """
        import gymnasium as gym
        from thalweg.envs.goal_wrapper import GoalWrapper
        def car():
            env = gym.make("MountainCarContinuous-v0")
            return GoalWrapper(env, goal_of=lambda s: s[..., :1], tolerance=0.05, sample_goal=lambda rng: rng.uniform(-1, 0.4, 1))
        """,
    )
    env = load_env(f"{name}:car")
    observation, _ = env.reset(seed=0)
    assert observation["observation"].shape == (2,) and observation["desired_goal"].shape == (1,)
    assert -1 <= observation["desired_goal"][0] <= 0.4


class Walker(gym.Env):
    """Walks to the right by its action; terminates by itself beyond 1."""

    observation_space = spaces.Box(-5, 5, (2,), np.float32)
    action_space = spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x = 0.0
        return np.array([0.0, 7.0], np.float32), {}

    def step(self, action):
        self.x += float(action[0])
        return np.array([self.x, 7.0], np.float32), 5.0, self.x > 1, False, {}


def wrapped(goal):
    return GoalWrapper(Walker(), goal_of=lambda s: s[..., :1], tolerance=0.1, sample_goal=lambda rng: np.array([goal]))


def test_the_goal_wrapper_pays_and_ends_at_the_goal_alone():
    env = wrapped(0.5)
    env.reset(seed=0)
    assert env.step(np.array([0.25]))[1:4] == (-1.0, False, False)
    _, reward, terminated, truncated, info = env.step(np.array([0.25]))
    assert (reward, terminated, truncated) == (0.0, True, False) and info["is_success"]
    env = wrapped(-3.0)
    env.reset(seed=0)
    env.step(np.array([0.9]))
    assert env.step(np.array([0.9]))[1:4] == (-1.0, False, True)  # the env's own end is not the goal


def test_the_goal_wrapper_takes_a_goal_from_the_options_of_a_reset():
    class Optioned(Walker):
        def reset(self, *, seed=None, options=None):
            self.options = options
            return super().reset(seed=seed)

    plain = Optioned()
    env = GoalWrapper(plain, goal_of=lambda s: s[..., :1], tolerance=0.1, sample_goal=lambda rng: rng.uniform(size=1))
    for goal in ((0.25,), [0], np.array([0.25])):
        observation, _ = env.reset(seed=0, options={"goal": goal, "wind": 2})
        assert observation["desired_goal"] == np.float32(goal) and plain.options == {"wind": 2}
    assert env.step(np.array([0.25]))[1:3] == (0.0, True)  # the last one is kept through the episode
    assert env.reset(seed=0)[0]["desired_goal"] == env.reset(seed=0, options={})[0]["desired_goal"] != 0.25
    for goal in ((0.5, 0.5), 0.5, (np.nan,), ("east",), (None,)):
        with pytest.raises(ValueError, match="the goal must be 1 finite numbers"):
            env.reset(seed=0, options={"goal": goal})
    with pytest.raises(EnvError, match=r"failed in reset: ValueError: the goal must be 1 finite"):
        load_env(env).reset(seed=0, options={"goal": (1.0, 2.0)})


def test_any_env_may_tell_its_walls():
    pier = np.array([[[1.0, 0.0], [1.0, 2.0]]])

    class Harbour(Walker):
        walls = pier

    class Telling(Walker):
        def walls(self):
            return pier[:, ::-1].tolist()

    class OfAnotherKind(Walker):
        walls = (object(), object())

    assert np.array_equal(walls_of(Harbour()), pier) and np.array_equal(walls_of(Telling()), pier)
    assert np.array_equal(
        walls_of(
            GoalWrapper(Harbour(), goal_of=lambda s: s[..., :1], tolerance=0.1, sample_goal=lambda rng: rng.uniform(size=1))
        ),
        pier,
    )
    assert walls_of(OfAnotherKind()) is None
    Harbour.walls = np.zeros((3, 4))
    with pytest.warns(UserWarning, match=r"Harbour: `walls` are of shape \(3, 4\); make them \(W, 2, 2\)"):
        assert walls_of(Harbour()) is None


def test_a_missing_screen_is_told_once_and_by_the_error_alone(capsys, monkeypatch):
    pytest.importorskip("gymnasium_robotics")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    env = load_env("PointMaze_UMaze-v3", render_mode="rgb_array")
    env.reset(seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with contextlib.suppress(EnvError):  # where there is a screen all the same, it is drawn
            env.render()
        env.close()
    gc.collect()
    assert capsys.readouterr().err == ""


def test_what_only_half_made_renderers_say_is_left_out_and_nothing_else(monkeypatch):
    said = []
    monkeypatch.setattr(sys, "__unraisablehook__", lambda unraisable: said.append(unraisable.object.__qualname__))

    class Renderer:
        def __del__(self):
            self.window.close()

    class Other(Renderer):
        def __del__(self):
            raise ValueError

    def fails(kind):
        made = kind()
        raise type("FatalError", (Exception,), {"__module__": "mujoco"})(repr(made))

    for kind in (Renderer, Other):
        with contextlib.suppress(Exception), without_screen_notices():
            fails(kind)
    assert len(said) == 1 and said[0].endswith("Other.__del__")


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"goal_of": lambda s: s[:1]}, r"\.\.\."),
        ({"tolerance": 0.0}, "tolerance"),
        ({"sample_goal": lambda rng: rng.uniform(size=3)}, "1 finite"),
        ({"sample_goal": None}, "sample_goal"),
    ],
)
def test_a_goal_wrapper_that_cannot_work_says_why(settings, word):
    settings = {"goal_of": lambda s: s[..., :1], "tolerance": 0.1, "sample_goal": lambda rng: rng.uniform(size=1), **settings}
    with pytest.raises(ValueError, match=word):
        GoalWrapper(Walker(), **settings).reset(seed=0)


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("NoSuchEnv-v0", "doesn't exist"),
        ("no_such_module:Env-v0", "no_such_module"),
        ("no/such/file.py:Env", "no file"),
        ("CartPole-v1", "GoalWrapper"),
        ("{folder}/line_env.py", "names no class"),
        ("{folder}/line_env.py:Circle", "defines no Circle"),
        ("{folder}/line_env.py:np", "cannot be made"),
        ("{folder}/line_env.py:dict", "no gymnasium.Env"),
        ("{folder}/slip.py:Env", "SyntaxError"),
        ("{folder}/dense.py:Dense", "not sparse"),
        ("{folder}/single.py:Single", "axis=-1"),
        ("{folder}/discrete.py:Discrete", "bounded Box"),
        ("{folder}/mute.py:Mute", "compute_reward"),
        ("{folder}/square.py:Square", "flat Box"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line(line_file, name, word):
    folder = line_file.parent
    line_file.write_text(LINE_ENV + "\ndict = dict\n")
    written(folder / "slip.py", "class Env(:\n")
    own = "from line_env import *\n"
    written(folder / "dense.py", own + "class Dense(Line):\n    def compute_reward(self, a, d, i): return -abs(a - d)[..., 0]\n")
    written(
        folder / "single.py",
        own + "class Single(Line):\n    def compute_reward(self, a, d, i): return -float(np.linalg.norm(a - d) > 0.1)\n",
    )
    written(
        folder / "discrete.py",
        own + "class Discrete(Line):\n    action_space = property(lambda s: spaces.Discrete(2), lambda s, v: None)\n",
    )
    written(
        folder / "mute.py",
        own + "class Mute(Line):\n    compute_reward = property(lambda s: (_ for _ in ()).throw(AttributeError()))\n",
    )
    written(
        folder / "square.py",
        own
        + "class Square(Line):\n    def __init__(self):\n        super().__init__()\n"
        + "        self.observation_space['observation'] = spaces.Box(0, 1, (2, 2), np.float32)\n",
    )
    with pytest.raises(EnvError, match=word) as caught:
        load_env(name.format(folder=folder))
    assert len(str(caught.value).splitlines()) == 1


class Failing(Walker):
    """Fails as it is told to."""

    def __init__(self, where, how):
        self.where, self.how, self.closed = where, how, False

    def act(self, where):
        if where == self.where:
            self.how()

    def reset(self, **kwargs):
        self.act("reset")
        return super().reset(**kwargs)

    def step(self, action):
        self.act("step")
        return super().step(action)

    def render(self):
        self.act("render")

    def close(self):
        self.closed = True
        self.act("close")


def stumble():
    raise RuntimeError("I fell")


@pytest.mark.parametrize("where", ["reset", "step", "render"])
def test_a_failing_env_is_named_with_its_step_and_its_own_error(where):
    env = GuardedEnv(Failing(where, stumble), "Mine-v0", index=3)
    with pytest.raises(EnvError, match=rf"Mine-v0 \(env 3, seed 9\) failed in {where}( 2)?: RuntimeError: I fell"):
        env.reset(seed=9)
        env.render() if where == "render" else env.unwrapped
        env.unwrapped.where = None if where == "step" else where
        env.step(np.zeros(1))
        env.unwrapped.where = where
        env.step(np.zeros(1))


def test_an_env_that_fails_to_close_costs_a_warning():
    with pytest.warns(UserWarning, match=r"Mine-v0 .* failed in close: RuntimeError"):
        GuardedEnv(Failing("close", stumble), "Mine-v0").close()


def test_an_env_that_hangs_is_cut_off():
    env = GuardedEnv(Failing("step", lambda: time.sleep(30)), "Mine-v0", patience=0.1)
    env.reset(seed=0)
    began = time.monotonic()
    with pytest.raises(EnvError, match=r"failed in step 1: TimeoutError: no answer within 0.1 s"):
        env.step(np.zeros(1))
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("observation", "word"), [(np.zeros(2), "float64"), (np.zeros(3, np.float32), r"\(3,\)"), ([0.0, 0.0], "list")]
)
def test_shapes_and_dtypes_are_kept(observation, word):
    class Wrong(Walker):
        def step(self, action):
            return observation, 0.0, False, False, {}

    env = GuardedEnv(Wrong(), "Mine-v0")
    env.reset(seed=0)
    with pytest.raises(EnvError, match=word):
        env.step(np.zeros(1))


def test_when_one_env_of_a_batch_cannot_be_made_the_others_are_closed(tmp_path):
    name = written(
        tmp_path / "counted.py",
        LINE_ENV
        + """
class Counted(Line):
    made, closed = 0, 0
    def __init__(self):
        super().__init__()
        Counted.made += 1
        if Counted.made == 4:
            raise RuntimeError("no more of me")
    def close(self):
        Counted.closed += 1
""",
    )
    with pytest.raises(EnvError, match="no more of me"):
        load_batch(f"{name}:Counted", 8)
    counted = next(
        module.Counted for key, module in sys.modules.items() if key.startswith("_thalweg") and hasattr(module, "Counted")
    )
    assert counted.made == 4 and counted.closed == 3  # the probe and two of the batch


def test_makers_give_each_env_its_index():
    env = env_maker("PointMass-v0")(5)
    with pytest.raises(EnvError, match=r"env 5, seed 1\) failed in reset: ValueError: goal .* wall"):
        env.reset(seed=1, options={"goal": (0.5, 0.5)})


def test_a_continuing_task_ends_at_the_goal_and_a_foreign_end_is_a_truncation():
    class Continuing(gym.Env):
        observation_space = spaces.Dict(
            {key: spaces.Box(-9, 9, (1,)) for key in ("observation", "achieved_goal", "desired_goal")}
        )
        action_space = spaces.Box(-1, 1, (1,))
        ends = False

        def step(self, action):
            at = {"observation": action * 2, "achieved_goal": action, "desired_goal": np.zeros(1, np.float32)}
            return at, 0.0, self.ends, False, {}

        def compute_reward(self, achieved, desired, info):
            return (np.abs(achieved - desired)[..., 0] < 0.1).astype(float)

    env = GoalEnvAdapter(Continuing(), Traits(goal_in_state=False, best_reward=1.0))
    observation, *rest = env.step(np.zeros(1, np.float32))
    assert rest[:3] == [0.0, True, False] and rest[3] == {"is_success": True, "success": True}
    observation, *rest = env.step(np.ones(1, np.float32))
    assert observation["observation"].tolist() == [1.0, 2.0] and rest[:3] == [-1.0, False, False]
    env.unwrapped.ends = True
    assert env.step(np.ones(1, np.float32))[1:4] == (-1.0, False, True)


PROJECT_ENV = LINE_ENV + "\nclass Mine(Line):\n    pass\n"


@pytest.fixture
def project(tmp_path):
    """A user's project whose folders bear our names."""
    for folder in ("envs", "agents", "planner", "scripts"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").write_text("raise SystemExit('the wrong package')\n")
        (tmp_path / folder / "tools.py").write_text("SPEED = 0.3\n")
    return tmp_path


def check_env(*arguments, cwd=ROOT, **environment):
    command = [sys.executable, "-m", "scripts.check_env", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, env={**os.environ, **environment})


@pytest.mark.slow
def test_a_project_with_folders_of_our_names_works_by_file(project):
    (project / "mine.py").write_text(PROJECT_ENV)
    done = check_env("--env", f"{project}/mine.py:Mine")
    assert done.returncode == 0 and "keeps every promise" in done.stdout, (done.stdout, done.stderr)
    assert isinstance(load_env(f"{project}/mine.py:Mine").unwrapped, gym.Env)


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["envs", "agents", "planner", "scripts"])
def test_a_file_imports_its_own_folders_of_our_names(project, folder):
    (project / folder / "__init__.py").write_text("")
    (project / "mine.py").write_text(f"from {folder}.tools import SPEED\nassert SPEED == 0.3\n" + PROJECT_ENV)
    done = check_env("--env", f"{project}/mine.py:Mine")
    assert done.returncode == 0 and "keeps every promise" in done.stdout, (done.stdout, done.stderr)


@pytest.mark.slow
def test_a_command_runs_among_foreign_folders(project):
    """As installed: `thalweg` is found, and what is in the folder is nobody's concern."""
    command = [sys.executable, "-m", "thalweg.scripts", "check_env", "--env", "PointMass-v0"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "keeps every promise" in done.stdout, (done.stdout, done.stderr)


@pytest.mark.slow
def test_an_env_that_falls_while_training_ends_with_one_line(tmp_path):
    name = written(
        tmp_path / "falls.py",
        LINE_ENV
        + """
class Falls(Line):
    steps = 0
    def step(self, action):
        Falls.steps += 1
        if Falls.steps > 1000:
            raise RuntimeError("I fell")
        return super().step(action)
""",
    )
    command = [sys.executable, "-m", "scripts.train", "--env", f"{name}:Falls", "--steps", "5000", "--out", str(tmp_path / "run")]
    done = subprocess.run([*command, "--no-progress"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and done.stderr.strip().splitlines()[-1].startswith("error: ")
    assert "failed in step" in done.stderr and "RuntimeError: I fell" in done.stderr and "Traceback" not in done.stderr
    assert "the agent after" in done.stderr and load(tmp_path / "run").data.trajectories  # what was learnt is kept


def test_time_limits_are_set_once():
    env = raw_env("PointMass-v0", max_episode_steps=9)
    limits, inner = [], env
    while isinstance(inner, gym.Wrapper):
        limits += [inner._max_episode_steps] if isinstance(inner, TimeLimit) else []
        inner = inner.env
    assert limits == [9]


@pytest.mark.parametrize("steps", [0, -1, 2.5, "x", True, None])
@pytest.mark.parametrize("name", ["PointMass-v0", "{line_file}:Line"])
def test_an_episode_length_that_is_none_is_refused(line_file, name, steps):
    with pytest.raises(EnvError, match="max_episode_steps must be a whole number"):
        raw_env(name.format(line_file=line_file), max_episode_steps=steps)


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        ((np.zeros(2, np.float32), 0.0, np.array([True, False]), False, {}), "terminated is"),
        ((np.zeros(2, np.float32), 0.0, False, False, None), "info is NoneType"),
        ((np.zeros(2, np.float32), np.zeros(2), False, False, {}), "reward is an array"),
    ],
)
def test_an_answer_of_the_wrong_kind_is_told(answer, word):
    class Wrong(Walker):
        def step(self, action):
            return answer

    env = GuardedEnv(Wrong(), "Mine-v0")
    env.reset(seed=0)
    with pytest.raises(EnvError, match=word):
        env.step(np.zeros(1))


def test_whatever_an_env_says_in_its_info_does_not_break_a_batch(line_file):
    line_file.write_text(
        LINE_ENV
        + textwrap.dedent(
            """
            class Talks(Line):
                max_episode_steps = 3
                def step(self, action):
                    observation, *rest, info = super().step(action)
                    return observation, *rest, {**info, "stats": {"x": 1.0}, "ragged": np.zeros(self.np_random.integers(1, 5))}
            """
        )
    )
    batch = load_batch(f"{line_file}:Talks", 3)
    batch.reset(seed=0)
    for _ in range(10):
        infos = batch.step(np.zeros((3, 1), np.float32))[-1]
    assert set(infos) <= {
        "is_success",
        "_is_success",
        "success",
        "_success",
        "final_obs",
        "_final_obs",
        "final_info",
        "_final_info",
    }


def test_other_peoples_batches_are_not_used_since_they_cannot_be_adapted():
    with pytest.raises(EnvError, match="CartPole-v1 is no goal env"):  # it has a vector_entry_point
        load_batch("CartPole-v1", 2)


def test_a_relative_import_in_a_file_is_told_with_its_fix(tmp_path):
    name = written(tmp_path / "other.py", "from .base import Base\n")
    with pytest.raises(EnvError, match="plain names"):
        load_env(f"{name}:Base")


def test_a_foreign_map_is_no_map_of_ours():
    class HasMap(Walker):
        map = np.zeros((3, 3))

    assert walls_of(HasMap()) is None and walls_of(wrapped(0.5)) is None
    assert len(walls_of(gym.make("PointMassU-v0"))) == 5


@pytest.mark.parametrize("name", ["PointMaze_UMaze-v3", "pointmaze-medium-v0"])
def test_the_walls_of_known_mazes_hold_no_place_where_the_mass_starts(name):
    pytest.importorskip("gymnasium_robotics")
    pytest.importorskip("ogbench")
    env = load_env(name)
    walls = walls_of(env)
    for seed in range(20):
        observation, _ = env.reset(seed=seed)
        for place in (observation["achieved_goal"], observation["desired_goal"]):
            assert not ((place > walls[:, 0]) & (place < walls[:, 1])).all(axis=1).any()
    assert len(walls) > 10


def test_a_timer_of_the_caller_rings_all_the_same():
    rung = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: rung.append(number))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        env = load_env("PointMass-v0")
        env.reset(seed=0)
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0 or rung
        time.sleep(0.25)
        assert rung == [signal.SIGALRM]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
