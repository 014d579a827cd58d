"""Figures of held-out scores: one line for a set of clips, whole tables for families, bands and controls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from countermark.training._footage import Clip, bands
from countermark.training._metrics import Rate, auc, auc_interval, calibration_error, rate_at

__all__ = ["HEAD", "Held", "bands_rows", "controls_rows", "family_rows", "line", "source_rows"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
HEAD = (
    "real",
    "gen.",
    "AUC (95 %, by group)",
    "TPR at 10 %",
    "at 5 %",
    "at 1 %",
    "ECE",
    "likely gen., real",
    "inconclusive",
)
LEAST = 5  # clips of a class below which a row says nothing


@dataclass(frozen=True)
class Held:
    """Held-out probabilities of clips, nan where there are none, and the verdict's thresholds."""

    clips: Sequence[Clip]
    probability: dict[str, Floats]
    high: dict[str, Floats]

    def chosen(self, variant: str, mask: Flags | None = None) -> Flags:
        """Clips that have a probability, of a mask."""
        there = np.isfinite(self.probability[variant])
        return np.asarray(there if mask is None else there & mask)


def line(name: str, held: Held, variant: str, mask: Flags | None = None) -> list[str]:
    """One row under HEAD."""
    chosen = held.chosen(variant, mask)
    p, high = held.probability[variant][chosen], held.high[variant][chosen]
    clips = [c for c, k in zip(held.clips, chosen, strict=True) if k]
    positive = np.array([c.generated for c in clips], bool)
    group = np.array([c.group for c in clips])
    real, made = int((~positive).sum()), int(positive.sum())
    if min(real, made) < LEAST:
        return [name, str(real), str(made), *["-"] * (len(HEAD) - 2)]
    low, top = auc_interval(p, positive, group)
    unsure = (p < high) & (p > 1 - high)
    weight = np.where(positive, 0.5 / made, 0.5 / real)
    return [
        name,
        str(real),
        str(made),
        f"{auc(p, positive):.3f} ({low:.2f}-{top:.2f})",
        *(str(rate_at(p, positive, share)) for share in (0.1, 0.05, 0.01)),
        f"{calibration_error(p, positive, weight):.3f}",
        str(Rate(int((p[~positive] >= high[~positive]).sum()), real)),
        f"{unsure.mean():.2f}",
    ]


def family_rows(held: Held, variants: Sequence[str]) -> list[list[str]]:
    """Each generator against all real clips, worst first: family, clips, an AUC a variant, and its rate at 5 %."""
    generated = np.array([c.generated for c in held.clips])
    real = np.array([c.label == "real" for c in held.clips])
    rows = []
    for family in sorted({c.family for c in held.clips if c.generated}):
        mine = np.array([c.generated and c.family == family for c in held.clips])
        found = []
        for variant in variants:
            chosen = held.chosen(variant, mine | real)
            found.append(auc(held.probability[variant][chosen], generated[chosen]))
        chosen = held.chosen(variants[0], mine | real)
        rate = rate_at(held.probability[variants[0]][chosen], generated[chosen], 0.05)
        size = next(f"{c.width}x{c.height} {c.fps:g}" for c in held.clips if c.family == family and c.generated)
        shown = family + (" (made by us)" if any(c.made and c.family == family for c in held.clips) else "")
        rows.append((found[0], [shown, size, str(int(mine.sum())), *(f"{a:.2f}" for a in found), str(rate)]))
    return [row for _, row in sorted(rows, key=lambda r: r[0])]


def source_rows(held: Held, variant: str) -> list[list[str]]:
    """Each real source with five clips or more: how many lie above the threshold of 5 % false alarms, and the mean."""
    real = np.array([c.label == "real" for c in held.clips])
    p = held.probability[variant]
    threshold = np.quantile(p[held.chosen(variant, real)], 0.95)
    rows = []
    for source in sorted({c.family for c in held.clips if c.label == "real"}):
        mine = held.chosen(variant, np.array([c.label == "real" and c.family == source for c in held.clips]))
        if mine.sum() >= LEAST:
            rate = Rate(int((p[mine] > threshold).sum()), int(mine.sum()))
            rows.append((-float(p[mine].mean()), [source, str(int(mine.sum())), f"{p[mine].mean():.2f}", str(rate)]))
    return [row for _, row in sorted(rows)]


def bands_rows(held: Held, variant: str) -> list[list[str]]:
    """Rows under HEAD within single frame rates, and bands of size and of bits per pixel."""
    rows = []
    fps = np.array([c.fps for c in held.clips])
    for rate in (8.0, 10.0, 12.0, 16.0, 24.0, 25.0, 30.0):
        rows.append(line(f"{rate:g} fps", held, variant, np.abs(fps - rate) < 0.06 * (rate > 20) + 0.01))
    band = np.array([bands(c) for c in held.clips])
    for axis, names in ((1, ("small", "medium", "720p and up")), (2, ("low bitrate", "middle", "high"))):
        rows += [line(name, held, variant, band[:, axis] == i) for i, name in enumerate(names)]
    return [row for row in rows if row[3] != "-"]


def controls_rows(held: Held, marked: dict[str, Flags], seed: int = 0) -> list[list[str]]:
    """What must be about one half: marked against unmarked within a class, real against real, metadata alone."""
    generated = np.array([c.generated for c in held.clips])
    real = np.array([c.label == "real" for c in held.clips])
    rows = []
    for variant, mark in marked.items():
        for name, kind in (("real", real), ("generated", generated)):
            chosen = held.chosen(variant, kind)
            value = auc(held.probability[variant][chosen], mark[chosen])
            rows.append([f"marked against unmarked, {name}, {variant}", str(int(chosen.sum())), f"{value:.3f}"])
    first = next(iter(held.probability))
    sources = sorted({c.family for c in held.clips if c.label == "real"})
    rng, found = np.random.default_rng(seed), []
    for _ in range(50):
        side = set(rng.permutation(sources)[: len(sources) // 2])
        chosen = held.chosen(first, real)
        half = np.array([c.family in side for c in held.clips])
        found.append(auc(held.probability[first][chosen], half[chosen]))
    spread = np.abs(np.array(found) - 0.5) + 0.5
    rows.append(
        ["real against real, halves of the sources: mean of max(AUC, 1 - AUC)", "50 draws", f"{spread.mean():.3f}"]
    )
    return rows
