"""What this processor makes of products in bfloat16."""

from __future__ import annotations

import warnings
from pathlib import Path

_NATIVE = {"avx512_bf16", "amx_bf16", "bf16"}  # the last one is what ARM's call it


def native_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool | None:
    """Does the processor multiply in bfloat16 itself? None where that cannot be told."""
    try:
        text = cpuinfo.read_text()
    except OSError:
        return None
    flags = {word for line in text.splitlines() if line.lower().startswith(("flags", "features")) for word in line.split()}
    return bool(flags & _NATIVE) if flags else None


def warn_of_slow_bfloat16(precision: str, device: str) -> None:
    """One line, where updates in bfloat16 would be slower than in float32."""
    if precision == "bfloat16" and device == "cpu" and native_bfloat16() is False:
        warnings.warn(
            "this processor has no bfloat16 of its own (neither avx512_bf16 nor amx_bf16): updates take up to twice as long as "
            "in float32; leave precision (--agent.precision) out",
            stacklevel=3,
        )
