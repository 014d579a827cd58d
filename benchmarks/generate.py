"""How often the embedded model shows what a prompt asks for, judged from pixels: ``countermark bench generate``.

Prompts come from a seed of their own and from scenes with colours and kinds in pairs that training never saw as well as
ones that it did; one clip a prompt, no choosing. Beside the model stand rendered truth (what the verifier can reach
at most) and baselines that must fail: the model's clips judged by another prompt, a still frame, noise.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import numpy.typing as npt

from countermark.benchmarks._table import table, wilson
from countermark.generate import Request
from countermark.generate.captions import say
from countermark.generate.embedded import EmbeddedModel
from countermark.generate.render import render
from countermark.generate.verifier import CHECKS, Checked, verify
from countermark.generate.world import Scene, sample_scene

Frames = npt.NDArray[np.uint8]


def main(argv: list[str]) -> int:
    """Prints the table; returns 0."""
    parser = argparse.ArgumentParser(prog="countermark bench generate", description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, default=100, help="prompts of seen and of held-out pairs, each")
    parser.add_argument("--seed", type=int, default=20_261_122)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--guidance", type=float)
    parser.add_argument("--small", action="store_true", help="four prompts, few steps: only shows that it runs")
    args = parser.parse_args(argv)
    count, steps = (4, 4) if args.small else (args.prompts, args.steps)
    rng = np.random.default_rng(args.seed)
    seen = [sample_scene(rng, held_out=False) for _ in range(count)]
    unseen = [sample_scene(rng, held_out=True) for _ in range(count)]
    model = EmbeddedModel()

    def make(scene: Scene, number: int) -> Frames:
        return model.generate(Request(say(scene), seed=args.seed + number, steps=steps, guidance=args.guidance)).frames

    start = time.monotonic()
    clips = [make(scene, i) for i, scene in enumerate(seen)]
    pace = (time.monotonic() - start) / count
    frozen = [np.repeat(clip[:1], len(clip), 0) for clip in clips]
    noise = rng.integers(0, 256, clips[0].shape, dtype=np.uint8)
    rows = [
        _row("model, pairs seen in training", [verify(c, s) for c, s in zip(clips, seen, strict=True)]),
        _row("model, pairs held out", [verify(make(s, count + i), s) for i, s in enumerate(unseen)]),
        _row("rendered truth", [verify(render(s, 256), s) for s in seen]),
        _row("model, another prompt's clip", [verify(clips[i - 1], s) for i, s in enumerate(seen)]),
        _row(
            "model, first frame repeated",
            [verify(f, s) for f, s in zip(frozen, seen, strict=True)],
        ),
        _row("noise", [verify(noise, s) for s in seen]),
    ]
    print(table(["clips", "n", *CHECKS], rows))
    print(f"\n{pace:.1f} s a clip, in this run. Intervals: Wilson, 95 %.")
    return 0


def _row(name: str, checked: list[Checked]) -> list[str]:
    cells = [name, str(len(checked))]
    for check in CHECKS:
        passed = [value for one in checked if (value := getattr(one, check)) is not None]
        low, high = wilson(sum(passed), len(passed))
        cells.append(f"{100 * np.mean(passed):.0f} % ({100 * low:.0f}-{100 * high:.0f})" if passed else "-")
    return cells
