"""The error-correcting code: a CRC-aided polar code of length 512 for 64 payload bits.

Arikan, "Channel polarization", 2009; list decoding: Tal and Vardy, 2015; the order of reliability by polarization
weight: He et al., "Beta-expansion", 2017. The CRC only chooses among the decoder's candidates: whether a mark was
found at all is decided by :mod:`countermark.watermark.stats`, never by the CRC.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

__all__ = ["LENGTH", "PAYLOAD_BITS", "decode", "encode"]

PAYLOAD_BITS = 64
CRC_BITS, CRC_POLY = 11, 0b111000100001  # x^11 + x^10 + x^9 + x^5 + 1 (3GPP TS 38.212, section 5.1)
LENGTH = 512
LIST = 32

Bits = npt.NDArray[np.uint8]


def encode(payload: int) -> Bits:
    """Codeword of a payload of 64 bits: 512 bits of 0 and 1."""
    if not 0 <= payload < 1 << PAYLOAD_BITS:
        raise ValueError("a payload has 64 bits")
    bits = np.array([payload >> (PAYLOAD_BITS - 1 - i) & 1 for i in range(PAYLOAD_BITS)], np.uint8)
    u = np.zeros(LENGTH, np.uint8)
    u[_places()] = np.concatenate([bits, _crc(bits[None])[0]])
    return _transform(u)


def decode(llr: npt.NDArray[np.float32]) -> tuple[int, Bits, bool]:
    """Most likely payload for 512 log-likelihood ratios (positive means 0).

    Returns the payload, its codeword, and whether the CRC agrees.
    """
    u = _list_decode(np.asarray(llr, np.float32))
    words = u[:, _places()]
    good = (_crc(words[:, :PAYLOAD_BITS]) == words[:, PAYLOAD_BITS:]).all(1)
    best = int(np.argmax(good)) if good.any() else 0
    payload = int("".join(map(str, words[best, :PAYLOAD_BITS])), 2)
    return payload, _transform(u[best]), bool(good[best])


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
    """Successive-cancellation list decoding: the LIST best input words, best first (LIST x 512).

    ``levels[d]`` holds each path's values at depth d of the tree and ``sums[d]`` the partial sums of left branches;
    both are indexed by path, and cloning a path is one fancy index over each.
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
            bit = np.zeros(len(metric), np.uint8)
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
    value = bit[:, None]
    d = depth
    while d > 0 and (i >> (depth - d)) & 1:
        value = np.concatenate([sums[d] ^ value, value], 1)
        d -= 1
    if d > 0:
        sums[d] = value
