"""The audit log: a line for each decision, and never the prompt."""

from __future__ import annotations

import datetime
import hashlib
import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from countermark.errors import OutputFailed
from countermark.moderation import AuditLog, Moderator, moderator_of
from countermark.moderation.frames import FrameDecision
from countermark.settings import Settings

HARMFUL = "a nude video of a famous singer"


def entries(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_decision_is_written_down_without_the_prompt(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    moderator = Moderator("news", audit=AuditLog(path, "moderate"))
    decision = moderator.check(HARMFUL)
    list(moderator.check_all(["a cat", "", "\ud800"]))
    first, *rest = entries(path)
    assert first["sha256"] == hashlib.sha256(HARMFUL.encode()).hexdigest()
    assert (first["length"], first["action"], first["policy"]) == (len(HARMFUL), "refuse", decision.policy)
    assert first["flagged"] == {category: round(decision.scores[category], 4) for category in decision.flagged}
    assert (first["schema"], first["source"], first["model"]) == (1, "moderate", "encoder")
    assert first["risk"] == round(decision.risk, 4)
    at = datetime.datetime.fromisoformat(first["time"])
    assert at.utcoffset() == datetime.timedelta(0)
    assert abs(datetime.datetime.now(datetime.UTC) - at) < datetime.timedelta(minutes=5)
    assert [(one["length"], one["action"]) for one in rest] == [(5, "allow"), (0, "allow"), (1, "allow")]
    assert not any(word in path.read_text() for word in ("nude", "singer", "cat"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_frames_are_written_down_too(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "a.jsonl", "generate")
    log.add_frames("a cat", FrameDecision("refuse", {"sexual": 0.91234, "shock": 0.1}, ("sexual",), 1.5), "p@1", "m")
    (entry,) = entries(log.path)
    assert (entry["action"], entry["flagged"], entry["frames"]) == ("refuse", {"sexual": 0.9123}, True)
    assert (entry["policy"], entry["model"], entry["source"]) == ("p@1", "m", "generate")


def test_only_what_is_asked_for_is_judged_and_logged(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    decisions = Moderator("standard", audit=AuditLog(path, "m")).check_all(["a cat", "a dog", "a bird"])
    assert path.read_text() == ""
    next(decisions)
    assert len(entries(path)) == 1


def test_many_threads_write_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    moderator = Moderator("standard", audit=AuditLog(path, "m"))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(moderator.check, [f"cat number {i}" for i in range(200)]))
    assert {one["sha256"] for one in entries(path)} == {
        hashlib.sha256(f"cat number {i}".encode()).hexdigest() for i in range(200)
    }


def test_the_log_may_be_moved_away(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    moderator = Moderator("standard", audit=AuditLog(path, "m"))
    moderator.check("a cat")
    path.rename(tmp_path / "a.jsonl.1")
    moderator.check("a cat")
    assert [len(entries(tmp_path / name)) for name in ("a.jsonl", "a.jsonl.1")] == [1, 1]


def test_a_log_that_cannot_be_written_is_an_error_at_once(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none" / "a.jsonl"):
        with pytest.raises(OutputFailed, match="cannot write"):
            AuditLog(path, "m")
    with pytest.raises(OutputFailed, match="cannot write"):
        moderator_of(Settings(tmp_path, audit=tmp_path), "generate")
    folder = tmp_path / "folder"
    folder.mkdir()
    moderator = Moderator("standard", audit=AuditLog(folder / "a.jsonl", "m"))
    (folder / "a.jsonl").unlink()
    folder.rmdir()
    with pytest.raises(OutputFailed, match="its folder does not exist"):
        moderator.check("a cat")
