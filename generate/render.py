"""Draws a :class:`~countermark.generate.world.Scene` as frames, at any size, in either style.

Shapes are signed distances evaluated on a small patch around each thing and blended with one pixel of
antialiasing, so a 32-pixel clip takes milliseconds. Distances follow the usual closed forms (circle, rounded box,
regular polygon and star, see Inigo Quilez, "2D distance functions").
"""

from __future__ import annotations

import colorsys

import numpy as np
import numpy.typing as npt

from countermark.generate.world import FRAMES, GROUND, Scene, Thing, path

__all__ = ["render"]

Floats = npt.NDArray[np.float32]
LIGHT = np.array([-0.50, -0.62, 0.60], np.float32)  # towards the light: left, above, in front
OUTLINE = np.array([0.10, 0.09, 0.12], np.float32)

# top of the sky, its lower edge, near ground, far ground (RGB in 0..1); pale, so that hues belong to things
PALETTES = {
    "day": ((0.60, 0.78, 0.94), (0.87, 0.93, 0.97), (0.80, 0.74, 0.60), (0.70, 0.65, 0.54)),
    "night": ((0.05, 0.06, 0.12), (0.14, 0.15, 0.24), (0.20, 0.20, 0.23), (0.15, 0.15, 0.18)),
    "studio": ((0.58, 0.59, 0.61), (0.74, 0.74, 0.74), (0.50, 0.50, 0.50), (0.72, 0.72, 0.71)),
}
HORIZON = 0.64


def render(scene: Scene, size: int = 256, frames: int = FRAMES, at: int | None = None) -> npt.NDArray[np.uint8]:
    """Frames of a scene: uint8, ``frames`` x ``size`` x ``size`` x 3, RGB; only the frame ``at``, if given."""
    times = np.linspace(0.0, 1.0, frames, dtype=np.float32)
    times = times if at is None else times[at : at + 1]
    video = np.repeat(_backdrop(scene, size)[None], len(times), axis=0)
    for thing in scene.things:
        _shadow(video, thing, scene, times)
    for thing in scene.things:
        _draw(video, thing, scene, times)
    return np.asarray(np.clip(video * 255.0 + 0.5, 0, 255), np.uint8)


def _backdrop(scene: Scene, size: int) -> Floats:
    rng = np.random.default_rng(scene.seed)
    top, low, near, far = (np.array(c, np.float32) for c in PALETTES[scene.background])
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size + np.float32(0.5 / size)
    sky = top + (low - top) * (y / HORIZON)[..., None]
    ground = far + (near - far) * ((y - HORIZON) / (1 - HORIZON))[..., None]
    flat = scene.style == "animated"
    if flat:
        sky, ground = np.broadcast_to((top + low) / 2, sky.shape).copy(), np.broadcast_to(near, ground.shape).copy()
    blend = _cover((HORIZON - y) / (1 if flat or scene.background != "studio" else 12), size)[..., None]
    picture = sky * blend + ground * (1 - blend)
    if scene.background == "night":
        for sx, sy, s in zip(rng.random(14), rng.random(14) * 0.5, rng.uniform(0.004, 0.009, 14), strict=True):
            star = _cover(s - np.hypot(x - np.float32(sx), y - np.float32(sy)), size)[..., None]
            picture = picture * (1 - star) + star * np.float32(0.85)
    if scene.background == "day":
        for cx, cy in zip(rng.uniform(0.1, 0.9, 2), rng.uniform(0.08, 0.24, 2), strict=True):
            cloud = -np.minimum(
                np.hypot((x - cx) / 1.8, y - cy) - 0.045, np.hypot((x - cx - 0.06) / 1.6, y - cy - 0.015) - 0.035
            )
            soft = _cover(cloud / (1 if flat else 6), size)[..., None]
            picture = picture * (1 - soft) + soft * np.float32(0.97)
    if not flat:
        import cv2

        grain = rng.standard_normal((24, 24, 1)).astype(np.float32)
        texture = cv2.resize(grain, (size, size), interpolation=cv2.INTER_CUBIC)[..., None]
        picture = picture * (1 + 0.03 * texture * (1 - 0.7 * blend))
        vignette = 1 - 0.25 * ((x - 0.5) ** 2 + (y - 0.5) ** 2)
        picture = picture * vignette[..., None]
    return np.asarray(picture, np.float32)


def _patch(cx: Floats, cy: Floats, reach: float, size: int) -> tuple[Floats, Floats, npt.NDArray[np.int64], int]:
    """Coordinates of a square patch about each centre: dx, dy (T x P x P), its corner in pixels (T x 2) and P."""
    half = int(np.ceil(reach * size)) + 1
    corner = np.stack([np.floor(cy * size), np.floor(cx * size)], 1).astype(np.int64) - half
    steps = np.arange(2 * half + 1, dtype=np.float32) + np.float32(0.5)
    dx = (corner[:, 1, None] + steps) / size - cx[:, None]
    dy = (corner[:, 0, None] + steps) / size - cy[:, None]
    shape = (len(cx), len(steps), len(steps))
    return np.broadcast_to(dx[:, None, :], shape), np.broadcast_to(dy[:, :, None], shape), corner, len(steps)


def _blend(video: Floats, corner: npt.NDArray[np.int64], colour: Floats, alpha: Floats) -> None:
    """Lays T patches over T frames in place; parts outside the frame are cut off."""
    size, width = video.shape[1], alpha.shape[1]
    for frame, (top, left), rgb, a in zip(video, corner, colour, alpha, strict=True):
        y0, x0, y1, x1 = max(top, 0), max(left, 0), min(top + width, size), min(left + width, size)
        if y0 >= y1 or x0 >= x1:
            continue
        part = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
        w = a[part][..., None]
        frame[y0:y1, x0:x1] = frame[y0:y1, x0:x1] * (1 - w) + rgb[part] * w


