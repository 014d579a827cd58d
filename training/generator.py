"""Trains the embedded generator from nothing but the renderer: ``countermark train generator --stage STAGE``.

Stages, in order, each resumable from its checkpoint in ``--runs``:

* ``text``: the text encoder learns to read captions back (five minutes on a core).
* ``video``: the transformer learns to denoise 32-pixel clips (``--minutes``; hours on two cores, minutes on a GPU).
* ``upscale``: the decoder learns 32 -> 256 pixels.
* ``import``: checkpoints are made of the weights that ship, to go on from where none were kept.
* ``export``: averages are rounded to bfloat16 and written to ``generate/weights``, with their sha256.

Design decisions: on a CPU each core trains as a process of its own, in float32 where that is quicker; Muon (Jordan et
al. 2024) for matrices, AdamW for the rest; an exponential moving average is what is exported; noise levels lean towards
high noise, where a clip's layout is decided; every clip is drawn freshly and is seen twice, since drawing costs a
twentieth of a step.
"""

from __future__ import annotations

import argparse
import copy
import csv
import hashlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from countermark.generate.captions import FIELDS, SLOTS, caption
from countermark.generate.embedded import networks
from countermark.generate.render import render
from countermark.generate.sampler import SHIFT, sample
from countermark.generate.text import TextEncoder, Vocabulary
from countermark.generate.transformer import Shape, VideoTransformer
from countermark.generate.upscale import SCALE, Upscaler
from countermark.generate.world import FRAMES, pose, sample_scene, view
from countermark.training._muon import Optimisers
from countermark.training._together import mean_gradients, same, together

FIELD_NAMES = [field for _, fields in SLOTS for field in fields]
PARTS, PICTURES = (
    0.2,
    0.1,
)  # shares of clips that go on from half of one before, or show a part; that begin with a picture
CELLS = 8  # a side, that the middle of the network is asked about
ASKED = 0.3  # weight of that loss
SHOWN = (
    "a red ball bounces, animated, studio",
    "a green star to the left of a blue box, photorealistic, by day",
    "a purple robot walks to the right, animated, on a meadow",
    "a cookie is bitten, photorealistic, studio",
    "a yellow ball rolls right and knocks over a red box, animated, by day",
    "an orange triangle above a blue ball, animated, at night",
)
WEIGHTS = Path(__file__).resolve().parent.parent / "generate" / "weights"


