"""Countermark: generated video that is moderated, watermarked and signed, and a scanner that finds it again.

    import countermark

    countermark.moderate("a cat walks over a bridge").allowed
    countermark.generate("a red ball bounces in a studio, animated", "ball.mp4")   # -> Sealed
    countermark.seal("other.mp4", "sealed.mp4")                                    # -> Sealed
    countermark.scan("ball.mp4").verdict                                           # -> "generated"

The rooms are subpackages: ``moderation``, ``watermark``, ``provenance``, ``generate`` (callable too), ``detect``.
Everything is imported when it is first used, so that importing this package is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from countermark import watermark as watermark
    from countermark.detect import scan as scan
    from countermark.generate import generate as generate
    from countermark.moderation import moderate as moderate
    from countermark.provenance import Sealed as Sealed
    from countermark.provenance import seal as seal
    from countermark.report import Report as Report

__all__ = ["Report", "Sealed", "generate", "moderate", "scan", "seal", "watermark"]

_HOMES = {"Report": "report", "Sealed": "provenance", "moderate": "moderation", "scan": "detect", "seal": "provenance"}


def __getattr__(name: str) -> Any:
    if name in ("generate", "watermark"):
        return import_module(f"countermark.{name}")  # the generate room is itself callable
    if name in _HOMES:
        return getattr(import_module(f"countermark.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'countermark' has no attribute {name!r}")
