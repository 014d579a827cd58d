"""Reads from pixels whether a clip shows what its scene asks for. It shares no code with the renderer or the model.

A thing is found by its hue among strongly coloured pixels; its kind by its outline (:mod:`.silhouettes`); its motion
and place by the path of its centre; an event by what is different before and after, and by staying so. Colour that
belongs to no requested thing must be rare, so that neither noise nor extra things pass, and background and style must
look like those that were asked for. The pass rate on rendered truth is published beside every score.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from countermark.generate.silhouettes import FOLDS, kind_of, kind_of_part, turned_by
from countermark.generate.world import Scene, Thing

__all__ = ["CHECKS", "Checked", "verify"]

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
HUES = {"red": 0.0, "orange": 28.0, "yellow": 54.0, "green": 125.0, "blue": 220.0, "purple": 282.0, "brown": 29.0}
SPANS = {"red": 14.0, "orange": 12.0, "yellow": 13.0, "green": 28.0, "blue": 26.0, "purple": 26.0, "brown": 15.0}
STRONG, BRIGHT = 0.5, 0.2  # least saturation and value of a pixel that belongs to a thing
STRAY = 0.012  # share of a frame that may be strongly coloured without belonging to a requested thing
PLACES = {  # mean colour of the top and the bottom of the picture, 0..1
    "day": ((0.72, 0.84, 0.95), (0.78, 0.72, 0.58)),
    "night": ((0.20, 0.20, 0.27), (0.32, 0.32, 0.36)),
    "studio": ((0.64, 0.65, 0.66), (0.51, 0.51, 0.51)),
    "meadow": ((0.82, 0.90, 0.93), (0.62, 0.76, 0.55)),
    "street": ((0.82, 0.83, 0.86), (0.47, 0.47, 0.49)),
}


@dataclass(frozen=True)
class Checked:
    """Which checks a clip passed; None for what its scene does not have."""

    objects: bool
    colour: bool
    kind: bool
    motion: bool
    background: bool | None
    style: bool | None = None
    relation: bool | None = None
    event: bool | None = None
    camera: bool | None = None

    @property
    def all(self) -> bool:
        """Everything that applies is right."""
        return all(getattr(self, field.name) is not False for field in fields(self))


CHECKS = (*(field.name for field in fields(Checked)), "all")


def verify(frames: npt.NDArray[np.uint8], scene: Scene) -> Checked:
    """Checks a clip (uint8, T x H x W x 3, RGB) against a scene; its seed, sizes and exact places do not matter."""
    if any(thing.kind == "lamp" for thing in scene.things):
        return _lamp(frames, scene)
    hue, strong = _colours(frames)
    near = [strong & _near(hue, thing.colour) for thing in scene.things]
    masks = [_largest(one) for one in near]
    there = [_there(mask) for mask in masks]
    stays = [
        seen if thing.fate != "popped" else seen[: len(seen) // 4]
        for seen, thing in zip(there, scene.things, strict=True)
    ]
    present = [float(np.mean(one)) > 0.9 for one in stays]
    claimed = np.logical_or.reduce(near)
    stray = (strong & ~claimed).mean((1, 2))
    extra = (claimed & ~np.logical_or.reduce([_grown(m) for m in masks])).mean((1, 2))
    burst = np.zeros(len(frames), bool)
    for seen, thing in zip(there, scene.things, strict=True):
        if thing.fate == "popped":  # scraps fly when it is gone, for a moment
            burst |= _soon(~seen) | ~seen
    explained = float(np.mean(((stray < STRAY) & (extra < STRAY)) | burst)) > 0.9
    tracks = [_track(mask) for mask in masks]
    kinds = [
        here and _kind(i, masks, frames, scene) == thing.kind
        for i, (thing, here) in enumerate(zip(scene.things, present, strict=True))
    ]
    motions = [
        here and _moves(track, mask, thing, scene)
        for track, mask, thing, here in zip(tracks, masks, scene.things, present, strict=True)
    ]
    relation = all(present) and _relation(scene.things, tracks, masks) if len(scene.things) > 1 else None
    event = None
    if scene.event != "none":
        event = all(present) and _event(scene, tracks, masks)
    camera = all(present) and _camera(scene.camera, frames, masks[0]) if scene.camera != "fixed" else None
    return Checked(
        all(present) and explained,
        all(present),
        all(kinds),
        all(motions),
        _background(frames, scene),
        _style(frames, scene, masks),
        relation,
        event,
        camera,
    )


def _colours(frames: npt.NDArray[np.uint8]) -> tuple[Floats, Bools]:
    """Hue in degrees, and where a pixel is strongly coloured: T x H x W each."""
    import cv2

    hsv = np.stack([cv2.cvtColor(f.astype(np.float32) / 255, cv2.COLOR_RGB2HSV) for f in frames])
    return hsv[..., 0].astype(np.float64), (hsv[..., 1] > STRONG) & (hsv[..., 2] > BRIGHT)


def _near(hue: Floats, colour: str) -> Bools:
    away = np.abs((hue - HUES[colour] + 180) % 360 - 180)
    return np.asarray(away <= SPANS[colour])


def _there(mask: Bools) -> Bools:
    return np.array([m.mean() > 0.008 for m in mask])


def _soon(flags: Bools) -> Bools:
    """Whether something holds in the next three frames."""
    return np.array([flags[i : i + 4].any() for i in range(len(flags))])


def _largest(mask: Bools) -> Bools:
    """The largest connected region of each frame, holes filled."""
    import cv2

    out = np.zeros(mask.shape, np.uint8)
    for frame, region in zip(mask, out, strict=True):
        closed = cv2.morphologyEx(frame.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
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


def _centroid(mask: Bools) -> Floats:
    """Mean of each region's places, as :func:`_track` has its middle."""
    out = np.full((len(mask), 2), np.nan)
    for i, frame in enumerate(mask):
        ys, xs = np.nonzero(frame)
        if len(xs):
            out[i] = xs.mean() / mask.shape[2], ys.mean() / mask.shape[1]
    return out