def main(argv: list[str]) -> int:
    """Runs one stage; returns the exit code."""
    parser = argparse.ArgumentParser(prog="countermark train generator", description=__doc__.splitlines()[0])
    parser.add_argument("--stage", choices=tuple(STAGES), required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs/generator"), help="checkpoints and logs")
    parser.add_argument("--minutes", type=float, default=60.0, help="how long this stretch lasts")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument(
        "--workers", type=int, help="processes of the stages video and upscale; as many as cores, or one with a GPU"
    )
    parser.add_argument("--rate", type=float, default=1.0, help="factor on the learning rates")
    parser.add_argument("--decay", action="store_true", help="let the learning rate fall to zero over this stretch")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-compile", action="store_true")
    args = parser.parse_args(argv)
    args.runs.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    STAGES[args.stage](args)
    return 0


@dataclass(frozen=True)
class Drawn:
    """A clip of the renderer: pixels (T x S x S x 3), its caption, where each slot's thing is (T x 8 x 8 x 3), which
    frames are given (T), and which part of the scene it shows.
    """

    pixels: npt.NDArray[np.uint8]
    text: str
    where: npt.NDArray[np.bool_]
    given: npt.NDArray[np.bool_]
    span: tuple[float, float]


class Clips:
    """Freshly drawn clips with captions; each is handed out twice."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.pool: list[Drawn] = []

    def batch(self, count: int) -> list[Drawn]:
        """So many clips, half of them seen before."""
        fresh = [draw(self.rng) for _ in range(count - min(count // 2, len(self.pool)))]
        again = [self.pool.pop(int(self.rng.integers(len(self.pool)))) for _ in range(count - len(fresh))]
        self.pool += fresh
        return fresh + again


def draw(rng: np.random.Generator) -> Drawn:
    """A scene, most often whole and with no frame given; else a part of it, with frames to go on from."""
    scene = sample_scene(rng)
    text, said = caption(scene, rng)
    start, length, known = 0.0, 1.0, 0
    kind = rng.random()
    if kind < PARTS:
        length = float(rng.uniform(0.3, 0.9))
        start = float(rng.uniform(0, 1 - length))
        known = int(rng.choice([0, FRAMES // 2]))
    elif kind < PARTS + PICTURES:
        known = 1
    span = (start, start + length)
    given = np.arange(FRAMES) < known
    where = np.zeros((FRAMES, CELLS, CELLS, 3), bool)
    times = np.linspace(*span, FRAMES, dtype=np.float32)
    centre, scale = view(scene, times)
    middle = (np.arange(CELLS) + 0.5) / CELLS
    for slot, thing in enumerate(said.things):
        at = pose(thing, times)
        x, y = ((at.x - centre) * scale + 0.5)[:, None, None], at.y[:, None, None]
        far = np.hypot(middle[None, None, :] - x, middle[None, :, None] - y)
        there = at.whole > 0.5 if thing.fate == "popped" else np.ones(FRAMES, bool)
        where[..., slot] = (far < (thing.radius * scale)[:, None, None]) & there[:, None, None]
    return Drawn(render(scene, Shape().size, span=span), text, where, given, span)


def train_text(args: argparse.Namespace) -> None:
    """Teaches the text encoder to read captions back, held-out pairs of colour and kind included."""
    vocabulary, rng = Vocabulary(), np.random.default_rng(args.seed)
    model = TextEncoder(len(vocabulary))
    steps, size = 5000, 128
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-3, steps)

    def draw() -> tuple[Tensor, Tensor]:
        made = [caption(sample_scene(rng, held_out=None), rng) for _ in range(size)]
        said = [[FIELDS[f].index(v) for f, v in zip(FIELD_NAMES, one.values, strict=True)] for _, one in made]
        return vocabulary.batch([text for text, _ in made]), torch.tensor(said)

    for step in range(steps):
        ids, said = draw()
        loss = model.loss(ids, said)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's backward has no types
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if step % 250 == 249:
            ids, said = draw()
            with torch.no_grad():
                right = torch.stack([z.argmax(1) == said[:, i] for i, z in enumerate(model.read(ids))], 1)
            figures = f"fields {right.float().mean():.4f} all {right.all(1).float().mean():.4f}"
            print(f"step {step + 1} loss {loss.item():.4f} {figures}", flush=True)
    torch.save({"model": model.state_dict(), "words": vocabulary.words}, args.runs / "text.pt")


def load_text(runs: Path) -> tuple[TextEncoder, Vocabulary]:
    """The trained text encoder, frozen, and its vocabulary."""
    saved = torch.load(runs / "text.pt", weights_only=True)
    vocabulary = Vocabulary(saved["words"])
    encoder = TextEncoder(len(vocabulary)).eval().requires_grad_(False)
    encoder.load_state_dict(saved["model"])
    return encoder, vocabulary


def noise_levels(count: int, generator: torch.Generator | None = None, shift: float = SHIFT) -> Tensor:
    """Random noise levels in 0..1: logit-normal, shifted towards high noise (Esser et al. 2024, eq. 23).

    One from each of ``count`` equal shares of the distribution, so that a batch's loss tells more of the network and
    less of the draw.
    """
    shares = torch.rand(count, generator=generator) + torch.randperm(count, generator=generator)
    u = torch.sigmoid(torch.special.ndtri((shares / count).clamp(1e-4, 1 - 1e-4)) * 1.2)
    return shift * u / (1 + (shift - 1) * u)


def velocity_loss(clean: Tensor, guess: Tensor, level: Tensor, asked: Tensor, floor: float = 0.2) -> Tensor:
    """Squared error of the velocity implied by a guess of the clean clip, over the frames ``asked`` for (B x T, bool).

    ``floor`` bounds the weight of low noise.
    """
    weight = 1.0 / level.clamp_min(floor) ** 2
    error = ((guess - clean) ** 2).flatten(2).mean(2) * asked
    return (error.sum(1) / asked.sum(1) * weight).mean()


class Locator(nn.Module):
    """Asks the middle of the transformer where each thing is: a head that is trained along and left out of the export.

    Without it words and places are bound only through pixels' errors, of which things are a twentieth (the idea of
    teaching the middle layers something is that of Yu et al. 2025, "Representation alignment for generation").
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.cells = CELLS // shape.grid[1]
        self.head = nn.Linear(shape.width, shape.patch_frames * self.cells**2 * 3)

    def forward(self, middle: Tensor, where: Tensor) -> Tensor:
        """Cross-entropy of ``where`` (B x T x 8 x 8 x 3, bool) as the video tokens (B x N x width) tell it, B."""
        t, h, w = self.shape.grid
        p, c = self.shape.patch_frames, self.cells
        told = self.head(middle).float()
        truth = where.view(-1, t, p, h, c, w, c, 3).permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(told.shape).float()
        loss: Tensor = nn.functional.binary_cross_entropy_with_logits(told, truth, reduction="none").mean((1, 2))
        return loss


