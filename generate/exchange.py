"""What goes into a pipeline of diffusers and what comes out: a picture to start from, and frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from countermark.errors import ModelUnavailable, UsageError
from countermark.hub import first_line

__all__ = ["Frames", "frames_of", "picture_of"]

Frames = npt.NDArray[np.uint8]


def frames_of(output: Any) -> list[Frames]:
    """The clips of a pipeline's output: each uint8, T x H x W x 3, RGB.

    Takes what diffusers gives back: arrays or tensors in 0..1 (B x T x H x W x C or B x T x C x H x W), or PIL images.
    """
    videos = output[0] if isinstance(output, tuple) else getattr(output, "frames", None)
    if videos is None:
        videos = getattr(output, "videos", None)
    if videos is None:
        raise UsageError("the pipeline's output holds no frames")
    clips = []
    for video in videos:
        array = video.float().cpu().numpy() if hasattr(video, "cpu") else np.stack([np.asarray(f) for f in video])
        if array.ndim == 4 and array.shape[-1] != 3 and array.shape[1] == 3:
            array = array.transpose(0, 2, 3, 1)
        if array.ndim != 4 or array.shape[-1] != 3:
            raise UsageError(f"the pipeline's frames have the unexpected shape {array.shape}")
        if array.dtype != np.uint8:
            if np.isnan(array).all():
                raise ModelUnavailable("the pipeline's frames hold no numbers (NaN): another dtype or size may help")
            array = np.nan_to_num(np.clip(array, 0.0, 1.0) * 255.0).round().astype(np.uint8)
        clips.append(np.ascontiguousarray(array))
    return clips


def picture_of(path: Path | None) -> Any:
    """A picture in RGB, upright as it is meant to be seen; None for none. Raises UsageError for what is no picture."""
    if path is None:
        return None
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise UsageError(f"the image {path} cannot be read: {first_line(error)}") from None
