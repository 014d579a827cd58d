"""The ladder of the search for a lattice, from cheap to dear, every rung bounded.

1. The canvas as it is, which every resized copy shares, and its negative.
2. The same, climbed.
3. By Fourier transform over shifts: crops of the same shape, in which luma and colour are looked for together; the
   picture mirrored and turned by quarters; zoomed (any crop, letterboxes); turned by up to 15 degrees; stretched; and
   mixtures of small ones. Colour finds these, since its waves are long.

The best places of each rung are climbed over all six affine parameters and then over tilt. Where an alignment leads
is judged by the payload, whose bound does not care how it was found; presence alone is judged at places that were
fixed beforehand, and charged for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from countermark.watermark.alignment import (
    AFFINE,
    NEARBY,
    TILT,
    WEIGHTS,
    Alignment,
    Pilots,
    climb,
    pilot_rho,
    pilots,
    sample,
)
from countermark.watermark.carriers import CELL, PILOTS
from countermark.watermark.keys import Key
from countermark.watermark.maps import Maps, Residuals, level_of

__all__ = ["WINDOWS_RUNG", "Candidate", "likeliest_window", "search"]

Floats = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]
SPLICED = 4  # groups from which on a stretch may be looked for
PEAKS = 9  # places of a rung that are climbed a little
CLIMBED = 2  # the best of these, which are climbed to the end
WORTH = 1.0  # rho that more parameters must earn: less is what they gain by following noise
SURE = 9.0  # rho after which no other place of a rung is looked at
SPOTS = np.array([[x, y] for x in (-120, 120) for y in (-120, 120)], np.float32)  # of the lattice
CLOSE = 8.0  # canvas pixels within which all spots of two places lie if a climb from both ends at the same
PROMISING = 4.7  # rho below which a place is climbed no further
WINDOWS_RUNG = 8  # the rung of a chosen stretch: after all others
LARGE, SMALL = 512, 256  # sides of the grids that are transformed; the small one holds what was not shrunk
SLACK = 0.04  # share of the canvas by which a crop's shape may differ from what was cropped


@dataclass(frozen=True, eq=False)
class Candidate:
    """A place that was found, on maps of the whole clip: its alignment and the pilot's rho there; and the rho at the
    nearest place of the ``places`` that the rung's grid has, whatever was found."""

    alignment: Alignment
    rho: float
    fixed_rho: float
    rung: int
    places: int


@dataclass(frozen=True)
class _Rung:
    """Linear maps (2 x 2, lattice to file) over all shifts, and what besides may change as one is climbed; ``crops``:
    over those shifts only that a crop of the same shape can have, in luma and colour."""

    matrices: tuple[Matrix, ...]
    names: tuple[str, ...] = ()
    crops: bool = False


def search(residuals: Residuals, key: Key, *, canvas_only: bool = False) -> Iterator[Candidate]:
    """Candidates, rung by rung, best first within a rung; a rung is worked only when asked for.

    ``canvas_only``: those of the canvas as it is alone.
    """
    maps = residuals.whole(0)
    if maps is None:
        return
    bands, canvas = pilots(key), residuals.canvas
    starts = [Alignment(np.eye(3), negative) for negative in (False, True)]
    starts.sort(key=lambda start: -pilot_rho(maps, bands, start, canvas))
    for start in starts:
        rho = pilot_rho(maps, bands, start, canvas)
        yield Candidate(start, rho, rho, 0, len(starts))
    for start in starts:
        here, rho = climb(maps, bands, start, canvas, step=1.0)
        fixed = pilot_rho(maps, bands, here.snapped(start), canvas)
        yield Candidate(here, rho, fixed, 1, len(starts) * NEARBY)
    for number, rung in enumerate(() if canvas_only else _rungs(), start=2):
        yield from _work(residuals, bands, rung, number)


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
        for band in pilots(key):
            values, _ = sample(maps, band.carrier, band.places, residuals.canvas)
            weight = WEIGHTS[band.carrier.band.name] / (float(np.sqrt(np.mean(values * values))) + 1e-9)
            row.append(values * band.signs * np.float32(weight))
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


