"""Rules: which groups of terms, close to each other, are evidence for a category, and how strong.

``data/rules.toml`` holds them. A rule fires where one hit of each of its ``all`` parts (``a|b`` is either group) stands
within ``window`` words, and no hit of an ``unless`` group stands within ``unless_window`` words of them. Before that,
hits inside a harmless idiom ("kill a process", "naked mole rat") and negated ones ("no blood") are taken away.
Cost is linear in hits: for each hit of a rule's first part the nearest ones of the other parts within the window are
looked up.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from countermark.errors import BadSettings
from countermark.moderation.categories import CATEGORIES
from countermark.moderation.decision import Reason
from countermark.moderation.lexicon import RULES_FILE, Hit, Lexicon, Scan, load_lexicon, read_tables
from countermark.moderation.policy import FLOORS

__all__ = ["Rule", "RuleBook", "load_rules"]

IDIOM: Final = "idiom"
NEGATION: Final = "negation"
CONNECTOR: Final = "connector"
_LONGEST_TERM: Final = 8  # words
_KEYS: Final = {"id", "category", "score", "all", "window", "ordered", "unless", "unless_window"}


@dataclass(frozen=True)
class Rule:
    """One rule; ``window`` and ``unless_window`` are in words, ``score`` is 0..1."""

    id: str
    category: str
    score: float
    all: tuple[tuple[str, ...], ...]
    window: int = 12
    ordered: bool = False
    unless: tuple[str, ...] = ()
    unless_window: int = 12


class RuleBook:
    """The rules over a lexicon; immutable, so that threads can share it."""

    def __init__(self, rules: Iterable[Rule], lexicon: Lexicon, negatable: Iterable[str] = ()) -> None:
        self.rules = tuple(rules)
        self.lexicon = lexicon
        self._negatable = frozenset(negatable)
        self._beginning: dict[str, list[int]] = {}  # the rules whose first part has a group
        for i, rule in enumerate(self.rules):
            _check(rule, lexicon)
            for group in rule.all[0]:
                self._beginning.setdefault(group, []).append(i)

    def check(self, scan: Scan, view: str, allowed: AbstractSet[int] = frozenset()) -> list[Reason]:
        """The strongest place of each rule that fires in one view; ``Reason.text`` is left to the caller.

        ``allowed`` are numbers of words that an operator's allowed phrases cover. Hits on them count only for the
        categories in ``FLOORS``; they still excuse, so that an allowed phrase never makes a rule fire.
        """
        hits = self._without_negated(self._without_idioms(scan.hits))
        rest = _without(hits, allowed) if allowed else hits
        reasons: list[Reason] = []
        for i in sorted({i for group, found in hits.items() if found for i in self._beginning.get(group, ())}):
            rule = self.rules[i]
            found = _fires(rule, hits if rule.category in FLOORS else rest, hits)
            if found is not None:
                first, last = found
                span, words = scan.span(first, last), scan.words(first, last)
                reasons.append(Reason(rule.category, span, view, rule.id, rule.score, "", words))
        return reasons

    def speaks(self, scan: Scan, group: str) -> bool:
        """Whether a view has a term of ``group`` outside of harmless idioms."""
        return bool(scan.hits.get(group)) and bool(self._without_idioms(scan.hits).get(group))

    @staticmethod
    def masked(scan: Scan) -> str:
        """The view's text with its harmless idioms blanked out, for models that would take them at their word."""
        text = scan.mapped.text
        for idiom in scan.hits.get(IDIOM, ()):
            start, end = scan.places[idiom.first][0], scan.places[idiom.last][1]
            text = f"{text[:start]}{' ' * (end - start)}{text[end:]}"
        return text

    @staticmethod
    def _without_idioms(hits: Mapping[str, Sequence[Hit]]) -> dict[str, list[Hit]]:
        covered = {n for idiom in hits.get(IDIOM, ()) for n in range(idiom.first, idiom.last + 1)}
        return {
            group: [hit for hit in found if not (hit.first in covered and hit.last in covered)]
            for group, found in hits.items()
            if group != IDIOM
        }

    def _without_negated(self, hits: dict[str, list[Hit]]) -> dict[str, list[Hit]]:
        negated = {hit.last for hit in hits.get(NEGATION, ())}
        if not negated:
            return hits
        spread = {hit.first for hit in hits.get(CONNECTOR, ())}
        nouns = sorted({hit for group in self._negatable for hit in hits.get(group, ())})
        for noun in nouns:  # "no blood, gore or nudity": what is negated passes it on
            before = noun.first - 1
            while before in spread:
                before -= 1
            if before in negated:
                negated.update(range(noun.first, noun.last + 1))
        return {
            group: [hit for hit in found if hit.first not in negated] if group in self._negatable else found
            for group, found in hits.items()
        }


