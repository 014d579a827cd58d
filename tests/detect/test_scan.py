"""One file in, one Report out: every verdict that signals can lead to."""

import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from countermark.detect import looking, scan
from countermark.detect.known_marks import MESSAGES
from countermark.detect.opinion import Moment, Opinion
from countermark.media import open_source
from countermark.provenance import Clip, Maker, Sealed, Store, ensure_identity, keys_of, seal_clip
from countermark.provenance.trust import context_for
from countermark.report import SOURCES, Segment
from countermark.settings import Settings, load_settings
from countermark.watermark import Key, embed, make_key_file
from countermark.writer import VideoWriter

pytestmark = pytest.mark.usefixtures("silent")
CAMERA = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"
FIELDS = {
    "c2pa": {"state", "codes", "generator", "manifest_id"},
    "watermark": {"detected", "payload", "p_value", "tier", "matches_content"},
    "fingerprint": {"distance", "compared"},
    "classifier": {"probability", "abstained"},
    "known_marks": {"name", "p_value"},
}


@pytest.fixture(scope="module")
def original(clip, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Sealed]:
    """A folder with a sealed clip in ``a.mp4`` and the home that sealed it, made once."""
    folder = tmp_path_factory.mktemp("original")
    settings = Settings(folder / "home")
    return folder, seal_clip(Clip.of_array(clip(24), 8), folder / "a.mp4", Maker("m", "1"), settings=settings)


@pytest.fixture
def sealed(original: tuple[Path, Sealed], tmp_path: Path, home: Path) -> tuple[Sealed, Path]:
    """The sealed clip as a file of this test, whose home is a copy of the one that sealed it."""
    folder, made = original
    shutil.copytree(folder / "home", home)
    return made, Path(shutil.copy(folder / "a.mp4", tmp_path / "a.mp4"))


def _decoded(path: Path) -> np.ndarray:
    return np.stack([timed.rgb for timed in open_source(path).frames()])


def _mark_of(made: Sealed, frames: np.ndarray) -> np.ndarray:
    return embed(frames, int(made.payload, 16), keys_of(load_settings())[0])


def test_a_sealed_file_is_generated_and_every_signal_says_what_it_saw(sealed):
    made, path = sealed
    report = scan(path)
    assert (report.verdict, report.credentials, report.probability, report.notes) == (
        "generated",
        "test_identity",
        None,
        (),
    )
    shown = report.to_json()
    assert shown["schema"] == 1
    assert shown["path"] == str(path)
    assert shown["segments"] == []
    assert set(shown["media"]) == {"kind", "width", "height", "fps", "seconds", "codec", "sha256"}
    assert set(shown["timing"]) == {"credentials", "frames", "total"}
    assert [one["source"] for one in shown["evidence"]] == list(SOURCES)
    by = {one["source"]: one for one in shown["evidence"]}
    for source, fields in FIELDS.items():
        assert {"source", "applies", "says", "why"} | fields <= set(by[source]), source
        assert by[source]["why"].endswith("."), source
    assert {source: one["applies"] for source, one in by.items()} == {
        **dict.fromkeys(SOURCES, True),
        "classifier": False,
    }
    assert [by[source]["says"] for source in SOURCES] == ["generated", "generated", "generated", "nothing", "nothing"]
    assert (by["c2pa"]["manifest_id"], by["c2pa"]["codes"]) == (made.manifest_id, [])
    assert (by["watermark"]["payload"], by["watermark"]["tier"]) == (made.payload, "payload")
    assert by["watermark"]["matches_content"] is True
    assert by["watermark"]["p_value"] <= 1e-9
    assert by["fingerprint"]["distance"] <= 0.1
    assert by["fingerprint"]["compared"] == "registered"
    assert (by["classifier"]["probability"], by["classifier"]["abstained"]) == (None, True)


def test_an_unmarked_file_gives_no_evidence(sealed, clip, write, tmp_path: Path):
    report = scan(write(tmp_path / "plain.mp4", clip(24), 8))
    assert (report.verdict, report.credentials) == ("no_evidence", "none")
    assert not report.of("watermark").figures["detected"]
    assert report.of("watermark").figures["matches_content"] is None
    assert not report.of("fingerprint").applies
    assert {one.says for one in report.evidence} == {"nothing"}


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("again.mp4", "libx264", {"crf": "26"}),
        ("again.mkv", "libx264", {"crf": "26"}),
        ("again.webm", "libvpx-vp9", {"crf": "30", "b": "0", "deadline": "realtime", "cpu-used": "8"}),
    ],
)
def test_a_reencoded_file_gets_its_stored_manifest_back(sealed, write, tmp_path: Path, name, codec, options):
    made, path = sealed
    report = scan(write(tmp_path / name, _decoded(path), 8, codec=codec, options=options))
    assert (report.verdict, report.credentials) == ("generated", "recovered")
    assert report.of("watermark").figures["payload"] == made.payload
    assert report.of("c2pa").figures["manifest_id"] == made.manifest_id
    assert report.of("c2pa").applies


