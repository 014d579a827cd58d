"""Draws a :class:`~countermark.generate.world.Scene` as frames, at any size, in either style.

Shapes are signed distances (:mod:`.shapes`) evaluated on a small patch around each thing and blended with one pixel of
antialiasing, so a clip of 32 pixels takes milliseconds.
"""

from __future__ import annotations

import colorsys
from typing import Any

import numpy as np
import numpy.typing as npt

from countermark.generate.backdrops import backdrop
from countermark.generate.shapes import REACH, Part, parts
from countermark.generate.world import FRAMES, GROUND, WALKERS, Pose, Scene, Thing, pose, view

__all__ = ["render", "render_small", "render_thing", "seen_pose", "thing_light"]

Floats = npt.NDArray[np.floating[Any]]
LIGHT = np.array([-0.50, -0.62, 0.60], np.float32)  # towards the light: left, above, in front
OUTLINE = np.array([0.10, 0.09, 0.12], np.float32)
MIDDLE = 0.55  # y that a zoom keeps in place
FINER = 2  # times as large as a small grid that its frames are drawn
BURST = 0.07  # of a scene, that a popped balloon's pieces are seen
DIM = 0.5  # of its light that a scene keeps when its lamp goes out


def render(
    scene: Scene,
    size: int = 256,
    frames: int = FRAMES,
    at: int | None = None,
    span: tuple[float, float] = (0.0, 1.0),
    *,
    bare: bool = False,
) -> npt.NDArray[np.uint8]:
    """Frames of a scene: uint8, ``frames`` x ``size`` x ``size`` x 3, RGB; only the frame ``at``, if given.

    ``span``: from when to when the clip lasts, as shares of the scene. ``bare``: all but the things themselves; their
    shadows and what flies off them are there.
    """
    times = np.linspace(span[0], span[1], frames, dtype=np.float32)
    times = times if at is None else times[at : at + 1]
    centre, scale = view(scene, times)
    video = _behind(scene, centre, scale, size)
    poses = [_seen(pose(thing, times), centre, scale) for thing in scene.things]
    order = sorted(zip(scene.things, poses, strict=True), key=lambda pair: pair[0].y + pair[0].radius)
    for thing, where in order:
        _shadow(video, thing, where, scale, scene)
    for thing, where in order:
        if thing.fate == "popped":
            _burst(video, thing, where, scale, times)
        if not bare:
            _, _, corner, colour, alpha = _painted(thing, where, scale, scene, size)
            _blend(video, corner, colour, alpha)
    y, x = (np.mgrid[0:size, 0:size].astype(np.float32) + 0.5) / np.float32(size)
    _light(video, x, y, scene, times)
    return np.asarray(np.clip(video * 255.0 + 0.5, 0, 255), np.uint8)


def render_small(scene: Scene, size: int, span: tuple[float, float] = (0.0, 1.0)) -> npt.NDArray[np.uint8]:
    """Frames of a scene as a small grid has them, shaped as :func:`render`'s: means of what is drawn FINER times as
    large, since a pixel of the grid is too wide for an outline.
    """
    large = render(scene, FINER * size, span=span)
    parts = large.reshape(len(large), size, FINER, size, FINER, 3).mean((2, 4), dtype=np.float32)
    return np.asarray(parts + 0.5, np.uint8)


def render_thing(scene: Scene, thing: Thing, times: Floats, size: int = 256) -> tuple[Floats, Floats, Floats]:
    """A thing of a scene without what is behind it, at T times, on a patch of pixels around it: where each pixel's
    middle is (T x P x P x 2: x and y in units of the frame), its colour in the scene's light (T x P x P x 3, 0..1) and
    how much of it is covered (T x P x P).
    """
    centre, scale = view(scene, times)
    where = _seen(pose(thing, times), centre, scale)
    dx, dy, _, colour, alpha = _painted(thing, where, scale, scene, size)
    x, y = dx + where.x[:, None, None], dy + where.y[:, None, None]
    _light(colour, x, y, scene, times)
    return np.stack([x, y], -1), colour, alpha


def seen_pose(scene: Scene, thing: Thing, times: Floats) -> tuple[Pose, Floats]:
    """Where and how the camera sees a thing at T times, and its radius there, in units of the frame."""
    centre, scale = view(scene, times)
    return _seen(pose(thing, times), centre, scale), thing.radius * scale


