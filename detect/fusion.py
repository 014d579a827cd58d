"""From signals to a verdict, by rules that are tried in this order:

1. A possible transplant (our mark on content that is not what was sealed), or a trusted camera manifest on a file that
   carries a mark, ours (whatever the store knows) or another generator's, or that the classifier takes for generated:
   ``inconclusive``, since signals conflict.
2. A trusted, test-identity or recovered manifest that says generated or edited with a model: ``generated``.
3. Our mark with a payload of the store, on matching content: ``generated``.
4. A trusted manifest that says captured: ``captured``.
5. The classifier, or another generator's known mark: ``likely_generated``. Public marks can be forged.
6. A mark of ours that the store does not know or that cannot be read, or credentials that are tampered with,
   unreadable or signed by a stranger, or a classifier that cannot tell: ``inconclusive``.
7. Otherwise ``no_evidence``, which never means "real".
"""

from __future__ import annotations

from collections.abc import Sequence

from countermark.report import CredentialState, Evidence, Verdict

__all__ = ["fuse"]

VOUCHED: tuple[CredentialState, ...] = ("trusted", "test_identity", "recovered")


def fuse(evidence: Sequence[Evidence], credentials: CredentialState) -> tuple[Verdict, float | None]:
    """The verdict and the probability of generation (None where only the rules speak)."""
    by = {one.source: one for one in evidence}
    c2pa, mark, classifier = by["c2pa"], by["watermark"], by["classifier"]
    probability = classifier.figures.get("probability")
    marked = mark.says == "generated" or mark.figures.get("detected") or by["known_marks"].says == "generated"
    captured = c2pa.says == "captured" and credentials == "trusted"
    if mark.says == "conflict" or (captured and (marked or classifier.says == "generated")):
        return "inconclusive", probability
    if c2pa.says in ("generated", "edited") and credentials in VOUCHED:
        return "generated", probability
    if mark.says == "generated":
        return "generated", probability
    if captured:
        return "captured", probability
    if classifier.says == "generated" or by["known_marks"].says == "generated":
        return "likely_generated", probability
    if mark.figures.get("detected") or credentials in ("tampered", "unreadable", "untrusted_signer"):
        return "inconclusive", probability
    if classifier.says == "unsure":
        return "inconclusive", probability
    return "no_evidence", probability
