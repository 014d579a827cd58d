"""What moderation says about one prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Decision", "Reason"]

SCHEMA = 1
_QUOTE = 60  # characters of the user's text that one reason shows in a sentence


@dataclass(frozen=True)
class Reason:
    """One piece of evidence.

    ``span`` is ``(start, end)`` in characters (code points) of the text that the user gave, end exclusive;
    ``text`` is that piece of it. ``view`` names the reading of the text in which it was found (``raw``, ``spelling``,
    ``base64``, ...), ``found`` the words as they stand in that reading, ``rule`` the rule's id or ``model``.
    """

    category: str
    span: tuple[int, int]
    view: str
    rule: str
    score: float
    text: str
    found: str

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "category": self.category,
            "span": list(self.span),
            "view": self.view,
            "rule": self.rule,
            "score": round(self.score, 4),
            "text": printable(self.text),
            "found": printable(self.found),
        }


@dataclass(frozen=True)
class Decision:
    """The outcome for one prompt under one policy.

    ``scores`` has every category, 0..1. ``flagged`` are those at or over the policy's threshold, most certain first.
    ``action`` is the strongest action of a flagged category; the prompt is ``allowed`` unless that is ``refuse``.
    ``risk`` is the probability that the prompt is harmful in any category (see ``docs/moderation.md``).
    ``language`` is an ISO 639-1 code, or ``und`` when the text does not tell; ``language_confidence`` is 0..1.
    """

    allowed: bool
    action: str
    risk: float
    flagged: tuple[str, ...]
    scores: Mapping[str, float]
    reasons: tuple[Reason, ...]
    policy: str
    language: str
    language_confidence: float

    def to_json(self) -> dict[str, Any]:
        """As a JSON object with ``"schema": 1``."""
        return {
            "schema": SCHEMA,
            "allowed": self.allowed,
            "action": self.action,
            "risk": round(self.risk, 4),
            "flagged": list(self.flagged),
            "scores": {name: round(score, 4) for name, score in self.scores.items()},
            "reasons": [reason.to_json() for reason in self.reasons],
            "policy": self.policy,
            "language": self.language,
            "language_confidence": round(self.language_confidence, 3),
        }

    def explain(self) -> str:
        """One line for a user: the action, the categories, and for each the user's own words."""
        if not self.flagged:
            return "allowed"
        said = {"refuse": "refused", "review": "allowed, for review", "allow": "allowed"}[self.action]
        return f"{said}: {', '.join(self._named(category) for category in self.flagged)}"

    def _named(self, category: str) -> str:
        first = next((reason for reason in self.reasons if reason.category == category), None)
        if first is None:
            return category
        words = f'"{_short(first.text)}"'
        read = "" if _same(first.text, first.found) else f' read as "{_short(first.found)}" ({first.view})'
        return f"{category} ({words}{read})"


def printable(text: str) -> str:
    """``text``, of the same length, with lone surrogates replaced, so that it can be encoded as UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _short(text: str) -> str:
    line = " ".join("".join(c if c.isprintable() else " " for c in printable(text)).split())
    return line if len(line) <= _QUOTE else f"{line[: _QUOTE - 1]}…"


def _same(text: str, found: str) -> bool:
    letters = ["".join(c for c in part.casefold() if c.isalnum()) for part in (text, found)]
    return letters[0] == letters[1]
