"""A scan as one HTML file that anybody can open: no script, and nothing is fetched from anywhere.

Design decisions:

* Everything that a file says about itself (its name, its manifest's texts) is hostile: the template escapes all values,
  characters that would turn or hide text are shown as a replacement, and a Content-Security-Policy allows nothing but
  the inline style and the pictures inside.
* Shapes and places are computed here and in ``timeline.py``; the template draws them. Colour is never the only sign.
* The map of a moment shows what the linear model of hand statistics makes of each patch. The backbone judges a window
  as a whole, so nothing is said of single patches for it.
"""

from __future__ import annotations

import base64
import io
import platform
import unicodedata
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from countermark.detect import wording
from countermark.detect.classifier import SHA256
from countermark.detect.opinion import Moment
from countermark.detect.scan import Examined
from countermark.detect.timeline import timeline_of
from countermark.errors import UsageError

__all__ = ["Picture", "check_target", "render"]

TEMPLATES = Path(__file__).parent / "templates"
QUALITY = 82  # of the JPEG pictures
HALF = 0.5  # score from which a patch speaks for generation
MOSTLY = 0.8  # share of a video that our mark covers, from which on it speaks for all of it
LETTERS = "abcdefghijkl"
HIDDEN = frozenset(
    {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
)  # categories of characters that are not shown as they are


@dataclass(frozen=True)
class Patch:
    """A patch on a picture, in pixels of the file; ``share`` is the linear model's score in percent."""

    letter: str
    top: int
    left: int
    side: int
    share: int
    pushes: bool


@dataclass(frozen=True)
class Picture:
    """A moment to look at: a data URI, the frame's size in pixels, and what the classifier made of it, if it did."""

    source: str
    time: float
    width: int
    height: int
    probability: float | None = None
    patches: tuple[Patch, ...] = ()


def check_target(path: Path, html: Path) -> None:
    """Raises UsageError where a report of ``path`` cannot be put at ``html``: the file itself, a folder, or in none."""
    if html.is_dir():
        raise UsageError(f"{html} is a folder: --html takes a file's name")
    if not html.parent.is_dir():
        raise UsageError(f"the folder {html.parent} does not exist")
    if html.exists() and path.exists() and path.samefile(html):
        raise UsageError("the report must be another file than the one that is scanned")


def render(found: Examined, now: datetime | None = None) -> str:
    """The report as HTML; ``now``: when it was made."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(**_context(found, now or datetime.now(UTC)))


def _context(found: Examined, now: datetime) -> dict[str, Any]:
    report, opinion = found.report, found.opinion
    pictures = _pictures(found)
    return {
        "report": report,
        "name": found.media.path.name,
        "title": wording.title(report),
        "sure": wording.sure(report),
        "notes": [*report.notes, *_partly(found)],
        "because": [(wording.NAMES[source], report.of(source).why) for source in report.because],
        "rows": [_row(found, source) for source in wording.NAMES],
        "pictures": pictures,
        "looked": bool(opinion.moments),
        "opinion": opinion,
        "timeline": timeline_of(
            opinion.segments,
            opinion.windows,
            [(s.start, s.end, f"{s.payload:016x}") for s in found.reading.stretches],
            [p.time for p in pictures] if opinion.moments else [],
            opinion.bounds,
            report.media.seconds,
        )
        if report.media.kind == "video"
        else None,
        "facts": _facts(found),
        "chain": found.credentials.chain,
        "credentials": asdict(found.credentials) | {"chain": ()},
        "versions": _versions(now),
    }


def _partly(found: Examined) -> list[str]:
    """A note where our mark covers a part of a video alone: what is said of it holds for that part."""
    length, stretches = found.report.media.seconds, found.reading.stretches
    if not length or not stretches or sum(s.end - s.start for s in stretches) > MOSTLY * length:
        return []
    where = ", ".join(f"{s.start:.1f} to {s.end:.1f} s" for s in stretches)
    return [f"our mark covers only {where} of {length:.1f} s; it says nothing of the rest"]


def _row(found: Examined, source: str) -> dict[str, Any]:
    evidence = found.report.of(source)
    means, means_not = wording.meaning(evidence)
    mark, words, kind = wording.sign(evidence)
    return {
        "name": wording.NAMES[source],
        "sign": mark,
        "words": words,
        "kind": kind,
        "why": evidence.why,
        "means": means,
        "means_not": means_not,
        "figures": _figures(evidence.figures),
    }


def _figures(figures: dict[str, Any]) -> list[tuple[str, str]]:
    """A signal's own figures, those that say something and are no lists of places."""
    return [(name.replace("_", " "), text) for name, value in figures.items() if (text := _figure(value))]


def _figure(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list | tuple):
        return ", ".join(value) if all(isinstance(one, str) for one in value) else ""
    return "" if value is None else str(value)


def _pictures(found: Examined) -> list[Picture]:
    """The classifier's moments with their maps, or else the first and the middle frame."""
    media = found.report.media
    opinion = found.opinion
    if opinion.moments and len(opinion.pictures) == len(opinion.moments):
        pairs = sorted(zip(opinion.moments, opinion.pictures, strict=True), key=lambda pair: pair[0].time)
        return [_moment(moment, rgb, media.width, media.height) for moment, rgb in pairs]
    return [Picture(_data_uri(view.rgb), view.time, media.width, media.height) for view in found.views]


def _moment(moment: Moment, rgb: npt.NDArray[np.uint8], width: int, height: int) -> Picture:
    places = {(top, left): (side, score) for top, left, side, score in moment.patches}
    patches = tuple(
        Patch(letter, top, left, side, round(100 * score), score >= HALF)
        for letter, ((top, left), (side, score)) in zip(LETTERS, sorted(places.items()), strict=False)
    )
    return Picture(_data_uri(rgb), moment.time, width, height, moment.probability, patches)


def _data_uri(rgb: npt.NDArray[np.uint8]) -> str:
    from PIL import Image

    with io.BytesIO() as file:
        Image.fromarray(rgb).save(file, "JPEG", quality=QUALITY, optimize=True)
        return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def _facts(found: Examined) -> list[tuple[str, str]]:
    media, path = found.report.media, found.media.path
    size = path.stat().st_size
    facts = [
        ("Name", path.name),
        ("Size", f"{size / 1e6:.2f} MB ({size} bytes)" if size >= 10_000 else f"{size} bytes"),
        ("SHA-256", media.sha256),
        ("Kind", media.kind),
        ("Duration", None if media.seconds is None else f"{media.seconds:.2f} s"),
        ("Frame size", f"{media.width} x {media.height} pixels"),
        ("Frame rate", None if media.fps is None else f"{media.fps:g} a second"),
        ("Codec", media.codec),
        ("Container", found.media.container),
        ("Sound", ("yes" if found.media.has_audio else "no") if media.kind == "video" else None),
    ]
    return [(name, value) for name, value in facts if value is not None]


def _versions(now: datetime) -> list[tuple[str, str]]:
    from countermark.watermark.whitener import SHA256 as WHITENER_SHA256

    return [
        ("Countermark", metadata.version("countermark")),
        ("Weights of the classifier", f"sha256 {SHA256}"),
        ("Weights of the watermark's reader", f"sha256 {WHITENER_SHA256}"),
        ("Python", platform.python_version()),
        ("Scanned", now.strftime("%Y-%m-%d %H:%M UTC")),
    ]


def _visible(value: Any) -> Any:
    """Text without characters that turn, hide or break what follows; anything else as it is."""
    if type(value) is not str:  # what is marked as safe comes from the template itself
        return "" if value is None else value
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in HIDDEN else c for c in value)
