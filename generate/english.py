"""English sentences for scenes: :func:`body` says what happens, the tables where, how and through which camera."""

from __future__ import annotations

from dataclasses import replace

from countermark.generate.phrases import Chance, Named

__all__ = ["BACKGROUNDS", "CAMERAS", "OPENINGS", "STYLES_AFTER", "STYLES_BEFORE", "body"]

KINDS = {
    "ball": ("ball", "sphere", "globe"),
    "box": ("box", "cube", "block", "square", "crate"),
    "star": ("star",),
    "triangle": ("triangle", "pyramid", "cone"),
    "robot": ("robot", "android"),
    "cat": ("cat", "kitten", "kitty"),
    "balloon": ("balloon",),
    "cookie": ("cookie", "biscuit", "chocolate chip cookie"),
    "lamp": ("lamp", "light", "lantern"),
    "any": ("thing", "object", "shape"),
}
COLOURS = {
    "red": ("red", "crimson", "scarlet", "bright red", "dark red"),
    "orange": ("orange",),
    "yellow": ("yellow", "golden"),
    "green": ("green", "emerald", "bright green", "dark green"),
    "blue": ("blue", "azure", "dark blue", "bright blue"),
    "purple": ("purple", "violet"),
    "any": ("",),
}
MOVES: dict[str, tuple[tuple[str, str], ...]] = {  # third person, and participle
    "still": (
        ("stands still", "standing still"), ("rests", "resting"), ("sits", "sitting"), ("lies", "lying"),
        ("stays where it is", "staying where it is"), ("does not move", "not moving"), ("stands", "standing"),
        ("stays", "staying"), ("is", ""),
    ),
    "left": (
        ("moves to the left", "moving to the left"), ("moves left", "moving left"),
        ("slides to the left", "sliding to the left"), ("rolls to the left", "rolling to the left"),
        ("travels from right to left", "travelling from right to left"), ("drifts leftwards", "drifting leftwards"),
        ("goes left", "going left"), ("glides towards the left", "gliding towards the left"),
        ("crosses the picture from right to left", "crossing the picture from right to left"),
    ),
    "right": (
        ("moves to the right", "moving to the right"), ("moves right", "moving right"),
        ("slides to the right", "sliding to the right"), ("rolls to the right", "rolling to the right"),
        ("travels from left to right", "travelling from left to right"), ("drifts rightwards", "drifting rightwards"),
        ("goes right", "going right"), ("glides towards the right", "gliding towards the right"),
        ("crosses the picture from left to right", "crossing the picture from left to right"),
    ),
    "up": (
        ("rises", "rising"), ("floats up", "floating up"), ("moves up", "moving up"), ("goes up", "going up"),
        ("flies upwards", "flying upwards"), ("lifts off the ground", "lifting off the ground"),
        ("rises up", "rising up"),
    ),
    "down": (
        ("falls", "falling"), ("sinks", "sinking"), ("moves down", "moving down"), ("comes down", "coming down"),
        ("drops", "dropping"), ("descends", "descending"), ("falls down", "falling down"),
        ("floats down", "floating down"),
    ),
    "bounce": (
        ("bounces", "bouncing"), ("bounces up and down", "bouncing up and down"), ("hops", "hopping"),
        ("jumps up and down", "jumping up and down"), ("jumps", "jumping"),
    ),
    "circle": (
        ("moves in a circle", "moving in a circle"), ("circles", "circling"),
        ("goes round in circles", "going round in circles"),
        ("flies in a circle", "flying in a circle"), ("goes around", "going around"),
    ),
    "spin": (
        ("spins", "spinning"), ("turns", "turning"), ("rotates", "rotating"), ("spins around", "spinning around"),
        ("turns around itself", "turning around itself"),
    ),
}  # fmt: skip
WALKS = {
    "left": (
        ("walks to the left", "walking to the left"), ("walks left", "walking left"), ("runs left", "running left"),
    ),
    "right": (
        ("walks to the right", "walking to the right"), ("walks right", "walking right"),
        ("runs right", "running right"),
    ),
}  # fmt: skip
RELATIONS = {
    "left": ("to the left of", "left of", "on the left of", "on the left side of"),
    "right": ("to the right of", "right of", "on the right of", "on the right side of"),
    "above": ("above", "over", "high above"),
    "below": ("below", "under", "underneath", "beneath"),
    "front": ("in front of", "before"),
    "behind": ("behind", "partly hidden behind", "at the back of"),
}
BACKGROUNDS = {
    "day": (
        "by day",
        "in daylight",
        "on a sunny day",
        "outdoors",
        "under a blue sky",
        "outside in the sun",
        "in a desert",
    ),
    "night": ("at night", "by night", "in the dark", "under the stars", "under a night sky", "in the moonlight"),
    "studio": ("in a studio", "indoors", "in front of a grey wall", "in a grey room", "inside"),
    "meadow": ("on a meadow", "in a green field", "in a park", "on the grass", "in a meadow", "in the countryside"),
    "street": ("on a street", "in the city", "in town", "on a road", "in the street", "in front of houses"),
}
STYLES_BEFORE = {
    "animated": ("an animated video of", "a cartoon of", "an animation of", "animated:", "cartoon:"),
    "photorealistic": ("a photorealistic video of", "a realistic video of", "realistic footage of", "photorealistic:"),
}
STYLES_AFTER = {
    "animated": ("animated", "cartoon", "cartoon style", "in animated style", "as an animation", "drawn"),
    "photorealistic": ("photorealistic", "realistic", "in realistic style", "like a real film", "photo real"),
}
CAMERAS = {
    "pan left": ("the camera pans left", "panning left", "camera pan to the left", "the camera pans to the left"),
    "pan right": ("the camera pans right", "panning right", "camera pan to the right", "the camera pans to the right"),
    "zoom in": ("the camera zooms in", "zooming in", "slow zoom in", "the camera moves closer"),
    "zoom out": ("the camera zooms out", "zooming out", "slow zoom out", "the camera moves away"),
}
OPENINGS = ("", "", "", "", "a video of", "a clip of", "footage of", "we see", "show")
BESIDE = ("and", "next to", "beside", "near", "with", "together with")
AFTER = ("", "", "and stays bitten", "and the bite stays", "and a piece is missing")


