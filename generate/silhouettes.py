"""What kind of thing a region of pixels is, by its outline. The verifier's own drawings, none of the renderer's.

A region is scaled so that its longer side fills a square, aspect kept, and compared with drawings of each kind by
intersection over union. A spinning thing is compared with drawings turned by all angles.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

__all__ = ["kind_of", "kind_of_part", "turned_by"]

Bools = npt.NDArray[np.bool_]
SIDE = 48
TURNING = ("box", "star", "triangle")
FOLDS = {"box": 4, "star": 5, "triangle": 3}  # how often each looks the same in a turn


def _canvas() -> npt.NDArray[np.uint8]:
    return np.zeros((240, 240), np.uint8)


def _poly(picture: npt.NDArray[np.uint8], points: list[tuple[float, float]]) -> None:
    import cv2

    cv2.fillPoly(picture, [np.round(np.array(points) * 100 + 120).astype(np.int32)], 1)


def _line(picture: npt.NDArray[np.uint8], points: list[tuple[float, float]], width: float) -> None:
    import cv2

    ends = np.round(np.array(points) * 100 + 120).astype(np.int32)
    cv2.polylines(picture, [ends], False, 1, round(width * 100))


def _oval(picture: npt.NDArray[np.uint8], x: float, y: float, a: float, b: float) -> None:
    import cv2

    cv2.ellipse(
        picture, (round(x * 100) + 120, round(y * 100) + 120), (round(a * 100), round(b * 100)), 0, 0, 360, 1, -1
    )


def _draw(kind: str, step: int = 0) -> npt.NDArray[np.uint8]:
    """A kind, about 2 wide in a canvas of 2.4; ``step``: of walking legs, -1 to 1."""
    picture = _canvas()
    if kind == "ball":
        _oval(picture, 0, 0, 1, 1)
    elif kind == "box":
        _poly(picture, [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)])
    elif kind == "triangle":
        _poly(picture, [(0, -0.92), (1, 0.92), (-1, 0.92)])
    elif kind == "star":
        turn = np.arange(10) * np.pi / 5 - np.pi / 2
        radii = np.where(np.arange(10) % 2 == 0, 1.05, 0.47)
        _poly(picture, list(zip(np.cos(turn) * radii, np.sin(turn) * radii, strict=True)))
    elif kind == "balloon":
        _oval(picture, 0, -0.1, 0.78, 0.98)
        _poly(picture, [(0, 0.75), (0.15, 1.0), (-0.15, 1.0)])
    elif kind == "robot":
        _poly(picture, [(-0.4, -0.9), (0.4, -0.9), (0.4, -0.3), (-0.4, -0.3)])
        _poly(picture, [(-0.5, -0.28), (0.5, -0.28), (0.5, 0.56), (-0.5, 0.56)])
        for side in (-1, 1):
            _line(picture, [(0.24 * side, 0.4), (0.24 * side - 0.17 * step * side, 0.9)], 0.28)
            _line(picture, [(0.6 * side, -0.12), (0.66 * side, 0.32)], 0.22)
    elif kind == "cat":
        _oval(picture, -0.1, 0.2, 0.68, 0.37)
        _oval(picture, 0.53, -0.25, 0.4, 0.4)
        for x in (0.34, 0.72):
            _poly(picture, [(x, -0.87), (x + 0.16, -0.4), (x - 0.16, -0.4)])
        _line(picture, [(-0.66, 0.12), (-0.98, -0.52)], 0.2)
        for x, way in ((-0.5, 1), (-0.36, -1), (0.18, -1), (0.34, 1)):
            _line(picture, [(x, 0.4), (x + 0.16 * step * way, 0.88)], 0.21)
    return picture


def _fit(region: npt.NDArray[np.uint8]) -> Bools | None:
    """A region cut out, its longer side scaled to SIDE, in the middle of a square."""
    import cv2

    ys, xs = np.nonzero(region)
    if len(xs) < 12:
        return None
    cut = region[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1].astype(np.uint8) * 255
    scale = SIDE / max(cut.shape)
    size = (max(1, round(cut.shape[1] * scale)), max(1, round(cut.shape[0] * scale)))
    small = cv2.resize(cut, size, interpolation=cv2.INTER_AREA) > 127
    out = np.zeros((SIDE, SIDE), bool)
    top, left = (SIDE - small.shape[0]) // 2, (SIDE - small.shape[1]) // 2
    out[top : top + small.shape[0], left : left + small.shape[1]] = small
    return out


@cache
def _drawings(turning: bool) -> tuple[tuple[str, Bools], ...]:
    import cv2

    found: list[tuple[str, Bools]] = []
    for kind in ("ball", "box", "triangle", "star", "balloon", "robot", "cat"):
        steps = (-1, 0, 1) if kind in ("robot", "cat") else (0,)
        pictures = [_draw(kind, step) for step in steps]
        if kind == "cat":
            pictures += [np.ascontiguousarray(p[:, ::-1]) for p in pictures]
        if turning and kind in TURNING:
            whole = pictures[0]
            turns = np.arange(0, 360 / FOLDS[kind], 8)
            pictures = [cv2.warpAffine(whole, cv2.getRotationMatrix2D((120, 120), -a, 1), (240, 240)) for a in turns]
        found += [(kind, fit) for picture in pictures if (fit := _fit(picture)) is not None]
    return tuple(found)


def kind_of(regions: Bools, *, turning: bool = False) -> str:
    """The kind that most of a thing's regions (T x H x W) look like; ``turning``: at any angle."""
    votes: list[str] = []
    for region in regions:
        fit = _fit(region.astype(np.uint8))
        if fit is not None:
            overlap = [(float((fit & s).sum() / (fit | s).sum()), kind) for kind, s in _drawings(turning)]
            votes.append(max(overlap)[1])
    return max(set(votes), key=votes.count) if votes else "none"