def _rungs() -> list[_Rung]:
    quarter = np.array([[0.0, -1.0], [1.0, 0.0]])
    flip = np.diag([-1.0, 1.0])
    turns = [np.linalg.matrix_power(quarter, k) for k in range(4)]
    return [
        _Rung(tuple(np.eye(2) / part for part in np.linspace(1 / 1.01, 1 / 2.2, 54)), crops=True),
        _Rung((*turns, *(t @ flip for t in turns))),
        _Rung(tuple(np.eye(2) * z for z in np.geomspace(0.5, 2.2, 45))),
        _Rung(tuple(_turn(a) * z for a in np.arange(-14, 15, 1.4) for z in (0.92, 1.0, 1.06, 1.12, 1.18)), ("turn",)),
        _Rung(
            (
                *(np.diag([s**0.5, s**-0.5]) for s in np.geomspace(0.6, 1.67, 25)),
                *(_turn(a) @ flip * z for a in (-4, 0, 4) for z in (0.9, 1.1, 1.2)),
                *(np.diag([s**0.5, s**-0.5]) * z for s in (0.8, 0.9, 1.1, 1.25) for z in (0.85, 1.15, 1.3)),
            ),
            ("turn", "stretch"),
        ),
    ]


def _turn(degrees: float) -> Matrix:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s], [s, c]])


def _work(residuals: Residuals, bands: tuple[Pilots, ...], rung: _Rung, number: int) -> Iterator[Candidate]:
    """Works a rung: the best shifts of every linear map, the best of all these climbed in two goes."""
    found: list[tuple[float, Alignment]] = []
    places, canvas = 0, residuals.canvas
    templates: dict[tuple[bool, int], npt.NDArray[np.complex64]] = {}
    for matrix in rung.matrices:
        maps = residuals.whole(_level(matrix, rung))
        if maps is None:
            continue
        peaks, count = _peaks(maps, bands, matrix, canvas, rung.crops, templates)
        found += peaks
        places += count
    begun, names = [], ("dx", "dy", "scale", *rung.names)
    for start in _apart(found):
        maps = residuals.whole(_level(start.matrix[:2, :2], rung))
        assert maps is not None
        here, rho = climb(maps, bands, start, canvas, step=2.0 if rung.crops else 4.0, names=names, finest=0.9)
        if rho >= PROMISING:
            begun.append((rho, here, maps, pilot_rho(maps, bands, start, canvas)))
        if rho >= SURE:
            break
    begun.sort(key=lambda entry: -entry[0])
    climbed: list[tuple[Alignment, float, float]] = []
    for _, start, maps, fixed in begun:
        if len(climbed) == CLIMBED or any(_close(start, here) for here, _, _ in climbed):
            continue
        here, rho = climb(maps, bands, start, canvas, step=0.9, names=names)
        for more in (AFFINE, (*TILT, *AFFINE)):
            there, better = climb(maps, bands, here, canvas, step=2.0, names=more)
            here, rho = (there, better) if better > rho + WORTH else (here, rho)
        climbed.append((here, rho, fixed))
        if rho >= SURE:
            break
    for here, rho, fixed in sorted(climbed, key=lambda entry: -entry[1]):
        yield Candidate(here, rho, fixed, number, places)


def _level(matrix: Matrix, rung: _Rung) -> int:
    """The level whose maps serve for a linear map: of those that a search makes, to save work, few are very large."""
    level = level_of(float(np.sqrt(abs(np.linalg.det(matrix)))))
    return level if rung.crops else max(-3, 2 * round(level / 2))


def _apart(found: list[tuple[float, Alignment]]) -> list[Alignment]:
    """The best places, none close to a better one."""
    kept: list[Alignment] = []
    for _, place in sorted(found, key=lambda pair: -pair[0]):
        if not any(_close(place, other) for other in kept):
            kept.append(place)
        if len(kept) == PEAKS:
            break
    return kept


def _close(one: Alignment, other: Alignment) -> bool:
    return one.negative == other.negative and float(np.abs(one.of(SPOTS) - other.of(SPOTS)).max()) <= CLOSE


