"""One pass over a file's frames, each decoded once for all signals."""

from __future__ import annotations

from dataclasses import dataclass

from countermark.detect.classifier import Judge, load_classifier
from countermark.detect.known_marks import KnownMark, find_known_marks
from countermark.detect.opinion import Opinion, declined
from countermark.detect.patches import shrunk
from countermark.errors import BadMedia, WeightsMissing
from countermark.media import Source, Timed
from countermark.provenance import FINE, Fingerprint, FingerprintMaker
from countermark.report import MediaFacts
from countermark.watermark import Key, Known, Reader, Reading

__all__ = ["Seen", "look"]

FIRST_LOOK = 2.0  # seconds after which a fast scan looks for the mark; then after twice as long, and so on


@dataclass(frozen=True)
class Seen:
    """What the frames have given. ``damage``: why not all could be decoded; ``unseen``: what was left out for speed;
    ``views``: small copies of the first and the middle frame with their times, where pictures were asked for.
    """

    reading: Reading
    fingerprint: Fingerprint
    known: KnownMark | None
    opinion: Opinion
    damage: str | None
    unseen: str | None
    views: tuple[Timed, ...] = ()


def look(media: Source, keys: list[Key], known: Known | None, *, fast: bool, pictures: bool = False) -> Seen:
    """Decodes and looks; with ``pictures`` a few are kept to show. Raises BadMedia when there is not one frame."""
    facts = media.facts
    expected = int((facts.seconds or 0) * (facts.fps or 0)) or 1
    reader, prints = Reader(), FingerprintMaker(**FINE)
    judge = declined(facts) or _judge(facts, pictures)
    kept: list[Timed] = []
    damage, unseen, count, size = None, None, 0, None
    reading: Reading | None = None
    looks, next_look = 0, FIRST_LOOK
    try:
        for timed in media.frames():
            if fast and keys and timed.time >= next_look:
                looks, next_look = looks + 1, 2 * next_look
                found = reader.read(keys, known=known, thorough=False, look=looks)
                if found.payload is not None:
                    reading, unseen = found, f"a fast scan: nothing after the first {timed.time:.0f} s was looked at"
                    break
            size = size or timed.rgb.shape
            if timed.rgb.shape != size:
                damage = "the frame size changes within the video; only its first part was read"
                break
            if keys:
                reader.add(timed.rgb, timed.time)
            prints.add(timed.time, timed.rgb)
            if isinstance(judge, Judge):
                judge.add(timed.time, timed.rgb)
            if count in (0, expected // 2):
                kept.append(timed)
            count += 1
    except BadMedia as error:
        if count == 0:
            raise
        damage = str(error)
    opinion = judge.finish() if isinstance(judge, Judge) else judge
    if reading is None:
        reading = reader.read(keys, known=known, thorough=not fast, look=looks + 1 if fast else 0)
        if fast and keys and reading.payload is None:
            unseen = "a fast scan: cropped, turned and spliced copies of our marks were not looked for"
    views = tuple(Timed(one.time, shrunk(one.rgb)) for one in kept) if pictures else ()
    return Seen(reading, prints.finish(), find_known_marks([one.rgb for one in kept]), opinion, damage, unseen, views)


def _judge(facts: MediaFacts, pictures: bool) -> Judge | Opinion:
    """The classifier at work; without weights or a module, the opinion that says so: other signals still count."""
    try:
        return load_classifier().start(facts, pictures=pictures)
    except WeightsMissing as error:
        return Opinion("nothing", f"The classifier was not asked: {error}.", applies=False)
    except ModuleNotFoundError as error:
        return Opinion("nothing", f"The classifier was not asked: {error.name} is not installed.", applies=False)
