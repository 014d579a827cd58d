"""Every kind of file gets a Report, or one clear error."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from countermark.detect import scan
from countermark.errors import BadMedia
from countermark.media import MIME

pytestmark = pytest.mark.usefixtures("silent")


def test_a_truncated_file_gets_a_report_with_a_note(clip, write, tmp_path: Path):
    data = write(tmp_path / "whole.mp4", clip(24)).read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: len(data) * 9 // 10])
    report = scan(cut)
    assert "the file is cut off" in report.notes
    assert report.media.kind == "video"
    assert scan(tmp_path / "whole.mp4").notes == ()


def test_frames_that_change_their_size_are_noted(clip, write, tmp_path: Path):
    """Two H.264 streams of different sizes one after the other."""
    import av

    path = tmp_path / "a.h264"
    with path.open("wb") as file:
        for size in (128, 96):
            part = write(tmp_path / f"{size}.h264", clip(4, size, size))
            file.write(part.read_bytes())
    with av.open(str(path)) as probe:
        assert len({frame.width for frame in probe.decode(video=0)}) == 2
    assert any("frame size changes" in note for note in scan(path).notes)


def test_a_wrong_extension_is_noted(clip, tmp_path: Path):
    Image.fromarray(clip(1)[0]).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.mp4")
    report = scan(tmp_path / "a.mp4")
    assert report.media.kind == "image"
    assert any("png" in note and ".mp4" in note for note in report.notes)


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.webm", "a.mkv", "a.avi", "a.gif", "a.png", "a.jpg", "a.webp"])
def test_every_container_gives_a_report(clip, write, tmp_path: Path, name: str):
    path = tmp_path / name
    assert path.suffix in MIME
    codec, pix_fmt = {".webm": ("libvpx-vp9", "yuv420p"), ".avi": ("mpeg4", "yuv420p"), ".gif": ("gif", "rgb8")}.get(
        path.suffix, ("libx264", "yuv420p")
    )
    still = path.suffix in (".png", ".jpg", ".webp")
    if still:
        Image.fromarray(clip(1)[0]).save(path)
    else:
        write(path, clip(8), 8, codec=codec, pix_fmt=pix_fmt)
    report = scan(path)
    assert (report.verdict, report.credentials, report.notes) == ("no_evidence", "none", ())
    assert (report.media.kind, report.media.width, report.media.height) == ("image" if still else "video", 256, 256)
    assert report.of("known_marks").applies
    assert report.of("c2pa").applies == (path.suffix not in (".webm", ".mkv"))


def test_small_pictures_and_single_frames_are_judged_by_what_applies(write, clip, tmp_path: Path):
    tiny = write(tmp_path / "tiny.mkv", np.full((3, 1, 1, 3), 90, np.uint8), codec="ffv1", pix_fmt="yuv444p")
    one = write(tmp_path / "one.mp4", clip(1))
    assert scan(tiny).verdict == "no_evidence"
    assert not scan(tiny).of("known_marks").applies
    assert scan(one).verdict == "no_evidence"


def test_what_cannot_be_read_raises(tmp_path: Path):
    (tmp_path / "a.mp4").write_text("this is no video\n" * 40)
    with pytest.raises(BadMedia, match="not a readable"):
        scan(tmp_path / "a.mp4")
    with pytest.raises(BadMedia, match="no such file"):
        scan(tmp_path / "none.mp4")
