"""How often the embedded model shows what a prompt asks for, judged from pixels: ``countermark bench generate``.

Prompts come from a seed of their own: plain and paraphrased ones in two languages, of every layout and event, with
colours and kinds in pairs that training never saw as well as ones that it did, and mirrored ones. One clip a prompt, no
choosing. Where it fails is told by truth that is noised a little or much and denoised again. Beside the model stand
rendered truth (what the verifier can reach at most) and baselines that must fail: the model's clips judged by another
prompt, a still frame, noise.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from countermark.benchmarks._generate_cost import HEAD as COST
from countermark.benchmarks._generate_cost import cost_rows, transformer_rows
from countermark.benchmarks._judging import Job, Judged, judge, row
from countermark.benchmarks._pictures import PROMPTS, draw_pictures
from countermark.benchmarks._smoothness import HEAD as SMOOTH
from countermark.benchmarks._smoothness import smoothness
from countermark.benchmarks._table import table
from countermark.generate import Request
from countermark.generate.captions import Said, caption, say
from countermark.generate.embedded import EmbeddedModel
from countermark.generate.verifier import CHECKS, Checked
from countermark.generate.world import EVENTS, LAYOUTS, Scene, Thing, sample_scene

__all__ = ["main", "mirrored"]

Ask = Callable[[Sequence[Job]], list[Judged]]
PARTS = ("prompts", "layouts", "mirrored", "long", "image", "noised", "smoothness", "cost", "pictures")
MIRROR = {"left": "right", "right": "left", "pan left": "pan right", "pan right": "pan left"}
SMOOTH_CLIPS = 32


def main(argv: list[str]) -> int:
    """Prints the tables; returns 0."""
    parser = argparse.ArgumentParser(prog="countermark bench generate", description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, default=100, help="prompts of the first row; others take a part of it")
    parser.add_argument("--seed", type=int, default=20_261_123)
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
    spent: list[float] = []

    def ask(jobs: Sequence[Job]) -> list[Judged]:
        done = judge([replace(j, seed=args.seed + j.seed, steps=steps, guidance=args.guidance) for j in jobs])
        spent.extend(d.spent for d, j in zip(done, jobs, strict=True) if j.source == "model" and j.seconds is None)
        return done

    rng = np.random.default_rng(args.seed)
    for name, part in (
        ("prompts", _prompts), ("layouts", _layouts), ("mirrored", _mirrored), ("long", _long), ("image", _image),
        ("noised", _noised),
    ):  # fmt: skip
        if name in parts:
            part(rng, count, ask)
    if "smoothness" in parts:
        scenes, model = [sample_scene(rng) for _ in range(min(count, SMOOTH_CLIPS))], EmbeddedModel()
        clips = [model.generate(Request(say(s), seed=i, steps=steps)).frames for i, s in enumerate(scenes)]
        print("\nhow smooth, and how like fresh renders\n")
        print(table(["clips", *SMOOTH], smoothness(clips, scenes, rng)))
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
        print(f"\n{np.mean(spent):.1f} s a clip of 4 s, a core each. Intervals: Wilson, 95 %.")
    return 0


def _plain(scenes: Sequence[Scene]) -> list[Job]:
    return [Job((scene,), say(scene), i) for i, scene in enumerate(scenes)]


def _first(judged: Sequence[Judged]) -> list[Checked]:
    return [one.checked[0] for one in judged]


def _truth(scenes: Sequence[Scene], ask: Ask, seconds: float = 4.0) -> list[Checked]:
    return _first(ask([Job((scene,), source="truth", seconds=seconds) for scene in scenes]))


def _prompts(rng: np.random.Generator, count: int, ask: Ask) -> None:
    seen = [sample_scene(rng, held_out=False) for _ in range(count)]
    own = ask([Job((s, seen[i - 1]), say(s), i) for i, s in enumerate(seen)])
    few = seen[: max(1, count // 4)]
    told, german = ([_wording(s, rng, language) for s in few] for language in ("en", "de"))
    rows = [row("model", _first(own)), row("rendered truth", _truth(seen, ask))]
    pairs = []
    for held_out in (False, True):
        drawn = [
            sample_scene(rng, held_out=held_out, layout=("single", "beside", "above")[i % 3])
            for i in range(max(1, count // 2))
        ]
        pairs.append(_first(ask(_plain(drawn))))
    rows.append(row("model, of one and two things, pairs seen", pairs[0]))
    rows.append(row("model, of one and two things, pairs held out", pairs[1]))
    for name, texts in (("other wordings", told), ("German", german)):
        rows.append(
            row(
                f"model, {name}",
                _first(ask([Job((s,), t, i) for i, (s, t) in enumerate(zip(few, texts, strict=True))])),
            )
        )
    brief = _first(ask([Job((s,), say(s, brief=True), i) for i, s in enumerate(few)]))
    rows.append(row("model, no style or place told", [replace(one, background=None, style=None) for one in brief]))
    rows.append(row("model, another prompt's clip", [one.checked[1] for one in own]))
    rows.append(row("model, first frame repeated", _first(ask([replace(job, still=True) for job in _plain(few)]))))
    rows.append(row("noise", _first(ask([Job((s,), seed=i, source="noise") for i, s in enumerate(few)]))))
    _show("prompts", rows)


def _wording(scene: Scene, rng: np.random.Generator, language: str) -> str:
    """A caption in random words that says all that is checked."""
    while True:
        text, said = caption(scene, rng, leave_out=0.0, language=language)
        told = zip(("first", "second", "third"), said.things, strict=False)
        if all(_complete(said, slot, thing, scene.event) for slot, thing in told):
            return text


def _complete(said: Said, slot: str, thing: Thing, event: str) -> bool:
    """Whether a motion is told, and a place where it is not the event's."""
    placed = event != "none" or thing.place == "none" or said.get(slot, "place") != "any"
    return placed and said.get(slot, "motion") != "any"