def train_video(args: argparse.Namespace) -> None:
    """Trains the transformer for ``--minutes``, from the last checkpoint if there is one."""
    together(_workers(args), _train_video, args)


def _workers(args: argparse.Namespace) -> int:
    return int(args.workers or (1 if torch.cuda.is_available() else os.cpu_count() or 1))


def _train_video(rank: int, args: argparse.Namespace) -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    encoder, vocabulary = load_text(args.runs)
    encoder.to(device)
    model, locator = VideoTransformer(Shape()).to(device), Locator(Shape()).to(device)
    average = copy.deepcopy(model).requires_grad_(False)
    both = nn.ModuleList([model, locator])
    optimisers = Optimisers(both, (1.5e-3 * args.rate, 1e-3 * args.rate), matrices=_matrices(model))
    step, seen, path = 0, 0, args.runs / "video.pt"
    if path.exists():
        saved = torch.load(path, map_location=device, weights_only=True)
        average.load_state_dict(saved["average"])
        if "model" in saved:
            both.load_state_dict(saved["model"])
            for optimiser, state in zip(optimisers.all, saved["optimisers"], strict=True):
                optimiser.load_state_dict(state)
        else:
            model.load_state_dict(saved["average"])
        step, seen = saved["step"], saved["seen"]
    else:
        with torch.no_grad():
            for p in both.parameters():
                same(p)
        average.load_state_dict(model.state_dict())
    torch.manual_seed(args.seed + 7919 * (seen + 1) + rank)
    clips = Clips(args.seed + 1_000_003 * (seen + 1) + rank)
    if not args.no_compile:
        for part in (*model.blocks, model.detail):
            part.compile()
    log = Log(args.runs / "video.csv")
    kind, start = fastest_type(device), time.monotonic()
    passed = 0.0
    while passed < 1:
        losses = denoising_loss(
            model, locator, encoder, vocabulary, clips.batch(args.batch // _workers(args)), device, kind
        )
        (losses[0] + ASKED * losses[1]).backward()  # type: ignore[no-untyped-call]  # torch's backward has no types
        passed = (time.monotonic() - start) / (60 * args.minutes)
        *means, passed = mean_gradients(both, torch.tensor([*(loss.item() for loss in losses), passed])).tolist()
        nn.utils.clip_grad_norm_(both.parameters(), 1.0)
        fall = min(1.0, 1.05 * max(0.0, 1 - passed)) if args.decay else 1.0
        optimisers.step(fall * min(1.0, (step + 1) / 200))
        step, seen = step + 1, seen + args.batch
        if rank:
            continue
        with torch.no_grad():
            keep = min(0.999, (1 + step) / (10 + step))
            torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - keep)
        log.add(step, seen, *means)
        if step % 500 == 0 or passed >= 1:
            state = {"model": both.state_dict(), "average": average.state_dict(), "step": step, "seen": seen}
            state["optimisers"] = [optimiser.state_dict() for optimiser in optimisers.all]
            torch.save(state, path.with_suffix(".new"))
            path.with_suffix(".new").replace(path)
            contact_sheet(average, encoder, vocabulary, args.runs / f"sheet_{seen:07d}.png")


