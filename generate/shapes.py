"""The outlines of things as signed distances, and the parts that they are painted in.

Distances follow the usual closed forms (circle, rounded box, segment, polygon; Inigo Quilez, "2D distance functions"),
in radii of the thing, negative inside, evaluated on T x P x P patches around it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from countermark.generate.world import TALL, Pose, Thing

__all__ = ["REACH", "Part", "parts"]

Floats = npt.NDArray[np.float32]
Colour = tuple[float, float, float]
REACH = 1.35  # radii about the centre within which everything lies
DARK: Colour = (0.16, 0.15, 0.19)
PALE: Colour = (0.93, 0.93, 0.91)
CHIP: Colour = (0.26, 0.15, 0.09)
GREY: Colour = (0.42, 0.42, 0.45)
IRON: Colour = (0.20, 0.20, 0.22)
WARM: Colour = (1.0, 0.97, 0.84)
BITES = ((0.66, -0.74, 0.50), (0.98, -0.28, 0.30), (0.22, -1.02, 0.30))  # x, y and radius of what a bite takes
CHIPS = ((-0.45, -0.35), (0.05, -0.55), (-0.6, 0.25), (-0.1, 0.05), (0.35, 0.0), (0.1, 0.55), (-0.35, 0.65), (0.6, 0.4))


@dataclass(frozen=True)
class Part:
    """A part of a thing: where it is (T x P x P), its own colour or a share of the thing's, and how it is lit.

    ``body``: whether it belongs to the outline that is drawn around the whole; ``lit``: ball, box, edge or flat.
    """

    distance: Floats
    colour: Colour | None = None
    share: float = 1.0
    body: bool = True
    lit: str = "edge"


def parts(thing: Thing, pose: Pose, dx: Floats, dy: Floats) -> list[Part]:
    """What a thing is painted in, from back to front; ``dx, dy``: T x P x P, from its centre, in radii."""
    cos, sin = np.cos(pose.turn)[:, None, None], np.sin(pose.turn)[:, None, None]
    pivot = np.float32(TRIANGLE[:, 1].mean() if thing.kind == "triangle" else 0)  # its middle, about which it turns
    u, v = dx * cos + (dy - pivot) * sin, (dy - pivot) * cos - dx * sin + pivot
    if thing.kind in ("robot", "cat") and thing.motion == "left":
        u = -u
    whole = pose.whole[:, None, None] > 0.5
    if thing.kind == "ball":
        return [Part(_disc(u, v, 0, 0, 1), lit="ball")]
    if thing.kind == "box":
        half = (1 / TALL, 1.0) if thing.fate == "falls" else (0.88, 0.88)
        return [Part(_box(u, v, 0, 0, *half), lit="box")]
    if thing.kind in ("star", "triangle"):
        return [Part(_polygon(STAR if thing.kind == "star" else TRIANGLE, u, v))]
    if thing.kind == "robot":
        return _robot(u, v, pose.gait[:, None, None])
    if thing.kind == "cat":
        return _cat(u, v, pose.gait[:, None, None])
    if thing.kind == "balloon":
        return _balloon(u, v, whole)
    if thing.kind == "cookie":
        return _cookie(u, v, whole)
    return _lamp(u, v, whole)


def _robot(u: Floats, v: Floats, gait: Floats) -> list[Part]:
    swing = 0.17 * np.sin(2 * np.pi * gait)
    return [
        Part(_segment(u, v, (0.0, -0.85), (0.0, -1.05), 0.05), GREY),
        Part(_disc(u, v, 0, -1.08, 0.10), share=0.8),
        Part(_segment(u, v, (-0.24 + swing, 0.90), (-0.24, 0.40), 0.14), share=0.72),
        Part(_segment(u, v, (0.24 - swing, 0.90), (0.24, 0.40), 0.14), share=0.72),
        Part(_segment(u, v, (-0.66 - swing / 2, 0.32), (-0.60, -0.12), 0.11), share=0.72),
        Part(_segment(u, v, (0.66 + swing / 2, 0.32), (0.60, -0.12), 0.11), share=0.72),
        Part(_box(u, v, 0, 0.14, 0.50, 0.42), lit="box"),
        Part(_box(u, v, 0, -0.60, 0.40, 0.30), lit="box"),
        Part(_disc(u, v, -0.16, -0.62, 0.105), PALE, body=False, lit="flat"),
        Part(_disc(u, v, 0.16, -0.62, 0.105), PALE, body=False, lit="flat"),
    ]


def _cat(u: Floats, v: Floats, gait: Floats) -> list[Part]:
    swing = 0.16 * np.sin(2 * np.pi * gait)
    legs = [
        Part(_segment(u, v, (x + side * swing, 0.86), (x, 0.42), 0.105), share=share)
        for x, side, share in ((-0.50, 1, 0.7), (0.18, -1, 0.7), (-0.36, -1, 0.9), (0.34, 1, 0.9))
    ]
    ears = [Part(_polygon(EAR + np.array([[x, -0.52]], np.float32), u, v), share=0.85) for x in (0.34, 0.72)]
    return [
        Part(_segment(u, v, (-0.66, 0.12), (-0.98, -0.52), 0.10), share=0.85),
        *legs,
        *ears,
        Part(_ellipse(u, v, -0.08, 0.22, 0.66, 0.36)),
        Part(_disc(u, v, 0.53, -0.24, 0.39), lit="edge"),
        Part(_disc(u, v, 0.62, -0.32, 0.075), DARK, body=False, lit="flat"),
        Part(_disc(u, v, 0.86, -0.14, 0.065), PALE, body=False, lit="flat"),
    ]


def _balloon(u: Floats, v: Floats, whole: npt.NDArray[np.bool_]) -> list[Part]:
    """A balloon, or, once popped, nothing: the burst is drawn elsewhere."""
    gone = np.where(whole, 0, 9).astype(np.float32)
    return [
        Part(_segment(u, v, (0.0, 0.85), (0.06, 1.32), 0.025) + gone, GREY, body=False, lit="flat"),
        Part(_polygon(KNOT, u, v) + gone, share=0.8),
        Part(_ellipse(u, v, 0, -0.12, 0.80, 1.0) + gone, lit="ball"),
    ]


def _cookie(u: Floats, v: Floats, whole: npt.NDArray[np.bool_]) -> list[Part]:
    disc = _disc(u, v, 0, 0, 1)
    eaten = np.minimum.reduce([_disc(u, v, *bite) for bite in BITES])
    shape = np.where(whole, disc, np.maximum(disc, -eaten)).astype(np.float32)
    chips = np.minimum.reduce([_disc(u, v, x, y, 0.13) for x, y in CHIPS])
    return [Part(shape), Part(np.maximum(chips, shape + 0.08), CHIP, body=False, lit="flat")]


def _lamp(u: Floats, v: Floats, on: npt.NDArray[np.bool_]) -> list[Part]:
    bulb = _disc(u, v, 0, -0.42, 0.52)
    far = np.float32(9)
    return [
        Part(_segment(u, v, (0.0, 0.2), (0.0, 0.85), 0.09), IRON),
        Part(_box(u, v, 0, 0.90, 0.42, 0.08), IRON),
        Part(np.where(on, bulb, far).astype(np.float32), WARM, lit="flat"),
        Part(np.where(on, far, bulb).astype(np.float32), GREY, lit="ball"),
    ]


def _disc(u: Floats, v: Floats, x: float, y: float, radius: float) -> Floats:
    return np.asarray(np.hypot(u - np.float32(x), v - np.float32(y)) - np.float32(radius), np.float32)


def _ellipse(u: Floats, v: Floats, x: float, y: float, a: float, b: float) -> Floats:
    """Nearly the distance: exact on the axes."""
    p, q = (u - np.float32(x)) / np.float32(a), (v - np.float32(y)) / np.float32(b)
    norm, slope = np.hypot(p, q), np.hypot(p / np.float32(a), q / np.float32(b))
    return np.asarray(norm * (norm - 1) / (slope + np.float32(1e-6)), np.float32)


def _box(u: Floats, v: Floats, x: float, y: float, a: float, b: float) -> Floats:
    p, q = np.abs(u - np.float32(x)) - np.float32(a), np.abs(v - np.float32(y)) - np.float32(b)
    return np.asarray(np.hypot(np.maximum(p, 0), np.maximum(q, 0)) + np.minimum(np.maximum(p, q), 0), np.float32)


def _segment(u: Floats, v: Floats, a: tuple[float | Floats, float], b: tuple[float, float], radius: float) -> Floats:
    """A line with round ends; ``a`` may move with time (T x 1 x 1)."""
    ax, ay = np.asarray(a[0], np.float32), np.float32(a[1])
    ex, ey = np.float32(b[0]) - ax, np.float32(b[1]) - ay
    along = np.clip(((u - ax) * ex + (v - ay) * ey) / (ex * ex + ey * ey), 0, 1)
    return np.asarray(np.hypot(u - ax - ex * along, v - ay - ey * along) - np.float32(radius), np.float32)


def _star() -> Floats:
    turn = np.arange(10) * (np.pi / 5) - np.pi / 2
    radii = np.where(np.arange(10) % 2 == 0, 1.12, 0.50)
    return np.stack([np.cos(turn) * radii, np.sin(turn) * radii + 0.04], 1).astype(np.float32)


STAR = _star()
TRIANGLE = np.array([[0.0, -1.0], [1.02, 0.85], [-1.02, 0.85]], np.float32)
EAR = np.array([[0.0, -0.34], [0.15, 0.12], [-0.15, 0.12]], np.float32)
KNOT = np.array([[0.0, 0.78], [0.14, 1.0], [-0.14, 1.0]], np.float32)


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
    return np.asarray(np.where(inside, -1.0, 1.0).astype(np.float32) * np.sqrt(nearest))
