"""Other watermarks behind one small protocol, each with a presence test that can be trusted.

    from countermark.watermark import Key, load_codec

    codec = load_codec("dwtDctSvd", key)       # or "spread-spectrum", "dwtDct", "rivaGan", "y_256b_img.jit"
    codec.read(codec.embed(frames, 5))         # CodecReading(detected=True, payload=5, p_value=...)

The house's mark brings its own bound (:mod:`countermark.watermark.stats`). The others are channels of n bits, which
give some bits for any video: their message proves nothing by itself. So :class:`KeyedCodec` spends some of the bits
on a keyed check. A message is

    payload bits XOR a keyed mask, then check bits = BLAKE2b(key, payload)

1. Frames are no independent trials (an unmarked video gives nearly the same bits in every frame). They vote on each
   bit first, by majority; what is tested is the one message that results, whatever the number of frames.
2. That message says a payload, and the key says what check belongs to it. On media made without the key, the check is
   independent of the message that was read and uniform, since BLAKE2b under a secret key is a pseudo-random function;
   so the number of its bits that agree is binomial (c, 1/2), exactly, for any video, with no model of its content.
3. The p-value is that tail times the number of keys that were tried. The same figure bounds the chance that a payload
   is accepted wrongly on marked media, since another payload has another check.

A check of c bits cannot say less than 2^-c: 30 are the fewest that reach 1e-9, with no error among them (40 bear two
errors). rivaGan's 32 bits therefore leave 2 for a payload. A codec whose check is shorter never says ``detected``.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from countermark.errors import BadMedia, ModelUnavailable, UsageError
from countermark.watermark._imwatermark import METHODS, ImwatermarkBits
from countermark.watermark.embedding import embed
from countermark.watermark.keys import Key
from countermark.watermark.reading import read
from countermark.watermark.stats import P_FALSE_ALARM

__all__ = ["BitChannel", "CodecReading", "KeyedCodec", "SpreadSpectrum", "WatermarkCodec", "load_codec"]

Frames = npt.NDArray[np.uint8]
Bits = npt.NDArray[np.uint8]
CHECK = 40  # bits of a check where there is room: two of them may be wrong at 1e-9
FEWEST = 30  # bits of a check that can reach 1e-9 at all
LONGEST = 64  # bits of a payload, as the house's


@dataclass(frozen=True)
class CodecReading:
    """What a codec read.

    ``p_value`` bounds the chance of such a reading on media made without the key, the keys that were tried included;
    ``detected``: it is 1e-9 or less. ``payload``: only then, and None too where presence is proven but the payload
    is not. ``key_id``: the key that fits best.
    """

    codec: str
    detected: bool
    payload: int | None
    p_value: float
    key_id: str | None = None


@runtime_checkable
class WatermarkCodec(Protocol):
    """A watermark: its ``name``, and how many ``bits`` its payloads have."""

    name: str
    bits: int

    def embed(self, frames: Frames, payload: int) -> Frames:
        """Marks frames (uint8, T x H x W x 3, RGB). Raises UsageError for a payload that has too many bits."""
        ...

    def read(self, frames: Frames) -> CodecReading:
        """Reads frames (uint8, T x H x W x 3, RGB)."""
        ...


class BitChannel(Protocol):
    """A method that carries ``bits`` bits and cannot tell whether there are any."""

    name: str
    bits: int

    def put(self, frames: Frames, bits: Bits) -> Frames:
        """Frames (uint8, T x H x W x 3, RGB) that carry the bits (0 or 1)."""
        ...

    def votes(self, frames: Frames) -> npt.NDArray[np.float64]:
        """What each frame says of each bit, 0 or 1: T x bits; no rows where nothing can be read."""
        ...


class SpreadSpectrum:
    """The house's own mark as a codec: 64 bits, read with its own bound."""

    name = "spread-spectrum"
    bits = LONGEST

    def __init__(self, keys: Key | Sequence[Key]) -> None:
        self._keys = _ring(keys)

    def embed(self, frames: Frames, payload: int) -> Frames:
        """Marks frames under the first key, at the standard strength."""
        return embed(frames, _fitting(payload, self.bits), self._keys[0])

    def read(self, frames: Frames) -> CodecReading:
        """Reads frames under any of the keys."""
        found = read(frames, self._keys)
        return CodecReading(self.name, found.detected, found.payload, found.p_value, found.key_id)


