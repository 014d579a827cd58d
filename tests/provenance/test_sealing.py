from pathlib import Path

import av
import numpy as np
import pytest

from countermark.errors import SealFailed
from countermark.media import open_source, sha256_of
from countermark.provenance import Clip, Maker, Store, inspect, keys_of, seal, seal_clip
from countermark.settings import load_settings
from countermark.watermark import read_stream

MAKER = Maker("test model", "1")


def test_a_clip_comes_out_marked_signed_and_stored(clip, tmp_path: Path, leftovers):
    out = tmp_path / "out.mp4"
    sealed = seal_clip(Clip.of_array(clip(), 8), out, MAKER, seed=7)
    settings = load_settings()
    assert (sealed.path, sealed.model, sealed.seed, sealed.seconds) == (str(out), "test model", 7, 3.0)
    assert sealed.verified
    judged = inspect(out, settings)
    assert (judged.state, judged.manifest_id, judged.payload) == ("test_identity", sealed.manifest_id, sealed.payload)
    assert judged.source_types == ("trainedAlgorithmicMedia",)
    assert judged.codes == ()
    reading = read_stream((t.rgb for t in open_source(out).frames()), keys_of(settings))
    assert reading.hex == sealed.payload
    with Store(settings.store) as store:
        entry = store.by_payload(sealed.payload)
        assert entry is not None
        assert entry.manifest_id == sealed.manifest_id
        assert store.by_manifest_id(sealed.manifest_id) is not None
        assert store.by_payload("0" * 16) is None
        assert entry.sha256 == sha256_of(out)
        assert entry.model == "test model"
    assert leftovers(tmp_path) == []


def test_the_manifest_is_complete(clip, tmp_path: Path):
    import json

    import c2pa

    from countermark.provenance.trust import context_for

    out = tmp_path / "out.mp4"
    sealed = seal_clip(Clip.of_array(clip(4), 8), out, MAKER)
    with out.open("rb") as stream, c2pa.Reader("video/mp4", stream, context=context_for(load_settings())) as reader:
        assert reader.get_validation_state() == "Trusted"
        manifest = json.loads(reader.json())["manifests"][sealed.manifest_id]
    by = {a["label"]: a for a in manifest["assertions"]}
    actions = by["c2pa.actions.v2"]["data"]
    assert [a["action"] for a in actions["actions"]] == ["c2pa.created", "c2pa.watermarked.bound"]
    assert actions["allActionsIncluded"] is True
    assert actions["actions"][0]["softwareAgent"] == {"name": "test model", "version": "1"}
    assert by["c2pa.soft-binding"]["data"]["alg"].startswith("org.countermark.")
    assert all(by[label]["created"] for label in ("c2pa.actions.v2", "c2pa.soft-binding"))
    assert manifest["claim_generator_info"][0]["specVersion"] == "2.4"
    assert not any("thumbnail" in label for label in by)


def test_an_independent_verifier_agrees(clip, tmp_path: Path, home: Path):
    """encypher-c2pa is another implementation of C2PA, with its own parser and crypto."""
    import encypher_c2pa

    out = tmp_path / "out.mp4"
    seal_clip(Clip.of_array(clip(4), 8), out, MAKER)
    root = (home / "identity" / "root.pem").read_text()

    def state(path: Path, **trust: object) -> str:
        report = encypher_c2pa.verify(str(path), no_default_trust=True, telemetry=False, **trust)
        return str(report["validation_state"])

    assert state(out, trust_pem=root) == "Trusted"
    assert state(out) == "Valid"
    data = bytearray(out.read_bytes())
    data[-10] ^= 1
    (tmp_path / "t.mp4").write_bytes(data)
    assert state(tmp_path / "t.mp4", trust_pem=root) == "Invalid"


def test_seal_keeps_audio_times_and_source(clip, write, tmp_path: Path):
    src = write(tmp_path / "in.mp4", clip(48), 24, audio=True)
    before = src.read_bytes()
    sealed = seal(src, tmp_path / "out.mp4")
    assert src.read_bytes() == before

    def audio(path: Path) -> list[bytes]:
        with av.open(str(path)) as container:
            return [bytes(p) for p in container.demux(container.streams.audio[0]) if p.size]

    assert audio(tmp_path / "out.mp4") == audio(src)
    assert sealed.seconds == pytest.approx(2.0, abs=0.05)
    times = [t.time for t in open_source(tmp_path / "out.mp4").frames()]
    assert times == pytest.approx([t.time for t in open_source(src).frames()], abs=0.002)


