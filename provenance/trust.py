"""How manifests are validated: whose roots count, and nothing fetched from anywhere.

Only ``Trusted`` counts as trusted: ``Valid`` merely says that a file is signed by somebody, an attacker's re-signing
included. Network access, remote manifests and identity assertions are off, since scanned files are hostile.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from countermark.errors import BadKey
from countermark.provenance.identity import test_root
from countermark.settings import Settings

__all__ = ["context_for"]

PURPOSES = "1.3.6.1.5.5.7.3.4\n1.3.6.1.5.5.7.3.36\n1.3.6.1.4.1.62558.2.1\n"


def context_for(settings: Settings, *, test: bool = True) -> Any:
    """A c2pa context that trusts the settings' anchors and, with ``test``, this machine's TEST root."""
    anchors = b""
    for path in settings.anchors:
        try:
            anchors += path.read_bytes() + b"\n"
        except OSError as error:
            raise BadKey(f"cannot read the trust anchors {path}: {error.strerror}") from None
    return _context(anchors + ((test_root(settings) if test else None) or b""))


@lru_cache(maxsize=4)
def _context(anchors: bytes) -> Any:
    import c2pa

    trust: dict[str, Any] = {"trust_config": PURPOSES}
    if anchors:
        trust["trust_anchors"] = anchors.decode("ascii", "replace")
    try:
        return c2pa.Context.from_dict(
            {
                "trust": trust,
                "verify": {
                    "verify_trust": True,
                    "verify_after_sign": True,
                    "verify_after_sign_hash": True,
                    "remote_manifest_fetch": False,
                    "ocsp_fetch": False,
                },
                "core": {
                    "allowed_network_hosts": [],
                    "decode_identity_assertions": False,
                    "backing_store_memory_threshold_in_mb": 16,  # of a copy that signing makes: the rest on the disk
                },
                "builder": {"thumbnail": {"enabled": False}},
            }
        )
    except Exception as error:
        raise BadKey(f"the trust anchors cannot be used: {error}") from None
