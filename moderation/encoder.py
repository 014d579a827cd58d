"""The learned encoder: a small multilingual transformer in ONNX Runtime, int8, without torch.

Its network takes token ids (1 x tokens, 0 before and 2 after a text) and gives ``said``, a logit for each head
(:mod:`.opinion`), and ``told``, what each token adds to it: a logit is the mean of its tokens' shares plus a bias, so
the words that weigh most are known without asking twice. Its vocabulary is the SentencePiece model (unigram; Kudo
2018) that cuts folded text into tokens. The network's metadata names heads and languages and holds the calibration of
the first head, slope and offset. ``weights/encoder.onnx`` and ``encoder.vocabulary`` are made by ``countermark train
encoder``; ``weights/README.md`` says from what.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from countermark.moderation.opinion import ANY, Opinion, named
from countermark.weights import pinned

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["EncoderModel", "load_encoder"]

NETWORK: Final = "encoder.onnx"
NETWORK_SHA256: Final = "786cbc99a17eaaa6ce044613a22e7ca443b8679bfe5cb930816ca14dafe94785"
VOCABULARY: Final = "encoder.vocabulary"
VOCABULARY_SHA256: Final = "39b178e6b5b7b4f5c0555d5942175e96db043930c0dccf0d6d832fe077b6e293"

LONGEST: Final = 190  # tokens read together; longer texts are read in pieces, and the worst piece counts
OVERLAP: Final = 30
BOS: Final = 0
EOS: Final = 2
_EXPLAINED: Final = 0.3  # probability from which the words that weigh most are looked up
_FEWEST: Final = 4  # tokens of the piece that explains an opinion


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
        if not texts:
            return []
        texts = [text.encode("utf-8", "replace").decode() for text in texts]  # half a surrogate is no text
        cut = [list(_cut(self._pieces.encode(text))) for text in texts]
        said, told = self._run([piece for pieces in cut for piece in pieces])
        odds = named(self._slope * said[:, 0] + self._offset, said[:, 1:])
        opinions, first = [], 0
        for text, pieces in zip(texts, cut, strict=True):
            opinions.append(self._opinion(text, odds, told, range(first, first + len(pieces))))
            first += len(pieces)
        return opinions

    def _opinion(self, text: str, odds: NDArray[np.float64], told: list[Any], here: range) -> Opinion:
        probabilities = {head: float(odds[here.start : here.stop, i].max()) for i, head in enumerate(self.heads)}
        spans: dict[str, tuple[int, int]] = {}
        places: list[tuple[int, int]] = []
        for i, head in enumerate(self.heads):
            if head == ANY or probabilities[head] < _EXPLAINED or not text.strip():
                continue
            if not places:
                places = _places(text, self._pieces.encode(text, out_type=str))
            piece = int(odds[here.start : here.stop, i].argmax())
            start = _starts(len(places))[piece]
            spans[head] = _span(text, told[here.start + piece][:, [0, i]].sum(1), places[start : start + LONGEST])
        return Opinion(probabilities, spans)

    def _run(self, pieces: list[list[int]]) -> tuple[NDArray[np.float32], list[Any]]:
        """Logits of each piece, and the shares of its tokens.

        One at a time: int8 activations share a scale, so a piece's logits would depend on its neighbours in a batch.
        """
        import numpy as np

        runs = [self._session.run(["said", "told"], {"ids": np.array([[BOS, *ids, EOS]])}) for ids in pieces]
        return np.concatenate([said for said, _ in runs]), [told[0, 1:-1] for _, told in runs]


def _starts(count: int) -> range:
    """Where the pieces of a text of ``count`` tokens begin."""
    return range(0, max(1, count - OVERLAP), LONGEST - OVERLAP)


def _cut(ids: list[int]) -> Iterator[list[int]]:
    return (ids[start : start + LONGEST] for start in _starts(len(ids)))


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
