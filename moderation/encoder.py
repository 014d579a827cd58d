"""The learned encoder: a small multilingual transformer in ONNX Runtime, int8, without torch.

Its network takes token ids (1 x tokens, 0 before and 2 after a text) and gives ``said``, a logit for each head
(:mod:`.opinion`), and ``told``, what each token adds to it: a logit is the mean of its tokens' shares plus a bias, so
the words that weigh most are known without asking twice. A harmful sentence among harmless ones weighs little in a
mean: the sentences that add most are read alone, too. Its vocabulary is the SentencePiece model (unigram; Kudo
2018) that cuts folded text into tokens. The network's metadata names heads and languages and holds the calibration of
the first head, slope and offset. ``weights/encoder.onnx`` and ``encoder.vocabulary`` are made by ``countermark train
encoder``; ``weights/README.md`` says from what.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from countermark.moderation.opinion import ANY, Opinion, named
from countermark.moderation.sentences import cut_sentences
from countermark.weights import pinned

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["EncoderModel", "load_encoder"]

NETWORK: Final = "encoder.onnx"
NETWORK_SHA256: Final = "883f64fee954f604474afa3a92ff3b8f4a5b3f97f590b83c8ef26a7fef9b053e"
VOCABULARY: Final = "encoder.vocabulary"
VOCABULARY_SHA256: Final = "7454d31b297dc3501d6cc49939e2965b0763f3db2cf46ce1752844b96c535e63"

LONGEST: Final = 190  # tokens read together; longer texts are read in pieces, and the worst piece counts
OVERLAP: Final = 30
BOS: Final = 0
EOS: Final = 2
_NOISE: Final = 2.2  # bytes a token; language has more (one in 200 of our prompts under 2.5 in any language)
_SENTENCES: Final = 2  # of a piece, that are read alone
_ALONE: Final = 0.25  # what a sentence without the rest of its text has less, in log odds: context might excuse it
_EXPLAINED: Final = 0.3  # probability from which the words that weigh most are looked up
_FEWEST: Final = 4  # tokens of the piece that explains an opinion


@dataclass(frozen=True)
class _Read:
    """What was read at once: tokens of a ``text`` that begins at ``first`` of the one that is judged."""

    first: int
    text: str
    places: list[tuple[int, int]]  # of the tokens, in ``text``
    said: NDArray[np.float32]  # a logit for each head
    told: NDArray[np.float32]  # tokens x heads: shares of the logits
    alone: bool  # a sentence without the others


class EncoderModel:
    """The encoder; safe to call from several threads. ``threads`` of one call; 1 leaves the other cores to others."""

    name = "encoder"

    def __init__(self, network: bytes, vocabulary: bytes, *, threads: int = 1) -> None:
        import onnxruntime
        import sentencepiece

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
        self._pieces: Any = sentencepiece.SentencePieceProcessor(model_proto=vocabulary)
        meta = json.loads(self._session.get_modelmeta().custom_metadata_map["countermark"])
        self.heads: tuple[str, ...] = tuple(meta["heads"])
        self.languages = frozenset(meta["languages"])
        self._slope, self._offset = meta["slope"], meta["offset"]

    def judge(self, texts: Sequence[str]) -> list[Opinion]:
        """Opinions on folded texts of any length, in their order."""
        return [self._judge(text.encode("utf-8", "replace").decode()) for text in texts]  # half a surrogate is no text

    def _judge(self, text: str) -> Opinion:
        read = list(self._read(0, text))
        sentences = cut_sentences(text)
        if len(sentences) > 1:
            telling = sorted({one for piece in read for one in _telling(piece, sentences)})
            read += [piece for start, end in telling for piece in self._read(start, text[start:end], alone=True)]
        return self._opinion(read)

    def _read(self, first: int, text: str, *, alone: bool = False) -> Iterator[_Read]:
        """``text`` in overlapping pieces, one at a time, but of those that are no language only the likest to it.

        int8 activations share a scale, so in a batch a piece's logits would depend on its neighbours.
        """
        import numpy as np

        tokens = self._pieces.encode(text, out_type=str)
        ids, places = self._pieces.piece_to_id(tokens), _places(text, tokens)
        pieces = [slice(start, start + LONGEST) for start in range(0, max(1, len(ids) - OVERLAP), LONGEST - OVERLAP)]
        density = [_density(text, places[here]) for here in pieces]
        best = density.index(max(density))
        for here in (here for i, here in enumerate(pieces) if i == best or density[i] >= _NOISE):
            said, told = self._session.run(["said", "told"], {"ids": np.array([[BOS, *ids[here], EOS]])})
            yield _Read(first, text, places[here], said[0], told[0, 1:-1], alone)

    def _opinion(self, read: Sequence[_Read]) -> Opinion:
        import numpy as np

        said, alone = np.stack([one.said for one in read]), np.array([one.alone for one in read])
        odds = named(self._slope * said[:, 0] + self._offset - _ALONE * alone, said[:, 1:])
        probabilities = {head: float(odds[:, i].max()) for i, head in enumerate(self.heads)}
        spans: dict[str, tuple[int, int]] = {}
        for i, head in enumerate(self.heads):
            piece = read[int(odds[:, i].argmax())]
            if head != ANY and probabilities[head] >= _EXPLAINED and piece.text.strip():
                start, end = _span(piece.text, piece.told[:, [0, i]].sum(1), piece.places)
                spans[head] = piece.first + start, piece.first + end
        return Opinion(probabilities, spans)


def _density(text: str, places: Sequence[tuple[int, int]]) -> float:
    """Bytes a token: about one where nothing reads like words, about four in most languages."""
    return len(text[places[0][0] : places[-1][1]].encode()) / len(places) if places else 0.0


def _telling(piece: _Read, sentences: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The sentences of which the tokens, as far as they are in ``piece``, add most to the first head, on average."""
    import numpy as np

    starts = np.array([start for start, _ in piece.places])
    shares = {}
    for start, end in sentences:
        here = (starts >= start) & (starts < end)
        if here.any():
            shares[start, end] = float(piece.told[here, 0].mean())
    return sorted(shares, key=lambda one: shares[one])[-_SENTENCES:]