def test_a_container_that_cannot_carry_a_manifest_is_not_blamed_for_having_none(clip, write, tmp_path: Path):
    report = scan(write(tmp_path / "plain.mkv", clip(8)))
    assert not report.of("c2pa").applies
    assert report.of("c2pa").figures["state"] == "none"


def test_a_mark_on_other_content_is_a_possible_transplant(sealed, clip, write, tmp_path: Path):
    made, _ = sealed
    report = scan(write(tmp_path / "other.mp4", _mark_of(made, clip(24, seed=5)), 8, options={"crf": "17"}))
    mark = report.of("watermark")
    assert report.verdict == "inconclusive"
    assert (mark.figures["payload"], mark.figures["matches_content"], mark.says) == (made.payload, False, "conflict")
    assert "possible transplant" in mark.why
    assert report.of("fingerprint").says == "conflict"
    assert report.credentials == "none", "the credentials of one video were lent to another"


def test_a_copy_that_looks_other_as_a_whole_is_still_recognised(sealed, write, tmp_path: Path):
    """A negative with a third of it covered: only where the mark lies can the two be compared."""
    _, path = sealed
    frames = 255 - _decoded(path)
    frames[:, :, 170:] = (40, 90, 60)
    report = scan(write(tmp_path / "odd.mp4", frames, 8, options={"crf": "17"}))
    assert (report.verdict, report.credentials) == ("generated", "recovered")
    assert report.of("watermark").figures["matches_content"] is True
    assert report.of("fingerprint").figures["distance"] > 0.05


def test_plain_content_cannot_be_compared(write, tmp_path: Path):
    """A grey wall is like any other: its mark is no proof that this is the wall which was sealed."""
    made = seal_clip(Clip.of_array(np.full((8, 192, 192, 3), 128, np.uint8), 8), tmp_path / "a.mp4", Maker("m"))
    assert scan(tmp_path / "a.mp4").verdict == "generated", "its manifest says so"
    report = scan(write(tmp_path / "again.mp4", _decoded(tmp_path / "a.mp4"), 8))
    assert (report.verdict, report.credentials) == ("inconclusive", "none")
    mark, prints = report.of("watermark"), report.of("fingerprint")
    assert (mark.figures["payload"], mark.figures["matches_content"]) == (made.payload, None)
    assert "too little is seen" in mark.why
    assert (prints.says, prints.figures["distance"], prints.figures["manifest_id"]) == (
        "nothing",
        None,
        made.manifest_id,
    )


def test_a_mark_that_the_store_does_not_know_is_inconclusive(sealed, clip, write, tmp_path: Path):
    frames = embed(clip(24), 0x0123456789ABCDEF, keys_of(load_settings())[0])
    report = scan(write(tmp_path / "unknown.mp4", frames, 8, options={"crf": "17"}))
    mark = report.of("watermark")
    assert report.verdict == "inconclusive"
    assert (mark.figures["payload"], mark.figures["matches_content"]) == ("0123456789abcdef", None)
    assert "does not know" in mark.why


def test_a_home_with_a_key_but_no_store_still_reads_marks(home: Path, clip, write, tmp_path: Path):
    key = make_key_file(home / "watermark.key")
    report = scan(write(tmp_path / "a.mp4", embed(clip(24), 7, key), 8, options={"crf": "17"}))
    assert report.verdict == "inconclusive"
    assert report.of("watermark").figures["payload"] == f"{7:016x}"
    assert [p.name for p in home.iterdir()] == ["watermark.key"]


def test_a_mark_of_an_older_key_is_still_ours(sealed, write, tmp_path: Path):
    from countermark.provenance import rotate_keys

    _, path = sealed
    before = keys_of(load_settings())[0]
    rotate_keys(load_settings())
    report = scan(write(tmp_path / "again.mp4", _decoded(path), 8))
    assert (report.verdict, report.credentials) == ("generated", "recovered")
    assert report.of("watermark").figures["key_id"] == before.id


def test_a_mark_too_faint_to_be_read_is_told_from_the_others_of_the_store(sealed, write, tmp_path: Path):
    made, path = sealed
    noise = np.random.default_rng(1).normal(0, 50, (2, 256, 256, 3))
    faint = np.clip(_decoded(path)[8:20:8] + noise, 0, 255).astype(np.uint8)
    mark = scan(write(tmp_path / "faint.mp4", faint, 8, options={"crf": "17"})).of("watermark")
    assert (mark.figures["tier"], mark.figures["payload"]) == ("confirmed", made.payload)
    assert mark.figures["p_value"] <= 1e-9
    assert "too weak to be read blind" in mark.why