def test_earlier_credentials_become_an_ingredient(clip, tmp_path: Path):
    first = seal_clip(Clip.of_array(clip(), 8), tmp_path / "a.mp4", MAKER)
    second = seal(tmp_path / "a.mp4", tmp_path / "b.mp4", source="edited")
    judged = inspect(tmp_path / "b.mp4", load_settings())
    assert (judged.state, judged.ingredients) == ("test_identity", 1)
    assert judged.source_types == ("compositeWithTrainedAlgorithmicMedia",)
    assert first.payload != second.payload
    assert inspect(tmp_path / "a.mp4", load_settings()).manifest_id == first.manifest_id


def test_a_tampered_source_is_refused(clip, tmp_path: Path):
    seal_clip(Clip.of_array(clip(4), 8), tmp_path / "a.mp4", MAKER)
    data = bytearray((tmp_path / "a.mp4").read_bytes())
    data[-20] ^= 1
    (tmp_path / "t.mp4").write_bytes(data)
    with pytest.raises(SealFailed, match=r"bmffHash\.mismatch"):
        seal(tmp_path / "t.mp4", tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()


def _translucent(path: Path, frames: np.ndarray) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=24)
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "bgra"
        for rgb in frames:
            rgba = np.concatenate([rgb, np.full((*rgb.shape[:2], 1), 128, np.uint8)], -1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgba, format="rgba").reformat(format="bgra")))
        container.mux(stream.encode(None))
    return path


def test_odd_variable_rotated_ten_bit_and_short_files_are_sealed(clip, write, tmp_path: Path):
    made = {
        "odd": write(tmp_path / "odd.mkv", clip(8, 131, 255), codec="ffv1", pix_fmt="yuv444p"),
        "variable": write(tmp_path / "vfr.mp4", clip(6), times=[0, 40, 200, 240, 900, 1000]),
        "rotated": write(tmp_path / "phone.mp4", clip(8, 160, 256), rotate=90),
        "ten bit": write(
            tmp_path / "ten.mp4",
            clip(8),
            codec="libx265",
            pix_fmt="yuv420p10le",
            options={"x265-params": "log-level=none"},
        ),
        "one frame": write(tmp_path / "one.mp4", clip(1)),
        "alpha": _translucent(tmp_path / "alpha.mkv", clip(8)),
        "gif": write(tmp_path / "a.gif", clip(4), codec="gif", pix_fmt="rgb8"),
    }
    for name, src in made.items():
        if open_source(src).facts.kind == "image":
            continue
        out = tmp_path / "sealed.mp4"
        sealed = seal(src, out)
        assert sealed.verified, name
        assert [word in " ".join(sealed.warnings) for word in ("odd", "8 bits", "transparency")] == [
            name == "odd",
            name == "ten bit",
            name == "alpha",
        ], (name, sealed.warnings)
        facts, original = open_source(out).facts, open_source(src).facts
        assert (facts.width, facts.height) == (
            original.width + original.width % 2,
            original.height + original.height % 2,
        )
        assert [t.time for t in open_source(out).frames()] == pytest.approx(
            [t.time for t in open_source(src).frames()], abs=0.002
        ), name


def test_a_callback_signs(clip, tmp_path: Path):
    from dataclasses import replace

    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    from countermark.provenance import ensure_identity

    real = ensure_identity(load_settings())
    assert real.key is not None
    key = serialization.load_pem_private_key(real.key, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    called = []

    def sign(data: bytes) -> bytes:
        called.append(len(data))
        return key.sign(data, ec.ECDSA(hashes.SHA256()))

    identity = replace(real, key=None, sign=sign)
    assert seal_clip(Clip.of_array(clip(4), 8), tmp_path / "o.mp4", MAKER, identity=identity).verified
    assert called
