"""How steady clips are: flicker, motion, likeness of things over time, and how far they are from fresh renders."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from countermark.detect.backbone import CHANNELS, KINDS, load_backbone
from countermark.detect.patches import WHOLE
from countermark.generate.render import render
from countermark.generate.world import Scene, sample_scene

__all__ = ["HEAD", "smoothness"]

Frames = npt.NDArray[np.uint8]
HEAD = ("flicker", "jerk", "likeness", "feature distance")


def smoothness(clips: Sequence[Frames], scenes: Sequence[Scene], rng: np.random.Generator) -> list[list[str]]:
    """Rows under HEAD of clips, their scenes' truth, frozen clips, and noise.

    Flicker: mean change between frames where truth stands still, in 8-bit steps. Jerk: mean second difference where it
    moves. Likeness: cosine of a frame's features with the first one's (as VBench's subject consistency, with the
    classifier's backbone in place of DINO). Feature distance: between means and deviations of features of these clips
    and of fresh renders of other scenes, in the renders' deviations.
    """
    truth = [render(scene, clips[0].shape[1]) for scene in scenes]
    still = [np.abs(np.diff(t.astype(np.int16), axis=0)).max(-1).max(0) < 2 for t in truth]
    fresh = [render(sample_scene(rng), clips[0].shape[1]) for _ in range(max(8, len(clips)))]
    frozen = [np.repeat(clip[:1], len(clip), 0) for clip in clips]
    noise = [rng.integers(0, 256, clip.shape, dtype=np.uint8) for clip in clips[:8]]
    reference = _features(fresh)
    rows = []
    for name, these in (
        ("model", clips),
        ("rendered truth", truth),
        ("first frame repeated", frozen),
        ("noise", noise),
    ):
        flicker = [_flicker(c, s) for c, s in zip(these, still, strict=False) if s.any()]
        jerk = [_jerk(c, ~s) for c, s in zip(these, still, strict=False) if (~s).any()]
        features = _features(these)
        like = [float(np.mean([_cosine(f[0], g) for g in f[1:]])) for f in features]
        rows.append(
            [
                name,
                f"{np.mean(flicker):.2f}",
                f"{np.mean(jerk):.2f}",
                f"{np.mean(like):.3f}",
                f"{_distance(features, reference):.2f}",
            ]
        )
    return rows


def _flicker(clip: Frames, still: npt.NDArray[np.bool_]) -> float:
    return float(np.abs(np.diff(clip.astype(np.int16), axis=0))[:, still].mean())


def _jerk(clip: Frames, moved: npt.NDArray[np.bool_]) -> float:
    return float(np.abs(np.diff(clip.astype(np.int16), n=2, axis=0))[:, moved].mean())


def _features(clips: Sequence[Frames]) -> list[npt.NDArray[np.float64]]:
    """Mean channels of the last stage of four frames of each clip: 4 x 1280."""
    import cv2

    last = len(KINDS) * sum(CHANNELS[:-1])
    found = []
    for clip in clips:
        at = np.linspace(0, len(clip) - 1, 4).astype(int)
        frames = np.stack([cv2.resize(clip[i], (WHOLE, WHOLE), interpolation=cv2.INTER_AREA) for i in at])
        found.append(
            load_backbone()(np.repeat(frames[:, None], 3, 1))[:, last : last + CHANNELS[-1]].astype(np.float64)
        )
    return found


def _cosine(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-9))


def _distance(features: list[npt.NDArray[np.float64]], reference: list[npt.NDArray[np.float64]]) -> float:
    a, b = np.concatenate(features), np.concatenate(reference)
    scale = b.std(0) + 1e-3
    return float(
        np.sqrt(np.mean(((a.mean(0) - b.mean(0)) / scale) ** 2) + np.mean(((a.std(0) - b.std(0)) / scale) ** 2))
    )
