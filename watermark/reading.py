"""Reads the mark back from frames, with a p-value that is a proven bound."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from countermark.watermark.alignment import Alignment, Chips, read_chips
from countermark.watermark.carriers import FPS
from countermark.watermark.changing import changing_chips
from countermark.watermark.code import LENGTH, decode
from countermark.watermark.keys import Key
from countermark.watermark.maps import Residuals, level_of
from countermark.watermark.search import WINDOWS_RUNG, likeliest_window, search
from countermark.watermark.slices import Slices
from countermark.watermark.stats import P_FALSE_ALARM, payload_p_value, presence_p_value
from countermark.watermark.stretches import Stretch, stretches_of

__all__ = ["Reader", "Reading", "read", "read_stream"]

Frame = npt.NDArray[np.uint8]
MOST_PAYLOADS = 4  # different payloads that are looked for in one file
NEAR = 2.5  # rho by which a word that fails the CRC may be likelier than the one that passes
HOPEFUL = 9.2  # rho of the mean picture from which a decoding is worth its time; noise reaches 9 or so


@dataclass(frozen=True)
class Reading:
    """What was read.

    ``tier``: ``payload`` (read with p <= 1e-9), ``present`` (a pilot with p <= 1e-9, but no payload) or ``none``.
    ``payload``: 64 bits as an integer, only in tier ``payload``. ``rho`` and ``p_value`` belong to the payload in
    that tier and to the pilot otherwise; ``p_value`` bounds the chance of such a reading on media made without the
    key, all alignments, decodings and keys that were tried included. ``alignment``: how the lattice lies in the file,
    its 3 x 3 matrix row by row; ``frames`` how many were read; ``key_id`` the key that fits best. ``stretches``:
    which seconds carry which payload, in order of time; several payloads may be in one file, and ``payload`` is the
    one that fills most of it. ``variant``: which form of the codeword; ``negative``: whether the picture is one.
    """

    tier: str
    payload: int | None
    rho: float
    p_value: float
    key_id: str | None = None
    alignment: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    frames: int = 0
    stretches: tuple[Stretch, ...] = ()
    variant: int = 0
    negative: bool = False

    @property
    def detected(self) -> bool:
        """Whether a mark was found, its payload readable or not."""
        return self.tier != "none"

    @property
    def hex(self) -> str | None:
        """The payload as 16 hexadecimal digits."""
        return None if self.payload is None else f"{self.payload:016x}"

    @property
    def scale(self) -> float:
        """Share of the original canvas's side that the file shows: 1 over its zoom."""
        return round(1 / Alignment(np.array(self.alignment).reshape(3, 3)).zoom, 4)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "detected": self.detected,
            "payload": self.hex,
            "rho": round(self.rho, 3),
            "p_value": self.p_value,
            "tier": self.tier,
            "key_id": self.key_id,
            "stretches": [{"start": s.start, "end": s.end, "payload": f"{s.payload:016x}"} for s in self.stretches],
        }


class Reader:
    """Gathers frames one by one, in bounded memory, and reads the mark once they have been seen."""

    def __init__(self) -> None:
        self._slices: Slices | None = None
        self._count = 0

    def add(self, frame: Frame, time: float | None = None) -> None:
        """Adds a frame (H x W x 3, uint8, RGB) shown at ``time`` seconds; all frames have one size.

        Without times, frames are taken to come 24 times a second.
        """
        if self._slices is None:
            self._slices = Slices(frame.shape[1], frame.shape[0])
        self._slices.add(frame, self._count / FPS if time is None else time)
        self._count += 1

    def read(self, keys: Key | Sequence[Key]) -> Reading:
        """The best reading under any of the keys; several keys are priced into the p-value."""
        ring = [keys] if isinstance(keys, Key) else list(keys)
        if self._slices is None or not ring:
            return Reading("none", None, 0.0, 1.0)
        residuals = Residuals(self._slices.finish(), self._slices.canvas)
        best: Reading | None = None
        for key in ring:
            reading = replace(_read_key(residuals, key, len(ring)), frames=self._count)
            if best is None or (reading.tier == "payload", -reading.p_value) > (best.tier == "payload", -best.p_value):
                best = reading
            if reading.tier == "payload":
                break
        assert best is not None
        return best


def _read_key(residuals: Residuals, key: Key, keys: int) -> Reading:
    """The reading of a key: of the whole file, else of its likeliest stretch; then of what it leaves unexplained."""
    budget = _Budget(keys)
    reading = _read_part(residuals, key, budget)
    if reading.tier != "payload" and (chosen := likeliest_window(residuals, key)) is not None:
        window, tried = chosen
        part = _read_part(residuals.only(window), key, budget, windows=tried)
        if (part.tier == "payload", -part.p_value) > (False, -reading.p_value):
            reading = part
    if reading.payload is None:
        return reading
    place = Alignment(np.array(reading.alignment).reshape(3, 3), reading.negative)
    readings: dict[int, Reading] = {}
    found: list[Stretch] = []
    while reading.payload is not None and reading.payload not in readings:
        readings[reading.payload] = reading
        more = stretches_of(residuals, key, place, reading.payload, reading.variant)
        found += more
        taken = {piece for stretch in found for piece in stretch.pieces}
        rest = [i for i in range(len(residuals.grouped())) if i not in taken]
        if not more or not rest or len(readings) == MOST_PAYLOADS:
            break
        reading = _read_at(residuals.only(rest), key, place, budget)
    longest = max(readings, key=lambda payload: sum(s.end - s.start for s in found if s.payload == payload))
    return replace(readings[longest], stretches=tuple(sorted(found, key=lambda s: s.start)))


