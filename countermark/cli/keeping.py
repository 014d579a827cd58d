"""``keys``: the watermark key and the signing identity."""

from __future__ import annotations

from typing import Any

import typer

from countermark.cli.shell import Json, show_json

keys_app = typer.Typer(no_args_is_help=True, help="The watermark key and the signing identity.", rich_markup_mode=None)


@keys_app.command("init")
def keys_init(as_json: Json = False) -> None:
    """Make the watermark key and, unless settings name another, the TEST signing identity."""
    from countermark.provenance import ensure_identity, keys_of
    from countermark.settings import load_settings

    settings = load_settings()
    _show_keys(keys_of(settings, create=True), ensure_identity(settings), as_json)


@keys_app.command("show")
def keys_show(as_json: Json = False) -> None:
    """Show which keys are in use; secrets are never printed."""
    from countermark.provenance import keys_of, load_identity
    from countermark.settings import load_settings

    settings = load_settings()
    _show_keys(keys_of(settings), load_identity(settings), as_json)


@keys_app.command("rotate")
def keys_rotate(as_json: Json = False) -> None:
    """Mark with a new key from now on; the old one is kept for scanning. TEST certificates are renewed too."""
    from countermark.provenance import ensure_identity, keys_of, rotate_keys
    from countermark.settings import load_settings

    rotate_keys(load_settings())
    settings = load_settings()
    _show_keys(keys_of(settings), ensure_identity(settings), as_json)


def _show_keys(keys: list[Any], identity: Any, as_json: bool) -> None:
    ids = [key.id for key in keys]
    if as_json:
        signer = {"subject": identity.subject, "test": identity.test} if identity else None
        show_json({"schema": 1, "watermark_keys": ids, "signer": signer})
        return
    print(f"watermark key: {', '.join(ids) or 'none yet'}")
    print(f"signer: {identity.subject if identity else 'none yet'}")