def _layouts(rng: np.random.Generator, count: int, ask: Ask) -> None:
    rows = []
    kinds = [(layout, None) for layout in LAYOUTS if layout != "event"] + [("event", event) for event in EVENTS[1:]]
    for layout, event in kinds:
        scenes = [sample_scene(rng, layout=layout, event=event) for _ in range(max(1, count // 5))]
        rows.append(row(event or layout, _first(ask(_plain(scenes)))))
    _show("layouts and events", rows)


def _mirrored(rng: np.random.Generator, count: int, ask: Ask) -> None:
    """Left and right, each prompt beside its mirror image, with the same noise."""
    scenes: list[Scene] = []
    while len(scenes) < max(1, count // 2):
        scene = sample_scene(rng, layout=str(rng.choice(["single", "beside", "camera"])))
        if scene != mirrored(scene):
            scenes.append(scene)
    turned = [mirrored(scene) for scene in scenes]
    rows = [row("as drawn", _first(ask(_plain(scenes)))), row("mirrored", _first(ask(_plain(turned))))]
    rows.append(row("truth, mirrored", _truth(turned, ask)))
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


def _long(rng: np.random.Generator, count: int, ask: Ask) -> None:
    scenes = [sample_scene(rng) for _ in range(max(1, count // 5))]
    made = _first(ask([replace(job, seconds=10.0) for job in _plain(scenes)]))
    _show("ten seconds", [row("model, 10 s", made), row("truth, 10 s", _truth(scenes, ask, 10.0))])


def _image(rng: np.random.Generator, count: int, ask: Ask) -> None:
    """Clips that begin with a picture of the world: checked as others are, and how far their first frame is from it."""
    scenes = [sample_scene(rng) for _ in range(max(1, count // 5))]
    done = ask([replace(job, picture=True) for job in _plain(scenes)])
    _show("from a picture", [row("model, from a picture", _first(done))])
    print(f"\nThe first frame is off by {np.mean([one.away for one in done]):.1f} of 255 on average.")


def _noised(rng: np.random.Generator, count: int, ask: Ask) -> None:
    """Where quality goes: truth on the model's grid, noised, denoised and enlarged."""
    scenes, rows = [sample_scene(rng) for _ in range(max(1, count // 5))], []
    for start in (0.0, 0.1, 0.3, 0.6, 0.8, 1.0):
        jobs = [replace(job, source="noised", start=start) for job in _plain(scenes)]
        rows.append(row(f"{start:.0%} noise", _first(ask(jobs))))
    _show("truth on the model's grid, noised and denoised", rows)


def _show(title: str, rows: list[list[str]]) -> None:
    print(f"\n{title}\n")
    print(table(["clips", "n", *CHECKS], rows), flush=True)
