"""From a prompt to a :class:`Decision`.

1. The text is cut into overlapping pieces of ``PIECE`` characters, so that cost stays linear.
2. Each piece gives its views (:mod:`.views`); each view is judged by the rules. The model judges the plainest one, and
   the last view of a source where a rule fired in it. Harmless idioms are blanked out for it.
3. A category's score is the highest of its rules' and of the model's probability, which is discounted in languages
   that it was not trained for.
4. The policy's thresholds turn scores into flags, and the strongest action of a flagged category decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from countermark.moderation.categories import CATEGORIES, strongest
from countermark.moderation.decision import Decision, Reason
from countermark.moderation.language import UNKNOWN, identify
from countermark.moderation.linear import ANY, PromptModel, load_linear
from countermark.moderation.mapped import MappedText, whole
from countermark.moderation.policy import Policy, load_policy
from countermark.moderation.rules import RuleBook, load_rules
from countermark.moderation.views import View, views

__all__ = ["Moderator"]

PIECE: Final = 2000  # characters
OVERLAP: Final = 200
UNTRAINED: Final = 0.5  # what the model's probability is multiplied with in languages it does not know
MOST_REASONS: Final = 3  # of one category
LEAST: Final = 0.3  # score from which a reason is told


class Moderator:
    """Judges prompts under one policy. Safe to share between threads: nothing in it changes after it is made.

    ``policy`` is a ready policy's name, a TOML file or a :class:`Policy`; ``model`` replaces the embedded model.
    Raises :class:`countermark.errors.BadSettings` and :class:`countermark.errors.WeightsMissing`.
    """

    def __init__(self, policy: str | Path | Policy = "standard", *, model: PromptModel | None = None) -> None:
        self.policy = policy if isinstance(policy, Policy) else load_policy(policy)
        self._model: PromptModel = model if model is not None else load_linear()
        self._rules: RuleBook = load_rules()

    def check(self, text: str) -> Decision:
        """Judge one prompt of any length and content. Raises nothing for any ``str``."""
        language, confidence = identify(text)
        best: dict[tuple[str, str], Reason] = {}
        risk = 0.0
        for piece in _pieces(text):
            reasons, piece_risk = self._piece(piece, language)
            risk = max(risk, piece_risk)
            for reason in reasons:
                key = (reason.category, reason.rule)
                if key not in best or reason.score > best[key].score:
                    best[key] = reason
        told = [
            replace(reason, text=text[slice(*reason.span)])
            for reason in sorted(best.values(), key=lambda reason: -reason.score)
        ]
        return self._decide(told, risk, language, confidence)

    def _piece(self, piece: MappedText, language: str) -> tuple[list[Reason], float]:
        lexicon = self._rules.lexicon
        found: list[Reason] = []
        opinions: list[Reason] = []
        risk = 0.0
        for view in views(piece, lexicon.vocabulary):
            scan = lexicon.scan(view.mapped)
            hits = self._rules.check(scan, view.name)
            found += hits
            if view.judged or (view.final and hits):
                said, any_harm = self._ask(view, self._rules.masked(scan), language)
                opinions += said
                risk = max(risk, any_harm)
        return found + opinions, risk

    def _ask(self, view: View, text: str, language: str) -> tuple[list[Reason], float]:
        """The model's reasons and its risk for one view; ``text`` is the view's without idioms, of the same length."""
        if not text.strip():
            return [], 0.0
        opinion = self._model.judge(text)
        trusted = language == UNKNOWN or language in self._model.languages
        factor = 1.0 if trusted else UNTRAINED
        reasons: list[Reason] = []
        for category, probability in opinion.probabilities.items():
            if category == ANY or probability <= 0:
                continue
            start, end = opinion.spans.get(category, (0, len(text)))
            words = view.mapped.text[start:end]
            if not words:
                start, end, words = 0, len(text), view.mapped.text
            span = view.mapped.span(start, end)
            reasons.append(Reason(category, span, view.name, self._model.name, probability * factor, "", words))
        return reasons, opinion.probabilities.get(ANY, 0.0) * factor

    def _decide(self, reasons: list[Reason], risk: float, language: str, confidence: float) -> Decision:
        scores = dict.fromkeys(CATEGORIES, 0.0)
        for reason in reasons:
            scores[reason.category] = max(scores[reason.category], reason.score)
        flagged = sorted(
            (category for category in CATEGORIES if scores[category] >= self.policy.categories[category].threshold),
            key=lambda category: -scores[category],
        )
        action = strongest([self.policy.categories[category].action for category in flagged])
        return Decision(
            allowed=action != "refuse",
            action=action,
            risk=max(risk, *scores.values()),
            flagged=tuple(flagged),
            scores=scores,
            reasons=tuple(_told(reasons, flagged)),
            policy=self.policy.label,
            language=language,
            language_confidence=confidence,
        )


def _told(reasons: list[Reason], flagged: list[str]) -> Iterator[Reason]:
    """The strongest few reasons of each category, those of flagged categories even when they are weak."""
    counts: dict[str, int] = {}
    for reason in reasons:
        count = counts.get(reason.category, 0)
        if count < MOST_REASONS and (reason.score >= LEAST or (count == 0 and reason.category in flagged)):
            counts[reason.category] = count + 1
            yield reason


def _pieces(text: str) -> Iterator[MappedText]:
    """``text`` in overlapping pieces, cut at a space where there is one near."""
    start = 0
    while True:
        end = min(len(text), start + PIECE)
        if end < len(text):
            space = text.rfind(" ", end - OVERLAP // 2, end)
            end = space if space > start else end
        yield whole(text[start:end], start)
        if end >= len(text):
            return
        space = text.find(" ", end - OVERLAP, end)
        start = space + 1 if space >= 0 else end - OVERLAP
