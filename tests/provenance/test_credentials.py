"""What the reader says of hostile and unlucky files, after the table of the facts."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from countermark.errors import BadKey
from countermark.media import open_source
from countermark.provenance import Clip, Maker, Store, ensure_identity, inspect, recover, seal_clip
from countermark.provenance.credentials import _text
from countermark.settings import load_settings


@pytest.fixture
def sealed(clip, tmp_path: Path):
    out = tmp_path / "a.mp4"
    return seal_clip(Clip.of_array(clip(6), 8), out, Maker("m")), out


def _changed(path: Path, at: int, name: str = "changed.mp4") -> Path:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x40
    other = path.with_name(name)
    other.write_bytes(bytes(data))
    return other


def test_any_changed_bit_of_the_media_is_tampering(sealed):
    _, path = sealed
    data = path.read_bytes()
    for at in (len(data) - 10, data.index(b"mdat") + 500, data.index(b"moov") + 40):
        judged = inspect(_changed(path, at), load_settings())
        assert judged.state in ("tampered", "unreadable"), at
        assert judged.codes


def test_a_changed_signature_is_not_trusted(sealed):
    _, path = sealed
    data = path.read_bytes()
    start = data.index(b"c2pa.signature")
    judged = inspect(_changed(path, start + 400), load_settings())
    assert judged.state in ("tampered", "unreadable")


def test_a_stranger_and_a_production_identity(sealed, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch):
    """Signed elsewhere: untrusted here, until the other root is among the anchors; then trusted, not a test."""
    _, path = sealed
    monkeypatch.setenv("COUNTERMARK_HOME", str(tmp_path / "elsewhere"))
    settings = load_settings()
    assert inspect(path, settings).state == "untrusted_signer"
    assert inspect(path, settings).codes == ("signingCredential.untrusted",)
    trusting = replace(settings, anchors=(home / "identity" / "root.pem",))
    assert inspect(path, trusting).state == "trusted"


def test_signing_with_a_production_chain(clip, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch):
    maker_home = tmp_path / "ca"
    monkeypatch.setenv("COUNTERMARK_HOME", str(maker_home))
    ensure_identity(load_settings())
    monkeypatch.setenv("COUNTERMARK_HOME", str(home))
    home.mkdir()
    for name in ("chain.pem", "leaf.key", "root.pem"):
        shutil.copy(maker_home / "identity" / name, home / name)
    (home / "settings.toml").write_text(
        '[signing]\nchain = "chain.pem"\nkey = "leaf.key"\n[trust]\nanchors = ["root.pem"]\n'
    )
    assert seal_clip(Clip.of_array(clip(4), 8), tmp_path / "o.mp4", Maker("m")).verified
    assert inspect(tmp_path / "o.mp4", load_settings()).state == "trusted"
    assert not (home / "identity").exists()
    (home / "settings.toml").write_text('[signing]\nchain = "chain.pem"\nkey = "leaf.key"\n')
    from countermark.errors import SealFailed

    with pytest.raises(SealFailed, match="anchors"):
        seal_clip(Clip.of_array(clip(4), 8), tmp_path / "p.mp4", Maker("m"))
    assert not (tmp_path / "p.mp4").exists()


def test_recovery_needs_the_right_payload_and_an_intact_signature(sealed, clip, write, tmp_path: Path):
    made, path = sealed
    settings = load_settings()
    with Store(settings.store) as store:
        entry = store.by_payload(made.payload)
    assert entry is not None
    stripped = write(tmp_path / "stripped.mp4", [t.rgb for t in open_source(path).frames()] and clip(6), 8)
    assert inspect(stripped, settings).state == "none"
    found = recover(stripped, entry.manifest, made.payload, settings)
    assert found is not None
    assert (found.state, found.manifest_id) == ("recovered", made.manifest_id)
    assert recover(stripped, entry.manifest, "0" * 16, settings) is None
    broken = bytearray(entry.manifest)
    broken[entry.manifest.index(b"c2pa.signature") + 400] ^= 1
    assert recover(stripped, bytes(broken), made.payload, settings) is None


def test_plain_and_unsupported_files_carry_none(clip, write, tmp_path: Path):
    settings = load_settings()
    assert inspect(write(tmp_path / "a.mp4", clip(2)), settings).state == "none"
    assert inspect(write(tmp_path / "a.webm", clip(2), codec="libvpx-vp9"), settings).state == "none"
    assert inspect(write(tmp_path / "a.gif", clip(2), codec="gif", pix_fmt="rgb8"), settings).state == "none"


def test_bindings_come_back_plain_or_as_base64():
    import base64

    payload = "0123456789abcdef"
    assert _text(payload) == payload
    assert _text(base64.b64encode(payload.encode()).decode()) == payload
    assert _text("something else") == "something else"


@pytest.mark.parametrize("damage", ["missing key", "garbage chain", "other key", "expired", "server"])
def test_bad_keys(home: Path, clip, tmp_path: Path, damage: str):
    ensure_identity(load_settings())
    folder = home / "identity"
    if damage == "missing key":
        (folder / "leaf.key").unlink()
    elif damage == "garbage chain":
        (folder / "chain.pem").write_text("no certificate")
    elif damage == "other key":
        shutil.copy(folder / "root.key", folder / "leaf.key")
    else:
        _bad_leaf(folder, expired=damage == "expired")
    with pytest.raises(BadKey) as caught:
        seal_clip(Clip.of_array(clip(2), 8), tmp_path / "o.mp4", Maker("m"))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "o.mp4").exists()


def _bad_leaf(folder: Path, *, expired: bool) -> None:
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bad")])
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=-1 if expired else 1)
    usage = ExtendedKeyUsageOID.EMAIL_PROTECTION if expired else ExtendedKeyUsageOID.SERVER_AUTH
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(end - datetime.timedelta(days=5))
        .not_valid_after(end)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "chain.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "leaf.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def test_rotation_keeps_old_files_valid(sealed, home: Path):
    from countermark.provenance import keys_of, rotate_keys
    from countermark.watermark import read_stream

    made, path = sealed
    before = keys_of(load_settings())
    rotate_keys(load_settings())
    after = keys_of(load_settings())
    assert len(after) == 2
    assert after[0] != before[0]
    assert after[1] == before[0]
    assert inspect(path, load_settings()).state == "test_identity"
    reading = read_stream((t.rgb for t in open_source(path).frames()), after)
    assert (reading.hex, reading.key_id) == (made.payload, before[0].id)
