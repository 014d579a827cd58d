"""The marks that Stable Diffusion 1 and SDXL leave through the library invisible-watermark.

Blocks are read here and not by the library, whose import takes two seconds (it loads torch); tests hold the reading
against it. A decoder finds some message in any picture, which proves nothing by itself; here a picture's agreement
with a known message is tested. Each block of the picture votes for one bit; ``lean`` is how far the votes
for a bit lie above or below the mean of all, and the agreement is the sum of ``lean`` over the message's ones less
that over its zeros. For any picture, against a message drawn at random, its distribution is known exactly (each
``lean`` counts with a random sign); the p-value is its tail, times the number of messages and frames tried. Weighting
by ``lean`` finds what counting bits misses: in smooth pictures the wrong bits are the ones with hardly a lean.

SDXL's message is random. Stable Diffusion's is text, whose letters resemble each other, and picture widths are
multiples of a byte of blocks, so that plain content can look like letters: ``lean`` is taken there from the mean of
the bits at the same place of all letters, and the message must also agree better than every rotation of itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["MESSAGES", "KnownMark", "find_known_marks"]

P_FALSE_ALARM = 1e-9
SMALLEST = 256  # pixels on the shorter side that the library asks for
LARGEST = 2048 * 2048  # pixels; beyond, decoding takes too long and these generators do not go
FINENESS = 100  # steps that the strongest lean is rounded to
STEP = 36  # quantisation step of the library's dwtDct, its default
BYTE = 8

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class KnownMark:
    """A generator's mark: whether it was found, how many of its bits agreed, and the bound on a chance agreement."""

    name: str
    agreed: int
    bits: int
    p_value: float

    @property
    def found(self) -> bool:
        """Whether the agreement is beyond chance at 1e-9."""
        return self.p_value <= P_FALSE_ALARM


@dataclass(frozen=True)
class Message:
    """A message's bits, and whether it is text, a byte a letter."""

    bits: tuple[int, ...]
    text: bool = False


def _letters(message: bytes) -> Message:
    return Message(tuple(int(bit) for byte in message for bit in f"{byte:08b}"), text=True)


MESSAGES: dict[str, Message] = {
    "Stable Diffusion": _letters(b"StableDiffusionV1"),
    "Stable Diffusion XL": Message(tuple(int(b) for b in f"{0b101100111110110010010000011110111011000110011110:048b}")),
}


def find_known_marks(frames: list[npt.NDArray[np.uint8]]) -> KnownMark | None:
    """The best agreement over some frames (each H x W x 3, uint8, RGB, never resized); None if none can be read."""
    usable = [f for f in frames if min(f.shape[:2]) >= SMALLEST and f.shape[0] * f.shape[1] <= LARGEST]
    tried = len(usable) * len(MESSAGES)
    best: KnownMark | None = None
    for frame in usable:
        votes = _votes(frame)
        for name, message in MESSAGES.items():
            agreed, p_value = _test(_leans(votes, message), message)
            if best is None or p_value * tried < best.p_value:
                best = KnownMark(name, agreed, len(message.bits), min(1.0, p_value * tried))
    return best


def _votes(frame: npt.NDArray[np.uint8]) -> Floats:
    """What each 4x4 block of the low band says, in the library's order: 0 or 1.

    The library's method "dwtDct" (which makes no cosine transform): the strongest value of a block beside its first
    is quantised, and the half of the quantisation step that it falls in is the bit.
    """
    import cv2

    rows, columns = frame.shape[0] // 4 * 4, frame.shape[1] // 4 * 4
    blue = cv2.cvtColor(frame, cv2.COLOR_RGB2YUV)[:rows, :columns, 1].astype(np.float64)
    low = blue.reshape(rows // 2, 2, columns // 2, 2).sum((1, 3)) / 2.0  # the low band of the Haar transform
    high, wide = low.shape[0] // 4, low.shape[1] // 4
    blocks = low[: high * 4, : wide * 4].reshape(high, 4, wide, 4).swapaxes(1, 2).reshape(-1, 16)
    strongest = np.abs(blocks[:, 1:]).max(1)
    return np.asarray(strongest % STEP > STEP / 2, np.float64)


def _leans(votes: Floats, message: Message) -> Ints:
    """How much each bit's votes lean to one (or, negative, to zero), in steps: N."""
    count = len(message.bits)
    bit = np.arange(len(votes)) % count
    share = np.bincount(bit, votes, count) / np.bincount(bit, minlength=count)
    places = share.reshape(-1, BYTE) if message.text else share[:, None]
    lean = (places - places.mean(0)).ravel()
    return np.asarray(np.rint(lean * FINENESS / max(float(np.abs(lean).max()), 1e-12)), np.int64)


def _test(lean: Ints, message: Message) -> tuple[int, float]:
    """How many bits agree, and the p-value of so strong an agreement."""
    signs = 2 * np.array(message.bits) - 1
    rotations = range(BYTE, len(signs), BYTE) if message.text else ()
    agreement = int(np.sum(signs * lean))
    p_value = _tail(int(np.sum(np.abs(lean)[signs * lean > 0])), np.abs(lean))
    if any(int(np.sum(np.roll(signs, shift) * lean)) >= agreement for shift in rotations):
        p_value = 1.0
    return int(np.sum(signs * lean > 0)), p_value


def _tail(agreed: int, weights: Ints) -> float:
    """P(sum of the weights that fair coins pick >= agreed), exactly."""
    chance = np.zeros(int(weights.sum()) + 1)
    chance[0] = 1.0
    for weight in weights[weights > 0]:
        picked = np.zeros_like(chance)
        picked[weight:] = chance[:-weight]
        chance = (chance + picked) / 2
    return float(min(1.0, chance[agreed:].sum()))
