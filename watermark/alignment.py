"""How a lattice lies in a file: a plane homography, scored and climbed by the pilot's standing chips alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from countermark.watermark.carriers import CANVAS, PILOT, Carrier, carriers
from countermark.watermark.keys import Key
from countermark.watermark.maps import Maps

__all__ = ["IDENTITY", "NEARBY", "Alignment", "Chips", "climb", "pilot_rho", "pilots", "read_chips", "sample"]

Floats = npt.NDArray[np.float32]
EDGE = CANVAS / 2  # a step of 1 moves this far from the centre by one canvas pixel
AFFINE = ("dx", "dy", "scale", "turn", "stretch", "shear")
TILT = ("tilt_x", "tilt_y")
WEIGHTS = {"y": 1.0, "cr": 2.0, "cb": 2.0}  # of a pilot chip: what it tells after H.264 at CRF 33, on the average
FADED = 1e-4  # share of the luma's power below which a colour band is taken for rounding: the file has no colour
SNAP, REACHES = 1.5, 4  # step of the fixed places about an alignment, in pixels of the canvas's edge, and their number
NEARBY = (2 * REACHES + 1) ** len(AFFINE)  # fixed places about an alignment


@dataclass(frozen=True, eq=False)
class Alignment:
    """``matrix`` (3 x 3) takes a point of the lattice to the file's canvas; both in canvas pixels from the centre.

    ``negative``: the file shows the negative of what was marked.
    """

    matrix: npt.NDArray[np.float64]
    negative: bool = False

    @property
    def zoom(self) -> float:
        """Factor by which the file shows the lattice enlarged."""
        return float(np.sqrt(abs(np.linalg.det(self.matrix[:2, :2]))))

    def moved(self, name: str, step: float) -> Alignment:
        """This alignment with one parameter changed, so that the canvas's edge moves by ``step`` pixels."""
        e = step / EDGE
        change = {
            "dx": [[1, 0, step], [0, 1, 0], [0, 0, 1]],
            "dy": [[1, 0, 0], [0, 1, step], [0, 0, 1]],
            "scale": [[1 + e, 0, 0], [0, 1 + e, 0], [0, 0, 1]],
            "turn": [[1, -e, 0], [e, 1, 0], [0, 0, 1]],
            "stretch": [[1 + e, 0, 0], [0, 1 - e, 0], [0, 0, 1]],
            "shear": [[1, e, 0], [e, 1, 0], [0, 0, 1]],
            "tilt_x": [[1, 0, 0], [0, 1, 0], [e / EDGE, 0, 1]],
            "tilt_y": [[1, 0, 0], [0, 1, 0], [0, e / EDGE, 1]],
        }[name]
        return Alignment(np.asarray(change, np.float64) @ self.matrix, self.negative)

    def snapped(self, base: Alignment) -> Alignment:
        """The nearest to this alignment of the :data:`NEARBY` fixed places about another: tilt is left out."""
        d = self.matrix @ np.linalg.inv(base.matrix)
        d = d / d[2, 2]
        moves = np.array([d[0, 2], d[1, 2], 0, 0, 0, 0])
        moves[2:] = (
            EDGE * np.array([d[0, 0] + d[1, 1] - 2, d[1, 0] - d[0, 1], d[0, 0] - d[1, 1], d[0, 1] + d[1, 0]]) / 2
        )
        x, y, scale, turn, stretch, shear = np.clip(np.rint(moves / SNAP), -REACHES, REACHES) * SNAP
        change = np.array([[scale + stretch, shear - turn, 0], [shear + turn, scale - stretch, 0], [0, 0, 0]]) / EDGE
        change[:2, 2] = x, y
        return Alignment((np.eye(3) + change) @ base.matrix, base.negative)

    def of(self, points: Floats) -> Floats:
        """Where points (N x 2) of the lattice lie on the file's canvas."""
        m = self.matrix
        x, y = points[:, 0], points[:, 1]
        w = m[2, 0] * x + m[2, 1] * y + m[2, 2]
        out = np.stack([m[0, 0] * x + m[0, 1] * y + m[0, 2], m[1, 0] * x + m[1, 1] * y + m[1, 2]], -1)
        return np.asarray(out / np.where(w > 0.1, w, np.inf)[:, None], np.float32)


IDENTITY = Alignment(np.eye(3))


@dataclass(frozen=True, eq=False)
class Chips:
    """Values of the cells of a band that lie inside the file, with their signs and roles, all of one length.

    ``at`` holds the cells' places on the file's canvas (N x 2); ``index`` their place in the lattice, flattened.
    """

    values: Floats
    signs: Floats
    roles: npt.NDArray[np.int16]
    at: Floats
    index: npt.NDArray[np.int64]

    @property
    def pilot(self) -> npt.NDArray[np.bool_]:
        """Which of them carry no payload."""
        return np.asarray(self.roles == PILOT)


