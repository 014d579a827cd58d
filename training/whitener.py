"""Trains the watermark's whitener: ``countermark train whitener --stage STAGE --data DIR``.

Stages, in order, each resumable:

* ``draw``: clips of ``--data`` (a folder with a ``clips.tsv`` like the one that the detector is trained on) and renders
  of the embedded world are marked under random keys, attacked, and kept as mean pictures beside the true mark.
* ``train``: the network learns to leave nothing but the mark (``--minutes``).
* ``export``: the averaged weights go to ``watermark/weights``, with their sha256.

Families whose name falls into the held-out third (:func:`held_out`) are never drawn: ``countermark bench watermark``
measures on those alone. The loss is the correlation with the true mark after the matched filter, which is what a
reading's rho is made of; every sample has a key of its own, so the network cannot learn one.
"""

from __future__ import annotations

import argparse
import copy
import csv
import hashlib
import random
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from countermark.errors import BadMedia
from countermark.generate.render import render
from countermark.generate.world import FPS as WORLD_FPS
from countermark.generate.world import sample_scene
from countermark.media import open_source
from countermark.training._recode import reencode
from countermark.watermark.carriers import Carrier, canvas_size, carriers, fade, pattern
from countermark.watermark.code import encode
from countermark.watermark.embedding import Embedder
from countermark.watermark.keys import Key
from countermark.watermark.slices import Slices, join
from countermark.watermark.whitener import WEIGHTS, Whitener

__all__ = ["held_out", "main"]

Frames = npt.NDArray[np.uint8]
Sample = dict[str, npt.NDArray[np.float16]]
SIZE, BATCH = 112, 16  # canvas pixels on a side of a training crop; crops in a batch
ENCODERS = ("libx264", "libx264", "libx264", "libx265", "libvpx-vp9")


def held_out(family: str) -> bool:
    """Whether a family or source of clips is kept for measuring."""
    return int(hashlib.sha256(family.encode()).hexdigest()[:8], 16) % 3 == 0


def main(argv: list[str]) -> int:
    """Runs one stage; returns the exit code."""
    parser = argparse.ArgumentParser(prog="countermark train whitener", description=__doc__.splitlines()[0])
    parser.add_argument("--stage", choices=("draw", "train", "export"), required=True)
    parser.add_argument("--data", type=Path, help="folder with clips.tsv (for draw)")
    parser.add_argument("--runs", type=Path, default=Path("runs/whitener"), help="samples, checkpoints and logs")
    parser.add_argument("--count", type=int, default=3000, help="samples to draw")
    parser.add_argument("--minutes", type=float, default=60.0, help="how long this stretch of training lasts")
    parser.add_argument("--decay", action="store_true", help="let the learning rate fall to zero over this stretch")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    (args.runs / "samples").mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    {"draw": _draw, "train": _train, "export": _export}[args.stage](args)
    return 0


def _draw(args: argparse.Namespace) -> None:
    with (args.data / "clips.tsv").open(newline="") as file:
        rows = [r for r in csv.DictReader(file, delimiter="\t") if float(r["seconds"]) >= 0.8]
    families: dict[str, list[Path]] = {}
    for row in rows:
        side = (int(row["width"]) * int(row["height"])) ** 0.5
        if 200 <= side <= 980 and not held_out(row["family_or_source"]):
            families.setdefault(row["family_or_source"], []).append(args.data / row["file"])
    for number in range(args.count):
        path = args.runs / "samples" / f"{args.seed}-{number:05d}.npz"
        if path.exists():
            continue
        dice = random.Random(f"{args.seed} {number}")
        try:
            sample = _sample(dice, families)
        except BadMedia as error:
            print(f"{path.name}: {error}", flush=True)
            continue
        np.savez(path, **sample)  # type: ignore[arg-type]
        if number % 100 == 0:
            print(time.strftime("%H:%M:%S"), number, flush=True)


