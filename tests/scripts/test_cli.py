"""What all commands share: numbers as they are typed, errors in one line, folders, exit codes."""

import io
import math
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

import thalweg.progress
from thalweg.agents.config import AgentConfig
from thalweg.envs.guard import EnvError
from thalweg.envs.loading import load_env
from thalweg.planner.checks import CheckError
from thalweg.planner.energy.config import EnergyConfig, ProposalConfig, SamplingConfig, TransitionConfig
from thalweg.planner.errors import BadInput, unknown_name
from thalweg.planner.plan import NoPathError
from thalweg.planner.storage import DamagedError
from thalweg.scripts import __main__ as thalweg_command
from thalweg.scripts.arguments import finite_number, parse, whole_number
from thalweg.scripts.cli import UsageError, check_file_of, check_ranges, exit_code_of, make_folder, parse_seeds, progress_bar, run


@dataclass(frozen=True, kw_only=True)
class Some:
    out: Path | None = None
    steps: int = 3
    goal: tuple[float, ...] | None = None
    kind: Literal["one", "two"] | None = None
    share: float | None = None


def typed(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["some", *arguments])
    return parse(Some, "some", "Some.")


@pytest.mark.parametrize(("text", "value"), [("30000", 30_000), ("30_000", 30_000), ("3e4", 30_000), ("-7", -7), ("2.50e2", 250)])
def test_whole_numbers_may_be_written_as_powers_of_ten(text, value):
    number = whole_number(text)
    assert number == value and isinstance(number, int)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        *((text, "no whole number") for text in ("3.5", "nan", "inf", "x", "", "1e-3")),
        *((text, "64 bits") for text in ("1e999999999", "9" * 4_000, "9223372036854775808")),
    ],
)
def test_what_is_no_whole_number_is_refused(text, word):
    with pytest.raises(ValueError, match=word):
        whole_number(text)


def test_numbers_are_finite():
    assert finite_number("1e-3") == 0.001
    for text in ("nan", "inf", "-inf", "1e999"):
        with pytest.raises(ValueError, match="no finite number"):
            finite_number(text)


def test_an_option_that_may_be_left_out_is_typed_as_if_it_might_not(monkeypatch, capsys):
    assert typed(monkeypatch) == Some()
    given = typed(monkeypatch, "--steps", "3e4", "--goal", "1", "-2e1", "--kind", "two", "--share", "1", "--out", "here")
    assert given == Some(steps=30_000, goal=(1.0, -20.0), kind="two", share=1.0, out=Path("here"))
    assert typed(monkeypatch, "--goal", "None", "--kind", "None") == Some()
    with pytest.raises(SystemExit) as end:
        typed(monkeypatch, "--help")
    shown = capsys.readouterr().out
    assert end.value.code in (None, 0) and "--share FLOAT" in shown and "--kind {one,two}" in shown and "{None}" not in shown


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])  # tyro draws its boxes by what the terminal knows
@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--stps", "3"), "Unrecognized options: --stps, 3; did you mean --steps? some --help tells all options"),
        (("--steps", "x"), "Error parsing --steps: 'x' is no whole number; some --help tells all options"),
        (
            ("--kind", "tow"),
            "invalid choice 'tow' for argument '--kind'. Expected one of ('one', 'two', 'None'); did you mean two? "
            "some --help tells all options",
        ),
        (
            ("--goal", "1", "inf"),
            "Error parsing --goal: Could not find valid parse for arguments: ['1', 'inf']; some --help tells all options",
        ),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(monkeypatch, encoding, arguments, line):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    with pytest.raises(UsageError) as told:
        typed(monkeypatch, *arguments)
    assert str(told.value) == line


def test_a_name_that_nobody_knows_is_answered_with_the_nearest():
    assert str(unknown_name("planner", "enrgy", ["box", "energy"])).startswith("planner 'enrgy' is unknown; did you mean energy?")
    assert "did you mean" not in str(unknown_name("planner", "miles", ["box", "energy"]))


@pytest.mark.parametrize(
    ("text", "seeds"), [("3", [0, 1, 2]), ("5:8", [5, 6, 7]), ("1,5,9", [1, 5, 9]), ("7,", [7]), ("4294967295,", [2**32 - 1])]
)
def test_seeds(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    "text", ["", "0", "-3", "5:5", "3:1", "a", "1:2:3", "1,,2", "1.5", "1,1", "-1,2", ",", "1e3", "4294967296,", "9" * 11]
)
def test_seeds_that_will_not_do(text):
    with pytest.raises(UsageError, match="--seeds"):
        parse_seeds(text)


