import json

import numpy as np
import pytest
import torch

from thalweg.planner.storage import (
    DamagedError,
    arrays_to_bytes,
    bytes_to_arrays,
    bytes_to_tensors,
    manifest,
    read_file,
    stored_names,
    tensors_to_bytes,
    verify,
    write_files,
)

FILES = {"a.json": b'{"x": 1}\n', "sub/b.bin": bytes(range(200))}


@pytest.fixture
def folder(tmp_path):
    write_files(tmp_path / "run", FILES)
    return tmp_path / "run"


def test_what_is_written_is_read(folder):
    assert {name: read_file(folder, name) for name in verify(folder)} == FILES


def test_a_replaced_file_exists_once(folder):
    for content in (b"new", b"newer", b"newer", b"newest"):
        write_files(folder, {"a.json": content})
        assert read_file(folder, "a.json") == content and read_file(folder, "sub/b.bin") == FILES["sub/b.bin"]
    assert len(list(folder.glob("a*.json"))) == 1 and not list(folder.rglob("*.part"))


def test_a_kill_before_the_manifest_leaves_the_old_state(folder, monkeypatch):
    replace = manifest.replace_file

    def killed(path, *rest):
        if path.name == "manifest.json":
            raise KeyboardInterrupt
        replace(path, *rest)

    monkeypatch.setattr(manifest, "replace_file", killed)
    with pytest.raises(KeyboardInterrupt):
        write_files(folder, {"a.json": b"new"})
    assert read_file(folder, "a.json") == FILES["a.json"]


@pytest.mark.parametrize("name", ["manifest.json", *FILES])
def test_every_flipped_byte_and_every_cut_is_noticed(folder, name):
    path = folder / name
    intact = path.read_bytes()
    broken = [intact[:i] + bytes([intact[i] ^ 1]) + intact[i + 1 :] for i in range(len(intact))]
    broken += [intact[:cut] for cut in range(0, len(intact), 7)] + [intact + b"\n"]
    for content in broken:
        path.write_bytes(content)
        with pytest.raises(DamagedError, match=path.name):
            verify(folder)
    path.unlink()
    with pytest.raises(DamagedError):
        verify(folder)


def test_an_unlisted_file_is_not_read(folder):
    (folder / "c.json").write_text(json.dumps(1))
    with pytest.raises(DamagedError, match=r"holds no c\.json"):
        read_file(folder, "c.json")


def test_tensors_and_arrays_round_trip_and_hold_no_nan():
    tensors = {"w": torch.arange(6.0).reshape(2, 3)}
    assert torch.equal(bytes_to_tensors(tensors_to_bytes(tensors))["w"], tensors["w"])
    arrays = {"s": np.arange(6.0).reshape(2, 3)}
    assert np.array_equal(bytes_to_arrays(arrays_to_bytes(arrays))["s"], arrays["s"])
    with pytest.raises(FloatingPointError, match="w holds"):
        tensors_to_bytes({"w": torch.tensor([1.0, torch.nan])})


def test_arrays_that_hide_code_are_refused():
    import io

    stream = io.BytesIO()
    np.savez(stream, s=np.array([{}], dtype=object))
    with pytest.raises(DamagedError, match="not numbers"):
        bytes_to_arrays(stream.getvalue())


def test_a_file_that_is_removed_is_gone_and_the_others_stay(tmp_path):
    write_files(tmp_path, {"a.json": b"1", "b.json": b"2"})
    write_files(tmp_path, {"c.json": b"3"}, remove=["a.json", "never.json"])
    assert stored_names(tmp_path) == ["b.json", "c.json"] and not (tmp_path / "a.json").exists()
    with pytest.raises(DamagedError, match=r"a\.json"):
        read_file(tmp_path, "a.json")
