"""A single picture that is to be sealed: PNG, JPEG or WebP in, and out.

Design decisions
* Pillow decodes and encodes, since it keeps alpha and colour profiles; orientation in EXIF is applied, and the rest of
  EXIF stays behind. Numbers become 8 bits.
* The output's extension decides its format: PNG without loss, JPEG at quality 95 with full colour, WebP at 95. Alpha
  is never marked; JPEG has none, so transparent places become white there.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from countermark.errors import BadMedia
from countermark.media import Source, Timed

__all__ = ["Still"]

Plane = npt.NDArray[np.uint8]
KNOWN = {"PNG", "JPEG", "MPO", "WEBP"}  # MPO: a JPEG of a phone with further views behind the first
FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {}),
    ".jpg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".webp": ("WEBP", {"quality": 95, "exact": True}),  # exact: hidden pixels keep the mark too
}


@dataclass(frozen=True, eq=False)
class Still:
    """A picture as shown: ``rgb`` (H x W x 3, uint8), ``alpha`` (H x W) and the ICC ``profile``, where it has them."""

    kind: ClassVar[str] = "an image"
    suffixes: ClassVar[tuple[str, ...]] = tuple(FORMATS)
    lasts: ClassVar[float] = 0.0
    rgb: Plane
    alpha: Plane | None = None
    profile: bytes | None = None

    @classmethod
    def of_file(cls, media: Source) -> Still:
        """Decodes a picture. Raises BadMedia for other formats, animated or damaged ones."""
        from PIL import Image, ImageOps

        name = media.path.name
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a picture's size has been judged when it was opened as media
                with Image.open(media.path) as image:
                    if image.format not in KNOWN:
                        raise BadMedia(f"{name}: seal takes videos, PNG, JPEG and WebP, this is {image.format}")
                    if image.format != "MPO" and getattr(image, "is_animated", False):
                        raise BadMedia(f"{name}: animated images are not sealed; make a video of it")
                    upright = ImageOps.exif_transpose(image)
        except BadMedia:
            raise
        except Exception as error:
            raise BadMedia(f"{name}: the image is damaged ({error})") from None
        profile = image.info.get("icc_profile") if image.mode in ("RGB", "RGBA", "P") else None
        if upright.mode.startswith("I"):  # 16 bits of grey
            grey = (np.asarray(upright).astype(np.uint32) // 257).astype(np.uint8)
            return cls(np.repeat(grey[..., None], 3, -1))
        if not upright.has_transparency_data:
            return cls(np.asarray(upright.convert("RGB"), np.uint8), None, profile)
        pixels = np.asarray(upright.convert("RGBA"), np.uint8)
        return cls(np.ascontiguousarray(pixels[..., :3]), np.ascontiguousarray(pixels[..., 3]), profile)

    def fit_for(self, out: Path) -> tuple[Still, tuple[str, ...]]:
        """This picture as a file named so can hold it, and what it loses by that."""
        if self.alpha is None or out.suffix.lower() not in (".jpg", ".jpeg") or self.alpha.min() == 255:
            return self, ()
        cover = self.alpha[..., None].astype(np.float32) / 255
        flat = np.rint(self.rgb * cover + 255 * (1 - cover)).astype(np.uint8)
        return Still(flat, None, self.profile), ("transparency becomes white",)

    @property
    def width(self) -> int:
        """In pixels."""
        return int(self.rgb.shape[1])

    @property
    def height(self) -> int:
        """In pixels."""
        return int(self.rgb.shape[0])

    def frames(self) -> Iterator[Timed]:
        """The picture, as a video of one frame."""
        yield Timed(0.0, self.rgb)

    def write(self, path: Path, frames: Iterable[Timed]) -> None:
        """Encodes the marked picture, in the format that the path's extension names. Raises OSError."""
        from PIL import Image

        (marked,) = frames
        kind, options = FORMATS[path.suffix.lower()]
        pixels = marked.rgb
        if self.alpha is not None and kind != "JPEG":
            pixels = np.concatenate([pixels, self.alpha[..., None]], -1)
        if self.profile:
            options = {**options, "icc_profile": self.profile}
        with path.open("wb") as file:
            Image.fromarray(pixels).save(file, kind, **options)
