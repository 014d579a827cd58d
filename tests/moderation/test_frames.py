"""Which frames are looked at, and what a policy makes of what is seen in them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from countermark.errors import WeightsMissing
from countermark.moderation import CategoryPolicy, Policy, load_policy
from countermark.moderation.frames import EXPOSED, KINDS, MOST, RATE, NudeNet, check_frames, load_frame_model


class Numbers:
    """A model that reads its belief off a frame's first pixel, and remembers which frames it saw."""

    name = "numbers"

    def __init__(self) -> None:
        self.seen: list[int] = []

    def judge(self, frames: Sequence[Any]) -> list[Mapping[str, float]]:
        self.seen += [int(frame[0, 0, 1]) * 256 + int(frame[0, 0, 2]) for frame in frames]
        return [{"sexual": frame[0, 0, 0] / 255} for frame in frames]


def numbered(count: int, beliefs: Mapping[int, float] | None = None) -> Any:
    frames = np.zeros((count, 2, 2, 3), np.uint8)
    for i in range(count):
        frames[i, 0, 0] = (0, i // 256, i % 256)
    for i, belief in (beliefs or {}).items():
        frames[i, 0, 0, 0] = round(belief * 255)
    return frames


@pytest.mark.parametrize(
    ("count", "fps"), [(1, 24.0), (2, 24.0), (72, 24.0), (73, 24.0), (9, 8.0), (10_000, 60.0), (5, 0.5)]
)
def test_frames_are_taken_evenly_with_both_ends(count: int, fps: float) -> None:
    model = Numbers()
    check_frames(numbered(count), fps, load_policy("standard"), model)
    seen = model.seen
    assert seen == sorted(set(seen))
    assert (seen[0], seen[-1]) == (0, count - 1)
    assert len(seen) <= MOST
    gaps = np.diff(seen) / fps
    if len(seen) < MOST and count > 1:
        assert gaps.max() <= max(1 / RATE, 1 / fps) + 1 / fps, "no more than half a second is passed over"
    if count > 2:
        assert gaps.max() - gaps.min() <= 1.01 / fps


def acting(action: str, threshold: float = 0.8) -> Policy:
    policy = load_policy("standard")
    return replace(policy, categories={**policy.categories, "sexual": CategoryPolicy(threshold, 3, action)})


def test_the_policy_decides_on_what_is_seen() -> None:
    frames = numbered(49, {24: 0.85, 36: 0.9})
    for action in ("refuse", "review", "allow"):
        decision = check_frames(frames, 24.0, acting(action), Numbers())
        assert (decision.action, decision.flagged) == (action, ("sexual",))
        assert decision.scores["sexual"] == pytest.approx(0.9, abs=0.01)
        assert decision.time == pytest.approx(1.5, abs=0.05)
        assert decision.explain() == "its frames show sexual (at 1.5 s)"
    clean = check_frames(frames, 24.0, acting("refuse", 0.95), Numbers())
    assert (clean.action, clean.flagged, clean.explain()) == ("allow", (), "allowed")


def test_a_hit_in_the_last_frame_counts() -> None:
    assert check_frames(numbered(50, {49: 1.0}), 24.0, acting("refuse"), Numbers()).action == "refuse"


def test_what_counts_of_the_detectors_kinds() -> None:
    assert len(KINDS) == len(set(KINDS)) == 18
    assert all(kind in KINDS and kind.endswith("EXPOSED") for kind in EXPOSED)
    assert not any("FACE" in kind or "FEET" in kind for kind in EXPOSED)


class Session:
    """In the place of the detector's network: one detection of a kind in each picture."""

    def __init__(self, kind: str, confidence: float) -> None:
        self.kind, self.confidence = kind, confidence
        self.shapes: list[tuple[int, ...]] = []

    def run(self, _: None, given: Mapping[str, Any]) -> list[Any]:
        pictures = given["images"]
        self.shapes.append(pictures.shape)
        boxes = np.zeros((len(pictures), 22, 2100), np.float32)
        boxes[:, :4] = 300.0  # places and sizes in pixels, which are no confidences
        boxes[:, 4 + KINDS.index(self.kind), 7] = self.confidence
        return [boxes]


def detector(session: Session) -> NudeNet:
    model = object.__new__(NudeNet)
    model._session = session
    return model


def test_detections_become_beliefs() -> None:
    frames = [np.zeros((40, 60, 3), np.uint8)] * 20
    session = Session("FEMALE_BREAST_EXPOSED", 0.5)
    assert [seen["sexual"] for seen in detector(session).judge(frames)] == pytest.approx([0.8] * 20)
    assert all(shape[0] <= 8 and shape[1:] == (3, 320, 320) for shape in session.shapes)
    for confidence, belief in ((0.2, 0.0), (0.375, 0.4), (1.0, 1.0)):
        (seen,) = detector(Session("ANUS_EXPOSED", confidence)).judge(frames[:1])
        assert seen["sexual"] == pytest.approx(belief)
    for kind in ("FACE_FEMALE", "FEET_EXPOSED", "FEMALE_BREAST_COVERED", "MALE_BREAST_EXPOSED"):
        assert detector(Session(kind, 0.99)).judge(frames[:1]) == [{"sexual": 0.0}]


def test_another_version_of_the_detector_is_an_error(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the safety extra is not installed")
    (tmp_path / "320n.onnx").write_bytes(b"something else")
    with pytest.raises(WeightsMissing, match=r"320n\.onnx"):
        NudeNet(tmp_path / "320n.onnx")


def test_the_real_detector_passes_harmless_frames(clip: Callable[..., Any]) -> None:
    pytest.importorskip("nudenet", reason="the safety extra is not installed")
    model = load_frame_model()
    assert model is not None
    for frames in (clip(12, 96, 160), clip(12, 360, 200, seed=3), np.full((3, 1, 7, 3), 255, np.uint8)):
        decision = check_frames(frames, 12.0, load_policy("standard"), model)
        assert (decision.action, set(decision.scores)) == ("allow", {"sexual"})


def test_without_the_extra_there_is_no_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("countermark.moderation.frames.find_spec", lambda name: None)
    assert load_frame_model.__wrapped__() is None


def test_finding_the_detector_runs_none_of_its_package() -> None:
    code = (
        "import sys; from countermark.moderation.frames import load_frame_model; load_frame_model();"
        "print('nudenet' in sys.modules, 'cv2' in sys.modules, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"] * 3
