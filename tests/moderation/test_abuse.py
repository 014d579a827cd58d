"""Hostile text never crashes moderation and never takes more than linear time."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from countermark.moderation import CATEGORIES, Moderator, to_line
from countermark.moderation.folding import clean
from countermark.moderation.mapped import whole
from countermark.moderation.moderator import PIECE, _pieces

DICE = random.Random(5)
BOMBS: dict[str, Callable[[], str]] = {
    "empty": lambda: "",
    "blank": lambda: " \t\n" * 1000,
    "one megabyte of one letter": lambda: "a" * 1_000_000,
    "one megabyte of words": lambda: "the cat walks over bridges " * 37_000,
    "a hundred kilobytes of hits": lambda: "nude bomb kill singer election " * 3_300,
    "a hundred kilobytes of letters": lambda: "n u d e " * 12_500,
    "a hundred kilobytes of escapes": lambda: "%6e%75&#110;" * 8_400,
    "a hundred kilobytes of hex": lambda: "6e 75 " * 16_700,
    "a hundred kilobytes of base64": lambda: "bnVkZSB3b21hbiBu" * 6_300,
    "a hundred kilobytes of leet": lambda: "4@$!3" * 20_000,
    "ten thousand marks": lambda: "n" + "\u0301" * 10_000 + "ude",
    "lone surrogates": lambda: "\ud800nu\udfffde\ud800" * 500,
    "control characters": lambda: "".join(map(chr, range(32))) * 300,
    "every plane": lambda: "".join(chr(c) for c in range(0, 0x110000, 97)),
    "brackets": lambda: "((((((((" * 5_000,
    "negations": lambda: "no blood or gore and " * 5_000,
    "signs at random": lambda: "".join(chr(DICE.randint(32, 126)) for _ in range(30_000)),
    "letters at random": lambda: "".join(DICE.choice("abcdefghijklmnopqrstuvwxyz  ") for _ in range(30_000)),
    "no end of a word": lambda: "NudeVideoOf" * 3_000,
    "numbers": lambda: "12 5 8 20 110 117 01101110 " * 1_200,
    "morse": lambda: ".- -... " * 4_000,
    "code to put together": lambda: "".join(f"a{i}='nu'; b{i}='de'; a{i}+b{i} " for i in range(1_000)),
    "names of characters": lambda: "\\N{LATIN SMALL LETTER N}\\N{" * 1_000,
    "masked letters": lambda: "n*" * 15_000,
    "strange alphabets": lambda: "Ꮑ几ηոռ ₦ɄĐɆ " * 3_000,
    "right to left": lambda: "\u202e\u2066edun\u2069" * 3_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_hostile_text_is_judged(moderator: Moderator, name: str) -> None:
    decision = moderator.check(BOMBS[name]())
    assert tuple(decision.scores) == CATEGORIES
    assert json.loads(to_line(decision.to_json()).encode())["schema"] == 1
    assert "\n" not in decision.explain()


def test_harm_at_the_end_of_a_long_prompt_is_found(moderator: Moderator) -> None:
    text = "a cat walks over a bridge. " * 4_000 + "a nude video of a famous singer"
    decision = moderator.check(text)
    assert "nonconsensual_intimate" in decision.flagged
    assert text[slice(*decision.reasons[0].span)] == "nude video of a famous singer"


@pytest.mark.parametrize("at", [PIECE - 20, PIECE - 5, 2 * PIECE - 130])
def test_harm_on_the_border_of_two_pieces_is_found(moderator: Moderator, at: int) -> None:
    text = ("x" * 9 + " ") * (at // 10) + "a nude video of a famous singer" + " xxxxxxxxx" * 500
    assert not moderator.check(text).allowed


def test_work_is_linear_in_length() -> None:
    text = "word " * 10_000
    pieces = list(_pieces(text))
    assert len(pieces) <= len(text) / (PIECE - 300) + 1
    assert pieces[-1].ends[-1] == len(text)


def test_marks_and_invisible_characters_shrink_away() -> None:
    assert clean(whole("n" + "\u0301" * 10_000 + "ude")).text == "ńude"
    assert clean(whole("n\u200b\u2060\ufeff\x00ude\ud800")).text == "nude"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet=st.characters(exclude_categories=()), max_size=300))
def test_any_text_gives_a_decision(moderator: Moderator, text: str) -> None:
    decision = moderator.check(text)
    assert decision.allowed == (decision.action != "refuse")
    assert all(0 <= score <= 1 for score in decision.scores.values())
    assert 0 <= decision.risk <= 1
    assert all(0 <= r.span[0] < r.span[1] <= len(text) for r in decision.reasons)
    to_line(decision.to_json()).encode()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=st.text(max_size=40), after=st.text(max_size=40))
def test_words_around_do_not_hide_it(moderator: Moderator, before: str, after: str) -> None:
    assert not moderator.check(f"{before} . a nude video of a famous singer . {after}").allowed


def test_same_text_same_decision(moderator: Moderator, all_benign: list[str]) -> None:
    text = " ".join(random.Random(1).sample(all_benign, 20))
    assert moderator.check(text) == moderator.check(text)
