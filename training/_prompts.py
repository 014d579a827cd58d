"""The rows that moderation's models learn from: the project's own, and those of permissive public sources.

Every row says whether it is harmful; harmful ones say of which categories, where their source's labels name them.
Of a public source at most so many rows of each language, label and category are used: own rows weigh most.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from countermark.moderation.categories import CATEGORIES
from countermark.moderation.folding import clean
from countermark.moderation.mapped import whole
from countermark.moderation.opinion import ANY
from countermark.training._sources import FOLDS, LICENSED, head_of

__all__ = [
    "HEADS", "PARTS", "Example", "folded", "left_out", "mixed", "own_examples", "part_of", "public_examples",
    "seen", "weights_of",
]  # fmt: skip

HEADS: Final = (ANY, *(category for category in CATEGORIES if category != "sexual_minors"))
PARTS: Final = 7  # of the own rows' groups; part 0 is never trained on
OWN: Final = Path(__file__).parent / "prompts"
_HARMFUL, _HARMLESS = 300, 1500  # rows of a public source, language and set of categories at most
_PUBLIC: Final = 0.7  # weight of a public row beside an own one
_QUIET: Final = {"davidson2017": 0.4, "xsafety": 0.4}  # sources whose labels are often wrong weigh less
_TAXONOMIES: Final = {"self_harm", "harassment", "privacy"}  # of public sources, named as our categories are


@dataclass(frozen=True)
class Example:
    """A folded text; ``categories`` of the harm, empty where there is none or the source does not name it.

    ``group`` is shared by rows that must not be parted between training and validation: the two of a contrast pair and
    their translations. ``pair`` is shared by the two rows of a contrast pair alone.
    """

    text: str
    harmful: bool
    categories: frozenset[str]
    lang: str
    source: str
    kind: str
    group: str
    pair: str


def folded(text: str) -> str:
    """``text`` as moderation's model sees it."""
    return clean(whole(text)).text.strip()


def own_examples(folder: Path = OWN) -> list[Example]:
    """The project's own rows."""
    rows = []
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text("utf-8").splitlines():
            row = json.loads(line)
            categories, pair = frozenset(row["categories"]), row["pair"] or ""
            group = pair.replace(f"-{row['lang']}-", "-") or row["text"]
            text, source = folded(row["text"]), f"own_{row['source']}"
            rows.append(Example(text, bool(categories), categories, row["lang"], source, row["kind"], group, pair))
    return rows


def public_examples(path: Path, sources: Iterable[str] = LICENSED) -> list[Example]:
    """The usable rows of a collection like ``dev.jsonl``, of some sources."""
    wanted, seen, rows = set(sources), set(), []
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            row = json.loads(line)
            if row["source"] not in wanted:
                continue
            text, harmful = folded(row["text"]), bool(row["harmful"])
            head = head_of(row) if harmful else ""
            if head is None or not text or text in seen:
                continue
            seen.add(text)
            named = {head} if head else {row["taxonomy"]} & _TAXONOMIES if harmful else set()
            categories: frozenset[str] = frozenset(named)
            rows.append(Example(text, harmful, categories, row["lang"], row["source"], "public", text, ""))
    return rows


def seen(own: Sequence[Example], public: Sequence[Example], fold: str) -> list[Example]:
    """What the model of a fold trains on: of the public rows those of other families, at most so many of each kind."""
    left = FOLDS.get(fold, set())
    chosen = [row for row in own if part_of(row, PARTS) != 0]
    cells: dict[tuple[str, str, bool, str], list[Example]] = defaultdict(list)
    for row in public:
        if LICENSED[row.source] not in left:
            cells[row.source, row.lang, row.harmful, "+".join(sorted(row.categories))].append(row)
    draw = random.Random(0)
    for _, cell in sorted(cells.items()):
        chosen += draw.sample(cell, min(_HARMFUL if cell[0].harmful else _HARMLESS, len(cell)))
    return chosen


def left_out(own: Sequence[Example], public: Sequence[Example], fold: str) -> list[Example]:
    """What the model of a fold does not train on."""
    return [row for row in public if LICENSED[row.source] in FOLDS[fold]] + [
        row for row in own if part_of(row, PARTS) == 0
    ]


def weights_of(rows: Sequence[Example]) -> NDArray[np.float32]:
    """How much each row counts in training."""
    return np.array([1.0 if row.kind != "public" else _QUIET.get(row.source, _PUBLIC) for row in rows], np.float32)


def part_of(row: Example, parts: int) -> int:
    """Which of ``parts`` a row's group belongs to, the same in each run."""
    return int.from_bytes(hashlib.sha256(row.group.encode()).digest()[:4], "big") % parts


def mixed(rows: Sequence[Example], share: float, seed: int) -> Iterator[Example]:
    """The rows, a ``share`` of them among one to four harmless ones of the same language: context excuses nothing.

    Rows of pairs stay as they are; harm stays harm of the same categories.
    """
    draw = random.Random(seed)
    harmless: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if not row.harmful and row.source.startswith("own") and len(row.text) < 200:
            harmless[row.lang].append(row.text)
    for row in rows:
        if row.pair or draw.random() >= share or not harmless[row.lang]:
            yield row
            continue
        texts = draw.choices(harmless[row.lang], k=draw.choice((1, 1, 2, 4)))
        texts.insert(draw.randint(0, len(texts)), row.text)
        yield replace(row, text=draw.choice((". ", ", ", " ", "; ", " - ")).join(texts))
