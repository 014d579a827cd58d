"""Who signs: a production chain from settings or a callback, or a TEST identity made at first use.

The TEST identity is a root, an intermediate and a leaf that say TEST in their names. Its root is trusted on this
machine only; scans report it as ``test_identity``, never as ``trusted``.
"""

from __future__ import annotations

import datetime
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from countermark.errors import BadKey
from countermark.settings import Settings

if TYPE_CHECKING:
    from cryptography import x509

__all__ = ["TEST_ROOT_NAME", "Identity", "ensure_identity", "load_identity", "rotate_test_identity", "test_root"]

TEST_ROOT_NAME = "Countermark TEST root, not for production"
ALLOWED_PURPOSES = {  # extended key usages a C2PA signer may have (C2PA 2.2, section 14.5.1)
    "1.3.6.1.5.5.7.3.4",  # emailProtection
    "1.3.6.1.5.5.7.3.36",  # documentSigning
    "1.3.6.1.4.1.62558.2.1",  # C2PA claim signing
}


@dataclass(frozen=True)
class Identity:
    """A signing identity.

    ``chain``: PEM, leaf first, then intermediates. ``key``: PEM of the leaf's private key (unencrypted PKCS#8), or
    ``sign``: a function from bytes to a signature (raw or DER), for keys that live elsewhere. ``test``: whether it is
    the TEST identity.
    """

    chain: bytes
    algorithm: str = "es256"
    key: bytes | None = None
    sign: Callable[[bytes], bytes] | None = None
    tsa_url: str | None = None
    test: bool = False

    def __repr__(self) -> str:
        return f"Identity({self.subject!r}, {self.algorithm}{', TEST' if self.test else ''})"

    @property
    def subject(self) -> str:
        """Common name of the leaf."""
        from cryptography import x509
        from cryptography.x509.oid import NameOID

        names = x509.load_pem_x509_certificate(self.chain).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return str(names[0].value) if names else "unnamed"

    def signer(self) -> Any:
        """A c2pa signer, reusable. Raises BadKey when the library refuses the chain or the key."""
        import c2pa

        try:
            if self.sign is not None:
                kind = getattr(c2pa.C2paSigningAlg, self.algorithm.upper())
                return c2pa.Signer.from_callback(self.sign, kind, self.chain.decode(), self.tsa_url)
            assert self.key is not None
            info = c2pa.C2paSignerInfo(self.algorithm.encode(), self.chain, self.key, self.tsa_url)
            return c2pa.Signer.from_info(info)
        except Exception as error:
            raise BadKey(f"the signing identity {self.subject!r} cannot be used: {error}") from None


def ensure_identity(settings: Settings) -> Identity:
    """The production identity of the settings, or the TEST identity, made now if there is none yet."""
    found = load_identity(settings)
    return found or _make_test_identity(settings.home / "identity")


def load_identity(settings: Settings) -> Identity | None:
    """The identity of the settings or of an earlier first use; None before that.

    Raises BadKey for files that are missing, unreadable or unfit to sign.
    """
    if settings.chain is not None and settings.signing_key is not None:
        chain, key = _read(settings.chain), _read(settings.signing_key)
        check_chain(chain, key)
        return Identity(chain, settings.algorithm, key, tsa_url=settings.tsa_url)
    folder = settings.home / "identity"
    if not (folder / "chain.pem").exists():
        return None
    chain, key = _read(folder / "chain.pem"), _read(folder / "leaf.key")
    check_chain(chain, key)
    return Identity(chain, "es256", key, test=True)


def test_root(settings: Settings) -> bytes | None:
    """PEM of the TEST root, where there is one."""
    path = settings.home / "identity" / "root.pem"
    return _read(path) if path.exists() else None


def rotate_test_identity(settings: Settings) -> Identity:
    """Replaces the TEST leaf and intermediate under the same root, so that earlier files stay valid."""
    return _make_test_identity(settings.home / "identity")


