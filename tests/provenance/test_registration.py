"""Content compared where the mark's alignment says it lies: copies of every shape agree, other content does not."""

import struct

import cv2
import numpy as np
import pytest

from countermark.errors import StoreError
from countermark.provenance import ALIKE, FINE, Fingerprint, FingerprintMaker, agreement
from countermark.watermark import Reading
from countermark.watermark.carriers import canvas_size
from countermark.watermark.stretches import Stretch

FPS = 8
HEIGHT, WIDTH = 192, 320


def _print(frames: np.ndarray, fine: bool = True, start: float = 0.0) -> Fingerprint:
    maker = FingerprintMaker(**FINE) if fine else FingerprintMaker()
    for i, frame in enumerate(frames):
        maker.add(start + i / FPS, frame)
    return maker.finish()


def _reading(pixels: np.ndarray, frames: np.ndarray, **more: object) -> Reading:
    """A reading whose alignment is a map of pixels, 3 x 3, from the sealed frames to ``frames``."""

    def canvas(width: int, height: int) -> np.ndarray:
        wide, high = canvas_size(width, height)
        return np.array([[wide / width, 0, -wide / 2], [0, high / height, -high / 2], [0, 0, 1]])

    matrix = canvas(frames.shape[2], frames.shape[1]) @ pixels @ np.linalg.inv(canvas(WIDTH, HEIGHT))
    return Reading("payload", 1, 20.0, 1e-12, alignment=tuple(matrix.ravel()), **more)


def _cropped(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return frames[:, 40:140, 100:260], np.array([[1, 0, -100], [0, 1, -40], [0, 0, 1.0]])


def _mirrored(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return frames[:, :, ::-1], np.array([[-1, 0, WIDTH], [0, 1, 0], [0, 0, 1.0]])


def _turned(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    matrix = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), 8, 1.0)
    return np.stack([cv2.warpAffine(f, matrix, (WIDTH, HEIGHT)) for f in frames]), np.vstack([matrix, [0, 0, 1]])


def _quarter(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.rot90(frames, 1, (1, 2)), np.array([[0, 1, 0], [-1, 0, WIDTH], [0, 0, 1.0]])


def _barred(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.pad(frames, ((0, 0), (90, 90), (0, 0), (0, 0))), np.array([[1, 0, 0], [0, 1, 90], [0, 0, 1.0]])


def _covered(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    out = frames.copy()
    out[:, :, int(WIDTH * 0.65) :] = (40, 90, 60)
    return out, np.eye(3)


def _darkened(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (255 * (frames / 255.0) ** 2).astype(np.uint8), np.eye(3)


def _backwards(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return frames[::-1], np.eye(3)


@pytest.mark.parametrize(
    "change",
    [_cropped, _mirrored, _turned, _quarter, _barred, _covered, _darkened, _backwards],
    ids=lambda f: f.__name__,
)
def test_copies_agree_and_other_content_does_not(clip, change):
    mine, other = clip(16, HEIGHT, WIDTH, seed=1), clip(16, HEIGHT, WIDTH, seed=2)
    sealed = Fingerprint.from_bytes(_print(mine, fine=False).to_bytes())
    copy, pixels = change(mine)
    alike = agreement(_print(copy), sealed, _reading(pixels, copy))
    assert alike is not None
    assert alike > ALIKE + 0.15
    forged, _ = change(other)
    unlike = agreement(_print(forged), sealed, _reading(pixels, forged))
    assert unlike is not None
    assert unlike < ALIKE - 0.1


def test_a_negative_agrees_whatever_the_marks_own_sign(clip):
    """A mark that was subtracted twice over reads as a negative, on a picture that is none."""
    mine = clip(8, HEIGHT, WIDTH, seed=1)
    sealed = _print(mine, fine=False)
    for frames in (mine, 255 - mine):
        for negative in (True, False):
            assert (agreement(_print(frames), sealed, _reading(np.eye(3), mine, negative=negative)) or 0) > 0.9


def test_only_the_stretches_that_carry_the_payload_count(clip):
    mine, other = clip(16, HEIGHT, WIDTH, seed=1), clip(16, HEIGHT, WIDTH, seed=2)
    sealed, seen = _print(mine, fine=False), _print(np.concatenate([mine[:6], other]))
    first = (Stretch(0.0, 0.75, 1, (0,)), Stretch(0.75, 2.75, 2, (1,)))
    last = (Stretch(0.75, 2.75, 1, (0,)),)
    assert (agreement(seen, sealed, _reading(np.eye(3), mine, stretches=first)) or 0) > 0.9
    assert (agreement(seen, sealed, _reading(np.eye(3), mine, stretches=last)) or 0) < ALIKE
    assert (agreement(seen, sealed, _reading(np.eye(3), mine)) or 0) < ALIKE, "most of the file is something else"


def test_a_copy_between_the_moments_that_were_kept_agrees(clip):
    """What was sealed is kept twice a second; a cut may begin anywhere."""
    mine = clip(24, HEIGHT, WIDTH, seed=3)
    sealed = _print(mine, fine=False)
    assert len(sealed.pictures) == 6
    assert (agreement(_print(mine[3:15]), sealed, _reading(np.eye(3), mine)) or 0) > 0.9


def test_what_cannot_be_told(clip):
    mine, plain = clip(8, HEIGHT, WIDTH, seed=1), np.full((8, HEIGHT, WIDTH, 3), 90, np.uint8)
    sealed, empty = _print(mine, fine=False), FingerprintMaker().finish()
    here = _reading(np.eye(3), mine)
    corner = mine[:, :40, :40]
    assert agreement(_print(corner), sealed, _reading(np.eye(3), corner)) is None, "four percent of the frame"
    assert agreement(_print(plain), _print(plain, fine=False), here) is None
    assert agreement(_print(plain), sealed, here) == pytest.approx(0, abs=0.05), "a mark on a plain wall"
    assert agreement(_print(mine), _print(plain, fine=False), here) == 0.0
    assert agreement(empty, sealed, here) is None
    assert agreement(_print(mine), empty, here) is None


def test_fingerprints_are_small_and_bounded(clip):
    frames = clip(16, HEIGHT, WIDTH, seed=1)
    long = FingerprintMaker(most=20)
    for i in range(400):
        long.add(i / 2, frames[i % 16])
    prints = long.finish()
    assert 10 <= len(prints.pictures) < 20
    assert prints.step == 16.0
    assert np.diff(prints.times).min() >= prints.step
    back = Fingerprint.from_bytes(prints.to_bytes())
    assert (back.times, back.width, back.height, back.step) == (prints.times, WIDTH, HEIGHT, prints.step)
    assert len(prints.to_bytes()) < 32 * 400 + 1500 * len(prints.pictures)
    worst = max(float(np.abs(a.astype(int) - b).mean()) for a, b in zip(prints.pictures, back.pictures, strict=True))
    assert worst < 6


def test_a_damaged_fingerprint_is_one_line(clip):
    whole = _print(clip(8, HEIGHT, WIDTH), fine=False).to_bytes()
    head = struct.calcsize("<BHHfII")
    blobs = (
        b"",
        whole[:10],
        whole[:-7],
        whole + b"x",
        whole[:head] + b"\xff" * (len(whole) - head),
        bytes([9]) + whole[1:],
    )
    for blob in blobs:
        with pytest.raises(StoreError, match="fingerprint") as caught:
            Fingerprint.from_bytes(blob)
        assert "\n" not in str(caught.value)