def contact_sheet(model: VideoTransformer, encoder: TextEncoder, vocabulary: Vocabulary, path: Path) -> None:
    """Eight frames each of the clips that the model makes of SHOWN, as they are on its grid, four times as large."""
    import cv2

    model.eval()
    device = next(model.parameters()).device
    with torch.inference_mode():
        slots = encoder(vocabulary.batch(list(SHOWN)).to(device))
        clips = sample(model.cpu(), slots.cpu(), steps=12, seeds=list(range(len(SHOWN))))
    model.to(device)
    few = clips[:, :: FRAMES // 8].permute(0, 2, 1, 3, 4).reshape(-1, 8 * Shape().size, 3)
    pixels = ((few.clamp(-1, 1) + 1) * 127.5).byte().numpy()
    cv2.imwrite(str(path), cv2.resize(pixels[..., ::-1], None, fx=4, fy=4, interpolation=cv2.INTER_NEAREST))


def _matrices(model: VideoTransformer) -> list[nn.Parameter]:
    """The weights that Muon takes: those between features, not those from pixels, words or levels."""
    inner = [(n, p) for n, p in model.named_parameters() if n.startswith(("blocks", "detail"))]
    return [p for n, p in inner if p.ndim == 2 and "offset" not in n]


def fastest_type(device: str) -> torch.dtype:
    """bfloat16 on a GPU and on a CPU that multiplies it faster (with AMX), else float32, twice as fast on others."""
    if device == "cuda":
        return torch.bfloat16
    took = {}
    for kind in (torch.float32, torch.bfloat16):
        a, b = torch.ones(2048, 256, dtype=kind), torch.ones(768, 256, dtype=kind)
        times = []
        for _ in range(5):
            start = time.perf_counter()
            nn.functional.linear(a, b)
            times.append(time.perf_counter() - start)
        took[kind] = min(times)
    return min(took, key=lambda kind: took[kind])


def denoising_loss(
    model: VideoTransformer,
    locator: Locator,
    encoder: TextEncoder,
    vocabulary: Vocabulary,
    drawn: list[Drawn],
    device: str,
    kind: torch.dtype,
) -> tuple[Tensor, Tensor]:
    """Losses of a batch at random noise levels, a tenth of it without a prompt: of clips, and of where things are."""
    clean = torch.from_numpy(np.stack([one.pixels for one in drawn])).to(device).float() / 127.5 - 1.0
    where = torch.from_numpy(np.stack([one.where for one in drawn])).to(device)
    given = torch.from_numpy(np.stack([one.given for one in drawn])).to(device)
    span = torch.tensor([one.span for one in drawn], device=device)
    with torch.no_grad():
        slots = encoder(vocabulary.batch([one.text for one in drawn]).to(device))
    level = noise_levels(len(clean)).to(device)
    drop = torch.rand(len(clean), device=device) < 0.1
    mix = level[:, None, None, None, None] * ~given[..., None, None, None]
    noisy = clean * (1 - mix) + torch.randn_like(clean) * mix
    with torch.autocast(clean.device.type, dtype=torch.bfloat16, enabled=kind is torch.bfloat16):
        guess, middle = model.features(noisy, level, slots, drop, given=given, span=span)
        found = locator(middle, where)
    return velocity_loss(clean, guess.float(), level, ~given), (found * ~drop).mean()


class Log:
    """Prints the mean loss now and then, and keeps it as CSV: step, clips seen, losses, clips per second."""

    def __init__(self, path: Path, every: int = 50) -> None:
        self.path, self.every = path, every
        self.losses: list[tuple[float, ...]] = []
        self.last, self.before = time.monotonic(), 0

    def add(self, step: int, seen: int, *losses: float) -> None:
        """Takes a step's losses."""
        self.losses.append(losses)
        if step % self.every:
            return
        now = time.monotonic()
        pace = (seen - self.before) / (now - self.last) if self.before else 0.0
        means = [f"{mean:.5f}" for mean in np.mean(self.losses, 0)]
        row = (step, seen, *means, f"{pace:.1f}")
        print(f"step {step} seen {seen} loss {' '.join(means)} clips/s {pace:.1f}", flush=True)
        with self.path.open("a", newline="") as file:
            csv.writer(file).writerow(row)
        self.losses, self.last, self.before = [], now, seen


def degrade(small: Tensor, generator: torch.Generator) -> Tensor:
    """Blurs and noises small clips (B x T x H x W x 3) at random, as the transformer's output might be."""
    x = small.clone()
    for i in range(len(x)):
        blur = float(torch.rand((), generator=generator)) * 0.9
        if blur > 0.3:
            frames = x[i].permute(0, 3, 1, 2)
            soft = nn.functional.avg_pool2d(nn.functional.pad(frames, (1, 1, 1, 1), mode="replicate"), 3, 1)
            x[i] = (frames + (soft - frames) * blur).permute(0, 2, 3, 1)
        x[i] += torch.randn(x[i].shape, generator=generator) * float(torch.rand((), generator=generator)) * 0.10
    return x


def train_upscaler(args: argparse.Namespace) -> None:
    """Trains the decoder for ``--minutes``, from the last checkpoint if there is one, on crops of single frames."""
    together(_workers(args), _train_upscaler, args)


def _train_upscaler(rank: int, args: argparse.Namespace) -> None:
    encoder, vocabulary = load_text(args.runs)
    model, path = Upscaler(), args.runs / "upscale.pt"
    seed = args.seed + int(time.time()) * 100 + rank
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    if path.exists():
        model.load_state_dict(torch.load(path, weights_only=True)["model"])
    for p in model.parameters():
        same(p.data)
    matrices = [p for p in model.parameters() if p.ndim == 2]
    optimisers = Optimisers(model, (2e-3 * args.rate, 2e-3 * args.rate), matrices=matrices)
    log = Log(args.runs / "upscale.csv", every=100)
    start, step, passed = time.monotonic(), 0, 0.0
    while passed < 1:
        stacks, slots, large = _crops(rng, encoder, vocabulary, generator)
        loss = (model.enlarge(stacks, slots) - large).abs().mean()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's backward has no types
        passed = (time.monotonic() - start) / (60 * args.minutes)
        mean, passed = mean_gradients(model, torch.tensor([loss.item(), passed])).tolist()
        optimisers.step(min(1.0, (step + 1) / 20, 0.01 + 2 * max(0.0, 1 - passed)))
        step += 1
        if rank == 0:
            log.add(step, step * len(stacks) * _workers(args), mean)
            if step % 500 == 0 or passed >= 1:
                torch.save({"model": model.state_dict()}, path)


def _crops(
    rng: np.random.Generator, encoder: TextEncoder, vocabulary: Vocabulary, generator: torch.Generator, side: int = 16
) -> tuple[Tensor, Tensor, Tensor]:
    """Sixteen crops of eight scenes, one at a thing and one anywhere: stacks, slots and the true large pictures."""
    size = Shape().size
    small, large, texts = [], [], []
    for _ in range(8):
        scene = sample_scene(rng, held_out=None)
        at = int(rng.integers(FRAMES))
        low = np.concatenate([render(scene, size, at=min(max(at + d, 0), FRAMES - 1)) for d in (-1, 0, 1)])
        high = render(scene, size * SCALE, at=at)[0]
        thing = scene.things[int(rng.integers(len(scene.things)))]
        time_ = np.array([at / (FRAMES - 1)], np.float32)
        where, (shift, scale) = pose(thing, time_), view(scene, time_)
        x = (where.x[0] - shift[0]) * scale[0] + 0.5
        centre = np.array([where.y[0], x]) * size + rng.integers(-5, 6, 2)
        for corner in (centre - side / 2, rng.integers(0, size - side + 1, 2)):
            top, left = (int(c) for c in np.clip(corner, 0, size - side))
            small.append(low[:, top : top + side, left : left + side])
            rows, columns = slice(top * SCALE, (top + side) * SCALE), slice(left * SCALE, (left + side) * SCALE)
            large.append(high[rows, columns])
        texts += [caption(scene, rng)[0]] * 2
    clips = degrade(torch.from_numpy(np.stack(small)).float() / 127.5 - 1, generator)
    with torch.no_grad():
        slots = encoder(vocabulary.batch(texts))
    truth = torch.from_numpy(np.stack(large)).float() / 127.5 - 1
    return clips.permute(0, 1, 4, 2, 3).flatten(1, 2), slots, truth.permute(0, 3, 1, 2)


def take_shipped(args: argparse.Namespace) -> None:
    """Writes ``text.pt``, ``video.pt`` and ``upscale.pt`` with the weights that ship, unless there are such."""
    from safetensors import safe_open

    text, video, upscaler, vocabulary = networks()
    with safe_open(WEIGHTS / "embedded.safetensors", "pt") as file:
        seen = int(file.metadata()["clips_seen"])
    made = {
        "text": {"model": text.state_dict(), "words": vocabulary.words},
        "video": {"average": video.state_dict(), "step": 0, "seen": seen},
        "upscale": {"model": upscaler.state_dict()},
    }
    for part, saved in made.items():
        if not (path := args.runs / f"{part}.pt").exists():
            torch.save(saved, path)


def export(args: argparse.Namespace) -> None:
    """Writes ``generate/weights/embedded.safetensors`` and prints its sha256."""
    from safetensors.torch import save_file

    saved_text = torch.load(args.runs / "text.pt", weights_only=True)
    video = torch.load(args.runs / "video.pt", map_location="cpu", weights_only=True)
    tensors = {f"text.{k}": v for k, v in saved_text["model"].items()}
    tensors |= {f"video.{k}": v for k, v in video["average"].items()}
    tensors |= {f"upscale.{k}": v for k, v in torch.load(args.runs / "upscale.pt", weights_only=True)["model"].items()}
    rounded = {k: v.to(torch.bfloat16).contiguous() for k, v in tensors.items()}
    WEIGHTS.mkdir(exist_ok=True)
    path = WEIGHTS / "embedded.safetensors"
    meta = {"words": json.dumps(saved_text["words"]), "clips_seen": str(video["seen"])}
    save_file(rounded, path, metadata=meta)
    path.chmod(0o644)
    print(hashlib.sha256(path.read_bytes()).hexdigest(), path.name, path.stat().st_size)


STAGES = {
    "text": train_text,
    "video": train_video,
    "upscale": train_upscaler,
    "import": take_shipped,
    "export": export,
}