def test_a_fast_scan_stops_once_the_mark_is_read(sealed, clip, write, tmp_path: Path):
    made, path = sealed
    frames = _decoded(path)
    longer = write(tmp_path / "longer.mp4", np.concatenate([frames, clip(40, seed=3)]), 8)
    report = scan(longer, fast=True)
    assert (report.verdict, report.credentials) == ("generated", "recovered")
    assert report.of("watermark").figures["payload"] == made.payload
    assert report.notes == ("a fast scan: nothing after the first 2 s was looked at",)
    turned = write(tmp_path / "turned.mp4", np.ascontiguousarray(frames[:, :, ::-1]), 8)
    assert scan(turned, fast=True).notes == (
        "a fast scan: cropped, turned and spliced copies of our marks were not looked for",
    )


def test_a_tampered_file_is_inconclusive_without_its_mark(sealed, tmp_path: Path, home: Path):
    _, path = sealed
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    changed = tmp_path / "changed.mp4"
    changed.write_bytes(data)
    report = scan(changed)
    assert report.credentials == "tampered"
    assert report.of("c2pa").says == "tampered"
    assert "assertion.bmffHash.mismatch" in report.of("c2pa").figures["codes"]
    assert report.verdict == "generated", "the mark on matching content still says so"
    (home / "watermark.key").unlink()
    assert scan(changed).verdict == "inconclusive"


