"""Reads and judges the C2PA manifest of a file, or one that was recovered for it.

Hostile files are expected: whatever the library raises becomes a state, and nothing is fetched.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from countermark.media import MIME
from countermark.provenance.chain import Link, chain_of
from countermark.provenance.manifest import SOFT_BINDING
from countermark.provenance.trust import context_for
from countermark.report import CredentialState
from countermark.settings import Settings

__all__ = ["Credentials", "inspect", "recover"]

HASH_MISMATCHES = {"assertion.bmffHash.mismatch", "assertion.dataHash.mismatch", "assertion.boxesHash.mismatch"}
UNTRUSTED = {"signingCredential.untrusted"}


@dataclass(frozen=True)
class Credentials:
    """What a manifest amounts to.

    ``state`` is the contract's ``credentials``; ``codes`` are the validator's failure codes, or the kind of exception
    it raised; ``source_types`` the last parts of the IPTC digital source types that its actions claim; ``bindings``
    its soft bindings as (algorithm, value); ``chain`` all its manifests, the active one first.
    """

    state: CredentialState
    codes: tuple[str, ...] = ()
    generator: str | None = None
    manifest_id: str | None = None
    signer: str | None = None
    source_types: tuple[str, ...] = ()
    bindings: tuple[tuple[str, str], ...] = ()
    ingredients: int = 0
    chain: tuple[Link, ...] = ()

    @property
    def payload(self) -> str | None:
        """Payload of our own soft binding, as hexadecimal digits."""
        return next((value for alg, value in self.bindings if alg == SOFT_BINDING), None)


def inspect(path: Path, settings: Settings) -> Credentials:
    """Judges the manifest inside a file."""
    found = _read(path, settings, None)
    if found.state == "trusted" and _read(path, settings, None, test=False).state != "trusted":
        return replace(found, state="test_identity")
    return found


def recover(path: Path, manifest: bytes, payload: str, settings: Settings) -> Credentials | None:
    """Judges a stored manifest against a file that lost its own; None when it is no match.

    It counts as recovered when nothing but the asset's hash differs, the signer is trusted and the signature holds,
    and every soft binding of ours names the payload that was read from the frames.
    """
    found = _read(path, settings, manifest)
    ours = [value for alg, value in found.bindings if alg == SOFT_BINDING]
    matches = bool(ours) and all(value == payload for value in ours)
    if not matches or found.state not in ("trusted", "tampered") or set(found.codes) - HASH_MISMATCHES:
        return None
    return replace(found, state="recovered")


def _read(path: Path, settings: Settings, manifest: bytes | None, *, test: bool = True) -> Credentials:
    import c2pa

    context = context_for(settings, test=test)
    try:
        with path.open("rb") as stream:
            reader = c2pa.Reader.try_create(_mime(path), stream, manifest_data=manifest, context=context)
            if reader is None:
                return Credentials("none")
            with reader:
                state = reader.get_validation_state()
                results = reader.get_validation_results() or {}
                store = json.loads(reader.json())
    except c2pa.C2paError as error:
        kind = type(error).__name__.lstrip("_")
        if kind in ("ManifestNotFound", "NotSupported") or "NotSupported" in str(error)[:40]:
            return Credentials("none")
        return Credentials("unreadable", (f"exception.{kind}",))
    except Exception as error:
        return Credentials("unreadable", (f"exception.{type(error).__name__}",))
    return _judge(str(state), results, store)


def _judge(state: str, results: dict[str, Any], store: dict[str, Any]) -> Credentials:
    active = results.get("activeManifest") or {}
    failures = tuple(dict.fromkeys(str(item.get("code")) for item in active.get("failure") or []))
    successes = {str(item.get("code")) for item in active.get("success") or []}
    manifest_id = store.get("active_manifest")
    manifest = (store.get("manifests") or {}).get(manifest_id) or {}
    if state == "Trusted":
        verdict: CredentialState = "trusted"
    elif state == "Valid":
        verdict = "untrusted_signer"
    else:
        serious = set(failures) - UNTRUSTED
        verdict = "tampered" if serious or "claimSignature.validated" not in successes else "untrusted_signer"
    info = (manifest.get("claim_generator_info") or [{}])[0]
    generator = " ".join(str(info[k]) for k in ("name", "version") if info.get(k)) or None
    signature = manifest.get("signature_info") or {}
    return Credentials(
        state=verdict,
        codes=failures,
        generator=generator,
        manifest_id=manifest_id,
        signer=signature.get("common_name") or signature.get("issuer"),
        source_types=_source_types(manifest),
        bindings=_bindings(manifest),
        ingredients=len(manifest.get("ingredients") or []),
        chain=chain_of(store, results),
    )


def _source_types(manifest: dict[str, Any]) -> tuple[str, ...]:
    found = []
    for assertion in manifest.get("assertions") or []:
        if str(assertion.get("label", "")).startswith("c2pa.actions"):
            for action in (assertion.get("data") or {}).get("actions") or []:
                if action.get("digitalSourceType"):
                    found.append(str(action["digitalSourceType"]).rsplit("/", 1)[-1])
    return tuple(dict.fromkeys(found))


def _bindings(manifest: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    found = []
    for assertion in manifest.get("assertions") or []:
        if str(assertion.get("label", "")).startswith("c2pa.soft-binding"):
            data = assertion.get("data") or {}
            found += [(str(data.get("alg")), _text(b.get("value"))) for b in data.get("blocks") or []]
    return tuple(found)


def _text(value: Any) -> str:
    """A binding's value; some versions of the library give text back as base64 of its bytes."""
    if isinstance(value, str) and not re.fullmatch("[0-9a-f]{16}", value):
        try:
            decoded = base64.b64decode(value, validate=True).decode("ascii")
        except (binascii.Error, UnicodeDecodeError):
            return value
        return decoded if re.fullmatch("[0-9a-f]{16}", decoded) else value
    return bytes(value).hex() if isinstance(value, list) else str(value)


def _mime(path: Path) -> str:
    return MIME.get(path.suffix.lower(), "video/mp4")
