"""Single pictures go the same way as videos: marked, encoded, signed, read back, stored, renamed into place."""

import errno
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from countermark.detect import scan
from countermark.errors import BadMedia, OutputFailed, SealFailed, UsageError
from countermark.media import sha256_of
from countermark.provenance import Store, inspect, seal, sealing
from countermark.settings import load_settings


@pytest.fixture(scope="module")
def picture(clip) -> np.ndarray:
    """A picture of 360 x 480 pixels."""
    return clip(1, 360, 480, seed=4)[0]


def _saved(path: Path, pixels: np.ndarray, **options: object) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.mark.parametrize(("suffix", "kind"), [(".png", "PNG"), (".jpg", "JPEG"), (".webp", "WEBP"), (".JPEG", "JPEG")])
def test_a_picture_comes_out_marked_signed_and_stored(picture, tmp_path: Path, suffix: str, kind: str, leftovers):
    src, out = _saved(tmp_path / "in.png", picture), tmp_path / f"out{suffix}"
    before = src.read_bytes()
    sealed = seal(src, out)
    assert (sealed.path, sealed.seconds, sealed.verified, sealed.warnings) == (str(out), 0.0, True, ())
    assert src.read_bytes() == before
    assert leftovers(tmp_path) == []
    with Image.open(out) as image:
        assert (image.format, image.size, image.mode) == (kind, (480, 360), "RGB")
        apart = np.asarray(image).astype(float) - picture
    assert 36 < 10 * np.log10(255**2 / np.mean(apart**2)) < 48
    with Store(load_settings().store) as store:
        entry = store.by_payload(sealed.payload)
    assert entry is not None
    assert (entry.sha256, entry.manifest_id) == (sha256_of(out), sealed.manifest_id)
    report = scan(out)
    assert (report.media.kind, report.verdict, report.credentials) == ("image", "generated", "test_identity")
    assert report.of("watermark").figures["matches_content"] is True
    assert report.of("c2pa").figures["manifest_id"] == sealed.manifest_id
    with Image.open(out) as image:
        image.save(tmp_path / "again.jpg", quality=90)
    again = scan(tmp_path / "again.jpg")
    assert (again.verdict, again.credentials) == ("generated", "recovered")
    assert again.of("watermark").figures["payload"] == sealed.payload


def test_alpha_is_kept_where_the_format_has_it(picture, tmp_path: Path):
    alpha = np.tile(np.linspace(255, 0, 480).astype(np.uint8), (360, 1))
    src = _saved(tmp_path / "in.png", np.dstack([picture, alpha]))
    for suffix, loss in ((".png", ()), (".webp", ()), (".jpg", ("transparency becomes white",))):
        sealed = seal(src, tmp_path / f"out{suffix}")
        assert sealed.warnings == loss
        with Image.open(sealed.path) as image:
            if loss:
                assert image.mode == "RGB"
                assert np.asarray(image)[:, -20:].min() > 230, "what was transparent is white"
            else:
                assert (np.asarray(image)[..., 3] == alpha).all()