@dataclass
class _Budget:
    """What a key's readings have tried so far."""

    keys: int
    trials: int = 0


def _read_part(residuals: Residuals, key: Key, budget: _Budget, *, windows: int = 0) -> Reading:
    """Searches and decodes. ``windows``: among how many stretches of time these residuals were chosen, if they were;
    then only the canvas as it is is looked at, in rungs of its own."""
    best = Reading("none", None, 0.0, 1.0)
    for candidate in search(residuals, key):
        if windows and candidate.rung > 1:
            break
        rung, places = candidate.rung, candidate.places
        if windows:
            rung, places = rung + WINDOWS_RUNG, places * windows
        alone = presence_p_value(candidate.fixed_rho, places, rung)
        place, p_value = candidate.alignment, min(1.0, alone * budget.keys)
        if p_value < best.p_value or best.key_id is None:
            tier = "present" if p_value <= P_FALSE_ALARM else "none"
            best = Reading(tier, None, candidate.fixed_rho, p_value, key.id, _flat(place), negative=place.negative)
        if candidate.rung and not _hopeful(residuals, key, place):
            continue  # the canvas as it is deserves a trial even where the standing pilot was taken away
        reading = _read_at(residuals, key, place, budget, alone)
        if reading.tier == "payload":
            return reading
    return best


def _hopeful(residuals: Residuals, key: Key, place: Alignment) -> bool:
    """Whether a first decoding, of the mean picture alone, comes near enough for all maps to be made."""
    level = level_of(place.zoom)
    maps = residuals.whole(level)
    return maps is not None and _decode(read_chips(maps, key, place, residuals.canvas)).rho >= HOPEFUL


def _read_at(residuals: Residuals, key: Key, place: Alignment, budget: _Budget, presence: float = 1.0) -> Reading:
    """One decoding at an alignment, where the pilot alone has the p-value ``presence``."""
    budget.trials += 1
    level = level_of(place.zoom)
    chips = read_chips(residuals.best(level), key, place, residuals.canvas)
    word = _decode(chips + changing_chips(residuals, key, place, level))
    p_value = payload_p_value(word.rho, budget.trials, budget.keys, presence)
    if p_value > P_FALSE_ALARM or word.doubtful:
        return Reading("none", None, word.rho, p_value, key.id)
    return Reading(
        "payload", word.payload, word.rho, p_value, key.id, _flat(place), variant=word.variant, negative=place.negative
    )


def _flat(alignment: Alignment) -> tuple[float, ...]:
    return tuple(float(v) for v in alignment.matrix.ravel())


@dataclass(frozen=True)
class _Word:
    """A decoded codeword; ``doubtful``: another word, which fails the CRC, is much likelier."""

    payload: int
    variant: int
    rho: float
    doubtful: bool


def _decode(chips: list[Chips]) -> _Word:
    """The likeliest word of some chips, each band weighted by what its pilot tells."""
    soft = np.zeros(LENGTH, np.float64)
    energy = 0.0
    for band in chips:
        use = ~band.pilot
        value = band.values[use] * np.float32(_weight(band))
        energy += float(np.sum(value.astype(np.float64) ** 2))
        soft += np.bincount(band.roles[use], value * band.signs[use], minlength=LENGTH)
    spread = float(np.std(soft)) or 1.0
    payloads, variants, words, rivals = decode((2.0 * soft / spread).astype(np.float32)[None])
    norm = max(energy**0.5, 1e-9)
    rho, rival = (float(soft @ (1.0 - 2.0 * word)) / norm for word in (words[0], rivals[0]))
    return _Word(int(payloads[0]), int(variants[0]), rho, rival > rho + NEAR)


def _weight(chips: Chips) -> float:
    """Signal over noise of a band's pilot chips, never negative."""
    value, sign = chips.values[chips.pilot], chips.signs[chips.pilot]
    if value.size < 2:
        return 0.0
    signal, power = float(np.mean(value * sign)), float(np.mean(value * value))
    return float(max(signal, 0.02 * power**0.5) / max(power - signal**2, 1e-9))


def read_stream(frames: Iterable[Frame], keys: Key | Sequence[Key], *, fps: float = FPS) -> Reading:
    """Reads the mark from frames one by one. See :func:`read`."""
    reader = Reader()
    for index, frame in enumerate(frames):
        reader.add(frame, index / fps)
    return reader.read(keys)


def read(frames: Frame, keys: Key | Sequence[Key], *, fps: float = FPS) -> Reading:
    """Reads the mark of a clip (uint8, T x H x W x 3, RGB; ``fps`` frames a second) under one key or several."""
    return read_stream(frames, keys, fps=fps)
