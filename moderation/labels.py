"""What the labels of other people's models count for.

:func:`category_of` knows the usual names: those of the Jigsaw challenges (toxic-bert), of OpenAI's moderation endpoint
and of models trained on its labels, of hate and offence detectors, of detectors of pornography and of prompt injection.
A label that it does not know is harm of no category, ``any``, which counts for the risk and flags nothing; a policy's
``[labels]`` says better. Labels such as ``LABEL_1`` mean nothing, and need that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from countermark.errors import ModelUnavailable
from countermark.moderation.categories import CATEGORIES
from countermark.moderation.opinion import ANY, Opinion

__all__ = ["HAZARDS", "NONE", "category_of", "opinion_of"]

NONE: Final = "none"  # a harmless label

_NAMES: Final[Mapping[str, str]] = {
    "sexual": "s sexually explicit sexual_explicit sexual_content explicit nsfw porn pornography pornographic erotic"
    " erotica hentai nude nudity adult",
    "sexual_minors": "s3 minors csam csae child_abuse child_sexual_exploitation sexual_minor",
    "nonconsensual_intimate": "sex_crimes sex_related_crimes nonconsensual rape",
    "violence_graphic": "v v2 violence violent graphic_violence gore gory blood violent_crimes",
    "hate": "h h2 hateful hate_speech hatespeech hate_threatening identity_hate identity_attack racism racist sexism"
    " sexist misogyny homophobia discrimination extremism",
    "harassment": "hr harassment_threatening toxic toxicity severe_toxic severe_toxicity insult threat threatening"
    " abuse abusive offensive offensive_language bullying cyberbullying",
    "self_harm": "sh selfharm self_harm_intent self_harm_instructions suicide suicidal",
    "dangerous_acts": "illicit illicit_violent illegal dangerous dangerous_content weapon weapons drug drugs crime"
    " criminal terrorism",
    "fraud_impersonation": "fraud scam phishing impersonation",
    "election_misinformation": "election elections",
    "deceptive_public_figure": "defamation deepfake",
    "ip": "copyright intellectual_property trademark",
    "privacy": "pii personal_data personal_information doxxing",
    "shock": "shocking disturbing disgusting",
    "jailbreak": "injection prompt_injection prompt_attack",
    NONE: "ok safe neutral normal benign clean sfw harmless acceptable nothate nontoxic",
}
_KNOWN: Final[Mapping[str, str]] = {
    **{name: category for category, names in _NAMES.items() for name in names.split()},
    **{category: category for category in (*CATEGORIES, ANY, NONE)},
}
_NEGATED: Final = ("non_", "not_", "no_")
_MEANINGLESS: Final = re.compile(r"(?:label_?)?\d+")

# The hazards of Llama Guard 3 (MLCommons), S1 to S14; advice and abuse of a code interpreter have no category here.
HAZARDS: Final[Mapping[str, str]] = {
    "S1": "violence_graphic",
    "S2": "dangerous_acts",
    "S3": "nonconsensual_intimate",
    "S4": "sexual_minors",
    "S5": "deceptive_public_figure",
    "S6": ANY,
    "S7": "privacy",
    "S8": "ip",
    "S9": "dangerous_acts",
    "S10": "hate",
    "S11": "self_harm",
    "S12": "sexual",
    "S13": "election_misinformation",
    "S14": ANY,
}


def category_of(label: str, own: Mapping[str, str]) -> str:
    """The category that a label counts for, ``any``, or ``none``; ``own`` are a policy's labels, which come first.

    Raises :class:`countermark.errors.ModelUnavailable` for a label that has no meaning.
    """
    name = _plain(label)
    given = {_plain(key): category for key, category in own.items()}
    if name in given:
        return given[name]
    if name in _KNOWN:
        return _KNOWN[name]
    if _MEANINGLESS.fullmatch(name):
        raise ModelUnavailable(f"its label {label!r} says nothing: name a category for it in the policy's [labels]")
    return NONE if name.startswith(_NEGATED) else ANY


def opinion_of(
    scores: Iterable[tuple[str, float]], *, exclusive: bool = False, span: tuple[int, int] | None = None
) -> Opinion:
    """An opinion from probabilities by category, ``none`` among them.

    Those of one category, and of all for ``any``, are added where labels are ``exclusive`` (a softmax); else the
    highest counts. ``span`` is what they are said of, the whole text when None.
    """
    found: dict[str, float] = {ANY: 0.0}
    for category, score in scores:
        for key in {category, ANY} if category != NONE else ():
            before = found.get(key, 0.0)
            found[key] = min(1.0, before + score) if exclusive else max(before, score)
    return Opinion(found, dict.fromkeys(found, span) if span is not None else {})


def _plain(label: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", label.casefold()).strip("_")
