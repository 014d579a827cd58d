"""A watermark from a TorchScript file, as a channel of bits: Video Seal's convention, and a simple one.

Video Seal (Fernandez et al. 2024; https://github.com/facebookresearch/videoseal) publishes a scripted module with

    embed(imgs, msgs, is_video) -> imgs        imgs: T x 3 x H x W in 0..1, msgs: 1 x bits of 0 and 1
    detect(imgs, is_video) -> preds            preds: T x (1 + bits), the first column no bit but a mask; over 0 is a 1

where its Python class gives dictionaries, ``{"imgs_w": imgs}`` and ``{"preds": preds}``; both are read here.

The simple convention: the same two methods, of which ``is_video`` may be left away, and an attribute ``nbits``;
``detect`` then gives T x bits, or T x (1 + bits) as above.

A TorchScript file is a program: load only what you trust.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from countermark.errors import ModelUnavailable

__all__ = ["TorchScriptBits"]

CHUNK = 16  # frames that go through the module together
PROBE = 256  # side of the grey picture that tells how many bits a module reads


class TorchScriptBits:
    """A scripted module as a channel of bits, on the CPU. Raises ModelUnavailable for what is no such module."""

    def __init__(self, path: Path) -> None:
        import torch

        self.name = path.name
        try:
            self._module: Any = torch.jit.load(str(path), map_location="cpu").eval()  # type: ignore[no-untyped-call]
        except (RuntimeError, ValueError, OSError):
            raise ModelUnavailable(f"{path} is no TorchScript file that can be read") from None
        if not all(hasattr(self._module, method) for method in ("embed", "detect")):
            raise ModelUnavailable(f"{path} has not the methods embed and detect")
        given = getattr(self._module, "nbits", None)
        columns = self._detect(np.full((1, PROBE, PROBE, 3), 128, np.uint8)).shape[1]
        self.bits = columns - 1 if given is None else int(given)
        if columns not in (self.bits, self.bits + 1) or self.bits < 1:
            raise ModelUnavailable(f"{path} says that it carries {self.bits} bits, but reads {columns} columns")

    def put(self, frames: npt.NDArray[np.uint8], bits: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Marked frames (T x H x W x 3, uint8, RGB), rounded from what the module gives."""
        import torch

        message = torch.from_numpy(bits.astype(np.float32))[None]
        parts = []
        for start in range(0, len(frames), CHUNK):
            given = self._call("embed", _tensor(frames[start : start + CHUNK]), message)
            marked = given["imgs_w"] if isinstance(given, dict) else given[0] if isinstance(given, tuple) else given
            pixels = (marked.clamp(0, 1) * 255).round().to(torch.uint8)
            parts.append(pixels.permute(0, 2, 3, 1).numpy())
        return np.concatenate(parts)

    def votes(self, frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
        """0 or 1 for every bit of every frame: T x bits."""
        parts = [self._detect(frames[start : start + CHUNK]) for start in range(0, len(frames), CHUNK)]
        return np.concatenate(parts)[:, -self.bits :]

    def _detect(self, frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
        given = self._call("detect", _tensor(frames))
        preds = given["preds"] if isinstance(given, dict) else given
        if preds.ndim != 2:
            raise ModelUnavailable(f"{self.name}: detect gives {preds.ndim} dimensions instead of frames x bits")
        return (preds > 0).double().numpy()  # type: ignore[no-any-return]

    def _call(self, method: str, *tensors: Any) -> Any:
        import torch

        function = getattr(self._module, method)
        names = [argument.name for argument in function.schema.arguments]
        extra = {"is_video": True} if "is_video" in names else {}
        try:
            with torch.inference_mode():
                return function(*tensors, **extra)
        except RuntimeError as error:
            last = str(error).strip().splitlines()[-1]
            raise ModelUnavailable(f"{self.name}: {method} failed: {last}") from None


def _tensor(frames: npt.NDArray[np.uint8]) -> Any:
    """T x 3 x H x W in 0..1."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float() / 255
