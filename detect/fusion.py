"""From signals to a verdict, by rules that are tried in this order (docs/detection.md has them as a table):

1. ``transplant``: our mark on content that is not what was sealed: ``inconclusive``.
   ``camera_contradicted``: a trusted camera manifest on a file that carries a mark, ours (whatever the store knows) or
   another generator's, or that the classifier takes for generated: ``inconclusive``, since signals conflict.
2. ``manifest``: a trusted, test-identity or recovered manifest says generated or edited with a model: ``generated``.
3. ``mark``: our mark with a payload of the store, on matching content: ``generated``.
4. ``camera``: a trusted manifest says captured: ``captured``.
5. ``classifier``, ``known_mark``: what either says alone: ``likely_generated``. Public marks can be forged.
6. ``unknown_mark``: a mark of ours that the store does not know or that cannot be read or compared; ``credentials``:
   they are tampered with, unreadable or signed by a stranger; ``unsure``: the classifier cannot tell: ``inconclusive``.
7. ``nothing``: ``no_evidence``, which never means "real".

The classifier never turns a trusted manifest's claim into another one, and its probability is reported whatever rule
decides. The fingerprint decides nothing alone: it is what tells a mark on its own content from a transplant.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from countermark.report import CredentialState, Evidence, Rule, Verdict

__all__ = ["Fused", "fuse"]

VOUCHED: tuple[CredentialState, ...] = ("trusted", "test_identity", "recovered")


class Fused(NamedTuple):
    """A verdict, the probability of generation (None where only the rules speak), the rule, and the sources that made
    it apply: two or more where they conflict.
    """

    verdict: Verdict
    probability: float | None
    rule: Rule
    because: tuple[str, ...]


def fuse(evidence: Sequence[Evidence], credentials: CredentialState) -> Fused:
    """Applies the rules to evidence of all five sources, in any order."""
    by = {one.source: one for one in evidence}
    c2pa, mark, classifier, known = by["c2pa"], by["watermark"], by["classifier"], by["known_marks"]

    def made(verdict: Verdict, rule: Rule, *because: str) -> Fused:
        return Fused(verdict, classifier.figures.get("probability"), rule, because)

    detected = bool(mark.figures.get("detected"))
    captured = c2pa.says == "captured" and credentials == "trusted"
    against = [
        source
        for source, speaks in (
            ("watermark", mark.says == "generated" or detected),
            ("known_marks", known.says == "generated"),
            ("classifier", classifier.says == "generated"),
        )
        if speaks
    ]
    if mark.says == "conflict":
        claims = ["c2pa"] if c2pa.says in ("generated", "edited", "captured") else []
        return made("inconclusive", "transplant", "watermark", "fingerprint", *claims)
    if captured and against:
        return made("inconclusive", "camera_contradicted", "c2pa", *against)
    if c2pa.says in ("generated", "edited") and credentials in VOUCHED:
        return made("generated", "manifest", "c2pa")
    if mark.says == "generated":
        return made("generated", "mark", "watermark", "fingerprint")
    if captured:
        return made("captured", "camera", "c2pa")
    if known.says == "generated":
        return made("likely_generated", "known_mark", *(one for one in against if one != "watermark"))
    if classifier.says == "generated":
        return made("likely_generated", "classifier", "classifier")
    if detected:
        return made("inconclusive", "unknown_mark", "watermark")
    if credentials in ("tampered", "unreadable", "untrusted_signer"):
        return made("inconclusive", "credentials", "c2pa")
    if classifier.says == "unsure":
        return made("inconclusive", "unsure", "classifier")
    return made("no_evidence", "nothing")
