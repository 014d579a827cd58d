"""Watermark keys: 32 secret bytes, from which the pilot's and the payload's signs are drawn.

The two are drawn from separate subkeys, since the proof of the false-positive rate needs the payload's signs to be
independent of everything that alignment and weighting have looked at (see :mod:`countermark.watermark.stats`).
"""

from __future__ import annotations

import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from countermark.errors import BadKey

__all__ = ["Key", "load_key", "make_key_file"]

SIZE = 32


@dataclass(frozen=True)
class Key:
    """A secret key; ``repr`` shows its public identifier, never the secret."""

    secret: bytes

    def __post_init__(self) -> None:
        if len(self.secret) != SIZE:
            raise BadKey(f"a watermark key has {SIZE} bytes, this one has {len(self.secret)}")

    @property
    def id(self) -> str:
        """First 8 hexadecimal digits of a hash of the key, safe to print."""
        return hashlib.sha256(b"countermark key id" + self.secret).hexdigest()[:8]

    def __repr__(self) -> str:
        return f"Key(id={self.id})"

    def signs(self, purpose: str, count: int) -> npt.NDArray[np.float32]:
        """``count`` signs (-1 or 1) for a purpose: the bits of a ChaCha20 key stream under a derived key."""
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

        subkey = hashlib.blake2b(purpose.encode(), key=self.secret, digest_size=32).digest()
        stream = Cipher(algorithms.ChaCha20(subkey, bytes(16)), mode=None).encryptor().update(bytes((count + 7) // 8))
        bits = np.unpackbits(np.frombuffer(stream, np.uint8))[:count]
        return bits.astype(np.float32) * 2 - 1

    def shuffler(self, purpose: str) -> np.random.Generator:
        """A generator for public-looking layout choices that both ends must repeat."""
        subkey = hashlib.blake2b(purpose.encode(), key=self.secret, digest_size=16).digest()
        return np.random.Generator(np.random.Philox(key=int.from_bytes(subkey, "little")))

    @classmethod
    def generate(cls) -> Key:
        """A fresh random key."""
        return cls(secrets.token_bytes(SIZE))


def load_key(path: Path) -> Key:
    """Reads a key file (64 hexadecimal digits).

    Raises BadKey when the file is missing or holds anything else.
    """
    try:
        return Key(bytes.fromhex(path.read_text("ascii").strip()))
    except (OSError, ValueError, UnicodeDecodeError) as error:
        raise BadKey(f"cannot use the watermark key {path}: {_plain(error)}") from None


def make_key_file(path: Path) -> Key:
    """Writes a fresh key to a new file that only its owner can read (0600), and returns it; never overwrites."""
    key = Key.generate()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return load_key(path)
    except OSError as error:
        raise BadKey(f"cannot write the watermark key {path}: {_plain(error)}") from None
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(key.secret.hex() + "\n")
    return key


def _plain(error: Exception) -> str:
    return (error.strerror or "unreadable") if isinstance(error, OSError) else "it is not 64 hexadecimal digits"