def _places(text: str, pieces: Sequence[str]) -> list[tuple[int, int]]:
    """Where in ``text`` each piece lies; the vocabulary writes a space as U+2581, several as one."""
    places, at = [], 0
    for piece in pieces:
        start = at
        for char in piece:
            if char == "\u2581":
                while at < len(text) and text[at].isspace():
                    at += 1
            else:
                at += 1
        places.append((min(start, len(text)), min(at, len(text))))
    return places


def _span(text: str, shares: NDArray[np.float32], places: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The few tokens in a row that add most, widened to whole words."""
    import numpy as np

    width = min(_FEWEST, len(places))
    at = int(np.argmax(np.convolve(shares, np.ones(width), "valid")))
    start, end = places[at][0], places[at + width - 1][1]
    while start > 0 and text[start - 1].isalnum() and text[start].isalnum() and not _wide(text[start]):
        start -= 1
    while end < len(text) and text[end - 1].isalnum() and text[end].isalnum() and not _wide(text[end]):
        end += 1
    while start < end - 1 and text[start].isspace():
        start += 1
    return start, end


def _wide(char: str) -> bool:
    """Whether ``char`` is of a script that is written without spaces."""
    return "\u2e80" <= char <= "\ud7ff" or "\uf900" <= char <= "\ufaff"


@cache
def load_encoder() -> EncoderModel:
    """The encoder of the package. Raises :class:`countermark.errors.WeightsMissing` for absent or other files."""
    folder = files("countermark.moderation") / "weights"
    network = pinned(folder / NETWORK, NETWORK_SHA256, "moderation")
    return EncoderModel(network, pinned(folder / VOCABULARY, VOCABULARY_SHA256, "moderation"))