def body(things: list[Named], event: str, chance: Chance) -> tuple[str, list[Named]]:
    """The sentence about the things, and what it has said of them (motions and places may be left open)."""
    if event != "none":
        return _event(things, event, chance)
    nouns = [_noun(thing, chance) for thing in things]
    if len(things) == 1:
        only = things[0]
        still = only.motion == "still" and chance.happens(0.55)
        return (nouns[0] if still else f"{nouns[0]} {_move(only, chance)}"), things
    if len(things) == 3:
        return _three(things, nouns, chance)
    return _pair(things, nouns, chance)


def _noun(thing: Named, chance: Chance, article: str = "") -> str:
    words = f"{chance.pick(COLOURS[thing.colour])} {chance.pick(KINDS[thing.kind])}".strip()
    article = article or ("the" if chance.happens(0.12) else "an" if words[0] in "aeio" else "a")
    return f"{article} {words}"


def _move(thing: Named, chance: Chance, form: int | None = None) -> str:
    form = int(chance.happens(0.3)) if form is None else form
    options = MOVES[thing.motion]
    if thing.kind in ("robot", "cat") and thing.motion in WALKS and chance.happens(0.6):
        options = WALKS[thing.motion]
    if form == 1 or thing.kind == "any":
        options = tuple(o for o in options if o[1])
    return chance.pick([one[form] for one in options if one[0] != "is"])


