"""A keyed mark in the noise that a clip is grown from: a second, slow, forensic layer beside the mark in the pixels.

Gaussian Shading (Yang et al. 2024, "Gaussian Shading: provable performance-lossless image watermarking for diffusion
models"): each value of the initial noise keeps its size, which comes from the seed, and gets its sign from a key
stream that encrypts a repeated message. A standard normal value is a half-normal size and an independent fair sign, so
without the key marked noise has exactly the distribution of any other, and so have the clips.

Design decisions
* Signs are those of the noise's cosine transform over time, height and width, not of its pixels. The transform is
  orthonormal, so noise stays noise; and what a clip remembers of its noise is where things lie, not fine grain: from
  the embedded model's own output, inversion recovered 52 % of the signs of pixels, and 53 to 60 % of those of the
  frequencies up to a half of the highest (one prompt, four seeds).
* A key has PATTERNS key streams, and the seed says which is taken: one stream for all clips would make their layouts
  alike. The reader tries them all, which costs less than the inversion, and prices them in.

Reading: with ``y`` the recovered transform, made even over frequencies and clipped, ``s`` a stream's signs and ``m``
a message's, ``rho = sum s m y / ||y||``. On a clip made without the key ``s`` is independent of ``y`` and uniform, so
P(rho >= t) <= exp(-t^2 / 2) (Hoeffding 1963) for any clip, as for the mark in the pixels; times the streams and the
keys tried, and 2^32 where the message is not known before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from countermark.errors import UsageError
from countermark.watermark import P_FALSE_ALARM, Key, bound

__all__ = ["MESSAGE_BITS", "PATTERNS", "NoiseReading", "marked_noise", "read_noise", "recovered_signs"]

Floats = npt.NDArray[np.float32]
MESSAGE_BITS = 32
PATTERNS = 1024  # key streams of a key
REACH = 0.9  # radius of the marked frequencies, in shares of the highest along an axis
TAPER = 0.5  # radius at which a frequency counts 1/e: what inversion recovers falls off like that
SHELL = 24  # shells of frequencies in a radius of 1, each brought to an rms of 1
CLIP = 2.0  # in units of that rms


@dataclass(frozen=True)
class NoiseReading:
    """What was read from recovered noise.

    ``p_value`` bounds the chance of this ``rho`` on a clip made without the key, all that was tried included;
    ``detected``: it is 1e-9 or less. ``message``: the likeliest under the best key and stream, whether detected or
    not; ``pattern``: that stream; ``key_id``: that key.
    """

    detected: bool
    p_value: float
    rho: float
    message: int
    pattern: int
    key_id: str


def marked_noise(shape: tuple[int, ...], seed: int, key: Key, message: int) -> Floats:
    """Standard normal noise of a shape (T x H x W x C) that carries a message of 32 bits under a key."""
    if not 0 <= message < 1 << MESSAGE_BITS:
        raise UsageError(f"the message of a noise mark has {MESSAGE_BITS} bits")
    import torch
    from scipy.fft import dctn, idctn

    plain = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).numpy()
    waves = dctn(plain, axes=(0, 1, 2), norm="ortho").ravel()
    places, _, _ = _layout(shape)
    signs = _stream(key, seed % PATTERNS, len(places)) * _signs_of(message)[np.arange(len(places)) % MESSAGE_BITS]
    waves[places] = np.abs(waves[places]) * signs
    return np.asarray(idctn(waves.reshape(shape), axes=(0, 1, 2), norm="ortho"), np.float32)


def read_noise(
    noise: Floats, keys: Key | Sequence[Key], message: int | None = None, *, seed: int | None = None
) -> NoiseReading:
    """Looks in recovered noise (T x H x W x C, of any scale) for a message, or without one for any message.

    ``seed``: the clip's, where it is known (``Sealed.seed``), so that one key stream is tried and not all. Key,
    message and seed must be chosen before the noise is looked at.
    """
    ring = [keys] if isinstance(keys, Key) else list(keys)
    if not ring:
        raise UsageError("a noise mark is read with a key")
    values = _even(noise)
    values = np.pad(values, (0, -len(values) % MESSAGE_BITS))
    norm = float(np.linalg.norm(values)) or 1.0
    patterns = range(PATTERNS) if seed is None else (seed % PATTERNS,)
    union = math.log(len(patterns) * len(ring)) + (MESSAGE_BITS * math.log(2) if message is None else 0.0)
    known = None if message is None else _signs_of(message)
    best: NoiseReading | None = None
    for key in ring:
        for pattern in patterns:
            votes = (values * _stream(key, pattern, len(values))).reshape(-1, MESSAGE_BITS).sum(0)
            rho = float(np.sum(np.abs(votes) if known is None else votes * known)) / norm
            if best is None or rho > best.rho:
                p_value = bound(rho, union)
                likeliest = int("".join("1" if vote > 0 else "0" for vote in votes), 2)
                best = NoiseReading(p_value <= P_FALSE_ALARM, p_value, rho, likeliest, pattern, key.id)
    assert best is not None
    return best


def recovered_signs(noise: Floats, seed: int, key: Key, message: int) -> tuple[float, float]:
    """For measuring, where all is known: the shares of the signs and, by their votes, of the message's bits recovered.

    Signs count alike, whatever their frequency; votes are weighted as in :func:`read_noise`.
    """
    values = _even(noise)
    bit = np.arange(len(values)) % MESSAGE_BITS
    right = values * _stream(key, seed % PATTERNS, len(values)) * _signs_of(message)[bit]
    return float(np.mean(right > 0)), float(np.mean(np.bincount(bit, right, MESSAGE_BITS) > 0))


def _even(noise: Floats) -> npt.NDArray[np.float64]:
    """The marked frequencies' values, from low to high: even over shells, clipped, tapered."""
    from scipy.fft import dctn

    places, radius, shell = _layout(noise.shape)
    values = dctn(noise.astype(np.float64), axes=(0, 1, 2), norm="ortho").ravel()[places]
    power = np.bincount(shell, values**2) / np.maximum(np.bincount(shell), 1)
    even = np.clip(values / np.sqrt(power + 1e-30)[shell], -CLIP, CLIP)
    return np.asarray(even * np.exp(-((radius / TAPER) ** 2)), np.float64)


@cache
def _layout(
    shape: tuple[int, ...],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Places of the marked frequencies in the flattened transform, from low to high; their radii and shells."""
    axes = np.meshgrid(*(np.arange(n) / n for n in shape[:3]), indexing="ij")
    radius = np.repeat(np.sqrt(sum(axis**2 for axis in axes)).ravel(), shape[3])
    order = np.argsort(radius, kind="stable")
    places = order[radius[order] < REACH]
    return places, radius[places], (radius[places] * SHELL).astype(np.int64)


def _stream(key: Key, pattern: int, count: int) -> Floats:
    return key.signs(f"noise {pattern}", count)


def _signs_of(message: int) -> npt.NDArray[np.float64]:
    """1 and -1 for the message's bits 1 and 0, the highest first."""
    return np.array([1.0 if bit == "1" else -1.0 for bit in f"{message:0{MESSAGE_BITS}b}"])
