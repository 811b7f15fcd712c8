"""What the files of a run are made of: JSON, safetensors, npz without objects; and refusals of what is none of these."""

from __future__ import annotations

import io
import json
import math
import os
import zipfile
from collections.abc import Mapping
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from .files import DamagedError, one_line

_PACKED_AT_MOST, _NO_BOMB = 200, 1 << 28  # times smaller than unpacked; bytes that may be unpacked from anything
_ARRAYS = 1_000  # in a file
_HEADER = 10_000  # characters
_DTYPES = {torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.uint8, torch.bool}


def json_to_bytes(value: Any) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def bytes_to_json(content: bytes, what: str = "this file") -> Any:
    """DamagedError if it is no JSON, is nested too deeply, or holds a NaN. Infinite bounds of a space are stored, and read."""

    def constant(name: str) -> float:
        if name == "NaN":
            raise ValueError("it holds a NaN")
        return float(name)

    try:
        return json.loads(content, parse_constant=constant)
    except (ValueError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else one_line(error)
        raise DamagedError(f"{what} is no JSON of a run ({why}); restore it from a copy or train the run again") from None


def tensors_to_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """Safetensors. FloatingPointError, naming the tensor, if one holds a NaN or an infinity."""
    for name, values in tensors.items():
        if not values.isfinite().all():
            raise FloatingPointError(f"{name} holds values that are not finite; nothing was saved")
    return save_tensors({name: values.detach().cpu().contiguous() for name, values in tensors.items()})


def bytes_to_tensors(content: bytes, what: str = "this file") -> dict[str, Tensor]:
    """DamagedError if it is no safetensors file, or holds what `tensors_to_bytes` would not have written."""
    try:
        tensors = load_tensors(content)
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError, OverflowError) as error:
        raise DamagedError(f"{what} is not a safetensors file: {one_line(error)}") from None
    for name, values in tensors.items():
        if values.dtype not in _DTYPES:
            raise DamagedError(f"{what}: {name[:80]!r} has the dtype {values.dtype}, which no run holds; train the run again")
        if not values.isfinite().all():
            raise DamagedError(f"{what}: {name[:80]!r} holds values that are not finite; train the run again")
    return tensors


def arrays_to_bytes(arrays: Mapping[str, NDArray], compress: bool = True) -> bytes:
    stream = io.BytesIO()
    (np.savez_compressed if compress else np.savez)(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def bytes_to_arrays(content: bytes, what: str = "this file") -> dict[str, NDArray]:
    """DamagedError if it is no npz file of numbers, all finite, or would unpack to more than it can honestly hold."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            _check_sizes(members, len(content), what)
            for member in members:
                _check_header(archive, member, what)
            arrays = {member.filename.removesuffix(".npy"): _array(archive, member) for member in members}
    except (zipfile.BadZipFile, zipfile.LargeZipFile, ValueError, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise DamagedError(f"{what} is no npz file of a run: {one_line(error)}") from None
    except Exception as error:  # zlib.error and SyntaxError, which are kin to none of the above
        raise (
            error if isinstance(error, DamagedError) else DamagedError(f"{what} is no npz file of a run: {one_line(error)}")
        ) from None
    for name, values in arrays.items():
        if values.ndim and values.dtype.kind == "f" and not np.isfinite(values).all():
            raise DamagedError(f"{what}: {name[:80]!r} holds values that are not finite; train the run again")
    return arrays


def _check_sizes(members: list[zipfile.ZipInfo], packed: int, what: str) -> None:
    names = [member.filename for member in members]
    if len(names) > _ARRAYS or len(set(names)) < len(names) or not all(name.endswith(".npy") for name in names):
        raise DamagedError(f"{what} holds too many files, one of them twice, or one that is no array; train the run again")
    unpacked = sum(member.file_size for member in members)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if unpacked > _PACKED_AT_MOST * packed + _NO_BOMB:
        raise DamagedError(
            f"{what} would grow from {packed} to {unpacked} bytes when it is unpacked, as nothing that was driven does"
        )
    if unpacked > memory:
        raise DamagedError(f"{what} holds {unpacked} bytes of arrays, and this machine's memory {memory}; take a larger one")


def _check_header(archive: zipfile.ZipFile, member: zipfile.ZipInfo, what: str) -> None:
    """Before anything is unpacked: plain numbers, as many as the shape says."""
    with archive.open(member) as stream:
        shape, dtype = _header(stream)
        size = member.file_size - stream.tell()
    if dtype.kind not in "biuf":
        raise DamagedError(f"{what}: {member.filename[:80]!r} holds {dtype}, not numbers; do not use this run")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != size:
        raise DamagedError(
            f"{what}: {member.filename[:80]!r} has not the {str(shape)[:80]} numbers that it promises; train again"
        )


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream, _HEADER)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(stream, _HEADER)
    else:
        raise ValueError(f"its arrays are of version {version}")
    return shape, dtype


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray:
    with archive.open(member) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)
