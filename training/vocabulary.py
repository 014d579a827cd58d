"""``countermark train vocabulary``: adds the words of ``training/prompts`` to ``moderation/data/words.txt``.

The file is the list of everyday words by which moderation tells plain text from disguised text, the most frequent
first. It began with words written from memory for English and German; this adds those of the project's own rows in
languages with Latin letters, except words that stand only in one harmful row, which may be a disguise themselves. A
word in the file stays there.
"""

from __future__ import annotations

import argparse
import textwrap
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from countermark.moderation.folding import WORD
from countermark.training.prompt_writer import FOLDER, Row, read_rows

__all__ = ["everyday", "main"]

WORDS: Final = Path(__file__).resolve().parent.parent / "moderation" / "data" / "words.txt"
LATIN: Final = ("en", "de", "fr", "es", "it", "pt", "nl", "pl", "tr")
LENGTHS: Final = range(3, 25)  # letters; shorter words are in common.toml
_WIDTH: Final = 116


def everyday(rows: Iterable[Row]) -> Counter[str]:
    """Words of benign rows, and those that stand in two rows or more; in how many rows."""
    counts: Counter[str] = Counter()
    told: set[str] = set()
    for row in rows:
        if row.lang in LATIN:
            words = {word for word in WORD.findall(row.text.casefold()) if word.isalpha() and len(word) in LENGTHS}
            told |= words if row.label == "benign" else words & counts.keys()
            counts.update(words)
    return Counter({word: counts[word] for word in told})


def main(arguments: list[str]) -> int:
    """Rewrites the list; prints how many words it has."""
    parser = argparse.ArgumentParser(prog="countermark train vocabulary", description=__doc__)
    parser.add_argument("--rows", type=Path, default=FOLDER, help="folder of the rows")
    parser.add_argument("--words", type=Path, default=WORDS, help="the list to add to")
    options = parser.parse_args(arguments)
    counts = everyday(read_rows(options.rows))
    words = sorted({*options.words.read_text("utf-8").split(), *counts}, key=lambda word: (-counts[word], word))
    options.words.write_text("\n".join(textwrap.wrap(" ".join(words), _WIDTH)) + "\n", "utf-8")
    print(f"{len(words)} words")
    return 0