def _pair(things: list[Named], nouns: list[str], chance: Chance) -> tuple[str, list[Named]]:
    first, second = things
    moved = [t.motion != "still" for t in things]
    a = _move(first, chance) if moved[0] or chance.happens(0.3) else ""
    b = _move(second, chance, 0) if moved[1] or chance.happens(0.15) else ""
    beside = first.place in ("left", "right")
    if beside and chance.happens(0.1):  # two things without a relation
        joint = "and" if a or b else chance.pick(BESIDE)
        joint = "while" if a and b and chance.happens(0.4) else joint
        return f"{nouns[0]} {a} {joint} {nouns[1]} {b}", [replace(t, place="any") for t in things]
    if beside and chance.happens(0.15):
        places = [f"on the {t.place}" for t in things]
        if chance.happens(0.5):
            return f"{places[0]} {nouns[0]} {a}, {places[1]} {nouns[1]} {b}", things
        return f"{nouns[0]} {a} {places[0]} and {nouns[1]} {b} {places[1]}", things
    relation = chance.pick(RELATIONS[first.place])
    if not a and chance.happens(0.3):
        relation = f"is {relation}"
    if not b:
        return f"{nouns[0]} {a} {relation} {nouns[1]}", things
    if chance.happens(0.5):
        return f"{nouns[0]} {a} {relation} {nouns[1]} that {b}", things
    again = nouns[1].split(" ", 1)[1]
    return f"{nouns[0]} {a} {relation} {nouns[1]} while the {again} {b}", things


def _three(things: list[Named], nouns: list[str], chance: Chance) -> tuple[str, list[Named]]:
    order = sorted(range(3), key=lambda i: ("left", "middle", "right").index(things[i].place))
    told = [f"{nouns[i]} {_move(things[i], chance, 0) if things[i].motion != 'still' else ''}".strip() for i in order]
    if chance.happens(0.35):
        text = f"from left to right {told[0]}, {told[1]} and {told[2]}"
    elif chance.happens(0.5):
        text = f"{told[0]}, {told[1]} and {told[2]}"
    else:
        text = f"{told[0]} on the left, {told[1]} in the middle and {told[2]} on the right"
    return text, [things[i] for i in order]


def _event(things: list[Named], event: str, chance: Chance) -> tuple[str, list[Named]]:
    first = things[0]
    noun = _noun(first, chance)
    if event == "bite":
        text = chance.pick(
            (f"{noun} is bitten", f"somebody bites into {noun}", f"a bite is taken out of {noun}",
             f"{noun} gets a bite taken out of it", f"someone takes a bite of {noun}", f"{noun} is bitten into")
        )  # fmt: skip
        return f"{text} {chance.pick(AFTER)}", things
    if event == "pop":
        text = chance.pick((f"{noun} pops", f"{noun} bursts", f"{noun} explodes", f"{noun} pops and is gone"))
        return text, things
    if event == "dark":
        text = chance.pick(
            (f"{noun} goes out", f"{noun} is switched off", f"{noun} is turned off", f"{noun} goes dark",
             f"{noun} goes out and stays out", f"somebody switches off {noun}")
        )  # fmt: skip
        return text, things
    ball, box = sorted(things, key=lambda t: t.thing.fate != "pushes")
    a, b = _noun(ball, chance), _noun(box, chance)
    side, way = ball.place, ball.motion
    free = [replace(t, motion="any" if t is ball else "still", place="any") for t in (ball, box)]
    if not chance.happens(0.6):  # the plainest leaves nothing out
        told = [replace(t, place="any") for t in (ball, box)]
        way_text = chance.pick(
            (f"{a} rolls to the {way} and knocks over {b}", f"{a} comes from the {side} and knocks {b} over",
             f"{a} moving to the {way} knocks over {b}")
        )  # fmt: skip
        return way_text, told
    text = chance.pick(
        (f"{a} knocks over {b}", f"{b} is knocked over by {a}", f"{a} rolls into {b} and knocks it over",
         f"{a} knocks {b} over", f"{a} hits {b} and it falls over", f"{a} pushes {b} over")
    )  # fmt: skip
    return text, free