def test_an_untrusted_signer_is_inconclusive(sealed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    _, path = sealed
    monkeypatch.setenv("COUNTERMARK_HOME", str(tmp_path / "elsewhere"))
    report = scan(path)
    assert (report.verdict, report.credentials) == ("inconclusive", "untrusted_signer")
    assert report.of("c2pa").figures["codes"] == ["signingCredential.untrusted"]
    assert "does not trust" in report.of("c2pa").why


@pytest.fixture
def camera(tmp_path: Path, home: Path):
    """Signs a file as a camera whose root this home trusts; ``signed(frames, source_type)`` gives the file."""
    import c2pa

    maker = Settings(tmp_path / "ca")
    identity = ensure_identity(maker)
    home.mkdir(exist_ok=True)
    shutil.copy(maker.home / "identity" / "root.pem", home / "camera-root.pem")
    (home / "settings.toml").write_text('[trust]\nanchors = ["camera-root.pem"]\n')

    def sign(frames: np.ndarray, source_type: str = CAMERA) -> Path:
        raw, out = tmp_path / "raw.mp4", tmp_path / "camera.mp4"
        with VideoWriter(raw, frames.shape[2], frames.shape[1], Fraction(8)) as writer:
            for i, frame in enumerate(frames):
                writer.write(i / 8, frame)
        actions = [{"action": "c2pa.created", "digitalSourceType": source_type}]
        definition = {
            "claim_generator_info": [{"name": "A camera", "version": "3"}],
            "format": "video/mp4",
            "assertions": [{"label": "c2pa.actions.v2", "created": True, "data": {"actions": actions}}],
        }
        with raw.open("rb") as source, out.open("w+b") as target:
            c2pa.Builder(definition, context=context_for(maker)).sign(identity.signer(), "video/mp4", source, target)
        return out

    return sign


def test_a_trusted_camera_is_captured(camera, clip):
    report = scan(camera(clip(24)))
    assert (report.verdict, report.credentials) == ("captured", "trusted")
    assert report.of("c2pa").says == "captured"
    assert report.of("c2pa").figures["generator"] == "A camera 3"


def test_a_trusted_generator_is_generated(camera, clip):
    report = scan(camera(clip(8), CAMERA.replace("digitalCapture", "trainedAlgorithmicMedia")))
    assert (report.verdict, report.credentials) == ("generated", "trusted")


def test_this_machines_test_identity_vouches_for_no_camera(camera, clip, home: Path):
    path = camera(clip(8))
    (home / "settings.toml").unlink()
    assert scan(path).credentials == "untrusted_signer"
    (home / "identity").mkdir()
    shutil.copy(home / "camera-root.pem", home / "identity" / "root.pem")
    report = scan(path)
    assert (report.verdict, report.credentials) == ("no_evidence", "test_identity")


@pytest.mark.parametrize("known", [True, False])
def test_a_camera_that_filmed_our_mark_is_inconclusive(camera, clip, tmp_path: Path, home: Path, known: bool):
    """Signals conflict, whether the store knows the mark or only the key fits."""
    frames = clip(24)
    if known:
        frames = _mark_of(seal_clip(Clip.of_array(frames, 8), tmp_path / "s.mp4", Maker("m")), frames)
    else:
        frames = embed(frames, 1, make_key_file(home / "watermark.key"))
    report = scan(camera(frames))
    assert report.credentials == "trusted"
    assert report.of("c2pa").says == "captured"
    assert report.of("watermark").figures["detected"]
    assert report.verdict == "inconclusive"


def test_another_generators_mark_is_likely_generated(clip, tmp_path: Path):
    library = pytest.importorskip("imwatermark", reason="the interop extra is not installed")
    encoder = library.WatermarkEncoder()
    encoder.set_watermark("bits", MESSAGES["Stable Diffusion XL"].bits)
    picture = encoder.encode(np.ascontiguousarray(clip(1, 512, 512, seed=1)[0][..., ::-1]), "dwtDct")[..., ::-1]
    Image.fromarray(picture).save(tmp_path / "sdxl.png")
    report = scan(tmp_path / "sdxl.png")
    assert report.verdict == "likely_generated"
    assert report.of("known_marks").figures["name"] == "Stable Diffusion XL"
    assert report.of("known_marks").figures["p_value"] <= 1e-9
    assert "Stable Diffusion XL" in report.of("known_marks").why


def test_a_fresh_home_is_left_untouched(home: Path, clip, write, tmp_path: Path):
    report = scan(write(tmp_path / "a.mp4", clip(8)))
    assert not report.of("watermark").applies
    assert "no watermark key" in report.of("watermark").why
    assert not home.exists()


def test_a_stranger_to_the_store_needs_no_key_of_it(sealed, tmp_path: Path):
    """Settings that are given are used instead of the home's, and nothing of them is written."""
    _, path = sealed
    other = replace(load_settings(), home=tmp_path / "other")
    assert scan(path, settings=other).credentials == "untrusted_signer"
    assert not other.home.exists()


def test_a_manifest_without_a_readable_mark_finds_its_entry(sealed, home: Path):
    """Another key hides the mark; the manifest inside still leads to the store."""
    made, path = sealed
    (home / "watermark.key").write_text(Key.generate().secret.hex())
    report = scan(path)
    assert report.verdict == "generated"
    assert not report.of("watermark").figures["detected"]
    assert report.of("fingerprint").figures["manifest_id"] == made.manifest_id
    assert report.of("fingerprint").figures["compared"] == "whole frames"
    assert report.of("fingerprint").says == "generated"


def test_scanning_leaves_the_store_as_it_was(sealed, home: Path):
    _, path = sealed
    names = sorted(p.name for p in home.iterdir())
    scan(path)
    assert sorted(p.name for p in home.iterdir()) == names
    with Store(load_settings().store) as store:
        assert len(store) == 1


def test_what_the_classifier_says_is_passed_on(silent, clip, write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class Sure(silent):
        def finish(self) -> Opinion:
            moment = Moment(0.2, 0.99, ((8, 16, 96, 0.99),))
            return Opinion("generated", "It is sure.", 0.97, False, True, (Segment(0.0, 0.5, 0.97),), (moment,))

    monkeypatch.setattr(looking, "load_classifier", Sure)
    report = scan(write(tmp_path / "plain.mp4", clip(8), 8))
    assert (report.verdict, report.probability) == ("likely_generated", 0.97)
    shown = report.to_json()
    assert shown["segments"] == [{"start": 0.0, "end": 0.5, "probability": 0.97}]
    (evidence,) = (one for one in shown["evidence"] if one["source"] == "classifier")
    assert (evidence["applies"], evidence["says"], evidence["abstained"]) == (True, "generated", False)
    assert evidence["moments"] == [{"time": 0.2, "probability": 0.99, "patches": ((8, 16, 96, 0.99),)}]


def test_every_frame_is_shown_to_the_classifier_once(
    silent, clip, write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    seen = []

    class Watching(silent):
        def add(self, time: float, rgb: np.ndarray) -> None:
            seen.append((round(time, 3), rgb.shape))

    monkeypatch.setattr(looking, "load_classifier", Watching)
    scan(write(tmp_path / "plain.mp4", clip(8), 8))
    assert seen == [(i / 8, (256, 256, 3)) for i in range(8)]


@pytest.mark.trained
def test_the_trained_classifier_judges_a_video_and_leaves_pictures(clip, write, tmp_path: Path):
    report = scan(write(tmp_path / "plain.mp4", clip(24), 24))
    mine = report.of("classifier")
    assert mine.applies
    assert (mine.figures["probability"] is None) == mine.figures["abstained"]
    assert report.probability == mine.figures["probability"]
    Image.fromarray(clip(1)[0]).save(tmp_path / "a.png")
    picture = scan(tmp_path / "a.png").of("classifier")
    assert (picture.applies, picture.says, picture.figures["abstained"]) == (False, "nothing", True)
