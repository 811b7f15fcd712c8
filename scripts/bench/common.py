"""What the benchmarks share."""

from __future__ import annotations

from typing import Any


def make_row(what: str, unit: str, against: str, values: dict[str, list[float]]) -> dict[str, Any]:
    import numpy as np

    ours, peer = float(np.median(values["ours"])), float(np.median(values["peer"]))
    ratio = ours / peer if peer else None
    return {"what": what, "unit": unit, "ours": ours, "peer": peer, "ratio": ratio, "against": against, "repeats": values}


def tick(bar: Any) -> None:
    bar.update()
