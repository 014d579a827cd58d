"""From prompts to a :class:`Decision` each.

1. The text is cut into overlapping pieces of ``PIECE`` characters, so that cost stays linear. Rules read all of them;
   of texts of more than ``MOST`` views the model reads those with the sentences that the linear tier finds worst.
2. Each piece gives its views (:mod:`.views`); each view is judged by the rules, and by an operator's own terms
   (:mod:`.custom`). The model judges those that are made for it (``View.judged``), and the last view of a source where
   a rule fired in it. Allowed phrases are blanked out for it. Harmless idioms may be taken at their word, and what is
   left without them may read worse than with them: the model is asked both, and the calmer answer counts. It is asked
   about many views at once, whosever prompt they are of.
3. A category's score is the highest of its rules' and of the model's probability, which is discounted in languages
   that it was not trained for. What is intimate in a view that speaks of someone under age is ``sexual_minors`` as
   well: no model is trained for that category.
4. The policy's thresholds turn scores into flags, and the strongest action of a flagged category decides.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from countermark.errors import UsageError
from countermark.moderation.audit import AuditLog
from countermark.moderation.categories import CATEGORIES, strongest
from countermark.moderation.custom import Allowed, Custom
from countermark.moderation.decision import Decision, Reason
from countermark.moderation.encoder import load_encoder
from countermark.moderation.language import UNKNOWN, identify
from countermark.moderation.lexicon import Scan
from countermark.moderation.linear import load_linear
from countermark.moderation.mapped import MappedText, whole
from countermark.moderation.opinion import ANY, Opinion, PromptModel
from countermark.moderation.policy import FLOORS, Policy, load_policy
from countermark.moderation.rules import RuleBook, load_rules
from countermark.moderation.sentences import cut_sentences
from countermark.moderation.views import View

__all__ = ["Moderator"]

PIECE: Final = 2000  # characters
OVERLAP: Final = 200
MOST: Final = 64  # views of a prompt that the model judges
BATCH: Final = 64  # views that the model judges at once
UNTRAINED: Final = 0.5  # what the model's probability is multiplied with in languages it does not know
MINOR: Final = "minor"  # the lexicon's group of words for people under age
NURSING: Final = "nursing"
INTIMATE: Final = ("sexual", "nonconsensual_intimate")
MOST_REASONS: Final = 3  # of one category
LEAST: Final = 0.3  # score from which a reason is told


@dataclass
class _Case:
    """One prompt while it is judged: the strongest reason of each category and rule so far, and the risk."""

    text: str
    language: str
    confidence: float
    by_rules: dict[tuple[str, str], Reason] = field(default_factory=dict)
    by_model: dict[tuple[str, str], Reason] = field(default_factory=dict)
    risk: float = 0.0

    def reasons(self) -> list[Reason]:
        """The strongest first; where two are equal, rules before the model."""
        return sorted([*self.by_rules.values(), *self.by_model.values()], key=lambda reason: -reason.score)


@dataclass(frozen=True)
class _Question:
    """A view for the model to judge: ``text`` is the view's, of the same length, without what is not to count;
    ``plain``, too, but with its harmless idioms.

    ``minors`` is whether it speaks of someone under age. ``floors`` is whether the answer counts for the categories
    that a policy cannot loosen, ``others`` for the rest.
    """

    case: _Case
    view: View
    text: str
    plain: str
    minors: bool
    floors: bool = True
    others: bool = True


class Moderator:
    """Judges prompts under one policy. Safe to share between threads: nothing in it changes after it is made.

    ``policy`` is a ready policy's name, a TOML file or a :class:`Policy`; ``model`` replaces the embedded model;
    ``audit`` gets a line for each decision. Raises :class:`countermark.errors.BadSettings` and
    :class:`countermark.errors.WeightsMissing`.
    """

    def __init__(
        self,
        policy: str | Path | Policy = "standard",
        *,
        model: PromptModel | None = None,
        audit: AuditLog | None = None,
    ) -> None:
        self.policy = policy if isinstance(policy, Policy) else load_policy(policy)
        self._model: PromptModel = model if model is not None else load_encoder()
        self._rules: RuleBook = load_rules()
        self._custom = Custom(self._rules.lexicon, self.policy.terms, self.policy.allow)
        self.audit = audit

    def check(self, text: str) -> Decision:
        """Judge one prompt of any length and content.

        Raises nothing for any ``str``, unless a model that is not embedded fails
        (:class:`countermark.errors.ModelUnavailable`) or the audit log cannot be written (OutputFailed).
        """
        return next(self.check_all([text]))

    def check_all(self, texts: Iterable[str], batch: int = BATCH) -> Iterator[Decision]:
        """Judge many prompts, in order: for each what :meth:`check` says, but quicker.

        ``batch`` is how many views the model is asked about at once; at most as many prompts are read ahead of the
        decision that is asked for. Raises as :meth:`check`, and UsageError for a batch below 1.
        """
        if batch < 1:
            raise UsageError("a batch holds at least 1 prompt")
        return self._decided(texts, batch)

    def _decided(self, texts: Iterable[str], batch: int) -> Iterator[Decision]:
        waiting: list[_Case] = []
        questions: list[_Question] = []
        for text in texts:
            case = _Case(text, *identify(text))
            waiting.append(case)
            own: list[_Question] = []
            for piece in _pieces(text):
                own += self._read(piece, case)
                if len(own) > 4 * MOST:
                    own = _most_suspect(own)
            questions += _most_suspect(own)
            if len(questions) >= batch:
                self._ask(questions, batch)
                questions = []
            if not questions or len(waiting) >= batch:
                self._ask(questions, batch)
                yield from map(self._decide, waiting)
                waiting, questions = [], []
        self._ask(questions, batch)
        yield from map(self._decide, waiting)

    def _read(self, piece: MappedText, case: _Case) -> Iterator[_Question]:
        """Lets the rules judge a piece, and yields what the model is to be asked about it."""
        for view in self._custom.views(piece):
            scan = self._rules.lexicon.scan(view.mapped)
            allowed = self._custom.allowed(view)
            hits = self._rules.check(scan, view.name, allowed.words) + self._custom.check(view, allowed)
            for reason in hits:
                _keep(case.by_rules, reason)
            if view.judged or (view.final and (hits or allowed.words)):
                yield from _questions(case, view, self._rules.masked(scan), allowed, self._minors(scan))

    def _minors(self, scan: Scan) -> bool:
        """Whether a view speaks of someone under age, and not of nursing a baby."""
        return self._rules.speaks(scan, MINOR) and not self._rules.speaks(scan, NURSING)

    def _ask(self, questions: Sequence[_Question], batch: int) -> None:
        """Has the model judge views, and adds its reasons and its risk to their cases."""
        for start in range(0, len(questions), batch):
            asked = questions[start : start + batch]
            both = [question for question in asked if question.plain != question.text]
            opinions = self._model.judge([*(question.text for question in asked), *(one.plain for one in both)])
            plain = iter(opinions[len(asked) :])
            for question, opinion in zip(asked, opinions[: len(asked)], strict=True):
                calmer = opinion
                if question.plain != question.text:
                    calmer = min(opinion, next(plain), key=_worst)
                self._note(question, calmer)

    def _note(self, question: _Question, opinion: Opinion) -> None:
        case, view = question.case, question.view
        if question.minors:
            opinion = _of_minors(opinion)
        trusted = case.language == UNKNOWN or case.language in self._model.languages
        factor = 1.0 if trusted else UNTRAINED
        for category, probability in opinion.probabilities.items():
            counts = question.floors if category in FLOORS else question.others
            if category == ANY or probability <= 0 or not counts:
                continue
            start, end = opinion.spans.get(category, (0, len(question.text)))
            words = view.mapped.text[start:end]
            if not words:
                start, end, words = 0, len(question.text), view.mapped.text
            span = view.mapped.span(start, end)
            _keep(case.by_model, Reason(category, span, view.name, self._model.name, probability * factor, "", words))
        if question.others:
            case.risk = max(case.risk, opinion.probabilities.get(ANY, 0.0) * factor)

    def _decide(self, case: _Case) -> Decision:
        reasons = case.reasons()
        scores = dict.fromkeys(CATEGORIES, 0.0)
        for reason in reasons:
            scores[reason.category] = max(scores[reason.category], reason.score)
        flagged = sorted(
            (category for category in CATEGORIES if scores[category] >= self.policy.categories[category].threshold),
            key=lambda category: -scores[category],
        )
        action = strongest([self.policy.categories[category].action for category in flagged])
        decision = Decision(
            allowed=action != "refuse",
            action=action,
            risk=max(case.risk, *scores.values()),
            flagged=tuple(flagged),
            scores=scores,
            reasons=tuple(replace(reason, text=case.text[slice(*reason.span)]) for reason in _told(reasons, flagged)),
            policy=self.policy.label,
            language=case.language,
            language_confidence=case.confidence,
        )
        if self.audit is not None:
            self.audit.add(case.text, decision, self._model.name)
        return decision


def _of_minors(opinion: Opinion) -> Opinion:
    """An opinion on a text that speaks of someone under age: what is intimate in it is ``sexual_minors``."""
    worst = max(INTIMATE, key=lambda category: opinion.probabilities.get(category, 0.0))
    probability = opinion.probabilities.get(worst, 0.0)
    if probability <= opinion.probabilities.get("sexual_minors", 0.0):
        return opinion
    spans = {**opinion.spans, "sexual_minors": opinion.spans[worst]} if worst in opinion.spans else opinion.spans
    return Opinion({**opinion.probabilities, "sexual_minors": probability}, spans)


def _worst(opinion: Opinion) -> float:
    return max(opinion.probabilities.values(), default=0.0)


def _keep(best: dict[tuple[str, str], Reason], reason: Reason) -> None:
    key = (reason.category, reason.rule)
    if key not in best or reason.score > best[key].score:
        best[key] = reason


def _questions(case: _Case, view: View, masked: str, allowed: Allowed, minors: bool) -> Iterator[_Question]:
    """What to ask about a view; ``masked`` is its text without idioms. Allowed phrases excuse nothing with a floor."""
    plain = view.mapped.text
    without = allowed.blanked(masked)
    if without == masked:
        asked = [_Question(case, view, masked, plain, minors)]
    else:
        asked = [
            _Question(case, view, masked, plain, minors, others=False),
            _Question(case, view, without, allowed.blanked(plain), minors, floors=False),
        ]
    for question in asked:
        if question.text.strip():
            yield question


def _most_suspect(questions: list[_Question]) -> list[_Question]:
    """At most ``MOST``: those with the sentences that the linear tier, which is much quicker, finds worst."""
    if len(questions) <= MOST:
        return questions
    worst = []
    for question in questions:
        sentences = [question.text[start:end] for start, end in cut_sentences(question.text)]
        worst.append(max(opinion.probabilities[ANY] for opinion in load_linear().judge(sentences)))
    return [questions[i] for i in sorted(heapq.nlargest(MOST, range(len(worst)), key=worst.__getitem__))]


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
