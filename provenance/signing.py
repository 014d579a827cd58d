"""Signs a file: puts a manifest into a copy of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from countermark.errors import SealFailed
from countermark.media import MIME
from countermark.provenance.identity import Identity
from countermark.provenance.trust import context_for
from countermark.settings import Settings

__all__ = ["sign_file"]


def sign_file(
    raw: Path, signed: Path, made: dict[str, Any], identity: Identity, settings: Settings, *, parent: Path | None
) -> bytes:
    """Writes ``signed``, which is ``raw`` with the manifest ``made``, to the disk; returns the manifest's bytes.

    ``parent``: a file that becomes the ingredient labelled ``parent``. Raises SealFailed with the reason alone, BadKey
    for an identity that cannot be used, and OSError where the disk was the reason.
    """
    import c2pa

    failure: list[Exception] = []
    signer = _recording(identity, failure).signer()
    try:
        builder = c2pa.Builder(made, context=context_for(settings))
        if parent is not None:
            with parent.open("rb") as stream:
                ingredient = {"title": parent.name, "relationship": "parentOf", "label": "parent"}
                builder.add_ingredient(ingredient, MIME.get(parent.suffix.lower(), "video/mp4"), stream)
        with raw.open("rb") as source, signed.open("w+b") as target:
            manifest = bytes(builder.sign(signer, made["format"], source, target))
            target.flush()
            os.fsync(target.fileno())
    except c2pa.C2paError as error:
        _raise_disk_error(signed, raw)
        raise SealFailed(str(failure[0] if failure else error)) from None
    return manifest


def _recording(identity: Identity, failure: list[Exception]) -> Identity:
    """The identity with its callback's exceptions kept, which the library would report as a bad signature."""
    if identity.sign is None:
        return identity
    inner = identity.sign

    def sign(data: bytes) -> bytes:
        try:
            return inner(data)
        except Exception as error:
            failure.append(error)
            raise

    return Identity(identity.chain, identity.algorithm, None, sign, identity.tsa_url, identity.test)


def _raise_disk_error(signed: Path, raw: Path) -> None:
    """Raises the OSError behind a failed signing when a plain copy to the same place fails too."""
    with raw.open("rb") as source, signed.open("wb") as target:
        while block := source.read(1 << 20):
            target.write(block)
