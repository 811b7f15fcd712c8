"""An evaluation's folder: defaults, remarks, other settings, and several processes that write into one."""

import json
from multiprocessing import get_context

import numpy as np
import pytest
from test_results import row
from walking import Towards, Walk

from thalweg.planner.evaluation.evaluation_folder import OtherResultsError, evaluate_planners
from thalweg.planner.evaluation.results import ResultsFile, rows_to_csv
from thalweg.planner.evaluation.setting import DIFFICULTY, EPISODE_STEPS, Setting, episode_limit
from thalweg.planner.evaluation.table import table
from thalweg.planner.finite import NotFiniteError


class Stub:
    """A run of which nothing is stored: the agent walks, whatever plans."""

    env, usual_distance, sure_edge, at_once, space = "Walk", "straight", 5.0, 25, None

    def __init__(self, spoilt_seed=None, digest="1"):
        self.spoilt_seed, self.digest, self.asked = spoilt_seed, digest, []

    def policy(self, name, setting):
        return Towards()

    def distance(self, setting):
        return self

    def paired(self, states, goals):
        return np.where(states[:, 0] == 1, np.inf, 4.0)

    def maker(self, setting):
        self.asked.append(setting.env_options())
        spoilt = self.spoilt_seed

        class Spoilt(Walk):
            def reset(self, *, seed=None, options=None):
                self.spoilt = {2} if seed == spoilt else ()
                return super().reset(seed=seed, options=options)

        return lambda index: Spoilt(difficulty=setting.difficulty or 0.0)

    def parts(self, name, setting):
        return {"distance": setting.distance, "files": {"weights": self.digest}}


def test_what_nothing_is_said_about_is_chosen_and_said():
    run = Stub()
    done = evaluate_planners(run, ["none"], range(3))
    assert run.asked[-1] == {"max_episode_steps": EPISODE_STEPS, "difficulty": DIFFICULTY}
    assert str(done).splitlines()[-1] == "episodes of 400 steps, difficulty 0.5 (defaults; set --episode-steps, --difficulty)"
    run = Stub()
    said = Setting(episode_steps=30, env_kwargs='{"difficulty": 0.9}')
    assert "default" not in str(evaluate_planners(run, ["none"], range(3), said))
    assert run.asked[-1] == {"max_episode_steps": 30, "difficulty": 0.9}


def test_a_limit_that_is_longer_than_the_default_stays():
    class Limited:
        def __init__(self, limit):
            self.env, self._max_episode_steps = Walk(), limit
            self.unwrapped = self.env

    assert episode_limit(Limited(1_000)) == 1_000 and episode_limit(Walk()) is None


def test_a_factory_that_takes_no_difficulty_is_not_handed_one():
    class Factory(Stub):
        def maker(self, setting):
            if setting.difficulty is not None:
                raise RuntimeError("unexpected keyword 'difficulty'")
            return super().maker(setting)

    assert str(evaluate_planners(Factory(), ["none"], range(2))).endswith("episodes of 400 steps (defaults; set --episode-steps)")


def test_the_table_is_a_mapping_with_its_rows(tmp_path):
    done = evaluate_planners(Stub(), ["none", "mine"], range(30), out=tmp_path)
    assert list(done) == ["none", "mine"] and done["mine"]["episodes"] == 30 and len(done.rows) == 60
    assert json.loads((tmp_path / "summary.json").read_text()) == done.summary
    lines = str(done).splitlines()
    assert lines[0].split()[:3] == ["Walk", "n", "success"] and lines[2].split()[:3] == ["mine", "30", "1.00"]
    assert "0.89 to 1.00" in lines[2]  # Wilson's, of 30 of 30
    stored = json.loads((tmp_path / "evaluation.json").read_text())
    assert stored["planners"]["mine"]["distance"] == stored["distance"] == "straight"
    assert stored["episode_steps"] == 400 and stored["chosen"] == ["episode_steps", "difficulty"]


def test_a_long_name_of_an_env_shifts_nothing():
    summary = evaluate_planners(Stub(), ["none"], range(3)).summary
    short, long = (table(env, summary).splitlines() for env in ("Walk", "some/folder/of_a_user.py:Harbour"))
    assert long[0] == "some/folder/of_a_user.py:Harbour" and long[1][4:] == short[0][4:] and long[2:] == short[1:]