def _without(hits: Mapping[str, Sequence[Hit]], words: AbstractSet[int]) -> dict[str, list[Hit]]:
    """The hits that do not stand wholly on ``words``."""
    return {
        group: [hit for hit in found if not all(n in words for n in range(hit.first, hit.last + 1))]
        for group, found in hits.items()
    }


def _fires(
    rule: Rule, hits: Mapping[str, Sequence[Hit]], excusing: Mapping[str, Sequence[Hit]]
) -> tuple[int, int] | None:
    """First and last word of the rule's first place, or None."""
    parts = [_merged(part, hits) for part in rule.all]
    if not all(parts):
        return None
    excuses = _merged(rule.unless, excusing)
    for hit in parts[0]:
        used = [hit]
        for part in parts[1:]:
            other = _nearest(part, used, rule)
            if other is None:
                break
            used.append(other)
        else:
            first, last = min(h.first for h in used), max(h.last for h in used)
            if not _excused(excuses, first, last, rule.unless_window):
                return first, last
    return None


def _merged(groups: tuple[str, ...], hits: Mapping[str, Sequence[Hit]]) -> list[Hit]:
    if len(groups) == 1:
        return list(hits.get(groups[0], ()))
    return sorted(hit for group in groups for hit in hits.get(group, ()))


def _nearest(part: list[Hit], used: list[Hit], rule: Rule) -> Hit | None:
    """The hit closest to those ``used`` that shares no word with them and keeps all within the rule's window."""
    first, last = min(hit.first for hit in used), max(hit.last for hit in used)
    at = bisect_left(part, last - rule.window - _LONGEST_TERM, key=lambda hit: hit.first)
    best: tuple[int, Hit] | None = None
    for hit in part[at:]:
        if hit.first > first + rule.window:
            break
        if max(last, hit.last) - min(first, hit.first) > rule.window or (rule.ordered and hit.first <= last):
            continue
        distance = max(0, hit.first - last, first - hit.last)
        if (best is None or distance < best[0]) and all(hit.first > u.last or hit.last < u.first for u in used):
            best = distance, hit
    return best[1] if best else None


def _excused(excuses: list[Hit], first: int, last: int, window: int) -> bool:
    at = bisect_left(excuses, first - window - _LONGEST_TERM, key=lambda hit: hit.first)
    for excuse in excuses[at:]:
        if excuse.first > last + window:
            return False
        if excuse.last >= first - window:
            return True
    return False


def _check(rule: Rule, lexicon: Lexicon) -> None:
    if rule.category not in CATEGORIES:
        raise BadSettings(f"the rule {rule.id} names a category that does not exist: {rule.category}")
    for group in {group for part in (*rule.all, rule.unless) for group in part}:
        if group not in lexicon.groups:
            raise BadSettings(f"the rule {rule.id} names a group that no lexicon has: {group}")
    if not rule.all or not 0 < rule.score <= 1:
        raise BadSettings(f"the rule {rule.id} needs at least one group and a score over 0, at most 1")


def _rule(entry: Mapping[str, Any]) -> Rule:
    unknown = set(entry) - _KEYS
    if unknown:
        raise BadSettings(f"the rule {entry.get('id')} has an unknown key: {', '.join(sorted(unknown))}")
    parts = tuple(tuple(part.split("|")) for part in entry["all"])
    return Rule(**{**entry, "all": parts, "unless": tuple(entry.get("unless", ()))})


@cache
def load_rules() -> RuleBook:
    """The rules of the package. Raises :class:`countermark.errors.BadSettings` on a rule that cannot be."""
    table = read_tables()[RULES_FILE]
    return RuleBook((_rule(entry) for entry in table["rule"]), load_lexicon(), table["negatable"])
