"""Files of JSON lines: appended whole, cut back to whole lines, and nothing else touched."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from countermark.errors import OutputFailed, UsageError
from countermark.outputs import LineFile, finished, write_whole

LINE = '{"schema": 1, "n": 0}'


def test_lines_are_added_to_what_is_there(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    for _ in range(2):
        with LineFile(path) as file:
            file.write(LINE)
            assert path.read_text().endswith(f"{LINE}\n"), "at once, not when the file is closed"
    assert [entry["n"] for entry in finished(path, "numbers")] == [0, 0]


@pytest.mark.parametrize("cut", range(len(LINE)))
def test_a_torn_line_is_cut_off(tmp_path: Path, cut: int):
    path = tmp_path / "a.jsonl"
    path.write_text(f"{LINE}\n{LINE[:cut]}")
    assert len(list(finished(path, "numbers"))) == 1
    assert path.read_text() == f"{LINE}\n"


def test_a_file_is_kept_until_all_of_it_was_read(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_text(f"{LINE}\n{LINE[:9]}")
    next(finished(path, "numbers"))
    assert path.read_text() == f"{LINE}\n{LINE[:9]}"


@pytest.mark.parametrize(
    "content", [b"notes\n", b"3\n", b"{}\nnotes", b"\xff\n", b"[" * 100_000 + b"\n", b'{"own": "notes"']
)
def test_another_file_is_refused_and_kept(tmp_path: Path, content: bytes):
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="is not a file of numbers"):
        list(finished(path, "numbers"))
    assert path.read_bytes() == content


def test_nothing_comes_of_no_file(tmp_path: Path):
    assert list(finished(tmp_path / "none.jsonl", "numbers")) == []
    assert not (tmp_path / "none.jsonl").exists()


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = LineFile(tmp_path / "a.jsonl")
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, data[:5]))
    with pytest.raises(OutputFailed, match=r"a\.jsonl: the disk is full"):
        file.write(LINE)

    def refuse(*_: object) -> int:
        raise OSError(errno.EFBIG, "x")

    monkeypatch.setattr(os, "write", refuse)
    with pytest.raises(OutputFailed, match="too large"):
        file.write(LINE)
    file.close()


def test_a_mode_is_for_new_files(tmp_path: Path):
    with LineFile(tmp_path / "a.jsonl", 0o600) as file:
        file.write(json.dumps({"schema": 1}))
    assert (tmp_path / "a.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_whole_file_replaces_another_or_leaves_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    target = tmp_path / "report.html"
    target.write_text("old")
    write_whole(target, "new: ü")
    assert target.read_text(encoding="utf-8") == "new: ü"

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "")

    monkeypatch.setattr("countermark.outputs.os.fsync", full)
    with pytest.raises(OutputFailed, match="the disk is full"):
        write_whole(target, "newer")
    assert target.read_text(encoding="utf-8") == "new: ü"
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(OutputFailed, match="does not exist"):
        write_whole(tmp_path / "no" / "report.html", "text")
