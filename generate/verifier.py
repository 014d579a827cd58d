"""Reads from pixels whether a clip shows what its scene asks for. It shares no code with the renderer or the model.

A thing is found by its hue among strongly coloured pixels; its kind by the best overlap with four silhouettes; its
motion and its side by the path of its centre. Colour that belongs to no requested thing must be rare, so that neither
noise nor extra objects pass. The pass rate on rendered truth is published beside every score.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from countermark.generate.world import Scene, Thing

__all__ = ["CHECKS", "Checked", "verify"]

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
CHECKS = ("objects", "colour", "kind", "motion", "relation", "all")
HUES = {"red": 0.0, "orange": 28.0, "yellow": 54.0, "green": 125.0, "blue": 220.0, "purple": 282.0}
HUE_SPAN = {"red": 14.0, "orange": 12.0, "yellow": 13.0, "green": 28.0, "blue": 26.0, "purple": 26.0}
STRONG, BRIGHT = 0.5, 0.2  # least saturation and value of a pixel that belongs to a thing
STRAY = 0.012  # share of a frame that may be strongly coloured without belonging to a requested thing


@dataclass(frozen=True)
class Checked:
    """Which checks a clip passed; ``relation`` is None for a single thing."""

    objects: bool
    colour: bool
    kind: bool
    motion: bool
    relation: bool | None

    @property
    def all(self) -> bool:
        """Everything that applies is right."""
        return self.objects and self.colour and self.kind and self.motion and self.relation is not False


def verify(frames: npt.NDArray[np.uint8], scene: Scene) -> Checked:
    """Checks a clip (uint8, T x H x W x 3, RGB) against a scene; its seed, sizes and exact places do not matter."""
    hue, strong = _colours(frames)
    masks = [_largest(strong & _near(hue, thing.colour)) for thing in scene.things]
    present = [float(np.mean([m.mean() > 0.008 for m in mask])) > 0.9 for mask in masks]
    claimed = np.zeros_like(strong)
    for thing in scene.things:
        claimed |= strong & _near(hue, thing.colour)
    stray = (strong & ~claimed).mean((1, 2))
    extra = (claimed & ~np.logical_or.reduce([_grown(m) for m in masks])).mean((1, 2))
    explained = float(np.mean((stray < STRAY) & (extra < STRAY))) > 0.9
    tracks = [_track(mask) for mask in masks]
    kinds = [here and _kind(mask) == thing.kind for mask, thing, here in zip(masks, scene.things, present, strict=True)]
    motions = [
        here and _motion(track) == thing.motion
        for track, thing, here in zip(tracks, scene.things, present, strict=True)
    ]
    relation = None
    if len(scene.things) == 2:
        relation = all(present) and _relation(scene.things, tracks)
    return Checked(all(present) and explained, all(present), all(kinds), all(motions), relation)


def _colours(frames: npt.NDArray[np.uint8]) -> tuple[Floats, Bools]:
    """Hue in degrees, and where a pixel is strongly coloured: T x H x W each."""
    import cv2

    hsv = np.stack([cv2.cvtColor(f.astype(np.float32) / 255, cv2.COLOR_RGB2HSV) for f in frames])
    return hsv[..., 0].astype(np.float64), (hsv[..., 1] > STRONG) & (hsv[..., 2] > BRIGHT)


def _near(hue: Floats, colour: str) -> Bools:
    away = np.abs((hue - HUES[colour] + 180) % 360 - 180)
    return np.asarray(away <= HUE_SPAN[colour])


def _largest(mask: Bools) -> Bools:
    """The largest connected region of each frame, holes filled."""
    import cv2

    out = np.zeros(mask.shape, np.uint8)
    for frame, region in zip(mask, out, strict=True):
        closed = cv2.morphologyEx(frame.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
        outlines, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        if outlines:
            cv2.drawContours(region, [max(outlines, key=cv2.contourArea)], -1, 1, cv2.FILLED)
    return out.astype(bool)


def _grown(mask: Bools) -> Bools:
    import cv2

    side = max(3, mask.shape[1] // 24)
    return np.stack([cv2.dilate(m.astype(np.uint8), np.ones((side, side), np.uint8)) for m in mask]).astype(bool)


def _track(mask: Bools) -> Floats:
    """Centre of each frame's region, T x 2 (x, y) in units of the frame; NaN where there is none."""
    height, width = mask.shape[1:]
    out = np.full((len(mask), 2), np.nan)
    for i, frame in enumerate(mask):
        ys, xs = np.nonzero(frame)
        if len(xs):
            out[i] = (xs.min() + xs.max() + 1) / 2 / width, (ys.min() + ys.max() + 1) / 2 / height
    return out


def _motion(track: Floats) -> str:
    """still, left, right, up, down, bounce, or other."""
    track = track[~np.isnan(track).any(1)]
    if len(track) < 6:
        return "other"
    span_x, span_y = np.ptp(track, axis=0)
    dx, dy = np.median(track[-3:], 0) - np.median(track[:3], 0)
    if span_x < 0.05 and span_y < 0.05:
        return "still"
    if abs(dx) > 0.15 and abs(dx) > 2 * span_y:
        return "right" if dx > 0 else "left"
    if span_y > 0.15 and span_y > 2 * span_x:
        if abs(dy) > 0.8 * span_y:
            return "down" if dy > 0 else "up"
        steps = np.diff(track[:, 1])
        turns = np.diff(np.sign(steps[np.abs(steps) > 0.01]))
        return "bounce" if np.count_nonzero(turns) >= 2 else "other"
    return "other"


def _relation(things: tuple[Thing, ...], tracks: list[Floats]) -> bool:
    """The one that should be left is so by 8 % of the width in more than 90 % of the frames."""
    order = [track for _, track in sorted(zip(things, tracks, strict=True), key=lambda pair: pair[0].side)]
    with np.errstate(invalid="ignore"):
        apart = order[1][:, 0] - order[0][:, 0] > 0.08
    return float(np.mean(apart)) > 0.9


def _silhouettes(side: int = 48) -> dict[str, Bools]:
    """The four kinds, each filling a square."""
    import cv2

    y, x = (np.mgrid[0:side, 0:side] + 0.5) / side
    star = np.zeros((side, side), np.uint8)
    turn = np.arange(10) * np.pi / 5 - np.pi / 2
    radii = np.where(np.arange(10) % 2 == 0, 1.0, 0.446)
    points = np.stack([np.cos(turn) * radii, np.sin(turn) * radii], 1)
    low, high = points.min(0), points.max(0)
    cv2.fillPoly(star, [np.round((points - low) / (high - low) * (side - 1)).astype(np.int32)], 1)
    return {
        "ball": np.hypot(x - 0.5, y - 0.5) <= 0.5,
        "box": np.ones((side, side), bool),
        "triangle": np.abs(x - 0.5) <= y / 2,
        "star": star.astype(bool),
    }


def _kind(mask: Bools) -> str:
    """The silhouette that overlaps best in most frames."""
    import cv2

    shapes = _silhouettes()
    votes: list[str] = []
    for frame in mask:
        ys, xs = np.nonzero(frame)
        if not len(xs):
            continue
        cut = frame[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1].astype(np.uint8)
        fit = cv2.resize(cut * 255, (48, 48), interpolation=cv2.INTER_AREA) > 127
        overlap = {name: float((fit & s).sum() / (fit | s).sum()) for name, s in shapes.items()}
        votes.append(max(overlap, key=lambda name: overlap[name]))
    return max(set(votes), key=votes.count) if votes else "none"
