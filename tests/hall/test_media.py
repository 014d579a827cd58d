from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from countermark.errors import BadMedia
from countermark.media import open_source, probe, unhashed_bytes
from countermark.writer import VideoWriter


def test_writes_what_it_reads(clip, tmp_path: Path):
    frames = clip(8)
    path = tmp_path / "a.mp4"
    with VideoWriter(path, 256, 256, Fraction(8), crf=10) as writer:
        for i, frame in enumerate(frames):
            writer.write(i / 8, frame)
    source = open_source(path)
    facts = source.facts
    assert (facts.kind, facts.width, facts.height, facts.fps, facts.seconds) == ("video", 256, 256, 8.0, 1.0)
    assert facts.codec == "h264"
    read = list(source.frames())
    assert [round(t.time, 3) for t in read] == [i / 8 for i in range(8)]
    assert np.abs(read[3].rgb.astype(int) - frames[3]).mean() < 4
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "not ready for streaming"


@pytest.mark.parametrize("matrix", [("smpte170m", 256), ("bt709", 256), (None, 720)])
def test_colours_keep_their_matrix(matrix, tmp_path: Path):
    """A red frame in BT.601, BT.709 or untagged HD comes back red."""
    named, height = matrix
    from av.video.reformatter import Colorspace

    path = tmp_path / "red.mp4"
    red = np.zeros((height, 320, 3), np.uint8)
    red[..., 0], red[..., 1] = 200, 30
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=8, options={"crf": "5"})
        stream.width, stream.height, stream.pix_fmt = 320, height, "yuv420p"
        if named:
            stream.codec_context.colorspace = {"smpte170m": 6, "bt709": 1}[named]
        space = Colorspace.ITU601 if named == "smpte170m" else Colorspace.ITU709
        frame = av.VideoFrame.from_ndarray(red, format="rgb24").reformat(format="yuv420p", dst_colorspace=space)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    got = next(open_source(path).frames()).rgb.mean((0, 1))
    assert np.abs(got - red.mean((0, 1))).max() < 6, got


def test_odd_sizes_become_even(clip, tmp_path: Path):
    path = tmp_path / "odd.mp4"
    with VideoWriter(path, 255, 131, Fraction(8)) as writer:
        writer.write(0, clip(1, 131, 255)[0])
    assert (probe(path).width, probe(path).height) == (256, 132)


@pytest.mark.parametrize(("degrees", "corner"), [(90, "ne"), (180, "se"), (270, "sw")])
def test_rotation_is_applied(clip, write, tmp_path: Path, degrees: int, corner: str):
    frames = np.full((4, 96, 160, 3), 40, np.uint8)
    frames[:, :32, :32] = 230  # the north-west corner is bright
    path = write(tmp_path / "phone.mp4", frames, rotate=degrees)
    source = open_source(path)
    assert (source.facts.width, source.facts.height) == ((96, 160) if degrees != 180 else (160, 96))
    rgb = next(source.frames()).rgb
    assert rgb.shape == (source.facts.height, source.facts.width, 3)
    corners = {"nw": rgb[:16, :16], "ne": rgb[:16, -16:], "sw": rgb[-16:, :16], "se": rgb[-16:, -16:]}
    assert max(corners, key=lambda name: corners[name].mean()) == corner


def test_variable_frame_rate_keeps_its_times(clip, write, tmp_path: Path):
    times = [0, 40, 200, 240, 900, 1000]
    path = write(tmp_path / "vfr.mp4", clip(6), times=times)
    assert [round(t.time * 1000) for t in open_source(path).frames()] == times


def test_ten_bits_and_alpha_and_other_containers(clip, write, tmp_path: Path):
    frames = clip(3, 128, 128)
    made = {
        "ten.mkv": ("libx265", "yuv420p10le", "hevc"),
        "nine.webm": ("libvpx-vp9", "yuva420p", "vp9"),
        "old.avi": ("mpeg4", "yuv420p", "mpeg4"),
        "apple.mov": ("libx264", "yuv444p", "h264"),
        "flip.gif": ("gif", "rgb8", "gif"),
    }
    for name, (codec, pix_fmt, shown) in made.items():
        options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
        path = write(tmp_path / name, frames, codec=codec, pix_fmt=pix_fmt, options=options)
        facts = probe(path)
        assert (facts.kind, facts.codec) == ("video", shown), name
        read = [t.rgb for t in open_source(path).frames()]
        assert len(read) == 3
        assert np.abs(read[0].astype(int) - frames[0]).mean() < 25, name


def test_images(clip, tmp_path: Path):
    from PIL import Image

    picture = Image.fromarray(clip(1)[0])
    for name in ("a.png", "a.jpg", "a.webp", "a.gif"):
        picture.save(tmp_path / name)
        facts = probe(tmp_path / name)
        assert (facts.kind, facts.width, facts.height, facts.seconds) == ("image", 256, 256, None), name
        assert len(list(open_source(tmp_path / name).frames())) == 1
    alpha = picture.convert("RGBA")
    alpha.putalpha(128)
    alpha.save(tmp_path / "alpha.png")
    assert next(open_source(tmp_path / "alpha.png").frames()).rgb.shape == (256, 256, 3)


def _bad_files(write, clip, folder: Path) -> dict[str, Path]:
    good = write(folder / "good.mp4", clip(24))
    data = good.read_bytes()
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("this is no video\n" * 40)
    (folder / "header.mp4").write_bytes(data[:100])
    sound = folder / "sound.mp4"
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return {
        "no such file": folder / "missing.mp4",
        "empty": folder / "empty.mp4",
        "not a readable": folder / "text.mp4",
        "header.mp4: (not a readable|it has no video)": folder / "header.mp4",
        "no video track": sound,
        "folder": folder,
    }


def test_bad_files_are_one_line(clip, write, tmp_path: Path):
    for message, path in _bad_files(write, clip, tmp_path).items():
        with pytest.raises(BadMedia, match=message) as caught:
            open_source(path)
        assert "\n" not in str(caught.value)


def test_a_cut_off_file_says_so(clip, write, tmp_path: Path):
    data = write(tmp_path / "good.mp4", clip(24)).read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: len(data) * 9 // 10])
    source = open_source(cut)
    assert source.truncated
    assert not open_source(tmp_path / "good.mp4").truncated
    seen = 0
    try:
        for _ in source.frames():
            seen += 1
    except BadMedia as error:
        assert "damaged" in str(error)
    assert 0 < seen < 24


def test_a_playlist_reaches_no_other_file(tmp_path: Path, clip, write):
    write(tmp_path / "secret.mp4", clip(3))
    trap = tmp_path / "trap.mp4"
    trap.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.mp4\n#EXT-X-ENDLIST\n")
    with pytest.raises(BadMedia):
        open_source(trap)


def test_padding_outside_the_hash_is_counted(clip, write, tmp_path: Path):
    path = write(tmp_path / "a.mp4", clip(2))
    before = unhashed_bytes(path)
    path.write_bytes(path.read_bytes() + (100_008).to_bytes(4, "big") + b"free" + bytes(100_000))
    assert unhashed_bytes(path) == before + 100_008
    assert not open_source(path).truncated
    text = tmp_path / "a.txt"
    text.write_bytes(b"not a box file at all")
    assert unhashed_bytes(text) == 0
