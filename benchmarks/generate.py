"""How often the embedded model shows what a prompt asks for, judged from pixels: ``countermark bench generate``.

Prompts come from a seed of their own: plain and paraphrased ones in two languages, of every layout and event, with
colours and kinds in pairs that training never saw as well as ones that it did, and mirrored ones. One clip a prompt, no
choosing. Beside the model stand rendered truth (what the verifier can reach at most) and baselines that must fail: the
model's clips judged by another prompt, a still frame, noise.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from countermark.benchmarks._generate_cost import HEAD as COST
from countermark.benchmarks._generate_cost import cost_rows, transformer_rows
from countermark.benchmarks._pictures import PROMPTS, draw_pictures
from countermark.benchmarks._smoothness import HEAD as SMOOTH
from countermark.benchmarks._smoothness import smoothness
from countermark.benchmarks._table import table, wilson
from countermark.generate import Request
from countermark.generate.captions import caption, say
from countermark.generate.embedded import EmbeddedModel
from countermark.generate.render import render
from countermark.generate.verifier import CHECKS, Checked, verify
from countermark.generate.world import EVENTS, LAYOUTS, Scene, sample_scene

__all__ = ["main", "mirrored"]

Frames = npt.NDArray[np.uint8]
Make = Callable[[Scene, str, int], Frames]
PARTS = ("prompts", "layouts", "mirrored", "long", "image", "smoothness", "cost", "pictures")
MIRROR = {"left": "right", "right": "left", "pan left": "pan right", "pan right": "pan left"}


def main(argv: list[str]) -> int:
    """Prints the tables; returns 0."""
    parser = argparse.ArgumentParser(prog="countermark bench generate", description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, default=100, help="prompts of each row")
    parser.add_argument("--seed", type=int, default=20_261_122)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--guidance", type=float)
    parser.add_argument("--parts", default=",".join(PARTS), help="which tables")
    parser.add_argument("--pictures", type=Path, help="folder for the pictures of the docs; none without it")
    parser.add_argument("--log", type=Path, help="video.csv of the training, for its curve among the pictures")
    parser.add_argument("--small", action="store_true", help="two prompts, few steps: only shows that it runs")
    args = parser.parse_args(argv)
    parts = args.parts.split(",")
    if set(parts) - set(PARTS):
        parser.error(f"--parts takes some of {','.join(PARTS)}")
    count, steps = (2, 2) if args.small else (args.prompts, args.steps)
    model, spent = EmbeddedModel(), []

    def make(scene: Scene, text: str, number: int) -> Frames:
        start = time.monotonic()
        made = model.generate(Request(text, seed=args.seed + number, steps=steps, guidance=args.guidance)).frames
        spent.append(time.monotonic() - start)
        return made

    rng = np.random.default_rng(args.seed)
    seen = [sample_scene(rng, held_out=False) for _ in range(count)]
    if "prompts" in parts or "smoothness" in parts:
        clips = [make(scene, say(scene), i) for i, scene in enumerate(seen)]
    if "prompts" in parts:
        _prompts(rng, seen, clips, make)
    if "layouts" in parts:
        _layouts(rng, count, make)
    if "mirrored" in parts:
        _mirrored(rng, count, make)
    if "long" in parts:
        _long(rng, max(1, count // 5), model, steps)
    if "image" in parts:
        _image(rng, max(1, count // 5), model, steps)
    if "smoothness" in parts:
        print("\nhow smooth, and how like fresh renders\n")
        print(table(["clips", *SMOOTH], smoothness(clips, seen, rng)))
    if "cost" in parts:
        few, options = (1, ("--steps", "2")) if args.small else (3, ())
        print("\nfrom a prompt to a sealed file, and from an idle process\n")
        print(table(COST, cost_rows(few, *options)))
        print("\none call of the transformer, two clips\n")
        head = ["transformer", "million weights", "tokens", "ms", "of ours"]
        print(table(head, transformer_rows(2 if args.small else 15)))
    if "pictures" in parts and args.pictures is not None:
        draw_pictures(args.pictures, args.log, PROMPTS[:2] if args.small else PROMPTS, steps)
    if spent:
        print(f"\n{np.mean(spent):.1f} s a clip of 4 s, in this run. Intervals: Wilson, 95 %.")
    return 0


def _prompts(rng: np.random.Generator, seen: Sequence[Scene], clips: Sequence[Frames], make: Make) -> None:
    count = len(seen)
    unseen = [
        sample_scene(rng, held_out=True, layout=str(rng.choice(["single", "beside", "above"]))) for _ in range(count)
    ]
    told = [caption(s, rng, leave_out=0.0, language="en")[0] for s in seen]
    german = [caption(s, rng, leave_out=0.0, language="de")[0] for s in seen]
    frozen = [np.repeat(clip[:1], len(clip), 0) for clip in clips]
    noise = rng.integers(0, 256, clips[0].shape, dtype=np.uint8)
    rows = [
        _row("model, pairs seen in training", _checked(clips, seen)),
        _row("model, pairs held out", [verify(make(s, say(s), count + i), s) for i, s in enumerate(unseen)]),
        _row(
            "model, other wordings", [verify(make(s, t, i), s) for i, (s, t) in enumerate(zip(seen, told, strict=True))]
        ),
        _row("model, in German", [verify(make(s, t, i), s) for i, (s, t) in enumerate(zip(seen, german, strict=True))]),
        _row("rendered truth", _truth(seen)),
        _row("model, another prompt's clip", [verify(clips[i - 1], s) for i, s in enumerate(seen)]),
        _row("model, first frame repeated", _checked(frozen, seen)),
        _row("noise", [verify(noise, s) for s in seen]),
    ]
    _show("prompts", rows)


def _layouts(rng: np.random.Generator, count: int, make: Make) -> None:
    rows = []
    kinds = [(layout, None) for layout in LAYOUTS if layout != "event"] + [("event", event) for event in EVENTS[1:]]
    for layout, event in kinds:
        scenes = [sample_scene(rng, layout=layout, event=event) for _ in range(max(1, count // 4))]
        rows.append(_row(event or layout, [verify(make(s, say(s), i), s) for i, s in enumerate(scenes)]))
    _show("layouts and events", rows)


def _mirrored(rng: np.random.Generator, count: int, make: Make) -> None:
    """Left and right, each prompt beside its mirror image, with the same noise."""
    scenes: list[Scene] = []
    while len(scenes) < max(1, count // 2):
        scene = sample_scene(rng, layout=str(rng.choice(["single", "beside", "camera"])))
        if scene != mirrored(scene):
            scenes.append(scene)
    rows = []
    for name, turned in (("as drawn", scenes), ("mirrored", [mirrored(s) for s in scenes])):
        rows.append(_row(name, [verify(make(s, say(s), i), s) for i, s in enumerate(turned)]))
    _show("left and right", rows)


def mirrored(scene: Scene) -> Scene:
    """A scene with left and right exchanged."""
    things = tuple(
        replace(
            thing,
            motion=MIRROR.get(thing.motion, thing.motion),
            place=MIRROR.get(thing.place, thing.place),  # type: ignore[arg-type]
            x=1 - thing.x,
            reach=-thing.reach if thing.motion in MIRROR else thing.reach,
        )
        for thing in scene.things
    )
    return replace(scene, camera=MIRROR.get(scene.camera, scene.camera), things=things)


def _long(rng: np.random.Generator, count: int, model: EmbeddedModel, steps: int | None) -> None:
    scenes = [sample_scene(rng) for _ in range(count)]
    made = [model.generate(Request(say(s), seed=i, steps=steps, seconds=10)).frames for i, s in enumerate(scenes)]
    _show("ten seconds", [_row("model, 10 s", _checked(made, scenes)), _row("truth, 10 s", _truth(scenes, 80))])


def _image(rng: np.random.Generator, count: int, model: EmbeddedModel, steps: int | None) -> None:
    """Clips that begin with a picture of the world: checked as others are, and how far their first frame is from it."""
    import tempfile

    import cv2

    scenes, made, away = [sample_scene(rng) for _ in range(count)], [], []
    with tempfile.TemporaryDirectory() as folder:
        for i, scene in enumerate(scenes):
            first = render(scene, 256, at=0)[0]
            path = Path(folder) / f"{i}.png"
            cv2.imwrite(str(path), first[..., ::-1])
            made.append(model.generate(Request(say(scene), seed=i, steps=steps, image=path)).frames)
            away.append(float(np.abs(made[-1][0].astype(float) - first).mean()))
    _show("from a picture", [_row("model, from a picture", _checked(made, scenes))])
    print(f"\nThe first frame is off by {np.mean(away):.1f} of 255 on average.")


def _checked(clips: Sequence[Frames], scenes: Sequence[Scene]) -> list[Checked]:
    return [verify(clip, scene) for clip, scene in zip(clips, scenes, strict=True)]


def _truth(scenes: Sequence[Scene], frames: int = 32) -> list[Checked]:
    return [verify(render(scene, 256, frames), scene) for scene in scenes]


def _show(title: str, rows: list[list[str]]) -> None:
    print(f"\n{title}\n")
    print(table(["clips", "n", *CHECKS], rows))


def _row(name: str, checked: list[Checked]) -> list[str]:
    cells = [name, str(len(checked))]
    for check in CHECKS:
        passed = [value for one in checked if (value := getattr(one, check)) is not None]
        low, high = wilson(sum(passed), len(passed))
        cells.append(f"{100 * np.mean(passed):.0f} % ({100 * low:.0f}-{100 * high:.0f})" if passed else "-")
    return cells
