"""Several processes on one folder: nothing lost, nothing doubled, nothing half read, nothing fitted twice."""

import multiprocessing
import os
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from thalweg.planner.storage import (
    DamagedError,
    NotWrittenError,
    append,
    fit_once,
    fitting,
    locked,
    read_file,
    replace_file,
    stored_digests,
    stored_names,
    verify,
    write_files,
)

TRIES, WRITES = 20, 8


def together(*works):
    """Each in a process of its own, all begun before any begins; the processes' exit codes."""
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(len(works))

    def begin(work, arguments):
        barrier.wait(60)
        work(*arguments)

    processes = [context.Process(target=begin, args=(work, arguments)) for work, *arguments in works]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    return [process.exitcode for process in processes]


def write_many(folder, who):
    for i in range(WRITES):
        files = {f"samplers/{who}-{i}.json": b"%d" % i, "shared.json": f"{who} {i}".encode()}
        write_files(folder, files, remove=[f"old-{who}-{i}"])


def read_many(folder):
    for _ in range(40):
        content = read_file(folder, "shared.json").decode()
        assert content == "begun" or content[0] in "abc"
        assert read_file(folder, "kept.bin") == bytes(1_000)


@pytest.mark.slow
def test_writers_lose_nothing_and_a_reader_never_fails(tmp_path):
    """Two to four processes, 20 tries."""
    for attempt in range(TRIES):
        folder, writers = tmp_path / str(attempt), "abc"[: 1 + attempt % 3]
        old = {f"old-{who}-{i}": b"" for who in writers for i in range(WRITES)}
        write_files(folder, {"kept.bin": bytes(1_000), "shared.json": b"begun", **old})
        codes = together((read_many, folder), *[(write_many, folder, who) for who in writers])
        assert codes == [0] * (1 + len(writers))
        names = [f"samplers/{who}-{i}.json" for who in writers for i in range(WRITES)]
        assert verify(folder) == sorted(["kept.bin", "shared.json", *names])
        files = [path for path in folder.rglob("*") if path.is_file() and path.name not in (".lock", "manifest.json")]
        assert len(files) == len(names) + 2  # nor is there a second version, or a temporary file


def fit_slowly(folder, log):
    def fit():
        append(log, b"fitted\n")
        time.sleep(0.05)
        return {"distances/q.bin": os.urandom(32), "distances/q.json": b"{}"}

    def say(line):
        append(log.with_name("said"), line.encode())

    files = fit_once(folder, ["distances/q.bin", "distances/q.json"], fit, say, {})
    append(log.with_name("got"), files["distances/q.bin"].hex().encode() + b"\n")


def test_of_four_that_need_a_model_one_fits_it(tmp_path):
    for attempt in range(TRIES // 4):
        folder, log = tmp_path / f"run-{attempt}", tmp_path / f"log-{attempt}" / "fitted"
        write_files(folder, {"config.json": b"{}"})
        log.parent.mkdir()
        assert together(*[(fit_slowly, folder, log)] * 4) == [0] * 4
        assert log.read_bytes() == b"fitted\n"
        assert log.with_name("got").read_text().split() == [read_file(folder, "distances/q.bin").hex()] * 4
        assert "waiting for it" in log.with_name("said").read_text()


def append_rows(folder, who):
    for i in range(50):
        with locked(folder, ".results.lock"):
            append(folder / "results.csv", f"{who},{i}\n".encode())


def test_rows_are_whole_and_all_there(tmp_path):
    assert together(*[(append_rows, tmp_path, who) for who in "abcd"]) == [0] * 4
    rows = (tmp_path / "results.csv").read_text().splitlines()
    assert sorted(rows) == sorted(f"{who},{i}" for who in "abcd" for i in range(50))


def die_while_writing(folder):
    with locked(folder):
        (folder / ".big.bin.part").write_bytes(b"half")
        os._exit(9)


def test_a_killed_process_leaves_neither_lock_nor_remains(tmp_path):
    write_files(tmp_path, {"big.bin": b"whole"})
    assert together((die_while_writing, tmp_path)) == [9]
    assert read_file(tmp_path, "big.bin") == b"whole"
    write_files(tmp_path, {"new.bin": b"1"}, remove=["big.bin"])
    write_files(tmp_path, {"big.bin": b"anew"})
    assert not (tmp_path / ".big.bin.part").exists() and stored_names(tmp_path) == ["big.bin", "new.bin"]


def test_what_was_derived_from_a_file_that_changed_meanwhile_is_not_stored(tmp_path):
    write_files(tmp_path, {"policy.bin": b"1"})
    before = stored_digests(tmp_path)

    def fit():
        write_files(tmp_path, {"policy.bin": b"2"})  # a training goes on in another process
        return {"distance.bin": b"of 1"}

    with pytest.raises(DamagedError, match="changed by another command"):
        fit_once(tmp_path, ["distance.bin"], fit, print, before)
    assert stored_names(tmp_path) == ["policy.bin"]


@contextmanager
def read_only(folder):
    """For everyone but root, who may write anywhere: so as somebody else, for the time being."""
    root = os.geteuid() == 0
    folder.chmod(0o555)
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)


@pytest.fixture
def open_folder():
    """One that another user can reach, too, which pytest's are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


@pytest.mark.parametrize("cache", [True, False])
def test_a_run_that_cannot_be_written_to_is_read_and_left_alone(open_folder, monkeypatch, cache):
    run = open_folder / "run"
    write_files(run, {"config.json": b"{}"})
    monkeypatch.setenv("XDG_CACHE_HOME", str(open_folder / "cache" if cache else run / "cache"))
    fitted, said = [], []

    def fit():
        fitted.append(1)
        return {"distances/q.bin": b"model"}

    before = sorted(run.rglob("*"))
    with read_only(run):
        assert verify(run) == ["config.json"]
        for _ in range(2):
            assert fit_once(run, ["distances/q.bin"], fit, said.append, {}) == {"distances/q.bin": b"model"}
        with fitting(run, "q") as may_be_written:
            assert not may_be_written
        with pytest.raises(NotWrittenError, match="Permission denied"):
            write_files(run, {"a.json": b""})
        with pytest.raises(NotWrittenError, match="Permission denied"):
            replace_file(run / "plan.json", b"")
    assert sorted(run.rglob("*")) == before
    assert len(fitted) == len(said) == (1 if cache else 2) and "cannot be written to" in said[0]