def thing_light(scene: Scene) -> float:
    """The share of their own colour that things have in a scene's light."""
    return 0.82 if scene.background == "night" and scene.style == "photorealistic" else 1.0


def _seen(where: Pose, centre: Floats, scale: Floats) -> Pose:
    """A pose as the camera sees it."""
    x, y = (where.x - centre) * scale + 0.5, (where.y - MIDDLE) * scale + MIDDLE
    return Pose(x.astype(np.float32), y.astype(np.float32), where.turn, where.gait, where.whole)


def _behind(scene: Scene, centre: Floats, scale: Floats, size: int) -> Floats:
    y, x = (np.mgrid[0:size, 0:size].astype(np.float32) + 0.5) / np.float32(size)

    def picture(c: float, s: float) -> Floats:
        wx, wy = (x - 0.5) / s + c, (y - MIDDLE) / s + MIDDLE
        return backdrop(scene.background, scene.style == "animated", scene.seed, wx, wy, 1 / (size * s))

    if scene.camera == "fixed":
        return np.repeat(picture(0.5, 1.0)[None], len(centre), axis=0)
    return np.stack([picture(float(c), float(s)) for c, s in zip(centre, scale, strict=True)])


def _light(video: Floats, x: Floats, y: Floats, scene: Scene, times: Floats) -> None:
    """Lamps light the scene up or leave it dark; real lenses darken corners. ``x, y``: where the pixels are."""
    for thing in scene.things:
        if thing.kind == "lamp":
            on = (times < thing.when).astype(np.float32)[:, None, None, None]
            glow = np.exp(-((x - thing.x) ** 2 + (y - thing.y + 0.42 * thing.radius) ** 2) / 0.045)[..., None]
            video *= np.where(on > 0.5, 1.0, DIM).astype(np.float32)
            video += on * glow * np.array([0.30, 0.26, 0.16], np.float32) * np.clip(1 - video, 0, 1)
    if scene.style == "photorealistic":
        video *= (1 - 0.25 * ((x - 0.5) ** 2 + (y - 0.5) ** 2))[..., None]


def _patch(where: Pose, reach: Floats, size: int) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
    """Coordinates of a square patch about each centre: dx, dy (T x P x P), and its corner in pixels (T x 2)."""
    half = int(np.ceil(float(reach.max()) * size)) + 1
    corner = np.stack([np.floor(where.y * size), np.floor(where.x * size)], 1).astype(np.int64) - half
    steps = np.arange(2 * half + 1, dtype=np.float32) + np.float32(0.5)
    dx = (corner[:, 1, None] + steps) / size - where.x[:, None]
    dy = (corner[:, 0, None] + steps) / size - where.y[:, None]
    shape = (len(where.x), len(steps), len(steps))
    return (
        np.broadcast_to(dx[:, None, :], shape).astype(np.float32),
        np.broadcast_to(dy[:, :, None], shape).astype(np.float32),
        corner,
    )


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


def _shadow(video: Floats, thing: Thing, where: Pose, scale: Floats, scene: Scene) -> None:
    size, radius = video.shape[1], thing.radius * scale
    ground = (max(thing.y, GROUND - thing.radius) + thing.radius * 0.92 - MIDDLE) * scale + MIDDLE
    base = Pose(where.x, ground.astype(np.float32), where.turn, where.gait, where.whole)
    height = np.clip((ground - where.y - radius * 0.92) / 0.45, 0, 1)
    dx, dy, corner = _patch(base, radius * 1.5, size)
    wide = (radius * (1.0 - 0.35 * height))[:, None, None]
    inside = 1 - np.sqrt((dx / wide) ** 2 + (dy / (wide * 0.26)) ** 2)
    flat = scene.style == "animated"
    edge = _cover(inside * wide, size) if flat else np.clip(inside * 1.6 + 0.35, 0, 1) ** 1.5
    there = where.whole if thing.fate == "popped" else np.ones_like(where.whole)
    strength = (0.30 if flat else 0.5) * (1 - 0.65 * height) * there
    _blend(video, corner, np.zeros((*dx.shape, 3), np.float32), (edge * strength[:, None, None]).astype(np.float32))


