"""Moderation of what was generated: a few frames of a finished video are judged before it is sealed.

:class:`FrameModel` is the seam. The one that comes with the extra ``safety`` is the detector of the package nudenet
(a YOLOv8n for pictures of 320 x 320 pixels, 18 kinds of body parts). Its file is read, its code is not run. Of its
kinds those in ``EXPOSED`` count for ``sexual``; covered parts, faces, feet, bellies, armpits, buttocks and men's
chests count for nothing. What is a hit is for the policy to say, as for prompts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from countermark.errors import ModelUnavailable
from countermark.moderation.categories import strongest
from countermark.moderation.policy import Policy
from countermark.weights import pinned

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Frame = NDArray[np.uint8]

__all__ = ["FrameDecision", "FrameModel", "NudeNet", "check_frames", "load_frame_model"]

RATE: Final = 2.0  # frames that are looked at in a second
MOST: Final = 240  # frames that are looked at in a video
AT_ONCE: Final = 8
SHA256: Final = "c15d8273adad2d0a92f014cc69ab2d6c311a06777a55545f2c4eb46f51911f0f"  # 320n.onnx of nudenet 3.4
SIDE: Final = 320  # pixels
KINDS: Final = (
    "FEMALE_GENITALIA_COVERED",
    "FACE_FEMALE",
    "BUTTOCKS_EXPOSED",
    "FEMALE_BREAST_EXPOSED",
    "FEMALE_GENITALIA_EXPOSED",
    "MALE_BREAST_EXPOSED",
    "ANUS_EXPOSED",
    "FEET_EXPOSED",
    "BELLY_COVERED",
    "FEET_COVERED",
    "ARMPITS_COVERED",
    "ARMPITS_EXPOSED",
    "FACE_MALE",
    "BELLY_EXPOSED",
    "MALE_GENITALIA_EXPOSED",
    "ANUS_COVERED",
    "FEMALE_BREAST_COVERED",
    "BUTTOCKS_COVERED",
)
EXPOSED: Final = ("FEMALE_BREAST_EXPOSED", "FEMALE_GENITALIA_EXPOSED", "MALE_GENITALIA_EXPOSED", "ANUS_EXPOSED")
# Beliefs by the detector's confidence: below 0.25 nudenet itself reports nothing, and 0.5, where a detection is more
# likely than not, is what the standard policy refuses. Set by hand, not measured.
CONFIDENCES: Final = (0.25, 0.5, 1.0)
BELIEFS: Final = (0.0, 0.8, 1.0)


class FrameModel(Protocol):
    """What moderation needs of a model of pictures."""

    @property
    def name(self) -> str:
        """Stands in the audit log."""

    def judge(self, frames: Sequence[Frame]) -> list[Mapping[str, float]]:
        """For each frame (uint8, H x W x 3, RGB) beliefs 0..1 by category; a category may be absent."""


@dataclass(frozen=True)
class FrameDecision:
    """The outcome for a video under a policy.

    ``action`` is the strongest of a flagged category, ``scores`` each category's highest belief, ``flagged`` the
    categories at or over the policy's threshold, ``time`` where the first of them is highest, in seconds.
    """

    action: str
    scores: Mapping[str, float]
    flagged: tuple[str, ...] = ()
    time: float = 0.0

    def explain(self) -> str:
        """Which categories were seen, and when."""
        return f"its frames show {', '.join(self.flagged)} (at {self.time:.1f} s)" if self.flagged else "allowed"


class NudeNet:
    """nudenet's detector."""

    name = "nudenet-320n"

    def __init__(self, file: Path) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise ModelUnavailable(f"the check of frames needs onnxruntime: {error}") from None
        weights = pinned(file, SHA256, "nudenet")
        self._session: Any = onnxruntime.InferenceSession(weights, providers=["CPUExecutionProvider"])

    def judge(self, frames: Sequence[Frame]) -> list[Mapping[str, float]]:
        """The belief in ``sexual`` of each frame: from the surest detection of an exposed part."""
        import numpy as np

        columns = [4 + KINDS.index(kind) for kind in EXPOSED]  # behind a box's four numbers
        found: list[Mapping[str, float]] = []
        for start in range(0, len(frames), AT_ONCE):
            pictures = np.stack([_square(frame) for frame in frames[start : start + AT_ONCE]])
            (boxes,) = self._session.run(None, {"images": pictures})
            surest = boxes[:, columns].max(axis=(1, 2))
            found += [{"sexual": float(belief)} for belief in np.interp(surest, CONFIDENCES, BELIEFS)]
        return found


def _square(frame: Frame) -> NDArray[np.float32]:
    """A frame as the detector was trained: black below or beside it, 3 x 320 x 320, 0..1, RGB."""
    import cv2
    import numpy as np

    height, width = frame.shape[:2]
    scale = SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    square = np.zeros((SIDE, SIDE, 3), np.float32)
    square[: size[1], : size[0]] = cv2.resize(
        frame, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    )
    square /= 255
    return square.transpose(2, 0, 1)


def check_frames(frames: Frame, fps: float, policy: Policy, model: FrameModel) -> FrameDecision:
    """Judges ``RATE`` frames a second of a video, the first and the last among them, at most ``MOST``.

    ``frames``: uint8, T x H x W x 3, RGB, T at least 1, at ``fps`` frames per second.
    """
    chosen = _sampled(len(frames), fps)
    beliefs = model.judge([frames[i] for i in chosen])
    best: dict[str, tuple[float, int]] = {}
    for i, seen in zip(chosen, beliefs, strict=True):
        for category, belief in seen.items():
            best[category] = max(best.get(category, (0.0, i)), (belief, i), key=lambda pair: pair[0])
    flagged = sorted(
        (category for category, (belief, _) in best.items() if belief >= policy.categories[category].threshold),
        key=lambda category: -best[category][0],
    )
    return FrameDecision(
        strongest([policy.categories[category].action for category in flagged]),
        {category: belief for category, (belief, _) in best.items()},
        tuple(flagged),
        best[flagged[0]][1] / fps if flagged else 0.0,
    )


def _sampled(count: int, fps: float) -> list[int]:
    wanted = min(MOST, math.ceil((count - 1) / fps * RATE) + 1)
    return sorted({round(i * (count - 1) / max(1, wanted - 1)) for i in range(wanted)})


@lru_cache(maxsize=1)
def load_frame_model() -> FrameModel | None:
    """nudenet's detector, or None where the extra ``safety`` is not installed.

    Raises :class:`countermark.errors.WeightsMissing` for another version of its file.
    """
    spec = find_spec("nudenet")  # finds the package without running it
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    return NudeNet(Path(folders[0]) / "320n.onnx") if folders else None
