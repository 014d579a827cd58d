"""The ladder of the search for a lattice, from cheap to dear, every rung bounded.

1. The canvas as it is, which every resized copy shares, and its negative; as they are, then climbed.
2. By Fourier transform over all shifts: mirrored and turned by quarters; zoomed (crops and letterboxes); turned by up
   to 15 degrees; stretched; and mixtures of small ones.

The best places of each rung are climbed over all six affine parameters and then over tilt. Colour finds the place,
since its waves are long; where a file has no colour, luma does. Every place that was scored is counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from countermark.watermark.alignment import AFFINE, TILT, Alignment, climb, pilot_rho, pilots, sample
from countermark.watermark.carriers import CELL, PILOTS
from countermark.watermark.keys import Key
from countermark.watermark.maps import Maps, Residuals, level_of

__all__ = ["RUNGS", "Candidate", "likeliest_window", "search"]

Floats = npt.NDArray[np.float32]
SPLICED = 4  # groups from which on a stretch may be looked for
CLIMBED = 4  # places of a rung that are climbed
PROMISING = 4.5  # rho below which a place is climbed no further
RUNGS = 5  # rungs of a search, the first included
GRID = 512  # side of the grids that are transformed, in half canvas pixels


@dataclass(frozen=True, eq=False)
class Candidate:
    """A place that was found: its alignment, the pilot's rho there on maps of the whole clip, the rung (from 0) that
    found it and how many places that rung had scored by then."""

    alignment: Alignment
    rho: float
    rung: int
    scored: int


def search(residuals: Residuals, key: Key) -> Iterator[Candidate]:
    """Candidates, rung by rung, best first within a rung; a rung is worked only when asked for."""
    maps = residuals.whole(0)
    if maps is None:
        return
    starts = [Alignment(np.eye(3), negative) for negative in (False, True)]
    rhos = [pilot_rho(maps, key, start, residuals.canvas) for start in starts]
    order = sorted(range(len(starts)), key=lambda i: -rhos[i])
    count = len(starts)
    for i in order:
        yield Candidate(starts[i], rhos[i], 0, count)
    for start in (starts[i] for i in order):
        here, rho, scored = climb(maps, key, start, residuals.canvas, step=1.0)
        count += scored
        yield Candidate(here, rho, 0, count)
    for rung, matrices in enumerate(_rungs(), start=1):
        yield from _rung(residuals, key, matrices, rung)


def likeliest_window(residuals: Residuals, key: Key) -> tuple[list[int], int] | None:
    """The run of groups whose standing pilots agree best on the canvas as it is, and among how many it was chosen.

    None for a file too short to hold a stretch that is not most of it.
    Only the canvas as it is: a stretch that was both spliced in and cropped is found where it fills most of the file.
    """
    count = len(residuals.grouped())
    if count < SPLICED:
        return None
    rows = []
    for maps in residuals.groups(0):
        row = []
        for carrier, places, signs in pilots(key):
            values, _ = sample(maps, carrier, places, residuals.canvas)
            row.append(values * signs / (float(np.sqrt(np.mean(values * values))) + 1e-9))
        rows.append(np.concatenate(row))
    sums = np.vstack([np.zeros(len(rows[0])), np.cumsum(rows, 0)])
    best, window, tried = 0.0, list(range(count)), 0
    for length in range(2, count):
        parts = sums[length:] - sums[:-length]
        tried += len(parts)
        rhos = parts.sum(1) / np.sqrt((parts * parts).sum(1) + 1e-9)
        if rhos.max() > best:
            best, start = float(rhos.max()), int(np.argmax(rhos))
            window = list(range(start, start + length))
    return window, tried


def _rungs() -> list[list[npt.NDArray[np.float64]]]:
    """The linear maps (2 x 2, lattice to file) of each rung."""
    quarter = np.array([[0.0, -1.0], [1.0, 0.0]])
    flip = np.diag([-1.0, 1.0])
    turns = [np.linalg.matrix_power(quarter, k) for k in range(4)]
    mirrored = [*turns, *(t @ flip for t in turns)]
    zooms = [np.eye(2) * z for z in np.geomspace(0.5, 2.2, 30)]
    turned = [_turn(a) * z for a in range(-14, 15, 2) for z in (0.92, 1.0, 1.08, 1.17) if a]
    stretched = [np.diag([s**0.5, s**-0.5]) for s in np.geomspace(0.6, 1.67, 17)]
    mixed = [_turn(a) @ flip * z for a in (-4, 0, 4) for z in (0.9, 1.1, 1.2)]
    mixed += [np.diag([s**0.5, s**-0.5]) * z for s in (0.8, 0.9, 1.1, 1.25) for z in (0.85, 1.15, 1.3)]
    return [mirrored, zooms, turned, stretched + mixed]


def _turn(degrees: float) -> npt.NDArray[np.float64]:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s], [s, c]])


def _rung(residuals: Residuals, key: Key, matrices: list[npt.NDArray[np.float64]], rung: int) -> Iterator[Candidate]:
    found: list[tuple[float, Alignment]] = []
    scored = 0
    templates = _templates(key)
    for matrix in matrices:
        maps = residuals.whole(level_of(float(np.sqrt(abs(np.linalg.det(matrix))))))
        if maps is None:
            continue
        peaks, count = _shifts(maps, templates, matrix, residuals.canvas)
        found += peaks
        scored += count
    found.sort(key=lambda pair: -pair[0])
    climbed = []
    for _, start in found[:CLIMBED]:
        maps = residuals.whole(level_of(start.zoom))
        if maps is None:
            continue
        here, rho, count = climb(maps, key, start, residuals.canvas, step=4.0, finest=0.9)
        scored += count
        if rho < PROMISING:
            continue
        here, rho, count = climb(maps, key, here, residuals.canvas, step=0.9)
        scored += count
        tilted, better, count = climb(maps, key, here, residuals.canvas, step=2.0, names=(*TILT, *AFFINE))
        scored += count
        climbed.append((tilted, better) if better > rho + 1 else (here, rho))
    for here, rho in sorted(climbed, key=lambda pair: -pair[1]):
        yield Candidate(here, rho, rung, scored)


def _templates(key: Key) -> npt.NDArray[np.complex64]:
    """Conjugate spectrum of the colour pilots as single pixels, red differences real and blue ones imaginary."""
    from scipy import fft

    image = np.zeros((GRID, GRID), np.complex64)
    for part, (_, places, signs) in zip((1.0, 1j), pilots(key)[1:], strict=True):
        at = np.floor(places / 2 + GRID / 2).astype(int)
        inside = ((at >= 0) & (at < GRID)).all(1)
        image[at[inside, 1], at[inside, 0]] += part * signs[inside]
    return np.asarray(np.conj(fft.fft2(image)), np.complex64)


def _shifts(
    maps: Maps, template: npt.NDArray[np.complex64], matrix: npt.NDArray[np.float64], canvas: tuple[int, int]
) -> tuple[list[tuple[float, Alignment]], int]:
    """The best shift for a linear map, as rho and alignment for both polarities, and how many shifts were scored."""
    import cv2
    from scipy import fft

    cr, cb = maps["cr"], maps["cb"]
    height, width = cr.shape
    # lattice point (half pixels, from the grid's centre) -> map pixel
    k = width / (canvas[0] / 2)
    to_map = matrix * k
    centre = np.array([width / 2 - 0.5, height / 2 - 0.5]) - to_map @ np.array([GRID / 2 - 0.5, GRID / 2 - 0.5])
    warp = np.hstack([to_map, centre[:, None]]).astype(np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    real, imaginary = (cv2.warpAffine(image, warp, (GRID, GRID), flags=flags) for image in (cr, cb))
    energy = float(np.sum(real * real) + np.sum(imaginary * imaginary))
    if energy <= 0:
        return [], 0
    picture = (real + 1j * imaginary).astype(np.complex64)
    # value at (v, u): the picture's grid moved by that much lies on the template
    surface = fft.ifft2(fft.fft2(picture) * template).real
    out = []
    density = PILOTS / CELL**2
    for negative, index in ((False, int(np.argmax(surface))), (True, int(np.argmin(surface)))):
        v, u = divmod(index, GRID)
        shift = np.array([u - GRID if u > GRID // 2 else u, v - GRID if v > GRID // 2 else v], float)
        # picture(p) matches template(p - shift): lattice point l shows at grid point l + shift
        offset = matrix @ (shift * 2)
        full = np.eye(3)
        full[:2, :2], full[:2, 2] = matrix, offset
        rho = abs(float(surface[v, u])) / (energy * density) ** 0.5
        out.append((rho, Alignment(full, negative)))
    return out, 2 * GRID * GRID
