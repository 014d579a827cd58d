"""An operator's own terms and allowed phrases, one a line.

A terms file has ``category: phrase`` lines, or ``category score: phrase`` with a score over 0, at most 1 (1 when
absent); an allow file has one phrase a line. Blank lines and lines that begin with ``#`` are skipped. The same lines
may stand in a policy, as ``terms`` and ``allow``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from countermark.errors import BadSettings
from countermark.moderation.categories import CATEGORIES
from countermark.moderation.folding import WORD, clean
from countermark.moderation.mapped import whole

__all__ = ["Term", "parse_allowed", "parse_terms", "read_lines"]

LARGEST: Final = 16 << 20  # bytes of a file
LONGEST: Final = 200  # characters of a phrase
_TERM: Final = re.compile(r"(\w+)(?:\s+([0-9.]+))?\s*:(.*)")


@dataclass(frozen=True)
class Term:
    """A phrase that is evidence for a category; ``score`` is over 0, at most 1."""

    category: str
    phrase: str
    score: float = 1.0


def read_lines(path: Path) -> list[str]:
    """The lines of a file of terms or phrases. Raises :class:`countermark.errors.BadSettings` when it is no text."""
    try:
        if path.stat().st_size > LARGEST:
            raise BadSettings(f"{path} is larger than {LARGEST} bytes")
        return path.read_text("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise BadSettings(f"{path}, line {line}: this is not UTF-8") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadSettings(f"{path} cannot be read: {reason}") from None


def parse_terms(lines: Iterable[str], where: str) -> tuple[Term, ...]:
    """The terms of some lines; ``where`` names them in a :class:`countermark.errors.BadSettings`."""
    found: list[Term] = []
    for place, line in _numbered(lines, where):
        match = _TERM.fullmatch(line)
        if not match:
            raise BadSettings(f"{place}: a term is written category: phrase, or category score: phrase")
        category, score, phrase = match[1], match[2], match[3].strip()
        if category not in CATEGORIES:
            raise BadSettings(f"{place}: there is no category {category}; they are {', '.join(CATEGORIES)}")
        found.append(Term(category, _phrase(phrase, place), _score(score, place)))
    return tuple(found)


def parse_allowed(lines: Iterable[str], where: str) -> tuple[str, ...]:
    """The allowed phrases of some lines; raises as :func:`parse_terms` does."""
    found: list[str] = []
    for place, line in _numbered(lines, where):
        if line.startswith("*") or line.endswith("*"):
            raise BadSettings(f"{place}: an allowed phrase takes no *")
        found.append(_phrase(line, place))
    return tuple(found)


def _numbered(lines: Iterable[str], where: str) -> Iterable[tuple[str, str]]:
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text and not text.startswith("#"):
            yield f"{where}, line {number}", text


def _score(text: str | None, place: str) -> float:
    try:
        score = float(text) if text is not None else 1.0
    except ValueError:
        score = 0.0
    if not 0 < score <= 1:
        raise BadSettings(f"{place}: a score is a number over 0, at most 1, not {text}")
    return score


def _phrase(phrase: str, place: str) -> str:
    if len(phrase) > LONGEST:
        raise BadSettings(f"{place}: the phrase is longer than {LONGEST} characters")
    if not WORD.search(clean(whole(phrase)).text):
        raise BadSettings(f"{place}: the phrase has no letters or digits")
    return phrase
