import errno
import os
import resource
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from countermark.errors import BadMedia, CountermarkError, OutputFailed, SealFailed, StoreError, UsageError
from countermark.media import open_source, sha256_of
from countermark.provenance import Clip, Maker, Store, inspect, keys_of, seal, seal_clip, sealing
from countermark.settings import load_settings
from countermark.watermark import read_stream
from countermark.writer import VideoWriter

MAKER = Maker("test model", "1")


def _leftovers(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.name.startswith(".countermark"))


def _entries() -> int:
    with Store(load_settings().store) as store:
        return len(store)


def test_a_clip_comes_out_marked_signed_and_stored(clip, tmp_path: Path):
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
    assert _leftovers(tmp_path) == []


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


def test_what_cannot_be_sealed_leaves_nothing(clip, write, tmp_path: Path):
    tiny = write(tmp_path / "tiny.mkv", np.zeros((3, 1, 1, 3), np.uint8), codec="ffv1", pix_fmt="yuv444p")
    small = write(tmp_path / "small.mp4", clip(3, 32, 32))
    cut = tmp_path / "cut.mp4"
    data = write(tmp_path / "good.mp4", clip(24)).read_bytes()
    cut.write_bytes(data[: len(data) * 9 // 10])
    from PIL import Image

    Image.fromarray(clip(1)[0]).save(tmp_path / "a.png")
    good = tmp_path / "good.mp4"
    cases: list[tuple[Path, Path, type[CountermarkError], str]] = [
        (tiny, tmp_path / "o.mp4", BadMedia, "64 pixels"),
        (small, tmp_path / "o.mp4", BadMedia, "64 pixels"),
        (cut, tmp_path / "o.mp4", BadMedia, "cut off"),
        (tmp_path / "a.png", tmp_path / "o.mp4", UsageError, "image"),
        (tmp_path / "none.mp4", tmp_path / "o.mp4", BadMedia, "no such file"),
        (good, good, UsageError, "another file"),
        (good, tmp_path / "o.webm", UsageError, "mp4"),
        (good, tmp_path / "no" / "o.mp4", UsageError, "does not exist"),
    ]
    for src, dst, kind, message in cases:
        with pytest.raises(kind, match=message) as caught:
            seal(src, dst)
        assert "\n" not in str(caught.value)
    assert good.read_bytes() == data
    assert not (tmp_path / "o.mp4").exists()
    assert _leftovers(tmp_path) == []
    with pytest.raises(UsageError, match="generated or edited"):
        seal(good, tmp_path / "o.mp4", source="made")


def test_black_frames_are_sealed_or_refused_whole(tmp_path: Path):
    """A mark needs room above and below; where even the strong one cannot be read back, nothing comes out."""
    frames = np.zeros((8, 128, 128, 3), np.uint8)
    out = tmp_path / "black.mp4"
    try:
        assert seal_clip(Clip.of_array(frames, 8), out, MAKER).verified
    except SealFailed as error:
        assert "read back" in str(error)
        assert not out.exists()
        assert _entries() == 0


def test_a_read_only_folder(clip, tmp_path: Path):
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o555)
    if os.access(folder, os.W_OK):  # root may write anywhere but in the kernel's own folders
        folder = Path("/sys")
    with pytest.raises(OutputFailed, match="cannot write"):
        seal_clip(Clip.of_array(clip(2), 8), folder / "o.mp4", MAKER)


def test_a_full_disk(clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    out = tmp_path / "o.mp4"
    out.write_bytes(b"what was here before")

    def full(self: VideoWriter, time: float, rgb: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(VideoWriter, "write", full)
        with pytest.raises(OutputFailed, match="disk is full"):
            seal_clip(Clip.of_array(clip(4), 8), out, MAKER)
    assert out.read_bytes() == b"what was here before"
    assert _leftovers(tmp_path) == []
    assert _entries() == 0


def test_a_file_size_limit(clip, tmp_path: Path, home: Path):
    """The encoder's own writes fail (RLIMIT_FSIZE): the real way that a disk fills up."""
    seal_clip(Clip.of_array(clip(2), 8), tmp_path / "first.mp4", MAKER)  # makes home, store and identity
    np.save(tmp_path / "frames.npy", np.random.default_rng(0).integers(0, 256, (8, 256, 256, 3), dtype=np.uint8))
    script = (
        "import numpy as np\n"
        "from countermark.errors import OutputFailed\n"
        "from countermark.provenance import Clip, Maker, seal_clip\n"
        "try:\n"
        f"    frames = np.load({str(tmp_path / 'frames.npy')!r})\n"
        f"    seal_clip(Clip.of_array(frames, 8), {str(tmp_path / 'o.mp4')!r}, Maker('m'))\n"
        "except OutputFailed as error:\n"
        "    print('failed:', error)\n"
    )
    limit = 200_000
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert "failed: cannot write" in done.stdout, done
    assert not (tmp_path / "o.mp4").exists()
    assert _leftovers(tmp_path) == []
    assert _entries() == 1


STAGES = {
    "encoding": "patch(VideoWriter, 'write', after=3)",
    "signing": "patch(sealing, '_sign')",
    "reserving": "patch(Store, 'reserve', late=True)",
    "renaming": "patch(Store, 'confirm')",
}


@pytest.mark.parametrize("stage", list(STAGES))
def test_a_kill_at_any_point(clip, tmp_path: Path, stage: str):
    """SIGKILL in the middle: the output is absent or whole and known to the store; the next seal cleans up."""
    np.save(tmp_path / "frames.npy", clip(8))
    out = tmp_path / "o.mp4"
    script = f"""
import os, signal
import numpy as np
from countermark.provenance import Clip, Maker, Store, sealing, seal_clip
from countermark.writer import VideoWriter

def patch(owner, name, after=1, late=False):
    inner, calls = getattr(owner, name), []
    def run(*args, **kwargs):
        calls.append(1)
        if late:
            inner(*args, **kwargs)
        if len(calls) >= after:
            os.kill(os.getpid(), signal.SIGKILL)
        return inner(*args, **kwargs)
    setattr(owner, name, run)

{STAGES[stage]}
seal_clip(Clip.of_array(np.load({str(tmp_path / "frames.npy")!r}), 8), {str(out)!r}, Maker("m"))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done
    settings = load_settings()
    if out.exists():
        judged = inspect(out, settings)
        assert judged.state == "test_identity"
        with Store(settings.store) as store:
            assert store.by_manifest_id(judged.manifest_id or "") is not None
    assert out.exists() == (stage == "renaming")
    seal_clip(Clip.of_array(clip(4), 8), tmp_path / "next.mp4", MAKER)
    assert _leftovers(tmp_path) == []


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    ("owner", "name"),
    [(VideoWriter, "write"), (sealing, "_sign"), (Store, "reserve"), (type(Path()), "replace"), (Store, "confirm")],
)
def test_an_interrupt_comes_through_and_leaves_nothing_half_done(
    clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, late: bool
):
    """Ctrl-C right before or right after: no partial file, and an entry in the store if and only if there is a file."""
    settings = load_settings()
    seal_clip(Clip.of_array(clip(4), 8), tmp_path / "first.mp4", MAKER)  # keys and store are there
    inner, placed = getattr(owner, name), (name, late) in {("replace", True), ("confirm", False), ("confirm", True)}

    def run(*args: Any, **kwargs: Any) -> None:
        if late:
            inner(*args, **kwargs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(owner, name, run)
        with pytest.raises(KeyboardInterrupt):
            seal_clip(Clip.of_array(clip(4), 8), tmp_path / "o.mp4", MAKER)
    assert _leftovers(tmp_path) == []
    assert (tmp_path / "o.mp4").exists() == placed
    assert _entries() == 1 + placed
    if placed:
        assert inspect(tmp_path / "o.mp4", settings).state == "test_identity"


def test_failures_of_the_signer_come_through(clip, tmp_path: Path):
    from dataclasses import replace

    from countermark.provenance import ensure_identity

    real = ensure_identity(load_settings())

    def broken(data: bytes) -> bytes:
        raise RuntimeError("the vault is locked")

    with pytest.raises(SealFailed, match="the vault is locked"):
        seal_clip(Clip.of_array(clip(4), 8), tmp_path / "o.mp4", MAKER, identity=replace(real, key=None, sign=broken))
    assert not (tmp_path / "o.mp4").exists()
    assert _entries() == 0


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


def test_a_corrupt_store(clip, tmp_path: Path, home: Path):
    home.mkdir()
    (home / "store.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreError, match=r"store\.db failed") as caught:
        seal_clip(Clip.of_array(clip(2), 8), tmp_path / "o.mp4", MAKER)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "o.mp4").exists()


def test_frames_of_another_size_in_the_middle(clip, tmp_path: Path):
    from countermark.media import Timed

    frames = [Timed(0, clip(1)[0]), Timed(0.1, clip(1, 128, 128)[0])]
    with pytest.raises(BadMedia, match="size changes"):
        seal_clip(Clip(lambda: iter(frames), 256, 256, Fraction(10)), tmp_path / "o.mp4", MAKER)
    assert _leftovers(tmp_path) == []
