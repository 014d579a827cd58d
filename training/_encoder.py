"""The encoder of moderation as a torch module: BERT's layers (Devlin et al. 2019) with multilingual-e5-small's weights.

Design decisions:

- The vocabulary is cut to the pieces that folded text (:func:`countermark.moderation.folding.clean`) in the sixteen
  languages is made of; the others would be three quarters of the file.
- Embeddings are frozen: words that no training row holds then stay beside those that mean the same in other languages.
- A text's vector is the mean of its tokens', as e5 was trained; heads are linear, one logit each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from countermark.training._e5 import E5

__all__ = ["Encoder", "Shape", "padded", "start"]


@dataclass(frozen=True)
class Shape:
    """``heads`` attention heads of ``width / heads`` channels in ``layers`` layers; ``outputs`` logits."""

    pieces: int
    width: int = 384
    heads: int = 12
    layers: int = 12
    inner: int = 1536
    positions: int = 512
    outputs: int = 1
    epsilon: float = 1e-12


class Layer(nn.Module):
    """Attention and two linear maps, each added to its input and normalised after."""

    def __init__(self, shape: Shape, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = shape.heads, dropout
        self.query, self.key, self.value, self.mix = (nn.Linear(shape.width, shape.width) for _ in range(4))
        self.grow, self.shrink = nn.Linear(shape.width, shape.inner), nn.Linear(shape.inner, shape.width)
        self.after_mix = nn.LayerNorm(shape.width, shape.epsilon)
        self.after_shrink = nn.LayerNorm(shape.width, shape.epsilon)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """``x`` B x T x width, ``mask`` B x 1 x 1 x T: 0 where a token is, -inf where none is."""
        rate = self.dropout if self.training else 0.0
        split = (x.shape[0], x.shape[1], self.heads, x.shape[2] // self.heads)
        q, k, v = (part(x).view(split).transpose(1, 2) for part in (self.query, self.key, self.value))
        seen = functional.scaled_dot_product_attention(q, k, v, mask.to(q.dtype), rate)
        mixed = self.mix(seen.transpose(1, 2).reshape(x.shape))
        x = self.after_mix(x + functional.dropout(mixed, rate, self.training))
        grown = self.shrink(functional.gelu(self.grow(x)))
        out: Tensor = self.after_shrink(x + functional.dropout(grown, rate, self.training))
        return out


class Encoder(nn.Module):
    """Token ids, B x T with 1 where none is, to logits, B x outputs."""

    def __init__(self, shape: Shape, dropout: float = 0.1) -> None:
        super().__init__()
        self.shape = shape
        self.words = nn.Embedding(shape.pieces, shape.width)
        self.places = nn.Embedding(shape.positions, shape.width)
        self.norm = nn.LayerNorm(shape.width, shape.epsilon)
        self.layers = nn.ModuleList(Layer(shape, dropout) for _ in range(shape.layers))
        self.out = nn.Linear(shape.width, shape.outputs)
        self.dropout = dropout

    def forward(self, ids: Tensor) -> Tensor:
        logits: Tensor = self.out(functional.dropout(self.vectors(ids), self.dropout, self.training))
        return logits

    def vectors(self, ids: Tensor) -> Tensor:
        """One vector a text, B x width."""
        x, there = self.read(self.words(ids), ids)
        mean: Tensor = (x.float() * there).sum(1) / there.sum(1)
        return mean

    def read(self, words: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
        """The last layer's token vectors, B x T x width, from the first's, and where a token is, B x T x 1."""
        there = (ids != 1).float()
        x = self.norm(words + self.places.weight[: ids.shape[1]])
        mask = ((there - 1) * 1e4)[:, None, None, :]
        for layer in self.layers:
            x = layer(x, mask)
        return x, there[..., None]


def start(e5: E5, kept: Sequence[int], layers: Sequence[int], outputs: int, dropout: float = 0.1) -> Encoder:
    """An encoder with the pieces ``kept`` and the ``layers`` of e5, its heads at zero, its embeddings frozen."""
    tensors = {name: torch.from_numpy(value) for name, value in e5.tensors.items()}
    shape = Shape(len(kept), tensors["emb.word"].shape[1], e5.heads, len(layers), outputs=outputs, epsilon=e5.epsilon)
    model = Encoder(shape, dropout)
    state: dict[str, Any] = {
        "words.weight": tensors["emb.word"][torch.from_numpy(np.asarray(kept))],
        "places.weight": tensors["emb.pos"] + tensors["emb.type"],
        "norm.weight": tensors["emb.ln.w"], "norm.bias": tensors["emb.ln.b"],
        "out.weight": torch.zeros(outputs, shape.width), "out.bias": torch.zeros(outputs),
    }  # fmt: skip
    names = {"q": "query", "k": "key", "v": "value", "ao": "mix", "fi": "grow", "fo": "shrink"}
    names |= {"aln": "after_mix", "oln": "after_shrink"}
    for here, there in enumerate(layers):
        for short, name in names.items():
            for end, part in (("w", "weight"), ("b", "bias")):
                state[f"layers.{here}.{name}.{part}"] = tensors[f"l{there}.{short}.{end}"]
    model.load_state_dict(state)
    for frozen in (model.words, model.places, model.norm):
        frozen.requires_grad_(False)
    return model


def padded(texts: Sequence[Sequence[int]], longest: int = 256) -> Tensor:
    """Token ids between bos (0) and eos (2), cut to ``longest``, as one array padded with 1."""
    rows = [[0, *ids[: longest - 2], 2] for ids in texts]
    width = max(map(len, rows))
    return torch.tensor([row + [1] * (width - len(row)) for row in rows])
