"""From slices of a clip to maps of its residual, at the scale at which a lattice is thought to lie.

A crop shows the lattice enlarged and a letterbox shows it shrunk, so residuals are made after the picture has been
brought back by that factor, the *zoom*; four steps an octave are near enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from countermark.watermark.carriers import BANDS, pulse
from countermark.watermark.slices import Planes, join

__all__ = ["Maps", "Residuals", "level_of", "zoom_of"]

Floats = npt.NDArray[np.float32]
GROUP = 0.5  # seconds of a group of slices whose residual is computed at once
GROUPS = 16  # groups at most: longer clips have longer ones
SMALLEST = 48  # pixels on a side of a picture that is worth a look


Maps = dict[str, Floats]  # matched residuals by band: "y", "cr" and "cb", each H x W


def level_of(zoom: float) -> int:
    """The nearest of the levels at which maps are made, four an octave."""
    return round(4 * float(np.log2(max(zoom, 1e-3))))


def zoom_of(level: int) -> float:
    """The zoom of a level."""
    return float(2.0 ** (level / 4))


@dataclass
class Residuals:
    """Makes and remembers maps of one clip; ``canvas`` is the file's own canvas, width and height."""

    slices: list[Planes]
    canvas: tuple[int, int]
    _grouped: list[list[Planes]] | None = None
    _whole: dict[int, Maps | None] = field(default_factory=dict)
    _groups: dict[int, list[Maps]] = field(default_factory=dict)

    def only(self, groups: Sequence[int]) -> Residuals:
        """The residuals of some groups alone; what was made of them is kept."""
        grouped = self.grouped()
        part = Residuals([piece for i in groups for piece in grouped[i]], self.canvas, [grouped[i] for i in groups])
        part._groups = {level: [maps[i] for i in groups] for level, maps in self._groups.items()}
        return part

    def whole(self, level: int = 0) -> Maps | None:
        """Maps of the mean over all slices, quick to make; None where the picture would be too small."""
        if level not in self._whole:
            side = min(self.canvas) / zoom_of(level)
            self._whole[level] = _matched(join(self.slices), level) if side >= SMALLEST else None
        return self._whole[level]

    def grouped(self) -> list[list[Planes]]:
        """The slices, in the groups whose maps :meth:`groups` gives."""
        if self._grouped is not None:
            return self._grouped
        total = sum(s.end - s.start for s in self.slices)
        length = max(GROUP, total / GROUPS) - 1e-3
        out: list[list[Planes]] = []
        for piece in self.slices:
            if out and piece.end - out[-1][0].start <= length + 0.05 and piece.start >= out[-1][-1].start:
                out[-1].append(piece)
            else:
                out.append([piece])
        self._grouped = out
        return out

    def groups(self, level: int = 0) -> list[Maps]:
        """Maps of each group of slices."""
        if level not in self._groups:
            self._groups[level] = [_matched(join(group), level) for group in self.grouped()]
        return self._groups[level]

    def best(self, level: int = 0) -> Maps:
        """The most that a clip tells: maps summed over all groups, weighted by their frames, and the map of the mean.

        What moves is taken away better group by group, what stands still better from the mean of all; after H.264 at
        CRF 33 and 38 the sum of the two told 2 % more than either (24 clips), and never less than the worse one.
        """
        weights = [sum(s.frames for s in group) for group in self.grouped()]
        groups, whole = self.groups(level), self.whole(level)
        total = {b.name: sum(m[b.name] * w for m, w in zip(groups, weights, strict=True)) for b in BANDS}
        return {n: np.asarray(t / sum(weights) + (whole[n] if whole else 0), np.float32) for n, t in total.items()}


def _zoomed(planes: Planes, zoom: float) -> tuple[Floats, Floats]:
    """Luma and colour, made smaller by ``zoom``, with even sides."""
    import cv2

    height, width = planes.c.shape[:2]
    small = max(1, round(width / zoom)), max(1, round(height / zoom))
    y, c = planes.y.astype(np.float32), planes.c.astype(np.float32)
    if small == (width, height):
        return y, c
    way = cv2.INTER_AREA if zoom > 1 else cv2.INTER_CUBIC
    y = cv2.resize(y, (2 * small[0], 2 * small[1]), interpolation=way)
    return np.asarray(y, np.float32), np.asarray(cv2.resize(c, small, interpolation=way), np.float32)


def _matched(planes: Planes, level: int) -> Maps:
    import torch

    from countermark.watermark.whitener import whitener

    y, c = _zoomed(planes, zoom_of(level))
    with torch.inference_mode():
        luma, colour = whitener()(
            torch.from_numpy(y)[None, None], torch.from_numpy(np.ascontiguousarray(c.transpose(2, 0, 1)))[None]
        )
    images = (luma[0, 0].numpy(), colour[0, 0].numpy(), colour[0, 1].numpy())
    return {band.name: pulse(image) for band, image in zip(BANDS, images, strict=True)}
