"""Weights files are pinned: a file counts only when its sha256 is the one in the code."""

from __future__ import annotations

import hashlib
from typing import Any

from countermark.errors import WeightsMissing

__all__ = ["pinned"]


def pinned(entry: Any, sha256: str, what: str) -> bytes:
    """The bytes of a weights file (a path, or a package's resource), ``what`` naming whose they are.

    Raises WeightsMissing where the file cannot be read or is another one.
    """
    try:
        raw: bytes = entry.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise WeightsMissing(f"the weights of {what} cannot be read: {reason}") from None
    digest = hashlib.sha256(raw).hexdigest()
    if digest != sha256:
        raise WeightsMissing(f"{entry.name} is damaged or of another version (sha256 {digest[:12]}...)")
    return raw