def kind_of_part(region: Bools, hidden: Bools) -> str:
    """The kind of a thing (H x W) that another (``hidden``, H x W) stands before: the drawing that fits what is seen,
    over places and sizes."""
    import cv2

    side = 64
    seen = cv2.resize(region.astype(np.uint8) * 255, (side, side), interpolation=cv2.INTER_AREA) > 127
    cover = cv2.resize(hidden.astype(np.uint8) * 255, (side, side), interpolation=cv2.INTER_AREA) > 40
    ys, xs = np.nonzero(seen)
    if len(xs) < 12:
        return "none"
    best, found = 0.0, "none"
    tall = int(ys.max() - ys.min() + 1)
    for kind, drawing in _drawings(False):
        rows, columns = np.nonzero(drawing)
        cut = drawing[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].astype(np.uint8)
        for height in (tall, tall + 1, tall + 2):
            wide = max(1, round(cut.shape[1] * height / cut.shape[0]))
            small = cv2.resize(cut * 255, (wide, height), interpolation=cv2.INTER_AREA) > 127
            for left in range(int(xs.min()) - wide + 4, int(xs.max()) - 2):
                for top in (int(ys.min()) - 1, int(ys.min())):
                    score = _overlap(seen, cover, small, top, left)
                    if score > best:
                        best, found = score, kind
    return found


def _overlap(seen: Bools, cover: Bools, drawing: Bools, top: int, left: int) -> float:
    """Intersection over union of a drawing laid at a place with what is seen, outside of what covers it."""
    side, (height, width) = len(seen), drawing.shape
    laid = np.zeros_like(seen)
    y0, x0, y1, x1 = max(top, 0), max(left, 0), min(top + height, side), min(left + width, side)
    if y0 >= y1 or x0 >= x1:
        return 0.0
    laid[y0:y1, x0:x1] = drawing[y0 - top : y1 - top, x0 - left : x1 - left]
    laid &= ~cover
    both = (laid & seen).sum()
    return float(both / ((laid | (seen & ~cover)).sum() + 1e-9))


def turned_by(regions: Bools, kind: str) -> float:
    """How far a thing of a turning kind has turned over its regions (T x H x W), in degrees, clockwise positive."""
    fold, phases = FOLDS[kind], []
    for region in regions:
        ys, xs = np.nonzero(region)
        if len(xs) < 12:
            continue
        u, v = xs - xs.mean(), ys - ys.mean()
        radius = np.hypot(u, v)
        phases.append(np.angle((radius**2 * np.exp(1j * fold * np.arctan2(v, u))).sum()))
    if len(phases) < 2:
        return 0.0
    return float(np.degrees(np.unwrap(phases)[-1] - np.unwrap(phases)[0]) / fold)
