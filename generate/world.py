"""The small world that the embedded model knows: what can be in a scene, and where it is at each moment.

Design decisions
* A scene is a plain value: style, background, camera, one to three things, perhaps an event. Everything that a caption
  can say is a field, so captions, renderer, model and verifier agree on one vocabulary.
* Space is the unit square, x to the right, y downwards; time runs from 0 to 1 over a scene, however long it lasts. The
  renderer chooses pixels and frames, so that the training grid and the truth at full size come from the same scene.
* What a prompt leaves open varies little: places, sizes and shades within narrow bounds. A small model then learns what
  words mean in hours instead of what could be anywhere in days.
* Things that are not moved through the air stand on the ground: contact shadows then tell depth and height.
* A relation holds for the whole clip: no motion takes a thing across to the other's side.
* Only a thing that is alone spins: of two at once, none kept its outline after 300,000 clips.
* Some pairs of colour and kind are held out of training, for measuring what the model composes by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

__all__ = [
    "BACKGROUNDS",
    "CAMERAS",
    "CAN",
    "COLOURS",
    "EVENTS",
    "FPS",
    "FRAMES",
    "GROUND",
    "HELD_OUT",
    "KINDS",
    "LAYOUTS",
    "MOTIONS",
    "PAINTED",
    "PLACES",
    "PLAIN",
    "STYLES",
    "TALL",
    "WALKERS",
    "Pose",
    "Scene",
    "Thing",
    "path",
    "pose",
    "sample_scene",
    "view",
]

FRAMES = 32  # frames of a clip
FPS = 8.0  # frames per second: a clip lasts four seconds
GROUND = 0.80  # y where things stand

STYLES = ("animated", "photorealistic")
BACKGROUNDS = ("day", "night", "studio", "meadow", "street")
CAMERAS = ("fixed", "pan left", "pan right", "zoom in", "zoom out")
KINDS = ("ball", "box", "star", "triangle", "robot", "cat", "balloon", "cookie", "lamp")
MOTIONS = ("still", "left", "right", "up", "down", "bounce", "circle", "spin")
PLACES = ("none", "left", "right", "above", "below", "front", "behind", "middle")
EVENTS = ("none", "bite", "knock", "pop", "dark")
COLOURS = {  # hue in degrees
    "red": 0.0, "orange": 28.0, "yellow": 54.0, "green": 125.0, "blue": 220.0, "purple": 282.0,
    "brown": 30.0, "white": 45.0,
}  # fmt: skip
PAINTED = (
    "red",
    "orange",
    "yellow",
    "green",
    "blue",
    "purple",
)  # what things are painted; cookies are brown, lamps white
PLAIN = ("ball", "box", "star", "triangle")
WALKERS = ("robot", "cat")
HELD_OUT = frozenset(
    {
        ("purple", "star"),
        ("yellow", "box"),
        ("purple", "ball"),
        ("blue", "triangle"),
        ("green", "cat"),
        ("orange", "robot"),
    }
)
CAN = {  # motions of each kind
    **dict.fromkeys(PLAIN, MOTIONS),
    **dict.fromkeys(WALKERS, ("still", "left", "right", "bounce")),
    "ball": tuple(m for m in MOTIONS if m != "spin"),
    "balloon": ("still", "up", "down", "left", "right"),
    "cookie": ("still", "left", "right"),
    "lamp": ("still",),
}
TIP = 0.14  # of a scene, that a box takes to fall over
TALL = 1.55  # height of a box that can be knocked over, in widths

Place = Literal["none", "left", "right", "above", "below", "front", "behind", "middle"]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Thing:
    """One object.

    ``x, y`` is its centre at time 0 in units of the frame, ``radius`` likewise; ``reach`` is how far it moves
    (negative is left or up), a circle's radius included; ``beats`` how often it bounces, goes round or spins.
    ``fate`` is what an event does to it (bitten, popped, dark, falls, pushes), ``when`` at what time. ``hue`` in
    degrees, ``saturation`` and ``value`` in 0..1.
    """

    kind: str
    colour: str
    motion: str
    place: Place
    x: float
    y: float
    radius: float
    reach: float
    beats: float
    hue: float
    saturation: float
    value: float
    fate: str = "none"
    when: float = 2.0


@dataclass(frozen=True)
class Scene:
    """A style, a background, a camera and one to three things; ``seed`` drives texture and the place of clouds."""

    style: str
    background: str
    camera: str
    event: str
    things: tuple[Thing, ...]
    seed: int


@dataclass(frozen=True)
class Pose:
    """A thing at T times: centre, turn (radians, clockwise), gait (0..1, cycles), and whether it is whole (0 or 1)."""

    x: Floats
    y: Floats
    turn: Floats
    gait: Floats
    whole: Floats


def path(thing: Thing, times: Floats) -> tuple[Floats, Floats]:
    """Centre of a thing at ``times`` (T values in 0..1): x and y, each of T values in units of the frame."""
    still = np.zeros_like(times)
    x, y = thing.x + still, thing.y + still
    if thing.fate == "pushes":  # rolls up to the box, and lies there
        return thing.x + thing.reach * np.minimum(times / np.float32(thing.when), 1), y
    if thing.fate == "falls":
        fallen = _fallen(thing, times)
        away = np.sign(thing.reach) * thing.radius  # turns about its far lower corner
        corner = np.hypot(1.0, TALL) * thing.radius / TALL
        lean = np.arctan2(1.0, TALL) - fallen * np.pi / 2
        foot = thing.x + away / TALL
        x = foot - np.sign(away) * corner * np.sin(lean)
        return x.astype(np.float32), (thing.y + thing.radius - corner * np.cos(lean)).astype(np.float32)
    if thing.motion in ("left", "right"):
        return x + thing.reach * times, y
    if thing.motion in ("up", "down"):
        return x, y + thing.reach * times
    if thing.motion == "bounce":
        phase = np.mod(thing.beats * times, 1.0)
        return x, (y + thing.reach * 4.0 * phase * (1.0 - phase)).astype(np.float32)
    if thing.motion == "circle":
        angle = (2 * np.pi * thing.beats * times).astype(np.float32)
        up = thing.reach * (1 - np.cos(angle))
        return (x + thing.reach * np.sin(angle)).astype(np.float32), (y - up).astype(np.float32)
    return x, y


def _fallen(thing: Thing, times: Floats) -> Floats:
    """How far a box has fallen, 0 to 1, ever faster."""
    return np.asarray(np.clip((times - thing.when) / TIP, 0, 1) ** 2, np.float32)


def pose(thing: Thing, times: Floats) -> Pose:
    """Where and how a thing is at ``times`` (T values in 0..1)."""
    x, y = path(thing, times)
    turn = np.zeros_like(times)
    if thing.motion == "spin":
        turn = (2 * np.pi * thing.beats * times).astype(np.float32)
    if thing.fate == "falls":
        turn = np.sign(thing.reach) * _fallen(thing, times) * np.float32(np.pi / 2)
    walks = thing.kind in WALKERS and thing.motion in ("left", "right")
    gait = np.mod(times * 8, 1.0) if walks else np.zeros_like(times)
    whole = (
        (times < thing.when).astype(np.float32) if thing.fate in ("bitten", "popped", "dark") else np.ones_like(times)
    )
    return Pose(x, y, turn.astype(np.float32), gait.astype(np.float32), whole)


def view(scene: Scene, times: Floats) -> tuple[Floats, Floats]:
    """The camera at ``times``: the x that it is centred on, and how much it enlarges; T values each."""
    still = np.zeros_like(times)
    move = times - np.float32(0.5)
    if scene.camera in ("pan left", "pan right"):
        return 0.5 + (0.44 if scene.camera == "pan right" else -0.44) * move, still + 1
    if scene.camera in ("zoom in", "zoom out"):
        return still + np.float32(0.5), 1 + (0.5 if scene.camera == "zoom in" else -0.5) * move
    return still + np.float32(0.5), still + 1


def sample_scene(
    rng: np.random.Generator, *, held_out: bool | None = False, layout: str | None = None, event: str | None = None
) -> Scene:
    """A random scene.

    ``held_out``: False never draws a held-out pair of colour and kind, True always does for the first thing, None does
    not care. ``layout``: one of ``LAYOUTS``; ``event``: one of ``EVENTS``, for the layout ``event``.
    """
    draw = _Draw(rng, held_out)
    layout = layout or str(rng.choice(list(LAYOUTS), p=list(LAYOUTS.values())))
    camera, happens = "fixed", "none"
    things: tuple[Thing, ...]
    if layout == "single":
        things = (draw.single(),)
    elif layout == "camera":
        things, camera = (draw.single("still"),), str(rng.choice(CAMERAS[1:]))
    elif layout == "beside":
        things = draw.beside()
    elif layout == "above":
        things = draw.above()
    elif layout == "behind":
        things = draw.behind()
    elif layout == "three":
        things = draw.three()
    elif layout == "event":
        happens = event or str(rng.choice(EVENTS[1:]))
        things = draw.event(happens)
    else:
        raise ValueError(f"unknown layout {layout!r}")
    background = str(rng.choice(BACKGROUNDS))
    return Scene(str(rng.choice(STYLES)), background, camera, happens, things, int(rng.integers(2**31)))


LAMP = (0.172, 0.178)  # a lamp's radius
LAYOUTS = {"single": 0.34, "camera": 0.07, "beside": 0.24, "above": 0.07, "behind": 0.08, "three": 0.06, "event": 0.14}


class _Draw:
    """Draws things, each look once a scene."""

    def __init__(self, rng: np.random.Generator, held_out: bool | None) -> None:
        self.rng, self.held_out = rng, held_out
        self.used: set[str] = set()

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def look(self, kinds: tuple[str, ...]) -> tuple[str, str]:
        """A kind and a colour that tells it from the others in the scene."""
        wanted = bool(self.held_out) and not self.used and any(k in kinds for _, k in HELD_OUT)
        while True:
            kind = str(self.rng.choice(kinds))
            colour = {"cookie": "brown", "lamp": "white"}.get(kind) or str(self.rng.choice(PAINTED))
            alike = colour in self.used or {"brown", "orange"} <= {colour, *self.used}
            if not alike and (self.held_out is None or ((colour, kind) in HELD_OUT) == wanted):
                self.used.add(colour)
                return kind, colour

    def thing(
        self, look: tuple[str, str], motion: str, place: Place, x: float, y: float, radius: float,
        reach: float = 0.0, beats: float = 1.0,
    ) -> Thing:  # fmt: skip
        kind, colour = look
        radius *= 1.12 if kind in WALKERS else 1.0
        saturation, value = self.between(0.80, 0.94), self.between(0.82, 0.95)
        if kind == "cookie":
            saturation, value = self.between(0.62, 0.70), self.between(0.70, 0.78)
        hue = COLOURS[colour] + self.between(-4.0, 4.0)
        return Thing(kind, colour, motion, place, x, y, radius, reach, beats, hue, saturation, value)

    def ground(self, kind: str, radius: float) -> float:
        """The centre's y of a thing that stands, or hovers as balloons do."""
        if kind == "balloon":
            return 0.42
        return GROUND - radius * 0.95

    def moved(self, look: tuple[str, str], motion: str, place: Place, x: float, radius: float, across: float) -> Thing:
        """A thing with a motion; ``across``: how far left and right go, about ``x``."""
        y, reach, beats = self.ground(look[0], radius), 0.0, 1.0
        if motion in ("left", "right"):
            reach = across if motion == "right" else -across
            x -= reach / 2
        elif motion in ("up", "down"):
            low = GROUND - radius * 0.95
            reach = 0.38
            y, reach = (low, -reach) if motion == "up" else (low - reach, reach)
        elif motion == "bounce":
            reach, beats = -0.34, 2.0
        elif motion == "circle":
            reach, y = (0.17, 0.66) if place == "none" else (0.11, 0.62)
        return self.thing(look, motion, place, x, y, radius, reach, beats)

    def single(self, motion: str | None = None) -> Thing:
        kinds = tuple(k for k in KINDS if motion is None or k != "balloon")
        look = self.look(kinds if self.rng.random() < 0.7 else PLAIN)
        can = CAN[look[0]]
        motion = motion or str(self.rng.choice((*can, "spin") if "spin" in can else can))  # the hardest, twice as often
        radius = self.between(0.200, 0.207) if motion != "circle" else self.between(0.166, 0.170)
        radius = self.between(*LAMP) if look[0] == "lamp" else radius
        return self.moved(look, motion, "none", 0.5 + self.between(-0.01, 0.01), radius, 0.5)

    def beside(self) -> tuple[Thing, ...]:
        kinds = (*PLAIN, *WALKERS, "balloon", "cookie")
        looks = [self.look(kinds if self.rng.random() < 0.6 else PLAIN) for _ in range(2)]
        sides: list[Place] = ["left", "right"]
        if self.rng.random() < 0.5:
            sides.reverse()
        moving = int(self.rng.integers(4))  # neither, the first, the second, both
        motions = [
            str(self.rng.choice([m for m in CAN[look[0]] if m != "spin"])) if moving in (i + 1, 3) else "still"
            for i, look in enumerate(looks)
        ]
        sizes = (0.147, 0.151) if {"left", "right", "circle"} & set(motions) else (0.169, 0.174)
        things = []
        for look, motion, side in zip(looks, motions, sides, strict=True):
            x = (0.255 if side == "left" else 0.745) + self.between(-0.005, 0.005)
            things.append(self.moved(look, motion, side, x, self.between(*sizes), 0.18))
        return tuple(things)

    def above(self) -> tuple[Thing, ...]:
        x = 0.5 + self.between(-0.01, 0.01)
        looks = [self.look(PLAIN), self.look(PLAIN)]
        high = self.thing(looks[0], "still", "above", x, 0.23, 0.155)
        radius = self.between(0.155, 0.159)
        low = self.thing(looks[1], "still", "below", x, self.ground("box", radius), radius)
        return (high, low) if self.rng.random() < 0.5 else (low, high)

    def behind(self) -> tuple[Thing, ...]:
        looks = [self.look((*PLAIN, *WALKERS)), self.look((*PLAIN, *WALKERS))]
        side = 1 if self.rng.random() < 0.5 else -1
        radius = self.between(0.193, 0.199)
        front = self.thing(looks[0], "still", "front", 0.5 - side * 0.11, GROUND + 0.03 - radius * 0.95, radius)
        back = self.thing(looks[1], "still", "behind", 0.5 + side * 0.11, GROUND - 0.06 - radius * 0.95, radius)
        return (front, back) if self.rng.random() < 0.5 else (back, front)

    def three(self) -> tuple[Thing, ...]:
        places: tuple[Place, ...] = ("left", "middle", "right")
        things = []
        for place, x in zip(places, (0.18, 0.5, 0.82), strict=True):
            look = self.look(PLAIN)
            radius, off = self.between(0.139, 0.143), self.between(-0.005, 0.005)
            motion = "bounce" if self.rng.random() < 0.2 else "still"
            things.append(self.moved(look, motion, place, x + off, radius, 0.0))
        return tuple(things)

    def event(self, event: str) -> tuple[Thing, ...]:
        when = self.between(0.42, 0.52)
        x = 0.5 + self.between(-0.01, 0.01)
        radius = self.between(*LAMP) if event == "dark" else self.between(0.207, 0.214)
        if event == "bite":
            cookie = self.moved(self.look(("cookie",)), "still", "none", x, radius, 0.0)
            return (replace(cookie, fate="bitten", when=when),)
        if event == "pop":
            balloon = self.moved(self.look(("balloon",)), "still", "none", x, radius, 0.0)
            return (replace(balloon, fate="popped", when=when),)
        if event == "dark":
            lamp = self.moved(self.look(("lamp",)), "still", "none", x, radius, 0.0)
            return (replace(lamp, fate="dark", when=when),)
        way = 1 if self.rng.random() < 0.5 else -1  # the ball rolls right, or left
        ball_radius, box_radius = self.between(0.123, 0.127), self.between(0.158, 0.162)
        at = 0.54 if way > 0 else 0.46
        box = self.thing(
            self.look(("box",)), "still", "right" if way > 0 else "left", at, GROUND - box_radius * 0.95, box_radius
        )
        box = replace(box, reach=float(way), fate="falls", when=when)
        stop = at - way * (box_radius / TALL + ball_radius)
        start = 0.5 - way * 0.36
        ball = self.thing(
            self.look(("ball",)), "right" if way > 0 else "left", "left" if way > 0 else "right",
            start, GROUND - ball_radius * 0.95, ball_radius, stop - start,
        )  # fmt: skip
        return replace(ball, fate="pushes", when=when), box
