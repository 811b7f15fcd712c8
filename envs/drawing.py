"""Frames of a walled world, drawn with Pillow: small, sharp, and the same on every machine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from .walls import WallMap

_FRAME = 400  # longer side of a frame [pixels]
_OVERSAMPLE = 3  # drawn larger, then shrunk, for smooth edges
_WALL, _FREE, _TRAIL, _MASS, _GOAL = "#3b4252", "#f7f7f5", "#8fb3d9", "#2f6db5", "#d1495b"


def draw_world(world: WallMap, position: NDArray, goal: NDArray, tolerance: float, trail: NDArray) -> NDArray[np.uint8]:
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
    if len(trail) > 1:
        canvas.line([pixel(point) for point in trail], fill=_TRAIL, width=2 * _OVERSAMPLE, joint="curve")
    least = 4 * _OVERSAMPLE / scale  # marks stay visible in large worlds
    canvas.ellipse(disc(goal, max(tolerance, least)), outline=_GOAL, width=2 * _OVERSAMPLE)
    canvas.ellipse(disc(goal, least / 3), fill=_GOAL)
    canvas.ellipse(disc(position, least), fill=_MASS)
    return np.asarray(image.resize((width // _OVERSAMPLE, height // _OVERSAMPLE), Image.Resampling.LANCZOS))
