"""The exact bound on false positives that every reading reports.

Let ``y`` be the chip values of some alignment, ``w`` weights that pilot chips alone decided, ``z = w * y``, ``s`` the
signs of the payload's chips (output of a keyed pseudo-random function) and ``b`` a codeword:

    rho(b) = sum_c s_c (-1)^b_c z_c / ||z||

1. On a video made without the key, ``s`` is uniform and independent of ``z``: alignment, weights and hypotheses saw
   the pilot's subkey alone.
2. Hoeffding 1963: P(rho(b) >= t) <= exp(-t^2 / 2), for any video, with no model of its content.
3. The union over 2^64 messages and V variants of the code in a decoding trial gives V 2^64 exp(-t^2 / 2).
4. Trials come one after another, and each key has its own: trial m of a key is charged m (m + 1), whose inverses add
   up to 1, and all are charged the number of keys. So P_FA <= K m (m + 1) V 2^64 exp(-t^2 / 2), whatever stops the
   search.

Presence alone uses the pilot's chips, at places that were fixed before the pilot's signs were looked at, with a union
over all of these, scored or not; rung r of the ladder is charged 2^(r + 1), whose inverses add up to 1.

Both tell more than each: given the pilot's subkey, (4) still holds, so where presence has the p-value p1 and the
payload p2, q = p1 p2 is at most x with probability x (1 - ln x) (as for a product of two uniform deviates; Fisher).
A payload is given the smaller of p2 and q (1 - ln q), times 2 for the choice.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from countermark.watermark.code import PAYLOAD_BITS, VARIANTS

__all__ = ["P_FALSE_ALARM", "bound", "correlation", "payload_p_value", "presence_p_value"]

SMALLEST_LOG = -690.0  # bounds below 1e-300 are reported as that, never as 0
P_FALSE_ALARM = 1e-9  # a reading is a detection when its bound is at most this


def correlation(values: npt.NDArray[np.float32], signs: npt.NDArray[np.float32]) -> float:
    """rho: the sum of signed values over their norm; 0 when there are none."""
    norm = float(np.sqrt(np.sum(values.astype(np.float64) ** 2)))
    return float(np.sum(values.astype(np.float64) * signs)) / norm if norm > 0 else 0.0


def payload_p_value(rho: float, trial: int, keys: int = 1, presence: float = 1.0, *, known: int | None = None) -> float:
    """Bound on the chance of a payload at this rho in decoding ``trial`` (from 1) of each of ``keys`` keys.

    ``presence`` is the p-value of the pilot where it was decoded, as under one key. ``known``: among how many
    codewords it was looked for, if not among all of them.
    """
    words = PAYLOAD_BITS * math.log(2) + math.log(VARIANTS) if known is None else math.log(max(known, 1))
    alone = bound(rho, math.log(trial * (trial + 1)) + words)
    both = max(alone, math.exp(SMALLEST_LOG / 2)) * max(presence, math.exp(SMALLEST_LOG / 2))
    return min(1.0, 2 * keys * min(alone, both * (1 - math.log(both))))


def presence_p_value(rho: float, places: int, rung: int = 0, keys: int = 1) -> float:
    """Bound on the chance of a pilot at this rho at any of the ``places`` of a rung, under any of ``keys`` keys."""
    return bound(rho, math.log(max(places, 1) * keys) + (rung + 1) * math.log(2))


def bound(rho: float, log_union: float) -> float:
    """Hoeffding's bound at a rho, times everything that was tried, whose count has the logarithm ``log_union``."""
    if rho <= 0:
        return 1.0
    return math.exp(max(SMALLEST_LOG, min(0.0, log_union - rho * rho / 2)))
