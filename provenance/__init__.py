"""Provenance: C2PA manifests, keys, the manifest store, fingerprints, and ``seal``, the one way out."""

from countermark.provenance.chain import Action, Ingredient, Link
from countermark.provenance.clip import Clip
from countermark.provenance.credentials import Credentials, inspect, recover
from countermark.provenance.fingerprint import MATCH, UNRELATED, Fingerprint, FingerprintMaker
from countermark.provenance.identity import Identity, ensure_identity, load_identity, rotate_test_identity
from countermark.provenance.keyring import keys_of, rotate_keys
from countermark.provenance.manifest import SOFT_BINDING, Maker, new_manifest_id
from countermark.provenance.registration import ALIKE, FINE, agreement
from countermark.provenance.sealing import Medium, Sealed, seal, seal_clip
from countermark.provenance.stills import Still
from countermark.provenance.store import Entry, Store

__all__ = [
    "ALIKE",
    "FINE",
    "MATCH",
    "SOFT_BINDING",
    "UNRELATED",
    "Action",
    "Clip",
    "Credentials",
    "Entry",
    "Fingerprint",
    "FingerprintMaker",
    "Identity",
    "Ingredient",
    "Link",
    "Maker",
    "Medium",
    "Sealed",
    "Still",
    "Store",
    "agreement",
    "ensure_identity",
    "inspect",
    "keys_of",
    "load_identity",
    "new_manifest_id",
    "recover",
    "rotate_keys",
    "rotate_test_identity",
    "seal",
    "seal_clip",
]