def test_a_planner_that_never_planned_is_named():
    done = str(evaluate_planners(Stub(), ["none", "replay"], range(3)))
    assert "replay never planned: every goal counted as near (<= 5 env steps); it is the bare agent" in done
    assert "none never" not in done


class FindsNone(Towards):
    """Searches three times an episode, in vain."""

    replans, failed_plans, plan_ms, nodes = 2, 3, (1.0, 1.0, 1.0), 0

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return super().predict(observation)[0], (self,) * len(observation["observation"])


def test_searches_that_failed_and_goals_out_of_reach_are_counted(monkeypatch):
    monkeypatch.setattr(Stub, "policy", lambda self, name, setting: FindsNone())
    done = str(evaluate_planners(Stub(), ["replay"], range(6)))
    assert "replay never planned: each of its 18 searches failed" in done
    assert "2 of 6 goals: nobody ever got from there to here" in done  # seeds 1 and 4 start at 1


def test_other_settings_and_other_files_are_refused_and_what_is_there_stays(tmp_path):
    evaluate_planners(Stub(), ["none"], range(3), out=tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for run, setting, word in ((Stub(), Setting(nodes=7), "nodes"), (Stub(digest="2"), Setting(), "weights")):
        with pytest.raises(OtherResultsError, match=f"other {word}"):
            evaluate_planners(run, ["none"], range(4), setting, tmp_path)
    assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / "evaluation.json").unlink()
    with pytest.raises(OtherResultsError, match="nothing says of what"):
        evaluate_planners(Stub(), ["none"], range(4), out=tmp_path)


def test_the_summary_is_of_all_rows_that_are_there(tmp_path):
    evaluate_planners(Stub(), ["none"], range(3), out=tmp_path)
    table = evaluate_planners(Stub(), ["replay"], range(3), out=tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert list(table) == ["replay"] and list(summary) == ["replay", "none"] and "none" in summary["replay"]["minus"]


def test_an_episode_that_is_not_finite_leaves_no_row(tmp_path):
    evaluate_planners(Stub(), ["none"], range(25), out=tmp_path)
    with pytest.raises(NotFiniteError, match=r"Walk \(seed 27\): achieved_goal\[0\] is nan at step 2"):
        evaluate_planners(Stub(spoilt_seed=27), ["none"], range(50), out=tmp_path)
    assert {row.seed for row in ResultsFile(tmp_path / "results.csv").rows} == set(range(25))


def test_doubled_rows_of_old_are_mended(tmp_path):
    rows = [row("none", seed, True, 7) for seed in range(4)]
    (tmp_path / "results.csv").write_text(rows_to_csv([*rows, *rows[1:3]]))
    assert ResultsFile(tmp_path / "results.csv").rows == rows
    assert (tmp_path / "results.csv").read_text() == rows_to_csv(rows)


def write(out, begin, planners, setting):
    """In a process of its own: 0 when all went well, 3 when it was refused."""
    begin.wait()
    try:
        for names in planners:
            evaluate_planners(Stub(), names, range(100), setting, out)
    except OtherResultsError:
        raise SystemExit(3) from None


def at_once(out, planners, settings):
    """One process per setting, all of which begin at the same moment -> their exit codes."""
    context = get_context("fork")  # which has imported everything already
    begin = context.Barrier(len(settings))
    processes = [context.Process(target=write, args=(out, begin, planners, setting)) for setting in settings]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    return [process.exitcode for process in processes]


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_commands_at_once_neither_double_nor_lose_rows(tmp_path, count):
    """Three tries; in each the processes run the same planners, two after two: they get into each other's way every time."""
    for attempt in range(3):
        out = tmp_path / str(attempt)
        assert at_once(out, [["a", "b"], ["c", "d"]], [Setting()] * count) == [0] * count
        lines = (out / "results.csv").read_text().splitlines()[1:]
        assert len(lines) == len({tuple(line.split(",")[1:3]) for line in lines}) == 400
        assert set(json.loads((out / "evaluation.json").read_text())["planners"]) == set("abcd")
        assert json.loads((out / "summary.json").read_text())["d"]["episodes"] == 100


def test_of_two_commands_at_once_with_other_settings_one_is_refused(tmp_path):
    for attempt in range(3):
        out = tmp_path / str(attempt)
        assert sorted(at_once(out, [["a"]], [Setting(nodes=1), Setting(nodes=2)])) == [0, 3]
        assert len((out / "results.csv").read_text().splitlines()) == 101