def test_orientation_is_applied_and_the_profile_kept(picture, tmp_path: Path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    src = _saved(tmp_path / "in.jpg", picture, quality=95, exif=exif, icc_profile=profile)
    for suffix in (".png", ".jpg", ".webp"):
        with Image.open(seal(src, tmp_path / f"out{suffix}").path) as image:
            assert image.size == (360, 480)
            assert image.getexif().get(0x0112, 1) == 1
            assert image.info["icc_profile"] == profile
            apart = np.abs(np.asarray(image.convert("RGB")).astype(int) - np.rot90(picture, -1))
            assert apart.mean() < 6
            assert scan(tmp_path / f"out{suffix}").verdict == "generated"


def test_grey_palette_and_deep_pictures_are_sealed(picture, tmp_path: Path):
    grey = picture.mean(-1)
    Image.fromarray((grey * 257).astype(np.uint16)).save(tmp_path / "deep.png")
    Image.fromarray(picture).quantize(200).save(tmp_path / "palette.png")
    Image.fromarray(grey.astype(np.uint8)).save(tmp_path / "grey.jpg", quality=95)
    for name in ("deep.png", "palette.png", "grey.jpg"):
        sealed = seal(tmp_path / name, tmp_path / "out.png")
        assert sealed.verified
        assert ("8 bits" in " ".join(sealed.warnings)) == (name == "deep.png")
        with Image.open(tmp_path / "out.png") as image:
            assert np.abs(np.asarray(image).mean(-1) - grey).mean() < 5, name


def test_earlier_credentials_of_a_picture_become_an_ingredient(picture, tmp_path: Path):
    seal(_saved(tmp_path / "in.png", picture), tmp_path / "a.png")
    seal(tmp_path / "a.png", tmp_path / "b.webp", source="edited")
    judged = inspect(tmp_path / "b.webp", load_settings())
    assert (judged.state, judged.ingredients) == ("test_identity", 1)
    assert judged.source_types == ("compositeWithTrainedAlgorithmicMedia",)


def test_output_and_input_must_fit(picture, clip, write, tmp_path: Path, leftovers):
    still, video = _saved(tmp_path / "in.png", picture), write(tmp_path / "in.mp4", clip(4))
    frames = [Image.fromarray(frame) for frame in clip(3, 96, 96)]
    for name in ("moving.png", "moving.webp"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "in.bmp")
    torn = tmp_path / "torn.jpg"
    whole = _saved(tmp_path / "whole.jpg", picture).read_bytes()
    torn.write_bytes(whole[: len(whole) // 2])
    cases: list[tuple[Path, str, type[Exception], str]] = [
        (still, "o.mp4", UsageError, r"an image is sealed into \.png, \.jpg, \.jpeg or \.webp, not into o\.mp4"),
        (still, "o.gif", UsageError, "sealed into"),
        (video, "o.png", UsageError, r"a video is sealed into \.mp4 or \.m4v"),
        (tmp_path / "moving.png", "o.png", BadMedia, "animated"),
        (tmp_path / "moving.webp", "o.webp", BadMedia, "animated"),
        (tmp_path / "in.bmp", "o.png", BadMedia, "PNG, JPEG and WebP"),
        (torn, "o.png", BadMedia, "damaged"),
    ]
    for src, out, kind, message in cases:
        with pytest.raises(kind, match=message) as caught:
            seal(src, tmp_path / out)
        assert "\n" not in str(caught.value)
        assert not (tmp_path / out).exists()
    assert leftovers(tmp_path) == []


def test_a_mark_that_cannot_be_read_back_leaves_nothing(tmp_path: Path, stored, leftovers):
    noise = np.random.default_rng(0).integers(0, 256, (80, 80, 3), np.uint8)
    src, out = _saved(tmp_path / "noise.png", noise), tmp_path / "out.png"
    out.write_bytes(b"what was here before")
    with pytest.raises(SealFailed, match="cannot be read back"):
        seal(src, out)
    assert out.read_bytes() == b"what was here before"
    assert leftovers(tmp_path) == []
    assert stored() == 0


def test_a_full_disk_and_an_encoder_that_fails(
    picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stored, leftovers
):
    src = _saved(tmp_path / "in.png", picture)
    failures = (OSError(errno.ENOSPC, "No space left"), OutputFailed), (ValueError("no such size"), SealFailed)
    for error, kind in failures:

        def fail(*_: object, error: Exception = error, **__: object) -> None:
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(Image.Image, "save", fail)
            with pytest.raises(kind, match=r"disk is full|no such size"):
                seal(src, tmp_path / "out.webp")
        assert not (tmp_path / "out.webp").exists()
        assert leftovers(tmp_path) == []
    assert stored() == 0


def test_what_a_killed_seal_of_a_picture_left_is_swept(picture, tmp_path: Path):
    gone = tmp_path / f".countermark-{2**22 + 1}-abcdef.raw.webp"  # no process has a number beyond 2^22
    gone.write_bytes(b"half a picture")
    other = tmp_path / ".countermark-notes.txt"
    other.write_text("mine")
    seal(_saved(tmp_path / "in.png", picture), tmp_path / "out.png")
    assert not gone.exists()
    assert other.exists()
    assert sealing.TEMPORARY.fullmatch(gone.name)
