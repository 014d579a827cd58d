"""An operator's own terms and allowed phrases at work, beside the lexicon and rules of the package.

Both are searched for in every view, folded as the lexicon's terms are. A term is a rule of its own, ``custom``. The
words of an allowed phrase count for no rule and are blanked out for the model, except for the categories that a policy
cannot loosen. For the same reason neither takes part in how the package reads a text: its own views are
always judged, and terms only add more of them (:meth:`Custom.views`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from countermark.moderation.decision import Reason
from countermark.moderation.lexicon import Lexicon
from countermark.moderation.mapped import MappedText
from countermark.moderation.rules import Rule, RuleBook
from countermark.moderation.terms import Term
from countermark.moderation.views import View, views

__all__ = ["Allowed", "Custom"]

RULE: Final = "custom"
_ALLOWED: Final = "allowed"


@dataclass(frozen=True)
class Allowed:
    """The words of one view that allowed phrases cover, by number, and where the phrases stand in its text."""

    words: frozenset[int] = frozenset()
    places: tuple[tuple[int, int], ...] = ()

    def blanked(self, text: str) -> str:
        """``text``, of the view's length, without the phrases."""
        for start, end in self.places:
            text = f"{text[:start]}{' ' * (end - start)}{text[end:]}"
        return text


class Custom:
    """Terms and allowed phrases beside the lexicon ``base``; immutable, so that threads can share it."""

    def __init__(self, base: Lexicon, terms: Iterable[Term] = (), allow: Iterable[str] = ()) -> None:
        groups: dict[tuple[str, float], list[str]] = {}
        for term in terms:
            groups.setdefault((term.category, term.score), []).append(_plain(term.phrase))
        rules = [Rule(RULE, category, score, ((f"{category} {score}",),)) for category, score in groups]
        lexicon = {f"{category} {score}": phrases for (category, score), phrases in groups.items()}
        phrases = [_plain(phrase) for phrase in allow]
        self._terms = RuleBook(rules, Lexicon(lexicon, frozenset())) if rules else None
        self._base = base.vocabulary
        self._both = self._base.with_terms(self._terms.lexicon.vocabulary) if self._terms else self._base
        self._allowed = Lexicon({_ALLOWED: phrases}, frozenset()) if phrases else None

    def views(self, text: MappedText) -> list[View]:
        """The views of ``text`` by the lexicon, then those that only the own terms bring about."""
        found = views(text, self._base)
        if self._terms is not None:
            seen = {view.mapped.text for view in found}
            found += [view for view in views(text, self._both) if view.mapped.text not in seen]
        return found

    def allowed(self, view: View) -> Allowed:
        """What the allowed phrases cover in a view."""
        if self._allowed is None:
            return Allowed()
        scan = self._allowed.scan(view.mapped)
        hits = scan.hits.get(_ALLOWED, ())
        words = frozenset(n for hit in hits for n in range(hit.first, hit.last + 1))
        return Allowed(words, tuple((scan.places[hit.first][0], scan.places[hit.last][1]) for hit in hits))

    def check(self, view: View, allowed: Allowed) -> list[Reason]:
        """The reasons that the own terms give in a view."""
        if self._terms is None:
            return []
        return self._terms.check(self._terms.lexicon.scan(view.mapped), view.name, allowed.words)


def _plain(phrase: str) -> str:
    """A phrase without braces, which mean something to the lexicon."""
    return phrase.replace("{", " ").replace("}", " ")
