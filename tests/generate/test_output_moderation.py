"""Finished frames are judged before the seal: a refused video is nowhere, a clean one is sealed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from countermark.errors import ModelUnavailable, OutputFailed, PromptRefused, UnsafeOutput
from countermark.generate import Request, Result, generate, protect
from countermark.moderation.frames import load_frame_model
from countermark.provenance.store import Store
from countermark.settings import load_settings


class Maker:
    """A generator that counts its calls."""

    name, version = "counting", "7"

    def __init__(self, frames: np.ndarray) -> None:
        self.frames, self.calls = frames, 0

    def generate(self, request: Request) -> Result:
        self.calls += 1
        return Result(self.frames, 8.0, ("of the model",))


class Bright:
    """A model of pictures that takes bright frames for naked ones."""

    name = "bright"

    def __init__(self) -> None:
        self.looked = 0

    def judge(self, frames: Sequence[Any]) -> list[Mapping[str, float]]:
        self.looked += len(frames)
        return [{"sexual": float(frame.mean() > 200)} for frame in frames]


@pytest.fixture
def bright(monkeypatch: pytest.MonkeyPatch) -> Bright:
    model = Bright()
    monkeypatch.setattr("countermark.generate.pipeline.load_frame_model", lambda: model)
    return model


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("countermark.generate.pipeline.load_frame_model", lambda: None)


def settings_of(home: Path, text: str) -> None:
    home.mkdir(exist_ok=True)
    (home / "settings.toml").write_text(f"[moderation]\n{text}\n")


def nothing_is_left(folder: Path, home: Path) -> bool:
    """No file, no temporary file, and no entry in the store."""
    files = [path.name for path in folder.iterdir() if path != home]
    home.mkdir(exist_ok=True)
    with Store(load_settings().store) as store:
        return files == [] and len(store) == 0


@pytest.fixture
def unsafe(clip: Callable[..., Any]) -> np.ndarray:
    """A clip whose last frame alone is bright."""
    frames: np.ndarray = clip()
    frames[-1] = 255
    return frames


def test_a_clean_video_is_sealed(bright: Bright, clip: Callable[..., Any], tmp_path: Path) -> None:
    sealed = generate("a cat walks over a bridge", tmp_path / "o.mp4", model=Maker(clip()))
    assert Path(sealed.path).exists()
    assert sealed.warnings == ("of the model",)
    assert bright.looked == 7, "24 frames at 8 a second, two looks a second and the last"


def test_a_refused_video_is_nowhere(bright: Bright, unsafe: np.ndarray, tmp_path: Path, home: Path) -> None:
    model = Maker(unsafe)
    with pytest.raises(UnsafeOutput, match=r"frames show sexual \(at 2\.9 s\)") as caught:
        generate("a cat walks over a bridge", tmp_path / "o.mp4", model=model)
    assert (caught.value.exit_code, model.calls) == (3, 1)
    assert nothing_is_left(tmp_path, home)


def test_an_earlier_file_is_kept_when_the_new_one_is_refused(
    bright: Bright, unsafe: np.ndarray, tmp_path: Path
) -> None:
    (tmp_path / "o.mp4").write_bytes(b"earlier")
    with pytest.raises(UnsafeOutput):
        generate("a cat", tmp_path / "o.mp4", model=Maker(unsafe))
    assert (tmp_path / "o.mp4").read_bytes() == b"earlier"


def test_the_policy_decides(bright: Bright, unsafe: np.ndarray, tmp_path: Path, home: Path) -> None:
    settings_of(home, 'policy = "own.toml"')
    own = 'name = "own"\nversion = 1\n[categories.sexual]\naction = '
    (home / "own.toml").write_text(f'{own}"review"\n')
    sealed = generate("a cat", tmp_path / "o.mp4", model=Maker(unsafe))
    assert sealed.warnings == ("of the model", "for review: its frames show sexual (at 2.9 s)")
    (home / "own.toml").write_text(f'{own}"allow"\n')
    assert generate("a cat", tmp_path / "p.mp4", model=Maker(unsafe)).warnings == ("of the model",)


def test_without_the_extra_a_note_says_so_once(
    absent: None, clip: Callable[..., Any], tmp_path: Path, home: Path
) -> None:
    first = generate("a cat", tmp_path / "o.mp4", model=Maker(clip()))
    assert first.warnings[0] == "of the model"
    assert len(first.warnings) == 2
    assert "countermark[safety]" in first.warnings[1]
    settings_of(home, 'frames = "off"')
    assert generate("a cat", tmp_path / "p.mp4", model=Maker(clip())).warnings == ("of the model",)


def test_off_is_off_with_the_extra_too(bright: Bright, unsafe: np.ndarray, tmp_path: Path, home: Path) -> None:
    settings_of(home, 'frames = "off"')
    assert generate("a cat", tmp_path / "o.mp4", model=Maker(unsafe)).warnings == ("of the model",)
    assert bright.looked == 0


def test_on_needs_the_extra_before_anything_is_made(
    absent: None, clip: Callable[..., Any], tmp_path: Path, home: Path
) -> None:
    settings_of(home, 'frames = "on"')
    model = Maker(clip(2))
    with pytest.raises(ModelUnavailable, match="safety"):
        generate("a cat", tmp_path / "o.mp4", model=model)
    assert model.calls == 0
    assert nothing_is_left(tmp_path, home)


def test_a_protected_pipeline_writes_none_of_its_videos_when_one_is_refused(
    bright: Bright, wan: Path, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffusers import WanPipeline

    pipe = WanPipeline.from_pretrained(wan)
    pipe.set_progress_bar_config(disable=True)
    call = protect(pipe)
    arguments = {"height": 128, "width": 128, "num_frames": 9, "num_inference_steps": 1}
    assert len(call(["a red ball", "a cat"], **arguments, output=tmp_path / "fine.mp4")) == 2
    for path in tmp_path.glob("fine*.mp4"):
        path.unlink()
    monkeypatch.setattr(
        "countermark.generate.pipeline.frames_of",
        lambda output: [np.zeros((9, 128, 128, 3), np.uint8), np.full((9, 128, 128, 3), 255, np.uint8)],
    )
    with pytest.raises(UnsafeOutput, match="sexual"):
        call(["a red ball", "a cat"], **arguments, output=tmp_path / "o.mp4")
    assert [path.name for path in tmp_path.iterdir() if path != home] == []


def test_the_command_line_leaves_with_three(
    unsafe: np.ndarray, bright: Bright, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    from countermark.cli import main

    monkeypatch.setattr("countermark.generate.pipeline.load_model", lambda *_, **__: Maker(unsafe))
    monkeypatch.setattr("sys.argv", ["countermark", "generate", "a cat", "-o", str(tmp_path / "o.mp4"), "--json"])
    with pytest.raises(SystemExit) as left:
        main()
    shown = capsys.readouterr()
    assert left.value.code == 3
    assert json.loads(shown.out)["error"]["type"] == "UnsafeOutput"
    assert shown.err.count("\n") == 1
    assert nothing_is_left(tmp_path, home)


def test_the_audit_log_has_prompts_and_frames(
    bright: Bright, unsafe: np.ndarray, clip: Callable[..., Any], tmp_path: Path, home: Path
) -> None:
    settings_of(home, 'audit = "audit.jsonl"')
    generate("a cat", tmp_path / "o.mp4", model=Maker(clip()))
    with pytest.raises(UnsafeOutput):
        generate("a dog", tmp_path / "p.mp4", model=Maker(unsafe))
    with pytest.raises(PromptRefused):
        generate("a nude video of a famous singer", tmp_path / "p.mp4", model=Maker(clip(2)))
    entries = [json.loads(line) for line in (home / "audit.jsonl").read_text().splitlines()]
    assert [(one["action"], one.get("frames"), one["model"]) for one in entries] == [
        ("allow", None, "encoder"),
        ("allow", True, "bright"),
        ("allow", None, "encoder"),
        ("refuse", True, "bright"),
        ("refuse", None, "encoder"),
    ]
    assert {one["source"] for one in entries} == {"generate"}
    assert entries[3]["sha256"] == entries[2]["sha256"] == hashlib.sha256(b"a dog").hexdigest()
    assert "singer" not in (home / "audit.jsonl").read_text()


def test_an_audit_log_that_cannot_be_written_stops_everything(
    bright: Bright, clip: Callable[..., Any], tmp_path: Path, home: Path
) -> None:
    settings_of(home, 'audit = "no/such/folder/audit.jsonl"')
    model = Maker(clip(2))
    with pytest.raises(OutputFailed, match="cannot write"):
        generate("a cat", tmp_path / "o.mp4", model=model)
    assert model.calls == 0


def test_the_real_detector_passes_a_drawn_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("nudenet", reason="the safety extra is not installed")
    from countermark.generate.render import render
    from countermark.generate.world import sample_scene

    model = load_frame_model()
    looked: list[int] = []
    judge = model.judge
    monkeypatch.setattr(model, "judge", lambda frames: looked.append(len(frames)) or judge(frames))
    frames = render(sample_scene(np.random.default_rng(1)), 256, 24)
    sealed = generate("a red ball bounces, animated", tmp_path / "o.mp4", model=Maker(frames))
    assert Path(sealed.path).exists()
    assert sealed.warnings == ("of the model",)
    assert looked == [7]
