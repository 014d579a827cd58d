"""What people do to videos, each in a few lines: frames (T x H x W x 3, uint8, RGB) and their rate in, the same out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from countermark.training._recode import reencode

__all__ = ["ATTACKS", "GROUPS", "Attack", "Frames"]

Frames = npt.NDArray[np.uint8]
Attack = Callable[[Frames, float], tuple[Frames, float]]
UPLOAD = 23  # CRF at which every copy is encoded again, where no encoder is the attack


def _each(change: Callable[[Frames], Any]) -> Attack:
    """An attack frame by frame."""

    def attack(frames: Frames, fps: float) -> tuple[Frames, float]:
        out = [np.clip(np.rint(np.asarray(change(f), np.float32)), 0, 255).astype(np.uint8) for f in frames]
        return np.stack(out), fps

    return attack


def _coded(codec: str, crf: int) -> Attack:
    return lambda frames, fps: (reencode(frames, fps, codec, crf), fps)


def _chain(*attacks: Attack) -> Attack:
    def attack(frames: Frames, fps: float) -> tuple[Frames, float]:
        for one in attacks:
            frames, fps = one(frames, fps)
        return frames, fps

    return attack


def _scaled(x: float, y: float | None = None) -> Attack:
    way = cv2.INTER_AREA if x < 1 else cv2.INTER_CUBIC
    return _each(lambda f: cv2.resize(f, None, fx=x, fy=y or x, interpolation=way))


def _cropped(share: float) -> Attack:
    def attack(frames: Frames, fps: float) -> tuple[Frames, float]:
        height, width = frames.shape[1:3]
        h, w = int(height * share), int(width * share)
        top, left = (height - h) // 3, (width - w) * 2 // 3
        return frames[:, top : top + h, left : left + w], fps

    return attack


def _turned(degrees: float) -> Attack:
    def one(frame: Frames) -> Any:
        height, width = frame.shape[:2]
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
        return cv2.warpAffine(frame, matrix, (width, height), flags=cv2.INTER_LINEAR)

    return _each(one)


def _tilted(amount: float) -> Attack:
    def one(frame: Frames) -> Any:
        height, width = frame.shape[:2]
        corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
        moved = corners + amount * np.array([[1, 0.5], [-0.4, 0], [0, -1], [0.3, 0]], np.float32)
        size = np.array([width, height], np.float32)
        return cv2.warpPerspective(frame, cv2.getPerspectiveTransform(corners * size, moved * size), (width, height))

    return _each(one)


def _filmed(frames: Frames, fps: float) -> tuple[Frames, float]:
    """A screen filmed by hand: tilt, a border, blur, uneven light, gamma, noise, another rate."""
    rng = np.random.default_rng(len(frames))
    tilted, _ = _tilted(0.05)(np.pad(frames, ((0, 0), (12, 12), (16, 16), (0, 0)), constant_values=25), fps)
    light = np.linspace(0.85, 1.1, tilted.shape[2], dtype=np.float32)[None, :, None]

    def one(frame: Frames) -> Any:
        seen = 255 * (cv2.GaussianBlur(frame, (0, 0), 0.8).astype(np.float32) / 255) ** 1.1 * light
        return np.asarray(seen + rng.normal(0, 3, frame.shape), np.float32)

    shown, _ = _each(one)(tilted, fps)
    return _coded("libx264", 26)(shown[np.arange(0, len(shown), fps / min(fps, 25.0)).astype(int)], min(fps, 25.0))


def _letterboxed(frames: Frames, fps: float) -> tuple[Frames, float]:
    bar = frames.shape[1] // 6
    return np.pad(frames, ((0, 0), (bar, bar), (0, 0), (0, 0))), fps


def _reposted(frames: Frames, fps: float) -> tuple[Frames, float]:
    """A vertical post of a video between blurred bars of itself; an upright video gets its bars beside it."""
    height, width = frames.shape[1:3]
    tall = width >= height
    size = (width, int(width * 16 / 9)) if tall else (int(height * 16 / 9), height)
    top, left = (size[1] - height) // 2, (size[0] - width) // 2

    def one(frame: Frames) -> Any:
        out = cv2.GaussianBlur(cv2.resize(frame, size), (0, 0), size[0] / 30)
        out[top : top + height, left : left + width] = frame
        return out

    return _each(one)(frames, fps)


def _logo(frame: Frames) -> Any:
    out = frame.copy()
    height, width = frame.shape[:2]
    cv2.circle(out, (int(width * 0.88), int(height * 0.14)), height // 12, (250, 80, 40), -1)
    cv2.rectangle(out, (0, int(height * 0.84)), (width, int(height * 0.95)), (20, 20, 30), -1)
    where = (width // 20, int(height * 0.92))
    cv2.putText(out, "AS SEEN ELSEWHERE", where, cv2.FONT_HERSHEY_SIMPLEX, height / 500, (255, 255, 255), 2)
    return out


def _covered(frame: Frames) -> Any:
    out = frame.copy()
    out[:, int(frame.shape[1] * 0.65) :] = (40, 90, 60)
    return out


def _saturated(frame: Frames) -> Any:
    grey = frame.mean(-1, keepdims=True)
    return np.asarray(grey + (frame - grey) * 1.6)


def _noisy(sigma: float) -> Attack:
    rng = np.random.default_rng(7)
    return _each(lambda f: np.asarray(f + rng.normal(0, sigma, f.shape)))


def _jpeg(quality: int) -> Attack:
    return _each(lambda f: cv2.imdecode(cv2.imencode(".jpg", f, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1))


def _gamma(value: float) -> Attack:
    return _each(lambda f: np.asarray(255 * (f / 255.0) ** value))


def _sharpened(frame: Frames) -> Any:
    return np.asarray(frame + 1.0 * (frame - cv2.GaussianBlur(frame, (0, 0), 1.5).astype(np.float32)))


def _every(step: float, faster: bool = False) -> Attack:
    def attack(frames: Frames, fps: float) -> tuple[Frames, float]:
        return frames[np.arange(0, len(frames), step).astype(int)], fps if faster else fps / step

    return attack


def _dropped(frames: Frames, fps: float) -> tuple[Frames, float]:
    return frames[np.random.default_rng(3).random(len(frames)) < 0.7], fps


def _cut(frames: Frames, fps: float) -> tuple[Frames, float]:
    start, length = len(frames) // 3, max(2, round(fps))
    return frames[start : start + length], fps


def _up(attack: Attack) -> Attack:
    return _chain(attack, _coded("libx264", UPLOAD))


ATTACKS: dict[str, Attack] = {
    "nothing": lambda frames, fps: (frames, fps),
    "H.264 23": _coded("libx264", 23),
    "H.264 28": _coded("libx264", 28),
    "H.265 28": _coded("libx265", 28),
    "VP9 36": _coded("libvpx-vp9", 36),
    "AV1 35": _coded("libsvtav1", 35),
    "H.264 33": _coded("libx264", 33),
    "AV1 50": _coded("libsvtav1", 50),
    "H.264 38": _coded("libx264", 38),
    "H.265 35": _coded("libx265", 35),
    "VP9 50": _coded("libvpx-vp9", 50),
    "H.264 43": _coded("libx264", 43),
    "scale 50 %": _up(_scaled(0.5)),
    "scale 25 %": _scaled(0.25),
    "crop 95 %": _up(_cropped(0.95)),
    "crop 85 %": _up(_cropped(0.85)),
    "crop 75 %": _up(_cropped(0.75)),
    "crop 50 %": _up(_cropped(0.5)),
    "turned 3 degrees": _up(_turned(3)),
    "turned 10 degrees": _up(_turned(-10)),
    "turned 90 degrees": _up(lambda frames, fps: (np.rot90(frames, 1, (1, 2)), fps)),
    "mirrored": _up(lambda frames, fps: (frames[:, :, ::-1], fps)),
    "upside down": _up(lambda frames, fps: (frames[:, ::-1], fps)),
    "stretched": _up(_scaled(1.15, 0.9)),
    "negative": _up(lambda frames, fps: (255 - frames, fps)),
    "brighter": _up(_each(lambda f: np.asarray(f.astype(np.float32) + 30))),
    "contrast": _up(_each(lambda f: np.asarray((f.astype(np.float32) - 128) * 1.3 + 128))),
    "gamma": _up(_gamma(0.7)),
    "saturated": _up(_each(_saturated)),
    "grey": _up(_each(lambda f: np.repeat(f.mean(-1, keepdims=True), 3, -1))),
    "noise": _up(_noisy(6)),
    "blur": _up(_each(lambda f: cv2.GaussianBlur(f, (0, 0), 1.0))),
    "JPEG 60": _up(_jpeg(60)),
    "median": _up(_each(lambda f: cv2.medianBlur(f, 3))),
    "sharpened": _up(_each(_sharpened)),
    "noise, strong": _up(_noisy(15)),
    "blur, strong": _up(_each(lambda f: cv2.GaussianBlur(f, (0, 0), 2.5))),
    "JPEG 25": _up(_jpeg(25)),
    "gamma, strong": _up(_gamma(2.0)),
    "half the rate": _up(_every(2)),
    "frames dropped": _up(_dropped),
    "speed 1.5": _up(_every(1.5, faster=True)),
    "backwards": _up(lambda frames, fps: (frames[::-1], fps)),
    "cut to 1 s": _up(_cut),
    "letterbox": _up(_letterboxed),
    "vertical repost": _up(_reposted),
    "logo and text": _up(_each(_logo)),
    "35 % covered": _up(_each(_covered)),
    "social": _chain(_cropped(0.95), _scaled(0.8), _every(1.25), _coded("libx264", 30)),
    "hard social": _chain(_cropped(0.85), _scaled(0.6), _each(_logo), _coded("libx264", 35), _coded("libx264", 32)),
    "tilted": _up(_tilted(0.06)),
    "filmed": _filmed,
    "crop 75 %, H.264 33": _chain(_cropped(0.75), _coded("libx264", 33)),
    "turned 5 degrees, H.264 33": _chain(_turned(5), _coded("libx264", 33)),
}

GROUPS: tuple[tuple[float, tuple[str, ...]], ...] = (
    (0.995, ("nothing", "H.264 23", "H.264 28", "H.265 28", "VP9 36", "AV1 35")),
    (0.97, ("H.264 33", "AV1 50")),
    (0.85, ("H.264 38", "H.265 35", "VP9 50")),
    (0.50, ("H.264 43",)),
    (0.99, ("scale 50 %",)),
    (0.80, ("scale 25 %",)),
    (0.99, ("crop 95 %", "crop 85 %", "crop 75 %")),
    (0.90, ("crop 50 %",)),
    (0.99, ("turned 3 degrees", "turned 10 degrees", "turned 90 degrees", "mirrored", "upside down", "stretched")),
    (0.99, ("negative", "brighter", "contrast", "gamma", "saturated", "grey", "noise", "blur", "JPEG 60")),
    (0.99, ("median", "sharpened")),
    (0.90, ("noise, strong", "blur, strong", "JPEG 25", "gamma, strong")),
    (0.99, ("half the rate", "frames dropped", "speed 1.5", "backwards", "cut to 1 s")),
    (0.97, ("letterbox", "vertical repost", "logo and text", "35 % covered")),
    (0.99, ("social",)),
    (0.70, ("hard social",)),
    (0.90, ("tilted",)),
    (0.60, ("filmed",)),
    (0.85, ("crop 75 %, H.264 33", "turned 5 degrees, H.264 33")),
)
