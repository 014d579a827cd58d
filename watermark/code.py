"""The error-correcting code: a CRC-aided polar code of length 512 for 64 payload bits, in 16 variants.

Arikan, "Channel polarization", 2009; list decoding: Tal and Vardy, 2015; the order of reliability by polarization
weight: He et al., "Beta-expansion", 2017. The CRC only chooses among the decoder's candidates: whether a mark was
found at all is decided by :mod:`countermark.watermark.stats`, never by the CRC.

A variant turns over a fixed half of the bits. The embedder takes the one that its picture already resembles most
(:mod:`countermark.watermark.informed`); the reader tries them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

__all__ = ["LENGTH", "PAYLOAD_BITS", "VARIANTS", "decode", "encode"]

PAYLOAD_BITS = 64
CRC_BITS, CRC_POLY = 6, 0b1100001  # x^6 + x^5 + 1 (3GPP TS 38.212, section 5.1)
VARIANTS = 16
LENGTH = 512
LIST = 32

Bits = npt.NDArray[np.uint8]


def encode(payloads: Sequence[int], variant: int | None = None) -> Bits:
    """Codewords of payloads of 64 bits: N x VARIANTS x 512 bits of 0 and 1, or N x 512 of one variant."""
    if not all(0 <= payload < 1 << PAYLOAD_BITS for payload in payloads):
        raise ValueError("a payload has 64 bits")
    raw = np.array(payloads, ">u8").view(np.uint8).reshape(len(payloads), PAYLOAD_BITS // 8)
    bits = np.unpackbits(raw, axis=1)
    u = np.zeros((len(payloads), LENGTH), np.uint8)
    u[:, _places()] = np.concatenate([bits, _crc(bits)], 1)
    words = _transform(u)
    return words[:, None] ^ _turns() if variant is None else words ^ _turns()[variant]


def decode(llr: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.uint64], Bits, Bits]:
    """Most likely payload under each variant, for 512 log-likelihood ratios (positive means 0).

    Returns the payloads (VARIANTS), their codewords (VARIANTS x 512), and the codewords (VARIANTS x 512) that are
    likeliest of all, whatever the CRC says: where these are much likelier, the payload is not to be trusted.
    """
    soft = np.asarray(llr, np.float32) * (1 - 2 * _turns().astype(np.float32))
    u = _list_decode(soft)
    words = u[:, :, _places()]
    flat = words.reshape(-1, PAYLOAD_BITS + CRC_BITS)
    good = (_crc(flat[:, :PAYLOAD_BITS]) == flat[:, PAYLOAD_BITS:]).all(1).reshape(words.shape[:2])
    best = np.argmax(good, 1)  # lists are in order: the first good one, or the first
    rows = np.arange(VARIANTS)
    payloads = np.packbits(words[rows, best, :PAYLOAD_BITS], axis=1).view(">u8").ravel().astype(np.uint64)
    return payloads, _transform(u[rows, best]) ^ _turns(), _transform(u[:, 0]) ^ _turns()


@cache
def _turns() -> Bits:
    """The bits that each variant turns over: VARIANTS x 512, the first none."""
    turns = np.random.Generator(np.random.Philox(key=512)).integers(0, 2, (VARIANTS, LENGTH), dtype=np.uint8)
    turns[0] = 0
    return turns


@cache
def _places() -> npt.NDArray[np.int64]:
    """Positions of the information bits, the most reliable ones, in increasing order."""
    levels = LENGTH.bit_length() - 1
    weight = sum(((np.arange(LENGTH) >> k) & 1) * 2.0 ** (k / 4) for k in range(levels))
    return np.sort(np.argsort(weight)[-(PAYLOAD_BITS + CRC_BITS) :])


def _crc(bits: Bits) -> Bits:
    """Remainder of each row (N x 64) on division by the generator polynomial: N x 11."""
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
    """Successive-cancellation list decoding of B words at once: the LIST best input words of each, best first.

    ``llr`` is B x 512, the result B x LIST x 512. ``levels[d]`` holds each path's values at depth d of the tree and
    ``sums[d]`` the partial sums of left branches; both are indexed by word and path.
    """
    depth = LENGTH.bit_length() - 1
    information = np.zeros(LENGTH, bool)
    information[_places()] = True
    words = len(llr)
    rows = np.arange(words)[:, None]
    levels = [np.zeros((words, 1, LENGTH >> d), np.float32) for d in range(depth + 1)]
    levels[0] = llr[:, None].astype(np.float32)
    sums = [np.zeros((words, 1, LENGTH >> d), np.uint8) for d in range(depth + 1)]
    u = np.zeros((words, 1, LENGTH), np.uint8)
    metric = np.zeros((words, 1), np.float32)
    for i in range(LENGTH):
        start = depth if i == 0 else depth - ((i & -i).bit_length() - 1)
        for d in range(max(start, 1) if i else 1, depth + 1):
            above = levels[d - 1]
            half = LENGTH >> d
            a, b = above[..., :half], above[..., half:]
            if d == start and i:
                levels[d] = b + (1 - 2 * sums[d].astype(np.float32)) * a
            else:
                levels[d] = np.sign(a) * np.sign(b) * np.minimum(np.abs(a), np.abs(b))
        leaf = levels[depth][..., 0]
        if not information[i]:
            metric = metric + np.maximum(-leaf, 0)
            bit = np.zeros(metric.shape, np.uint8)
        else:
            costs = np.concatenate([metric + np.maximum(-leaf, 0), metric + np.maximum(leaf, 0)], 1)
            keep = np.argsort(costs, axis=1, kind="stable")[:, :LIST]
            path, bit = keep % metric.shape[1], (keep // metric.shape[1]).astype(np.uint8)
            metric = costs[rows, keep]
            levels = [levels[0], *(x[rows, path] for x in levels[1:])]
            sums = [x[rows, path] for x in sums]
            u = u[rows, path]
        u[..., i] = bit
        _carry(sums, bit, i, depth)
    return u[rows, np.argsort(metric, axis=1, kind="stable")]


def _carry(sums: list[Bits], bit: Bits, i: int, depth: int) -> None:
    """Stores the leaf's bit as a left branch, or joins finished branches upwards."""
    value = bit[..., None]
    d = depth
    while d > 0 and (i >> (depth - d)) & 1:
        value = np.concatenate([sums[d] ^ value, value], -1)
        d -= 1
    if d > 0:
        sums[d] = value
