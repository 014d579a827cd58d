"""Captions of a scene, in many wordings, and the words that the embedded model knows.

A caption says what the scene is, or leaves things out: :func:`caption` returns, beside the text, what it has said,
with ``any`` for what it left open. The text encoder is trained to read exactly that back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from countermark.generate.world import BACKGROUNDS, COLOURS, KINDS, MOTIONS, STYLES, Scene, Thing

__all__ = ["FIELDS", "SLOTS", "Said", "caption", "known_words", "say", "words"]

# what a caption can say: one scene slot and two thing slots, each a few fields with their values
SLOTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("scene", ("style", "background", "count")),
    ("first", ("kind", "colour", "motion", "side")),
    ("second", ("kind", "colour", "motion", "side")),
)
FIELDS: dict[str, tuple[str, ...]] = {
    "style": ("any", *STYLES),
    "background": ("any", *BACKGROUNDS),
    "count": ("one", "two"),
    "kind": ("any", *KINDS),
    "colour": ("any", *COLOURS),
    "motion": ("any", *MOTIONS),
    "side": ("any", "left", "right"),
}

KIND_WORDS = {
    "ball": ("ball", "ball", "ball", "sphere", "globe"),
    "box": ("box", "box", "cube", "block", "square"),
    "star": ("star",),
    "triangle": ("triangle", "triangle", "pyramid", "cone"),
}
COLOUR_WORDS = {
    "red": ("red", "red", "red", "crimson", "scarlet"),
    "orange": ("orange",),
    "yellow": ("yellow", "yellow", "golden"),
    "green": ("green", "green", "emerald"),
    "blue": ("blue", "blue", "blue", "azure"),
    "purple": ("purple", "purple", "violet"),
}
# third person, then participle
MOTION_WORDS: dict[str, tuple[tuple[str, str], ...]] = {
    "still": (
        ("stands still", "standing still"),
        ("rests", "resting"),
        ("sits", "sitting"),
        ("lies", "lying"),
        ("stays where it is", "staying where it is"),
        ("does not move", "not moving"),
        ("stands", "standing"),
    ),
    "left": (
        ("moves to the left", "moving to the left"),
        ("moves left", "moving left"),
        ("slides to the left", "sliding to the left"),
        ("rolls to the left", "rolling to the left"),
        ("travels from right to left", "travelling from right to left"),
        ("drifts leftwards", "drifting leftwards"),
        ("goes left", "going left"),
        ("glides towards the left", "gliding towards the left"),
    ),
    "right": (
        ("moves to the right", "moving to the right"),
        ("moves right", "moving right"),
        ("slides to the right", "sliding to the right"),
        ("rolls to the right", "rolling to the right"),
        ("travels from left to right", "travelling from left to right"),
        ("drifts rightwards", "drifting rightwards"),
        ("goes right", "going right"),
        ("glides towards the right", "gliding towards the right"),
    ),
    "up": (
        ("rises", "rising"),
        ("floats up", "floating up"),
        ("moves up", "moving up"),
        ("goes up", "going up"),
        ("flies upwards", "flying upwards"),
        ("lifts off the ground", "lifting off the ground"),
    ),
    "down": (
        ("falls", "falling"),
        ("sinks", "sinking"),
        ("moves down", "moving down"),
        ("comes down", "coming down"),
        ("drops", "dropping"),
        ("descends", "descending"),
    ),
    "bounce": (
        ("bounces", "bouncing"),
        ("bounces", "bouncing"),
        ("bounces up and down", "bouncing up and down"),
        ("hops", "hopping"),
        ("jumps up and down", "jumping up and down"),
        ("jumps", "jumping"),
    ),
}
BACKGROUND_WORDS = {
    "day": ("by day", "in daylight", "on a sunny day", "outdoors", "under a blue sky", "outside in the sun"),
    "night": ("at night", "by night", "in the dark", "under the stars", "under a night sky"),
    "studio": ("in a studio", "in a studio", "indoors", "in front of a grey wall", "in a grey room"),
}
STYLE_BEFORE = {
    "animated": ("an animated video of", "a cartoon of", "an animation of", "animated:", "cartoon:"),
    "photorealistic": ("a photorealistic video of", "a realistic video of", "realistic footage of", "photorealistic:"),
}
STYLE_AFTER = {
    "animated": ("animated", "cartoon", "cartoon style", "in animated style", "as an animation", "drawn"),
    "photorealistic": ("photorealistic", "realistic", "in realistic style", "like a real film", "photo real"),
}
OPEN_BEFORE = ("", "", "", "a video of", "a clip of", "footage of", "we see", "show")
LEFT_OF = ("to the left of", "left of", "on the left of", "on the left side of")
RIGHT_OF = ("to the right of", "right of", "on the right of", "on the right side of")
BESIDE = ("next to", "beside", "and", "near", "with")
PLAIN = ("thing", "object", "shape")


@dataclass(frozen=True)
class Said:
    """What a caption has said: a value of :data:`FIELDS` for each field of each slot, in the order of SLOTS."""

    values: tuple[str, ...]

    def get(self, slot: str, field: str) -> str:
        """One value, e.g. ``get("first", "colour")``."""
        index = 0
        for name, fields in SLOTS:
            for one in fields:
                if (name, one) == (slot, field):
                    return self.values[index]
                index += 1
        raise KeyError((slot, field))


def words(text: str) -> list[str]:
    """Lower-case words of a prompt, without punctuation."""
    return re.findall(r"[a-z]+", text.lower())


def known_words() -> list[str]:
    """Every word that a caption can hold, sorted."""
    phrases: list[str] = [
        *OPEN_BEFORE,
        *LEFT_OF,
        *RIGHT_OF,
        *BESIDE,
        *PLAIN,
        "a",
        "an",
        "the",
        "while",
        "is",
        "on",
        "it",
    ]
    phrases += ["on the left on the right", "that", "of"]
    for table in (KIND_WORDS, COLOUR_WORDS, BACKGROUND_WORDS, STYLE_BEFORE, STYLE_AFTER):
        phrases += [phrase for options in table.values() for phrase in options]
    phrases += [phrase for options in MOTION_WORDS.values() for pair in options for phrase in pair]
    return sorted({word for phrase in phrases for word in words(phrase)})


def say(scene: Scene, *, open_style: bool = False) -> str:
    """The plainest caption of a scene, the same every time."""
    style = "" if open_style else f", {scene.style}"
    first, *rest = scene.things
    text = f"{_noun(first.colour, first.kind)} {MOTION_WORDS[first.motion][0][0]}"
    if rest:
        text += f" {LEFT_OF[0] if first.side == 'left' else RIGHT_OF[0]} {_noun(rest[0].colour, rest[0].kind)}"
        if rest[0].motion != "still":
            text += f" that {MOTION_WORDS[rest[0].motion][0][0]}"
    return f"{text} {BACKGROUND_WORDS[scene.background][0]}{style}"


def caption(scene: Scene, rng: np.random.Generator, *, leave_out: float = 0.15) -> tuple[str, Said]:
    """A caption in a random wording; each detail is left out with probability ``leave_out`` (style and place more).

    Returns the text and what it has said.
    """

    def pick(options: tuple[str, ...]) -> str:
        return options[int(rng.integers(len(options)))]

    things = list(scene.things)
    if len(things) == 2 and rng.random() < 0.5:
        things.reverse()
    style = scene.style if rng.random() > 2 * leave_out else "any"
    background = scene.background if rng.random() > 2 * leave_out else "any"
    nouns, seen = [], []
    for thing in things:
        colour = thing.colour if rng.random() > leave_out / 2 else "any"
        kind = thing.kind if rng.random() > leave_out / 3 else "any"
        word = pick(KIND_WORDS[kind]) if kind != "any" else pick(PLAIN)
        adjective = pick(COLOUR_WORDS[colour]) if colour != "any" else ""
        nouns.append(_article(f"{adjective} {word}".strip(), "the" if rng.random() < 0.15 else "a"))
        seen.append((kind, colour))
    body, said_motions, said_sides = _body(things, nouns, rng, leave_out)
    parts = []
    if style != "any" and rng.random() < 0.35:
        parts.append(pick(STYLE_BEFORE[style]))
        tail = ""
    else:
        parts.append(pick(OPEN_BEFORE))
        tail = f"{pick((', ', ' '))}{pick(STYLE_AFTER[style])}" if style != "any" else ""
    place = pick(BACKGROUND_WORDS[background]) if background != "any" else ""
    if place and rng.random() < 0.15:
        parts = [place + ",", *parts, body]
    else:
        parts += [body, place]
    text = " ".join(part for part in parts if part) + tail
    values = [style, background, "two" if len(things) == 2 else "one"]
    for (kind, colour), motion, side in zip(seen, said_motions, said_sides, strict=True):
        values += [kind, colour, motion, side]
    if len(things) == 1:
        values += ["any"] * 4
    return text, Said(tuple(values))


def _body(
    things: list[Thing], nouns: list[str], rng: np.random.Generator, leave_out: float
) -> tuple[str, list[str], list[str]]:
    def choose(options: tuple[str, ...]) -> str:
        return options[int(rng.integers(len(options)))]

    def moving(thing: Thing, form: int) -> str:
        options = MOTION_WORDS[thing.motion]
        return options[int(rng.integers(len(options)))][form]

    def motion(thing: Thing, form: int, *, drop: float) -> tuple[str, str]:
        """Words for a motion (third person 0, participle 1), or none: a motion left out of a still thing says still."""
        if rng.random() < drop:
            return "", "still" if thing.motion == "still" else "any"
        return moving(thing, form), thing.motion

    first = things[0]
    if len(things) == 1:
        form = int(rng.random() < 0.3)
        drop = 0.4 if first.motion == "still" else leave_out / 4
        text, said = motion(first, form, drop=drop)
        return f"{nouns[0]} {text}".strip(), [said], ["any"]
    second = things[1]
    a_text, a_said = motion(first, int(rng.random() < 0.3), drop=0.5 if first.motion == "still" else 0.0)
    if rng.random() < 0.12:  # two things without a relation
        b_text, b_said = motion(second, 0, drop=0.5 if second.motion == "still" else 0.0)
        joint = choose(BESIDE[2:3]) if b_text or a_text else choose(BESIDE)
        joint = "while" if a_text and b_text and rng.random() < 0.4 else joint
        return f"{nouns[0]} {a_text} {joint} {nouns[1]} {b_text}", [a_said, b_said], ["any", "any"]
    wording = rng.random()
    if wording < 0.15:
        places = ("on the left", "on the right") if first.side == "left" else ("on the right", "on the left")
        b_text, b_said = motion(second, 0, drop=0.5 if second.motion == "still" else 0.0)
        link = choose((",", " and"))
        text = f"{places[0]} {nouns[0]} {a_text}{link} {places[1]} {nouns[1]} {b_text}"
        return text, [a_said, b_said], [first.side, second.side]
    relation = choose(LEFT_OF if first.side == "left" else RIGHT_OF)
    if not a_text and rng.random() < 0.3:
        relation = f"is {relation}"
    if second.motion == "still" and rng.random() < 0.8:
        return f"{nouns[0]} {a_text} {relation} {nouns[1]}", [a_said, "still"], [first.side, second.side]
    b_text, b_said = motion(second, 0, drop=0.0)
    if rng.random() < 0.5:
        text = f"{nouns[0]} {a_text} {relation} {nouns[1]} that {b_text}"
    else:
        text = f"{nouns[0]} {a_text} {relation} {nouns[1]} while {nouns[1].replace('a ', 'the ', 1)} {b_text}"
    return text, [a_said, b_said], [first.side, second.side]


def _noun(colour: str, kind: str) -> str:
    return _article(f"{colour} {kind}", "a")


def _article(noun: str, article: str) -> str:
    return f"an {noun}" if article == "a" and noun[0] in "aeio" else f"{article} {noun}"
