"""Captions of a scene, in many wordings and two languages, and the words that the embedded model knows.

A caption says what the scene is, or leaves things out: :func:`caption` returns, beside the text, what it has said,
with ``any`` for what it left open. The text encoder is trained to read exactly that back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import numpy as np

from countermark.generate import english, german
from countermark.generate.phrases import Chance, named
from countermark.generate.world import (
    BACKGROUNDS,
    CAMERAS,
    COLOURS,
    EVENTS,
    KINDS,
    MOTIONS,
    PLACES,
    STYLES,
    Scene,
    Thing,
    sample_scene,
)

__all__ = ["FIELDS", "SLOTS", "Said", "caption", "known_words", "say", "words"]

# what a caption can say: one scene slot and three thing slots, each a few fields with their values
THING = ("kind", "colour", "motion", "place")
SLOTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("scene", ("style", "background", "count", "camera", "event")),
    ("first", THING),
    ("second", THING),
    ("third", THING),
)
FIELDS: dict[str, tuple[str, ...]] = {
    "style": ("any", *STYLES),
    "background": ("any", *BACKGROUNDS),
    "count": ("one", "two", "three"),
    "camera": CAMERAS,
    "event": EVENTS,
    "kind": ("any", *KINDS),
    "colour": ("any", *COLOURS),
    "motion": ("any", *MOTIONS),
    "place": ("any", *PLACES[1:]),
}
LANGUAGES = {"en": english, "de": german}
GERMAN = 0.3  # share of German captions


@dataclass(frozen=True)
class Said:
    """What a caption has said: a value of :data:`FIELDS` for each field of each slot, in the order of SLOTS.

    ``things``: those of the scene, in the order of their slots.
    """

    values: tuple[str, ...]
    things: tuple[Thing, ...] = ()

    def get(self, slot: str, field: str) -> str:
        """One value, e.g. ``get("first", "colour")``."""
        return self.values[[(s, f) for s, fields in SLOTS for f in fields].index((slot, field))]


def words(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return re.findall(r"[^\W\d_]+", text.lower())


def caption(
    scene: Scene, rng: np.random.Generator, *, leave_out: float = 0.12, language: str | None = None
) -> tuple[str, Said]:
    """A caption in a random wording; details are left out with probability ``leave_out`` (style and place more).

    Returns the text and what it has said.
    """
    language = language or ("de" if rng.random() < GERMAN else "en")
    return _caption(scene, Chance(rng), leave_out, language)


def _caption(scene: Scene, chance: Chance, leave_out: float, language: str, brief: bool = False) -> tuple[str, Said]:
    told = LANGUAGES[language]
    things = list(scene.things)
    if len(things) == 2 and chance.happens(0.5):
        things.reverse()
    style = "any" if brief or chance.happens(2 * leave_out) else scene.style
    background = "any" if brief or chance.happens(2 * leave_out) else scene.background
    sentence, said = told.body([named(thing, chance, leave_out) for thing in things], scene.event, chance)
    before, after = "", ""
    if style != "any":
        if chance.happens(0.35):
            before = chance.pick(told.STYLES_BEFORE[style])
        else:
            after = chance.pick(told.STYLES_AFTER[style])
    else:
        before = chance.pick(told.OPENINGS)
    place = chance.pick(told.BACKGROUNDS[background]) if background != "any" else ""
    camera = chance.pick(told.CAMERAS[scene.camera]) if scene.camera != "fixed" else ""
    first = place and chance.happens(0.15)
    parts = [f"{place},", before, sentence] if first else [before, sentence, place]
    tail = [one for one in (camera, after) if one]
    if chance.happens(0.3):
        tail.reverse()
    text = ", ".join([" ".join(" ".join(part for part in parts if part).split()), *tail])
    count = ("one", "two", "three")[len(things) - 1]
    values = [style, background, count, scene.camera, scene.event]
    for one in said:
        values += one.said
    values += ["any"] * (len(THING) * (3 - len(things)))
    return text, Said(tuple(values), tuple(one.thing for one in said))


def say(scene: Scene, *, language: str = "en", brief: bool = False) -> str:
    """The plainest caption of a scene, the same every time, with nothing left out; ``brief``: style and background."""
    return _caption(scene, Chance(None), 0.0, language, brief)[0]


@cache
def known_words() -> tuple[str, ...]:
    """Every word that a caption can have: all of the tables', and those of the sentences about many scenes."""
    rng = np.random.default_rng(0)
    found = {word for _ in range(4000) for word in words(caption(sample_scene(rng, held_out=None), rng)[0])}
    tables = [table for told in LANGUAGES.values() for name, table in vars(told).items() if name.isupper()]
    while tables:
        value = tables.pop()
        if isinstance(value, str):
            found.update(words(value))
        elif isinstance(value, dict | tuple):
            tables.extend(value.values() if isinstance(value, dict) else value)
    return tuple(sorted(found - set("mfn")))
