"""German sentences for scenes: :func:`body` says what happens, the tables where, how and through which camera."""

from __future__ import annotations

from dataclasses import replace

from countermark.generate.phrases import Chance, Named

__all__ = ["BACKGROUNDS", "CAMERAS", "OPENINGS", "STYLES_AFTER", "STYLES_BEFORE", "body"]

KINDS = {  # noun and gender
    "ball": (("Ball", "m"), ("Kugel", "f")),
    "box": (("Kiste", "f"), ("Würfel", "m"), ("Box", "f"), ("Schachtel", "f"), ("Quader", "m")),
    "star": (("Stern", "m"),),
    "triangle": (("Dreieck", "n"), ("Pyramide", "f"), ("Kegel", "m")),
    "robot": (("Roboter", "m"),),
    "cat": (("Katze", "f"), ("Kätzchen", "n")),
    "balloon": (("Luftballon", "m"), ("Ballon", "m")),
    "cookie": (("Keks", "m"), ("Plätzchen", "n")),
    "lamp": (("Lampe", "f"), ("Licht", "n"), ("Laterne", "f")),
    "any": (("Ding", "n"), ("Gegenstand", "m"), ("Form", "f")),
}
COLOURS = {  # stems that take endings; those in capitals stay as they are
    "red": ("rot", "knallrot", "dunkelrot"),
    "orange": ("ORANGE", "orangefarben"),
    "yellow": ("gelb", "goldgelb"),
    "green": ("grün", "hellgrün", "dunkelgrün"),
    "blue": ("blau", "hellblau", "dunkelblau"),
    "purple": ("LILA", "violett"),
    "any": ("",),
}
ARTICLES = {
    "m": ("ein", "einem", "einen", "der"),
    "f": ("eine", "einer", "eine", "die"),
    "n": ("ein", "einem", "ein", "das"),
}
ENDINGS = {"m": ("er", "en", "en"), "f": ("e", "en", "e"), "n": ("es", "en", "es")}
NOMINATIVE, DATIVE, ACCUSATIVE = range(3)
MOVES = {
    "still": ("steht still", "ruht", "liegt da", "steht da", "bewegt sich nicht", "bleibt liegen", "bleibt, wo es ist"),
    "left": (
        "bewegt sich nach links", "rollt nach links", "gleitet nach links", "zieht von rechts nach links",
        "fährt nach links", "schwebt nach links",
    ),
    "right": (
        "bewegt sich nach rechts", "rollt nach rechts", "gleitet nach rechts", "zieht von links nach rechts",
        "fährt nach rechts", "schwebt nach rechts",
    ),
    "up": ("steigt auf", "schwebt nach oben", "bewegt sich nach oben", "steigt in die Höhe", "fliegt nach oben"),
    "down": ("fällt herunter", "sinkt", "fällt", "schwebt nach unten", "bewegt sich nach unten", "sinkt nach unten"),
    "bounce": ("hüpft", "springt auf und ab", "springt", "hüpft auf und ab", "hopst"),
    "circle": ("bewegt sich im Kreis", "kreist", "fliegt im Kreis", "zieht Kreise"),
    "spin": ("dreht sich", "rotiert", "dreht sich um sich selbst", "dreht sich im Stehen"),
}  # fmt: skip
WALKS = {
    "left": ("läuft nach links", "geht nach links", "rennt nach links"),
    "right": ("läuft nach rechts", "geht nach rechts", "rennt nach rechts"),
}
RELATIONS = {
    "left": ("links von", "links neben", "auf der linken Seite von"),
    "right": ("rechts von", "rechts neben", "auf der rechten Seite von"),
    "above": ("über", "oberhalb von", "hoch über"),
    "below": ("unter", "unterhalb von", "tief unter"),
    "front": ("vor",),
    "behind": ("hinter", "halb verdeckt hinter"),
}
BACKGROUNDS = {
    "day": ("bei Tag", "am Tag", "im Sonnenschein", "draußen", "unter blauem Himmel", "in der Wüste"),
    "night": ("bei Nacht", "nachts", "in der Nacht", "im Dunkeln", "unter den Sternen", "im Mondlicht"),
    "studio": ("in einem Studio", "im Studio", "vor einer grauen Wand", "drinnen", "in einem grauen Raum"),
    "meadow": ("auf einer Wiese", "im Park", "im Gras", "auf der Wiese", "im Grünen"),
    "street": ("auf einer Straße", "in der Stadt", "auf der Straße", "vor Häusern"),
}
STYLES_BEFORE = {
    "animated": ("ein Zeichentrickfilm:", "eine Animation:", "animiert:", "Trickfilm:"),
    "photorealistic": ("ein realistisches Video:", "fotorealistisch:", "eine realistische Aufnahme:"),
}
STYLES_AFTER = {
    "animated": ("animiert", "als Zeichentrick", "gezeichnet", "als Animation", "im Zeichentrickstil"),
    "photorealistic": ("fotorealistisch", "realistisch", "wie echt gefilmt", "in realistischem Stil"),
}
CAMERAS = {
    "pan left": ("die Kamera schwenkt nach links", "Kameraschwenk nach links", "Schwenk nach links"),
    "pan right": ("die Kamera schwenkt nach rechts", "Kameraschwenk nach rechts", "Schwenk nach rechts"),
    "zoom in": ("die Kamera zoomt heran", "die Kamera fährt näher heran", "langsames Heranzoomen"),
    "zoom out": ("die Kamera zoomt heraus", "die Kamera fährt zurück", "langsames Herauszoomen"),
}
OPENINGS = ("", "", "", "", "ein Video:", "man sieht:", "zeige:")
AFTER = ("", "", "und bleibt angebissen", "und ein Stück fehlt")


