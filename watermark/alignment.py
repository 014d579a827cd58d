"""Finds how a clip's lattice lies: scale and shift, from the pilot alone.

A ladder from cheap to dear: first the canvas as it is (every resized copy), then a search over crops by fast Fourier
transform, then an ascent over scale and shift about the best places. Every alignment that is scored is counted, since
the count enters the bound on false positives. Rotation, mirroring and perspective are not searched.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from countermark.watermark.carriers import Carrier
from countermark.watermark.stats import correlation

__all__ = ["Alignment", "Values", "read_chips", "search"]

Floats = npt.NDArray[np.float32]
SCALES = np.arange(1.0, 0.795, -0.006)  # share of the original canvas that the file shows: crops down to 80 %
SHIFT = 72  # largest shift of a crop's centre that is searched, in canvas pixels


@dataclass(frozen=True)
class Alignment:
    """Where the lattice's point (u, v) lies on the file's canvas: (a u + dx, b v + dy) from its centre, in pixels."""

    a: float = 1.0
    b: float = 1.0
    dx: float = 0.0
    dy: float = 0.0


@dataclass(frozen=True)
class Values:
    """Chip values of one alignment: for each channel those inside the frame, with their signs and roles."""

    values: tuple[Floats, ...]
    signs: tuple[Floats, ...]
    roles: tuple[npt.NDArray[np.int16], ...]

    def weights(self) -> tuple[float, ...]:
        """Weight of each channel: signal over noise of its pilot chips, never negative."""
        out = []
        for value, sign, role in zip(self.values, self.signs, self.roles, strict=True):
            pilot = role < 0
            power = float(np.mean(value[pilot] ** 2)) if pilot.any() else 0.0
            signal = float(np.mean(value[pilot] * sign[pilot])) if pilot.any() else 0.0
            out.append(max(signal, 0.0) / max(power - signal**2, 1e-9))
        return tuple(out) if any(out) else (1.0,) * len(out)

    def pilot_rho(self) -> float:
        """Correlation of all pilot chips, each channel scaled to unit power (no weight that looks at the signs)."""
        values, signs = [], []
        for value, sign, role in zip(self.values, self.signs, self.roles, strict=True):
            pilot = role < 0
            values.append(value[pilot] / (np.sqrt(np.mean(value**2)) + 1e-9))
            signs.append(sign[pilot])
        return correlation(np.concatenate(values), np.concatenate(signs))


def read_chips(matched: dict[str, Floats], lattice: tuple[Carrier, ...], at: Alignment) -> Values:
    """Values of every cell that an alignment puts inside the canvas."""
    import cv2

    values, signs, roles = [], [], []
    for carrier in lattice:
        image = matched[carrier.channel.name]
        height, width = image.shape
        xs = carrier.x * at.a + at.dx + width / 2 - 0.5
        ys = carrier.x * at.b + at.dy + height / 2 - 0.5
        inside_x, inside_y = (xs >= 0) & (xs <= width - 1), (ys >= 0) & (ys <= height - 1)
        grid_x, grid_y = np.meshgrid(xs[inside_x].astype(np.float32), ys[inside_y].astype(np.float32))
        if grid_x.size == 0:
            value = np.zeros(0, np.float32)
        else:
            value = cv2.remap(image, grid_x, grid_y, cv2.INTER_LINEAR).ravel()
        part = np.ix_(inside_y, inside_x)
        values.append(value)
        signs.append(carrier.sign[part].ravel())
        roles.append(carrier.role[part].ravel())
    return Values(tuple(values), tuple(signs), tuple(roles))


def search(matched: dict[str, Floats], lattice: tuple[Carrier, ...], best: int = 2) -> Iterator[tuple[Alignment, int]]:
    """Candidate alignments, likeliest first, each with the number of alignments scored so far."""
    here, count = _ascend(matched, lattice, Alignment(), step=0.6)
    yield here, count
    peaks, scored = _crops(matched, lattice)
    count += scored
    for start in peaks[:best]:
        here, tried = _ascend(matched, lattice, start, step=1.0)
        count += tried
        yield here, count


def _ascend(
    matched: dict[str, Floats], lattice: tuple[Carrier, ...], start: Alignment, step: float
) -> tuple[Alignment, int]:
    """Climbs the pilot's correlation by steps that halve; a step of scale moves the canvas's edge by ``step``."""
    here, count = start, 1
    score = read_chips(matched, lattice, here).pilot_rho()
    while step > 0.08:
        moved = False
        for name, size in (("dx", step), ("dy", step), ("a", step / 192), ("b", step / 192)):
            for sign in (1, -1):
                there = replace(here, **{name: getattr(here, name) + sign * size})
                count += 1
                value = read_chips(matched, lattice, there).pilot_rho()
                if value > score:
                    here, score, moved = there, value, True
                    break
        if not moved:
            step /= 2
        if count > 400:
            break
    return here, count


def _crops(matched: dict[str, Floats], lattice: tuple[Carrier, ...]) -> tuple[list[Alignment], int]:
    """Best alignments over all searched crops, by correlation with the pilot in the Fourier domain, and their count."""
    import cv2
    from scipy import fft

    height, width = matched["y"].shape
    size = (fft.next_fast_len(height + 2 * SHIFT, True), fft.next_fast_len(width + 2 * SHIFT, True))
    pilots = [np.conj(fft.rfft2(_pilot_image(carrier, size))) for carrier in lattice]
    found: list[tuple[float, Alignment]] = []
    scored = 0
    for scale in SCALES:
        shape = (max(8, round(width * scale)), max(8, round(height * scale)))
        total = np.zeros(size, np.float32)
        for carrier, pilot in zip(lattice, pilots, strict=True):
            image = cv2.resize(matched[carrier.channel.name], shape, interpolation=cv2.INTER_AREA)
            image = image / (np.sqrt(np.mean(image**2)) + 1e-9)
            padded = np.zeros(size, np.float32)
            padded[: shape[1], : shape[0]] = image
            total += carrier.channel.cell * fft.irfft2(fft.rfft2(padded) * pilot, s=size)
        # the corner of the image lies where the peak says: in pilot pixels from the pilot image's corner
        y0, x0 = (size[0] - shape[1]) // 2, (size[1] - shape[0]) // 2
        rows = np.arange(y0 - SHIFT, y0 + SHIFT + 1)
        columns = np.arange(x0 - SHIFT, x0 + SHIFT + 1)
        window = total[np.ix_((-rows) % size[0], (-columns) % size[1])]
        scored += window.size
        row, column = np.unravel_index(int(np.argmax(window)), window.shape)
        u = columns[column] + shape[0] / 2 - size[1] / 2  # the file's centre on the original canvas
        v = rows[row] + shape[1] / 2 - size[0] / 2
        a, b = width / shape[0], height / shape[1]
        found.append((float(window[row, column]), Alignment(a, b, float(-u * a), float(-v * b))))
    found.sort(key=lambda pair: -pair[0])
    return [alignment for _, alignment in found], scored


def _pilot_image(carrier: Carrier, size: tuple[int, int]) -> Floats:
    """The pilot's signs as single pixels on an image with the lattice's origin at its centre."""
    image = np.zeros(size, np.float32)
    rows = np.floor(carrier.x + size[0] / 2).astype(int)
    columns = np.floor(carrier.x + size[1] / 2).astype(int)
    inside_y, inside_x = (rows >= 0) & (rows < size[0]), (columns >= 0) & (columns < size[1])
    part = np.ix_(inside_y, inside_x)
    image[np.ix_(rows[inside_y], columns[inside_x])] = np.where(carrier.pilot, carrier.sign, 0.0)[part]
    return image