def _sample(dice: random.Random, families: dict[str, list[Path]]) -> Sample:
    """A marked and attacked clip's mean picture, and the mark that was put in: y, c, and mark_y, mark_c."""
    import cv2

    if dice.random() < 0.1:
        scene = sample_scene(np.random.default_rng(dice.randrange(1 << 30)))
        frames, fps = render(scene, 256, 16), float(WORLD_FPS)
    else:
        source = open_source(dice.choice(families[dice.choice(sorted(families))]))
        fps = source.facts.fps or 25.0
        wanted = max(3, int(dice.choice((0.6, 1.0, 1.4)) * fps))
        frames = np.stack([timed.rgb for timed, _ in zip(source.frames(), range(wanted), strict=False)])
    height, width = frames.shape[1:3]
    factor = min(1.0, dice.uniform(230, 760) / (width * height) ** 0.5)
    size = int(width * factor) // 2 * 2, int(height * factor) // 2 * 2
    frames = np.stack([cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in frames])
    key, payload = Key(dice.randbytes(32)), dice.getrandbits(64)
    embedder = Embedder(*size, payload, key)
    marked = np.stack([embedder.mark(f, i / fps) for i, f in enumerate(frames)])
    seen = _attack(dice, marked, fps)
    slices = Slices(*size)
    for index, frame in enumerate(seen):
        slices.add(frame, index / fps)
    planes = join(slices.finish())
    y, cr, cb = (_true(c, payload, size, len(frames) / fps) for c in carriers(key))
    colour = np.stack([cr, cb], -1)
    return {"y": planes.y, "c": planes.c, "mark_y": y.astype(np.float16), "mark_c": colour.astype(np.float16)}


def _true(carrier: Carrier, payload: int, size: tuple[int, int], seconds: float) -> npt.NDArray[np.float32]:
    """The band's mark, averaged over the clip."""
    flips = 1.0 - 2.0 * encode([payload], 0)[0].astype(np.float32)
    chips = carrier.sign * ~carrier.changes
    for moment in np.linspace(0, seconds, 9)[:-1] + seconds / 16 if carrier.changes.any() else ():
        first, second, a, b = fade(float(moment))
        chips = chips + (a * carrier.signs[first] + b * carrier.signs[second]) * carrier.changes / 8
    return pattern(
        chips * np.where(carrier.role < 0, 1, flips[np.maximum(carrier.role, 0)]), carrier, canvas_size(*size)
    )


def _attack(dice: random.Random, frames: Frames, fps: float) -> Frames:
    import cv2

    factor = dice.choice((1.0, 1.0, 1.0, 0.8, 0.6, 0.5))
    if factor < 1:
        frames = np.stack([cv2.resize(f, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA) for f in frames])
    if dice.random() < 0.08:
        return frames
    codec = dice.choice(ENCODERS)
    crf = dice.uniform(16, 41 if factor > 0.75 else 34) * (1.2 if codec == "libvpx-vp9" else 1.0)
    return reencode(frames, fps, codec, round(crf), preset=dice.choice(("veryfast", "medium")))


def _train(args: argparse.Namespace) -> None:
    samples = _load(args.runs / "samples")
    rng = np.random.default_rng([args.seed, time.time_ns()])
    held, samples = samples[::20], [s for i, s in enumerate(samples) if i % 20]
    network = Whitener()
    matrices = [p for n, p in network.named_parameters() if p.ndim == 2 and not n.startswith("leave")]
    rest = [p for n, p in network.named_parameters() if p.ndim == 1 or n.startswith("leave")]
    fast = torch.optim.Muon(matrices, lr=0.02, momentum=0.95, weight_decay=0.01, adjust_lr_fn="original")
    slow = torch.optim.AdamW(rest, lr=3e-3, weight_decay=1e-3)
    average, step = copy.deepcopy(network), 0
    saved = args.runs / "whitener.pt"
    if saved.exists():
        state = torch.load(saved, weights_only=True)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        fast.load_state_dict(state["fast"])
        slow.load_state_dict(state["slow"])
        step = state["step"]
    start = first = time.monotonic()
    while (passed := (time.monotonic() - start) / 60 / args.minutes) < 1:
        factor = min(1.0, (step + 1) / 50) * ((1 - passed) if args.decay else 1.0)
        for group, rate in ((fast, 0.02), (slow, 3e-3)):
            for part in group.param_groups:
                part["lr"] = rate * factor
        loss = -_agreement(network, *_batch(samples, rng)).mean()
        fast.zero_grad()
        slow.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        fast.step()  # type: ignore[no-untyped-call]
        slow.step()
        step += 1
        with torch.no_grad():
            for a, b in zip(average.parameters(), network.parameters(), strict=True):
                a.lerp_(b, max(0.005, 1 / step))
        if step % 200 == 0:
            with torch.no_grad():
                figures = _agreement(average, *_batch(held, np.random.default_rng(1), 96)).mean(0)
            passed_s, agreed = time.monotonic() - first, -float(loss.detach())
            line = f"{step},{passed_s:.0f},{agreed:.4f}," + ",".join(f"{f:.4f}" for f in figures)
            with (args.runs / "whitener.csv").open("a") as file:
                file.write(line + "\n")
            torch.save(
                {
                    "network": network.state_dict(),
                    "average": average.state_dict(),
                    "fast": fast.state_dict(),
                    "slow": slow.state_dict(),
                    "step": step,
                },
                saved,
            )


