"""``python -m countermark.training.prompt_writer``: the template rows of ``training/prompts``.

Most of the prompts of moderation's training data are written by hand; they are the rows of the other files. Some
meanings (whom a sentence insults, which public figure says what, which request hides in a role-play) are better
covered by word tables, ``training/prompts/words_LANG.toml``. This module turns them into ``templates.jsonl``:

- A template has ``frames`` with slots in braces. Slots of ``[template.shared]`` are filled the same way in a harmful
  row and in its benign twin; slots of ``[template.harmful]`` and ``[template.benign]`` make the difference. So neither
  the names nor the style can become the label.
- A fill may be a table ``{ text = "...", categories = [...] }`` that adds categories to those of the template.
- Each fill of a slot is used about as often as any other. A pair whose rows nearly equal earlier ones (token sets with
  a Jaccard similarity above ``NEAR``) is dropped, as is a template's remaining quota when nothing new can be found.
- The result is a function of the tables and ``SEED`` alone.

It also holds what tests and other tools need to judge all rows: :class:`Row`, :func:`read_rows`, :func:`near_twins`.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import string
import tomllib
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from countermark.errors import BadSettings

__all__ = [
    "CATEGORIES",
    "FOLDER",
    "LANGUAGES",
    "Row",
    "Template",
    "count",
    "near_twins",
    "read_rows",
    "tokens",
    "write",
]

FOLDER: Final = Path(__file__).parent / "prompts"
TEMPLATES: Final = "templates.jsonl"
SEED: Final = 20261122
NEAR: Final = 0.8
TRIES: Final = 60  # attempts for one pair before a template is given up

LANGUAGES: Final = ("en", "de", "fr", "es", "it", "pt", "nl", "pl", "tr", "ru", "uk", "ar", "hi", "zh", "ja", "ko")
# No row has "sexual_minors": rules carry that category, and nothing is written for it.
CATEGORIES: Final = (
    "sexual", "violence_graphic", "hate", "harassment", "self_harm", "dangerous_acts", "fraud_impersonation",
    "election_misinformation", "deceptive_public_figure", "nonconsensual_intimate", "ip", "privacy", "shock",
    "jailbreak",
)  # fmt: skip

_WORDS: Final = re.compile(r"\w+")
_UNSPACED: Final = re.compile(r"[぀-ヿ㐀-鿿豈-﫿]+")


@dataclass(frozen=True)
class Row:
    """A line of the data; ``pair`` links the rows of a contrast pair."""

    text: str
    label: str
    categories: tuple[str, ...]
    lang: str
    pair: str | None
    kind: str
    source: str

    def line(self) -> str:
        """The row as a line of JSON, without the line break."""
        return json.dumps(asdict(self), ensure_ascii=False)


@dataclass(frozen=True)
class Template:
    """A table of ``words_LANG.toml``: ``pairs`` pairs of a benign and a harmful row are made from it."""

    lang: str
    kind: str
    categories: tuple[str, ...]
    pairs: int
    frames: tuple[str, ...]
    shared: dict[str, list[Any]]
    benign: dict[str, list[Any]]
    harmful: dict[str, list[Any]]


def read_rows(folder: Path = FOLDER) -> list[Row]:
    """All rows of ``folder/*.jsonl``, in the order of the files' names."""
    rows = []
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text("utf-8").splitlines():
            fields = json.loads(line)
            rows.append(Row(**{**fields, "categories": tuple(fields["categories"])}))
    return rows


@cache
def tokens(text: str) -> frozenset[str]:
    """The set of lower-case words; pairs of neighbouring characters where a script has no spaces.

    One letter makes a difference between the words of no script, so marks are kept: the text is composed (NFC).
    """
    found: set[str] = set()
    for word in _WORDS.findall(unicodedata.normalize("NFC", text).casefold()):
        rest = word
        for run in _UNSPACED.findall(word):
            found.update(run[i : i + 2] for i in range(len(run) - 1))
            rest = rest.replace(run, " ")
        found.update(rest.split())
    return frozenset(found)


def near_twins(rows: Sequence[Row]) -> Iterator[tuple[Row, Row]]:
    """Rows of one language that nearly equal each other and aren't linked by a pair.

    Only rows that share one of their rarest words are compared: two sets of n and m >= n words with a Jaccard
    similarity above ``NEAR`` share more than ``NEAR`` n words, so among the rarest ``n - NEAR n + 1`` words of each is
    a common one (prefix filtering).
    """
    sets = [tokens(row.text) for row in rows]
    often = Counter((row.lang, word) for row, words in zip(rows, sets, strict=True) for word in words)
    index: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i, (row, words) in enumerate(zip(rows, sets, strict=True)):
        rarest = sorted(words, key=lambda word: (often[row.lang, word], word))
        prefix = rarest[: len(words) - int(NEAR * len(words)) + 1]
        seen: set[int] = set()
        for word in prefix:
            seen.update(index[row.lang, word])
            index[row.lang, word].append(i)
        for j in sorted(seen):
            linked = row.pair is not None and row.pair == rows[j].pair
            if not linked and _alike(words, sets[j]):
                yield rows[j], row


def write(folder: Path = FOLDER) -> int:
    """Make ``templates.jsonl`` from the word tables of ``folder``; the number of rows."""
    rows = [row for path in sorted(folder.glob("words_*.toml")) for row in _rows(_templates(path))]
    text = "".join(f"{row.line()}\n" for row in rows)
    (folder / TEMPLATES).write_text(text, "utf-8")
    return len(rows)


def _templates(path: Path) -> list[Template]:
    with path.open("rb") as file:
        table = tomllib.load(file)
    found = []
    for entry in table["template"]:
        if set(entry["benign"]) != set(entry["harmful"]):
            raise BadSettings(f"{path.name}, {entry['kind']}: benign and harmful slots differ")
        found.append(
            Template(
                lang=table["lang"],
                kind=entry["kind"],
                categories=tuple(entry["categories"]),
                pairs=entry["pairs"],
                frames=tuple(entry["frames"]),
                shared=entry["shared"],
                benign=entry["benign"],
                harmful=entry["harmful"],
            )
        )
    return found


def _rows(templates: Iterable[Template]) -> Iterator[Row]:
    for template in templates:
        draw = random.Random(f"{SEED} {template.lang} {template.kind}")
        used: Counter[tuple[str, str, str]] = Counter()
        made: list[frozenset[str]] = []
        for number in range(1, template.pairs + 1):
            pair = _fresh(template, draw, used, made, f"t-{template.kind}-{template.lang}-{number:03d}")
            if pair is None:
                break
            yield from pair


def _fresh(
    template: Template, draw: random.Random, used: Counter[tuple[str, str, str]], made: list[frozenset[str]], name: str
) -> tuple[Row, Row] | None:
    """A pair unlike all of ``made``, to which it is added; None when ``TRIES`` attempts find none."""
    for _ in range(TRIES):
        frame = draw.choice(template.frames)
        shared = {slot: _pick(template.shared[slot], ("shared", slot), draw, used) for slot in _slots(frame, template)}
        rows = (_row(template, "benign", frame, shared, draw, used, name),
                _row(template, "harmful", frame, shared, draw, used, name))  # fmt: skip
        sets = [tokens(row.text) for row in rows]
        if not any(_alike(words, other) for words in sets for other in made):
            made.extend(sets)
            return rows
    return None


def _slots(frame: str, template: Template) -> list[str]:
    return [name for _, name, _, _ in string.Formatter().parse(frame) if name in template.shared]


def _row(
    template: Template, label: str, frame: str, shared: dict[str, Any], draw: random.Random,
    used: Counter[tuple[str, str, str]], name: str,
) -> Row:  # fmt: skip
    own = template.harmful if label == "harmful" else template.benign
    names = [slot for _, slot, _, _ in string.Formatter().parse(frame) if slot in own]
    fills = {**shared, **{slot: _pick(own[slot], (label, slot), draw, used) for slot in names}}
    text = frame.format(**{slot: _text(fill) for slot, fill in fills.items()})
    extra = {category for fill in fills.values() if isinstance(fill, dict) for category in fill["categories"]}
    categories = tuple(sorted({*template.categories, *extra})) if label == "harmful" else ()
    return Row(text, label, categories, template.lang, name, template.kind, "template")


def _pick(fills: list[Any], slot: tuple[str, str], draw: random.Random, used: Counter[tuple[str, str, str]]) -> Any:
    """One of the fills that were used least, so that none dominates."""
    least = min(used[(*slot, _text(fill))] for fill in fills)
    fill = draw.choice([fill for fill in fills if used[(*slot, _text(fill))] == least])
    used[(*slot, _text(fill))] += 1
    return fill


def _text(fill: Any) -> str:
    return str(fill["text"] if isinstance(fill, dict) else fill)


def _alike(a: frozenset[str], b: frozenset[str]) -> bool:
    common = len(a & b)
    return common > NEAR * (len(a) + len(b) - common)


def count(rows: Sequence[Row]) -> str:
    """Tables in Markdown: rows by language and label, by category and language, by kind."""
    labels = Counter((row.lang, row.label) for row in rows)
    written = Counter(row.lang for row in rows if row.source == "written")
    categories = Counter((category, row.lang) for row in rows for category in row.categories)
    kinds = Counter((row.kind, row.label) for row in rows)
    by_lang = [(lang, labels[lang, "benign"], labels[lang, "harmful"], written[lang]) for lang in LANGUAGES]
    ends = [(row.label, row.source) for row in rows]
    total = ("all", *(sum(key in end for end in ends) for key in ("benign", "harmful", "written")))
    first = ("en", "de", "fr", "es")
    by_category = [
        (name, *(categories[name, lang] for lang in first), sum(categories[name, lang] for lang in LANGUAGES[4:]))
        for name in CATEGORIES
    ]
    by_kind = [(kind, kinds[kind, "benign"], kinds[kind, "harmful"]) for kind in sorted({row.kind for row in rows})]
    return "\n\n".join((
        _table(("language", "benign", "harmful", "of these written"), [*by_lang, total]),
        _table(("category", *first, "the twelve others"), by_category),
        _table(("kind", "benign", "harmful"), by_kind),
    ))  # fmt: skip


def _table(head: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    cells = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in cells)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the template rows, or count all rows."""
    parser = argparse.ArgumentParser(prog="prompt_writer", description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the word tables are and the rows go")
    parser.add_argument("--count", action="store_true", help="write nothing, print tables of all rows")
    options = parser.parse_args(arguments)
    if options.count:
        print(count(read_rows(options.folder)))
    else:
        print(f"{write(options.folder)} rows in {options.folder / TEMPLATES}")


if __name__ == "__main__":
    main()
