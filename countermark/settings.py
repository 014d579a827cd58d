"""Where state lives, and the one settings file.

Keys, store and settings are in ``COUNTERMARK_HOME`` when it is set, else in the platform's data folder. Settings are
in ``settings.toml`` there; every key is optional::

    [watermark]
    keys = ["old.key"]            # further keys to scan with, beside watermark.key
    strength = "standard"         # subtle, standard, strong

    [signing]                     # production identity; without it a TEST identity is made at first use
    chain = "chain.pem"           # leaf first, then intermediates
    key = "leaf.key"              # unencrypted PKCS#8
    algorithm = "es256"
    tsa_url = "http://..."        # time stamping authority

    [trust]
    anchors = ["roots.pem"]       # whose signatures count as trusted, beside our own root

    [store]
    url = "postgresql+psycopg://user@host/db"   # default: SQLite in the home

    [moderation]
    policy = "standard"           # a name, or a policy file (.toml)
    model = "embedded"            # or linear, cascade, openai:URL, or a model of Hugging Face: a folder or hub id
    frames = "auto"               # whether finished videos are checked: auto (where the extra is installed), on, off
    audit = "audit.jsonl"         # a line for each decision, without the prompt; none when absent
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from countermark.errors import BadSettings

__all__ = ["Settings", "home", "load_settings"]

SHAPE: dict[str, dict[str, type]] = {
    "watermark": {"keys": list, "strength": str},
    "signing": {"chain": str, "key": str, "algorithm": str, "tsa_url": str},
    "trust": {"anchors": list},
    "store": {"url": str},
    "moderation": {"policy": str, "model": str, "frames": str, "audit": str},
}
ALGORITHMS = ("es256", "es384", "es512", "ps256", "ps384", "ps512", "ed25519")
STRENGTHS = ("subtle", "standard", "strong")
FRAMES = ("auto", "on", "off")


@dataclass(frozen=True)
class Settings:
    """Settings as loaded; paths are absolute or relative to the home."""

    home: Path
    watermark_keys: tuple[Path, ...] = ()
    strength: str = "standard"
    chain: Path | None = None
    signing_key: Path | None = None
    algorithm: str = "es256"
    tsa_url: str | None = None
    anchors: tuple[Path, ...] = ()
    store_url: str | None = None
    policy: str = "standard"
    moderation_model: str = "embedded"
    frames: str = "auto"
    audit: Path | None = None

    @property
    def store(self) -> str:
        """URL of the manifest store."""
        return self.store_url or f"sqlite:///{self.home / 'store.db'}"


def home() -> Path:
    """The folder of keys, store and settings; it may not exist yet."""
    named = os.environ.get("COUNTERMARK_HOME")
    if named:
        return Path(named).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_data_dir("countermark", appauthor=False))


def load_settings() -> Settings:
    """Reads ``settings.toml`` of the home.

    Raises BadSettings for a file that is no TOML, and for unknown keys, which the libraries below would ignore.
    """
    folder = home()
    path = folder / "settings.toml"
    if not path.exists():
        return Settings(folder)
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadSettings(f"{path}: {error}") from None
    _check(path, table)
    marks, signing, moderation = (table.get(section, {}) for section in ("watermark", "signing", "moderation"))
    if ("chain" in signing) != ("key" in signing):
        raise BadSettings(f"{path}: [signing] needs both chain and key")
    if signing.get("algorithm", "es256") not in ALGORITHMS:
        raise BadSettings(f"{path}: signing.algorithm must be one of {', '.join(ALGORITHMS)}")
    if marks.get("strength", "standard") not in STRENGTHS:
        raise BadSettings(f"{path}: watermark.strength must be one of {', '.join(STRENGTHS)}")
    if moderation.get("frames", "auto") not in FRAMES:
        raise BadSettings(f"{path}: moderation.frames must be one of {', '.join(FRAMES)}")
    return Settings(
        home=folder,
        watermark_keys=tuple(folder / name for name in marks.get("keys", [])),
        strength=marks.get("strength", "standard"),
        chain=folder / signing["chain"] if "chain" in signing else None,
        signing_key=folder / signing["key"] if "key" in signing else None,
        algorithm=signing.get("algorithm", "es256"),
        tsa_url=signing.get("tsa_url"),
        anchors=tuple(folder / name for name in table.get("trust", {}).get("anchors", [])),
        store_url=table.get("store", {}).get("url"),
        policy=_named(folder, moderation.get("policy", "standard")),
        moderation_model=_named(folder, moderation.get("model", "embedded")),
        frames=moderation.get("frames", "auto"),
        audit=folder / moderation["audit"] if "audit" in moderation else None,
    )


def _named(folder: Path, name: str) -> str:
    """What a name in the settings means: a file or folder of the home that is called so, else the name itself."""
    return str(folder / name) if name and (folder / name).exists() else name


def _check(path: Path, table: dict[str, Any]) -> None:
    for section, values in table.items():
        if section not in SHAPE:
            raise BadSettings(f"{path}: unknown section [{section}]; known are {', '.join(SHAPE)}")
        if not isinstance(values, dict):
            raise BadSettings(f"{path}: {section} must be a section, [{section}]")
        for name, value in values.items():
            if name not in SHAPE[section]:
                raise BadSettings(f"{path}: unknown key {section}.{name}; known are {', '.join(SHAPE[section])}")
            if not isinstance(value, SHAPE[section][name]):
                raise BadSettings(f"{path}: {section}.{name} must be a {SHAPE[section][name].__name__}")
            if isinstance(value, list) and not all(isinstance(one, str) for one in value):
                raise BadSettings(f"{path}: {section}.{name} must be a list of strings")
