"""Trains the embedded generator from nothing but the renderer: ``countermark train generator --stage STAGE``.

Stages, in order, each resumable from its checkpoint in ``--runs``:

* ``text``: the text encoder learns to read captions back (five minutes on a core).
* ``video``: the transformer learns to denoise 16-pixel clips (``--minutes``; hours on two cores, minutes on a GPU).
* ``paint``: the decoder's painter learns what things look like (``--minutes``; half an hour on a core).
* ``upscale``: the rest of the decoder learns 16 -> 256 pixels, from what the transformer makes (``--minutes``).
* ``import``: checkpoints are made of the weights that ship, to go on from where none were kept.
* ``export``: averages are rounded to bfloat16 and written to ``generate/weights``, with their sha256.

Design decisions: on a CPU each core trains as a process of its own, in float32 where that is quicker; Muon (Jordan et
al. 2024) for matrices, AdamW for the rest; an exponential moving average is what is exported; noise levels lean towards
high noise, where a clip's layout is decided, but not all of them; every clip is drawn freshly and is seen twice, since
drawing costs a twentieth of a step.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from countermark.generate.captions import FIELDS, SLOTS, caption
from countermark.generate.embedded import networks
from countermark.generate.text import TextEncoder, Vocabulary
from countermark.generate.world import sample_scene
from countermark.training._denoising import train_video
from countermark.training._enlarging import train_upscaler
from countermark.training._painting import train_painter

FIELD_NAMES = [field for _, fields in SLOTS for field in fields]
WEIGHTS = Path(__file__).resolve().parent.parent / "generate" / "weights"


def main(argv: list[str]) -> int:
    """Runs one stage; returns the exit code."""
    parser = argparse.ArgumentParser(prog="countermark train generator", description=__doc__.splitlines()[0])
    parser.add_argument("--stage", choices=tuple(STAGES), required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs/generator"), help="checkpoints and logs")
    parser.add_argument("--minutes", type=float, default=60.0, help="how long this stretch lasts")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument(
        "--workers",
        type=int,
        help="processes of the stages video, paint and upscale; as many as cores, or one with a GPU",
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


def take_shipped(args: argparse.Namespace) -> None:
    """Writes a checkpoint of each stage with the weights that ship, unless there is one."""
    from safetensors import safe_open

    text, video, upscaler, vocabulary = networks()
    with safe_open(WEIGHTS / "embedded.safetensors", "pt") as file:
        seen = json.loads(file.metadata()["about"])["clips_seen"]
    made = {
        "text": {"model": text.state_dict(), "words": vocabulary.words},
        "video": {"average": video.state_dict(), "step": 0, "seen": seen},
        "paint": {"average": upscaler.painter.state_dict(), "step": 0, "seen": 0},
        "upscale": {"average": upscaler.state_dict(), "step": 0, "seen": 0},
    }
    for part, saved in made.items():
        if not (path := args.runs / f"{part}.pt").exists():
            torch.save(saved, path)


def export(args: argparse.Namespace) -> None:
    """Writes ``generate/weights/embedded.safetensors`` and prints its sha256."""
    from safetensors.torch import save_file

    saved_text = torch.load(args.runs / "text.pt", weights_only=True)
    video = torch.load(args.runs / "video.pt", map_location="cpu", weights_only=True)
    upscaler, painter = (
        torch.load(args.runs / f"{one}.pt", weights_only=True)["average"] for one in ("upscale", "paint")
    )
    parts = {"text": saved_text["model"], "video": video["average"], "upscale": upscaler, "upscale.painter": painter}
    tensors = {f"{part}.{name}": tensor for part, saved in parts.items() for name, tensor in saved.items()}
    rounded = {k: v.to(torch.bfloat16).contiguous() for k, v in tensors.items()}
    WEIGHTS.mkdir(exist_ok=True)
    path = WEIGHTS / "embedded.safetensors"
    about = {"words": saved_text["words"], "clips_seen": video["seen"]}
    save_file(rounded, path, {"about": json.dumps(about)})  # one entry: the order of several is not the same each time
    path.chmod(0o644)
    print(hashlib.sha256(path.read_bytes()).hexdigest(), path.name, path.stat().st_size)


STAGES = {
    "text": train_text,
    "video": train_video,
    "paint": train_painter,
    "upscale": train_upscaler,
    "import": take_shipped,
    "export": export,
}
