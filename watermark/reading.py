"""Reads the mark back from frames, with a p-value that is a proven bound."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from countermark.watermark.alignment import Alignment, Values, read_chips, search
from countermark.watermark.carriers import carriers
from countermark.watermark.code import LENGTH, decode
from countermark.watermark.keys import Key
from countermark.watermark.residual import Residual, match
from countermark.watermark.stats import P_FALSE_ALARM, correlation, payload_p_value, presence_p_value

__all__ = ["Reader", "Reading", "read", "read_stream"]

Frame = npt.NDArray[np.uint8]
HOPELESS = 1e-3  # bound on presence above which no payload is tried: its chips could not reach the threshold


@dataclass(frozen=True)
class Reading:
    """What was read.

    ``tier``: ``payload`` (read with p <= 1e-9), ``present`` (a pilot with p <= 1e-9, but no payload) or ``none``.
    ``payload``: 64 bits as an integer, only in tier ``payload``. ``rho`` and ``p_value`` belong to the payload in
    that tier and to the pilot otherwise; ``p_value`` bounds the chance of such a reading on media made without the
    key, all alignments, decodings and keys that were tried included. ``scale`` is the share of the original canvas
    that the file shows; ``frames`` how many were read; ``key_id`` the key that fits best.
    """

    tier: str
    payload: int | None
    rho: float
    p_value: float
    key_id: str | None = None
    scale: float = 1.0
    frames: int = 0

    @property
    def detected(self) -> bool:
        """Whether a mark was found, its payload readable or not."""
        return self.tier != "none"

    @property
    def hex(self) -> str | None:
        """The payload as 16 hexadecimal digits."""
        return None if self.payload is None else f"{self.payload:016x}"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "detected": self.detected,
            "payload": self.hex,
            "rho": round(self.rho, 3),
            "p_value": self.p_value,
            "tier": self.tier,
            "key_id": self.key_id,
        }


class Reader:
    """Gathers frames one by one, in constant memory, and reads the mark once they have been seen."""

    def __init__(self) -> None:
        self._residual: Residual | None = None

    def add(self, frame: Frame) -> None:
        """Adds a frame (H x W x 3, uint8, RGB); all frames have one size."""
        if self._residual is None:
            self._residual = Residual(frame.shape[1], frame.shape[0])
        self._residual.add(frame)

    def read(self, keys: Key | Sequence[Key]) -> Reading:
        """The best reading under any of the keys; several keys are priced into the p-value."""
        ring = [keys] if isinstance(keys, Key) else list(keys)
        if self._residual is None or not ring:
            return Reading("none", None, 0.0, 1.0)
        matched = match(self._residual.images())
        best: Reading | None = None
        for key in ring:
            reading = _read_key(matched, key, len(ring), self._residual.frames)
            if best is None or (reading.tier == "payload", -reading.p_value) > (best.tier == "payload", -best.p_value):
                best = reading
            if reading.tier == "payload":
                break
        assert best is not None
        return best


def _read_key(matched: dict[str, npt.NDArray[np.float32]], key: Key, keys: int, frames: int) -> Reading:
    lattice = carriers(key)
    best = Reading("none", None, 0.0, 1.0, None, 1.0, frames)
    trials = 0
    for alignment, scored in search(matched, lattice):
        chips = read_chips(matched, lattice, alignment)
        rho = chips.pilot_rho()
        p_value = presence_p_value(rho, scored, keys)
        if p_value < best.p_value or best.key_id is None:
            tier = "present" if p_value <= P_FALSE_ALARM else "none"
            best = Reading(tier, None, rho, p_value, key.id, _scale(alignment), frames)
        if p_value > HOPELESS:
            continue
        trials += 1
        payload, rho = _decode(chips)
        p_value = payload_p_value(rho, trials, keys)
        if p_value <= P_FALSE_ALARM:
            return Reading("payload", payload, rho, p_value, key.id, _scale(alignment), frames)
    return best


def _decode(chips: Values) -> tuple[int, float]:
    """The likeliest payload of an alignment's chips, and its rho."""
    soft = np.zeros(LENGTH, np.float64)
    values, signs, roles = [], [], []
    for value, sign, role, weight in zip(chips.values, chips.signs, chips.roles, chips.weights(), strict=True):
        use = role >= 0
        values.append(value[use] * np.float32(weight))
        signs.append(sign[use])
        roles.append(role[use])
        soft += np.bincount(roles[-1], values[-1] * signs[-1], minlength=LENGTH)
    spread = float(np.std(soft)) or 1.0
    payload, codeword, _ = decode((2.0 * soft / spread).astype(np.float32))
    flips = np.concatenate([1.0 - 2.0 * codeword[role] for role in roles])
    return payload, correlation(np.concatenate(values), (np.concatenate(signs) * flips).astype(np.float32))


def _scale(alignment: Alignment) -> float:
    return round(1.0 / float(np.sqrt(alignment.a * alignment.b)), 4)


def read_stream(frames: Iterable[Frame], keys: Key | Sequence[Key]) -> Reading:
    """Reads the mark from frames one by one. See :func:`read`."""
    reader = Reader()
    for frame in frames:
        reader.add(frame)
    return reader.read(keys)


def read(frames: Frame, keys: Key | Sequence[Key]) -> Reading:
    """Reads the mark of a clip (uint8, T x H x W x 3, RGB) under one key or several."""
    return read_stream(frames, keys)
