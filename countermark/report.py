"""What a scan says of one file: the facts, one Evidence a signal, and the verdict.

The JSON of these classes is a stable contract (``"schema": 1``).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

__all__ = ["CREDENTIALS", "SCHEMA", "SOURCES", "VERDICTS", "Evidence", "MediaFacts", "Report", "Rule", "Segment"]

SCHEMA = 1
Verdict = Literal["generated", "likely_generated", "captured", "inconclusive", "no_evidence"]
CredentialState = Literal["trusted", "test_identity", "untrusted_signer", "tampered", "recovered", "none", "unreadable"]
Rule = Literal[
    "transplant",
    "camera_contradicted",
    "manifest",
    "mark",
    "camera",
    "known_mark",
    "classifier",
    "unknown_mark",
    "credentials",
    "unsure",
    "nothing",
]
VERDICTS: tuple[Verdict, ...] = ("generated", "likely_generated", "captured", "inconclusive", "no_evidence")
CREDENTIALS: tuple[CredentialState, ...] = (
    "trusted",
    "test_identity",
    "untrusted_signer",
    "tampered",
    "recovered",
    "none",
    "unreadable",
)
SOURCES = ("c2pa", "watermark", "fingerprint", "classifier", "known_marks")


@dataclass(frozen=True)
class MediaFacts:
    """Facts of a file. ``kind`` is ``video`` or ``image``; sizes in pixels as shown (rotation applied)."""

    kind: str
    width: int
    height: int
    fps: float | None
    seconds: float | None
    codec: str
    sha256: str


@dataclass(frozen=True)
class Evidence:
    """One signal.

    ``applies``: whether the signal could be looked at; ``says``: ``generated``, ``captured``, ``edited``,
    ``tampered``, ``conflict`` or ``nothing``; ``why``: one plain sentence; ``figures``: the signal's own fields, which
    the JSON shows beside these.
    """

    source: str
    applies: bool
    says: str
    why: str
    figures: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values, the figures flattened in."""
        return {"source": self.source, "applies": self.applies, "says": self.says, "why": self.why, **self.figures}


@dataclass(frozen=True)
class Segment:
    """A stretch of the file, in seconds, and the probability that it was generated."""

    start: float
    end: float
    probability: float


@dataclass(frozen=True)
class Report:
    """A file's verdict with everything that led to it. ``probability`` is None where nothing gave one.

    ``rule`` names the rule of fusion that decided, ``because`` the sources whose evidence made it apply.
    """

    path: str
    media: MediaFacts
    verdict: Verdict
    probability: float | None
    credentials: CredentialState
    evidence: tuple[Evidence, ...]
    segments: tuple[Segment, ...] = ()
    timing: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    rule: Rule = "nothing"
    because: tuple[str, ...] = ()

    def of(self, source: str) -> Evidence:
        """The evidence of one source."""
        return next(e for e in self.evidence if e.source == source)

    def to_json(self) -> dict[str, Any]:
        """The contract's object, plain values only."""
        return {
            "schema": SCHEMA,
            "path": self.path,
            "media": asdict(self.media),
            "verdict": self.verdict,
            "probability": self.probability,
            "rule": self.rule,
            "because": list(self.because),
            "credentials": self.credentials,
            "evidence": [e.to_json() for e in self.evidence],
            "segments": [asdict(s) for s in self.segments],
            "timing": self.timing,
            "notes": list(self.notes),
        }
