"""Frames of a walled world, drawn with Pillow: small, sharp, and the same on every machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from .walls import WallMap

Frame = NDArray[np.uint8]  # (height, width, 3) RGB

_FRAME = 400  # longer side of a frame [pixels]
_OVERSAMPLE = 3  # drawn larger, then shrunk, for smooth edges
_WALL, _FREE, _TRAIL, _MASS, _GOAL = "#3b4252", "#f7f7f5", "#8fb3d9", "#2f6db5", "#d1495b"
_NODE, _EDGE, _PLAN = "#a3aab8", "#d9dce3", "#e9a03b"


@dataclass(frozen=True, eq=False)
class Overlay:
    """What a planner has in mind, drawn under the mass; all in metres."""

    waypoints: NDArray  # (K, 2) planned, the start first
    nodes: NDArray | None = None  # (N, 2) of the graph
    edges: NDArray | None = None  # (E, 2, 2) of the graph, both ends


def draw_world(
    world: WallMap, position: NDArray, goal: NDArray, tolerance: float, trail: NDArray, overlay: Overlay | None = None
) -> Frame:
    """Walls, the trail so far, the mass, and the goal with its tolerance [m] -> (height, width, 3) RGB."""
    scale = _FRAME * _OVERSAMPLE / world.size.max()  # pixels per metre
    width, height = (round(side * scale) for side in world.size)

    def pixel(point: NDArray) -> tuple[float, float]:
        return float(point[0] * scale), float(height - point[1] * scale)  # y points up in the world

    def disc(centre: NDArray, radius: float) -> list[tuple[float, float]]:
        x, y = pixel(centre)
        return [(x - radius * scale, y - radius * scale), (x + radius * scale, y + radius * scale)]

    image = Image.new("RGB", (width, height), _FREE)
    canvas = ImageDraw.Draw(image)
    for low, high in world.walls:
        (left, bottom), (right, top) = pixel(low), pixel(high)
        canvas.rectangle((left, top, right, bottom), fill=_WALL)
    for ends in world.panes:
        canvas.line([pixel(end) for end in ends], fill=_WALL, width=2 * _OVERSAMPLE)
    if overlay is not None:
        for start, end in overlay.edges if overlay.edges is not None else ():
            canvas.line([pixel(start), pixel(end)], fill=_EDGE, width=_OVERSAMPLE // 2)
        for node in overlay.nodes if overlay.nodes is not None else ():
            canvas.ellipse(disc(node, 1.5 * _OVERSAMPLE / scale), fill=_NODE)
    if len(trail) > 1:
        canvas.line([pixel(point) for point in trail], fill=_TRAIL, width=2 * _OVERSAMPLE, joint="curve")
    if overlay is not None:
        canvas.line([pixel(point) for point in overlay.waypoints], fill=_PLAN, width=_OVERSAMPLE, joint="curve")
        for point in overlay.waypoints[1:]:
            canvas.ellipse(disc(point, 2.5 * _OVERSAMPLE / scale), fill=_PLAN)
    least = 4 * _OVERSAMPLE / scale  # marks stay visible in large worlds
    canvas.ellipse(disc(goal, max(tolerance, least)), outline=_GOAL, width=2 * _OVERSAMPLE)
    canvas.ellipse(disc(goal, least / 3), fill=_GOAL)
    canvas.ellipse(disc(position, least), fill=_MASS)
    return np.asarray(image.resize((width // _OVERSAMPLE, height // _OVERSAMPLE), Image.Resampling.LANCZOS))


def checked_frame(frame: object) -> Frame:
    """The frame itself; ValueError unless it is a (height, width, 3) array of uint8."""
    if not isinstance(frame, np.ndarray) or frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
        kind = f"{frame.shape}, {frame.dtype}" if isinstance(frame, np.ndarray) else type(frame).__name__
        raise ValueError(f"a frame must be a (height, width, 3) array of uint8, got {kind}")
    return frame


def gif_bytes(frames: Sequence[Frame], frames_per_second: float) -> bytes:
    """An endless GIF. All frames share one palette, so that nothing flickers. ValueError without frames."""
    if not frames:
        raise ValueError("a GIF needs at least one frame")
    some = np.concatenate([frames[0], frames[len(frames) // 2], frames[-1]])  # what is seen at some time gets a colour
    palette = Image.fromarray(some).quantize(128)
    images = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    pause = round(1_000 / frames_per_second)  # [ms]
    stream = BytesIO()
    images[0].save(stream, "GIF", save_all=True, append_images=images[1:], duration=pause, loop=0, optimize=True)
    return stream.getvalue()