def _kind(i: int, masks: list[Bools], frames: npt.NDArray[np.uint8], scene: Scene) -> str:
    thing, mask = scene.things[i], masks[i]
    if thing.fate == "falls":  # a tall box, later on its side: what matters is that it is a rectangle
        return "box" if float(np.median([_rectangular(m) for m in mask])) > 0.88 else "none"
    if thing.fate == "bitten":
        mask, frames = mask[: len(mask) // 4], frames[: len(mask) // 4]
    if thing.place == "behind":
        front = next(m for m, other in zip(masks, scene.things, strict=True) if other.place == "front")
        middle = len(mask) // 2
        return kind_of_part(mask[middle], _grown(front[middle : middle + 1])[0])
    found = kind_of(mask, turning=thing.motion == "spin")
    if thing.kind == "cookie" and found == "ball":  # round, with dark chips in it
        dark = [(f[m].max(1) < 110).mean() for f, m in zip(frames, mask, strict=True) if m.any()]
        return "cookie" if 0.03 < float(np.median(dark)) < 0.4 else "ball"
    return found


def _rectangular(mask: Bools) -> float:
    """Share of the smallest rectangle around a region that it fills, thin ends (of its shadow, say) left out."""
    import cv2

    thick = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((9, 9), np.uint8))
    points = np.argwhere(thick).astype(np.float32)
    if len(points) < 12:
        return 0.0
    (_, (a, b), _) = cv2.minAreaRect(points)
    return float(len(points) / ((a + 1) * (b + 1)))


