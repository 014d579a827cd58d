"""Compares a file with what was sealed, laid over each other as the watermark's alignment says.

The file's pictures are brought back onto the sealed ones, both lose what is common over a neighbourhood and are scaled
to its contrast, so that light, gamma and overlays elsewhere do not matter, and the correlation of what both show is
taken, of fine detail and of coarser shapes. An attacker who moves a mark to other content chooses the content; where
the mark then lies says nothing of it. What carries a mark along is fine: the ghost of a steady picture's detail can
come with it, its shapes cannot unless they are seen; so the lesser of both correlations counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from countermark.provenance.fingerprint import Fingerprint
from countermark.watermark import Reading
from countermark.watermark.carriers import canvas_size

__all__ = ["ALIKE", "FINE", "agreement"]

Floats = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]
# how a scan looks: a file may show a part of what was sealed, enlarged, and moments between those that were kept
FINE: dict[str, Any] = {"side": 128, "step": 0.125, "most": 1200}
ALIKE = 0.46  # agreement from which on the content is the same; docs/watermark.md has the distributions
LEAST = 0.06  # share of what was sealed that a file must show to be compared with it
# Of both scales: the sigma by which it is smoothed and that of the neighbourhood, in pixels of a picture of 64 x 64.
SCALES = ((0.0, 4.0), (1.7, 7.0))
FAINT = 3.0  # contrast, in 8-bit steps, below which it is not scaled up
FLAT = 1.0  # rms of the detail, in 8-bit steps, below which a picture shows nothing to compare


def agreement(seen: Fingerprint, sealed: Fingerprint, reading: Reading) -> float | None:
    """How far a file shows what was sealed: about 0 for other content, 1 for the same; None where it cannot be told.

    ``reading``: the mark's, read from the file; what counts are the stretches that carry its payload. There, of every
    span as long as the sealed pictures' step, the best pair of pictures counts, and of the spans the median. A
    negative agrees as its positive does. It cannot be told where the file shows under 6 % of the sealed frame, or
    where both are plain.
    """
    spans = [(s.start, s.end) for s in reading.stretches if s.payload == reading.payload]
    inside = [i for i, time in enumerate(seen.times) if any(start <= time < end for start, end in spans)]
    chosen = inside or list(range(len(seen.times)))
    if not sealed.pictures or not chosen:
        return None
    shown, mask = _laid_back([seen.pictures[i] for i in chosen], seen, sealed, reading.alignment)
    if mask.mean() < LEAST:
        return None
    same, inverse, seen_rms, kept_rms = _compared(shown, sealed.pictures, mask)
    best: dict[int, list[tuple[float, float]]] = {}
    for row, opposite, rms, index in zip(same, inverse, seen_rms, chosen, strict=True):
        if rms < FLAT and (kept_rms < FLAT).any():
            continue  # plain here, plain there: nothing can be said
        best.setdefault(int(seen.times[index] / sealed.step), []).append((float(row.max()), float(opposite.max())))
    if not best:
        return None
    # a mark that was subtracted twice over reads as a negative on a picture that is none: the content's sign is its own
    return max(0.0, float(np.max(np.median([np.max(pairs, 0) for pairs in best.values()], 0))))


def _laid_back(
    pictures: Sequence[npt.NDArray[np.uint8]], seen: Fingerprint, sealed: Fingerprint, alignment: Sequence[float]
) -> tuple[list[Floats], Floats]:
    """The file's pictures as the sealed ones lie, and where (1, else 0) they show anything."""
    import cv2

    height, width = sealed.pictures[0].shape
    lattice = np.asarray(alignment, np.float64).reshape(3, 3)
    matrix = np.linalg.inv(_canvas_of(seen)) @ lattice @ _canvas_of(sealed)
    finer = float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))
    blur = 0.5 * float(np.sqrt(max(finer * finer - 1.0, 0.0)))  # what the coarser grid cannot hold must not alias

    def back(picture: Floats) -> Floats:
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpPerspective(picture, matrix, (width, height), flags=flags), np.float32)

    smooth = [cv2.GaussianBlur(p, (0, 0), blur) if blur > 0.1 else p for p in pictures]
    mask = np.asarray(back(np.ones(pictures[0].shape, np.float32)) > 0.99, np.float32)
    return [back(np.asarray(p, np.float32)) for p in smooth], mask


def _canvas_of(prints: Fingerprint) -> Matrix:
    """From a picture's pixels to its canvas, in canvas pixels from the centre."""
    wide, high = canvas_size(prints.width, prints.height)
    height, width = prints.pictures[0].shape
    x, y = wide / width, high / height
    return np.array([[x, 0, (x - wide) / 2], [0, y, (y - high) / 2], [0, 0, 1]], np.float64)


def _compared(
    shown: Sequence[Floats], kept: Sequence[npt.NDArray[np.uint8]], mask: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    """How alike each picture shown and each one kept are, as they are and as negatives (shown x kept each): the lesser
    correlation of both scales; and the rms of the fine detail of those shown and those kept."""
    found = []
    for smooth, around in reversed(SCALES):
        seen_detail, seen_rms = _details(shown, mask, smooth, around)
        kept_detail, kept_rms = _details(kept, mask, smooth, around)
        found.append(seen_detail @ kept_detail.T)
    same, inverse = np.min(found, 0), -np.max(found, 0)
    plain = kept_rms < FLAT
    same[:, plain] = inverse[:, plain] = 0.0
    return same, inverse, seen_rms, kept_rms


def _details(
    pictures: Sequence[npt.NDArray[np.uint8] | Floats], mask: Floats, smooth: float, sigma: float
) -> tuple[Floats, Floats]:
    """Of each picture: what it shows inside the mask beyond its neighbourhood, at unit norm, and that detail's rms."""
    import cv2

    def blurred(image: Floats, by: float) -> Floats:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), by), np.float32)

    def around(image: Floats) -> Floats:
        return np.asarray(blurred(image, sigma) / weight, np.float32)

    weight = blurred(mask, sigma) + np.float32(1e-6)
    rows, rms = [], []
    for picture in pictures:
        image = np.asarray(picture, np.float32)
        if smooth:
            image = np.asarray(blurred(image * mask, smooth) / (blurred(mask, smooth) + 1e-6), np.float32)
        detail = (image - around(image * mask)) * mask
        rms.append(float(np.sqrt(np.sum(detail * detail) / mask.sum())))
        row = (detail / (np.sqrt(around(detail * detail)) + FAINT)).ravel()
        rows.append(row / (np.linalg.norm(row) + 1e-6))
    return np.stack(rows), np.asarray(rms, np.float32)