def body(things: list[Named], event: str, chance: Chance) -> tuple[str, list[Named]]:
    """The sentence about the things, and what it has said of them (motions and places may be left open)."""
    if event != "none":
        return _event(things, event, chance)
    first = things[0]
    if len(things) == 1:
        noun, _ = _noun(first, chance)
        still = first.motion == "still" and chance.happens(0.55)
        return (noun if still else f"{noun} {_move(first, chance)}"), things
    if len(things) == 3:
        return _three(things, chance)
    return _pair(things, chance)


def _noun(thing: Named, chance: Chance, case: int = NOMINATIVE) -> tuple[str, str]:
    """A noun phrase in a case, and how it is referred to again."""
    nouns = KINDS[thing.kind]
    noun, gender = nouns[chance.place(len(nouns))]
    stem = chance.pick(COLOURS[thing.colour])
    adjective = stem.lower() if stem.isupper() else f"{stem}{ENDINGS[gender][case]}" if stem else ""
    return " ".join(w for w in (ARTICLES[gender][case], adjective, noun) if w), f"{ARTICLES[gender][3]} {noun}"


def _move(thing: Named, chance: Chance) -> str:
    options = MOVES[thing.motion]
    if thing.kind in ("robot", "cat") and thing.motion in WALKS and chance.happens(0.6):
        options = WALKS[thing.motion]
    return chance.pick(options)


def _pair(things: list[Named], chance: Chance) -> tuple[str, list[Named]]:
    first, second = things
    a_noun, _ = _noun(first, chance)
    a = _move(first, chance) if first.motion != "still" or chance.happens(0.2) else ""
    beside = first.place in ("left", "right")
    if beside and chance.happens(0.1):
        b_noun, _ = _noun(second, chance)
        b = _move(second, chance) if second.motion != "still" else ""
        return f"{a_noun} {a} und {b_noun} {b}", [replace(t, place="any") for t in things]
    if beside and chance.happens(0.15):
        b_noun, _ = _noun(second, chance)
        b = _move(second, chance) if second.motion != "still" else ""
        sides = {"left": "links", "right": "rechts"}
        return f"{sides[first.place]} {a_noun} {a}, {sides[second.place]} {b_noun} {b}", things
    b_noun, again = _noun(second, chance, DATIVE)
    relation = chance.pick(RELATIONS[first.place])
    if not a:
        a = chance.pick(("liegt", "", "", "ist", "steht"))
    text = f"{a_noun} {a} {relation} {b_noun}"
    if a and first.motion != "still":
        text = chance.pick((f"{a_noun} {relation} {b_noun} {a}", text))
    if second.motion != "still":
        text += f", {again} {_move(second, chance)}"
    return text, things


def _three(things: list[Named], chance: Chance) -> tuple[str, list[Named]]:
    order = sorted(range(3), key=lambda i: ("left", "middle", "right").index(things[i].place))
    told = []
    for i in order:
        noun, _ = _noun(things[i], chance)
        told.append(f"{noun} {_move(things[i], chance)}" if things[i].motion != "still" else noun)
    if chance.happens(0.35):
        text = f"von links nach rechts {told[0]}, {told[1]} und {told[2]}"
    elif chance.happens(0.5):
        text = f"{told[0]}, {told[1]} und {told[2]}"
    else:
        text = f"links {told[0]}, in der Mitte {told[1]} und rechts {told[2]}"
    return text, [things[i] for i in order]


def _event(things: list[Named], event: str, chance: Chance) -> tuple[str, list[Named]]:
    noun, _ = _noun(things[0], chance)
    into, _ = _noun(things[0], chance, ACCUSATIVE)
    if event == "bite":
        text = chance.pick((f"{noun} wird angebissen", f"in {into} wird gebissen", f"jemand beißt in {into}"))
        return f"{text} {chance.pick(AFTER)}", things
    if event == "pop":
        return f"{noun} {chance.pick(('platzt', 'zerplatzt', 'platzt und ist weg', 'explodiert'))}", things
    if event == "dark":
        how = ("geht aus", "erlischt", "wird ausgeschaltet", "geht aus und bleibt aus")
        return f"{noun} {chance.pick(how)}", things
    ball, box = sorted(things, key=lambda t: t.thing.fate != "pushes")
    a, _ = _noun(ball, chance)
    b, _ = _noun(box, chance, ACCUSATIVE)
    way = {"left": "links", "right": "rechts"}
    if not chance.happens(0.6):  # the plainest leaves nothing out
        text = chance.pick(
            (f"{a} rollt nach {way[ball.motion]} und stößt {b} um", f"{a} kommt von {way[ball.place]} und wirft {b} um")
        )
        return text, [replace(t, place="any") for t in (ball, box)]
    by, _ = _noun(ball, chance, DATIVE)
    stands, _ = _noun(box, chance)
    text = chance.pick(
        (f"{a} stößt {b} um", f"{stands} wird von {by} umgestoßen", f"{a} wirft {b} um"),
    )
    return text, [replace(ball, motion="any", place="any"), replace(box, motion="still", place="any")]