def _shadow(video: Floats, thing: Thing, scene: Scene, times: Floats) -> None:
    size = video.shape[1]
    cx, cy = path(thing, times)
    base = np.full_like(cx, np.float32(max(thing.y, GROUND - thing.radius) + thing.radius * 0.92))
    height = np.clip((base - cy - thing.radius * 0.92) / 0.45, 0, 1)
    dx, dy, corner, _ = _patch(cx, base, thing.radius * 1.5, size)
    wide = thing.radius * (1.0 - 0.35 * height)[:, None, None]
    inside = 1 - np.sqrt((dx / wide) ** 2 + (dy / (wide * 0.26)) ** 2)
    flat = scene.style == "animated"
    edge = _cover(inside * wide, size) if flat else np.clip(inside * 1.6 + 0.35, 0, 1) ** 1.5
    strength = (0.30 if flat else 0.5) * (1 - 0.65 * height)[:, None, None]
    _blend(video, corner, np.zeros((*dx.shape, 3), np.float32), (edge * strength).astype(np.float32))


def _draw(video: Floats, thing: Thing, scene: Scene, times: Floats) -> None:
    size = video.shape[1]
    cx, cy = path(thing, times)
    dx, dy, corner, _ = _patch(cx, cy, thing.radius * 1.25, size)
    base = np.array(colorsys.hsv_to_rgb(thing.hue / 360 % 1.0, thing.saturation, thing.value), np.float32)
    distance = _distance(thing.kind, dx, dy, thing.radius)
    if scene.style == "animated":
        line = max(0.016, 1.2 / size)
        inner = _cover(-(distance + line), size)[..., None]
        colour = OUTLINE * (1 - inner) + base * inner
    else:
        dim = 0.82 if scene.background == "night" else 1.0
        colour = _shade(thing.kind, dx / thing.radius, dy / thing.radius, distance / thing.radius, base) * dim
    _blend(video, corner, colour.astype(np.float32), _cover(-distance, size))


def _cover(depth: Floats, size: int) -> Floats:
    """Share of a pixel inside an edge, from the signed depth in units of the frame."""
    return np.asarray(np.clip(depth * size + 0.5, 0.0, 1.0), np.float32)


def _distance(kind: str, dx: Floats, dy: Floats, radius: float) -> Floats:
    """Signed distance to the outline, negative inside, in units of the frame."""
    if kind == "ball":
        return np.asarray(np.hypot(dx, dy) - radius, np.float32)
    if kind == "box":
        half = radius * 0.88
        qx, qy = np.abs(dx) - half, np.abs(dy) - half
        return np.asarray(
            np.hypot(np.maximum(qx, 0), np.maximum(qy, 0)) + np.minimum(np.maximum(qx, qy), 0), np.float32
        )
    corners = _outline(kind) * radius
    return _polygon(corners, dx, dy)


def _outline(kind: str) -> Floats:
    if kind == "triangle":
        return np.array([[0.0, -1.0], [1.02, 0.85], [-1.02, 0.85]], np.float32)
    turn = np.arange(10) * (np.pi / 5) - np.pi / 2
    radii = np.where(np.arange(10) % 2 == 0, 1.12, 0.50)
    return np.stack([np.cos(turn) * radii, np.sin(turn) * radii + 0.04], 1).astype(np.float32)


def _polygon(corners: Floats, px: Floats, py: Floats) -> Floats:
    nearest = np.full(px.shape, np.inf, np.float32)
    inside = np.zeros(px.shape, bool)
    for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, 0), strict=True):
        ex, ey = bx - ax, by - ay
        wx, wy = px - ax, py - ay
        along = np.clip((wx * ex + wy * ey) / (ex * ex + ey * ey), 0, 1)
        nearest = np.minimum(nearest, (wx - ex * along) ** 2 + (wy - ey * along) ** 2)
        if abs(ey) > 1e-9:
            crosses = (ay > py) != (by > py)
            inside ^= crosses & (px < ex * (py - ay) / ey + ax)
    return np.where(inside, -1.0, 1.0).astype(np.float32) * np.sqrt(nearest)


def _shade(kind: str, u: Floats, v: Floats, depth: Floats, base: Floats) -> Floats:
    """Lit colour of a thing: u, v in radii from its centre, depth in radii (negative inside); T x P x P x 3."""
    light = LIGHT / np.linalg.norm(LIGHT)
    if kind == "ball":
        nz = np.sqrt(np.clip(1 - u * u - v * v, 0, 1))
        lambert = np.clip(u * light[0] + v * light[1] + nz * light[2], 0, 1)
        half = light + np.array([0, 0, 1], np.float32)
        half = half / np.linalg.norm(half)
        shine = np.clip(u * half[0] + v * half[1] + nz * half[2], 0, 1) ** 40
        return np.asarray(base * (0.42 + 0.68 * lambert[..., None]) + 0.55 * shine[..., None], np.float32)
    if kind == "box":  # a cube from a little above: a light strip for the top, a dark one for the right side
        face = np.where(v < -0.52, 1.18, np.where(u > 0.52, 0.62, 0.92))
        lit = face * (1.0 - 0.10 * (v + u))
        return np.asarray(np.clip(base * lit[..., None], 0, 1) + 0.03, np.float32)
    gy, gx = np.gradient(depth, axis=(1, 2))
    norm = np.sqrt(gx * gx + gy * gy) + 1e-6
    slope = np.exp(np.minimum(depth, 0) * 3.2)
    facing = (gx * light[0] + gy * light[1]) / norm
    lit = 0.86 + 0.34 * slope * facing - 0.12 * v
    return np.asarray(np.clip(base * lit[..., None], 0, 1) + 0.02, np.float32)
