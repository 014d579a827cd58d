"""The watermark keys of a home: the one that marks, and older ones that scans still look for."""

from __future__ import annotations

import os

from countermark.errors import BadKey
from countermark.provenance.identity import rotate_test_identity
from countermark.settings import Settings
from countermark.watermark import Key, load_key, make_key_file

__all__ = ["keys_of", "rotate_keys"]


def keys_of(settings: Settings, *, create: bool = False) -> list[Key]:
    """The key that marks first, then those of earlier rotations and of the settings; ``create`` makes it at first use.

    Raises BadKey for a key file that cannot be used.
    """
    path = settings.home / "watermark.key"
    if create and not path.exists():
        make_key_file(path)
    own = [load_key(path)] if path.exists() else []
    older = sorted((settings.home / "old-keys").glob("*.key"))
    keys = own + [load_key(one) for one in (*older, *settings.watermark_keys)]
    return list({key.id: key for key in keys}.values())


def rotate_keys(settings: Settings) -> Key:
    """Retires the key that marks to ``old-keys`` and makes a new one; renews the TEST certificates, if in use."""
    path = settings.home / "watermark.key"
    if path.exists():
        old = settings.home / "old-keys" / f"{load_key(path).id}.key"
        try:
            old.parent.mkdir(mode=0o700, exist_ok=True)
            os.link(path, old)  # both names hold the key before the first goes: no moment without it
            path.unlink()
        except OSError as error:
            raise BadKey(f"cannot retire {path}: {error.strerror}") from None
    if settings.chain is None:
        rotate_test_identity(settings)
    return make_key_file(path)
