"""From chips at an alignment to the codeword that they say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from countermark.watermark.alignment import Chips
from countermark.watermark.code import LENGTH, decode

__all__ = ["Word", "word_of"]

CERTAIN = 8.0  # log-likelihood by which a word must beat all others: with less, one in fifty is wrong near the bound
NEAR = 2.5  # rho by which a word that fails the CRC may be likelier than the one that passes
FAINT = 0.62  # share of the rho that the one promises below which the other is faint: 0.9 to 1.2 is usual
UNSURE = 2.5  # what noise may have added to the pilot's rho


@dataclass(frozen=True, eq=False)
class Word:
    """A decoded codeword, and how likely each code bit is 0: ``soft`` (512), whose agreement with the word is its rho.

    ``doubtful``: another word may well be the one that was marked. ``mixed``: the word is much fainter than the
    pilot, or the pilot than it, as when several marks lie behind each other in time, or were averaged and a word
    between theirs was found.
    """

    payload: int
    variant: int
    rho: float
    doubtful: bool
    mixed: bool
    soft: npt.NDArray[np.float64]


def word_of(chips: list[Chips]) -> Word:
    """The likeliest word of some chips, each band weighted by what its pilot tells."""
    soft = np.zeros(LENGTH, np.float64)
    pilot = energy = pilot_energy = 0.0
    count = pilots = 0
    for band in chips:
        value = band.values.astype(np.float64) * _weight(band)
        signed, here = value * band.signs, band.pilot
        soft += np.bincount(band.roles[~here], signed[~here], minlength=LENGTH)
        pilot += float(signed[here].sum())
        energy += float(value[~here] @ value[~here])
        pilot_energy += float(value[here] @ value[here])
        count += int((~here).sum())
        pilots += int(here.sum())
    found = decode(soft.astype(np.float32))
    soft = soft / max(energy**0.5, 1e-9)
    rho, rival = (float(soft @ (1.0 - 2.0 * word)) for word in (found.word, found.rival))
    doubtful = found.margin < CERTAIN or rival > rho + NEAR
    pilot_rho = pilot / max(pilot_energy**0.5, 1e-9)
    share = (count / max(pilots, 1)) ** 0.5  # rho grows with the root of the number of chips
    mixed = rho < FAINT * share * (pilot_rho - UNSURE) or pilot_rho + UNSURE < FAINT * rho / share
    return Word(found.payload, found.variant, rho, doubtful, mixed, soft)


def _weight(chips: Chips) -> float:
    """Signal over noise of a band's pilot chips, never negative."""
    value, sign = chips.values[chips.pilot], chips.signs[chips.pilot]
    if value.size < 2:
        return 0.0
    signal, power = float(np.mean(value * sign)), float(np.mean(value * value))
    return float(max(signal, 0.02 * power**0.5) / max(power - signal**2, 1e-9))
