"""Many files: which, in what order, and what happens when one is bad."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from countermark.detect import done_paths, expand, scan_many
from countermark.detect.batch import _share
from countermark.errors import BadSettings, OutputFailed, UsageError
from countermark.settings import Settings


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder of files in folders, media and others."""
    root = tmp_path / "tree"
    for name in ("b.mp4", "a.webm", "notes.txt", "sub/d.MKV", "sub/c.png", "sub/deep/e.gif", "empty/x.txt"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return root


def _names(paths: list[Path], root: Path) -> list[str]:
    return [str(path.relative_to(root)) for path in paths]


def test_a_folder_gives_its_media_sorted(tree: Path):
    assert _names(expand([str(tree)]), tree) == ["a.webm", "b.mp4", "sub/c.png", "sub/d.MKV", "sub/deep/e.gif"]
    assert expand([str(tree / "empty")]) == []


def test_patterns_give_what_they_match(tree: Path, monkeypatch: pytest.MonkeyPatch):
    assert _names(expand([f"{tree}/*.mp4"]), tree) == ["b.mp4"]
    assert _names(expand([f"{tree}/sub/*"]), tree) == ["sub/c.png", "sub/d.MKV"]
    assert _names(expand([f"{tree}/**/*.gif"]), tree) == ["sub/deep/e.gif"]
    assert expand([f"{tree}/*.mov"]) == []
    monkeypatch.chdir(tree)
    assert expand(["?.mp4", "[a]*"]) == [Path("b.mp4"), Path("a.webm")]


def test_a_file_whose_name_looks_like_a_pattern_is_itself(tree: Path):
    odd = tree / "take [1].mp4"
    odd.write_bytes(b"")
    assert expand([str(odd)]) == [odd]


def test_arguments_keep_their_order_and_nothing_comes_twice(tree: Path):
    arguments = [str(tree / "sub"), str(tree / "b.mp4"), str(tree), str(tree / "missing.mp4")]
    assert _names(expand(arguments), tree) == [
        "sub/c.png",
        "sub/d.MKV",
        "sub/deep/e.gif",
        "b.mp4",
        "a.webm",
        "missing.mp4",
    ]


def test_names_that_no_file_can_have_get_their_own_error(tmp_path: Path):
    long = "x" * 5000 + ".mp4"
    (result,) = scan_many(expand([long]))
    assert result["path"] == long
    assert "too long" in result["error"]["message"]
    with pytest.raises(UsageError, match=r"\*\*x"):
        expand([f"{tmp_path}/**x/*.mp4"])


def _mixed(clip: Any, write: Any, folder: Path) -> list[Path]:
    """Good, missing, empty, garbled and good again."""
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("this is no video\n" * 40)
    first = write(folder / "one.mp4", clip(2, 96, 96))
    last = write(folder / "two.mkv", clip(2, 96, 96))
    return [first, folder / "missing.mp4", folder / "empty.mp4", folder / "text.mp4", last]


@pytest.mark.parametrize("workers", [1, 2])
def test_bad_files_end_no_run_and_keep_their_place(clip, write, tmp_path: Path, workers: int):
    paths = _mixed(clip, write, tmp_path)
    results = list(scan_many(paths, workers=workers))
    assert [result["path"] for result in results] == [str(path) for path in paths]
    assert [result.get("verdict") for result in results] == ["no_evidence", None, None, None, "no_evidence"]
    for result, message in zip(results[1:4], ("no such file", "empty", "not a readable"), strict=True):
        assert set(result) == {"schema", "path", "error"}
        assert (result["schema"], result["error"]["type"]) == (1, "BadMedia")
        assert message in result["error"]["message"]
        assert "\n" not in result["error"]["message"]


def test_workers_see_the_settings_that_are_given(clip, tmp_path: Path):
    """Spawned processes read no settings of their own."""
    from countermark.provenance import Clip, Maker, seal_clip

    settings = Settings(tmp_path / "elsewhere")
    sealed = seal_clip(Clip.of_array(clip(8), 8), tmp_path / "a.mp4", Maker("m"), settings=settings)
    (result,) = scan_many([Path(sealed.path)], workers=2, settings=settings)
    assert (result["verdict"], result["credentials"]) == ("generated", "test_identity")


class _Deadly(type(Path())):  # type: ignore[misc]  # the platform's own Path
    """A path that kills the process it is sent to: what a file does that crashes a decoder."""

    def __reduce__(self) -> Any:
        return os._exit, (9,)


def test_a_file_that_kills_its_worker_costs_only_itself(tmp_path: Path):
    paths = [
        tmp_path / "a.mp4",
        tmp_path / "b.mp4",
        _Deadly(tmp_path / "c.mp4"),
        tmp_path / "d.mp4",
        tmp_path / "e.mp4",
    ]
    results = list(scan_many(paths, workers=2))
    assert [result["path"] for result in results] == [str(path) for path in paths]
    killed = results.pop(2)
    assert killed["error"]["message"] == "c.mp4: reading it killed the process"
    assert all("no such file" in result["error"]["message"] for result in results)


@pytest.mark.parametrize(("workers", "threads"), [(1, 8), (2, 4), (3, 2), (20, 1)])
def test_workers_share_the_cores(monkeypatch: pytest.MonkeyPatch, workers: int, threads: int):
    import cv2

    before = cv2.getNumThreads()
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    try:
        _share(workers)
        assert os.environ["OMP_NUM_THREADS"] == str(threads)
        monkeypatch.setenv("OMP_NUM_THREADS", "2,1")
        _share(workers)
        assert os.environ["OMP_NUM_THREADS"] == "2,1", "who chose a number keeps it"
    finally:
        cv2.setNumThreads(before)


def test_an_error_that_nobody_foresaw_ends_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def broken(path: Path, **_: object) -> None:
        raise ZeroDivisionError("float\ndivision") if path.name == "a.mp4" else MemoryError

    monkeypatch.setattr("countermark.detect.batch.examine", broken)
    first, second = scan_many([tmp_path / "a.mp4", tmp_path / "b.mp4"])
    assert first["error"] == {
        "type": "BadMedia",
        "message": "a.mp4: judging it failed (ZeroDivisionError: float division)",
    }
    assert "memory" in second["error"]["message"]


def test_results_come_as_they_are_ready(clip, write, tmp_path: Path):
    """Nothing is scanned before it is asked for, so that an endless list would do."""
    paths = iter(_mixed(clip, write, tmp_path))
    first = next(iter(scan_many(paths)))
    assert first["verdict"] == "no_evidence"
    assert len(list(paths)) == 4


def test_wrong_counts_of_workers_and_bad_settings_stop_the_run(home: Path):
    with pytest.raises(UsageError, match="workers"):
        list(scan_many([Path("a.mp4")], workers=0))
    home.mkdir()
    (home / "settings.toml").write_text("[nothing]\n")
    with pytest.raises(BadSettings):
        list(scan_many([Path("a.mp4")]))


def _lines(*names: str) -> bytes:
    return b"".join(json.dumps({"schema": 1, "path": name}).encode() + b"\n" for name in names)


def test_finished_paths_are_remembered(tmp_path: Path):
    out = tmp_path / "out.jsonl"
    assert done_paths(out) == {}
    assert not out.exists()
    out.write_bytes(_lines("a.mp4", "b.mp4"))
    assert set(done_paths(out)) == {"a.mp4", "b.mp4"}
    assert out.read_bytes() == _lines("a.mp4", "b.mp4")


@pytest.mark.parametrize("cut", [1, 5, 20, 26, 27])
def test_a_torn_last_line_is_cut_off_and_done_again(tmp_path: Path, cut: int):
    """Even one that lacks only its line break: the next line would be glued to it."""
    out = tmp_path / "out.jsonl"
    whole, torn = _lines("a.mp4"), _lines("b.mp4")
    assert len(torn) == 31
    out.write_bytes(whole + torn[:cut] if cut < 27 else whole + torn[:-1])
    assert set(done_paths(out)) == {"a.mp4"}
    assert out.read_bytes() == whole


@pytest.mark.parametrize(
    "content", [b"my notes\n", b"my notes", b'[1]\n{"schema"', b'{"schema": 1}\n', b"\xff\xd8\xff\xe0"]
)
def test_a_file_of_something_else_is_refused_and_kept(tmp_path: Path, content: bytes):
    out = tmp_path / "out.jsonl"
    out.write_bytes(content)
    with pytest.raises(UsageError, match="not a file of reports"):
        done_paths(out)
    assert out.read_bytes() == content


def test_a_folder_is_no_place_for_reports(tmp_path: Path):
    with pytest.raises(OutputFailed, match="cannot write"):
        done_paths(tmp_path)