def test_a_folder_that_cannot_be_written_is_refused_before_any_work(tmp_path):
    make_folder(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/none"), tmp_path / ("x" * 300), tmp_path / "a\0b"):
        with pytest.raises(UsageError, match=r"--out .* cannot be a folder"):
            make_folder(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    (tmp_path / "mine.py").touch()
    for name in ("PointMass-v0", "module:Id-v0", f"{tmp_path}/mine.py:Mine", f"{tmp_path}/mine.py"):
        check_file_of("--env", name)
    for name in (f"{tmp_path}/absent.py:Mine", f"{tmp_path}/absent.py"):
        with pytest.raises(UsageError, match=r"--env .*there is no file .*absent\.py"):
            check_file_of("--env", name)


def test_numbers_out_of_range_are_named():
    check_ranges(Some(goal=(0.0, 5.0)), steps=(3, 3), goal=(0, 5), share=(0, 1))
    with pytest.raises(UsageError, match="--steps must be at least 4, got 3"):
        check_ranges(Some(), steps=(4, 5))
    with pytest.raises(UsageError, match=r"--goal must be at most 4, got 5\.0"):
        check_ranges(Some(goal=(0.0, 5.0)), goal=(0, 4))


@pytest.mark.parametrize(
    "make",
    [
        lambda: AgentConfig(tau=2.0), lambda: AgentConfig(tau=math.nan), lambda: AgentConfig(hidden=()),
        lambda: AgentConfig(hidden=(64, 0)), lambda: AgentConfig(hidden=(10**9,)), lambda: AgentConfig(learning_rate=math.inf),
        lambda: AgentConfig(arrival_moves=math.nan), lambda: AgentConfig(num_envs=10**9),
        lambda: EnergyConfig(noise=math.nan), lambda: EnergyConfig(hidden=10**9), lambda: EnergyConfig(l2=math.inf),
        lambda: ProposalConfig(kernel_width=math.inf), lambda: SamplingConfig(temperature=math.nan),
        lambda: SamplingConfig(proposals=10**12), lambda: TransitionConfig(spread=math.nan),
    ],
)  # fmt: skip
def test_settings_that_no_training_can_have_are_refused(make):
    with pytest.raises(ValueError, match=r"must|shares"):
        make()


def test_errors_that_mean_bad_input_say_their_exit_code():
    for kind in (UsageError, DamagedError, NoPathError, CheckError, EnvError):
        assert exit_code_of(kind("x")) == 2
    assert exit_code_of(MemoryError()) == 2 == exit_code_of(FloatingPointError("x"))
    assert exit_code_of(ValueError("x")) is None and not issubclass(EnvError, BadInput)


def ended(monkeypatch, capsys, command):
    monkeypatch.setattr(sys, "argv", ["some"])
    monkeypatch.setattr(command, "__module__", __name__)
    with pytest.raises(SystemExit) as end:
        run(command, Some)
    return end.value.code, capsys.readouterr().err


def test_a_command_ends_with_its_own_exit_code(monkeypatch, capsys):
    assert ended(monkeypatch, capsys, lambda options: 1) == (1, "")
    run(lambda options: None, Some)


def test_code_that_ends_the_program_is_named(monkeypatch, capsys):
    """0, too, would look like success to whoever started the command."""

    def leave(options):
        sys.exit(0)

    code, told = ended(monkeypatch, capsys, leave)
    assert code == 2 and "test_cli.py, line " in told and "ends the program (sys.exit(0))" in told and told.count("\n") == 1


def test_an_error_of_several_lines_is_one(monkeypatch, capsys):
    def fail(options):
        raise UsageError("one\n  two")

    assert ended(monkeypatch, capsys, fail) == (2, "error: one two\n")


def test_an_interrupted_command_says_what_is_kept(monkeypatch, capsys):
    def stop(options):
        raise KeyboardInterrupt("all is kept")

    assert ended(monkeypatch, capsys, stop) == (130, "interrupted: all is kept\n")


LEAVING = """
import sys
from thalweg.envs.point_mass import PointMass

class Leaving(PointMass):
    def step(self, action):
        sys.exit("enough")
"""


def test_an_env_that_ends_the_program_fails_as_any_other_does(tmp_path):
    """So that a training keeps what it has."""
    (tmp_path / "leaving.py").write_text(LEAVING)
    with pytest.raises(EnvError, match=r"failed in step 1: it ends the program \(sys.exit\('enough'\)\)"):
        load_env(f"{tmp_path}/leaving.py:Leaving")


def test_an_env_that_does_not_know_a_setting_is_told_which(tmp_path):
    (tmp_path / "plain.py").write_text("class Plain:\n    def __init__(self, size=3): ...\n")
    with pytest.raises(EnvError, match="Plain does not know difficulty"):
        load_env(f"{tmp_path}/plain.py:Plain", difficulty=0.5)


def test_progress_in_a_file_is_plain_lines(monkeypatch, capsys):
    clock = iter(range(0, 1_000, 8))
    monkeypatch.setattr(thalweg.progress.time, "monotonic", lambda: float(next(clock)))
    with progress_bar(1_000, "fit") as bar:
        for _ in range(5):
            bar.update(100)
        bar.set_postfix_str("loss 0.5")
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["fit: 200/1,000, 24 s", "fit: 400/1,000, 48 s", "fit: 500/1,000, 64 s, loss 0.5"]


def test_progress_that_is_not_shown_is_silent(capsys):
    with progress_bar(3, "fit", shown=False) as bar:
        bar.update()
    with progress_bar(None, "fit") as bar:
        bar.update(2)
    assert capsys.readouterr().err == "fit: 2, 0 s\n"


def outcome(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["thalweg", *arguments])
    code = 0
    try:
        thalweg_command.main()
    except SystemExit as end:
        code = end.code or 0
    return code, *capsys.readouterr()


def test_thalweg_tells_its_commands(monkeypatch, capsys):
    for arguments in ((), ("--help",), ("help",)):
        code, out, _ = outcome(monkeypatch, capsys, *arguments)
        assert code == 0 and all(f"  {name} " in out for name in thalweg_command.COMMANDS)
    assert outcome(monkeypatch, capsys, "trian")[0] == 2
    code, out, err = outcome(monkeypatch, capsys, "trian")
    assert out == "" and "did you mean train?" in err and err.count("\n") == 1
    code, out, _ = outcome(monkeypatch, capsys, "--version")
    assert code == 0 and out.startswith("thalweg ") and out.strip()[-1].isdigit()


def test_thalweg_runs_a_command_and_speaks_of_it_so(monkeypatch, capsys):
    code, _, err = outcome(monkeypatch, capsys, "toy", "--density", "spirl", "--out", "unused")
    assert code == 2 and "did you mean spiral? thalweg toy --help" in err
    code, out, _ = outcome(monkeypatch, capsys, "toy", "--help")
    assert code == 0 and "Example: thalweg toy --density" in out and "python -m" not in out
    code, _, err = outcome(monkeypatch, capsys, "bench", "envs", "--out", "unused", "--repeats", "0")
    assert code == 2 and err == "error: --repeats must be at least 1, got 0\n"


def test_completion_knows_commands_and_their_options(monkeypatch, capsys):
    code, out, _ = outcome(monkeypatch, capsys, "--completion", "bash")
    assert code == 0 and "--density" in out and "trajectory" in out and "complete -F" in out
    assert outcome(monkeypatch, capsys, "--completion", "fish")[0] == 2


HEAVY = {"torch", "numpy", "scipy", "gymnasium", "stable_baselines3", "matplotlib", "networkx", "safetensors", "PIL", "tqdm"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["", *thalweg_command.COMMANDS])
def test_help_imports_nothing_heavy(name):
    arguments = ["-X", "importtime", "-m", "scripts", *([name] if name else []), "--help"]
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
    assert done.returncode == 0 and "usage: thalweg" in done.stdout
    assert not HEAVY & {line.split("|")[-1].strip() for line in done.stderr.splitlines()}


def test_importing_thalweg_imports_nothing_heavy():
    done = subprocess.run([sys.executable, "-X", "importtime", "-c", "import thalweg"], capture_output=True, text=True)
    assert done.returncode == 0 and not (HEAVY | {"tyro"}) & {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