def _peaks(
    maps: Maps,
    bands: tuple[Pilots, ...],
    matrix: Matrix,
    canvas: tuple[int, int],
    crops: bool,
    templates: dict[tuple[bool, int], npt.NDArray[np.complex64]],
) -> tuple[list[tuple[float, Alignment]], int]:
    """The best shift for a linear map, as rho and alignment for both polarities, and how many shifts there are."""
    zoom = float(np.sqrt(abs(np.linalg.det(matrix))))
    side = SMALL if zoom > 0.9 else LARGE
    surface = _agreement(maps, bands, matrix, canvas, side, False, templates)
    step = 2.0
    if crops:
        surface, step = _finer(surface, _agreement(maps, bands, matrix, canvas, 2 * side, True, templates)), 1.0
        reach = [int((1 - 1 / zoom) * length / 2 + SLACK * length) for length in canvas]
        rows, columns = (np.arange(-r, r + 1) for r in reversed(reach))
    else:
        rows = columns = np.arange(-side // 2, side // 2)
    seen = surface[np.ix_(rows % len(surface), columns % len(surface))]
    out = []
    for negative, index in ((False, int(np.argmax(seen))), (True, int(np.argmin(seen)))):
        v, u = divmod(index, len(columns))
        full = np.eye(3)
        # the picture moved by that much lies on the template: lattice point l shows at grid point l + shift
        full[:2, :2], full[:2, 2] = matrix, matrix @ ((np.array([columns[u], rows[v]]) + 0.5) * step)
        out.append((abs(float(seen[v, u])), Alignment(full, negative)))
    return out, 2 * seen.size


def _finer(colour: Floats, luma: Floats) -> Floats:
    """Agreement of colour on the grid of luma, which is twice as fine, and of both together."""
    import cv2

    side = len(luma)
    warp = np.array([[0.5, 0, -0.25], [0, 0.5, -0.25]], np.float32)  # shifts are half a pixel more than their index
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    large = cv2.warpAffine(colour, warp, (side, side), flags=flags, borderMode=cv2.BORDER_WRAP)
    share = WEIGHTS["cr"]  # the two colours have as many pilots as stand still in luma
    return np.asarray((luma + share * large) / (1 + share**2) ** 0.5, np.float32)


def _agreement(
    maps: Maps,
    bands: tuple[Pilots, ...],
    matrix: Matrix,
    canvas: tuple[int, int],
    side: int,
    luma: bool,
    templates: dict[tuple[bool, int], npt.NDArray[np.complex64]],
) -> Floats:
    """About the pilot's rho at every shift, in luma (on a grid of canvas pixels) or colour (of two): side x side."""
    import cv2
    from scipy import fft

    if (luma, side) not in templates:
        templates[luma, side] = _template(bands[:1] if luma else bands[1:], side, 1 if luma else 2)
    images = [maps["y"]] if luma else [maps["cr"], maps["cb"]]
    height, width = images[0].shape
    # lattice point (in pixels of the grid, from its centre) -> map pixel
    to_map = matrix * (width / canvas[0]) * (1 if luma else 2)
    centre = np.array([width / 2 - 0.5, height / 2 - 0.5]) - to_map @ np.array([side / 2 - 0.5, side / 2 - 0.5])
    warp = np.hstack([to_map, centre[:, None]]).astype(np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    images = [cv2.warpAffine(image, warp, (side, side), flags=flags) for image in images]
    powers = [float(np.sum(image * image)) for image in images]
    density = PILOTS / CELL**2 * (0.5 if luma else 1.0)  # half of luma's change
    scales = [1 / (power * density) ** 0.5 if power > 1e-3 else 0.0 for power in powers]
    if luma:
        spectrum = fft.rfft2(images[0] * np.float32(scales[0])) * templates[luma, side][:, : side // 2 + 1]
        return np.asarray(fft.irfft2(spectrum, s=(side, side)), np.float32)
    picture = (images[0] * scales[0] + 1j * images[1] * scales[1]).astype(np.complex64)
    return np.asarray(fft.ifft2(fft.fft2(picture) * templates[luma, side]).real / 2**0.5, np.float32)


def _template(bands: tuple[Pilots, ...], side: int, step: int) -> npt.NDArray[np.complex64]:
    """Conjugate spectrum of pilots as single pixels; of two bands, the second is imaginary."""
    from scipy import fft

    image = np.zeros((side, side), np.complex64)
    for part, band in zip((1.0, 1j), bands, strict=False):
        at = np.floor(band.places / step + side / 2).astype(int)
        inside = ((at >= 0) & (at < side)).all(1)
        image[at[inside, 1], at[inside, 0]] += part * band.signs[inside]
    return np.asarray(np.conj(fft.fft2(image)), np.complex64)
