"""Where sealing fails, is cut off or is interrupted: nothing partial, nothing damaged, no entry without its file."""

import errno
import os
import resource
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from countermark.errors import BadMedia, CountermarkError, OutputFailed, SealFailed, StoreError, UsageError
from countermark.provenance import Clip, Maker, Store, inspect, seal, seal_clip, sealing
from countermark.settings import load_settings
from countermark.writer import VideoWriter

MAKER = Maker("test model", "1")


def test_what_cannot_be_sealed_leaves_nothing(clip, write, tmp_path: Path, leftovers):
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
    assert leftovers(tmp_path) == []
    with pytest.raises(UsageError, match="generated or edited"):
        seal(good, tmp_path / "o.mp4", source="made")


def test_black_frames_are_sealed_or_refused_whole(tmp_path: Path, stored):
    """A mark needs room above and below; where even the strong one cannot be read back, nothing comes out."""
    frames = np.zeros((8, 128, 128, 3), np.uint8)
    out = tmp_path / "black.mp4"
    try:
        assert seal_clip(Clip.of_array(frames, 8), out, MAKER).verified
    except SealFailed as error:
        assert "read back" in str(error)
        assert not out.exists()
        assert stored() == 0


def test_a_read_only_folder(clip, tmp_path: Path):
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o555)
    if os.access(folder, os.W_OK):  # root may write anywhere but in the kernel's own folders
        folder = Path("/sys")
    with pytest.raises(OutputFailed, match="cannot write"):
        seal_clip(Clip.of_array(clip(2), 8), folder / "o.mp4", MAKER)


def test_a_full_disk(clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stored, leftovers):
    out = tmp_path / "o.mp4"
    out.write_bytes(b"what was here before")

    def full(self: VideoWriter, time: float, rgb: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(VideoWriter, "write", full)
        with pytest.raises(OutputFailed, match="disk is full"):
            seal_clip(Clip.of_array(clip(4), 8), out, MAKER)
    assert out.read_bytes() == b"what was here before"
    assert leftovers(tmp_path) == []
    assert stored() == 0


def test_a_file_size_limit(clip, tmp_path: Path, home: Path, stored, leftovers):
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
    assert leftovers(tmp_path) == []
    assert stored() == 1


STAGES = {
    "encoding": "patch(VideoWriter, 'write', after=3)",
    "signing": "patch(sealing, '_sign')",
    "reserving": "patch(Store, 'reserve', late=True)",
    "renaming": "patch(Store, 'confirm')",
}


@pytest.mark.parametrize("stage", list(STAGES))
def test_a_kill_at_any_point(clip, tmp_path: Path, stage: str, leftovers):
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
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    ("owner", "name"),
    [(VideoWriter, "write"), (sealing, "_sign"), (Store, "reserve"), (type(Path()), "replace"), (Store, "confirm")],
)
def test_an_interrupt_comes_through_and_leaves_nothing_half_done(
    clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, late: bool, stored, leftovers
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
    assert leftovers(tmp_path) == []
    assert (tmp_path / "o.mp4").exists() == placed
    assert stored() == 1 + placed
    if placed:
        assert inspect(tmp_path / "o.mp4", settings).state == "test_identity"


def test_failures_of_the_signer_come_through(clip, tmp_path: Path, stored):
    from dataclasses import replace

    from countermark.provenance import ensure_identity

    real = ensure_identity(load_settings())

    def broken(data: bytes) -> bytes:
        raise RuntimeError("the vault is locked")

    with pytest.raises(SealFailed, match="the vault is locked"):
        seal_clip(Clip.of_array(clip(4), 8), tmp_path / "o.mp4", MAKER, identity=replace(real, key=None, sign=broken))
    assert not (tmp_path / "o.mp4").exists()
    assert stored() == 0


def test_a_corrupt_store(clip, tmp_path: Path, home: Path):
    home.mkdir()
    (home / "store.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreError, match=r"store\.db failed") as caught:
        seal_clip(Clip.of_array(clip(2), 8), tmp_path / "o.mp4", MAKER)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "o.mp4").exists()


def test_frames_of_another_size_in_the_middle(clip, tmp_path: Path, leftovers):
    from countermark.media import Timed

    frames = [Timed(0, clip(1)[0]), Timed(0.1, clip(1, 128, 128)[0])]
    with pytest.raises(BadMedia, match="size changes"):
        seal_clip(Clip(lambda: iter(frames), 256, 256, Fraction(10)), tmp_path / "o.mp4", MAKER)
    assert leftovers(tmp_path) == []
