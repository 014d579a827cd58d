from pathlib import Path

import pytest

from countermark.errors import BadSettings
from countermark.settings import load_settings


def _write(home: Path, text: str) -> None:
    home.mkdir(exist_ok=True)
    (home / "settings.toml").write_text(text)


def test_defaults(home: Path):
    settings = load_settings()
    assert settings.home == home
    assert settings.store == f"sqlite:///{home / 'store.db'}"
    assert (settings.strength, settings.policy, settings.chain) == ("standard", "standard", None)


def test_paths_are_relative_to_the_home(home: Path):
    _write(home, '[signing]\nchain = "c.pem"\nkey = "/abs/k.pem"\n[trust]\nanchors = ["r.pem"]\n')
    settings = load_settings()
    assert settings.chain == home / "c.pem"
    assert settings.signing_key == Path("/abs/k.pem")
    assert settings.anchors == (home / "r.pem",)


def test_moderation_can_be_set(home: Path):
    plain = load_settings()
    assert (plain.policy, plain.moderation_model, plain.frames, plain.audit) == ("standard", "embedded", "auto", None)
    _write(home, '[moderation]\npolicy = "eu"\nmodel = "some/model"\nframes = "on"\naudit = "log.jsonl"\n')
    settings = load_settings()
    assert (settings.policy, settings.moderation_model, settings.frames) == ("eu", "some/model", "on")
    assert settings.audit == home / "log.jsonl"
    _write(home, '[moderation]\npolicy = "own.toml"\nmodel = "guard"\naudit = "/abs/log.jsonl"\n')
    assert (load_settings().policy, load_settings().moderation_model) == ("own.toml", "guard")
    (home / "own.toml").touch()
    (home / "guard").mkdir()
    settings = load_settings()
    assert (settings.policy, settings.moderation_model) == (str(home / "own.toml"), str(home / "guard"))
    assert settings.audit == Path("/abs/log.jsonl")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[watermark", "settings.toml"),
        ("[water]\n", "unknown section"),
        ("watermark = 3\n", "must be a section"),
        ("[watermark]\nkey = 'x'\n", "unknown key watermark.key"),
        ("[watermark]\nstrength = 4\n", "must be a str"),
        ("[watermark]\nstrength = 'loud'\n", "subtle, standard, strong"),
        ("[trust]\nanchors = [1]\n", "list of strings"),
        ("[moderation]\nframes = 'sometimes'\n", "auto, on, off"),
        ("[moderation]\nmodel = 3\n", "must be a str"),
        ("[signing]\nchain = 'c.pem'\n", "both chain and key"),
        ("[signing]\nchain = 'c'\nkey = 'k'\nalgorithm = 'rsa'\n", "es256"),
    ],
)
def test_mistakes_are_named(home: Path, text: str, message: str):
    _write(home, text)
    with pytest.raises(BadSettings, match=message) as caught:
        load_settings()
    assert "\n" not in str(caught.value)