def check_chain(chain: bytes, key: bytes) -> None:
    """Raises BadKey for a chain that validators would reject: wrong key, purpose, or dates."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.x509.oid import ExtensionOID

    try:
        leaf = x509.load_pem_x509_certificate(chain)
        private = serialization.load_pem_private_key(key, None)
    except (ValueError, TypeError) as error:
        raise BadKey(f"the signing chain or key cannot be read: {error}") from None

    def spki(public: Any) -> bytes:
        data: bytes = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return data

    if spki(leaf.public_key()) != spki(private.public_key()):
        raise BadKey("the signing key does not belong to the first certificate of the chain")
    now = datetime.datetime.now(datetime.UTC)
    if not leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc:
        raise BadKey(f"the signing certificate is not valid now (until {leaf.not_valid_after_utc:%Y-%m-%d})")
    try:
        usages = leaf.extensions.get_extension_for_oid(ExtensionOID.EXTENDED_KEY_USAGE).value
    except x509.ExtensionNotFound:
        raise BadKey("the signing certificate names no extended key usage") from None
    if not {usage.dotted_string for usage in usages} & ALLOWED_PURPOSES:  # type: ignore[attr-defined]  # ExtendedKeyUsage
        raise BadKey("the signing certificate is not made for signing content (extended key usage)")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadKey(f"cannot read {path}: {error.strerror}") from None


def _make_test_identity(folder: Path) -> Identity:
    """Writes root, intermediate and leaf into a folder at once (by renaming a finished one), or joins an older root."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    def pem(certificate: x509.Certificate) -> bytes:
        return certificate.public_bytes(serialization.Encoding.PEM)

    def private(key: ec.EllipticCurvePrivateKey) -> bytes:
        return key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    if (folder / "root.key").exists():
        root_key: Any = serialization.load_pem_private_key(_read(folder / "root.key"), None)
        root = x509.load_pem_x509_certificate(_read(folder / "root.pem"))
    else:
        root_key = ec.generate_private_key(ec.SECP256R1())
        root = _certificate(TEST_ROOT_NAME, root_key.public_key(), None, root_key, days=3650)
    middle_key = ec.generate_private_key(ec.SECP256R1())
    middle = _certificate("Countermark TEST intermediate", middle_key.public_key(), root, root_key, days=3650)
    leaf_key = ec.generate_private_key(ec.SECP256R1())
    leaf = _certificate("Countermark TEST signer", leaf_key.public_key(), middle, middle_key, days=730, leaf=True)
    chain = pem(leaf) + pem(middle)
    files = {
        "root.pem": pem(root),
        "root.key": private(root_key),
        "chain.pem": chain,
        "leaf.key": private(leaf_key),
    }
    fresh = folder.with_name(f"{folder.name}.{os.getpid()}.new")
    try:
        fresh.mkdir(parents=True, mode=0o700)
        for name, data in files.items():
            handle = os.open(fresh / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
        if folder.exists():
            old = folder.with_name(f"{folder.name}.{os.getpid()}.old")
            folder.rename(old)
            fresh.rename(folder)
            shutil.rmtree(old)
        else:
            fresh.rename(folder)
    except OSError as error:
        shutil.rmtree(fresh, ignore_errors=True)
        if (folder / "chain.pem").exists():  # another process was first
            return Identity(_read(folder / "chain.pem"), "es256", _read(folder / "leaf.key"), test=True)
        raise BadKey(f"cannot write the TEST identity to {folder}: {error.strerror}") from None
    return Identity(chain, "es256", files["leaf.key"], test=True)


def _certificate(
    name: str, public: Any, issuer: x509.Certificate | None, issuer_key: Any, *, days: int, leaf: bool = False
) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import NameOID, ObjectIdentifier

    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Countermark TEST"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=not leaf, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=leaf,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=not leaf,
                crl_sign=not leaf,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if leaf:
        usage = x509.ExtendedKeyUsage(
            [ObjectIdentifier("1.3.6.1.4.1.62558.2.1"), ObjectIdentifier("1.3.6.1.5.5.7.3.36")]
        )
        builder = builder.add_extension(usage, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())