def sample(maps: Maps, carrier: Carrier, at: Floats, canvas: tuple[int, int]) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Values of a band's map at places of the file's canvas, and which of these are inside it."""
    import cv2

    image = maps[carrier.band.name]
    height, width = image.shape
    x = (at[:, 0] * (width / canvas[0]) + (width / 2 - 0.5)).astype(np.float32)
    y = (at[:, 1] * (height / canvas[1]) + (height / 2 - 0.5)).astype(np.float32)
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    values = np.zeros(len(x), np.float32)
    if inside.any():
        # remap takes pictures of up to 32767 pixels on a side: fold the list of places into rows
        count = int(inside.sum())
        rows = -(-count // 1024)
        folded = np.zeros((2, rows * 1024), np.float32)
        folded[0, :count], folded[1, :count] = x[inside], y[inside]
        grid = folded.reshape(2, rows, 1024)
        values[inside] = cv2.remap(image, grid[0], grid[1], cv2.INTER_LINEAR).ravel()[:count]
    return values, inside


@dataclass(frozen=True, eq=False)
class Pilots:
    """A band's standing pilot cells: its carrier, their places (N x 2, lattice) and signs (N)."""

    carrier: Carrier
    places: Floats
    signs: Floats

    def near(self, alignment: Alignment, canvas: tuple[int, int], margin: float = 24.0) -> Pilots:
        """Those that an alignment puts inside the file's canvas or at most ``margin`` pixels beside it."""
        inside = (np.abs(alignment.of(self.places)) <= np.array(canvas) / 2 + margin).all(1)
        return Pilots(self.carrier, self.places[inside], self.signs[inside])


@lru_cache(maxsize=8)
def pilots(key: Key) -> tuple[Pilots, ...]:
    """The standing pilot cells of each band."""
    out = []
    for carrier in carriers(key):
        use = (carrier.role == PILOT) & ~carrier.changes
        rows, columns = np.nonzero(use)
        out.append(Pilots(carrier, np.stack([carrier.x[columns], carrier.x[rows]], -1), carrier.sign[use]))
    return tuple(out)


def pilot_rho(maps: Maps, bands: Sequence[Pilots], alignment: Alignment, canvas: tuple[int, int]) -> float:
    """Correlation of the standing pilot chips at an alignment.

    Each band is scaled to unit power and weighted by what it tells after compression as a rule: a sum of signs times
    values that no sign had a part in, over their norm, as Hoeffding's bound wants it.
    """
    total = norm = least = 0.0
    for band in bands:
        values, inside = sample(maps, band.carrier, alignment.of(band.places), canvas)
        values = values[inside]
        power = float(np.mean(values * values)) if values.size else 0.0
        least = least or power * FADED
        if power > least:
            weight = WEIGHTS[band.carrier.band.name]
            total += weight * float(values @ band.signs[inside]) / power**0.5
            norm += weight**2 * values.size
    rho = total / norm**0.5 if norm else 0.0
    return -rho if alignment.negative else rho


def climb(
    maps: Maps,
    bands: Sequence[Pilots],
    start: Alignment,
    canvas: tuple[int, int],
    *,
    step: float,
    names: Sequence[str] = AFFINE,
    finest: float = 0.12,
) -> tuple[Alignment, float]:
    """Climbs the pilot's correlation by steps that halve; returns the place and its rho."""
    bands = [band.near(start, canvas) for band in bands]
    here, score, count = start, pilot_rho(maps, bands, start, canvas), 1
    while step > finest and count < 600:
        moved = False
        for name in names:
            for sign in (step, -step):
                there = here.moved(name, sign)
                value = pilot_rho(maps, bands, there, canvas)
                count += 1
                if value > score:
                    here, score, moved = there, value, True
                    break
        if not moved:
            step /= 2
    return here, score


def read_chips(maps: Maps, key: Key, alignment: Alignment, canvas: tuple[int, int]) -> list[Chips]:
    """Values of every standing cell that an alignment puts inside the file, band by band."""
    out = []
    for carrier in carriers(key):
        index = np.flatnonzero(~carrier.changes.ravel())
        out.append(chips_at(maps, carrier, alignment, canvas, index))
    return out


def chips_at(
    maps: Maps, carrier: Carrier, alignment: Alignment, canvas: tuple[int, int], index: npt.NDArray[np.int64]
) -> Chips:
    """Values of some cells of a band, those inside the file, with their standing signs."""
    rows, columns = np.divmod(index, carrier.role.shape[1])
    at = alignment.of(np.stack([carrier.x[columns], carrier.x[rows]], -1))
    values, inside = sample(maps, carrier, at, canvas)
    index = index[inside]
    values = -values[inside] if alignment.negative else values[inside]
    return Chips(values, carrier.sign.ravel()[index], carrier.role.ravel()[index], at[inside], index)