def _load(folder: Path) -> list[Sample]:
    out = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as file:
            out.append({name: file[name] for name in file.files})
    return out


def _batch(
    samples: list[Sample], rng: np.random.Generator, count: int = BATCH
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Random crops: luma and colour, and the marks in them."""
    crops: list[Iterator[npt.NDArray[np.float32]]] = []
    while len(crops) < count:
        crop = _crop(samples[rng.integers(len(samples))], rng)
        if crop is not None:
            crops.append(crop)
    y, c, mark_y, mark_c = (torch.from_numpy(np.stack(part)) for part in zip(*crops, strict=True))
    return y[:, None], c.permute(0, 3, 1, 2), mark_y[:, None], mark_c.permute(0, 3, 1, 2)


def _crop(sample: Sample, rng: np.random.Generator) -> Iterator[npt.NDArray[np.float32]] | None:
    """A crop in any of eight orientations, half of the time turned, stretched and scaled a little."""
    half = SIZE // 2
    height, width = sample["c"].shape[:2]
    if min(height, width) < half:
        return None
    images = [sample[name].astype(np.float32) for name in ("y", "c", "mark_y", "mark_c")]
    if rng.random() < 0.5:
        images = _warped(images, rng)
        height = width = half
    top, left = rng.integers(0, height - half + 1), rng.integers(0, width - half + 1)
    turns, mirrored = int(rng.integers(4)), rng.random() < 0.5
    gain = np.float32(np.exp(rng.normal() * 0.15))
    out = []
    for image, step in zip(images, (2, 1, 2, 1), strict=True):
        part = image[step * top : step * (top + half), step * left : step * (left + half)]
        part = np.rot90(part, turns)
        out.append(np.ascontiguousarray(part[:, ::-1] if mirrored else part))
    return iter([out[0] * gain, out[1] * gain, out[2], out[3]])


def _warped(images: list[npt.NDArray[np.float32]], rng: np.random.Generator) -> list[npt.NDArray[np.float32]]:
    import cv2

    half = SIZE // 2
    height, width = images[1].shape[:2]
    angle, zoom, stretch = rng.uniform(-0.35, 0.35), np.exp(rng.normal() * 0.06), np.exp(rng.normal() * 0.06)
    c, s = np.cos(angle) * zoom, np.sin(angle) * zoom
    linear = np.array([[c * stretch, -s], [s, c / stretch]])
    centre = rng.uniform(half * 0.8, np.maximum(half * 0.81, np.array([width, height]) - half * 0.8)) / 1.0
    out = []
    for image, step in zip(images, (2, 1, 2, 1), strict=True):
        side = half * step
        shift = np.full(2, side / 2 - 0.5) - linear @ (centre * step + (step - 1) / 2)
        matrix = np.hstack([linear, shift[:, None]]).astype(np.float32)
        out.append(cv2.warpAffine(image, matrix, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT))
    return out


def _agreement(network: Whitener, y: Tensor, c: Tensor, mark_y: Tensor, mark_c: Tensor) -> Tensor:
    """Correlation of the matched residual with the true mark: B x 3 (luma, Cr, Cb)."""
    luma, colour = network(y, c)
    luma, colour = network.pulse(luma), network.pulse(colour)
    parts = ((luma, mark_y), (colour[:, :1], mark_c[:, :1]), (colour[:, 1:], mark_c[:, 1:]))
    return torch.stack([_correlation(a[..., 8:-8, 8:-8], b[..., 8:-8, 8:-8]) for a, b in parts], -1)


def _correlation(a: Tensor, b: Tensor) -> Tensor:
    a, b = a.flatten(1), b.flatten(1)
    return torch.nn.functional.cosine_similarity(a, b, eps=1e-6)


def _export(args: argparse.Namespace) -> None:
    from safetensors.torch import save

    state = torch.load(args.runs / "whitener.pt", weights_only=True)["average"]
    raw = save({name: value.to(torch.float32).contiguous() for name, value in state.items()})
    WEIGHTS.parent.mkdir(exist_ok=True)
    WEIGHTS.write_bytes(raw)
    print(f"{WEIGHTS.name}: {len(raw)} bytes, sha256 {hashlib.sha256(raw).hexdigest()}")