def _moves(track: Floats, mask: Bools, thing: Thing, scene: Scene) -> bool:
    """Whether a thing moves as asked for."""
    if thing.fate in ("falls", "pushes") or scene.camera != "fixed":
        return True  # the event's check, and the camera's, see to it
    if thing.fate in ("bitten", "popped"):
        quarter = slice(0, len(track) // 4)
        track, mask = track[quarter], mask[quarter]
    found = _motion(track)
    if thing.kind in FOLDS and found in ("still", "other"):
        found = _motion(_centroid(mask))  # a turning outline's edges move, its middle does not
    if found == "still" and thing.kind in FOLDS:
        if thing.place == "behind":  # what is seen of it has no telling outline
            return thing.motion == "still"
        turned = abs(turned_by(mask, thing.kind))
        found = "spin" if turned > 180 else "still" if turned < 30 else "other"
    return found == thing.motion


def _motion(track: Floats) -> str:
    """still, left, right, up, down, bounce, circle, or other."""
    track = track[~np.isnan(track).any(1)]
    if len(track) < 6:
        return "other"
    span_x, span_y = np.ptp(track, axis=0)
    dx, dy = np.median(track[-3:], 0) - np.median(track[:3], 0)
    if span_x < 0.06 and span_y < 0.06:
        return "still"
    if min(span_x, span_y) > 0.12 and max(span_x, span_y) < 2 * min(span_x, span_y):
        u, v = (track - (track.max(0) + track.min(0)) / 2).T
        turned = np.degrees(np.unwrap(np.arctan2(v, u)))
        return "circle" if abs(turned[-1] - turned[0]) > 290 else "other"
    if abs(dx) > 0.15 and abs(dx) > 2 * span_y:
        return "right" if dx > 0 else "left"
    if span_y > 0.15 and span_y > 2 * span_x:
        if abs(dy) > 0.8 * span_y:
            return "down" if dy > 0 else "up"
        steps = np.diff(track[:, 1])
        turns = np.diff(np.sign(steps[np.abs(steps) > 0.01]))
        return "bounce" if np.count_nonzero(turns) >= 2 else "other"
    return "other"


def _relation(things: tuple[Thing, ...], tracks: list[Floats], masks: list[Bools]) -> bool:
    """Things are where they should be, by 8 % of the frame, in more than 90 % of the frames."""
    at = {thing.place: track for thing, track in zip(things, tracks, strict=True)}
    with np.errstate(invalid="ignore"):
        if "above" in at:
            apart = at["below"][:, 1] - at["above"][:, 1] > 0.08
        elif "front" in at:
            lower = {t.place: _bottom(m) for t, m in zip(things, masks, strict=True)}
            boxes = {t.place: _columns(m) for t, m in zip(things, masks, strict=True)}
            meet = (boxes["front"][:, 0] <= boxes["behind"][:, 1] + 6) & (
                boxes["behind"][:, 0] <= boxes["front"][:, 1] + 6
            )
            apart = (lower["front"] - lower["behind"] > 0.025) & meet
        else:
            order = [at[place][:, 0] for place in ("left", "middle", "right") if place in at]
            apart = np.logical_and.reduce([b - a > 0.08 for a, b in pairwise(order)])
    return float(np.mean(apart)) > 0.9


def _bottom(mask: Bools) -> Floats:
    """The lowest row of each region, in units of the frame."""
    return np.array([(np.nonzero(m.any(1))[0].max() + 1) / m.shape[0] if m.any() else np.nan for m in mask])


def _columns(mask: Bools) -> Floats:
    """First and last column of each region, in pixels."""
    return np.array([(*np.nonzero(m.any(0))[0][[0, -1]],) if m.any() else (np.nan, np.nan) for m in mask])


def _event(scene: Scene, tracks: list[Floats], masks: list[Bools]) -> bool:
    if scene.event == "bite":
        area = masks[0].mean((1, 2))
        return _lasts(area / np.median(area[:4]), 0.93, least=0.4)
    if scene.event == "pop":
        area = masks[0].mean((1, 2))
        return _lasts(area / (np.median(area[:4]) + 1e-9), 0.3, end=0.02)
    return _knocked(scene, tracks, masks)


def _lasts(share: Floats, below: float, *, least: float = -1.0, end: float = 1.0) -> bool:
    """Whether a share of what was there at first falls once, between a sixth and five sixths of the clip, for good."""
    lower = share < below
    if not lower.any() or lower[: len(share) // 6].any():
        return False
    first = int(np.argmax(lower))
    after = share[first + 3 :]
    before = share[: max(1, first - 2)]
    steady = bool((np.abs(before - 1) < 0.07).mean() > 0.9)
    return (
        first < len(share) * 5 // 6
        and steady
        and bool((after < below).all() and (after > least).all() and after[-1] < end)
    )


def _knocked(scene: Scene, tracks: list[Floats], masks: list[Bools]) -> bool:
    """A ball meets a box, which stands until then and lies from then on."""
    ball = next(i for i, thing in enumerate(scene.things) if thing.fate == "pushes")
    box = masks[1 - ball]
    ratio = []
    for m in box:
        ys, xs = np.nonzero(m)
        ratio.append((np.ptp(ys) + 1) / (np.ptp(xs) + 1) if len(xs) else np.nan)
    shape = np.array(ratio)
    if not (np.nanmedian(shape[:5]) > 1.3 and np.nanmedian(shape[-5:]) < 0.8):
        return False
    falls = int(np.argmax(shape < 1.2))
    x = tracks[ball][:, 0]
    way = 1 if scene.things[ball].motion == "right" else -1
    moved = way * (np.nanmedian(x[-5:]) - np.nanmedian(x[:3])) > 0.1
    columns, other = _columns(masks[ball]), _columns(box)
    gap = (other[:, 0] - columns[:, 1]) if way > 0 else (columns[:, 0] - other[:, 1])
    touched = np.nonzero(gap / box.shape[2] < 0.05)[0]
    stays = bool((shape[min(falls + 8, len(shape) - 1) :] < 0.9).mean() > 0.9)
    return bool(moved and stays and len(touched) and touched[0] <= falls + 2)


def _camera(camera: str, frames: npt.NDArray[np.uint8], mask: Bools) -> bool:
    """Whether the picture moves as a whole: thing and background alike."""
    area, track = mask.mean((1, 2)), _track(mask)
    grown = float(np.median(area[-3:]) / (np.median(area[:3]) + 1e-9))
    dx = float(np.nanmedian(track[-3:, 0]) - np.nanmedian(track[:3, 0]))
    if camera in ("zoom in", "zoom out"):
        return abs(dx) < 0.1 and (grown > 1.7 if camera == "zoom in" else grown < 0.59)
    way = -1 if camera == "pan right" else 1
    if not (way * dx > 0.2 and 0.7 < grown < 1.4):
        return False
    return _background_moves(frames, mask, dx / 2)


def _background_moves(frames: npt.NDArray[np.uint8], mask: Bools, dx: float) -> bool:
    """Whether the background moves sideways by ``dx`` widths over the first half, or has nothing in it that tells."""
    half = len(frames) // 2
    ends = []
    for i in (0, half):
        grey = frames[i].astype(np.float64).mean(2)
        edges = np.abs(np.diff(grey, axis=1))
        edges[_grown(mask[i : i + 1])[0][:, 1:]] = np.nan
        edges[int(len(edges) * 0.66) : int(len(edges) * 0.9)] = np.nan  # the thing's shadow lies there
        ends.append(np.nan_to_num(np.nanmean(edges, axis=0)))
    first, last = (e - e.mean() for e in ends)
    width = len(first)
    shifts = np.arange(-width // 3, width // 3)
    scores = []
    for shift in shifts:
        a, b = (first[: width - shift], last[shift:]) if shift >= 0 else (first[-shift:], last[:shift])
        scores.append(float((a * b).sum() / (np.sqrt((a * a).sum() * (b * b).sum()) + 1e-9)))
    best, right = max(scores), max(s for s, shift in zip(scores, shifts, strict=True) if abs(shift / width - dx) < 0.04)
    return best < 0.4 or right > 0.8 * best  # walls repeat themselves: the right shift need not be the only good one


def _background(frames: npt.NDArray[np.uint8], scene: Scene) -> bool:
    """Whether sky and ground have the colours of the place asked for, more than those of any other."""
    side = frames.shape[1]
    top = np.median(frames[:, : side // 12].reshape(-1, 3), 0) / 255
    low = np.median(frames[:, -side // 12 :].reshape(-1, 3), 0) / 255
    lit = any(thing.kind == "lamp" for thing in scene.things)

    def away(place: str) -> float:
        sky, ground = (np.array(c) for c in PLACES[place])
        return float(np.abs(top - sky).sum() + np.abs(low - ground).sum())

    return lit or min(PLACES, key=away) == scene.background


def _style(frames: npt.NDArray[np.uint8], scene: Scene, masks: list[Bools]) -> bool:
    """Whether a lens darkens the corners, as photorealistic clips have it, or, animated, things are outlined."""
    side = frames.shape[1]
    top = frames[:, : side // 25].mean(3)
    corners = np.median(np.concatenate([top[:, :, : side // 18], top[:, :, -side // 18 :]], 2))
    dark = bool(corners / (np.median(top[:, :, side * 6 // 13 : side * 7 // 13]) + 1e-9) < 0.975)
    if scene.style == "photorealistic":
        return dark
    return not dark and all(_outlined(frames, mask) > 0.7 for mask in masks)


def _outlined(frames: npt.NDArray[np.uint8], mask: Bools) -> float:
    """Share of a thing's edge that is far darker than what is around it, in a frame that shows it; 1 if none does."""
    import cv2

    seen = np.nonzero(_there(mask))[0]
    if not len(seen):
        return 1.0
    at = int(seen[len(seen) // 4])
    region, grey = mask[at].astype(np.uint8), frames[at].mean(2)

    def grown(share: float) -> Bools:
        size = 2 * round(share * len(region)) + 1
        wide = cv2.dilate(region, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
        return np.asarray(wide, bool)

    size = max(3, len(region) // 50)
    lowest = cv2.erode(grey, np.ones((size, size)))
    edge, around = grown(0.012) & ~mask[at], grown(0.047) & ~grown(0.031)
    return float((lowest[edge] < 0.6 * np.median(grey[around])).mean())


def _lamp(frames: npt.NDArray[np.uint8], scene: Scene) -> Checked:
    """Lamps have no hue: a bright disc above a dark foot, and nothing that is strongly coloured."""
    import cv2

    _, strong = _colours(frames)
    shining = np.stack(
        [(f[..., 0] > 235) & (f[..., 0].astype(int) - f[..., 2] > 18) for f in frames]
    )  # warm, not white
    bulb = _largest(shining)
    quarter = len(frames) // 4
    lit = bulb.mean((1, 2)) > 0.004
    here = float(np.mean(lit[:quarter] if scene.event == "dark" else lit)) > 0.9
    explained = float(np.mean(strong.mean((1, 2)) < STRAY)) > 0.9
    middle = slice(len(frames) // 2 - 1, len(frames) // 2 + 1)  # where a camera that moves is as one that does not
    looked = middle if scene.camera != "fixed" else slice(quarter)
    x, y = np.nanmean(_track(bulb)[looked], 0) if here else (0.5, 0.5)
    grey = np.stack([cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in frames]).astype(np.float64)
    side = frames.shape[1]
    rows = slice(int((y + 0.11) * side), int((y + 0.17) * side))
    foot, beside = (
        [float(np.median(grey[looked, rows, max(0, int((x + dx) * side)) : int((x + dx) * side) + 2])) for dx in places]
        for places in ((0.0,), (-0.05, 0.05))
    )
    kind = here and min(abs(foot[0] - one) for one in beside) > 8
    parts: dict[str, Any] = {}
    if scene.camera != "fixed":
        parts["camera"] = here and _camera(scene.camera, frames, bulb)
        still = here
    else:
        still = here and _motion(_track(bulb)[: quarter if scene.event == "dark" else None]) == "still"
    if scene.event == "dark":
        level = np.median(grey.reshape(len(grey), -1), 1)
        parts["event"] = here and _lasts(level / np.median(level[:4]), 0.75, least=0.2) and not any(lit[-quarter:])
    style = _style(frames, scene, [])
    return Checked(here and explained, here, kind, still, _background(frames, scene), style, **parts)
