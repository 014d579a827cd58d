"""Hand-made statistics of windows: what a camera's noise, a decoder's grid and real motion leave in numbers.

All come from a window's patches (:mod:`countermark.detect.patches`), so that neither frame rate nor size nor length
can be read from them directly. Families, by prefix: ``r`` median residual (FerretNet, SRM), ``s`` spectrum and grid
peaks (Durall et al. 2020; Dzanic et al. 2020), ``w`` wavelets, ``c`` chroma, ``t`` temporal differences (D3, arXiv
2508.00701), ``a`` change at several scales,
``m`` motion of the whole picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from countermark.detect.patches import SIDE, Window

__all__ = ["NAMES", "clip_features", "cube_features", "motion_features"]

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]
Grid = npt.NDArray[Any]
LAGS = ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (0, 4), (4, 0), (0, 8), (8, 0))
RINGS = 12


def _names() -> list[str]:
    names = ["r.energy", "r.kurtosis", "r.zeros", *(f"r.lag{a}{b}" for a, b in LAGS)]
    names += [f"s.ring{i}" for i in range(RINGS)] + ["s.tilt"]
    names += [f"s.{d}{p}" for d in "hv" for p in (2, 4, 8)]
    names += [f"w.{b}{i}{k}" for i in range(3) for b in ("h", "v", "d") for k in ("e", "k")]
    names += ["c.cb", "c.cr", "c.cbcr", "c.ycb", "c.ycr", "c.kb", "c.kr"]
    names += ["t.first", "t.second", "t.ratio", "t.fine1", "t.fine2", "t.finek", "t.same1", "t.same2", "t.far"]
    names += ["t.pulse", "t.moved", "t.turned", "t.kept", "t.keptfine", "t.cb", "t.cr"]
    names += [f"a.{k}{i}" for i in range(4) for k in ("speed", "turn")]
    names += ["a.still", "a.quiet", "a.flow", "a.flowspread", "a.flowk", "a.light", "a.lightturn", "a.sign"]
    names += ["a.cbspeed", "a.crspeed", "a.ycb", "a.ycr", "a.spread", "a.busy"]
    return names


MOTION = ["m.speed", "m.spread", "m.change", "m.curl", "m.miss", "m.gradient", "m.lightchange"]
NAMES: tuple[str, ...] = (*_names(), *MOTION)


def clip_features(windows: Sequence[Window]) -> Floats:
    """Means and deviations over patches (and windows, for motion) of one clip: 2 x len(NAMES).

    Raises ValueError without windows.
    """
    if not windows:
        raise ValueError("a clip without windows has no features")
    cubes = np.concatenate([cube_features(w.luma, w.chroma) for w in windows])
    motion = np.stack([motion_features(w.thumb) for w in windows])
    return np.stack(
        [np.concatenate([a.mean(0) for a in (cubes, motion)]), np.concatenate([a.std(0) for a in (cubes, motion)])]
    )


def cube_features(luma: Bytes, chroma: Bytes) -> Floats:
    """Statistics of patches (luma N x 3 x 96 x 96, chroma N x 3 x 2 x 48 x 48, uint8): N x the names before ``m``."""
    import cv2

    residual = np.stack([[_minus_median(cv2, frame) for frame in cube] for cube in luma])
    y = luma.astype(np.float32)
    parts = [_residual(residual[:, 1]), _spectrum(y[:, 1], residual[:, 1]), _wavelets(y[:, 1])]
    colour = chroma.astype(np.float32)
    parts += [_chroma(y[:, 1], colour[:, 1]), _temporal(cv2, y, residual, colour), _change(y, colour)]
    return np.concatenate(parts, 1).astype(np.float64)


def _minus_median(cv2: Any, frame: Bytes) -> Grid:
    return np.asarray(frame.astype(np.float32) - cv2.medianBlur(np.ascontiguousarray(frame), 3), np.float32)


def _log(x: Grid) -> Grid:
    return np.log(x + 0.02)


def _kurtosis(x: Grid) -> Grid:
    """Log kurtosis over all but the first axis."""
    flat = x.reshape(len(x), -1)
    flat = flat - flat.mean(1, keepdims=True)
    square = flat * flat  # numpy's fourth power is ten times slower
    made: Grid = np.log((square * square).mean(1) / (square.mean(1) + 1e-3) ** 2 + 0.5)
    return made


def _correlation(a: Grid, b: Grid) -> Grid:
    a, b = a.reshape(len(a), -1), b.reshape(len(b), -1)
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    size: Grid = np.sqrt(((a**2).mean(1) + 1e-2) * ((b**2).mean(1) + 1e-2))
    return np.asarray((a * b).mean(1) / size)


def _residual(r: Grid) -> Grid:
    columns = [_log(np.abs(r).mean((1, 2))), _kurtosis(r), (r == 0).mean((1, 2))]
    for down, right in LAGS:
        columns.append(_correlation(r[:, down:, right:], r[:, : SIDE - down, : SIDE - right]))
    return np.stack(columns, 1)


_HANN = np.outer(np.hanning(SIDE), np.hanning(SIDE)).astype(np.float32)


def _rings() -> npt.NDArray[np.int64]:
    down, right = np.meshgrid(np.fft.fftfreq(SIDE), np.fft.rfftfreq(SIDE), indexing="ij")
    return np.asarray(np.minimum((np.hypot(down, right) / 0.5 * RINGS).astype(np.int64), RINGS))


def _spectrum(y: Grid, r: Grid) -> Grid:
    from scipy import fft

    power = np.abs(fft.rfft2((y - y.mean((1, 2), keepdims=True)) * _HANN)) ** 2
    ring = _rings().ravel()
    flat = power.reshape(len(y), -1)
    size = np.bincount(ring, minlength=RINGS + 1)[:RINGS]
    level = np.stack([np.bincount(ring, row, RINGS + 1)[:RINGS] for row in flat]) / size
    shape = np.log(level + 1.0)
    rows, columns = power[:, :, 0], power[:, 0, :]
    tilt = _log(rows[:, SIDE // 4 : SIDE // 2].mean(1)) - _log(columns[:, SIDE // 4 :].mean(1))
    peaks = []
    for axis in (2, 1):  # the residual's mean profile along each axis: decoders and codecs leave their grids there
        profile = np.abs(r).mean(3 - axis)
        line = np.abs(fft.rfft(profile - profile.mean(1, keepdims=True), axis=1)) ** 2
        for period in (2, 4, 8):
            at = SIDE // period
            around = [i for i in (at - 4, at - 3, at - 2, at + 2, at + 3, at + 4) if 0 < i < line.shape[1]]
            peaks.append(np.log(line[:, at] + 1e-2) - np.log(line[:, around].mean(1) + 1e-2))
    return np.concatenate([shape - shape.mean(1, keepdims=True), tilt[:, None], np.stack(peaks, 1)], 1)


def _wavelets(y: Grid) -> Grid:
    columns, low = [], y
    for _ in range(3):
        a, b, c, d = low[:, ::2, ::2], low[:, ::2, 1::2], low[:, 1::2, ::2], low[:, 1::2, 1::2]
        for band in ((a - b + c - d) / 2, (a + b - c - d) / 2, (a - b - c + d) / 2):
            columns += [_log(np.abs(band).mean((1, 2))), _kurtosis(band)]
        low = (a + b + c + d) / 2
    return np.stack(columns, 1)


def _fine(x: Grid) -> Grid:
    """What differs from the mean of the four neighbours."""
    middle = x[..., 1:-1, 1:-1]
    return middle - (x[..., :-2, 1:-1] + x[..., 2:, 1:-1] + x[..., 1:-1, :-2] + x[..., 1:-1, 2:]) / 4


def _chroma(y: Grid, c: Grid) -> Grid:
    half = (y[:, ::2, ::2] + y[:, 1::2, ::2] + y[:, ::2, 1::2] + y[:, 1::2, 1::2]) / 4
    luma, cb, cr = _fine(half), _fine(c[:, 0]), _fine(c[:, 1])
    columns = [_log(np.abs(cb).mean((1, 2))), _log(np.abs(cr).mean((1, 2)))]
    columns += [_correlation(cb, cr), _correlation(luma, cb), _correlation(luma, cr), _kurtosis(cb), _kurtosis(cr)]
    return np.stack(columns, 1)


def _temporal(cv2: Any, y: Grid, r: Grid, c: Grid) -> Grid:
    before, after = y[:, 1] - y[:, 0], y[:, 2] - y[:, 1]
    second = after - before
    first = (np.abs(before).mean((1, 2)) + np.abs(after).mean((1, 2))) / 2
    fine1, fine2 = _fine(before), _fine(second)
    energies = np.abs(r).mean((2, 3)) + 0.02
    columns = [_log(first), _log(np.abs(second).mean((1, 2)))]
    columns.append(columns[1] - columns[0])
    columns += [_log(np.abs(fine1).mean((1, 2))), _log(np.abs(fine2).mean((1, 2))), _kurtosis(fine2)]
    columns += [_correlation(r[:, 0], r[:, 1]), _correlation(r[:, 1], r[:, 2]), _correlation(r[:, 0], r[:, 2])]
    columns.append(np.abs(np.log(energies[:, 1] ** 2 / (energies[:, 0] * energies[:, 2]))))
    columns += list(np.array([_aligned(cv2, y[i], r[i]) for i in range(len(y))]).T)
    for channel in (0, 1):
        columns.append(_log(np.abs(c[:, 2, channel] - 2 * c[:, 1, channel] + c[:, 0, channel]).mean((1, 2))))
    return np.stack(columns, 1)


def _change(y: Grid, c: Grid) -> Grid:
    """How the picture changes: at four scales, against its gradient (normal flow), in light, in places, in colour."""
    columns, small = [], y
    for _ in range(4):
        first, second = small[:, 2] - small[:, 0], small[:, 2] - 2 * small[:, 1] + small[:, 0]
        slope = np.abs(small[:, 1, :, 1:] - small[:, 1, :, :-1]).mean((1, 2))
        columns += [
            _log(np.abs(first).mean((1, 2)) / (slope + 0.2)),
            _log(np.abs(second).mean((1, 2))) - _log(np.abs(first).mean((1, 2))),
        ]
        small = (small[..., ::2, ::2] + small[..., 1::2, ::2] + small[..., ::2, 1::2] + small[..., 1::2, 1::2]) / 4
    first, second = y[:, 2] - y[:, 0], y[:, 2] - 2 * y[:, 1] + y[:, 0]
    columns += [(first == 0).mean((1, 2)), (np.abs(first) <= 2).mean((1, 2))]
    middle = y[:, 1]
    gradient = np.hypot(middle[:, 1:-1, 2:] - middle[:, 1:-1, :-2], middle[:, 2:, 1:-1] - middle[:, :-2, 1:-1]) / 2
    flow = np.abs(first[:, 1:-1, 1:-1]) / (gradient + 2.0)
    columns += [_log(flow.mean((1, 2))), _log(flow.std((1, 2))), _kurtosis(flow)]
    light = y.mean((2, 3))
    columns += [_log(np.abs(light[:, 2] - light[:, 0])), _log(np.abs(light[:, 2] - 2 * light[:, 1] + light[:, 0]))]
    before, after = y[:, 1] - y[:, 0], y[:, 2] - y[:, 1]
    columns.append(_correlation(before, after))
    half = first.reshape(len(y), SIDE // 2, 2, SIDE // 2, 2).mean((2, 4))
    for channel in (0, 1):
        columns.append(_log(np.abs(c[:, 2, channel] - c[:, 0, channel]).mean((1, 2))) - columns[0])
    columns += [_correlation(half, c[:, 2, channel] - c[:, 0, channel]) for channel in (0, 1)]
    blocks = np.abs(first).reshape(len(y), 12, 8, 12, 8).mean((2, 4)).reshape(len(y), -1)
    columns.append(_log(blocks.std(1)) - _log(blocks.mean(1)))
    slopes = np.abs(np.diff(middle, axis=2))[:, :, : SIDE - 8].reshape(len(y), 12, 8, 11, 8).mean((2, 4))
    columns.append(_correlation(np.abs(first).reshape(len(y), 12, 8, 12, 8).mean((2, 4))[:, :, :11], slopes))
    return np.stack(columns, 1)


def _aligned(cv2: Any, y: Grid, r: Grid) -> tuple[float, float, float, float]:
    """Shift between frames, how it turns, and how much of picture and residual stays after it is undone."""
    shifts, kept, fine = [], [], []
    for a, b in ((0, 1), (1, 2)):
        (dx, dy), _ = cv2.phaseCorrelate(y[a], y[b], _HANN)
        x, z = (int(np.clip(round(v), -20, 20)) for v in (dx, dy))
        shifts.append((dx, dy))
        inner = slice(20, SIDE - 20)
        moved = slice(20 + z, SIDE - 20 + z), slice(20 + x, SIDE - 20 + x)
        kept.append(float(_correlation(y[a][None, inner, inner], y[b][None, moved[0], moved[1]])[0]))
        fine.append(float(_correlation(r[a][None, inner, inner], r[b][None, moved[0], moved[1]])[0]))
    (ax, ay), (bx, by) = np.clip(shifts, -20, 20)
    speed = float(np.log(0.1 + (np.hypot(ax, ay) + np.hypot(bx, by)) / 2))
    return speed, float(np.log(0.1 + np.hypot(bx - ax, by - ay))), min(kept), float(np.mean(fine))


def motion_features(thumb: Bytes) -> Floats:
    """Motion of the whole picture between a window's three frames (3 x 64 x 64, uint8): len(MOTION)."""
    import cv2

    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    one, two = (flow.calc(thumb[i], thumb[i + 1], None) for i in (0, 1))
    speed = np.hypot(two[..., 0], two[..., 1])
    rows, columns = np.indices(speed.shape).astype(np.float32)
    back = cv2.remap(
        thumb[2], columns + two[..., 0], rows + two[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    miss = np.abs(back.astype(np.float32) - thumb[1]).mean()
    change = np.hypot(*(two - one).transpose(2, 0, 1)).mean()
    curl = np.abs(np.gradient(two[..., 1], axis=1) - np.gradient(two[..., 0], axis=0)).mean()
    light = thumb.astype(np.float32).mean((1, 2))
    gradient = np.abs(np.diff(thumb[1].astype(np.float32), axis=1)).mean()
    values = [
        np.log(speed.mean() + 0.02),
        np.log(speed.std() + 0.02),
        np.log(change + 0.02) - np.log(speed.mean() + 0.02),
    ]
    values += [
        np.log(curl + 0.01),
        np.log(miss + 0.05),
        np.log(gradient + 0.1),
        np.log(np.ptp(light) + 0.05),
    ]
    return np.array(values, np.float64)
