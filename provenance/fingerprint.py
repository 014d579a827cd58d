"""Perceptual fingerprints: what a video looks like, so that a mark on other content is not taken for ours.

A fingerprint holds two things. Small grey pictures of the frames are compared where the watermark says how the file
lies on what was sealed (:mod:`countermark.provenance.registration`), so that crops, turns, mirrors and bars do not
matter. A 256-bit DCT hash (pHash, Zauner 2010, as in the ImageHash library) of whole frames serves where no mark was
read: two videos match when their frames find each other within a Hamming distance that unrelated frames do not reach.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from countermark.errors import StoreError

__all__ = ["MATCH", "UNRELATED", "Fingerprint", "FingerprintMaker"]

Picture = npt.NDArray[np.uint8]
SIDE = 16  # 16 x 16 bits
BITS = SIDE * SIDE
UNRELATED = BITS // 2  # bits between the hashes of unrelated frames, on average
STEP = 0.5  # seconds between the frames that are kept
MOST_HASHES = 1200  # ten minutes; longer videos keep a wider step
# Of 256 bits: up to this median distance two videos count as the same. Of 4,830 pairs of unrelated clips from 70
# sources the nearest were 99 apart; crops to 95 % reach 53, and 95 % of crops to 90 % stay within 90 (worst 119).
MATCH = 96
VERSION = 1
HEAD = struct.Struct("<BHHfII")  # version, width, height, step, hashes, pictures
QUALITY = 60  # of the pictures' WebP: 0.8 KB each


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """What a video of ``width`` x ``height`` pixels looks like.

    ``hashes``: uint8, N x 32 (256 bits each), of whole frames. ``pictures``: grey frames, uint8, all of one size and
    one every ``step`` seconds or so, shown at ``times`` seconds.
    """

    hashes: npt.NDArray[np.uint8]
    pictures: tuple[Picture, ...] = ()
    times: tuple[float, ...] = ()
    width: int = 0
    height: int = 0
    step: float = STEP

    def to_bytes(self) -> bytes:
        """A version byte, the figures, the hashes of 32 bytes each, and each picture's time and WebP."""
        import cv2

        parts = [HEAD.pack(VERSION, self.width, self.height, self.step, len(self.hashes), len(self.pictures))]
        parts.append(self.hashes.tobytes())
        for time, picture in zip(self.times, self.pictures, strict=True):
            coded = cv2.imencode(".webp", picture, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])[1].tobytes()
            parts.append(struct.pack("<fI", time, len(coded)) + coded)
        return b"".join(parts)

    @classmethod
    def from_bytes(cls, data: bytes) -> Fingerprint:
        """The way back from :meth:`to_bytes`; pictures come back as WebP keeps them. Raises StoreError for damage."""
        try:
            version, width, height, step, count, shown = HEAD.unpack_from(data)
            if version != VERSION:
                raise StoreError(f"a stored fingerprint is of version {version}, this program reads {VERSION}")
            at = HEAD.size + count * BITS // 8
            hashes = np.frombuffer(data[HEAD.size : at], np.uint8).reshape(count, BITS // 8)
            times, pictures = [], []
            for _ in range(shown):
                time, size = struct.unpack_from("<fI", data, at)
                at += 8 + size
                times.append(time)
                pictures.append(_decoded(data[at - size : at]))
            if at != len(data) or len({picture.shape for picture in pictures}) > 1:
                raise ValueError("sizes that do not fit")
        except (struct.error, ValueError):
            raise StoreError("a stored fingerprint is damaged") from None
        return cls(hashes, tuple(pictures), tuple(times), width, height, step)

    def distance(self, other: Fingerprint) -> float:
        """Median, over this video's frames, of the distance in bits to the other's nearest frame; 256 if empty."""
        if not len(self.hashes) or not len(other.hashes):
            return float(BITS)
        apart = np.bitwise_count(self.hashes[:, None] ^ other.hashes[None]).sum(-1, dtype=np.int64)
        return float(np.median(apart.min(1)))

    def matches(self, other: Fingerprint) -> bool:
        """Whether this video shows the content of the other as a whole: cut, cropped a little or recompressed."""
        return self.distance(other) <= MATCH


class FingerprintMaker:
    """Looks at frames, all of one size, as they pass by.

    ``side``: root of the pictures' area in pixels; ``step``: seconds between them at first; ``most``: pictures kept,
    beyond which the step doubles. What is stored is coarse; what a scan compares with it can be finer.
    """

    def __init__(self, side: int = 64, step: float = STEP, most: int = 240) -> None:
        self._side, self._most = side, most
        self._hashes: list[npt.NDArray[np.uint8]] = []
        self._pictures: list[tuple[float, Picture]] = []
        self._next_hash, self._hash_step = 0.0, STEP
        self._next, self._step = 0.0, step
        self._size = (0, 0)

    def add(self, time: float, rgb: npt.NDArray[np.uint8]) -> None:
        """Looks at a frame (H x W x 3, uint8) shown at ``time`` seconds; most are passed over."""
        self._size = rgb.shape[1], rgb.shape[0]
        if time >= self._next:
            self._next = time + self._step
            self._pictures.append((time, _picture(rgb, self._side)))
            if len(self._pictures) >= self._most:
                self._pictures, self._step = self._pictures[::2], self._step * 2
        if time >= self._next_hash:
            self._next_hash = time + self._hash_step
            self._hashes.append(_hash(rgb))
            if len(self._hashes) >= MOST_HASHES:
                self._hashes, self._hash_step = self._hashes[::2], self._hash_step * 2

    def finish(self) -> Fingerprint:
        """The fingerprint of all frames so far."""
        hashes = np.stack(self._hashes) if self._hashes else np.zeros((0, BITS // 8), np.uint8)
        times, pictures = tuple(t for t, _ in self._pictures), tuple(p for _, p in self._pictures)
        return Fingerprint(hashes, pictures, times, *self._size, self._step)


def _picture(rgb: npt.NDArray[np.uint8], side: int) -> Picture:
    import cv2

    height, width = rgb.shape[:2]
    scale = side / float(np.sqrt(width * height))
    size = max(8, round(width * scale)), max(8, round(height * scale))
    return np.asarray(cv2.cvtColor(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY), np.uint8)


def _decoded(coded: bytes) -> Picture:
    import cv2

    picture = cv2.imdecode(np.frombuffer(coded, np.uint8), cv2.IMREAD_GRAYSCALE) if coded else None
    if picture is None:
        raise ValueError("no picture")
    return np.asarray(picture, np.uint8)


def _hash(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    import cv2
    import imagehash
    from PIL import Image

    small = cv2.resize(rgb, (128, 128), interpolation=cv2.INTER_AREA)  # the hash's own 64 x 64 starts from this
    return np.packbits(imagehash.phash(Image.fromarray(small), hash_size=SIDE).hash.ravel())
