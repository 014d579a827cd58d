"""The small world that the embedded model knows: what can be in a scene, and where it is at each moment.

Design decisions
* A scene is a plain value: style, background, one or two things. Everything that a caption can say is a field,
  so captions, renderer, model and verifier agree on one vocabulary.
* Space is the unit square, x to the right, y downwards; time runs from 0 to 1 over the clip. The renderer chooses
  pixels and frames, so that the 32-pixel training grid and the 256-pixel truth come from the same scene.
* Things that are not moved through the air stand on the ground: contact shadows then tell depth and height.
* In a pair one thing is on each side, and no motion takes it across: a relation holds for the whole clip.
* Some pairs of colour and kind are held out of training, for measuring what the model composes by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

__all__ = [
    "BACKGROUNDS",
    "COLOURS",
    "FPS",
    "FRAMES",
    "HELD_OUT",
    "KINDS",
    "MOTIONS",
    "STYLES",
    "Scene",
    "Thing",
    "path",
    "sample_scene",
]

FRAMES = 24  # frames of a clip
FPS = 8.0  # frames per second: a clip lasts three seconds
GROUND = 0.80  # y where things stand

STYLES = ("animated", "photorealistic")
BACKGROUNDS = ("day", "night", "studio")
KINDS = ("ball", "box", "star", "triangle")
MOTIONS = ("still", "left", "right", "up", "down", "bounce")
COLOURS = {"red": 0.0, "orange": 28.0, "yellow": 54.0, "green": 125.0, "blue": 220.0, "purple": 282.0}  # hue in degrees
HELD_OUT = frozenset({("green", "star"), ("orange", "box"), ("purple", "ball"), ("blue", "triangle")})

Side = Literal["left", "right", "none"]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Thing:
    """One object.

    ``x, y`` is its centre at time 0 in units of the frame, ``radius`` likewise; ``reach`` is how far it moves
    (negative is left or up), ``beats`` how often it bounces; ``hue`` in degrees, ``saturation`` and ``value`` in 0..1.
    """

    kind: str
    colour: str
    motion: str
    side: Side
    x: float
    y: float
    radius: float
    reach: float
    beats: float
    hue: float
    saturation: float
    value: float


@dataclass(frozen=True)
class Scene:
    """A style, a background and one or two things; ``seed`` drives texture and the place of clouds and stars."""

    style: str
    background: str
    things: tuple[Thing, ...]
    seed: int


def path(thing: Thing, times: Floats) -> tuple[Floats, Floats]:
    """Centre of a thing at ``times`` (T values in 0..1): x and y, each of T values in units of the frame."""
    still = np.zeros_like(times)
    if thing.motion in ("left", "right"):
        return thing.x + thing.reach * times, thing.y + still
    if thing.motion in ("up", "down"):
        return thing.x + still, thing.y + thing.reach * times
    if thing.motion == "bounce":
        phase = np.mod(thing.beats * times, 1.0)
        return thing.x + still, (thing.y + thing.reach * 4.0 * phase * (1.0 - phase)).astype(np.float32)
    return thing.x + still, thing.y + still


def sample_scene(
    rng: np.random.Generator, *, pairs: float = 0.5, held_out: bool | None = False, motion: str | None = None
) -> Scene:
    """A random scene.

    ``pairs`` is the share of scenes with two things. ``held_out``: False never draws a held-out pair of colour and
    kind, True always does for the first thing, None does not care. ``motion`` fixes the first thing's motion.
    """
    two = rng.random() < pairs
    sides: tuple[Side, ...] = ("none",)
    if two:
        sides = ("left", "right") if rng.random() < 0.5 else ("right", "left")
    looks: list[tuple[str, str]] = []
    for index, _ in enumerate(sides):
        while True:
            look = (str(rng.choice(list(COLOURS))), str(rng.choice(KINDS)))
            wanted = held_out is None or (look in HELD_OUT) == (held_out and index == 0)
            if wanted and all(look[0] != other[0] for other in looks):
                looks.append(look)
                break
    motions = [motion or str(rng.choice(MOTIONS))]
    if two:  # one thing moves, or both do the same, or none: a scene with two different motions is rare
        other = str(rng.choice(["still", "still", motions[0], str(rng.choice(MOTIONS))]))
        motions.append(other)
        if motion is None and rng.random() < 0.5:
            motions.reverse()
    things = tuple(
        _place(rng, kind, colour, moving, side)
        for (colour, kind), moving, side in zip(looks, motions, sides, strict=True)
    )
    return Scene(str(rng.choice(STYLES)), str(rng.choice(BACKGROUNDS)), things, int(rng.integers(2**31)))


def _place(rng: np.random.Generator, kind: str, colour: str, motion: str, side: Side) -> Thing:
    def between(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    pair = side != "none"
    radius = between(0.115, 0.145) if pair else between(0.13, 0.18)
    x = {"left": between(0.22, 0.30), "right": between(0.70, 0.78), "none": between(0.35, 0.65)}[side]
    ground = GROUND - radius * 0.95 + between(-0.02, 0.03)
    y, reach, beats = ground, 0.0, 1.0
    if motion in ("left", "right"):
        reach = between(0.22, 0.25) if pair else between(0.42, 0.58)
        middle = x if pair else between(0.48, 0.52)
        sign = 1.0 if motion == "right" else -1.0
        x, reach = middle - sign * reach / 2, sign * reach
    elif motion in ("up", "down"):
        reach = between(0.36, 0.46)
        top = ground - reach
        y, reach = (ground, -reach) if motion == "up" else (top, reach)
    elif motion == "bounce":
        reach, beats = -between(0.30, 0.42), between(1.5, 2.0)
    return Thing(
        kind=kind,
        colour=colour,
        motion=motion,
        side=side,
        x=x,
        y=y,
        radius=radius,
        reach=reach,
        beats=beats,
        hue=COLOURS[colour] + between(-4.0, 4.0),
        saturation=between(0.78, 0.95),
        value=between(0.80, 0.95),
    )