def _painted(
    thing: Thing, where: Pose, scale: Floats, scene: Scene, size: int
) -> tuple[Floats, Floats, npt.NDArray[np.int64], Floats, Floats]:
    """A thing's patches: dx, dy and corner as :func:`_patch` gives them, colours T x P x P x 3 and cover T x P x P."""
    radius = (thing.radius * scale).astype(np.float32)
    dx, dy, corner = _patch(where, radius * REACH, size)
    r = radius[:, None, None]
    u, v = dx / r, dy / r
    base = np.array(colorsys.hsv_to_rgb(thing.hue / 360 % 1.0, thing.saturation, thing.value), np.float32)
    flat = scene.style == "animated"
    dim = thing_light(scene)
    painted = parts(thing, where, u, v)
    colour, alpha = np.zeros((*u.shape, 3), np.float32), np.zeros(u.shape, np.float32)
    for part in painted:
        cover = _cover(-part.distance * r, size)
        own = np.asarray(part.colour, np.float32) if part.colour is not None else base * np.float32(part.share)
        lit = np.broadcast_to(own, colour.shape) if flat or part.lit == "flat" else _shade(part, u, v, own) * dim
        colour += cover[..., None] * (lit - colour)
        alpha = np.maximum(alpha, cover)
    if flat:
        whole = np.minimum.reduce([part.distance for part in painted if part.body]) * r
        line = 0.016 * (0.55 if thing.kind in WALKERS else 1.0)  # their limbs are thin
        edge = _cover(-whole, size) - _cover(-(whole + line), size)
        colour += edge[..., None] * (OUTLINE - colour)
    return dx, dy, corner, colour, alpha


def _burst(video: Floats, thing: Thing, where: Pose, scale: Floats, times: Floats) -> None:
    """Scraps that fly apart for a moment after a balloon has popped."""
    size, radius = video.shape[1], (thing.radius * scale).astype(np.float32)
    dx, dy, corner = _patch(where, radius * REACH, size)
    u, v = dx / radius[:, None, None], dy / radius[:, None, None]
    base = np.array(colorsys.hsv_to_rgb(thing.hue / 360 % 1.0, thing.saturation, thing.value), np.float32)
    since = (times - thing.when) / BURST
    seen = ((since >= 0) & (since < 1))[:, None, None]
    out = (0.45 + 0.6 * np.clip(since, 0, 1))[:, None, None].astype(np.float32)
    near = np.full(u.shape, 9, np.float32)
    for angle in np.arange(6) * (np.pi / 3) + 0.3:
        near = np.minimum(near, np.hypot(u - out * np.cos(angle), v + 0.12 - out * np.sin(angle)) - 0.16)
    cover = _cover(-near * thing.radius, size) * seen
    _blend(video, corner, np.broadcast_to(base, (*u.shape, 3)), cover.astype(np.float32))


def _cover(depth: Floats, size: int) -> Floats:
    """Share of a pixel inside an edge, from the signed depth in units of the frame."""
    return np.asarray(np.clip(depth * size + 0.5, 0.0, 1.0), np.float32)


def _shade(part: Part, u: Floats, v: Floats, base: Floats) -> Floats:
    """Lit colour of a part: u, v in radii from the thing's centre; T x P x P x 3."""
    light = LIGHT / np.linalg.norm(LIGHT)
    if part.lit == "ball":
        nz = np.sqrt(np.clip(1 - u * u - v * v, 0, 1))
        lambert = np.clip(u * light[0] + v * light[1] + nz * light[2], 0, 1)
        half = light + np.array([0, 0, 1], np.float32)
        half = half / np.linalg.norm(half)
        shine = np.clip(u * half[0] + v * half[1] + nz * half[2], 0, 1) ** 40
        return np.asarray(base * (0.46 + 0.64 * lambert[..., None]) + 0.5 * shine[..., None], np.float32)
    gy, gx = np.gradient(part.distance, axis=(1, 2))
    norm = np.sqrt(gx * gx + gy * gy) + 1e-6
    slope = np.exp(np.minimum(part.distance, 0) * (3.2 if part.lit == "edge" else 7.0))
    facing = (gx * light[0] + gy * light[1]) / norm
    lit = 0.88 + 0.34 * slope * facing - 0.12 * v
    return np.asarray(np.clip(base * lit[..., None], 0, 1) + 0.02, np.float32)
