"""Files that can be trusted: written whole or not at all, checked on reading, never code, and never outside their folder.

A run folder is data, and may be a stranger's: what it says of itself is checked before it is followed, and whatever is wrong
with it is a DamagedError of one line.
"""

from .files import DamagedError, NotWrittenError, append, check_in_place, named_folder, read_inside, replace_file
from .fitted import fit_once
from .formats import (
    arrays_to_bytes,
    bytes_to_arrays,
    bytes_to_json,
    bytes_to_tensors,
    json_to_bytes,
    tensors_to_bytes,
)
from .locks import fitting, locked
from .manifest import MANIFEST, read_file, stored_digests, stored_names, verify, write_files
from .readers import as_damage, read_arrays, read_json, read_tensors, settings_from

__all__ = [
    "MANIFEST",
    "DamagedError",
    "NotWrittenError",
    "append",
    "arrays_to_bytes",
    "as_damage",
    "bytes_to_arrays",
    "bytes_to_json",
    "bytes_to_tensors",
    "check_in_place",
    "fit_once",
    "fitting",
    "json_to_bytes",
    "locked",
    "named_folder",
    "read_arrays",
    "read_file",
    "read_inside",
    "read_json",
    "read_tensors",
    "replace_file",
    "settings_from",
    "stored_digests",
    "stored_names",
    "tensors_to_bytes",
    "verify",
    "write_files",
]
