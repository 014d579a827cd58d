"""Batches of patches from the cache: clips drawn by weight, the same number of each class, patches cropped anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from countermark.detect.patches import SIDE
from countermark.training._cache import Entry, Shelf
from countermark.training._footage import Clip, weights

__all__ = ["Batch", "Pool"]


@dataclass(frozen=True)
class Batch:
    """Patches of some clips, ``patches`` in a row each; labels of the clips, and whether they are pairs."""

    luma: Tensor
    chroma: Tensor
    label: Tensor
    paired: Tensor
    patches: int


class Pool:
    """Clips of some variants, and pairs of real clips with their matched fakes.

    ``shares``: how often each variant is drawn. ``crop``: side of what is cut from cached patches, in pixels.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        shelves: dict[str, Shelf],
        shares: dict[str, float],
        pairs: Shelf | None,
        *,
        patches: int = 4,
        crop: int = 64,
        seed: int = 0,
        matched: float = 0.5,
    ) -> None:
        self.rng = np.random.default_rng(seed)
        self.patches, self.crop = patches, crop
        self.shelves, self.shares = shelves, shares
        self.arrays = {name: (s.array("luma"), s.array("chroma")) for name, s in shelves.items()}
        weight = weights(clips, matched=matched)
        self.classes = []
        for kind in (False, True):
            which = [i for i, c in enumerate(clips) if c.generated == kind and self._entries(c)]
            chance = weight[which]
            self.classes.append(([clips[i] for i in which], chance / chance.sum()))
        self.pairs = pairs
        self.twins: list[tuple[Entry, Entry]] = []
        if pairs is not None:
            self.arrays["pairs"] = pairs.array("luma"), pairs.array("chroma")
            known = {c.name for c in clips if c.label == "real"}
            for name, entry in pairs.entries.items():
                twin = pairs.entries.get(f"{name}#real")
                if twin is not None and name.split("#")[0] in known and entry.count and twin.count:
                    self.twins.append((entry, twin))

    def _entries(self, clip: Clip) -> list[str]:
        return [n for n, s in self.shelves.items() if (e := s.entries.get(clip.name)) is not None and e.count]

    def batch(self, clips: int, pairs: int) -> Batch:
        """``clips`` of each class, and ``pairs`` of matched fakes with their originals."""
        drawn: list[tuple[str, Entry, float, bool]] = []
        for kind, (members, chance) in enumerate(self.classes):
            for i in self.rng.choice(len(members), clips, p=chance):
                there = self._entries(members[i])
                share = np.array([self.shares[n] for n in there])
                name = there[int(self.rng.choice(len(there), p=share / share.sum()))]
                drawn.append((name, self.shelves[name].entries[members[i].name], float(kind), False))
        if self.twins:
            for i in self.rng.integers(0, len(self.twins), pairs):
                fake, real = self.twins[i]
                drawn += [("pairs", fake, 1.0, True), ("pairs", real, 0.0, True)]
        luma = np.empty((len(drawn) * self.patches, 3, self.crop, self.crop), np.float32)
        chroma = np.empty((len(luma), 3, 2, self.crop // 2, self.crop // 2), np.float32)
        for k in range(len(luma)):
            name, entry, _, _ = drawn[k // self.patches]
            self._cut(name, entry, luma[k], chroma[k])
        label = torch.tensor([d[2] for d in drawn])
        return Batch(
            torch.from_numpy(luma), torch.from_numpy(chroma), label, torch.tensor([d[3] for d in drawn]), self.patches
        )

    def _cut(self, name: str, entry: Entry, luma: npt.NDArray[np.float32], chroma: npt.NDArray[np.float32]) -> None:
        """One random patch into its place: cropped, flipped in space and time, brightened."""
        rng, half = self.rng, self.crop // 2
        row = entry.first + int(rng.integers(entry.count))
        top, left = (int(v) for v in rng.integers(0, (SIDE - self.crop) // 2 + 1, 2))
        y = self.arrays[name][0][row, :, 2 * top : 2 * top + self.crop, 2 * left : 2 * left + self.crop]
        c = self.arrays[name][1][row, :, :, top : top + half, left : left + half]
        flips = rng.random(3) < 0.5
        for axis, flip in zip((-1, -2, 0), flips, strict=True):
            if flip:
                y, c = np.flip(y, axis), np.flip(c, axis)
        gain = float(np.exp(rng.normal(0, 0.12)))
        luma[:] = y
        luma *= gain
        chroma[:] = c
        chroma *= gain
