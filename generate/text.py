"""The text encoder: a prompt becomes one vector for the scene and one for each thing in it.

Design decisions
* Words, not subwords: the world has some 470 of them. A word outside is looked up by spelling (``difflib``), else
  it is dropped and reported, so that a user learns what the model did not understand.
* Queries, one a slot, gather what the words say by attention. The encoder is trained first, on captions alone, to
  read back what they said (:class:`~countermark.generate.captions.Said`), and is then frozen: binding colour to
  thing and left to right is settled by text, and the video model never has to learn it from denoising.
* What leaves it are the readings, as probabilities, and not the vectors that they were read from: two wordings of one
  scene, in two languages, give the same slots, and a colour is told in the same way whatever thing has it.
"""

from __future__ import annotations

import difflib
import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from countermark.generate.captions import FIELDS, SLOTS, known_words, words

__all__ = ["FIRST", "SLOT_SCALE", "SLOT_WIDTH", "TextEncoder", "Tokens", "Vocabulary"]

SLOT_WIDTH = sum(map(len, FIELDS.values()))
FIRST = dict(  # column of a slot vector where each field begins
    zip(FIELDS, itertools.accumulate((len(values) for values in FIELDS.values()), initial=0), strict=False)
)
SLOT_SCALE = 4.0  # of a sure reading, so that four of them among zeros have the variance of other inputs

PAD, LENGTH = 0, 48  # words of a prompt beyond LENGTH are dropped
SMALL_WORDS = frozenset(
    word
    for line in (
        "a an the is are be was of to in on at with and or its it this that there by for from into as while very some",
        "video clip film movie scene shot picture footage showing shows please make generate create",
        "der die das ein eine einen einem einer ist sind war zu in im am an auf mit und oder von bei es da aus bitte",
        "zeigt zeige mache erzeuge szene bild aufnahme",
    )
    for word in line.split()
)


@dataclass(frozen=True)
class Tokens:
    """A prompt as word numbers, with the words that were not understood and those that were read as another."""

    ids: tuple[int, ...]
    unknown: tuple[str, ...]
    read_as: tuple[tuple[str, str], ...]


class Vocabulary:
    """The words of the world; number 0 is padding."""

    def __init__(self, vocabulary: list[str] | None = None) -> None:
        self.words = vocabulary or known_words()
        self._ids = {word: number for number, word in enumerate(self.words, start=1)}

    def __len__(self) -> int:
        return len(self.words) + 1

    def encode(self, text: str) -> Tokens:
        """Word numbers of a prompt (at most LENGTH); unknown words are mapped by spelling or dropped."""
        ids: list[int] = []
        unknown: list[str] = []
        read_as: list[tuple[str, str]] = []
        for word in words(text):
            if word in self._ids:
                ids.append(self._ids[word])
                continue
            if word in SMALL_WORDS:
                continue
            near = difflib.get_close_matches(word, self.words, n=1, cutoff=0.82) if len(word) > 3 else []
            if near:
                ids.append(self._ids[near[0]])
                read_as.append((word, near[0]))
            elif word not in unknown:
                unknown.append(word)
        return Tokens(tuple(ids[:LENGTH]), tuple(unknown), tuple(read_as))

    def batch(self, prompts: list[str]) -> Tensor:
        """Word numbers of several prompts: int64, B x N, padded with 0 to the longest."""
        rows = [self.encode(prompt).ids for prompt in prompts]
        longest = max(1, *(len(row) for row in rows))
        return torch.tensor([[*row, *[PAD] * (longest - len(row))] for row in rows], dtype=torch.long)


class TextEncoder(nn.Module):
    """Word numbers (B x N, at most LENGTH) to slot vectors (B x slots x SLOT_WIDTH)."""

    def __init__(self, vocabulary: int, width: int = 128, layers: int = 3, heads: int = 4) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, width, padding_idx=PAD)
        self.places = nn.Parameter(torch.randn(LENGTH, width) * 0.02)
        self.queries = nn.Parameter(torch.randn(len(SLOTS), width) * 0.5)
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.heads = nn.ModuleDict(
            {f"{slot}_{field}": nn.Linear(width, len(FIELDS[field])) for slot, fields in SLOTS for field in fields}
        )

    def forward(self, ids: Tensor) -> Tensor:
        """Slot vectors, B x slots x SLOT_WIDTH: each field's probabilities in its own columns, times SLOT_SCALE."""
        out = torch.zeros(len(ids), len(SLOTS), SLOT_WIDTH, device=ids.device)
        places = ((index, FIRST[field]) for index, (_, fields) in enumerate(SLOTS) for field in fields)
        for (slot, column), logits in zip(places, self.read(ids), strict=True):
            out[:, slot, column : column + logits.shape[1]] = logits.softmax(1) * SLOT_SCALE
        return out

    def read(self, ids: Tensor) -> list[Tensor]:
        """Logits of each field of each slot, in the order of :class:`~countermark.generate.captions.Said`."""
        batch = ids.shape[0]
        x = torch.cat([self.queries.expand(batch, -1, -1), self.words(ids) + self.places[: ids.shape[1]]], dim=1)
        hidden = torch.cat([torch.zeros(batch, len(SLOTS), dtype=torch.bool, device=ids.device), ids == PAD], dim=1)
        slots = self.norm(self.layers(x, src_key_padding_mask=hidden)[:, : len(SLOTS)])
        return [
            self.heads[f"{slot}_{field}"](slots[:, index])
            for index, (slot, fields) in enumerate(SLOTS)
            for field in fields
        ]

    def loss(self, ids: Tensor, said: Tensor) -> Tensor:
        """Cross-entropy of reading back what the captions said; ``said`` is int64, B x fields."""
        logits = self.read(ids)
        return torch.stack([functional.cross_entropy(one, said[:, i]) for i, one in enumerate(logits)]).sum()