class KeyedCodec:
    """A channel of bits with a keyed check: see the top of this file for the statistics.

    ``payload_bits``: how many of the channel's bits are payload; the others check it. Left out, the check gets 40
    bits, or what a payload of 2 bits leaves of fewer, and the payload at most 64.
    """

    def __init__(self, channel: BitChannel, keys: Key | Sequence[Key], payload_bits: int | None = None) -> None:
        usual = max(min(2, channel.bits - FEWEST), min(channel.bits - CHECK, LONGEST), 0)
        self.name = channel.name
        self.bits = usual if payload_bits is None else payload_bits
        if not 0 <= self.bits <= min(channel.bits - 1, LONGEST):
            raise UsageError(f"{channel.name} carries {channel.bits} bits; a payload of {self.bits} does not fit")
        self.check_bits = channel.bits - self.bits
        self._channel = channel
        self._keys = _ring(keys)

    @property
    def smallest_p_value(self) -> float:
        """What a reading without any error gives: over 1e-9, this codec never says ``detected``."""
        return min(1.0, len(self._keys) * math.ldexp(1.0, -self.check_bits))

    def embed(self, frames: Frames, payload: int) -> Frames:
        """Marks frames under the first key."""
        return self._channel.put(_checked(frames), self._message(_fitting(payload, self.bits), self._keys[0]))

    def read(self, frames: Frames) -> CodecReading:
        """Reads frames under each key: majority over the frames, then the check."""
        votes = self._channel.votes(_checked(frames))
        best = CodecReading(self.name, False, None, 1.0)
        if not len(votes):
            return best
        message = (votes.mean(0) > 0.5).astype(np.uint8)
        for key in self._keys:
            said = message[: self.bits] ^ self._mask(key)
            payload = int("".join(map(str, said)) or "0", 2)
            agreed = int(np.sum(message[self.bits :] == self._message(payload, key)[self.bits :]))
            p_value = min(1.0, len(self._keys) * _tail(agreed, self.check_bits))
            if p_value < best.p_value or best.key_id is None:
                found = p_value <= P_FALSE_ALARM
                best = CodecReading(self.name, found, payload if found else None, p_value, key.id)
        return best

    def _message(self, payload: int, key: Key) -> Bits:
        text = f"{payload:0{self.bits}b}" if self.bits else ""
        said = np.array([int(bit) for bit in text], np.uint8) ^ self._mask(key)
        stream = b"".join(
            hashlib.blake2b(payload.to_bytes(8, "big") + bytes([i]), key=key.secret, person=b"codec check").digest()
            for i in range(self.check_bits // 512 + 1)
        )
        check = np.unpackbits(np.frombuffer(stream, np.uint8))[: self.check_bits]
        return np.concatenate([said, check])

    def _mask(self, key: Key) -> Bits:
        """Hides the payload: otherwise equal payloads of two owners would look alike."""
        return (key.signs("codec payload", self.bits) > 0).astype(np.uint8)


def load_codec(name: str, keys: Key | Sequence[Key], *, payload_bits: int | None = None) -> WatermarkCodec:
    """A codec by name: ``spread-spectrum``, ``dwtDct``, ``dwtDctSvd``, ``rivaGan``, or the path of a TorchScript file.

    The first key marks, all of them read. ``payload_bits``: see :class:`KeyedCodec`; the house's mark has 64. Raises
    ModelUnavailable for an unknown name, a file that cannot be used and a missing extra.
    """
    if name == SpreadSpectrum.name:
        if payload_bits not in (None, LONGEST):
            raise UsageError(f"{name} has payloads of {LONGEST} bits")
        return SpreadSpectrum(keys)
    if name in METHODS:
        return KeyedCodec(ImwatermarkBits(name), keys, payload_bits)
    if Path(name).is_file():
        from countermark.watermark._torchscript import TorchScriptBits

        return KeyedCodec(TorchScriptBits(Path(name)), keys, payload_bits)
    known = ", ".join((SpreadSpectrum.name, *METHODS))
    raise ModelUnavailable(f"there is no watermark codec {name!r}: choose {known}, or the path of a TorchScript file")


def _tail(agreed: int, trials: int) -> float:
    """P(Binomial(trials, 1/2) >= agreed), exactly."""
    return math.ldexp(float(sum(math.comb(trials, k) for k in range(agreed, trials + 1))), -trials)


def _ring(keys: Key | Sequence[Key]) -> list[Key]:
    ring = [keys] if isinstance(keys, Key) else list(keys)
    if not ring:
        raise UsageError("a codec needs a key")
    return ring


def _fitting(payload: int, bits: int) -> int:
    if not 0 <= payload < 1 << bits:
        raise UsageError(f"the payload does not fit into {bits} bits")
    return payload


def _checked(frames: Frames) -> Frames:
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or not len(frames):
        raise BadMedia(f"expected uint8 frames of T x H x W x 3, got {frames.dtype} {frames.shape}")
    return frames
