"""Reads the mark back from frames, with a p-value that is a proven bound."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from countermark.watermark.alignment import Alignment, read_chips
from countermark.watermark.carriers import FPS
from countermark.watermark.changing import changing_chips
from countermark.watermark.code import likeliest
from countermark.watermark.decoding import Word, word_of
from countermark.watermark.keys import Key
from countermark.watermark.maps import Residuals, level_of
from countermark.watermark.search import WINDOWS_RUNG, likeliest_window, search
from countermark.watermark.slices import Slices
from countermark.watermark.stats import P_FALSE_ALARM, payload_p_value, presence_p_value
from countermark.watermark.stretches import Stretch, stretches_of

__all__ = ["Known", "Reader", "Reading", "read", "read_stream"]

Frame = npt.NDArray[np.uint8]
Known = Callable[[str], Sequence[tuple[int, int]]]  # a key's id -> payloads and variants that were marked with it
TIERS = ("none", "present", "confirmed", "payload")
MOST_PAYLOADS = 4  # different payloads that are looked for in one file
HOPEFUL = 9.8  # rho of the mean picture from which a decoding is worth its time; noise seldom reaches it
CLEAR = 6.5  # rho of a climbed pilot from which it is, too


@dataclass(frozen=True)
class Reading:
    """What was read.

    ``tier``: ``payload`` (read with p <= 1e-9), ``confirmed`` (one of the payloads that are known to have been
    marked, told from the others with p <= 1e-9, but too weak to be read unasked), ``present`` (a pilot with
    p <= 1e-9, but no payload) or ``none``. ``payload``: 64 bits as an integer, only in the first two. ``rho`` and
    ``p_value`` belong to the payload there and to the pilot otherwise; ``p_value`` bounds the chance of a reading of
    that tier on media made without the key, all alignments, decodings and keys that were tried included.
    ``alignment``: how the lattice lies in the file, its 3 x 3 matrix row by row; ``frames`` how many were read;
    ``key_id`` the key that fits best. ``stretches``: which seconds carry which payload, in order of time; several
    payloads may be in one file, and ``payload`` is the one that fills most of it. ``variant``: which form of the
    codeword; ``negative``: whether the picture is one.
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
        self._residuals: Residuals | None = None
        self._count = 0

    def add(self, frame: Frame, time: float | None = None) -> None:
        """Adds a frame (H x W x 3, uint8, RGB) shown at ``time`` seconds; all frames have one size.

        Without times, frames are taken to come 24 times a second.
        """
        if self._slices is None:
            self._slices = Slices(frame.shape[1], frame.shape[0])
        self._slices.add(frame, self._count / FPS if time is None else time)
        self._residuals = None
        self._count += 1

    def read(
        self, keys: Key | Sequence[Key], *, known: Known | None = None, thorough: bool = True, look: int = 0
    ) -> Reading:
        """The best reading under any of the keys; several keys are priced into the p-value.

        ``known`` gives the marks that a reading may be confirmed against. Without ``thorough`` only the canvas as it
        is is looked at: resized and compressed copies are read, cropped and turned ones and spliced stretches are
        not. Who reads again and again while frames come in numbers the looks from 1: each is charged for those before.
        """
        ring = [keys] if isinstance(keys, Key) else list(keys)
        if self._slices is None or not ring:
            return Reading("none", None, 0.0, 1.0)
        if self._residuals is None:
            self._residuals = Residuals(self._slices.finish(), self._slices.canvas)
        best: Reading | None = None
        for key in ring:
            reading = _read_key(self._residuals, _Search(key, len(ring) * max(1, look * (look + 1)), thorough, known))
            if best is None or _merit(reading) > _merit(best):
                best = reading
            if reading.tier == "payload":
                break
        assert best is not None
        return replace(best, frames=self._count)


def _merit(reading: Reading) -> tuple[int, float]:
    return TIERS.index(reading.tier), -reading.p_value


@dataclass(frozen=True, eq=False)
class _Trial:
    """A decoding: where, the pilot's p-value there, and how likely each code bit is 0 (512), scaled to unit noise."""

    place: Alignment
    presence: float
    soft: npt.NDArray[np.float64]


@dataclass
class _Search:
    """What is looked for under one key, and what has been tried."""

    key: Key
    keys: int = 1  # by which p-values are multiplied
    thorough: bool = True
    known: Known | None = None
    trials: list[_Trial] = field(default_factory=list)


def _read_key(residuals: Residuals, task: _Search) -> Reading:
    """The reading of a key: of the whole file, else of its likeliest stretch; then of what it leaves unexplained."""
    reading = _read_part(residuals, task)
    if reading.tier != "payload" and task.thorough:
        chosen = likeliest_window(residuals, task.key)
        if chosen is not None:
            window, tried = chosen
            reading = max(reading, _read_part(residuals.only(window), task, windows=tried), key=_merit)
    if reading.tier != "payload" and task.known is not None:
        reading = max(reading, _confirmed(task), key=_merit)
    return _with_stretches(residuals, task, reading)


