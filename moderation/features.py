"""Hashed character and word n-grams: one function, used alike in training and at run time.

A text is cut into words (:data:`countermark.moderation.folding.WORD`) and joined with single spaces, with one at each
end. Character n-grams are windows over that line, word n-grams are the words and neighbouring pairs. Each n-gram is
hashed with a polynomial over code points modulo 2**64 and a final mix (the 64-bit finaliser of MurmurHash3), salted
with its kind and length, onto ``BUCKETS`` places. Counts are damped with ``1 + log``; the character part and the word
part each get length 1 (Euclidean), so that long texts weigh as much as short ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from countermark.moderation.folding import WORD

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["BUCKETS", "LONGEST", "Features", "features"]

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


def features(text: str) -> Features:
    """The features of a text that :func:`countermark.moderation.folding.clean` has folded."""
    import numpy as np

    words: list[tuple[int, int]] = []
    length = 1
    for match in WORD.finditer(text):
        length += match.end() - match.start() + 1
        if length > LONGEST and words:
            break
        words.append(match.span())
    if not words:
        none = np.zeros(0, dtype=np.int64)
        return Features(none, np.zeros(0, dtype=np.float32), none, none, ())
    line = f" {' '.join(text[a:b] for a, b in words)} "[: LONGEST + 1]
    codes = np.frombuffer(line.encode("utf-32-le", "replace"), dtype=np.uint32).astype(np.uint64)
    sizes = np.array([b - a + 1 for a, b in words], dtype=np.int64)
    begins = np.concatenate(([1], 1 + np.cumsum(sizes)[:-1]))
    chars = [_windows(codes, n) for n in CHARS if len(codes) >= n]
    char_at = [np.searchsorted(begins, np.arange(len(c)), side="right") - 1 for c in chars]
    hashes = _word_hashes(codes, begins, sizes)
    pairs = [_salt(hashes if n == 1 else hashes[:-1] * np.uint64(_BASE) + hashes[1:], 100 + n) for n in WORDS]
    pair_at = [np.arange(len(p)) for p in pairs]
    blocks = [_weighed(chars), _weighed(pairs)]
    grams = np.concatenate([*chars, *pairs])
    at = np.concatenate([*char_at, *pair_at])
    merged, where = np.unique(np.concatenate([b for b, _ in blocks]), return_inverse=True)
    values = np.bincount(where, weights=np.concatenate([v for _, v in blocks]), minlength=len(merged))
    return Features(merged, values.astype(np.float32), grams, np.maximum(at, 0), tuple(words))


def _windows(codes: Any, n: int) -> Any:
    """Bucket of each window of ``n`` code points."""
    import numpy as np

    count = len(codes) - n + 1
    total = np.zeros(count, dtype=np.uint64)
    for k in range(n):
        total = total * np.uint64(_BASE) + codes[k : k + count]
    return _salt(total, n)


def _word_hashes(codes: Any, begins: Any, sizes: Any) -> Any:
    """A hash of each word: its code points times powers of the base, summed."""
    import numpy as np

    powers = np.cumprod(np.full(len(codes), _BASE, dtype=np.uint64))
    inside = np.arange(len(codes)) - np.repeat(np.concatenate(([0], begins)), np.diff([0, *begins, len(codes)]))
    terms = (codes + np.uint64(1)) * powers[inside]
    letters = np.where(codes == ord(" "), np.uint64(0), terms)
    return np.add.reduceat(letters, np.minimum(begins, len(codes) - 1)) + sizes.astype(np.uint64)


def _salt(hashes: Any, kind: int) -> Any:
    import numpy as np

    mixed = hashes ^ np.uint64(kind * 0x9E3779B97F4A7C15 % (1 << 64))
    for factor in _MIX:
        mixed = (mixed ^ (mixed >> np.uint64(33))) * np.uint64(factor)
    return ((mixed ^ (mixed >> np.uint64(33))) % np.uint64(BUCKETS)).astype(np.int64)


def _weighed(grams: list[Any]) -> tuple[Any, Any]:
    """Unique buckets of one part and their values, of Euclidean length 1."""
    import numpy as np

    buckets, counts = np.unique(np.concatenate(grams), return_counts=True)
    values = 1 + np.log(counts)
    return buckets, values / np.sqrt(np.sum(values**2))
