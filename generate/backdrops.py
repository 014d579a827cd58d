"""What lies behind the things: five places, in two styles, as colours of points of the world.

Colours are pale, so that strong hues belong to things alone. Stars, flowers and grain are the same in every scene: what
nobody asks for is not worth a small model's capacity. Points are given in world coordinates, which a moving
camera leaves the unit square with.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["HORIZON", "backdrop"]

Floats = npt.NDArray[np.floating[Any]]
HORIZON = 0.64

# top of the sky or wall, its lower edge, near ground, far ground (RGB in 0..1)
PALETTES = {
    "day": ((0.60, 0.78, 0.94), (0.87, 0.93, 0.97), (0.80, 0.74, 0.60), (0.70, 0.65, 0.54)),
    "night": ((0.17, 0.18, 0.25), (0.27, 0.28, 0.36), (0.33, 0.33, 0.37), (0.26, 0.26, 0.30)),
    "studio": ((0.58, 0.59, 0.61), (0.74, 0.74, 0.74), (0.50, 0.50, 0.50), (0.72, 0.72, 0.71)),
    "meadow": ((0.74, 0.87, 0.93), (0.92, 0.95, 0.93), (0.62, 0.76, 0.55), (0.72, 0.82, 0.64)),
    "street": ((0.78, 0.80, 0.84), (0.88, 0.88, 0.89), (0.46, 0.46, 0.48), (0.52, 0.52, 0.54)),
}


def backdrop(name: str, flat: bool, seed: int, x: Floats, y: Floats, pixel: float) -> Floats:
    """Colours (H x W x 3, 0..1) of world points ``x, y`` (H x W); ``pixel``: the size of one, for soft edges."""
    rng = np.random.default_rng(seed if name in ("day", "meadow") else 7)
    top, low, near, far = (np.array(c, np.float32) for c in PALETTES[name])
    sky: Floats = top + (low - top) * (y / HORIZON)[..., None]
    ground: Floats = far + (near - far) * ((y - HORIZON) / (1 - HORIZON))[..., None]
    if flat:
        sky, ground = np.broadcast_to((top + low) / 2, sky.shape).copy(), np.broadcast_to(near, ground.shape).copy()
    edge = HORIZON + (0.025 * np.sin(9 * x + 1) if name == "meadow" else 0)
    blend = _cover((edge - y) / (1 if flat or name != "studio" else 12), pixel)[..., None]
    picture: Floats = np.asarray(sky * blend + ground * (1 - blend), np.float32)
    picture = {"day": _clouds, "night": _stars, "studio": _panels, "meadow": _meadow, "street": _street}[name](
        picture, rng, flat, x, y, pixel
    )
    if flat:
        return picture
    import cv2

    grain = np.random.default_rng(8).standard_normal((24, 48)).astype(np.float32)  # twice as wide, for cameras that pan
    at = (x + 0.5) * 24 - 0.5, y * 24 - 0.5
    texture = cv2.remap(
        grain, at[0].astype(np.float32), at[1].astype(np.float32), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    return np.asarray(picture * (1 + 0.03 * texture[..., None] * (1 - 0.7 * blend)), np.float32)


def _cover(depth: Floats, pixel: float) -> Floats:
    """Share of a pixel inside an edge, from the signed depth in units of the frame."""
    return np.asarray(np.clip(depth / np.float32(pixel) + 0.5, 0.0, 1.0), np.float32)


def _lay(picture: Floats, share: Floats, colour: tuple[float, ...] | float) -> Floats:
    return np.asarray(picture + share[..., None] * (np.asarray(colour, np.float32) - picture), np.float32)


def _clouds(picture: Floats, rng: np.random.Generator, flat: bool, x: Floats, y: Floats, pixel: float) -> Floats:
    for place in (0.18, 0.72, 1.22, -0.3):
        cx, cy = place + rng.uniform(-0.05, 0.05), rng.uniform(0.10, 0.20)
        cloud = np.minimum(
            np.hypot((x - cx) / 1.8, y - cy) - 0.05, np.hypot((x - cx - 0.06) / 1.6, y - cy - 0.02) - 0.04
        )
        picture = _lay(picture, _cover(-cloud / (1 if flat else 5), pixel), 0.97)
    return picture


def _stars(picture: Floats, rng: np.random.Generator, flat: bool, x: Floats, y: Floats, pixel: float) -> Floats:
    for sx, sy, s in zip(rng.uniform(-0.4, 1.4, 22), rng.random(22) * 0.5, rng.uniform(0.005, 0.010, 22), strict=True):
        picture = _lay(picture, _cover(s - np.hypot(x - np.float32(sx), y - np.float32(sy)), pixel), 0.85)
    moon = 0.06 - np.hypot(x - np.float32(0.82), y - np.float32(0.16))
    return _lay(picture, _cover(moon / (1 if flat else 3), pixel), (0.88, 0.88, 0.82))


def _panels(picture: Floats, rng: np.random.Generator, flat: bool, x: Floats, y: Floats, pixel: float) -> Floats:
    line = np.abs(np.mod(x + 0.25, 0.5) - 0.25) - 0.004  # joints of the wall, half a frame apart
    return _lay(picture, _cover(-line, pixel) * _cover(HORIZON - 0.04 - y, pixel) * 0.5, 0.45)


def _meadow(picture: Floats, rng: np.random.Generator, flat: bool, x: Floats, y: Floats, pixel: float) -> Floats:
    for place, height in ((0.12, 0.17), (0.9, 0.13), (1.5, 0.16), (-0.5, 0.15)):
        cx = place + rng.uniform(-0.03, 0.03)
        trunk = np.maximum(np.abs(x - cx) - 0.012, np.abs(y - HORIZON + 0.04) - 0.05)
        picture = _lay(picture, _cover(-trunk, pixel), (0.55, 0.50, 0.44))
        crown = np.hypot(x - cx, (y - HORIZON + 0.07 + height / 2) / 1.2) - height / 2.2
        picture = _lay(picture, _cover(-crown / (1 if flat else 2), pixel), (0.56, 0.68, 0.52))
    same = np.random.default_rng(7)
    for fx, fy in zip(same.uniform(-0.4, 1.4, 16), same.uniform(0.72, 0.96, 16), strict=True):
        picture = _lay(picture, _cover(0.010 - np.hypot(x - np.float32(fx), y - np.float32(fy)), pixel), 0.96)
    return picture


def _street(picture: Floats, rng: np.random.Generator, flat: bool, x: Floats, y: Floats, pixel: float) -> Floats:
    tones = (0.66, 0.58, 0.70, 0.62, 0.68, 0.56)
    for i, tone in enumerate(tones):
        left, height = -0.5 + i / 3, 0.26 + 0.12 * ((i * 7) % 4) / 3
        house = np.maximum(np.abs(x - left - 1 / 6) - 0.158, HORIZON - height - y)
        share = _cover(-house, pixel) * _cover(HORIZON - 0.02 - y, pixel)
        picture = _lay(picture, share, (tone, tone, tone + 0.02))
        wx, wy = np.mod(x - left, 1 / 6) - 1 / 12, np.mod(y - HORIZON + height, 0.12) - 0.065
        window = np.maximum(np.abs(wx) - 0.028, np.abs(wy) - 0.026)
        inside = _cover(-house - 0.02, pixel) * _cover(HORIZON - 0.05 - y, pixel)
        picture = _lay(picture, _cover(-window, pixel) * inside * 0.8, (0.80, 0.82, 0.86))
    kerb = _cover(HORIZON + 0.03 - y, pixel) * _cover(y - HORIZON + 0.02, pixel)
    picture = _lay(picture, kerb, 0.76)
    dash = np.maximum(np.abs(np.mod(x, 0.3) - 0.15) - 0.07, np.abs(y - 0.92) - 0.012)
    return _lay(picture, _cover(-dash, pixel), 0.86)
