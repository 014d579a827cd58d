"""The error-correcting code: a CRC-aided polar code of length 512 for 64 payload bits and 12 free ones.

Arikan, "Channel polarization", 2009; list decoding: Tal and Vardy, 2015; the order of reliability by polarization
weight: He et al., "Beta-expansion", 2017. The CRC only chooses among the decoder's candidates: whether a mark was
found at all is decided by :mod:`countermark.watermark.stats`, never by the CRC.

The free bits say nothing: they give every payload 4,096 codewords, its *variants*. The embedder takes the one that
its picture already resembles most (:mod:`countermark.watermark.informed`); the reader decodes them with the payload.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

__all__ = ["LENGTH", "PAYLOAD_BITS", "VARIANTS", "Decoded", "decode", "encode", "likeliest", "variants"]

PAYLOAD_BITS = 64
FREE_BITS = 12
CRC_BITS, CRC_POLY = 6, 0b1100001  # x^6 + x^5 + 1 (3GPP TS 38.212, section 5.1)
VARIANTS = 1 << FREE_BITS
LENGTH = 512
LIST = 32
CHUNK = 4096  # codewords that are made at a time

Bits = npt.NDArray[np.uint8]


def encode(payloads: Sequence[int], variant: int | Sequence[int] = 0) -> Bits:
    """Codewords of payloads of 64 bits, each in one of its variants: N x 512 bits of 0 and 1."""
    if not all(0 <= payload < 1 << PAYLOAD_BITS for payload in payloads):
        raise ValueError("a payload has 64 bits")
    bits = np.unpackbits(np.array(payloads, ">u8").view(np.uint8).reshape(len(payloads), PAYLOAD_BITS // 8), axis=1)
    return _word(np.concatenate([bits, _free(np.broadcast_to(np.asarray(variant), len(payloads)))], 1))


def likeliest(soft: npt.NDArray[np.float64], words: Sequence[tuple[int, int]]) -> tuple[int, float]:
    """Which of some payloads and variants agrees best with 512 soft bits (positive means 0), and the agreement."""
    best, agreement = 0, -np.inf
    for start in range(0, len(words), CHUNK):
        payloads, numbers = zip(*words[start : start + CHUNK], strict=True)
        scores = soft.sum() - 2.0 * (encode(payloads, numbers).astype(np.float32) @ soft.astype(np.float32))
        if scores.max() > agreement:
            best, agreement = start + int(np.argmax(scores)), float(scores.max())
    return best, agreement


@cache
def variants() -> Bits:
    """What to add (exclusive or) to a payload's codeword in variant 0 to get its variants: VARIANTS x 512."""
    return _word(np.concatenate([np.zeros((VARIANTS, PAYLOAD_BITS), np.uint8), _free(np.arange(VARIANTS))], 1))


@dataclass(frozen=True, eq=False)
class Decoded:
    """The likeliest word of 512 log-likelihood ratios: ``payload``, ``variant`` and ``word`` (512 bits of 0 and 1).

    ``margin``: the logarithm of how much likelier it is than any other word of the code, seen or unseen; 0 where none
    passed the CRC. ``rival``: the word (512) that is likeliest of all, whatever the CRC says.
    """

    payload: int
    variant: int
    word: Bits
    margin: float
    rival: Bits


def decode(llr: npt.NDArray[np.float32]) -> Decoded:
    """List decoding of 512 log-likelihood ratios (positive means 0), of any scale."""
    soft = np.asarray(llr, np.float32) / np.float32(np.sqrt(np.mean(np.square(llr))) or 1.0)
    u = _list_decode(soft)
    found = u[:, _places()]
    good = np.flatnonzero((_crc(found[:, :-CRC_BITS]) == found[:, -CRC_BITS:]).all(1))
    words = _transform(u)
    agreement = (1 - 2 * words.astype(np.float32)) @ soft / LENGTH**0.5
    if not len(good):
        return Decoded(0, 0, words[0], 0.0, words[0])
    best, *others = good[np.argsort(-agreement[good])]
    # words below the list's end were not seen; one in 2^CRC_BITS of them passes the CRC
    unseen = agreement.min() - CRC_BITS * np.log(2) / max(float(agreement[best]), 1.0)
    second = max(unseen, agreement[others[0]] if others else -np.inf)
    bits = found[best]
    payload = int.from_bytes(np.packbits(bits[:PAYLOAD_BITS]).tobytes(), "big")
    variant = int(bits[PAYLOAD_BITS : PAYLOAD_BITS + FREE_BITS].astype(np.int64) @ (1 << np.arange(FREE_BITS)))
    margin = max(0.0, float(agreement[best] * (agreement[best] - second)))
    return Decoded(payload, variant, words[best], margin, words[int(np.argmax(agreement))])


