"""How much of the mark in the noise an inversion recovers: ``countermark bench noise_mark``.

Clips of the embedded model, each from a prompt, a seed and a key of its own. "signs" is the share of the marked signs
that come back, "bits" that of the message's 32 after all votes, "rho" the statistic. Then the clips that are proven
at 1e-9: "seeded" where seed and message are known, "known" where the message is, "blind" where neither is and the
message read is right. Clips "unmarked" come from unmarked noise: they must prove nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import torch

from countermark.benchmarks._attacks import Frames
from countermark.benchmarks._table import table
from countermark.generate.captions import say
from countermark.generate.embedded import EmbeddedModel, networks
from countermark.generate.models import Request
from countermark.generate.noise_mark import MESSAGE_BITS, marked_noise, read_noise, recovered_signs
from countermark.generate.sampler import GUIDANCE, STEPS, invert, sample
from countermark.generate.transformer import Shape
from countermark.generate.world import FPS, sample_scene
from countermark.training._recode import reencode
from countermark.watermark import Key, embed

Floats = npt.NDArray[np.float32]
SHAPE = (Shape().frames, Shape().size, Shape().size, 3)
OWN = f"{Shape().size} px, own output"
SOURCES = (OWN, "256 px", "256 px, sealed", "sealed, H.264 23", "sealed, H.264 28", "256 px, unmarked")
HEAD = ("clip", "guidance", "prompt", "n", "signs", "bits", "rho", "seeded", "known", "blind")


@dataclass(frozen=True)
class Case:
    """A prompt, a seed, and the key whose public id the noise carries."""

    prompt: str
    seed: int
    key: Key

    @property
    def message(self) -> int:
        """What the embedded model writes."""
        return int(self.key.id, 16)


@dataclass
class Row:
    """Figures of one row, a clip each."""

    signs: list[float] = field(default_factory=list)
    bits: list[float] = field(default_factory=list)
    rho: list[float] = field(default_factory=list)
    seeded: list[bool] = field(default_factory=list)
    known: list[bool] = field(default_factory=list)
    blind: list[bool] = field(default_factory=list)

    def add(self, noise: Floats, case: Case) -> None:
        """Reads recovered noise and compares it with what was written."""
        seeded = read_noise(noise, case.key, case.message, seed=case.seed)
        told = read_noise(noise, case.key, case.message)
        guessed = read_noise(noise, case.key)
        signs, bits = recovered_signs(noise, case.seed, case.key, case.message)
        self.signs.append(signs)
        self.bits.append(bits)
        self.rho.append(seeded.rho)
        self.seeded.append(seeded.detected)
        self.known.append(told.detected)
        self.blind.append(guessed.detected and guessed.message == case.message)

    def cells(self) -> list[str]:
        """As the table shows them."""
        n = len(self.signs)
        means = (f"{100 * np.mean(self.signs):.1f} %", f"{100 * np.mean(self.bits):.0f} %", f"{np.mean(self.rho):.1f}")
        return [str(n), *means, *(f"{sum(found)}/{n}" for found in (self.seeded, self.known, self.blind))]


def main(argv: list[str]) -> int:
    """Prints the table; returns 0."""
    parser = argparse.ArgumentParser(prog="countermark bench noise_mark", description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--steps", type=int, default=STEPS, help=f"of the generation; reading always takes {STEPS}")
    parser.add_argument("--seed", type=int, default=20_261_122)
    parser.add_argument("--small", action="store_true", help="one clip, few steps: only shows that it runs")
    args = parser.parse_args(argv)
    count, steps = (1, 3) if args.small else (args.clips, args.steps)
    rng = np.random.default_rng(args.seed)
    cases = [
        Case(say(sample_scene(rng)), args.seed + i, Key(hashlib.sha256(f"{args.seed} {i}".encode()).digest()))
        for i in range(count)
    ]
    start = time.monotonic()
    rows: dict[tuple[str, str, str], Row] = {}
    for case in cases:
        for guidance in (1.0,) if args.small else (1.0, GUIDANCE):
            _measure(rows, case, guidance, steps, args.small)
    print(table(HEAD, [[*name, *rows[name].cells()] for name in sorted(rows, key=lambda n: SOURCES.index(n[0]))]))
    print(
        f"\n{MESSAGE_BITS} bits, {steps} steps; {(time.monotonic() - start) / count:.0f} s a clip, all rows together."
    )
    return 0


def _measure(rows: dict[tuple[str, str, str], Row], case: Case, guidance: float, steps: int, small: bool) -> None:
    """One marked clip, from the network's own output to what an encoder leaves, with its prompt and without."""
    text, video, _, vocabulary = networks()
    noise = torch.from_numpy(marked_noise(SHAPE, case.seed, case.key, case.message))[None]
    model = EmbeddedModel()
    marked = Request(case.prompt, seed=case.seed, steps=steps, guidance=guidance, noise_key=case.key)
    frames = model.generate(marked).frames
    sealed = embed(frames, case.seed, case.key, fps=FPS)
    made: dict[str, Callable[[], Frames]] = {
        "256 px": lambda: frames,
        "256 px, sealed": lambda: sealed,
        "sealed, H.264 23": lambda: reencode(sealed, FPS, "libx264", 23),
        "sealed, H.264 28": lambda: reencode(sealed, FPS, "libx264", 28),
        "256 px, unmarked": lambda: model.generate(replace(marked, noise_key=None)).frames,
    }
    with torch.inference_mode():
        slots = text(vocabulary.batch([case.prompt]))
    for source in SOURCES[:2] if small else SOURCES:
        shown = None if source == OWN else made[source]()
        for prompt in (case.prompt,) if small else (case.prompt, None):
            if shown is None:
                own = sample(video, slots, steps=steps, guidance=guidance, seeds=[case.seed], noise=noise)
                back = invert(video, own, slots if prompt else None)[0].numpy()
            else:
                back = model.recover_noise(shown, prompt)
            name = (source, f"{guidance:g}", "known" if prompt else "none")
            rows.setdefault(name, Row()).add(back, case)
