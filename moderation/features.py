"""Hashed character and word n-grams: one function, used alike in training and at run time.

A text is cut into words (:data:`countermark.moderation.folding.WORD`) and joined with single spaces, with one at each
end. Character n-grams are windows over that line, word n-grams are the words and neighbouring pairs. Each n-gram is
hashed with a polynomial over code points modulo 2**64 and a final mix (the 64-bit finaliser of MurmurHash3), salted
with its kind and length, onto ``BUCKETS`` places. Counts are damped with ``1 + log``; the character part and the word
part each get length 1 (Euclidean), so that long texts weigh as much as short ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from countermark.moderation.folding import WORD

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["BUCKETS", "LONGEST", "Features", "features", "features_of"]

BUCKETS: Final = 1 << 18
LONGEST: Final = 2000  # characters of the line that are read
CHARS: Final = (2, 3, 4, 5)
WORDS: Final = (1, 2)
_BASE: Final = 0x100000001B3  # odd, so that it is invertible modulo 2**64
_MIX: Final = (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53)


@dataclass(frozen=True)
class Features:
    """``values[i]`` is the weight of bucket ``buckets[i]`` (sorted, unique).

    ``at`` and ``grams`` are one entry for each n-gram: the word of ``words`` in which it begins, and its bucket.
    """

    buckets: NDArray[np.int64]
    values: NDArray[np.float32]
    grams: NDArray[np.int64]
    at: NDArray[np.int64]
    words: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class _Lines:
    """The lines of several texts, one after the other.

    ``owners`` is the text of each code point, ``ends`` where its line ends. ``begins`` and ``sizes`` (with the space
    behind it) are of each word, ``word_owners`` its text, ``first_words`` the first word of each text.
    """

    codes: NDArray[np.uint64]
    owners: NDArray[np.int64]
    ends: NDArray[np.int64]
    begins: NDArray[np.int64]
    sizes: NDArray[np.int64]
    word_owners: NDArray[np.int64]
    first_words: NDArray[np.int64]


def features(text: str) -> Features:
    """The features of a text that :func:`countermark.moderation.folding.clean` has folded."""
    return features_of([text])[0]


def features_of(texts: Sequence[str]) -> list[Features]:
    """The features of several folded texts: the same as one by one, in one pass over all of them."""
    import numpy as np

    words = [_words(text) for text in texts]
    if not any(words):
        none = np.zeros(0, dtype=np.int64)
        return [Features(none, np.zeros(0, dtype=np.float32), none, none, ()) for _ in texts]
    lines = _lines(texts, words)
    chars = [_windows(lines, n) for n in CHARS]
    single = _word_hashes(lines)
    pairs = single[:-1] * np.uint64(_BASE) + single[1:]
    places = np.arange(len(single))
    inside = np.flatnonzero(lines.word_owners[:-1] == lines.word_owners[1:])
    said = [(_salt(single, 100 + WORDS[0]), places), (_salt(pairs[inside], 100 + WORDS[1]), inside)]
    grams = np.concatenate([found for found, _ in (*chars, *said)])
    at = np.concatenate([place for _, place in (*chars, *said)])
    owners = lines.word_owners[at]
    cut = sum(len(found) for found, _ in chars)
    keys, values = _merged(
        _weighed(owners[:cut], grams[:cut], len(texts)), _weighed(owners[cut:], grams[cut:], len(texts))
    )
    order = np.argsort(owners, kind="stable")
    grams, at = grams[order], (at - lines.first_words[owners])[order]
    bounds = np.arange(len(texts) + 1)
    of_keys, of_grams = np.searchsorted(keys // BUCKETS, bounds), np.searchsorted(owners[order], bounds)
    buckets = keys % BUCKETS
    return [
        Features(buckets[a:b], values[a:b], grams[c:d], at[c:d], tuple(own))
        for own, (a, b), (c, d) in zip(words, pairwise(of_keys), pairwise(of_grams), strict=True)
    ]


def _words(text: str) -> list[tuple[int, int]]:
    """Where the words of a text stand that are read."""
    words: list[tuple[int, int]] = []
    length = 1
    for match in WORD.finditer(text):
        length += match.end() - match.start() + 1
        if length > LONGEST and words:
            break
        words.append(match.span())
    return words


def _lines(texts: Sequence[str], words: Sequence[list[tuple[int, int]]]) -> _Lines:
    import numpy as np

    lines = [
        f" {' '.join(text[a:b] for a, b in own)} "[: LONGEST + 1] if own else ""
        for text, own in zip(texts, words, strict=True)
    ]
    codes = np.frombuffer("".join(lines).encode("utf-32-le", "replace"), dtype=np.uint32).astype(np.uint64)
    lengths = np.array([len(line) for line in lines], dtype=np.int64)
    counts = np.array([len(own) for own in words], dtype=np.int64)
    sizes = np.array([b - a + 1 for own in words for a, b in own], dtype=np.int64)
    numbers = np.arange(len(texts))
    word_owners = np.repeat(numbers, counts)
    starts, first_words = np.cumsum(lengths) - lengths, np.cumsum(counts) - counts
    before = np.cumsum(sizes) - sizes  # of all words before, in this text and in others
    begins = before - before[np.minimum(first_words, len(sizes) - 1)][word_owners] + starts[word_owners] + 1
    owners = np.repeat(numbers, lengths)
    return _Lines(codes, owners, (starts + lengths)[owners], begins, sizes, word_owners, first_words)


def _windows(lines: _Lines, n: int) -> tuple[Any, Any]:
    """Bucket of each window of ``n`` code points, and the word in which it begins."""
    import numpy as np

    count = max(0, len(lines.codes) - n + 1)
    total = np.zeros(count, dtype=np.uint64)
    for k in range(n):
        total = total * np.uint64(_BASE) + lines.codes[k : k + count]
    inside = np.flatnonzero(np.arange(count) + n <= lines.ends[:count])
    words = np.searchsorted(lines.begins, inside, side="right") - 1
    return _salt(total[inside], n), np.maximum(words, lines.first_words[lines.owners[inside]])


def _word_hashes(lines: _Lines) -> Any:
    """A hash of each word: its code points times powers of the base, summed."""
    import numpy as np

    powers = np.cumprod(np.full(int(lines.sizes.max()) + 1, _BASE, dtype=np.uint64))
    spans = np.diff(lines.begins, append=len(lines.codes))  # each word with the spaces up to the next
    inside = np.arange(len(lines.codes) - 1) - np.repeat(lines.begins - 1, spans)
    letters = (lines.codes[1:] + np.uint64(1)) * powers[np.minimum(inside, len(powers) - 1)]
    letters[lines.codes[1:] == ord(" ")] = 0
    return np.add.reduceat(letters, lines.begins - 1) + lines.sizes.astype(np.uint64)


def _salt(hashes: Any, kind: int) -> Any:
    import numpy as np

    mixed = hashes ^ np.uint64(kind * 0x9E3779B97F4A7C15 % (1 << 64))
    for factor in _MIX:
        mixed = (mixed ^ (mixed >> np.uint64(33))) * np.uint64(factor)
    return ((mixed ^ (mixed >> np.uint64(33))) % np.uint64(BUCKETS)).astype(np.int64)


def _weighed(owners: Any, grams: Any, texts: int) -> tuple[Any, Any]:
    """Unique keys (text and bucket) of one part, and their values, of Euclidean length 1 in each text."""
    import numpy as np

    keys, counts = np.unique(owners * BUCKETS + grams, return_counts=True)
    values = 1 + np.log(counts)
    lengths = np.sqrt(np.bincount(keys // BUCKETS, weights=values**2, minlength=texts))
    return keys, values / lengths[keys // BUCKETS]


def _merged(chars: tuple[Any, Any], words: tuple[Any, Any]) -> tuple[Any, Any]:
    """Both parts' keys and the sums of their values."""
    import numpy as np

    keys, where = np.unique(np.concatenate([chars[0], words[0]]), return_inverse=True)
    values = np.bincount(where, weights=np.concatenate([chars[1], words[1]]), minlength=len(keys))
    return keys, values.astype(np.float32)