def _with_stretches(residuals: Residuals, task: _Search, reading: Reading) -> Reading:
    """The reading with the seconds that it covers, and the payloads of the others."""
    if reading.payload is None:
        return reading
    place = Alignment(np.array(reading.alignment).reshape(3, 3), reading.negative)
    readings: dict[int, Reading] = {}
    found: list[Stretch] = []
    while reading.payload is not None and reading.payload not in readings:
        readings[reading.payload] = reading
        more = stretches_of(residuals, task.key, place, reading.payload, reading.variant)
        found += more
        taken = {piece for stretch in found for piece in stretch.pieces}
        rest = [i for i in range(len(residuals.grouped())) if i not in taken]
        if not more or not rest or len(readings) == MOST_PAYLOADS or not task.thorough:
            break
        reading = _read_at(residuals.only(rest), task, place)
    longest = max(readings, key=lambda payload: sum(s.end - s.start for s in found if s.payload == payload))
    return replace(readings[longest], stretches=tuple(sorted(found, key=lambda s: s.start)))


def _read_part(residuals: Residuals, task: _Search, *, windows: int = 0) -> Reading:
    """Searches and decodes. ``windows``: among how many stretches of time these residuals were chosen, if they were;
    then only the canvas as it is is looked at, in rungs of its own."""
    best = Reading("none", None, 0.0, 1.0)
    for candidate in search(residuals, task.key, canvas_only=bool(windows) or not task.thorough):
        rung, places = candidate.rung, candidate.places
        if windows:
            rung, places = rung + WINDOWS_RUNG, places * windows
        alone = presence_p_value(candidate.fixed_rho, places, rung)
        place, p_value = candidate.alignment, min(1.0, alone * task.keys)
        if p_value < best.p_value or best.key_id is None:
            tier = "present" if p_value <= P_FALSE_ALARM else "none"
            best = Reading(tier, None, candidate.fixed_rho, p_value, task.key.id, _flat(place), negative=place.negative)
        # the canvas as it is deserves a trial even where the standing pilot was taken away
        if not candidate.rung or candidate.rho >= CLEAR or _hopeful(residuals, task.key, place):
            reading = _read_at(residuals, task, place, alone)
            if reading.tier == "payload":
                return reading
    return best


def _hopeful(residuals: Residuals, key: Key, place: Alignment) -> bool:
    """Whether a first decoding, of the mean picture alone, comes near enough for all maps to be made."""
    level = level_of(place.zoom)
    maps = residuals.whole(level)
    return maps is not None and word_of(read_chips(maps, key, place, residuals.canvas)).rho >= HOPEFUL


def _read_at(residuals: Residuals, task: _Search, place: Alignment, presence: float = 1.0) -> Reading:
    """One decoding at an alignment, where the pilot alone has the p-value ``presence``."""
    word = _word_at(residuals, task.key, place)
    task.trials.append(_Trial(place, presence, word.soft))
    p_value = payload_p_value(word.rho, len(task.trials), task.keys, presence)
    if p_value > P_FALSE_ALARM or word.doubtful or (word.mixed and not _stands_alone(residuals, task.key, place, word)):
        return Reading("none", None, word.rho, p_value, task.key.id)
    return _found("payload", word.payload, word.variant, word.rho, p_value, task.key, place)


def _word_at(residuals: Residuals, key: Key, place: Alignment) -> Word:
    level = level_of(place.zoom)
    chips = read_chips(residuals.best(level), key, place, residuals.canvas)
    return word_of(chips + changing_chips(residuals, key, place, level))


def _stands_alone(residuals: Residuals, key: Key, place: Alignment, word: Word) -> bool:
    """Whether some stretch of time carries the word alone, where the whole file mixes it with other marks."""
    stretches = stretches_of(residuals, key, place, word.payload, word.variant)
    pieces = sorted(piece for stretch in stretches for piece in stretch.pieces)
    if not pieces or len(pieces) == len(residuals.grouped()):
        return False
    alone = _word_at(residuals.only(pieces), key, place)
    return alone.payload == word.payload and not alone.mixed


def _confirmed(task: _Search) -> Reading:
    """The best agreement of any trial with the marks that are known."""
    assert task.known is not None
    best, marks = Reading("none", None, 0.0, 1.0), list(task.known(task.key.id))
    for number, trial in enumerate(task.trials if marks else (), start=1):
        index, rho = likeliest(trial.soft, marks)
        p_value = payload_p_value(rho, number, task.keys, trial.presence, known=len(marks))
        if p_value <= P_FALSE_ALARM and p_value < best.p_value:
            best = _found("confirmed", *marks[index], rho, p_value, task.key, trial.place)
    return best


def _found(tier: str, payload: int, variant: int, rho: float, p_value: float, key: Key, place: Alignment) -> Reading:
    return Reading(tier, payload, rho, p_value, key.id, _flat(place), variant=variant, negative=place.negative)


def _flat(alignment: Alignment) -> tuple[float, ...]:
    return tuple(float(v) for v in alignment.matrix.ravel())


def read_stream(
    frames: Iterable[Frame], keys: Key | Sequence[Key], *, fps: float = FPS, known: Known | None = None
) -> Reading:
    """Reads the mark from frames one by one. See :func:`read`."""
    reader = Reader()
    for index, frame in enumerate(frames):
        reader.add(frame, index / fps)
    return reader.read(keys, known=known)


def read(frames: Frame, keys: Key | Sequence[Key], *, fps: float = FPS, known: Known | None = None) -> Reading:
    """Reads the mark of a clip (uint8, T x H x W x 3, RGB; ``fps`` frames a second) under one key or several.

    ``known``: see :meth:`Reader.read`.
    """
    return read_stream(frames, keys, fps=fps, known=known)