def _free(numbers: npt.NDArray[np.int64]) -> Bits:
    """The free bits of variants, lowest first: N x 12."""
    return (numbers[:, None] >> np.arange(FREE_BITS) & 1).astype(np.uint8)


def _word(bits: Bits) -> Bits:
    """Codewords of payload and free bits (N x 76): N x 512."""
    u = np.zeros((len(bits), LENGTH), np.uint8)
    u[:, _places()] = np.concatenate([bits, _crc(bits)], 1)
    return _transform(u)


@cache
def _places() -> npt.NDArray[np.int64]:
    """Positions of the information bits, the most reliable ones, in increasing order."""
    levels = LENGTH.bit_length() - 1
    weight = sum(((np.arange(LENGTH) >> k) & 1) * 2.0 ** (k / 4) for k in range(levels))
    return np.sort(np.argsort(weight)[-(PAYLOAD_BITS + FREE_BITS + CRC_BITS) :])


def _crc(bits: Bits) -> Bits:
    """Remainder of each row of bits on division by the generator polynomial: N x 6."""
    poly = np.array([CRC_POLY >> (CRC_BITS - i) & 1 for i in range(CRC_BITS + 1)], np.uint8)
    work = np.concatenate([bits, np.zeros((len(bits), CRC_BITS), np.uint8)], 1)
    for i in range(bits.shape[1]):
        work[:, i : i + CRC_BITS + 1] ^= work[:, i : i + 1] * poly
    return work[:, bits.shape[1] :]


def _transform(u: Bits) -> Bits:
    """Polar transform of bits (... x 512), its own inverse."""
    x = u.copy()
    half = 1
    while half < LENGTH:
        pairs = x.reshape(*x.shape[:-1], -1, 2, half)
        pairs[..., 0, :] ^= pairs[..., 1, :]
        half *= 2
    return x


def _list_decode(llr: npt.NDArray[np.float32]) -> Bits:
    """Successive-cancellation list decoding: the LIST best input words, best first.

    ``llr`` has 512 values, the result is LIST x 512. ``levels[d]`` holds each path's values at depth d of the tree and
    ``sums[d]`` the partial sums of left branches; both are indexed by path.
    """
    depth = LENGTH.bit_length() - 1
    information = np.zeros(LENGTH, bool)
    information[_places()] = True
    levels = [np.zeros((1, LENGTH >> d), np.float32) for d in range(depth + 1)]
    levels[0] = llr[None].astype(np.float32)
    sums = [np.zeros((1, LENGTH >> d), np.uint8) for d in range(depth + 1)]
    u = np.zeros((1, LENGTH), np.uint8)
    metric = np.zeros(1, np.float32)
    for i in range(LENGTH):
        start = depth if i == 0 else depth - ((i & -i).bit_length() - 1)
        for d in range(max(start, 1) if i else 1, depth + 1):
            above = levels[d - 1]
            half = LENGTH >> d
            a, b = above[:, :half], above[:, half:]
            if d == start and i:
                levels[d] = b + (1 - 2 * sums[d].astype(np.float32)) * a
            else:
                levels[d] = np.sign(a) * np.sign(b) * np.minimum(np.abs(a), np.abs(b))
        leaf = levels[depth][:, 0]
        if not information[i]:
            metric = metric + np.maximum(-leaf, 0)
            bit = np.zeros(metric.shape, np.uint8)
        else:
            costs = np.concatenate([metric + np.maximum(-leaf, 0), metric + np.maximum(leaf, 0)])
            keep = np.argsort(costs, kind="stable")[:LIST]
            path, bit = keep % len(metric), (keep // len(metric)).astype(np.uint8)
            metric = costs[keep]
            levels = [levels[0], *(x[path] for x in levels[1:])]
            sums = [x[path] for x in sums]
            u = u[path]
        u[:, i] = bit
        _carry(sums, bit, i, depth)
    return u[np.argsort(metric, kind="stable")]


def _carry(sums: list[Bits], bit: Bits, i: int, depth: int) -> None:
    """Stores the leaf's bit as a left branch, or joins finished branches upwards."""
    value = bit[..., None]
    d = depth
    while d > 0 and (i >> (depth - d)) & 1:
        value = np.concatenate([sums[d] ^ value, value], -1)
        d -= 1
    if d > 0:
        sums[d] = value
